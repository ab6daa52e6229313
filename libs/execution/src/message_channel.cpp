#include "message_channel.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#include <utility>

#include <warpwright/base/error.hpp>

namespace warpwright::execution {
namespace {

constexpr std::size_t prefix_size = 12;
// A binary or log beyond this is no message of ours but a broken stream.
constexpr std::uint64_t max_part = std::uint64_t{1} << 31;
// Takes the head of most messages.
constexpr std::size_t small_read = 4096;
// Memory for a payload grows as it comes: what announces it may be garbage.
constexpr std::size_t payload_step = std::size_t{1} << 22;

void put_little_endian(std::string& out, std::uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out.push_back(static_cast<char>((value >> (8 * i)) & 0xFF));
}

std::uint64_t get_little_endian(const char* data, int bytes) {
  std::uint64_t value = 0;
  for (int i = 0; i < bytes; ++i) value |= static_cast<std::uint64_t>(static_cast<unsigned char>(data[i])) << (8 * i);
  return value;
}

// False when `timeout_ms` passed.
bool wait_for(int descriptor, short events, int timeout_ms) {
  pollfd item{descriptor, events, 0};
  int ready = 0;
  while ((ready = ::poll(&item, 1, timeout_ms)) < 0 && errno == EINTR) {
  }
  return ready != 0;
}

}  // namespace

MessageChannel::MessageChannel(MessageChannel&& other) noexcept : MessageChannel(-1) { *this = std::move(other); }

MessageChannel& MessageChannel::operator=(MessageChannel&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  std::swap(doorbell_, other.doorbell_);
  std::swap(inbox_, other.inbox_);
  std::swap(outbox_, other.outbox_);
  std::swap(whole_, other.whole_);
  std::swap(head_, other.head_);
  std::swap(payload_, other.payload_);
  std::swap(payload_size_, other.payload_size_);
  std::swap(payload_read_, other.payload_read_);
  return *this;
}

std::string MessageChannel::begin_of(const Message& message) {
  const std::string head = message.head.dump(-1, ' ', false, store::Json::error_handler_t::replace);
  std::string bytes;
  bytes.reserve(prefix_size + head.size());
  put_little_endian(bytes, head.size(), 4);
  put_little_endian(bytes, message.payload.size(), 8);
  bytes += head;
  return bytes;
}

std::string MessageChannel::frame(const Message& message) { return begin_of(message) + message.payload; }

void MessageChannel::send(const Message& message, int patience_ms) {
  post(message);
  drain(patience_ms);
}

void MessageChannel::send_in_passing(const Message& message) {
  put(message);
  if (!has_unsent()) return;
  ring();  // there is no room before the other side reads
  drain(-1);
}

void MessageChannel::drain(int patience_ms) {
  while (has_unsent()) {
    if (!wait_for(descriptor_.value(), POLLOUT, patience_ms))
      throw Error(ErrorCode::timeout, "the other process does not read what is sent to it");
    flush();
  }
}

void MessageChannel::post(const Message& message) {
  if (put(message) > 0) ring();
}

std::size_t MessageChannel::put(const Message& message) {
  const std::string begin = begin_of(message);
  const std::array<std::string_view, 2> parts{begin, message.payload};
  const std::size_t sent = outbox_.empty() ? write(parts) : 0;
  std::size_t left_out = sent;
  for (const std::string_view part : parts) {
    const std::size_t skipped = std::min(left_out, part.size());
    outbox_ += part.substr(skipped);
    left_out -= skipped;
  }
  return sent;
}

void MessageChannel::flush() {
  if (outbox_.empty()) return;
  const std::size_t sent = write({std::string_view(outbox_), std::string_view()});
  outbox_.erase(0, sent);
  if (sent > 0) ring();
}

void MessageChannel::ring() {
  // A full counter has been rung often enough.
  const std::uint64_t once = 1;
  if (doorbell_ >= 0) static_cast<void>(!::write(doorbell_, &once, sizeof once));
}

std::size_t MessageChannel::write(const std::array<std::string_view, 2>& parts) {
  const std::size_t size = parts[0].size() + parts[1].size();
  std::size_t sent = 0;
  while (sent < size) {
    const std::size_t skipped = std::min(sent, parts[0].size());
    const auto rest = [](std::string_view part, std::size_t from) {
      return iovec{const_cast<char*>(part.data()) + from, part.size() - from};  // which sendmsg() does not write to
    };
    std::array<iovec, 2> pieces{rest(parts[0], skipped), rest(parts[1], sent - skipped)};
    msghdr message{};
    message.msg_iov = pieces.data();
    message.msg_iovlen = pieces.size();
    const ssize_t put = ::sendmsg(descriptor_.value(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (put >= 0) {
      sent += static_cast<std::size_t>(put);
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      break;
    } else if (errno != EINTR) {
      const NativeError reason = last_native_error();
      outbox_.clear();
      throw Error(ErrorCode::io, "cannot send to the other process", reason);
    }
  }
  return sent;
}

bool MessageChannel::read_available() {
  for (;;) {
    const Got got = read_some();
    if (got != Got::some) return got == Got::nothing;
  }
}

MessageChannel::Got MessageChannel::read_some() {
  std::array<char, small_read> buffer;
  // A payload is read to where it stays.
  const bool into_payload = head_.has_value();
  if (into_payload && payload_read_ == payload_.size())
    payload_.resize(static_cast<std::size_t>(std::min<std::uint64_t>(payload_size_, payload_read_ + payload_step)));
  char* const to = into_payload ? payload_.data() + payload_read_ : buffer.data();
  const std::size_t room = into_payload ? payload_.size() - payload_read_ : buffer.size();
  ssize_t got = 0;
  while ((got = ::recv(descriptor_.value(), to, room, MSG_DONTWAIT)) < 0 && errno == EINTR) {
  }
  if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return Got::nothing;
  if (got <= 0) return Got::end;  // a reset connection is a closed one
  if (into_payload) {
    payload_read_ += static_cast<std::size_t>(got);
    end_if_whole();
  } else {
    inbox_.append(buffer.data(), static_cast<std::size_t>(got));
  }
  begin_next();
  return Got::some;
}

void MessageChannel::begin_next() {
  while (!head_ && inbox_.size() >= prefix_size) {
    // What is whole is given out before an error is.
    const auto garbled = [&] {
      if (whole_.empty()) throw Error(ErrorCode::corrupted, "a message from the other process is garbled");
    };
    const std::uint64_t head = get_little_endian(inbox_.data(), 4);
    const std::uint64_t payload = get_little_endian(inbox_.data() + 4, 8);
    if (head > max_part || payload > max_part) return garbled();
    if (inbox_.size() < prefix_size + head) return;
    store::Json parsed = store::Json::parse(inbox_.data() + prefix_size, inbox_.data() + prefix_size + head, nullptr,
                                            false);  // an exception's text would quote the garbage
    if (parsed.is_discarded()) return garbled();
    head_ = std::move(parsed);
    const std::size_t begin = prefix_size + static_cast<std::size_t>(head);
    payload_size_ = payload;
    payload_read_ = std::min<std::size_t>(inbox_.size() - begin, static_cast<std::size_t>(payload));
    payload_.reserve(static_cast<std::size_t>(std::min<std::uint64_t>(payload, payload_step)));
    payload_.assign(inbox_, begin, payload_read_);
    inbox_.erase(0, begin + payload_read_);
    end_if_whole();
  }
}

void MessageChannel::end_if_whole() {
  if (payload_read_ < payload_size_) return;
  whole_.push_back({*std::exchange(head_, std::nullopt), std::exchange(payload_, {})});
}

std::optional<Message> MessageChannel::next() {
  if (whole_.empty()) begin_next();
  if (whole_.empty()) return std::nullopt;
  Message message = std::move(whole_.front());
  whole_.pop_front();
  return message;
}

std::optional<Message> MessageChannel::receive() {
  for (;;) {
    if (auto message = next()) return message;
    const Got got = read_some();
    if (got == Got::end) return next();
    if (got == Got::nothing) wait_for(descriptor_.value(), POLLIN, -1);
  }
}

}  // namespace warpwright::execution
