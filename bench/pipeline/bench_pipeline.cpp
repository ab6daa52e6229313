// The pipeline against the ways people write it by hand, in one interleaved run: two serial baselines, one stream per
// slot as it stands in every tutorial, ours as it comes, ours tuned; with kernels lighter than, as long as, and heavier
// than a transfer.
//
//   bench_pipeline [--device ID] [--bytes N] [--chunk N] [--rounds N] [--long BYTES] [--json FILE]
//
// All use pinned memory, the same kernel, and a producer and a consumer that write and read a few words of every chunk
// where it lies. Every chunk of every run is checked: its number, carried through the kernel, and sampled words; and
// once for each contender every word. Efficiency is the time that the stages alone allow, with both copies of a chunk
// taking as long as the link needs for them together, divided by the time taken. How a contender does against the
// program by hand is the median of the ratios within each round.
#include <algorithm>
#include <fmt/format.h>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <warpwright/base/error.hpp>
#include <warpwright/memory/memory_optimizer.hpp>
#include <warpwright/model/statistics.hpp>
#include <warpwright/sim/backend.hpp>
#include <warpwright/store/json.hpp>
#include <warpwright/tuning/pipeline_tuning.hpp>

#include "backends.hpp"
#include "chosen_device.hpp"
#include "pipeline_workload.hpp"
#include "program.hpp"

namespace {

using namespace warpwright;
using app::Check;
using app::KernelWeight;
using store::Json;

constexpr std::uint64_t largest_chunk = std::uint64_t{32} << 20;
constexpr memory::MemoryBudget budget{Bytes{std::uint64_t{512} << 20}, Bytes{std::uint64_t{512} << 20}};

struct Bench {
  device::Context& context;
  const Clock& clock;
  app::PipelineWorkload& work;
  Bytes bytes, chunk;

  std::uint64_t chunks() const { return (bytes.count + chunk.count - 1) / chunk.count; }
  std::size_t size_of(std::uint64_t number) const {
    return static_cast<std::size_t>(std::min(chunk.count, bytes.count - number * chunk.count));
  }
};

// Code without our pipeline. `slots` in use by `streams` streams.
class ByHand {
 public:
  ByHand(Bench& bench, std::size_t slots, std::size_t streams) : bench_(bench) {
    for (std::size_t i = 0; i < streams; ++i) streams_.push_back(bench.context.create_stream());
    for (std::size_t i = 0; i < slots; ++i)
      slots_.push_back({bench.context.allocate_pinned(bench.chunk), bench.context.allocate_pinned(bench.chunk),
                        bench.context.allocate(bench.chunk), bench.context.allocate(bench.chunk),
                        bench.context.create_ordering_event()});
  }

  // Chunk by chunk, the host waiting for each.
  Nanoseconds host_synchronised(Check check) {
    const Nanoseconds begin = bench_.clock.now();
    for (std::uint64_t i = 0; i < bench_.chunks(); ++i) {
      enqueue(slots_[0], *streams_[0], i);
      streams_[0]->synchronize();
      consume(slots_[0], i, check);
    }
    return bench_.clock.now() - begin;
  }

  // One stream per slot (or one for all): reuse waits for the slot's event.
  Nanoseconds ring(Check check) {
    const Nanoseconds begin = bench_.clock.now();
    const std::uint64_t n = bench_.chunks(), k = slots_.size();
    for (std::uint64_t i = 0; i < n + k; ++i) {
      Slot& slot = slots_[i % k];
      if (i >= k) {
        slot.done->synchronize();
        consume(slot, i - k, check);
      }
      if (i < n) {
        device::Stream& stream = *streams_[i % streams_.size()];
        enqueue(slot, stream, i);
        stream.record(*slot.done);
      } else if (i - k + 1 == n) {
        break;
      }
    }
    return bench_.clock.now() - begin;
  }

 private:
  struct Slot {
    std::unique_ptr<device::PinnedBuffer> in, out;
    std::unique_ptr<device::Buffer> device_in, device_out;
    std::unique_ptr<device::Event> done;
  };
  void enqueue(Slot& slot, device::Stream& stream, std::uint64_t chunk) {
    const std::size_t size = bench_.size_of(chunk);
    bench_.work.fill(chunk, slot.in->bytes().first(size));
    stream.copy_to_device(*slot.device_in, Bytes{}, slot.in->bytes().first(size));
    bench_.work.launch(stream, *slot.device_out, *slot.device_in, Bytes{size});
    stream.copy_to_host(slot.out->bytes().first(size), *slot.device_out, Bytes{});
  }
  void consume(Slot& slot, std::uint64_t chunk, Check check) {
    if (!bench_.work.right(chunk, slot.out->bytes().first(bench_.size_of(chunk)), check))
      throw Error(ErrorCode::internal, fmt::format("chunk {} is wrong", chunk));
  }

