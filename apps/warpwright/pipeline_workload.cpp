#include "pipeline_workload.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <fmt/format.h>
#include <utility>

#include <warpwright/base/error.hpp>
#include <warpwright/base/hash.hpp>

namespace warpwright::app {
namespace {

// Of D. Knuth's and H. W. Lewis' "quick and dirty" generator; any odd multiplier would do.
constexpr std::uint32_t multiplier = 1664525, increment = 1013904223;
constexpr std::size_t stamp_words = 4;
// Looked at to see whether a slot holds the words already, and by sampled checks. Spread over the chunk.
constexpr std::size_t sentinels = 16;
constexpr std::uint32_t most_rounds = 1u << 20;
constexpr double heavy_weight = 2.5;

constexpr const char* cuda_source = R"(
extern "C" __global__ void pipeline_rounds(uint4* y, const uint4* x, int n, int rounds) {
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) {
    uint4 v = x[i];
    for (int r = 0; r < rounds; ++r) {
      v.x = v.x * 1664525u + 1013904223u;
      v.y = v.y * 1664525u + 1013904223u;
      v.z = v.z * 1664525u + 1013904223u;
      v.w = v.w * 1664525u + 1013904223u;
    }
    y[i] = v;
  }
}
)";
constexpr const char* opencl_source = R"(
__kernel void pipeline_rounds(__global uint4* y, __global const uint4* x, int n, int rounds) {
  for (int i = get_global_id(0); i < n; i += get_global_size(0)) {
    uint4 v = x[i];
    for (int r = 0; r < rounds; ++r) v = v * 1664525u + 1013904223u;
    y[i] = v;
  }
}
)";
// Copies, and takes the time that an H100 takes: its memory's rate, and a multiply-add of integers in each of its
// lanes.
constexpr const char* sim_source = R"([kernels.pipeline_rounds]
behaviour = "copy"
arguments = ["uint32* y", "uint32* x", "int32 n"]
cost_ns = "2000 + n * 0.00275 + n * ROUNDS * 0.00007"
)";

std::size_t sentinel(std::size_t number, std::size_t words) {
  return std::min(words - 1, stamp_words + (words - stamp_words) * number / (sentinels - 1));
}

std::uint32_t stamp(std::uint64_t chunk, std::size_t word) {
  return static_cast<std::uint32_t>((chunk + 1) * 0x9E3779B97F4A7C15ull >> (8 * word));
}

}  // namespace

std::string_view to_string(KernelWeight weight) noexcept {
  switch (weight) {
    case KernelWeight::light:
      return "light";
    case KernelWeight::balanced:
      return "balanced";
    case KernelWeight::heavy:
      return "heavy";
  }
  return "unknown";
}

KernelWeight parse_kernel_weight(const std::string& text) {
  for (const auto weight : {KernelWeight::light, KernelWeight::balanced, KernelWeight::heavy})
    if (text == to_string(weight)) return weight;
  std::string message = fmt::format("--kernel '{}': it is light, balanced or heavy", text);
  if (const auto match = closest_match(text, {"light", "balanced", "heavy"}))
    message += fmt::format("; did you mean '{}'?", *match);
  throw Error(ErrorCode::bad_input, message);
}

PipelineWorkload::PipelineWorkload(const device::Backend& backend, device::Context& context, Bytes most)
    : backend_(backend), context_(context), simulated_(backend.name() == "sim") {
  const std::size_t count = most.count / sizeof(std::uint32_t);
  words_.resize(count);
  for (std::size_t i = 0; i < count; ++i) words_[i] = static_cast<std::uint32_t>(i * 2654435761u + 12345u);
  set_rounds(1);
}

PipelineWorkload::~PipelineWorkload() = default;

void PipelineWorkload::set_rounds(std::uint32_t rounds) {
  if (rounds == rounds_ && kernel_ != nullptr && !expected_.empty()) return;
  if (kernel_ == nullptr || simulated_) {
    device::CompileJob job;
    job.source = simulated_ ? sim_source : backend_.name() == "cuda" ? cuda_source : opencl_source;
    job.file_name = "pipeline_rounds";
    job.entries = {"pipeline_rounds"};
    if (simulated_) job.defines = {{"ROUNDS", std::to_string(rounds)}};
    kernel_.reset();
    module_ = context_.load(backend_.compiler(context_.device())->compile(job));
    kernel_ = module_->kernel("pipeline_rounds");
  }
  rounds_ = rounds;
  factor_ = 1;
  addend_ = 0;
  if (!simulated_) {
    for (std::uint32_t r = 0; r < rounds; ++r) {
      addend_ = addend_ * multiplier + increment;
      factor_ *= multiplier;
    }
  }
  expected_.resize(words_.size());
  for (std::size_t i = 0; i < words_.size(); ++i) expected_[i] = words_[i] * factor_ + addend_;
}

std::string PipelineWorkload::identity() const {
  return content_hash(fmt::format("{}{}{} rounds {}", cuda_source, opencl_source, sim_source, rounds_));
}

void PipelineWorkload::launch(device::Stream& stream, const device::Buffer& output, const device::Buffer& input,
                              Bytes size) const {
  const auto words = static_cast<std::int32_t>(size.count / sizeof(std::uint32_t));
  if (words == 0) return;
  device::LaunchConfig config;
  if (simulated_) {
    const device::KernelArgument arguments[] = {&output, &input, device::ScalarArgument::of(words)};
    return stream.launch(*kernel_, config, arguments);
  }
  const DeviceInfo& device = context_.device();
  config.block[0] = std::min<std::int64_t>(256, device.max_threads_per_block);
  // Eight blocks a multiprocessor fill it; the loop does the rest.
  config.grid[0] = std::clamp<std::int64_t>((words / 4 + config.block[0] - 1) / config.block[0], 1,
                                            std::max(1, device.multiprocessors) * std::int64_t{8});
  const device::KernelArgument arguments[] = {&output, &input, device::ScalarArgument::of(words / 4),
                                              device::ScalarArgument::of(static_cast<std::int32_t>(rounds_))};
  stream.launch(*kernel_, config, arguments);
}

