// Framed messages over a stream socket: 4-byte JSON length, 8-byte payload length (little-endian), JSON, payload.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <warpwright/store/json.hpp>

namespace warpwright::tuning {

struct Message {
  store::Json head;
  std::string payload;
};

// Owns the descriptor. One thread only.
class MessageChannel {
 public:
  explicit MessageChannel(int descriptor) : descriptor_(descriptor) {}
  ~MessageChannel();
  MessageChannel(MessageChannel&& other) noexcept;
  MessageChannel& operator=(MessageChannel&& other) noexcept;

  int descriptor() const { return descriptor_; }
  // The bytes of a message on the wire. Text that is no UTF-8 (a compiler's log) is replaced where it is not.
  static std::string frame(const Message& message);
  // Blocks until all is written. Throws Error(io) when the other side is gone, Error(timeout) when it does not read for
  // `patience_ms`; negative: waits for ever.
  void send(const Message& message, int patience_ms = -1);
  // Blocks for one message; nullopt when the other side closed. Throws Error(io) / Error(corrupted).
  std::optional<Message> receive();
  // Reads what is there without blocking; `closed` tells that the other side is gone. Then next() gives whole messages.
  bool read_available();
  std::optional<Message> next();

 private:
  int descriptor_ = -1;
  std::string inbox_;
};

}  // namespace warpwright::tuning
