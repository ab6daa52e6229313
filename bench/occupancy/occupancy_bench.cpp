// How fast occupancy is calculated on one core: single calculations on configurations drawn beforehand, suggestions,
// best block sizes, recommendations, and the sweep of a whole grid of configurations.
//
//   occupancy_bench [--samples N] [--json FILE]
//
// Rates are calls per second of processor time of the one thread, so that other work on the machine takes nothing away
// from them but cache; each sample is a batch long enough for the clock. Drawing the configurations is not timed; a
// checksum keeps the compiler from dropping the work.
#include <algorithm>
#include <ctime>
#include <fmt/format.h>
#include <functional>
#include <string>
#include <vector>

#include <warpwright/base/error.hpp>
#include <warpwright/base/rng.hpp>
#include <warpwright/model/statistics.hpp>
#include <warpwright/store/json.hpp>
#include <warpwright/tuning/kernel_tuner.hpp>

#include "program.hpp"

namespace warpwright {
namespace {

using store::Json;

constexpr std::size_t configurations = 4096;  // fit the caches of a core

std::vector<KernelConfig> draw(const GpuProperties& gpu, std::uint64_t seed, bool with_grid) {
  Rng rng(seed);
  std::vector<KernelConfig> list(configurations);
  for (KernelConfig& config : list) {
    config.block_size = Dim3{static_cast<std::int64_t>(1 + rng.below(1024))};
    config.registers_per_thread = static_cast<int>(16 + rng.below(112));
    config.static_shared_memory = Bytes{rng.below(2) == 0 ? 0 : rng.below(20000)};
    config.shared_memory = Bytes{rng.below(2) == 0 ? 0 : rng.below(gpu.shared_per_block_optin.count)};
    if (rng.below(4) == 0) config.carveout_percent = static_cast<int>(rng.below(101));
    config.barriers = static_cast<int>(rng.below(5));
    if (with_grid) config.grid_size = Dim3{static_cast<std::int64_t>(1 + rng.below(100000))};
  }
  return list;
}

// What tuners and calculators ask: every block size with every number of registers, and some shared memory.
std::vector<KernelConfig> sweep() {
  std::vector<KernelConfig> list;
  for (const std::uint64_t shared : {0, 4096, 20000})
    for (int threads = 32; threads <= 1024; threads += 32)
      for (int registers = 16; registers <= 128; registers += 4) {
        KernelConfig config;
        config.block_size = Dim3{threads};
        config.registers_per_thread = registers;
        config.shared_memory = Bytes{shared};
        list.push_back(config);
      }
  return list;
}

struct Row {
  std::string name, architecture;
  std::uint64_t calls = 0;      // of one sample
  std::vector<double> seconds;  // of each sample
  double per_second() const { return static_cast<double>(calls) / median(seconds); }
  double nanoseconds() const { return median(seconds) / static_cast<double>(calls) * 1e9; }
  double least_nanoseconds() const {
    return *std::min_element(seconds.begin(), seconds.end()) / static_cast<double>(calls) * 1e9;
  }
  double spread_percent() const { return interquartile_range(seconds) / median(seconds) * 100; }
};

std::uint64_t checksum = 0;

double thread_seconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

Row measure(const std::string& name, const std::string& architecture, int samples, std::uint64_t calls,
            const std::function<std::uint64_t()>& body) {
  Row row{name, architecture, calls, {}};
  checksum += body();  // warms caches and branch prediction
  for (int i = 0; i < samples; ++i) {
    const double start = thread_seconds();
    checksum += body();
    row.seconds.push_back(thread_seconds() - start);
  }
  return row;
}

std::vector<Row> measure_architecture(const std::string& architecture, int samples) {
  std::vector<Row> rows;
  const KernelTuner tuner = KernelTuner::for_architecture(architecture);
  const auto list = draw(tuner.properties(), 1, false);
  const auto grid = sweep();
  constexpr std::uint64_t repeats = 500;
  const auto calculate = [&](const char* name, const std::vector<KernelConfig>& questions) {
    rows.push_back(measure(name, architecture, samples, repeats * questions.size(), [&] {
      std::uint64_t sum = 0;
      for (std::uint64_t repeat = 0; repeat < repeats; ++repeat)
        for (const KernelConfig& config : questions) {
          const OccupancyInfo info = tuner.calculate_occupancy(config);
          sum += static_cast<std::uint64_t>(info.blocks_per_sm) + (info.occupancy > 0.5 ? 1u : 0u);
        }
      return sum;
    }));
  };
  // The same with all of the result in memory: the rows above let the compiler leave out what nobody reads.
  const auto calculate_whole = [&](const char* name, const std::vector<KernelConfig>& questions) {
    rows.push_back(measure(name, architecture, samples, repeats * questions.size(), [&] {
      std::uint64_t sum = 0;
      for (std::uint64_t repeat = 0; repeat < repeats; ++repeat)
        for (const KernelConfig& config : questions) {
          const OccupancyInfo info = tuner.calculate_occupancy(config);
          __asm__ volatile("" : : "m"(info));
          sum += static_cast<std::uint64_t>(info.blocks_per_sm);
        }
      return sum;
    }));
  };
  calculate("calculate_occupancy, sweep", grid);
  calculate("calculate_occupancy, random", list);
  calculate_whole("whole result, sweep", grid);
  calculate_whole("whole result, random", list);
  rows.push_back(measure("suggestions", architecture, samples, configurations, [&] {
    std::uint64_t sum = 0;
    for (const KernelConfig& config : list) sum += tuner.suggestions(config).size();
    return sum;
  }));
  rows.push_back(measure("best_block_size", architecture, samples, configurations, [&] {
    std::uint64_t sum = 0;
    for (const KernelConfig& config : list)
      sum += static_cast<std::uint64_t>(best_block_size(tuner.properties(), config).block_size);
    return sum;
  }));
  DeviceInfo device;
  device.id = DeviceId{"cuda", {0}};
  device.architecture = architecture;
  device.multiprocessors = 132;
  const KernelTuner with_device = KernelTuner::for_device(device);
  rows.push_back(measure("recommend", architecture, samples, configurations, [&] {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < list.size(); ++i) sum += with_device.recommend({1'000'000 + i * 1000}, list[i]).size();
    return sum;
  }));
  return rows;
}

int run(int argc, char** argv) {
  int samples = 15;
  std::string file;
  bench::read_flags(argc, argv, {{"--samples", bench::number_to(samples)}, {"--json", bench::text_to(file)}},
                    "occupancy_bench.cpp");
  samples = std::max(3, samples);
  std::vector<Row> rows;
  fmt::print("{}, one thread, {} samples\n", bench::processor_name(), samples);
  // Several passes over all rows: what else the machine does meanwhile falls on all of them.
  constexpr int at_once = 3;
  for (int done = 0; done < samples; done += at_once) {
    std::size_t at = 0;
    for (const char* architecture : {"sm_61", "sm_80", "sm_90", "sm_120"})
      for (auto& row : measure_architecture(architecture, std::min(at_once, samples - done))) {
        if (at == rows.size())
          rows.push_back(std::move(row));
        else
          rows[at].seconds.insert(rows[at].seconds.end(), row.seconds.begin(), row.seconds.end());
        ++at;
      }
  }
  for (const Row& row : rows)
    fmt::print("{:<28} {:<8} {:>14.0f} /s {:>12.1f} ns  least {:.1f} ns  spread {:.1f} %\n", row.name, row.architecture,
               row.per_second(), row.nanoseconds(), row.least_nanoseconds(), row.spread_percent());
  fmt::print("checksum {}\n", checksum);
  Json list = Json::array();
  for (const Row& row : rows)
    list.push_back({{"name", row.name},
                    {"architecture", row.architecture},
                    {"calls_per_sample", row.calls},
                    {"samples", row.seconds.size()},
                    {"per_second_median", row.per_second()},
                    {"ns_per_call_median", row.nanoseconds()},
                    {"ns_per_call_least", row.least_nanoseconds()},
                    {"spread_percent", row.spread_percent()}});
  const Json json{{"schema_version", 1},
                  {"cpu", bench::processor_name()},
                  {"compiler", std::string("g++ ") + __VERSION__},
                  {"threads", 1},
                  {"clock", "processor time of the thread"},
                  {"load_average", bench::load_average()},
                  {"command", "occupancy_bench --samples " + std::to_string(samples) + " --json FILE"},
                  {"rows", std::move(list)}};
  bench::write_report(file, json.dump(2));
  return 0;
}

}  // namespace
}  // namespace warpwright

int main(int argc, char** argv) {
  return warpwright::bench::run_program([&] { return warpwright::run(argc, argv); });
}
