#include <fmt/format.h>
#include <utility>

#include <warpwright/base/error.hpp>
#include <warpwright/measure/kernel_job.hpp>
#include <warpwright/measure/launch_sequence.hpp>
#include <warpwright/tuning/identity.hpp>
#include <warpwright/tuning/tuned_kernel.hpp>

namespace warpwright::tuning {
namespace {

// The application's buffers by slot.
class ApplicationBuffers final : public measure::BufferSource {
 public:
  ApplicationBuffers(const Problem& problem, const Configuration& configuration) {
    const Scope scope = problem.scope(configuration);
    for (const auto& argument : problem.arguments) {
      if (argument.access == Access::scalar || !argument.size) continue;
      const auto elements =
          scope.integer_at_least(*argument.size, 1, fmt::format("size of argument '{}'", argument.name));
      const std::uint64_t bytes = static_cast<std::uint64_t>(elements) *
                                  static_cast<std::uint64_t>(argument.components) * size_of(argument.type);
      slots_.push_back({&argument, Bytes{bytes}, nullptr});
      has_constants_ = has_constants_ || argument.access == Access::constant;
    }
  }

  void assign(const std::map<std::string, device::Buffer*>& buffers) {
    bool changed = has_constants_;  // the application may have written new values into the same buffer
    for (auto& slot : slots_) {
      const auto found = buffers.find(slot.argument->name);
      if (found == buffers.end() || found->second == nullptr)
        throw Error(ErrorCode::bad_input, fmt::format("no buffer was given for argument '{}' ({} bytes)",
                                                      slot.argument->name, slot.size.count));
      if (found->second->size() < slot.size)
        throw Error(ErrorCode::bad_input,
                    fmt::format("the buffer of argument '{}' has {} bytes, this problem size needs {}",
                                slot.argument->name, found->second->size().count, slot.size.count));
      changed = changed || slot.buffer != found->second;
      slot.buffer = found->second;
    }
    for (const auto& [name, buffer] : buffers)
      if (!find(name)) throw Error(ErrorCode::bad_input, fmt::format("the kernel has no buffer argument '{}'", name));
    if (changed) ++generation_;
  }

  std::size_t count() const override { return slots_.size(); }
  std::optional<std::size_t> find(std::string_view name) const override {
    for (std::size_t i = 0; i < slots_.size(); ++i)
      if (slots_[i].argument->name == name) return i;
    return std::nullopt;
  }
  const Argument& argument(std::size_t slot) const override { return *slots_[slot].argument; }
  device::Buffer& buffer(std::size_t slot) override { return *slots_[slot].buffer; }
  Bytes size(std::size_t slot) const override { return slots_[slot].size; }
  std::uint64_t generation() const override { return generation_; }

