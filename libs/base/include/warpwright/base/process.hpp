// Starting other programs: workers, commands of a specification, tools of a toolkit.
//
// By vfork() and exec, as posix_spawn() does it: a forked copy of a process with a CUDA context or threads is unusable,
// and fork() copies the page tables of all that is mapped. posix_spawn() itself cannot ask for a signal at the death of
// the thread that started the program.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <sys/types.h>
#include <utility>
#include <vector>

#include <warpwright/base/descriptor.hpp>
#include <warpwright/base/units.hpp>

namespace warpwright {

struct ProcessOptions {
  std::filesystem::path program;  // searched in PATH where it has no slash
  std::vector<std::string> arguments;
  // Added to this process's environment, in the place of variables of the same names.
  std::vector<std::pair<std::string, std::string>> environment;
  std::filesystem::path folder;  // where it runs; empty: where this process runs
  // Takes standard output and standard error: made with mode 0600, or emptied. Empty: output goes to /dev/null,
  // error to where this process's goes. Relative to this process's folder.
  std::filesystem::path output;
  // Descriptors of this process and the numbers they get in the other, 0 to 2 included. All others should be closed by
  // exec (O_CLOEXEC).
  std::vector<std::pair<int, int>> descriptors;
  // Sent to it when the thread that started it ends, for whatever reason; 0: nothing. What it starts itself gets none.
  int death_signal = 0;
};

struct ProcessEnd {
  std::optional<int> exit_code;  // where it ended by itself
  std::optional<int> signal;     // that killed it
  bool succeeded() const { return exit_code == 0; }
  // "exited with status 3", "killed by SIGSEGV".
  std::string describe() const;
};

// One process that was started. It has a group of its own, so that Ctrl-C in a terminal does not reach it and a signal
// can reach all that it starts; standard input is /dev/null, no signal is blocked or ignored in it. Move-only, one
// thread at a time.
class Process {
 public:
  // Returns when the other program has taken over. Throws Error(not_found) where the program is not there or cannot be
  // executed, Error with path_error_code() where the folder or the output cannot be used, Error(io) otherwise.
  static Process start(const ProcessOptions& options);
  // As end(), where that was not called and it has not ended.
  ~Process();
  Process(Process&& other) noexcept;
  Process& operator=(Process&& other) noexcept;

  pid_t pid() const noexcept { return pid_; }
  // Waits until it has ended, at most for `timeout`; nullopt if it runs still. Without a timeout it waits for ever.
  // Later calls give the same end. Throws Error(io).
  std::optional<ProcessEnd> wait(std::optional<Nanoseconds> timeout = std::nullopt);
  // SIGKILL to it and to all of its group, also to those of them that outlive it.
  void kill_group() noexcept;
  // Kills it with its group and waits up to ten seconds: a call of a driver that does not return cannot be ended at
  // once. nullopt if it is still there then. Throws Error(io).
  std::optional<ProcessEnd> end();

 private:
  explicit Process(pid_t pid);

  pid_t pid_ = -1;
  Descriptor handle_;  // a pidfd; none where the system has no such thing
  std::optional<ProcessEnd> end_;
  bool given_up_ = false;
};

}  // namespace warpwright
