#include "memory_transport.hpp"

#include <algorithm>
#include <sys/eventfd.h>
#include <unistd.h>

#include <warpwright/base/error.hpp>

namespace warpwright::execution {
namespace {

void ring(const Descriptor& bell) {
  const std::uint64_t once = 1;
  static_cast<void>(!::write(bell.value(), &once, sizeof once));
}

void hush(const Descriptor& bell) {
  std::uint64_t rung = 0;
  static_cast<void>(!::read(bell.value(), &rung, sizeof rung));
}

Descriptor make_bell() { return Descriptor(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)); }

}  // namespace

MemoryPipe::MemoryPipe() : filled(make_bell()), emptied(make_bell()) {}

MemoryPipe::Put MemoryPipe::put(Piece& piece) {
  const std::lock_guard lock(mutex_);
  if (reading_ended_) return Put::gone;
  if (bytes_ >= capacity) return Put::full;
  bytes_ += piece.bytes.size() + 1;
  pieces_.push_back(std::move(piece));
  return Put::done;
}

std::optional<MemoryPipe::Piece> MemoryPipe::take() {
  const std::lock_guard lock(mutex_);
  if (pieces_.empty()) return std::nullopt;
  Piece piece = std::move(pieces_.front());
  pieces_.pop_front();
  bytes_ -= piece.bytes.size() + 1;
  ring(emptied);
  return piece;
}

void MemoryPipe::wake_reader() const { ring(filled); }

void MemoryPipe::end_writing() {
  const std::lock_guard lock(mutex_);
  writing_ended_ = true;
  ring(filled);
}

void MemoryPipe::end_reading() {
  const std::lock_guard lock(mutex_);
  reading_ended_ = true;
  ring(emptied);
}

bool MemoryPipe::writing_ended() const {
  const std::lock_guard lock(mutex_);
  return writing_ended_;
}

bool MemoryPipe::reading_ended() const {
  const std::lock_guard lock(mutex_);
  return reading_ended_;
}

MemoryTransport::~MemoryTransport() {
  out_->end_writing();
  in_->end_reading();
}

std::pair<std::unique_ptr<Transport>, std::unique_ptr<Transport>> MemoryTransport::connect() {
  auto there = std::make_shared<MemoryPipe>(), back = std::make_shared<MemoryPipe>();
  return {std::make_unique<MemoryTransport>(back, there, "the other end"),
          std::make_unique<MemoryTransport>(there, back, "the other end")};
}

bool MemoryTransport::put_unsent() {
  hush(out_->emptied);  // before looking: room that comes later rings again
  bool some = false;
  while (!unsent_.empty()) {
    const MemoryPipe::Put put = out_->put(unsent_.front());
    if (put == MemoryPipe::Put::full) break;
    if (put == MemoryPipe::Put::gone) {
      unsent_.clear();
      throw Error(ErrorCode::io, "cannot send to " + peer());
    }
    unsent_.pop_front();
    some = true;
  }
  return some;
}

void MemoryTransport::send_frame(std::string_view head, std::string_view payload, Wake wake) {
  using Kind = MemoryPipe::Piece::Kind;
  unsent_.push_back({Kind::announcement, head.size(), payload.size(), {}});
  for (const auto& [kind, whole] : {std::pair{Kind::head, head}, {Kind::payload, payload}})
    for (std::string_view rest = whole; !rest.empty();
         rest.remove_prefix(std::min(rest.size(), MemoryPipe::longest_piece)))
      unsent_.push_back({kind, 0, 0, std::string(rest.substr(0, MemoryPipe::longest_piece))});
  const bool some = put_unsent();
  if (wake == Wake::receiver ? some : has_unsent()) out_->wake_reader();
}

void MemoryTransport::flush() {
  if (put_unsent()) out_->wake_reader();
}

void MemoryTransport::quiet() {
  // The end is news for ever, as that of a socket is.
  if (!in_->writing_ended()) hush(in_->filled);
}

Transport::Got MemoryTransport::read_some(FrameReceiver& receiver) {
  const bool ended = in_->writing_ended();  // before taking: what was put before the end is there
  auto piece = in_->take();
  if (!piece) {
    if (ended) end_as(within_ == Within::nothing ? State::closed : State::lost);
    return ended ? Got::end : Got::nothing;
  }
  try {
    take_in(*std::move(piece), receiver);
  } catch (...) {
    end_as(State::lost);
    throw;
  }
  return Got::some;
}

void MemoryTransport::take_in(MemoryPipe::Piece piece, FrameReceiver& receiver) {
  if (piece.kind == MemoryPipe::Piece::Kind::announcement) {
    check_announced(piece.head_size, piece.payload_size);
    head_size_ = piece.head_size;
    payload_size_ = piece.payload_size;
    within_ = Within::head;
  } else {
    (within_ == Within::head ? head_ : payload_) += piece.bytes;
  }
  if (within_ == Within::head && head_.size() >= head_size_) {
    receiver.on_head(head_);
    head_.clear();
    within_ = Within::payload;
  }
  if (within_ == Within::payload && payload_.size() >= payload_size_) {
    within_ = Within::nothing;
    receiver.on_payload(std::exchange(payload_, {}));
  }
}

}  // namespace warpwright::execution
