#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <span>
#include <vector>

#include <warpwright/base/error.hpp>
#include <warpwright/measure/cache_flusher.hpp>

#include "helper_kernel.hpp"

namespace warpwright::measure {
namespace {

constexpr std::uint64_t mebibyte = 1 << 20;
// Where neither driver nor measurement tells: twice the 128 MiB of the largest GPU caches outside of servers.
constexpr Bytes assumed_gpu_cache{128 * mebibyte};
constexpr Bytes assumed_cpu_cache{32 * mebibyte};
constexpr Bytes largest_on_cpu{64 * mebibyte};
constexpr Bytes largest_flush{1024 * mebibyte};

constexpr const char* flush_entry = "warpwright_read_cache";
constexpr std::int64_t block_threads = 256;
// Enough loads in flight to reach the memory's bandwidth.
constexpr std::int64_t blocks_per_multiprocessor = 8;

// CUDA C++ and OpenCL C. The buffer holds zeros, so that nothing is ever stored, which no compiler can know.
constexpr const char* reader_source = R"(
#ifdef WARPWRIGHT_HELPER_OPENCL
#define KERNEL __kernel void
#define GLOBAL __global
#define FIRST get_global_id(0)
#define STEP get_global_size(0)
typedef ulong u64;
#else
#define KERNEL extern "C" __global__ void
#define GLOBAL
#define FIRST ((u64)blockIdx.x * blockDim.x + threadIdx.x)
#define STEP ((u64)gridDim.x * blockDim.x)
typedef unsigned long long u64;
#endif

KERNEL warpwright_read_cache(GLOBAL const uint4* data, GLOBAL unsigned int* sink, u64 vectors) {
  unsigned int seen = 0;
  for (u64 i = FIRST; i < vectors; i += STEP) {
    uint4 vector = data[i];
    seen |= vector.x | vector.y | vector.z | vector.w;
  }
  if (seen != 0) *sink = seen;
}
)";
// The simulated device's own notation; its rate is that of the default device's memory.
constexpr const char* simulated_source = R"(
[kernels.warpwright_read_cache]
behaviour = "nothing"
arguments = ["uint32* data", "uint32* sink", "uint64 vectors"]
cost_ns = "2000 + vectors * 16 / 2912"
)";

constexpr std::uint64_t vector_bytes = 16;

// Sizes tried where the cache is unknown: doubling, to beyond every cache there is.
constexpr std::uint64_t smallest_tried = mebibyte, largest_tried = 1024 * mebibyte;
constexpr std::uint64_t span_read = 256 * mebibyte;

}  // namespace

Bytes size_before_step(std::span<const Bytes> sizes, std::span<const double> rates) {
  const double best = *std::max_element(rates.begin(), rates.end());
  const double beyond = rates.back();
  if (!(best >= 1.3 * beyond)) return Bytes{};
  for (std::size_t i = sizes.size(); i-- > 0;)
    if (rates[i] > (best + beyond) / 2) return sizes[i];
  return Bytes{};
}

CacheFlusher::CacheFlusher(device::Context& context, device::Compiler& compiler, device::Stream& stream,
                           FlushMethod method, const LogSink& log)
    : context_(context), method_(method) {
  if (method_.read_passes < 0) method_.read_passes = context.device().kind == DeviceKind::cpu ? 1 : 2;
  if (method_.read_passes > 0) {
    try {
      prepare_reading(compiler, stream);
    } catch (const Error& error) {
      if (error.code() == ErrorCode::device) throw;
      kernel_.reset();
      log_to(log, LogLevel::warning,
             std::string("the kernel that cleans the cache after a flush cannot be made; samples of kernels that read "
                         "much will be too slow by what writing back the flush costs: ") +
                 error.what());
    }
  }
  choose_size(stream);

  if (method_.write) dirty_ = allocate(size_);
  if (kernel_ != nullptr) {
    clean_ = allocate(size_);
    // Once, because pages of a CPU that were never written are all one page of zeros.
    stream.fill(*clean_, Bytes{}, size_, 0);
  }
  // The first one makes what drivers make late.
  flush(stream);
  stream.synchronize();
  const auto begin = context.create_event();
  const auto end = context.create_event();
  stream.record(*begin);
  flush(stream);
  stream.record(*end);
  end->synchronize();
  duration_ = end->elapsed_since(*begin);
}

CacheFlusher::~CacheFlusher() = default;

