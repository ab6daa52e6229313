// What a flush leaves behind for the kernel that is measured after it: readers, copies and writers after a flush that
// only writes, that reads a clean buffer afterwards once and twice (what samples are taken with), and after the clean
// reads alone.
//
//   bench_flush [--device ID] [--samples N] [--mebibytes LIST] [--json FILE]
//
// Each kernel is first run in several shapes; the table is made with the fastest. All ways to flush take turns within
// each round, so that drift hits them alike. What a way adds is the median of the ratios within rounds to the clean
// reads alone, after which nothing is dirty.
#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <memory>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <warpwright/base/error.hpp>
#include <warpwright/measure/timing.hpp>
#include <warpwright/model/statistics.hpp>
#include <warpwright/store/json.hpp>

#include "backends.hpp"
#include "chosen_device.hpp"
#include "program.hpp"

namespace {

using namespace warpwright;
using store::Json;

constexpr std::uint64_t mebibyte = 1 << 20;

constexpr const char* source = R"(
#ifdef WARPWRIGHT_BENCH_OPENCL
#define KERNEL __kernel void
#define GLOBAL __global
#define FIRST get_global_id(0)
#define STEP get_global_size(0)
#define VECTOR(w) ((uint4)(w))
typedef ulong u64;
#else
#define KERNEL extern "C" __global__ void
#define GLOBAL
#define FIRST ((u64)blockIdx.x * blockDim.x + threadIdx.x)
#define STEP ((u64)gridDim.x * blockDim.x)
#define VECTOR(w) make_uint4(w, w, w, w)
typedef unsigned long long u64;
#endif

KERNEL read_all(GLOBAL uint4* to, GLOBAL const uint4* from, u64 vectors) {
  unsigned int seen = 0;
#pragma unroll 4
  for (u64 i = FIRST; i < vectors; i += STEP) {
    uint4 v = from[i];
    seen |= v.x | v.y | v.z | v.w;
  }
  if (seen == 0xffffffffu) to[0] = VECTOR(seen);
}
KERNEL copy_all(GLOBAL uint4* to, GLOBAL const uint4* from, u64 vectors) {
#pragma unroll 4
  for (u64 i = FIRST; i < vectors; i += STEP) to[i] = from[i];
}
KERNEL write_all(GLOBAL uint4* to, GLOBAL const uint4* from, u64 vectors) {
#pragma unroll 4
  for (u64 i = FIRST; i < vectors; i += STEP) to[i] = VECTOR(7u);
}
)";

struct Way {
  std::string name;
  measure::FlushMethod method;
};
const std::array ways{Way{"write", {true, 0}}, Way{"write_read", {true, 1}}, Way{"write_read_twice", {true, 2}},
                      Way{"read_twice", {false, 2}}};
constexpr std::size_t clean = 3;  // of `ways`

struct Shape {
  int blocks_per_multiprocessor, threads;
};
constexpr std::array shapes{Shape{4, 256},  Shape{8, 256}, Shape{16, 256},
                            Shape{2, 1024}, Shape{4, 512}, Shape{32, 256}};

struct Bench {
  device::Context& context;
  device::Stream& stream;
  std::vector<std::unique_ptr<measure::CacheFlusher>> flushers;  // one for each of `ways`
  const Clock& clock;

  double sample(std::size_t way, const std::function<void()>& work, int warmup) {
    measure::TimingOptions one;
    one.warmup = warmup;
    one.min_samples = one.max_samples = 1;
    return measure::time_work(context, stream, flushers[way].get(), {}, work, one, clock).samples.front().count();
  }
};

Json statistics(const std::vector<double>& samples, const std::vector<double>& reference) {
  const PairedRatio ratio = paired_ratio(samples, reference);
  return {{"median_us", median(samples) / 1e3},
          {"interquartile_range_us", interquartile_range(samples) / 1e3},
          {"ratio_to_clean", ratio.median},
          {"ratio_interval", {ratio.interval.low, ratio.interval.high}}};
}

