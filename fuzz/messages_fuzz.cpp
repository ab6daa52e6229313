#include <array>
#include <stdexcept>
#include <string>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

#include <warpwright/base/error.hpp>
#include <warpwright/base/json_nesting.hpp>

#include "fuzz.hpp"
#include "message_channel.hpp"
#include "task_json.hpp"

namespace warpwright::fuzz {
namespace {

using execution::Message;
using execution::MessageChannel;
using execution::to_message;
using store::Json;

// Fits what a socket takes without a reader.
constexpr std::size_t most_bytes = 64 * 1024;

struct Received {
  std::vector<Message> messages;
  bool garbled = false;
};

// The bytes as they come from a process, in parts of at most `part` bytes.
Received receive(std::string_view bytes, std::size_t part) {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0)
    throw std::runtime_error("cannot make a socket pair");
  MessageChannel channel(ends[0]);
  Received received;
  const auto take = [&] {
    while (auto message = channel.next()) received.messages.push_back(std::move(*message));
  };
  bool open = true;
  try {
    while (open) {
      const std::string_view next = bytes.substr(0, part);
      if (next.empty()) {
        ::close(std::exchange(ends[1], -1));
      } else {
        require(::send(ends[1], next.data(), next.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(next.size()),
                "the socket takes it all");
        bytes.remove_prefix(next.size());
      }
      open = channel.read_available();
      take();
    }
  } catch (const Error& error) {
    require(error.code() == ErrorCode::corrupted, "what is no message is corrupted");
    received.garbled = true;
  }
  if (ends[1] >= 0) ::close(ends[1]);
  return received;
}

// A message either is one of that kind, and then survives writing and reading, or says that it is not.
template <class From>
void as_task(const Message& message, const From& from) {
  std::optional<decltype(from(message))> task;
  try {
    task.emplace(from(message));
  } catch (const Json::exception&) {
    return;  // as those who read messages expect
  } catch (const Error& error) {
    require(error.code() == ErrorCode::corrupted, "a wrong value in a message is corrupted");
    return;
  }
  const Message written = to_message(*task);
  const Message again = to_message(from(written));
  require(again.head.dump(-1, ' ', false, Json::error_handler_t::replace) ==
              written.head.dump(-1, ' ', false, Json::error_handler_t::replace),
          "what is sent is what arrives");
  require(again.payload == written.payload, "with its binaries");
}

}  // namespace

void messages(std::string_view bytes) {
  bytes = bytes.substr(0, most_bytes);
  const Received whole = receive(bytes, most_bytes);
  const Received parts = receive(bytes, 7);
  require(whole.garbled == parts.garbled, "garbage is garbage however it comes");
  require(whole.messages.size() == parts.messages.size(), "and so are messages");
  for (std::size_t i = 0; i < whole.messages.size(); ++i) {
    const Message& message = whole.messages[i];
    require(message.head == parts.messages[i].head && message.payload == parts.messages[i].payload,
            "which are the same");
    as_task(message, [](const Message& m) { return execution::compile_task_from(m); });
    as_task(message, [](const Message& m) { return execution::run_task_from(m); });
    as_task(message, [](const Message& m) { return execution::interleave_task_from(m); });
    as_task(message, [](const Message& m) { return execution::compile_done_from(m); });
    as_task(message, [](const Message& m) { return execution::run_done_from(m); });
    as_task(message, [](const Message& m) { return execution::interleave_done_from(m); });
    as_task(message, [](const Message& m) { return execution::evaluation_info_from(m); });
  }
}

}  // namespace warpwright::fuzz

WARPWRIGHT_FUZZ_ENTRY(messages)
