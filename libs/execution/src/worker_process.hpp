// One child process with a message channel: started with posix_spawn, killed with its whole process group.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <sys/types.h>
#include <utility>
#include <vector>

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
  WorkerProcess(WorkerProcess&& other) noexcept;
  WorkerProcess& operator=(WorkerProcess&& other) noexcept;

  MessageChannel& channel() { return channel_; }
  const MessageChannel& channel() const { return channel_; }
  pid_t pid() const { return pid_; }
  // Readable when the child has sent something since quiet(). The channel's descriptor tells of its end.
  int doorbell() const { return doorbell_; }
  void quiet();

  // Ends the child (if it still lives) and says how it ended: "exited with status 3", "killed by SIGSEGV", followed by
  // the last line it wrote to its standard error, if any.
  std::string end();

 private:
  WorkerProcess(pid_t pid, MessageChannel channel, int doorbell, int error_file)
      : pid_(pid), channel_(std::move(channel)), doorbell_(doorbell), error_file_(error_file) {}
  std::string last_error_line() const;

  pid_t pid_ = -1;
  MessageChannel channel_;
  int doorbell_ = -1;
  int error_file_ = -1;  // anonymous file behind the child's standard error
};

}  // namespace warpwright::execution
