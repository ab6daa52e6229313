// One child process with a message channel, killed with its whole process group.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <sys/types.h>
#include <utility>
#include <vector>

#include <warpwright/base/descriptor.hpp>
#include <warpwright/base/process.hpp>
#include <warpwright/base/units.hpp>

#include "message_channel.hpp"

namespace warpwright::execution {

// Move-only; the destructor kills and reaps the child. One thread only (the child dies with the thread that started
// it).
class WorkerProcess {
 public:
  // The descriptor the child finds its channel on; passed as its first argument too.
  static constexpr int channel_descriptor = 3;
  // The eventfd that the child rings for each message, in the child.
  static constexpr int doorbell_descriptor = 4;

  // Throws Error(not_found) if the executable is missing, Error(io) if it cannot be started.
  static WorkerProcess start(const std::filesystem::path& executable,
                             const std::vector<std::pair<std::string, std::string>>& environment);
  ~WorkerProcess();
  WorkerProcess(WorkerProcess&& other) noexcept
      : process_(std::exchange(other.process_, std::nullopt)),
        channel_(std::move(other.channel_)),
        error_file_(std::move(other.error_file_)) {}
  WorkerProcess& operator=(WorkerProcess&& other) = delete;

  MessageChannel& channel() { return channel_; }
  const MessageChannel& channel() const { return channel_; }
  pid_t pid() const { return process_ ? process_->pid() : -1; }

  // Ends the child (if it still lives) and says how it ended: "exited with status 3", "killed by SIGSEGV", followed by
  // the last line it wrote to its standard error, if any.
  std::string end();

 private:
  WorkerProcess(Process process, MessageChannel channel, Descriptor error_file)
      : process_(std::move(process)), channel_(std::move(channel)), error_file_(std::move(error_file)) {}
  std::string last_error_line() const;

  std::optional<Process> process_;  // until end()
  MessageChannel channel_;
  Descriptor error_file_;  // anonymous file behind the child's standard error
};

}  // namespace warpwright::execution
