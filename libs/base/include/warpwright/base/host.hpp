// What machine a program runs on, for records that outlive it.
#pragma once

#include <string>

namespace warpwright {

// Empty where the system does not tell; `processors` as available_processors().
struct HostInfo {
  std::string name;          // of the machine in its network
  std::string processor;     // "AMD EPYC 9534 64-Core Processor"
  std::string architecture;  // "x86_64"
  std::string system;        // "Linux 6.8.0-31-generic"
  int processors = 0;        // that this process may use
  bool operator==(const HostInfo&) const = default;
};

// Reads the system anew each time. Thread-safe, does not throw for what the system does not tell.
HostInfo host_info();

}  // namespace warpwright