  Bench& bench_;
  std::vector<std::unique_ptr<device::Stream>> streams_;
  std::vector<Slot> slots_;
};

struct Contender {
  std::string name;
  std::function<Nanoseconds(Check)> run;
  Json shape;
  std::vector<double> samples;  // ns
};

Json shape_json(const memory::PipelineConfig& config) {
  return {{"chunk_bytes", config.chunk.count}, {"depth", config.depth}, {"variant", to_string(config.variant)}};
}

Nanoseconds run_ours(Bench& bench, memory::MemoryOptimizer& optimizer, const memory::PipelineConfig& config,
                     Bytes bytes, Check check) {
  bench.work.reset_counts();
  const auto source = bench.work.source(bytes);
  const auto sink = bench.work.sink(check);
  const memory::PipelineResult result = optimizer.run(config, *source, bench.work.kernel(), *sink);
  result.check();
  if (bench.work.wrong_chunks() > 0)
    throw Error(ErrorCode::internal, fmt::format("{} chunks are wrong", bench.work.wrong_chunks()));
  return result.stats.wall;
}

Json scenario(Bench& bench, KernelWeight weight, int rounds) {
  const app::Calibration calibration = bench.work.calibrate(bench.clock, bench.chunk, weight);
  const Nanoseconds ideal = memory::ideal_time(calibration.stages(), bench.chunks(), calibration.link.period);
  memory::MemoryOptimizerOptions options;
  options.clock = &bench.clock;
  options.host.numa_node = memory::numa_node_of(bench.context.device().pci_bus_id);
  memory::MemoryOptimizer plain(bench.context, budget, options), tuned(bench.context, budget, options);
  memory::PipelineConfig config;
  config.chunk = bench.chunk;
  config.wait = memory::WaitMode::poll;

  tuning::PipelineTuningOptions tuning_options;
  tuning_options.baseline = config;
  tuning_options.volume = bench.bytes;
  tuning_options.clock = &bench.clock;
  const auto found = tune_pipeline(tuned, StrategyRegistry::with_defaults(),
                                   tuning_work(bench.work, std::string(to_string(weight))), tuning_options);

  ByHand serial(bench, 1, 1), one_stream(bench, 3, 1), per_slot(bench, 3, 3);
  std::vector<Contender> list;
  list.push_back(
      {"serial, host waits for each chunk", [&](Check check) { return serial.host_synchronised(check); }, nullptr, {}});
  list.push_back({"serial, one stream", [&](Check check) { return one_stream.ring(check); }, nullptr, {}});
  list.push_back({"by hand, one stream per slot", [&](Check check) { return per_slot.ring(check); }, nullptr, {}});
  list.push_back({"warpwright, as it comes",
                  [&](Check check) { return run_ours(bench, plain, config, bench.bytes, check); },
                  shape_json(config),
                  {}});
  list.push_back({"warpwright, tuned",
                  [&](Check check) { return run_ours(bench, tuned, found.best, bench.bytes, check); },
                  shape_json(found.best),
                  {}});
  for (Contender& each : list) each.run(Check::every_word);
  for (int round = 0; round < rounds; ++round)
    for (std::size_t i = 0; i < list.size(); ++i) {
      // Another one begins each round.
      Contender& each = list[(i + static_cast<std::size_t>(round)) % list.size()];
      each.samples.push_back(each.run(Check::sampled).count());
    }

  const double gigabytes = static_cast<double>(bench.bytes.count);
  fmt::print("{}: {} chunks of {}; alone: upload {}, kernel {} ({} rounds), download {}; both copies together {}\n",
             to_string(weight), bench.chunks(), format_bytes(bench.chunk), format_duration(calibration.link.upload),
             format_duration(calibration.kernel), calibration.rounds, format_duration(calibration.link.download),
             format_duration(calibration.link.period));
  Json rows = Json::array();
  const double first = median(list[0].samples), second = median(list[1].samples);
  for (const Contender& each : list) {
    const double time = median(each.samples);
    const double against_by_hand = paired_ratio(list[2].samples, each.samples).median;
    fmt::print(
        "  {:<36} {:>9.3f} ms  {:>6.2f} GB/s each way  {:>6.1f} % of the ideal  {:.2f}x / {:.2f}x the serial ones  "
        "{:+.1f} % against by hand\n",
        each.name, time / 1e6, gigabytes / time, 100 * ideal.count() / time, first / time, second / time,
        100 * (against_by_hand - 1));
    rows.push_back({{"name", each.name},
                    {"median_ms", time / 1e6},
                    {"iqr_ms", interquartile_range(each.samples) / 1e6},
                    {"samples", each.samples.size()},
                    {"gb_s_each_way", gigabytes / time},
                    {"efficiency_achievable", ideal.count() / time},
                    {"efficiency_nominal", memory::ideal_time(calibration.stages(), bench.chunks()).count() / time},
                    {"speedup_over_host_synchronised", first / time},
                    {"speedup_over_one_stream", second / time},
                    {"against_by_hand", against_by_hand},
                    {"shape", each.shape},
                    {"verified", true}});
  }
  return {{"kernel", to_string(weight)},
          {"rounds_of_kernel", calibration.rounds},
          {"chunks", bench.chunks()},
          {"stages_alone_us",
           {{"upload", calibration.link.upload.count() / 1e3},
            {"kernel", calibration.kernel.count() / 1e3},
            {"download", calibration.link.download.count() / 1e3}}},
          {"stages_in_company_us",
           {{"upload", calibration.link.both_upload.count() / 1e3},
            {"download", calibration.link.both_download.count() / 1e3}}},
          {"transfer_period_us", calibration.link.period.count() / 1e3},
          {"beta_upload", calibration.link.upload / calibration.link.both_upload},
          {"beta_download", calibration.link.download / calibration.link.both_download},
          {"ideal_ms", ideal.count() / 1e6},
          {"tuning", {{"evaluations", found.trials.size()}, {"space", found.space_size}, {"speedup", found.speedup}}},
          {"contenders", rows}};
}

// A stream much longer than memory: budgets hold and nothing grows.
Json long_stream(Bench& bench, Bytes bytes) {
  bench.work.set_rounds(1);
  memory::MemoryOptimizerOptions options;
  options.clock = &bench.clock;
  memory::MemoryOptimizer optimizer(bench.context, budget, options);
  memory::PipelineConfig config;
  config.chunk = bench.chunk;
  config.wait = memory::WaitMode::poll;
  optimizer.prepare(config);
  const auto free_before = bench.context.memory_use();
  std::uint64_t least_free = free_before ? free_before->free.count : 0;
  bench.work.reset_counts();
  const auto source = bench.work.source(bytes);
  std::uint64_t right = 0, wrong = 0;
  const auto sink = memory::callback_sink([&](std::uint64_t chunk, std::span<const std::byte> result) {
    ++(bench.work.right(chunk, result, Check::sampled) ? right : wrong);
    if (chunk % 512 == 0)
      if (const auto now = bench.context.memory_use()) least_free = std::min(least_free, now->free.count);
  });
  const memory::PipelineResult result = optimizer.run(config, *source, bench.work.kernel(), *sink);
  result.check();
  const std::uint64_t grown = free_before ? free_before->free.count - least_free : 0;
  fmt::print(
      "long stream: {} in {}, {:.2f} GB/s each way, {} of {} chunks right, {} pinned, {} on the device, {} more in use "
      "meanwhile\n",
      format_bytes(bytes), format_duration(result.stats.wall), result.stats.upload_rate() / 1e9, right, right + wrong,
      format_bytes(result.stats.peak_pinned), format_bytes(result.stats.peak_device), format_bytes(Bytes{grown}));
  return {{"bytes", bytes.count},
          {"wall_s", result.stats.wall.count() / 1e9},
          {"gb_s_each_way", result.stats.upload_rate() / 1e9},
          {"right", right},
          {"wrong", wrong},
          {"peak_pinned_bytes", result.stats.peak_pinned.count},
          {"peak_device_bytes", result.stats.peak_device.count},
          {"device_memory_growth_bytes", grown}};
}

int run(int argc, char** argv) {
  std::string device_id, json_file;
  std::uint64_t bytes = std::uint64_t{1} << 30, chunk = std::uint64_t{8} << 20, long_bytes = 0;
  int rounds = 9;
  bench::read_flags(argc, argv,
                    {{"--device", bench::text_to(device_id)},
                     {"--bytes", bench::number_to(bytes)},
                     {"--chunk", bench::number_to(chunk)},
                     {"--rounds", bench::number_to(rounds)},
                     {"--long", bench::number_to(long_bytes)},
                     {"--json", bench::text_to(json_file)}},
                    "bench_pipeline.cpp");
  if (bytes % 4096 != 0 || chunk % 4096 != 0 || chunk == 0 || chunk > largest_chunk || rounds < 1)
    throw Error(ErrorCode::bad_input,
                "--bytes and --chunk must be multiples of 4096, a chunk at most 32 MiB, --rounds at least 1");
  const auto backends = app::make_backends();
  const DeviceInfo device = bench::chosen_device(backends, device_id);
  const device::Backend& backend = backends.find(device.id);
  const auto context = backend.open(device.id);
  const std::unique_ptr<Clock> clock =
      backend.name() == "sim" ? sim::virtual_clock(*context) : std::make_unique<SteadyClock>();
  app::PipelineWorkload work(backend, *context, Bytes{largest_chunk});
  Bench bench{*context, *clock, work, Bytes{bytes}, Bytes{chunk}};
  fmt::print("{} ({}), driver {}\n", device.name, device.id.to_string(), device.driver);
  Json report{{"schema_version", 1},
              {"device", store::to_json(device)},
              {"bytes", bytes},
              {"chunk_bytes", chunk},
              {"rounds", rounds}};
  for (const auto weight : {KernelWeight::light, KernelWeight::balanced, KernelWeight::heavy})
    report["scenarios"].push_back(scenario(bench, weight, rounds));
  if (long_bytes > 0) report["long_stream"] = long_stream(bench, Bytes{long_bytes});
  bench::write_report(json_file, report.dump(2));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return warpwright::bench::run_program([&] { return run(argc, argv); });
}