void CacheFlusher::choose_size(device::Stream& stream) {
  const DeviceInfo& device = context_.device();
  if (device.l2_cache && device.l2_cache->count > 0) {
    cache_ = *device.l2_cache;
    cache_source_ = device.l2_cache_source.empty() ? "driver" : device.l2_cache_source;
  } else {
    if (kernel_ != nullptr && device.kind == DeviceKind::gpu) cache_ = measured_cache(stream);
    cache_source_ = cache_.count > 0 ? "measured" : "assumed";
    if (cache_.count == 0) cache_ = device.kind == DeviceKind::cpu ? assumed_cpu_cache : assumed_gpu_cache;
  }
  size_ = std::min(cache_ * 2, device.kind == DeviceKind::cpu ? largest_on_cpu : largest_flush);
  if (device.global_memory.count > 0) size_ = std::min(size_, Bytes{device.global_memory.count / 16});
  size_ = Bytes{std::max(size_.count / vector_bytes, std::uint64_t{1}) * vector_bytes};
}

std::unique_ptr<device::Buffer> CacheFlusher::allocate(Bytes size) const {
  try {
    return context_.allocate(size);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::out_of_memory) throw;
    throw Error(ErrorCode::out_of_memory,
                fmt::format("no room for the buffers that flush the cache, {} of {} each: choose a smaller problem, or "
                            "measure with a warm cache (--cache warm): {}",
                            method_.write && kernel_ != nullptr ? "two" : "one", format_bytes(size), error.what()),
                error.native().value_or(NativeError{}));
  }
}

void CacheFlusher::prepare_reading(device::Compiler& compiler, device::Stream& stream) {
  HelperKernel helper =
      load_helper_kernel(context_, compiler, {"cache flush", flush_entry, reader_source, simulated_source, {}});
  module_ = std::move(helper.module);
  kernel_ = std::move(helper.kernel);
  sink_ = context_.allocate(Bytes{sizeof(std::uint32_t)});
  // A launch that fails says so here and not in the middle of a sample.
  const auto small = context_.allocate(Bytes{vector_bytes});
  stream.fill(*small, Bytes{}, small->size(), 0);
  read(stream, *small);
  stream.synchronize();
}

void CacheFlusher::read(device::Stream& stream, const device::Buffer& buffer) const {
  const std::uint64_t vectors = buffer.size().count / vector_bytes;
  const DeviceInfo& device = context_.device();
  device::LaunchConfig config;
  config.block[0] = std::clamp<std::int64_t>(device.max_threads_per_block, 1, block_threads);
  const auto wanted = static_cast<std::int64_t>((vectors + static_cast<std::uint64_t>(config.block[0]) - 1) /
                                                static_cast<std::uint64_t>(config.block[0]));
  config.grid[0] = std::clamp<std::int64_t>(
      wanted, 1, blocks_per_multiprocessor * std::max<std::int64_t>(1, device.multiprocessors));
  const std::array<device::KernelArgument, 3> arguments{&buffer, sink_.get(), device::ScalarArgument::of(vectors)};
  stream.launch(*kernel_, config, arguments);
}

Bytes CacheFlusher::measured_cache(device::Stream& stream) const {
  const DeviceInfo& device = context_.device();
  const std::uint64_t most =
      device.global_memory.count > 0 ? std::min(largest_tried, device.global_memory.count / 8) : largest_tried;
  if (most < 4 * smallest_tried) return Bytes{};
  std::unique_ptr<device::Buffer> whole;
  try {
    whole = context_.allocate(Bytes{most});
  } catch (const Error& error) {
    if (error.code() != ErrorCode::out_of_memory) throw;
    return Bytes{};
  }
  stream.fill(*whole, Bytes{}, whole->size(), 0);
  const auto begin = context_.create_event();
  const auto end = context_.create_event();
  std::vector<Bytes> sizes;
  std::vector<double> rates;
  for (std::uint64_t size = smallest_tried; size <= most; size *= 2) {
    const auto part = context_.view(*whole, Bytes{}, Bytes{size});
    // Enough reads in a row for the span to be long against a launch. The fastest span counts: interference only makes
    // reads slower.
    const int reads = static_cast<int>(std::clamp<std::uint64_t>(span_read / size, 1, 64));
    read(stream, *part);
    double best = 0;
    for (int repeat = 0; repeat < 5; ++repeat) {
      stream.record(*begin);
      for (int i = 0; i < reads; ++i) read(stream, *part);
      stream.record(*end);
      end->synchronize();
      const double time = end->elapsed_since(*begin).count();
      if (time > 0) best = std::max(best, static_cast<double>(size) * reads / time);
    }
    sizes.push_back(Bytes{size});
    rates.push_back(best);
  }
  // A cache between two of the sizes shows at the smaller one; too large costs microseconds, too small the flush.
  const Bytes found = size_before_step(sizes, rates);
  return found * 2;
}

void CacheFlusher::flush(device::Stream& stream) {
  if (method_.write) {
    context_.reset_persisting_cache();
    // Another value each time: hardware that compresses or drops writes of unchanged data must not get away with it.
    stream.fill(*dirty_, Bytes{}, size_, ++value_);
  }
  if (kernel_ == nullptr || clean_ == nullptr) return;
  for (int pass = 0; pass < method_.read_passes; ++pass) read(stream, *clean_);
}

}  // namespace warpwright::measure
