#include "socket_transport.hpp"

#include <algorithm>
#include <cerrno>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#include <utility>

#include <warpwright/base/error.hpp>

namespace warpwright::execution {
namespace {

constexpr std::size_t prefix_size = 12;
using Prefix = std::array<char, prefix_size>;
// Takes the head of most messages.
constexpr std::size_t small_read = 4096;
// Memory for a payload grows as it comes: what announces it may be garbage.
constexpr std::size_t payload_step = std::size_t{1} << 22;

void put_little_endian(char* out, std::uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out[i] = static_cast<char>((value >> (8 * i)) & 0xFF);
}

std::uint64_t get_little_endian(const char* data, int bytes) {
  std::uint64_t value = 0;
  for (int i = 0; i < bytes; ++i) value |= static_cast<std::uint64_t>(static_cast<unsigned char>(data[i])) << (8 * i);
  return value;
}

Prefix prefix_of(std::string_view head, std::string_view payload) {
  Prefix prefix;
  put_little_endian(prefix.data(), head.size(), 4);
  put_little_endian(prefix.data() + 4, payload.size(), 8);
  return prefix;
}

}  // namespace

std::string SocketTransport::bytes(std::string_view head, std::string_view payload) {
  const Prefix prefix = prefix_of(head, payload);
  std::string bytes;
  bytes.reserve(prefix.size() + head.size() + payload.size());
  bytes.append(prefix.data(), prefix.size()).append(head).append(payload);
  return bytes;
}

bool SocketTransport::peer_gone() const {
  pollfd item{socket_.value(), POLLIN | POLLRDHUP, 0};
  return ::poll(&item, 1, 0) > 0 && (item.revents & (POLLHUP | POLLRDHUP)) != 0;
}

std::optional<LastWords> SocketTransport::last_words(std::string_view head, std::string_view payload) const {
  return LastWords{socket_.value(), bytes(head, payload)};
}

void SocketTransport::send_frame(std::string_view head, std::string_view payload, Wake wake) {
  const Prefix prefix = prefix_of(head, payload);
  const Parts parts{std::string_view(prefix.data(), prefix.size()), head, payload};
  const std::size_t sent = outbox_.empty() ? write(parts) : 0;
  std::size_t left_out = sent;
  for (const std::string_view part : parts) {
    const std::size_t skipped = std::min(left_out, part.size());
    outbox_ += part.substr(skipped);
    left_out -= skipped;
  }
  // Where something is unsent there is no room before the other side reads.
  if (wake == Wake::receiver ? sent > 0 : has_unsent()) ring();
}

void SocketTransport::flush() {
  if (outbox_.empty()) return;
  const std::size_t sent = write({outbox_, {}, {}});
  outbox_.erase(0, sent);
  if (sent > 0) ring();
}

void SocketTransport::ring() {
  // A full counter has been rung often enough.
  const std::uint64_t once = 1;
  if (ring_ >= 0) static_cast<void>(!::write(ring_, &once, sizeof once));
}

std::size_t SocketTransport::write(Parts parts) {
  std::size_t sent = 0, first = 0;
  for (;;) {
    while (first < parts.size() && parts[first].empty()) ++first;
    if (first == parts.size()) return sent;
    std::array<iovec, 3> pieces{};
    for (std::size_t i = first; i < parts.size(); ++i)  // sendmsg() writes to none of them
      pieces[i] = {const_cast<char*>(parts[i].data()), parts[i].size()};
    msghdr message{};
    message.msg_iov = pieces.data() + first;
    message.msg_iovlen = parts.size() - first;
    const ssize_t put = ::sendmsg(socket_.value(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (put < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN || errno == EWOULDBLOCK) return sent;
      const NativeError reason = last_native_error();
      outbox_.clear();
      throw Error(ErrorCode::io, "cannot send to " + peer(), reason);
    }
    sent += static_cast<std::size_t>(put);
    for (std::size_t left = static_cast<std::size_t>(put); left > 0;) {
      const std::size_t taken = std::min(left, parts[first].size());
      parts[first].remove_prefix(taken);
      left -= taken;
      if (parts[first].empty()) ++first;
    }
  }
}

std::array<pollfd, 2> SocketTransport::news() const {
  // Where the other side rings, the socket tells of its end alone.
  return {{{socket_.value(), static_cast<short>(hear_ ? 0 : POLLIN), 0}, {hear_.value(), POLLIN, 0}}};
}

void SocketTransport::quiet() {
  std::uint64_t rung = 0;
  if (hear_) static_cast<void>(!::read(hear_.value(), &rung, sizeof rung));
}

Transport::Got SocketTransport::read_some(FrameReceiver& receiver) {
  std::array<char, small_read> buffer;
  // A payload is read to where it stays.
  const bool into_payload = in_payload_;
  if (into_payload && payload_read_ == payload_.size())
    payload_.resize(static_cast<std::size_t>(std::min<std::uint64_t>(payload_size_, payload_read_ + payload_step)));
  char* const to = into_payload ? payload_.data() + payload_read_ : buffer.data();
  const std::size_t room = into_payload ? payload_.size() - payload_read_ : buffer.size();
  ssize_t got = 0;
  while ((got = ::recv(socket_.value(), to, room, MSG_DONTWAIT)) < 0 && errno == EINTR) {
  }
  if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return Got::nothing;
  if (got <= 0) {  // a reset connection is a closed one
    end_as(in_payload_ || !inbox_.empty() ? State::lost : State::closed);
    return Got::end;
  }
  try {
    if (into_payload) {
      payload_read_ += static_cast<std::size_t>(got);
      end_if_whole(receiver);
    } else {
      inbox_.append(buffer.data(), static_cast<std::size_t>(got));
    }
    begin_frames(receiver);
  } catch (...) {
    end_as(State::lost);
    throw;
  }
  return Got::some;
}

void SocketTransport::begin_frames(FrameReceiver& receiver) {
  while (!in_payload_ && inbox_.size() >= prefix_size) {
    const std::uint64_t head = get_little_endian(inbox_.data(), 4);
    const std::uint64_t payload = get_little_endian(inbox_.data() + 4, 8);
    check_announced(head, payload);
    if (inbox_.size() < prefix_size + head) return;
    const std::size_t begin = prefix_size + static_cast<std::size_t>(head);
    receiver.on_head(std::string_view(inbox_).substr(prefix_size, static_cast<std::size_t>(head)));
    in_payload_ = true;
    payload_size_ = payload;
    payload_read_ = std::min<std::size_t>(inbox_.size() - begin, static_cast<std::size_t>(payload));
    payload_.reserve(static_cast<std::size_t>(std::min<std::uint64_t>(payload, payload_step)));
    payload_.assign(inbox_, begin, payload_read_);
    inbox_.erase(0, begin + payload_read_);
    end_if_whole(receiver);
  }
}

void SocketTransport::end_if_whole(FrameReceiver& receiver) {
  if (payload_read_ < payload_size_) return;
  in_payload_ = false;
  receiver.on_payload(std::exchange(payload_, {}));
}

}  // namespace warpwright::execution