Json measure_kernel(Bench& bench, const device::Kernel& kernel, std::uint64_t bytes, int samples) {
  const auto to = bench.context.allocate(Bytes{bytes});
  const auto from = bench.context.allocate(Bytes{bytes});
  bench.stream.fill(*to, Bytes{}, Bytes{bytes}, 0);
  bench.stream.fill(*from, Bytes{}, Bytes{bytes}, 1);
  const std::vector<device::KernelArgument> arguments{to.get(), from.get(), device::ScalarArgument::of(bytes / 16)};
  const DeviceInfo& device = bench.context.device();
  const auto launch = [&](const Shape& shape) {
    device::LaunchConfig config;
    config.block[0] = std::min<std::int64_t>(shape.threads, device.max_threads_per_block);
    config.grid[0] = std::int64_t{shape.blocks_per_multiprocessor} * std::max(1, device.multiprocessors);
    bench.stream.launch(kernel, config, arguments);
  };
  Shape fastest = shapes.front();
  double least = 0;
  for (const Shape& shape : shapes) {
    std::vector<double> few;
    for (int i = 0; i < 5; ++i)
      few.push_back(bench.sample(
          clean, [&] { launch(shape); }, i == 0 ? 1 : 0));
    if (least == 0 || median(few) < least) {
      least = median(few);
      fastest = shape;
    }
  }
  std::array<std::vector<double>, ways.size()> times;
  for (int round = 0; round < samples; ++round)
    for (std::size_t i = 0; i < ways.size(); ++i) {
      const std::size_t way = (i + static_cast<std::size_t>(round)) % ways.size();
      times[way].push_back(bench.sample(
          way, [&] { launch(fastest); }, round == 0 ? 1 : 0));
    }
  Json row{{"kernel", kernel.name()},
           {"mebibytes", bytes / mebibyte},
           {"blocks_per_multiprocessor", fastest.blocks_per_multiprocessor},
           {"threads", fastest.threads}};
  fmt::print("{:<10} {:>5} MiB", kernel.name(), bytes / mebibyte);
  for (std::size_t way = 0; way < ways.size(); ++way) {
    row[ways[way].name] = statistics(times[way], times[clean]);
    fmt::print("  {:>9.2f} us {:>6.3f}", median(times[way]) / 1e3, paired_ratio(times[way], times[clean]).median);
  }
  fmt::print("\n");
  return row;
}

int run(int argc, char** argv) {
  std::string device_id, json_file, sizes = "20,64,256", command = "bench_flush";
  int samples = 60;
  bench::read_flags(argc, argv,
                    {{"--device", bench::text_to(device_id)},
                     {"--samples", bench::number_to(samples)},
                     {"--mebibytes", bench::text_to(sizes)},
                     {"--json", bench::text_to(json_file)}},
                    "bench_flush.cpp");
  for (int i = 1; i + 1 < argc; i += 2)
    if (std::string_view(argv[i]) != "--json") command += fmt::format(" {} {}", argv[i], argv[i + 1]);
  if (samples < 1) throw Error(ErrorCode::bad_input, "--samples must be at least 1");
  const auto backends = app::make_backends();
  const DeviceInfo device = bench::chosen_device(backends, device_id);
  const device::Backend& backend = backends.find(device.id);
  const auto context = backend.open(device.id);
  const auto compiler = backend.compiler(device);
  const auto stream = context->create_stream();
  const SteadyClock clock;
  device::CompileJob job;
  job.source = source;
  job.file_name = "bench_flush.kernel";
  job.entries = {"read_all", "copy_all", "write_all"};
  if (device.id.backend == "opencl") job.defines.emplace_back("WARPWRIGHT_BENCH_OPENCL", "1");
  const auto module = context->load(compiler->compile(job));

  Bench bench{*context, *stream, {}, clock};
  for (const Way& way : ways)
    bench.flushers.push_back(std::make_unique<measure::CacheFlusher>(*context, *compiler, *stream, way.method));
  const measure::CacheFlusher& ours = *bench.flushers[2];
  fmt::print("{} ({}), driver {}; flushing {} ({})\n{:<20}", device.name, device.id.to_string(), device.driver,
             format_bytes(ours.cache()), ours.cache_source(), "");
  for (const Way& way : ways) fmt::print("  {:>19}", way.name);
  fmt::print("\n");

  Json flush_times = Json::object();
  for (std::size_t way = 0; way < ways.size(); ++way)
    flush_times[ways[way].name] = bench.flushers[way]->duration().count() / 1e3;
  Json report{{"schema_version", 1},
              {"command", command},
              {"device", device.name},
              {"id", device.id.to_string()},
              {"architecture", device.architecture},
              {"driver", device.driver},
              {"toolkit", device.toolkit},
              {"cache_bytes", ours.cache().count},
              {"cache_source", ours.cache_source()},
              {"buffer_bytes", ours.size().count},
              {"flush_us", std::move(flush_times)},
              {"samples", samples},
              {"rows", Json::array()}};
  std::istringstream list(sizes);
  for (std::string size; std::getline(list, size, ',');)
    for (const std::string& entry : job.entries)
      report["rows"].push_back(measure_kernel(bench, *module->kernel(entry), std::stoull(size) * mebibyte, samples));
  bench::write_report(json_file, report.dump(2));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return warpwright::bench::run_program([&] { return run(argc, argv); });
}
