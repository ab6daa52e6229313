// The timing protocol on a CUDA device against kernels whose time is known.
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <gtest/gtest.h>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <warpwright/base/rng.hpp>
#include <warpwright/cuda/backend.hpp>
#include <warpwright/measure/timing.hpp>
#include <warpwright/model/statistics.hpp>

namespace warpwright::measure {
namespace {

// spin_time lasts `nanoseconds` by the device's own wall clock, spin_cycles lasts `cycles` of the SM clock.
constexpr const char* source = R"(
extern "C" __global__ void spin_time(unsigned long long nanoseconds) {
  unsigned long long begin, now;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(begin));
  do {
    asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(now));
  } while (now - begin < nanoseconds);
}
extern "C" __global__ void spin_cycles(unsigned long long cycles) {
  const long long begin = clock64();
  while ((unsigned long long)(clock64() - begin) < cycles) {
  }
}
extern "C" __global__ void nothing() {}
)";

class KnownAnswers : public ::testing::Test {
 protected:
  void SetUp() override {
    backend_ = cuda::make_backend();
    const device::ProbeResult probe = backend_->probe();
    if (!probe.usable) {
      const char* required = std::getenv("WARPWRIGHT_REQUIRE_DEVICE");
      if (required != nullptr && std::string(required) == "cuda") FAIL() << probe.reason;
      GTEST_SKIP() << "no device of backend cuda: " << probe.reason << " " << probe.remedy;
    }
    const DeviceInfo device = backend_->devices().front();
    context_ = backend_->open(device.id);
    const auto compiler = backend_->compiler(device);
    device::CompileJob job;
    job.source = source;
    job.file_name = "spin.cu";
    job.entries = {"spin_time", "spin_cycles", "nothing"};
    module_ = context_->load(compiler->compile(job));
    for (const auto& entry : job.entries) kernels_[entry] = module_->kernel(entry);
    stream_ = context_->create_stream();
    flusher_ = std::make_unique<CacheFlusher>(*context_, *compiler, *stream_);
  }

  std::function<void()> spin(const char* kernel, std::uint64_t amount) {
    return [this, kernel, amount] {
      const std::vector<device::KernelArgument> arguments{device::ScalarArgument::of(amount)};
      stream_->launch(*kernels_.at(kernel), device::LaunchConfig{}, arguments);
    };
  }
  std::vector<double> time(const std::function<void()>& work, const TimingOptions& options) {
    std::vector<double> values;
    for (const auto sample : time_work(*context_, *stream_, flusher_.get(), {}, work, options, clock_).samples)
      values.push_back(sample.count());
    return values;
  }
  // One cold sample of each in turn, in a fresh order each round.
  PairedRatio compare(std::uint64_t first_cycles, std::uint64_t second_cycles, std::uint64_t seed) {
    TimingOptions one;
    one.warmup = 0;
    one.min_samples = one.max_samples = 1;
    Rng rng(seed);
    std::vector<double> first, second;
    for (int round = 0; round < 50; ++round) {
      const bool swapped = rng.below(2) == 1;
      for (const bool turn : {swapped, !swapped})
        (turn ? second : first).push_back(time(spin("spin_cycles", turn ? second_cycles : first_cycles), one).front());
    }
    return paired_ratio(first, second);
  }

  std::unique_ptr<device::Backend> backend_;
  std::unique_ptr<device::Context> context_;
  std::unique_ptr<device::Module> module_;
  std::map<std::string, std::unique_ptr<device::Kernel>> kernels_;
  std::unique_ptr<device::Stream> stream_;
  std::unique_ptr<CacheFlusher> flusher_;
  SteadyClock clock_;
};

// The tie rule of the final comparison: an interval that reaches 1, or a difference of at most 1 %.
bool tie(const PairedRatio& ratio) { return ratio.interval.low <= 1 || ratio.median <= 1.01; }

constexpr std::uint64_t base_cycles = 1'000'000;  // about 0.5 to 0.7 ms

TEST_F(KnownAnswers, AKernelOfKnownDurationWithinTwoPercent) {
  for (const std::uint64_t nanoseconds : {1'000'000u, 3'000'000u}) {
    for (const CacheMode cache : {CacheMode::cold, CacheMode::warm}) {
      TimingOptions options;
      options.cache = cache;
      const double measured = median(time(spin("spin_time", nanoseconds), options));
      const auto truth = static_cast<double>(nanoseconds);
      std::printf("  %.0f us by %%globaltimer: measured %.2f us (%s)\n", truth / 1e3, measured / 1e3,
                  std::string(to_string(cache)).c_str());
      EXPECT_NEAR(measured, truth, 0.02 * truth) << to_string(cache);
    }
  }
}

TEST_F(KnownAnswers, AnEmptyKernelsTimeLeavesTheLaunchOut) {
  // Launching and waiting took 9.8 us at the median on an H100; the device's part is a few microseconds.
  TimingOptions options;
  const auto nothing = [this] { stream_->launch(*kernels_.at("nothing"), device::LaunchConfig{}, {}); };
  const double cold = median(time(nothing, options));
  options.cache = CacheMode::warm;
  const double warm = median(time(nothing, options));
  std::printf("  an empty kernel: %.2f us cold, %.2f us in batches\n", cold / 1e3, warm / 1e3);
  EXPECT_LT(cold, 8e3);
  EXPECT_LT(warm, 8e3);
}

TEST_F(KnownAnswers, AKernelAgainstItselfIsATieInTwentyOfTwenty) {
  int ties = 0;
  for (std::uint64_t run = 0; run < 20; ++run) {
    const PairedRatio ratio = compare(base_cycles, base_cycles, run);
    if (tie(ratio))
      ++ties;
    else
      ADD_FAILURE() << "run " << run << ": ratio " << ratio.median << " from " << ratio.interval.low;
  }
  std::printf("  a kernel against itself: a tie in %d of 20\n", ties);
  EXPECT_EQ(ties, 20);
}

TEST_F(KnownAnswers, ATwinThatIsTwoPercentSlowerIsRecognised) {
  int recognised = 0;
  for (std::uint64_t run = 0; run < 20; ++run) {
    const PairedRatio ratio = compare(base_cycles * 102 / 100, base_cycles, 100 + run);
    if (!tie(ratio) && ratio.median > 1) ++recognised;
  }
  std::printf("  a twin 2 %% slower: recognised in %d of 20\n", recognised);
  EXPECT_GE(recognised, 19);
}

}  // namespace
}  // namespace warpwright::measure
