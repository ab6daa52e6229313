#include "launch.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <vector>

#include <warpwright/device/checks.hpp>

namespace warpwright::cuda {

namespace {

using Dimensions = std::array<std::int64_t, 3>;

// Blocks of a cluster that every GPU with clusters can place; more need an opt-in.
constexpr std::int64_t portable_cluster_size = 8;
// The most of any device so far, with the non-portable sizes allowed.
constexpr std::int64_t max_cluster_size = 16;

std::string text_of(const Dimensions& d) {
  return "(" + std::to_string(d[0]) + "," + std::to_string(d[1]) + "," + std::to_string(d[2]) + ")";
}

// Saturates, so that an absurd geometry is described and not undefined.
std::int64_t volume(const Dimensions& d) {
  std::int64_t product = 1;
  for (const std::int64_t n : d) {
    if (n <= 0) return 0;
    if (product > std::numeric_limits<std::int64_t>::max() / n) return std::numeric_limits<std::int64_t>::max();
    product *= n;
  }
  return product;
}

bool in_range_of_driver(const Dimensions& d) {
  return std::all_of(d.begin(), d.end(),
                     [](std::int64_t n) { return n >= 1 && n <= std::numeric_limits<unsigned>::max(); });
}

std::string describe(const Function& function, const device::LaunchConfig& config) {
  std::string text =
      "kernel '" + function.entry() + "' with grid " + text_of(config.grid) + " and block " + text_of(config.block);
  if (config.dynamic_shared.count != 0) {
    text += " and " + std::to_string(config.dynamic_shared.count) + " bytes of dynamic shared memory";
  }
  if (volume(config.cluster) != 1) text += " in clusters of " + text_of(config.cluster);
  if (config.cooperative) text += ", cooperatively";
  return text;
}

// Pointers to the arguments, as the driver wants them. On the stack up to a size that nearly all kernels keep to.
class ParameterList {
 public:
  ParameterList(const Function& function, std::span<const device::KernelArgument> arguments) {
    if (arguments.size() > inline_.size()) overflow_.resize(arguments.size());
    pointers_ = overflow_.empty() ? inline_.data() : overflow_.data();
    const auto& sizes = function.parameter_sizes();
    if (sizes && sizes->size() != arguments.size()) {
      throw Error(ErrorCode::bad_input, "kernel '" + function.entry() + "' takes " + std::to_string(sizes->size()) +
                                            " arguments, " + std::to_string(arguments.size()) + " were given");
    }
    for (std::size_t i = 0; i < arguments.size(); ++i) {
      const void* pointer = nullptr;
      std::size_t size = 0;
      if (const auto* buffer = std::get_if<const device::Buffer*>(&arguments[i])) {
        if (*buffer == nullptr) {
          throw Error(ErrorCode::bad_input,
                      "argument " + std::to_string(i) + " of kernel '" + function.entry() + "' is a null buffer");
        }
        pointer = &CudaBuffer::of(**buffer, function.context()).pointer();
        size = sizeof(abi::DevicePointer);
      } else if (const auto* scalar_argument = std::get_if<device::ScalarArgument>(&arguments[i])) {
        const auto& scalar = *scalar_argument;
        pointer = scalar.bytes.data();
        size = scalar.size;
      } else if (!std::holds_alternative<device::LocalMemory>(arguments[i])) {
        throw Error(ErrorCode::unsupported,
                    "argument " + std::to_string(i) + " of kernel '" + function.entry() +
                        "' is an image or sampler: those are for OpenCL, and the backend cuda does not offer them");
      } else {
        throw Error(ErrorCode::unsupported,
                    "argument " + std::to_string(i) + " of kernel '" + function.entry() +
                        "' is __local memory, which CUDA kernels do not take as a parameter: they share one block of "
                        "dynamic shared memory");
      }
      if (sizes && (*sizes)[i] != size) {
        throw Error(ErrorCode::bad_input, "argument " + std::to_string(i) + " of kernel '" + function.entry() +
                                              "' has " + std::to_string((*sizes)[i]) + " bytes, " +
                                              std::to_string(size) + " were given");
      }
      // The driver copies from here and never writes; its prototype lacks the const.
      pointers_[i] = const_cast<void*>(pointer);
    }
  }
  ParameterList(const ParameterList&) = delete;
  ParameterList& operator=(const ParameterList&) = delete;

  void** data() { return pointers_; }

