// What a worker process may still do once it runs code of a specification, which is a program: a kernel for a CPU
// device is native code. No new privileges, and on Linux 5.19 and later Landlock, by which a process gives up writing
// outside of the folders that it names, for itself and all that it starts. Reading, the network and the device are not
// restricted. Rejected: namespaces and seccomp. Many machines forbid the first to users, and the second needs a list of
// the system calls of every driver.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace warpwright::execution {

struct ConfinementSupport {
  bool no_new_privileges = false;
  int landlock = 0;  // version of its interface; 0: this kernel has none, or an older one than is of use
  // "no new privileges, Landlock 7", or what is missing and why.
  std::string describe() const;
};

// Asks the kernel; changes nothing.
ConfinementSupport confinement_support();

// Confines the calling thread and what it starts later, threads and processes, for good: call it before there are
// others. Files can be made, changed and removed only below `writable` (folders that do not exist are left out), /dev
// (devices, /dev/shm) and the process's own folder in /proc. Where the kernel cannot do a part of it, that part is left
// out; the result says what is in force. Does not throw.
ConfinementSupport confine_this_thread(const std::vector<std::filesystem::path>& writable) noexcept;

}  // namespace warpwright::execution