 private:
  struct Slot {
    const Argument* argument;
    Bytes size;
    device::Buffer* buffer;
  };
  std::vector<Slot> slots_;
  bool has_constants_ = false;
  std::uint64_t generation_ = 0;
};

}  // namespace

// One problem size, ready to launch.
struct TunedKernel::Prepared {
  Problem problem;  // with this size's dimensions
  Selection selection;
  device::Binary binary;
  std::vector<LaunchGeometry> geometries;
  std::unique_ptr<ApplicationBuffers> buffers;
  std::unique_ptr<measure::LaunchSequence> sequence;  // made at the first launch, when the buffers are known
};

TunedKernel::TunedKernel(const Problem& problem, const device::Backend& backend, device::Context& context,
                         const store::ProfileDatabase& profiles, TunedKernelOptions options)
    : problem_(problem.for_device(context.device())),
      backend_(backend),
      context_(context),
      profiles_(profiles),
      options_(std::move(options)),
      compiler_(backend.compiler(context.device())) {
  source_hash(problem_, backend_.name());  // throws now if there is no source for this backend
  if (options_.binary_cache) cache_.emplace(*options_.binary_cache);
}

TunedKernel::~TunedKernel() = default;

const Selection& TunedKernel::select(const Configuration& dimensions) { return prepare(dimensions).selection; }

TunedKernel::Prepared& TunedKernel::prepare(const Configuration& dimensions) {
  auto& slot = prepared_[dimensions.describe()];
  if (slot) return *slot;
  auto prepared = std::make_unique<Prepared>();
  prepared->problem = problem_.for_device(context_.device(), dimensions);
  const Problem& problem = prepared->problem;
  Selection& selection = prepared->selection;
  const store::ProfileKey wanted = profile_key(problem, context_.device(), options_.cache_mode);

  // A neighbour's configuration may not fit here: then the next way out is the default one.
  const auto try_configuration = [&](const Configuration& configuration) -> std::optional<std::string> {
    auto geometries = measure::evaluate_geometries(problem.launches, problem.scope(configuration), context_.device());
    if (geometries.refused) return geometries.refused;
    const device::CompileJob job = measure::kernel_job(problem, configuration, context_.device());
    const std::string key = device::cache_key(job, *compiler_);
    std::optional<device::Binary> cached = cache_ ? cache_->find(key) : std::nullopt;
    selection.binary_from_cache = cached.has_value();
    prepared->binary = cached ? std::move(*cached) : compiler_->compile(job);
    if (cache_ && !selection.binary_from_cache) cache_->put(key, prepared->binary);
    prepared->geometries = std::move(geometries.each);
    selection.configuration = configuration;
    return std::nullopt;
  };

  if (const auto match = profiles_.find(wanted, options_.match)) {
    if (const auto refused = try_configuration(match->profile.configuration)) {
      selection.warnings.push_back(
          fmt::format("profile {} cannot be used at this size: {}", match->profile.id, *refused));
    } else {
      selection.tuned = true;
      selection.quality = match->quality;
      selection.warnings.insert(selection.warnings.end(), match->warnings.begin(), match->warnings.end());
    }
  }
  if (!selection.tuned) {
    const std::size_t stale = profiles_.count_stale(wanted);
    selection.quality = fmt::format("none under the policy '{}'", store::to_string(options_.match));
    if (stale > 0)
      selection.quality += fmt::format("; {} profile{} of another version of the source or its options", stale,
                                       stale == 1 ? " is" : "s are");
    selection.warnings.push_back(
        fmt::format("'{}' is not tuned for this device and size ({}): using the default "
                    "configuration; run 'warpwright tune'",
                    problem.name, selection.quality));
    if (const auto refused = try_configuration(problem.baseline_configuration()))
      throw Error(ErrorCode::bad_input, fmt::format("the default configuration of '{}' cannot be launched at {}: {}",
                                                    problem.name, dimensions.describe(), *refused));
  }
  for (const auto& warning : selection.warnings) log_to(options_.log, LogLevel::warning, warning);
  slot = std::move(prepared);
  return *slot;
}

void TunedKernel::launch(device::Stream& stream, const Configuration& dimensions,
                         const std::map<std::string, device::Buffer*>& buffers) {
  Prepared& prepared = prepare(dimensions);
  const Configuration& configuration = prepared.selection.configuration;
  if (!prepared.buffers) prepared.buffers = std::make_unique<ApplicationBuffers>(prepared.problem, configuration);
  prepared.buffers->assign(buffers);
  if (!prepared.sequence) {
    prepared.sequence = std::make_unique<measure::LaunchSequence>(
        context_, stream, prepared.problem, prepared.problem.launches,
        measure::entry_names(prepared.problem, configuration), prepared.geometries, configuration, prepared.binary,
        *prepared.buffers);
    prepared.sequence->require_match();
  } else {
    prepared.sequence->use_stream(stream);
    prepared.sequence->rebind_if_changed();
  }
  prepared.sequence->enqueue();
}

}  // namespace warpwright::tuning
