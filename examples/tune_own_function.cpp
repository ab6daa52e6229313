// Tunes a function of one's own, without a specification: in blocks of how many elements should a chain of three passes
// over arrays be computed? Small blocks pay for their start, large ones fall out of the cache between the passes.
//
//   tune_own_function [PROFILES]       PROFILES: database that keeps the winner for the next run
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <exception>
#include <vector>

#include <warpwright/tuning/performance_tuner.hpp>

using namespace warpwright;

namespace {

// y = sqrt(a * b + 1), one pass for each operation, block by block.
void chain(const std::vector<float>& a, const std::vector<float>& b, std::vector<float>& y, std::size_t block) {
  std::vector<float> product(block), sum(block);
  for (std::size_t first = 0; first < y.size(); first += block) {
    const std::size_t count = std::min(block, y.size() - first);
    for (std::size_t i = 0; i < count; ++i) product[i] = a[first + i] * b[first + i];
    for (std::size_t i = 0; i < count; ++i) sum[i] = product[i] + 1;
    for (std::size_t i = 0; i < count; ++i) y[first + i] = std::sqrt(sum[i]);
  }
}

int run(int argc, char** argv) {
  constexpr std::size_t n = std::size_t{1} << 20;
  const std::vector<float> a(n, 2), b(n, 4);
  std::vector<float> y(n);

  // Runs one configuration and says how long it took, or what was wrong with its result.
  const auto evaluator = [&](const KernelConfig& config) -> EvaluatorResult {
    std::fill(y.begin(), y.end(), 0.0F);
    const auto begin = std::chrono::steady_clock::now();
    chain(a, b, y, static_cast<std::size_t>(config.block_size.x));
    const auto time = std::chrono::steady_clock::now() - begin;
    if (!std::all_of(y.begin(), y.end(), [](float value) { return value == 3; }))
      return EvaluatorResult::failed(TrialStatus::wrong_result, "an element is not 3");
    return time;
  };

  PerformanceTunerOptions tuner_options;
  if (argc > 1) tuner_options.profiles = argv[1];
  PerformanceTuner tuner(tuner_options);
  if (const auto known = tuner.profile("chain"))
    std::printf("tuned before: %s\n", known->configuration.describe().c_str());

  TuningSessionOptions options;
  options.max_evaluations = 30;
  options.samples = 3;
  const SearchSpace space{.workload_size = n, .min_block_size = 32, .max_block_size = 1 << 16};
  const PerformanceMetrics metrics = tuner.run_tuning_session("chain", space, evaluator, options);

  for (const auto& warning : metrics.warnings) std::printf("warning: %s\n", warning.c_str());
  if (!metrics.best || !metrics.speedup) return 1;
  std::printf("best of %llu block sizes: %lld elements, %.3g elements a second, %.2fx the speed of 256\n",
              static_cast<unsigned long long>(metrics.configs_evaluated),
              static_cast<long long>(metrics.best_kernel->block_size.x), metrics.best_throughput->per_second,
              *metrics.speedup);

  // On a hot path: a handle is resolved once, a read is an atomic load.
  ProfileHandle handle = tuner.handle("chain");
  chain(a, b, y, static_cast<std::size_t>(handle.read()->kernel->block_size.x));
  return y.front() == 3 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 2;
  }
}
