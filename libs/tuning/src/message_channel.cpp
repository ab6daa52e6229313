#include "message_channel.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

#include <warpwright/base/error.hpp>

namespace warpwright::tuning {
namespace {

constexpr std::size_t prefix_size = 12;
// A binary or log beyond this is no message of ours but a broken stream.
constexpr std::uint64_t max_part = std::uint64_t{1} << 31;

void put_little_endian(std::string& out, std::uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out.push_back(static_cast<char>((value >> (8 * i)) & 0xFF));
}

std::uint64_t get_little_endian(const char* data, int bytes) {
  std::uint64_t value = 0;
  for (int i = 0; i < bytes; ++i) value |= static_cast<std::uint64_t>(static_cast<unsigned char>(data[i])) << (8 * i);
  return value;
}

NativeError last_errno() {
  const int code = errno;
  return {code, std::strerror(code)};
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

MessageChannel::~MessageChannel() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

MessageChannel::MessageChannel(MessageChannel&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)), inbox_(std::move(other.inbox_)) {}

MessageChannel& MessageChannel::operator=(MessageChannel&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  std::swap(inbox_, other.inbox_);
  return *this;
}

std::string MessageChannel::frame(const Message& message) {
  const std::string head = message.head.dump(-1, ' ', false, store::Json::error_handler_t::replace);
  std::string bytes;
  bytes.reserve(prefix_size + head.size() + message.payload.size());
  put_little_endian(bytes, head.size(), 4);
  put_little_endian(bytes, message.payload.size(), 8);
  bytes += head;
  bytes += message.payload;
  return bytes;
}

void MessageChannel::send(const Message& message, int patience_ms) {
  const std::string bytes = frame(message);
  std::size_t sent = 0;
  while (sent < bytes.size()) {
    const ssize_t put = ::send(descriptor_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (put >= 0) {
      sent += static_cast<std::size_t>(put);
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      if (!wait_for(descriptor_, POLLOUT, patience_ms))
        throw Error(ErrorCode::timeout, "the other process does not read what is sent to it");
    } else if (errno != EINTR) {
      throw Error(ErrorCode::io, "cannot send to the other process", last_errno());
    }
  }
}

bool MessageChannel::read_available() {
  std::array<char, 1 << 16> buffer;
  for (;;) {
    const ssize_t got = ::recv(descriptor_, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (got > 0) {
      inbox_.append(buffer.data(), static_cast<std::size_t>(got));
    } else if (got == 0) {
      return false;
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      return true;
    } else if (errno != EINTR) {
      return false;  // a reset connection is a closed one
    }
  }
}

std::optional<Message> MessageChannel::next() {
  if (inbox_.size() < prefix_size) return std::nullopt;
  const std::uint64_t head = get_little_endian(inbox_.data(), 4);
  const std::uint64_t payload = get_little_endian(inbox_.data() + 4, 8);
  if (head > max_part || payload > max_part)
    throw Error(ErrorCode::corrupted, "a message from the other process is garbled");
  if (inbox_.size() < prefix_size + head + payload) return std::nullopt;
  Message message;
  try {
    message.head = store::Json::parse(inbox_.data() + prefix_size, inbox_.data() + prefix_size + head);
  } catch (const store::Json::exception&) {  // whose text quotes the garbage
    throw Error(ErrorCode::corrupted, "a message from the other process is garbled");
  }
  message.payload = inbox_.substr(prefix_size + head, payload);
  inbox_.erase(0, prefix_size + head + payload);
  return message;
}

std::optional<Message> MessageChannel::receive() {
  for (;;) {
    if (auto message = next()) return message;
    wait_for(descriptor_, POLLIN, -1);
    if (!read_available()) return next();
  }
}

}  // namespace warpwright::tuning
