// A transport in this process's memory, for tests. It keeps the borders of what is sent (announcement, head, payload)
// as MPI does, where a socket has a stream of bytes; so code that passes on both relies on neither.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <poll.h>
#include <string>
#include <string_view>
#include <utility>

#include <warpwright/base/descriptor.hpp>

#include "../src/transport.hpp"

namespace warpwright::execution {

// One direction of a connection; thread-safe. Holds a bounded number of bytes, so that a sender can be held up.
class MemoryPipe {
 public:
  static constexpr std::size_t capacity = std::size_t{256} << 10;
  static constexpr std::size_t longest_piece = std::size_t{64} << 10;

  struct Piece {
    enum class Kind { announcement, head, payload };
    Kind kind = Kind::announcement;
    std::uint64_t head_size = 0, payload_size = 0;  // of an announcement
    std::string bytes;
  };

  MemoryPipe();
  enum class Put { done, full, gone };
  // Takes the piece if the result is done.
  Put put(Piece& piece);
  std::optional<Piece> take();
  void wake_reader() const;
  void end_writing();
  void end_reading();
  bool writing_ended() const;
  bool reading_ended() const;

  // Readable when there may be something to take, or room.
  const Descriptor filled, emptied;

 private:
  mutable std::mutex mutex_;
  std::deque<Piece> pieces_;
  std::size_t bytes_ = 0;
  bool writing_ended_ = false, reading_ended_ = false;
};

class MemoryTransport final : public Transport {
 public:
  MemoryTransport(std::shared_ptr<MemoryPipe> in, std::shared_ptr<MemoryPipe> out, std::string peer)
      : Transport(std::move(peer)), in_(std::move(in)), out_(std::move(out)) {}
  ~MemoryTransport() override;
  // Both ends of a connection.
  static std::pair<std::unique_ptr<Transport>, std::unique_ptr<Transport>> connect();

  bool peer_gone() const override { return in_->writing_ended(); }
  bool has_unsent() const override { return !unsent_.empty(); }
  void flush() override;
  pollfd room() const override { return {out_->emptied.value(), POLLIN, 0}; }
  std::array<pollfd, 2> news() const override { return {{{in_->filled.value(), POLLIN, 0}, {-1, 0, 0}}}; }
  void quiet() override;
  Got read_some(FrameReceiver& receiver) override;

 protected:
  void send_frame(std::string_view head, std::string_view payload, Wake wake) override;

 private:
  bool put_unsent();
  void take_in(MemoryPipe::Piece piece, FrameReceiver& receiver);

  std::shared_ptr<MemoryPipe> in_, out_;
  std::deque<MemoryPipe::Piece> unsent_;
  // The frame that arrives.
  enum class Within { nothing, head, payload } within_ = Within::nothing;
  std::uint64_t head_size_ = 0, payload_size_ = 0;
  std::string head_, payload_;
};

}  // namespace warpwright::execution
