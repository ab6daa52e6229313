#include <fstream>
#include <sys/utsname.h>

#include <warpwright/base/host.hpp>
#include <warpwright/base/processors.hpp>

namespace warpwright {
namespace {

// The value of the first line of /proc/cpuinfo that begins with `key`; there is one for each processor.
std::string first_cpuinfo(const std::string& key) {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.rfind(key, 0) != 0) continue;
    const std::size_t colon = line.find(": ");
    if (colon != std::string::npos) return line.substr(colon + 2);
  }
  return {};
}

}  // namespace

HostInfo host_info() {
  HostInfo host;
  host.processor = first_cpuinfo("model name");
  host.processors = available_processors();
  if (utsname names{}; uname(&names) == 0) {
    host.name = names.nodename;
    host.architecture = names.machine;
    host.system = std::string(names.sysname) + " " + names.release;
  }
  return host;
}

}  // namespace warpwright
