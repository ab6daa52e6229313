// Frames over a stream socket: 4-byte head length, 8-byte payload length (little-endian), head, payload.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <poll.h>
#include <string>
#include <string_view>
#include <utility>

#include <warpwright/base/descriptor.hpp>

#include "transport.hpp"

namespace warpwright::execution {

// Between a coordinator and a worker that it started; as Transport, one thread for each direction.
//
// A socket wakes its reader on the sender's processor, where it takes the time of a sender that would go on. So a
// worker rings an eventfd for what it sends, and the coordinator waits for that: it is woken on a processor of its own.
class SocketTransport final : public Transport {
 public:
  // `ring` is an eventfd of the caller's that is rung for what is sent, `hear` the one that the other side rings; -1
  // and none: the socket alone is what the reader waits for.
  explicit SocketTransport(Descriptor socket, std::string peer, int ring = -1, Descriptor hear = Descriptor())
      : Transport(std::move(peer)), socket_(std::move(socket)), ring_(ring), hear_(std::move(hear)) {}

  // The bytes of a frame on the wire.
  static std::string bytes(std::string_view head, std::string_view payload);

  bool peer_gone() const override;
  bool has_unsent() const override { return !outbox_.empty(); }
  void flush() override;
  pollfd room() const override { return {socket_.value(), POLLOUT, 0}; }
  std::optional<LastWords> last_words(std::string_view head, std::string_view payload) const override;
  std::array<pollfd, 2> news() const override;
  void quiet() override;
  Got read_some(FrameReceiver& receiver) override;

 protected:
  void send_frame(std::string_view head, std::string_view payload, Wake wake) override;

 private:
  using Parts = std::array<std::string_view, 3>;
  // How much the socket took without waiting.
  std::size_t write(Parts parts);
  void ring();
  void begin_frames(FrameReceiver& receiver);
  void end_if_whole(FrameReceiver& receiver);

  Descriptor socket_;
  int ring_ = -1;
  Descriptor hear_;
  std::string outbox_;
  std::string inbox_;
  // The frame whose head has arrived and whose payload arrives.
  bool in_payload_ = false;
  std::string payload_;
  std::uint64_t payload_size_ = 0;
  std::size_t payload_read_ = 0;
};

}  // namespace warpwright::execution
