// warpwright-worker: compiles or runs kernels for a tuning process; started by it, never by hand.
#include <cstdio>
#include <cstdlib>
#include <unistd.h>

#include <warpwright/execution/worker.hpp>

#include "backends.hpp"
#include "standard_streams.hpp"

int main(int argc, char** argv) {
  warpwright::app::open_missing_descriptors();
  if (argc != 2 || ::isatty(STDIN_FILENO) != 0) {
    std::fputs("warpwright-worker is started by warpwright itself; see 'warpwright tune --help'\n", stderr);
    return 2;
  }
  const auto backends = warpwright::app::make_backends();
  const int status = warpwright::execution::worker_main(backends, std::atoi(argv[1]));
  // Drivers' exit handlers may crash or hang after a fault; nothing of ours is left to flush.
  std::fflush(nullptr);
  ::_exit(status);
}
