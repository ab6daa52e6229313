// Framed messages over a stream socket: 4-byte JSON length, 8-byte payload length (little-endian), JSON, payload.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include <warpwright/base/descriptor.hpp>
#include <warpwright/store/json.hpp>

namespace warpwright::execution {

struct Message {
  store::Json head;
  std::string payload;
};

// Owns the descriptor. One thread for each direction.
class MessageChannel {
 public:
  // `doorbell`, an eventfd of the caller's or -1, is rung whenever something was sent. Who waits for that instead of
  // the socket is woken on a processor of its own: a socket wakes its reader on the sender's, where it takes the time
  // of a sender that would go on.
  explicit MessageChannel(int descriptor, int doorbell = -1) : descriptor_(descriptor), doorbell_(doorbell) {}
  MessageChannel(MessageChannel&& other) noexcept;
  MessageChannel& operator=(MessageChannel&& other) noexcept;

  int descriptor() const { return descriptor_.value(); }
  // The bytes of a message on the wire. Text that is no UTF-8 (a compiler's log) is replaced where it is not.
  static std::string frame(const Message& message);
  // Blocks until all is written. Throws Error(io) when the other side is gone, Error(timeout) when it does not read for
  // `patience_ms`; negative: waits for ever.
  void send(const Message& message, int patience_ms = -1);
  // As send(), without the doorbell: for what is of use only together with what comes after it.
  void send_in_passing(const Message& message);
  // Writes as much as the other side has room for and keeps the rest for flush(). Throws Error(io) when the other side
  // is gone.
  void post(const Message& message);
  void flush();
  bool has_unsent() const { return !outbox_.empty(); }
  // Blocks for one message and leaves what comes after it unread; nullopt when the other side closed. Throws Error(io)
  // / Error(corrupted).
  std::optional<Message> receive();
  // Reads what is there without blocking; false when the other side is gone. Then next() gives whole messages. Both
  // throw Error(corrupted) for what is none.
  bool read_available();
  std::optional<Message> next();

 private:
  static std::string begin_of(const Message& message);
  // These say how much was sent without waiting; put() keeps the rest.
  std::size_t put(const Message& message);
  std::size_t write(const std::array<std::string_view, 2>& parts);
  void ring();
  void drain(int patience_ms);
  enum class Got { some, nothing, end };
  Got read_some();
  void begin_next();
  void end_if_whole();

  Descriptor descriptor_;
  int doorbell_ = -1;
  std::string inbox_, outbox_;
  std::deque<Message> whole_;
  // The message that has begun to arrive, behind those.
  std::optional<store::Json> head_;
  std::string payload_;
  std::uint64_t payload_size_ = 0;
  std::size_t payload_read_ = 0;
};

}  // namespace warpwright::execution
