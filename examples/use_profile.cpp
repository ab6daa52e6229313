// Uses a tuned kernel in a C++ program: finds the profile for each problem size, compiles (or takes the cached binary),
// and launches on the program's own buffers.
//
//   warpwright tune examples/kernels/vector_add/vector_add.toml --profiles profiles.sqlite --max-evaluations 50
//   use_profile examples/kernels/vector_add/vector_add.toml profiles.sqlite cache-folder
#include <cstdint>
#include <cstdio>
#include <numeric>
#include <string>
#include <vector>

#include <warpwright/base/error.hpp>
#include <warpwright/devices/devices.hpp>
#include <warpwright/runtime/tuned_kernel.hpp>
#include <warpwright/spec/read.hpp>
#include <warpwright/store/profile_database.hpp>

namespace {

using namespace warpwright;

// c = a + b for one size; returns whether every element is right.
bool add_vectors(runtime::TunedKernel& kernel, devices::OpenDevice& device, std::int64_t n) {
  const Configuration size{{"n", n}};
  const runtime::Selection selection = kernel.select(size);
  std::printf("n = %lld: %s\n  %s, match: %s, binary %s\n", static_cast<long long>(n),
              selection.configuration.describe().c_str(), selection.tuned ? "tuned" : "default configuration",
              selection.quality.c_str(), selection.binary_from_cache ? "from the cache" : "compiled now");

  std::vector<float> a(static_cast<std::size_t>(n)), b(a.size(), 0.5F), c(a.size());
  std::iota(a.begin(), a.end(), 0.0F);
  const auto a_device = device.upload<float>(a), b_device = device.upload<float>(b);
  const auto c_device = device.allocate<float>(c.size());
  kernel.launch(device.stream(), size, {{"a", a_device.get()}, {"b", b_device.get()}, {"c", c_device.get()}});
  device.download<float>(*c_device, c);

  for (std::size_t i = 0; i < c.size(); ++i) {
    if (c[i] != a[i] + b[i]) {
      std::printf("  wrong at %zu: %g, expected %g\n", i, static_cast<double>(c[i]), static_cast<double>(a[i] + b[i]));
      return false;
    }
  }
  std::printf("  correct\n");
  return true;
}

int run(int argc, char** argv) {
  if (argc < 4) {
    std::fprintf(stderr, "usage: use_profile SPEC PROFILES CACHE_FOLDER [DEVICE] [exact|device|nearest]\n");
    return 2;
  }
  devices::OpenDevice device = argc > 4 ? devices::open_device(argv[4]) : devices::open_best_device();

  runtime::TunedKernelOptions options;
  options.binary_cache = argv[3];
  if (argc > 5) {
    const auto match = store::parse_match_policy(argv[5]);
    if (!match) throw Error(ErrorCode::bad_input, "the match must be exact, device or nearest");
    options.match = *match;
  }
  options.log = [](LogLevel, std::string_view text) {
    std::printf("  note: %.*s\n", static_cast<int>(text.size()), text.data());
  };

  const store::ProfileDatabase profiles(argv[2]);
  const Problem problem = spec::read(argv[1]);
  runtime::TunedKernel kernel(problem, device.backend(), device.context(), profiles, options);
  std::printf("%s on %s\n", problem.name.c_str(), device.info().name.c_str());
  bool right = true;
  for (const std::int64_t n : {std::int64_t{1'000'000}, std::int64_t{4'194'304}, std::int64_t{1'000'000}})
    right = add_vectors(kernel, device, n) && right;
  return right ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
}
