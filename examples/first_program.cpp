#include <cstdio>
#include <vector>

#include <warpwright/devices/devices.hpp>
#include <warpwright/runtime/tuned_kernel.hpp>
#include <warpwright/spec/read.hpp>

using namespace warpwright;

int main() {
  auto device = devices::open_best_device();
  const store::ProfileDatabase profiles("profiles.sqlite");
  runtime::TunedKernel twice(spec::read("twice.toml"), device.backend(), device.context(), profiles);

  std::vector<float> numbers(1'000'000, 1.5F);
  const auto x = device.upload<float>(numbers), y = device.allocate<float>(numbers.size());
  twice.launch(device.stream(), {{"n", 1'000'000}}, {{"x", x.get()}, {"y", y.get()}});
  device.download<float>(*y, numbers);
  std::printf("%g, with %s\n", numbers.back(), twice.select({{"n", 1'000'000}}).configuration.describe().c_str());
}
