// A pipeline on a device with a kernel whose result is easy to check: out[i] = 3 in[i] + 1 on 32-bit words.
#pragma once

#include <algorithm>
#include <cstring>
#include <gtest/gtest.h>
#include <memory>
#include <string>
#include <vector>

#include <warpwright/base/error.hpp>
#include <warpwright/base/rng.hpp>
#include <warpwright/memory/memory_optimizer.hpp>
#include <warpwright/opencl/backend.hpp>
#include <warpwright/sim/backend.hpp>

namespace warpwright::memory {

inline constexpr Bytes mebi{1 << 20};
inline constexpr Bytes kibi{1 << 10};

template <class Call>
Error error_of(Call&& call) {
  try {
    call();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "no Error was thrown";
  return Error(ErrorCode::internal, "no error");
}

inline sim::Options sim_options() {
  sim::Options options;
  sim::Behaviour mix;
  mix.arguments = {"uint32* y", "uint32* x", "int32 n"};
  mix.run = [](const sim::LaunchView& view) {
    const auto y = view.buffer<std::uint32_t>(0);
    const auto x = view.buffer<std::uint32_t>(1);
    const auto n = static_cast<std::size_t>(view.integer(2));
    for (std::size_t i = 0; i < n; ++i) y[i] = 3 * x[i] + 1;
  };
  options.behaviours["triple"] = mix;
  return options;
}

inline std::string sim_source(const std::string& cost) { return "[kernels.triple]\ncost_ns = \"" + cost + "\"\n"; }

inline constexpr const char* cuda_source = R"(
extern "C" __global__ void triple(unsigned* y, const unsigned* x, int n) {
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) y[i] = 3u * x[i] + 1u;
}
)";

inline constexpr const char* opencl_source = R"(
__kernel void triple(__global uint* y, __global const uint* x, int n) {
  for (int i = get_global_id(0); i < n; i += get_global_size(0)) y[i] = 3u * x[i] + 1u;
}
)";

// An open device with the kernel loaded.
struct MixDevice {
  MixDevice(std::unique_ptr<device::Backend> of, const DeviceId& id, const std::string& source)
      : backend(std::move(of)) {
    context = backend->open(id);
    device::CompileJob job;
    job.source = source;
    job.file_name = "triple";
    job.entries = {"triple"};
    module = context->load(backend->compiler(context->device())->compile(job));
    kernel = module->kernel("triple");
  }
  // On the simulated device, with the kernel's cost in nanoseconds as an expression of n (32-bit words).
  static MixDevice simulated(sim::Options options = sim_options(), const std::string& cost = "1000") {
    return MixDevice(sim::make_backend(std::move(options)), {"sim", {0}}, sim_source(cost));
  }

  ChunkKernel mix() const {
    return [this](ChunkWork& work) {
      const auto words = static_cast<std::int32_t>(work.input_size.count / 4);
      if (words == 0) return;
      device::LaunchConfig config;
      config.block = {64, 1, 1};
      config.grid = {16, 1, 1};
      const device::KernelArgument arguments[] = {&work.output, &work.input, device::ScalarArgument::of(words)};
      work.stream.launch(*kernel, config, arguments);
    };
  }

  std::unique_ptr<device::Backend> backend;
  std::unique_ptr<device::Context> context;
  std::unique_ptr<device::Module> module;
  std::unique_ptr<device::Kernel> kernel;
};

inline std::vector<std::byte> random_bytes(std::size_t size, std::uint64_t seed = 1) {
  Rng rng(seed);
  std::vector<std::byte> bytes(size);
  for (std::size_t i = 0; i + 8 <= size; i += 8) {
    const std::uint64_t word = rng.next();
    std::memcpy(bytes.data() + i, &word, 8);
  }
  return bytes;
}

// What mix() makes of it; the size is a multiple of four.
inline std::vector<std::byte> mixed(std::vector<std::byte> bytes) {
  for (std::size_t i = 0; i + 4 <= bytes.size(); i += 4) {
    std::uint32_t word = 0;
    std::memcpy(&word, bytes.data() + i, 4);
    word = 3 * word + 1;
    std::memcpy(bytes.data() + i, &word, 4);
  }
  return bytes;
}

// `chunks` full chunks of no matter what.
inline std::unique_ptr<ChunkSource> blank_source(std::uint64_t chunks) {
  return generator_source([chunks](std::uint64_t chunk, std::span<std::byte> slot) -> std::optional<Bytes> {
    if (chunk == chunks) return std::nullopt;
    return Bytes{slot.size()};
  });
}
inline std::unique_ptr<ChunkSink> blank_sink() {
  return callback_sink([](std::uint64_t, std::span<const std::byte>) {});
}

}  // namespace warpwright::memory
