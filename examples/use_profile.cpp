// Uses a tuned kernel in a C++ program: finds the profile for each problem size, compiles (or takes the cached binary),
// and launches on the program's own buffers.
//
//   warpwright tune examples/kernels/vector_add/vector_add.toml --profiles profiles.sqlite --max-evaluations 50
//   use_profile examples/kernels/vector_add/vector_add.toml profiles.sqlite cache-folder
#include <cstdint>
#include <cstdio>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include <warpwright/base/error.hpp>
#include <warpwright/cuda/backend.hpp>
#include <warpwright/device/backend.hpp>
#include <warpwright/opencl/backend.hpp>
#include <warpwright/sim/backend.hpp>
#include <warpwright/spec/read.hpp>
#include <warpwright/store/profile_database.hpp>
#include <warpwright/tuning/tuned_kernel.hpp>

namespace {

using namespace warpwright;

// c = a + b for one size; returns whether every element is right.
bool add_vectors(tuning::TunedKernel& kernel, device::Context& context, device::Stream& stream, std::int64_t n) {
  const Configuration size{{"n", n}};
  const tuning::Selection& selection = kernel.select(size);
  std::printf("n = %lld: %s\n  %s, match: %s, binary %s\n", static_cast<long long>(n),
              selection.configuration.describe().c_str(), selection.tuned ? "tuned" : "default configuration",
              selection.quality.c_str(), selection.binary_from_cache ? "from the cache" : "compiled now");

  std::vector<float> a(static_cast<std::size_t>(n)), b(a.size()), c(a.size());
  std::iota(a.begin(), a.end(), 0.0F);
  std::fill(b.begin(), b.end(), 0.5F);
  const Bytes bytes{a.size() * sizeof(float)};
  const auto a_device = context.allocate(bytes), b_device = context.allocate(bytes), c_device = context.allocate(bytes);
  stream.copy_to_device(*a_device, Bytes{}, std::as_bytes(std::span(a)));
  stream.copy_to_device(*b_device, Bytes{}, std::as_bytes(std::span(b)));
  kernel.launch(stream, size, {{"a", a_device.get()}, {"b", b_device.get()}, {"c", c_device.get()}});
  stream.copy_to_host(std::as_writable_bytes(std::span(c)), *c_device, Bytes{});
  stream.synchronize();

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
  device::BackendRegistry backends;
  backends.add(cuda::make_backend());
  backends.add(opencl::make_backend());
  backends.add(sim::make_backend());
  const auto device = argc > 4 ? backends.describe(DeviceId::parse(argv[4])) : backends.best_device();
  if (!device) throw Error(ErrorCode::unavailable, "there is no device; 'warpwright devices' says why");

  tuning::TunedKernelOptions options;
  options.binary_cache = argv[3];
  if (argc > 5) {
    const auto match = store::parse_match_policy(argv[5]);
    if (!match) throw Error(ErrorCode::bad_input, "the match must be exact, device or nearest");
    options.match = *match;
  }
  options.log = [](LogLevel, std::string_view text) {
    std::printf("  note: %.*s\n", static_cast<int>(text.size()), text.data());
  };

  const store::ProfileDatabase profiles = store::ProfileDatabase::open_read_only(argv[2]);
  const Problem problem = spec::read(argv[1]);
  const device::Backend& backend = backends.find(device->id);
  const auto context = backend.open(device->id);
  const auto stream = context->create_stream();
  tuning::TunedKernel kernel(problem, backend, *context, profiles, options);
  std::printf("%s on %s\n", problem.name.c_str(), device->name.c_str());
  bool right = true;
  for (const std::int64_t n : {std::int64_t{1'000'000}, std::int64_t{4'194'304}, std::int64_t{1'000'000}})
    right = add_vectors(kernel, *context, *stream, n) && right;
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
