// What carries the messages between a coordinator and one worker. MessageChannel makes frames of messages and knows
// nothing of sockets; a transport carries frames and knows nothing of JSON. A frame is a head (text) and a payload
// (bytes) with their sizes announced before them, so that a transport that keeps the borders of what it sends (MPI, a
// queue in memory) need not build a stream of bytes first. tests/transport_contract.hpp is what each of them must pass.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <poll.h>
#include <string>
#include <string_view>
#include <utility>

namespace warpwright::execution {

// Takes frames in as they arrive: for each one its head, and its payload when that is whole.
class FrameReceiver {
 public:
  // `head` is valid during the call. Throws Error(corrupted) for what is no head: the frame, and with it all that comes
  // later, is not to be understood.
  virtual void on_head(std::string_view head) = 0;
  virtual void on_payload(std::string payload) = 0;

 protected:
  ~FrameReceiver() = default;
};

// What a signal handler may write, and where, so that the other side receives one more frame.
struct LastWords {
  int descriptor = -1;
  std::string bytes;
};

// One end of a connection. One thread for each direction: one thread may send while another one receives. Ended by its
// destructor, after which the other side receives what was sent and then the end.
class Transport {
 public:
  // A head is parsed as a whole, so its size bounds the memory that an announcement can ask for. What is long
  // (binaries) travels as payload.
  static constexpr std::uint64_t max_head = std::uint64_t{16} << 20;
  // Beyond this is no binary of ours. Memory for a payload grows as it comes.
  static constexpr std::uint64_t max_payload = std::uint64_t{1} << 31;

  // open; closed: the other side ended; lost: it did so within a frame, or what comes from it is damaged.
  enum class State { open, closed, lost };
  enum class Got { some, nothing, end };
  // In passing: of use only together with what comes after it, so nobody need be woken for it.
  enum class Wake { receiver, in_passing };

  // `peer` names the other side in messages: "the worker process".
  explicit Transport(std::string peer) : peer_(std::move(peer)) {}
  virtual ~Transport() = default;
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;

  // Either thread.
  const std::string& peer() const { return peer_; }
  // As reading found it.
  State state() const { return state_.load(); }
  // Asks the system and reads nothing: of a side that is gone there may still be frames to read.
  virtual bool peer_gone() const = 0;

  // The sending direction.

  // Sends as much as there is room for and keeps a copy of the rest for flush(). Throws Error(bad_input) for a head
  // over max_head or a payload over max_payload, of which nothing is sent then, Error(io) when the other side is gone.
  void post(std::string_view head, std::string_view payload, Wake wake = Wake::receiver);
  virtual bool has_unsent() const = 0;
  virtual void flush() = 0;
  // To be polled while something is unsent: any event says that flush() may send some of it.
  virtual pollfd room() const = 0;
  // Blocks until all is sent. Throws Error(io) when the other side is gone, Error(timeout) when it does not read for
  // `patience_ms`; negative: waits for ever.
  void drain(int patience_ms = -1);
  // nullopt where a signal handler cannot send. Valid as long as the transport, and while nothing is unsent.
  virtual std::optional<LastWords> last_words(std::string_view head, std::string_view payload) const;

  // The receiving direction.

  // To be polled: any event says that read_some() may have something to do, be it the end. What has no descriptor to
  // wait for rings one of its own. A descriptor of -1, which poll() passes over, is none.
  virtual std::array<pollfd, 2> news() const = 0;
  // The news are known: to be called before reading, so that what comes later is news again.
  virtual void quiet() {}
  // Takes in one piece of what is there, without blocking. Throws Error(corrupted) for a frame whose announced sizes
  // exceed the limits, before it asks for memory for them, and what `receiver` throws; after that the state is lost and
  // nothing more is to be read.
  virtual Got read_some(FrameReceiver& receiver) = 0;
  // Blocks until there are news, and calls quiet().
  void wait_for_news();

 protected:
  virtual void send_frame(std::string_view head, std::string_view payload, Wake wake) = 0;
  // Throws Error(corrupted).
  void check_announced(std::uint64_t head, std::uint64_t payload) const;
  // To be called where reading finds the end.
  void end_as(State state) { state_ = state; }

 private:
  std::string peer_;
  std::atomic<State> state_{State::open};
};

}  // namespace warpwright::execution
