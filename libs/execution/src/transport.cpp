#include "transport.hpp"

#include <cerrno>

#include <warpwright/base/error.hpp>
#include <warpwright/base/units.hpp>

namespace warpwright::execution {
namespace {

// False when `timeout_ms` passed.
bool wait_for(pollfd* items, nfds_t count, int timeout_ms) {
  int ready = 0;
  while ((ready = ::poll(items, count, timeout_ms)) < 0 && errno == EINTR) {
  }
  return ready != 0;
}

std::string too_large(const char* part, std::uint64_t size, std::uint64_t limit) {
  return std::string("the ") + part + " of a message has " + std::to_string(size) + " bytes; it may have " +
         format_bytes(Bytes{limit}) + " at most";
}

}  // namespace

void Transport::post(std::string_view head, std::string_view payload, Wake wake) {
  if (head.size() > max_head)
    throw Error(ErrorCode::bad_input, "cannot send to " + peer_ + ": " + too_large("head", head.size(), max_head));
  if (payload.size() > max_payload)
    throw Error(ErrorCode::bad_input,
                "cannot send to " + peer_ + ": " + too_large("payload", payload.size(), max_payload));
  send_frame(head, payload, wake);
}

void Transport::drain(int patience_ms) {
  while (has_unsent()) {
    pollfd item = room();
    if (!wait_for(&item, 1, patience_ms)) throw Error(ErrorCode::timeout, peer_ + " does not read what is sent to it");
    flush();
  }
}

std::optional<LastWords> Transport::last_words(std::string_view, std::string_view) const { return std::nullopt; }

void Transport::wait_for_news() {
  auto items = news();
  wait_for(items.data(), items.size(), -1);
  quiet();
}

void Transport::check_announced(std::uint64_t head, std::uint64_t payload) const {
  if (head > max_head)
    throw Error(ErrorCode::corrupted, "a message from " + peer_ + " is garbled: " + too_large("head", head, max_head));
  if (payload > max_payload)
    throw Error(ErrorCode::corrupted,
                "a message from " + peer_ + " is garbled: " + too_large("payload", payload, max_payload));
}

}  // namespace warpwright::execution
