// Tunes a kernel from a C++ program, as `warpwright tune` does it, and prints the winner.
//
//   tune_kernel examples/kernels/vector_add/vector_add.toml build/apps/warpwright/warpwright-worker [DEVICE]
#include <cstdio>
#include <exception>
#include <string>
#include <unistd.h>

#include <warpwright/devices/devices.hpp>
#include <warpwright/driver/tune.hpp>

namespace {

using namespace warpwright;

int run(int argc, char** argv) {
  driver::TuneRequest request;
  request.problem.specification = argv[1];
  request.workers.executable = argv[2];
  if (argc > 3) request.problem.device = argv[3];
  request.max_evaluations = 20;

  // A library reads no environment and prints nothing: the program says where the user's folders are and who listens.
  const device::BackendRegistry backends = devices::all_backends();
  driver::Places places{driver::Variables(::environ)};
  driver::Surroundings around{backends, places, {}, nullptr, {}, {}};
  around.log = [](LogLevel level, std::string_view text) {
    if (level != LogLevel::debug) std::fprintf(stderr, "%.*s\n", static_cast<int>(text.size()), text.data());
  };

  const store::SessionRecord record = driver::tune(request, around);
  if (!record.best) {
    std::printf("no configuration of %s was right\n", record.kernel.c_str());
    return 1;
  }
  std::printf("%s on %s: %s takes %s", record.kernel.c_str(), record.evaluation.device.name.c_str(),
              record.best->describe().c_str(), format_duration(record.best_median).c_str());
  if (record.speedup) std::printf(", %.2f times as fast as the baseline", *record.speedup);
  std::printf("\n");
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3 || argc > 4) {
    std::fprintf(stderr, "usage: tune_kernel SPECIFICATION WORKER [DEVICE]\n");
    return 2;
  }
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
}