memory::ChunkKernel PipelineWorkload::kernel() {
  return [this](memory::ChunkWork& work) { launch(work.stream, work.output, work.input, work.input_size); };
}

void PipelineWorkload::fill(std::uint64_t chunk, std::span<std::byte> slot) const {
  const std::size_t words = slot.size() / sizeof(std::uint32_t);
  const auto word = [&](std::size_t at) {
    std::uint32_t value = 0;
    std::memcpy(&value, slot.data() + at * sizeof value, sizeof value);
    return value;
  };
  for (std::size_t i = 0; i < sentinels; ++i) {
    const std::size_t at = sentinel(i, words);
    if (word(at) == words_[at]) continue;
    std::memcpy(slot.data(), words_.data(), words * sizeof(std::uint32_t));
    break;
  }
  for (std::size_t i = 0; i < stamp_words; ++i) {
    const std::uint32_t value = stamp(chunk, i);
    std::memcpy(slot.data() + i * sizeof value, &value, sizeof value);
  }
}

bool PipelineWorkload::right(std::uint64_t chunk, std::span<const std::byte> result, Check check) const {
  const std::size_t words = result.size() / sizeof(std::uint32_t);
  const auto word = [&](std::size_t at) {
    std::uint32_t value = 0;
    std::memcpy(&value, result.data() + at * sizeof value, sizeof value);
    return value;
  };
  for (std::size_t i = 0; i < stamp_words; ++i)
    if (word(i) != stamp(chunk, i) * factor_ + addend_) return false;
  if (check == Check::every_word)
    return std::memcmp(result.data() + stamp_words * 4, expected_.data() + stamp_words, (words - stamp_words) * 4) == 0;
  for (std::size_t i = 0; i < sentinels; ++i)
    if (const std::size_t at = sentinel(i, words); word(at) != expected_[at]) return false;
  return true;
}

std::unique_ptr<memory::ChunkSource> PipelineWorkload::source(Bytes bytes) {
  return memory::generator_source(
      [this, left = bytes.count](std::uint64_t chunk, std::span<std::byte> slot) mutable -> std::optional<Bytes> {
        if (left == 0) return std::nullopt;
        const std::uint64_t size = std::min<std::uint64_t>(left, slot.size());
        fill(chunk, slot.first(size));
        left -= size;
        return Bytes{size};
      });
}

std::unique_ptr<memory::ChunkSink> PipelineWorkload::sink(Check check) {
  return memory::callback_sink([this, check](std::uint64_t chunk, std::span<const std::byte> result) {
    ++(right(chunk, result, check) ? right_ : wrong_);
  });
}

Nanoseconds PipelineWorkload::time_kernel(std::uint32_t rounds, Bytes chunk) {
  set_rounds(rounds);
  const auto input = context_.allocate(chunk), output = context_.allocate(chunk);
  const auto stream = context_.create_stream();
  const auto begin = context_.create_event(), end = context_.create_event();
  stream->fill(*input, Bytes{}, chunk, 1);
  launch(*stream, *output, *input, chunk);  // warm-up
  constexpr int repeats = 10;
  stream->record(*begin);
  for (int i = 0; i < repeats; ++i) launch(*stream, *output, *input, chunk);
  stream->record(*end);
  stream->synchronize();
  return end->elapsed_since(*begin) / repeats;
}

Calibration PipelineWorkload::calibrate(const Clock& clock, Bytes chunk, KernelWeight weight) {
  Calibration calibration;
  calibration.link = memory::measure_link(context_, clock, chunk);
  const Nanoseconds one = time_kernel(1, chunk);
  std::uint32_t rounds = 1;
  if (weight != KernelWeight::light) {
    const Nanoseconds target = calibration.link.upload * (weight == KernelWeight::heavy ? heavy_weight : 1.0);
    // The time is flat while memory decides and a line after that; a few steps of the secant find the place.
    std::uint32_t low = 1, high = 64;
    Nanoseconds at_low = one, at_high = time_kernel(high, chunk);
    while (at_high < target && high < most_rounds) {
      low = std::exchange(high, high * 4);
      at_low = at_high;
      at_high = time_kernel(high, chunk);
    }
    for (int step = 0; step < 4 && high - low > 1 && at_high > at_low && at_low < target; ++step) {
      const double share = (target - at_low) / (at_high - at_low);
      const auto guess = std::clamp(low + static_cast<std::uint32_t>(std::lround(share * (high - low))), low + 1, high);
      const Nanoseconds at_guess = time_kernel(guess, chunk);
      rounds = guess;
      if (std::abs(at_guess / target - 1) < 0.01) break;
      if (at_guess < target)
        low = guess, at_low = at_guess;
      else
        high = guess, at_high = at_guess;
    }
  }
  calibration.kernel = time_kernel(rounds, chunk);
  calibration.rounds = rounds;
  return calibration;
}

tuning::PipelineWork tuning_work(PipelineWorkload& workload, const std::string& name) {
  tuning::PipelineWork work;
  work.name = name;
  work.identity = workload.identity();
  work.kernel = workload.kernel();
  work.source = [&workload](Bytes volume) { return workload.source(volume); };
  work.sink = [&workload] { return workload.sink(Check::sampled); };
  return work;
}

}  // namespace warpwright::app
