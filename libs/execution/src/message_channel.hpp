// Messages, JSON with a binary payload, as frames of a transport.
#pragma once

#include <array>
#include <deque>
#include <memory>
#include <optional>
#include <poll.h>
#include <string>
#include <string_view>
#include <utility>

#include <warpwright/base/error.hpp>
#include <warpwright/store/json.hpp>

#include "transport.hpp"

namespace warpwright::execution {

struct Message {
  store::Json head;
  std::string payload;
};

// Move-only; what was moved from is only to be destroyed or assigned to. One thread for each direction.
class MessageChannel final : private FrameReceiver {
 public:
  explicit MessageChannel(std::unique_ptr<Transport> transport) : transport_(std::move(transport)) {}
  // Over the socket `descriptor`, which it owns; `doorbell` as SocketTransport's `ring`.
  explicit MessageChannel(int descriptor, int doorbell = -1);
  MessageChannel(MessageChannel&&) noexcept = default;
  MessageChannel& operator=(MessageChannel&&) noexcept = default;
  ~MessageChannel() = default;

  // The bytes of a message on a socket. Text that is no UTF-8 (a compiler's log) is replaced where it is not.
  static std::string frame(const Message& message);
  // Throw what Transport::post() throws. send() blocks until all is written, and throws what drain() throws.
  void send(const Message& message, int patience_ms = -1);
  // As send(), without waking the other side: for what is of use only together with what comes after it.
  void send_in_passing(const Message& message);
  // Writes as much as the other side has room for and keeps the rest for flush(). Throws Error(io) when the other side
  // is gone.
  void post(const Message& message);
  void flush() { transport_->flush(); }
  bool has_unsent() const { return transport_->has_unsent(); }
  // To be polled while something is unsent, and to be polled for messages and the end of the other side (Transport).
  pollfd room() const { return transport_->room(); }
  std::array<pollfd, 2> news() const { return transport_->news(); }
  // The other side is gone; what it sent may still be there to read.
  bool peer_gone() const { return transport_->peer_gone(); }
  // As Transport::last_words().
  std::optional<LastWords> last_words(const Message& message) const;
  // Blocks for one message and leaves what comes after it unread; nullopt when the other side closed. Throws
  // Error(corrupted).
  std::optional<Message> receive();
  // Reads what is there without blocking; false when the other side is gone. Then next() gives whole messages. Both
  // throw Error(corrupted) for what is none, after the messages before it were given out.
  bool read_available();
  std::optional<Message> next();

 private:
  void on_head(std::string_view head) override;
  void on_payload(std::string payload) override;
  Transport::Got read_some();

  std::unique_ptr<Transport> transport_;
  std::deque<Message> whole_;
  std::optional<store::Json> head_;  // of the message that arrives, behind those
  std::optional<Error> damage_;      // what came after those is not to be understood
};

}  // namespace warpwright::execution