 private:
  std::array<void*, 32> inline_{};
  std::vector<void*> overflow_;
  void** pointers_ = nullptr;
};

struct Geometry {
  std::array<unsigned, 3> grid, block;
  unsigned shared;
};

unsigned narrow(std::int64_t number) { return static_cast<unsigned>(number); }

abi::LaunchAttribute cluster_attribute(const Dimensions& cluster) {
  abi::LaunchAttribute attribute{};
  attribute.id = abi::launch_attribute_cluster_dimension;
  attribute.value.cluster.x = narrow(cluster[0]);
  attribute.value.cluster.y = narrow(cluster[1]);
  attribute.value.cluster.z = narrow(cluster[2]);
  return attribute;
}

abi::Result launch_extended(const abi::Functions& api, const CudaStream& stream, const Function& function,
                            const device::LaunchConfig& config, const Geometry& geometry, void** parameters) {
  std::array<abi::LaunchAttribute, 2> attributes{};
  unsigned count = 0;
  if (volume(config.cluster) > 1) attributes[count++] = cluster_attribute(config.cluster);
  if (config.cooperative) {
    auto& attribute = attributes[count++];
    attribute.id = abi::launch_attribute_cooperative;
    attribute.value.cooperative = 1;
  }
  abi::LaunchConfiguration configuration{};
  configuration.grid_x = geometry.grid[0];
  configuration.grid_y = geometry.grid[1];
  configuration.grid_z = geometry.grid[2];
  configuration.block_x = geometry.block[0];
  configuration.block_y = geometry.block[1];
  configuration.block_z = geometry.block[2];
  configuration.shared_memory_bytes = geometry.shared;
  configuration.stream = stream.handle();
  configuration.attributes = attributes.data();
  configuration.attribute_count = count;
  return api.launch_kernel_ex(&configuration, function.handle(), parameters, nullptr);
}

void check_driver_functions(const abi::Functions& api, bool cooperative, bool clustered) {
  if (clustered && api.launch_kernel_ex == nullptr) {
    throw Error(ErrorCode::unsupported,
                "the CUDA driver lacks cuLaunchKernelEx, which clusters need: update the driver");
  }
  if (cooperative && api.launch_kernel_ex == nullptr && api.launch_cooperative_kernel == nullptr) {
    throw Error(ErrorCode::unsupported, "the CUDA driver has no function for cooperative launches: update the driver");
  }
}

}  // namespace

std::string broken_limits(const Function& function, const device::LaunchConfig& config) {
  const DeviceInfo& info = function.context().info();
  std::string text;
  const auto add = [&](const std::string& reason) { text += (text.empty() ? "" : "; ") + reason; };
  const std::int64_t threads = volume(config.block);
  if (threads > function.max_threads_per_block()) {
    add("the block has " + std::to_string(threads) + " threads, this kernel allows at most " +
        std::to_string(function.max_threads_per_block()) + " (it uses " + std::to_string(function.registers()) +
        " registers per thread, or declares __launch_bounds__)");
  }
  for (std::size_t i = 0; i < 3; ++i) {
    if (config.cluster[i] > 1 && config.grid[i] % config.cluster[i] != 0) {
      add("the grid's " + std::to_string(config.grid[i]) + " blocks in " + std::string(1, "xyz"[i]) +
          " are not a multiple of the cluster's " + std::to_string(config.cluster[i]));
    }
  }
  if (volume(config.cluster) > portable_cluster_size) {
    add("a cluster of more than " + std::to_string(portable_cluster_size) + " blocks does not fit every GPU");
  }
  if (config.cooperative) add("a cooperative grid must fit the device all at once");
  if (function.static_shared() + config.dynamic_shared > info.shared_limit()) {
    add("it needs " + std::to_string((function.static_shared() + config.dynamic_shared).count) +
        " bytes of shared memory per block, the device allows at most " + std::to_string(info.shared_limit().count));
  }
  return text;
}

void launch_kernel(const CudaStream& stream, const CudaKernel& kernel, const device::LaunchConfig& config,
                   std::span<const device::KernelArgument> arguments) {
  Function& function = kernel.function();
  const PrimaryContext& context = function.context();
  const abi::Functions& api = context.api();

  device::check_geometry(function.entry(), config, context.info());
  // The driver takes unsigned numbers: what does not fit must not wrap round into something that launches.
  if (!in_range_of_driver(config.grid) || !in_range_of_driver(config.block) || !in_range_of_driver(config.cluster) ||
      config.dynamic_shared.count > std::numeric_limits<unsigned>::max()) {
    throw Error(ErrorCode::launch, "cannot launch " + describe(function, config) + ": a number exceeds 32 bits");
  }
  const std::int64_t cluster_size = volume(config.cluster);
  check_driver_functions(api, config.cooperative, cluster_size > 1);
  const Geometry geometry{{static_cast<unsigned>(config.grid[0]), static_cast<unsigned>(config.grid[1]),
                           static_cast<unsigned>(config.grid[2])},
                          {static_cast<unsigned>(config.block[0]), static_cast<unsigned>(config.block[1]),
                           static_cast<unsigned>(config.block[2])},
                          static_cast<unsigned>(config.dynamic_shared.count)};
  ParameterList parameters(function, arguments);

  const CurrentContext current(context);
  function.permit_dynamic_shared(config.dynamic_shared);
  if (cluster_size > portable_cluster_size) function.permit_large_clusters();

  abi::Result result = abi::success;
  const bool extended = api.launch_kernel_ex != nullptr && (cluster_size > 1 || config.cooperative);
  if (extended) {
    result = launch_extended(api, stream, function, config, geometry, parameters.data());
  } else if (config.cooperative) {
    result = api.launch_cooperative_kernel(function.handle(), geometry.grid[0], geometry.grid[1], geometry.grid[2],
                                           geometry.block[0], geometry.block[1], geometry.block[2], geometry.shared,
                                           stream.handle(), parameters.data());
  } else {
    result = api.launch_kernel(function.handle(), geometry.grid[0], geometry.grid[1], geometry.grid[2],
                               geometry.block[0], geometry.block[1], geometry.block[2], geometry.shared,
                               stream.handle(), parameters.data(), nullptr);
  }
  if (result == abi::success) return;

  Error error = context.driver().error(result, Call::launch, "launch " + describe(function, config));
  if (error.code() != ErrorCode::launch) throw error;
  const std::string limits = broken_limits(function, config);
  if (limits.empty()) throw error;
  throw Error(ErrorCode::launch, error.message() + ": " + limits, context.driver().native(result));
}

std::optional<int> max_active_clusters(Function& function, const device::LaunchConfig& config) {
  const PrimaryContext& context = function.context();
  const auto query = context.api().max_active_clusters;
  if (query == nullptr) return std::nullopt;
  device::check_geometry(function.entry(), config, context.info());
  if (!in_range_of_driver(config.grid) || !in_range_of_driver(config.block) || !in_range_of_driver(config.cluster) ||
      config.dynamic_shared.count > std::numeric_limits<unsigned>::max()) {
    throw Error(ErrorCode::launch, "cannot place " + describe(function, config) + ": a number exceeds 32 bits");
  }
  // The query itself looks at no grid.
  for (std::size_t i = 0; i < 3; ++i) {
    if (config.grid[i] % config.cluster[i] != 0) {
      throw Error(ErrorCode::launch,
                  "cannot place " + describe(function, config) + ": " + broken_limits(function, config));
    }
  }
  // The query answers with a number for sizes that no launch may have (seen: 16 clusters of 17 blocks).
  if (volume(config.cluster) > max_cluster_size) {
    throw Error(ErrorCode::launch, "cannot place " + describe(function, config) + ": a cluster has " +
                                       std::to_string(max_cluster_size) + " blocks at most");
  }
  const CurrentContext current(context);
  function.permit_dynamic_shared(config.dynamic_shared);
  if (volume(config.cluster) > portable_cluster_size) function.permit_large_clusters();
  abi::LaunchAttribute attribute = cluster_attribute(config.cluster);
  abi::LaunchConfiguration configuration{};
  configuration.grid_x = narrow(config.grid[0]);
  configuration.grid_y = narrow(config.grid[1]);
  configuration.grid_z = narrow(config.grid[2]);
  configuration.block_x = narrow(config.block[0]);
  configuration.block_y = narrow(config.block[1]);
  configuration.block_z = narrow(config.block[2]);
  configuration.shared_memory_bytes = static_cast<unsigned>(config.dynamic_shared.count);
  configuration.attributes = &attribute;
  configuration.attribute_count = 1;
  int clusters = 0;
  const abi::Result result = query(&clusters, function.handle(), &configuration);
  if (result != abi::success) {
    const std::string reasons = broken_limits(function, config);
    context.driver().fail(result, Call::launch,
                          "place " + describe(function, config) + (reasons.empty() ? "" : " (" + reasons + ")"));
  }
  return clusters;
}

}  // namespace warpwright::cuda
