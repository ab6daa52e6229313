// All launches of a problem under one configuration, bound to a loaded binary and to the argument buffers: built once,
// enqueued as often as wanted.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <warpwright/base/error.hpp>
#include <warpwright/device/context.hpp>
#include <warpwright/measure/modules.hpp>
#include <warpwright/model/problem.hpp>
#include <warpwright/model/trial.hpp>

namespace warpwright::measure {

// The buffers and images behind a problem's arguments, as a launch sequence needs them. A "slot" is one of them,
// numbered in declaration order. The verifying runner fills them with test data; an application gives its own.
class BufferSource {
 public:
  virtual ~BufferSource() = default;
  virtual std::size_t count() const = 0;
  virtual std::optional<std::size_t> find(std::string_view name) const = 0;
  virtual const Argument& argument(std::size_t slot) const = 0;
  virtual device::Buffer& buffer(std::size_t slot) = 0;
  // Null unless the argument is an image; then this is what kernels get.
  virtual device::Image* image(std::size_t /*slot*/) { return nullptr; }
  virtual Bytes size(std::size_t slot) const = 0;
  // Changes when a buffer or the data of a constant was replaced.
  virtual std::uint64_t generation() const = 0;
};

// A launch whose geometry or scalars change with the repeat is prepared for each of them, so there is a limit.
inline constexpr std::int64_t most_changing_repeats = 16384;

// Geometry of `launches` under `scope`, or the reason why the device refuses one of them (a limit, an expression that
// yields no valid size, or that all launches are left out).
struct Geometries {
  std::vector<LaunchGeometry> each;                 // of the first repeat; `repeat` is 0 where a launch is left out
  std::vector<std::vector<LaunchGeometry>> rounds;  // of every repeat where they differ; else empty
  std::optional<std::string> refused;
};
Geometries evaluate_geometries(const std::vector<Launch>& launches, const Scope& scope, const DeviceInfo& device);

// Why the device will refuse a launch of a kernel with `resources` as `geometry` says (threads or shared memory over
// what the kernel leaves); nullopt if nothing is known against it.
std::optional<std::string> exceeds_kernel_limits(const std::string& entry, const KernelResources& resources,
                                                 const LaunchGeometry& geometry, const DeviceInfo& device);

// One thread only. Refers to everything it is given; the stream must be idle when it is destroyed.
class LaunchSequence {
 public:
  // `entries[i]` is the name of launches[i] in `binary`. Loads the modules, finds the kernels of what is not left out,
  // copies constants to their symbols (enqueued). Throws what loading throws, Error(not_found) for a missing entry,
  // Error(bad_input) for arguments that cannot be passed.
  LaunchSequence(device::Context& context, device::Stream& stream, const Problem& problem,
                 const std::vector<Launch>& launches, const std::vector<std::string>& entries, Geometries geometries,
                 const Configuration& configuration, const Binary& binary, BufferSource& buffers);
  // The same for a binary that is loaded already.
  LaunchSequence(device::Context& context, device::Stream& stream, const Problem& problem,
                 const std::vector<Launch>& launches, const std::vector<std::string>& entries, Geometries geometries,
                 const Configuration& configuration, std::unique_ptr<ModuleSet> modules, BufferSource& buffers);

  // Of each entry once, in launch order, with the dynamic shared memory of its largest launch.
  const std::vector<KernelResources>& resources() const { return resources_; }
  // The first reason of measure::exceeds_kernel_limits() in the order of the launches.
  std::optional<std::string> exceeds_kernel_limits() const;

  // The mistake of the specification where a launch does not fit its kernel's parameter list, as far as that is known:
  // Error(bad_input) at the launch's `args`. enqueue() must not be called then.
  const std::optional<Error>& mismatch() const { return mismatch_; }
  // Throws mismatch() if there is one.
  void require_match() const {
    if (mismatch_) throw Error(*mismatch_);
  }
  // Why a kernel may not be launched with its block: it declares another one; nullopt if nothing is known against it.
  std::optional<std::string> refuses_block() const;

  void enqueue();
  // The same with `between(i)` before the i-th launch that is not left out, and after the last one.
  void enqueue(const std::function<void(std::size_t)>& between);
  // Entry and repeats of each launch that is not left out, in order; no times yet.
  std::vector<LaunchTime> steps() const;
  // Later work goes to `stream`.
  void use_stream(device::Stream& stream) { stream_ = &stream; }
  // The slot that holds what the name of `slot` is bound to after a run (differs for swapped buffers).
  std::size_t final_slot(std::size_t slot) const { return final_slots_[slot]; }

  // Dimensions and parameters of the configuration.
  const Scope& scope() const { return scope_; }
  // Launches of one enqueue().
  std::int64_t launches() const;

  // Takes the buffers' present addresses and constants after the source's generation changed; says whether it had.
  bool rebind_if_changed();

 private:
  // Buffers and images and, for scalars, local memory and samplers, what is passed.
  using Parameter = std::variant<std::size_t, device::ScalarArgument, device::LocalMemory, const device::Sampler*>;
  struct Step {
    const Launch* launch;
    std::string entry;
    const device::Kernel* kernel;
    std::int64_t repeat = 1;
    // Of every repeat where they change with it; else one.
    std::vector<device::LaunchConfig> configs;
    std::vector<std::vector<Parameter>> parameters;
    // Of the repeats in turn: one list for each where they change with it, else two, for even and odd repeats.
    std::vector<std::vector<device::KernelArgument>> arguments;
  };

  void bind();
  void check_parameters(const Step& step);
  Parameter parameter(const std::string& name, const Launch& launch, const Scope& scope);
  // Whether a constant is passed behind the arguments that a launch names.
  bool appends_constant(std::size_t slot, const Launch& launch) const;

  device::Context& context_;
  device::Stream* stream_;
  const Problem& problem_;
  BufferSource& buffers_;
  Scope scope_;
  std::unique_ptr<ModuleSet> modules_;
  std::map<std::string, std::unique_ptr<device::Kernel>> kernels_;
  std::map<std::string, std::unique_ptr<device::Sampler>> samplers_;              // by argument
  std::vector<std::pair<std::size_t, std::unique_ptr<device::Buffer>>> symbols_;  // slot -> one of its symbols
  std::vector<Step> steps_;
  std::vector<std::size_t> final_slots_;
  std::vector<KernelResources> resources_;
  std::optional<Error> mismatch_;
  std::uint64_t generation_ = 0;
};

}  // namespace warpwright::measure
