#include <algorithm>
#include <fmt/format.h>
#include <set>
#include <utility>

#include <warpwright/base/error.hpp>
#include <warpwright/measure/inputs.hpp>
#include <warpwright/measure/kernel_job.hpp>
#include <warpwright/measure/launch_occupancy.hpp>
#include <warpwright/measure/launch_sequence.hpp>
#include <warpwright/runtime/identity.hpp>
#include <warpwright/runtime/tuned_kernel.hpp>
#include <warpwright/store/json.hpp>

namespace warpwright::runtime {
namespace {

// Configurations of profiles that are tried for one size before the default one: each may cost a compilation.
constexpr std::size_t most_tried = 8;
// Warnings remembered as told; when there are more, all are forgotten and may be told again.
constexpr std::size_t most_told = 4096;

// What a configuration may come to on a device it was not tuned on. Anything else (a lost device, a full disk, a
// mistake of ours) is not the configuration's fault, and another one would not mend it.
bool is_of_the_configuration(ErrorCode code) {
  switch (code) {
    case ErrorCode::bad_input:
    case ErrorCode::compile:
    case ErrorCode::launch:
    case ErrorCode::not_found:
    case ErrorCode::out_of_memory:
    case ErrorCode::timeout:
    case ErrorCode::unsupported:
      return true;
    default:
      return false;
  }
}

bool same_size(const Configuration& a, const Configuration& b) {
  if (a.size() != b.size()) return false;
  return std::all_of(a.begin(), a.end(), [&](const Configuration::Entry& entry) {
    const Value* const other = b.find(entry.first);
    return other != nullptr && python_equal(entry.second, *other);
  });
}

// The sizes at which the winner's results were compared with a reference.
std::vector<Configuration> verified_sizes(const store::TuningProfile& profile) {
  std::vector<Configuration> sizes;
  // Profiles of sessions without a reference begin with "not verified".
  if (!profile.verification.starts_with("verified")) return sizes;
  sizes.push_back(profile.key.dimensions);
  const store::Json details = store::parse(profile.details, "the profile's details");
  const auto listed = details.is_object() ? details.find(verified_sizes_key) : details.end();
  if (listed == details.end() || !listed->is_array()) return sizes;
  for (const store::Json& size : *listed) {
    try {
      sizes.push_back(store::configuration_from_json(size));
    } catch (const Error&) {
      // Written by something else; a size less is known.
    }
  }
  return sizes;
}

std::string first_line_of(const std::string& text) { return text.substr(0, text.find('\n')); }

}  // namespace

// The application's buffers by slot. What is prepared holds them, so they are not in an anonymous namespace.
class ApplicationBuffers final : public measure::BufferSource {
 public:
  // Scratch that the application does not give is allocated.
  ApplicationBuffers(device::Context& context, const Problem& problem, const Configuration& configuration)
      : context_(context) {
    const Scope scope = problem.scope(configuration);
    for (const auto& argument : problem.arguments) {
      if (!argument.is_buffer() || !argument.size) continue;
      const auto elements =
          scope.integer_at_least(*argument.size, 1, fmt::format("size of argument '{}'", argument.name));
      const std::uint64_t bytes = static_cast<std::uint64_t>(elements) *
                                  static_cast<std::uint64_t>(argument.components) * size_of(argument.type_in(scope));
      slots_.push_back({&argument, Bytes{bytes}, nullptr, nullptr, nullptr, nullptr, nullptr, {}});
      if (argument.image)
        slots_.back().shape = {
            argument.image_format(),
            scope.integer_at_least(argument.image->width, 1, fmt::format("width of image '{}'", argument.name)),
            scope.integer_at_least(argument.image->height, 1, fmt::format("height of image '{}'", argument.name))};
      if (argument.restored) {
        // The application's stream may be any, so the copy that is put back lies on the device from now on.
        const auto data = measure::generate(resolved(argument.fill, scope, "init of argument '" + argument.name + "'"),
                                            argument.type_in(scope), bytes / size_of(argument.type_in(scope)));
        Slot& slot = slots_.back();
        slot.pristine = context_.allocate(slot.size);
        const auto stream = context_.create_stream();
        stream->copy_to_device(*slot.pristine, Bytes{}, data);
        stream->synchronize();
      }
      has_constants_ = has_constants_ || argument.access == Access::constant;
    }
  }

  void assign(const std::map<std::string, device::Buffer*>& buffers,
              const std::map<std::string, device::Image*>& images) {
    bool changed = has_constants_;  // the application may have written new values into the same buffer
    for (auto& slot : slots_) {
      if (slot.argument->image) {
        changed = assign_image(slot, images) || changed;
        continue;
      }
      const auto found = buffers.find(slot.argument->name);
      if (slot.argument->access == Access::scratch && found == buffers.end()) {
        if (!slot.own) slot.own = context_.allocate(slot.size);
        changed = changed || slot.buffer != slot.own.get();
        slot.buffer = slot.own.get();
        continue;
      }
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
    for (const auto& [name, buffer] : buffers) require_slot(name, false);
    for (const auto& [name, image] : images) require_slot(name, true);
    if (changed) ++generation_;
  }

  // Enqueued: scratch with an init as it is at the beginning of every run.
  void restore_scratch(device::Stream& stream) {
    for (const Slot& slot : slots_) {
      if (!slot.pristine) continue;
      if (slot.image != nullptr)
        stream.copy_to_image(*slot.image, *slot.pristine, Bytes{});
      else
        stream.copy_on_device(*slot.buffer, Bytes{}, *slot.pristine, Bytes{}, slot.size);
    }
  }

  std::size_t count() const override { return slots_.size(); }
  std::optional<std::size_t> find(std::string_view name) const override {
    for (std::size_t i = 0; i < slots_.size(); ++i)
      if (slots_[i].argument->name == name) return i;
    return std::nullopt;
  }
  const Argument& argument(std::size_t slot) const override { return *slots_[slot].argument; }
  device::Buffer& buffer(std::size_t slot) override { return *slots_[slot].buffer; }
  device::Image* image(std::size_t slot) override { return slots_[slot].image; }
  Bytes size(std::size_t slot) const override { return slots_[slot].size; }
  std::uint64_t generation() const override { return generation_; }

 private:
  struct Slot {
    const Argument* argument;
    Bytes size;
    device::Buffer* buffer;
    std::unique_ptr<device::Buffer> own;       // scratch that the application did not give
    std::unique_ptr<device::Buffer> pristine;  // scratch that is restored
    device::Image* image;                      // in place of `buffer`
    std::unique_ptr<device::Image> own_image;
    ImageShape shape;
  };

  // Whether it is another than before.
  bool assign_image(Slot& slot, const std::map<std::string, device::Image*>& images) {
    const auto found = images.find(slot.argument->name);
    device::Image* given = found == images.end() ? nullptr : found->second;
    if (given == nullptr && slot.argument->access == Access::scratch) {
      if (!slot.own_image) slot.own_image = context_.create_image(slot.shape, device::ImageUse::write);
      given = slot.own_image.get();
    }
    const auto describe = [](const ImageShape& shape) {
      return fmt::format("{} x {} pixels of {}", shape.width, shape.height, to_string(shape.format));
    };
    if (given == nullptr)
      throw Error(ErrorCode::bad_input,
                  fmt::format("no image was given for argument '{}' ({})", slot.argument->name, describe(slot.shape)));
    if (given->shape() != slot.shape)
      throw Error(ErrorCode::bad_input,
                  fmt::format("the image of argument '{}' has {}, this problem size needs {}", slot.argument->name,
                              describe(given->shape()), describe(slot.shape)));
    return std::exchange(slot.image, given) != given;
  }

  void require_slot(const std::string& name, bool image) const {
    const auto slot = find(name);
    if (slot && slots_[*slot].argument->image.has_value() == image) return;
    throw Error(ErrorCode::bad_input,
                fmt::format("the kernel has no {} argument '{}'", image ? "image" : "buffer", name));
  }

  device::Context& context_;
  std::vector<Slot> slots_;
  bool has_constants_ = false;
  std::uint64_t generation_ = 0;
};

// One problem size, ready to launch.
struct TunedKernel::Prepared {
  Problem problem;  // with this size's dimensions
  Selection selection;
  Binary binary;
  measure::Geometries geometries;
  std::unique_ptr<measure::ModuleSet> modules;  // until `sequence` has them
  std::unique_ptr<ApplicationBuffers> buffers;
  std::unique_ptr<measure::LaunchSequence> sequence;  // made at the first launch, when the buffers are known
  std::uint64_t used = 0, epoch = 0;
};

TunedKernel::TunedKernel(const Problem& problem, const device::Backend& backend, device::Context& context,
                         const store::ProfileDatabase& profiles, TunedKernelOptions options)
    : problem_(problem.for_device(context.device())),
      backend_(backend),
      context_(context),
      profiles_(profiles),
      options_(std::move(options)),
      own_clock_(options_.clock == nullptr ? std::make_unique<SteadyClock>() : nullptr),
      clock_(options_.clock == nullptr ? *own_clock_ : *options_.clock),
      compiler_(backend.compiler(context.device())) {
  if (options_.max_prepared == 0)
    throw Error(ErrorCode::bad_input, "TunedKernelOptions::max_prepared is 0; at least one size must be kept ready");
  measure::require_images(problem_, context.device());
  source_hash(problem_, backend_.name());  // throws now if there is no source for this backend
  if (options_.binary_cache) cache_.emplace(*options_.binary_cache);
  profiles_version_ = profiles_.version();
  next_check_ = clock_.now() + options_.profile_check;
}

TunedKernel::~TunedKernel() = default;

Selection TunedKernel::select(const Configuration& dimensions) { return prepare(dimensions).selection; }

void TunedKernel::look_for_new_profiles() {
  const Nanoseconds now = clock_.now();
  if (now < next_check_) return;
  next_check_ = now + options_.profile_check;
  const std::int64_t version = profiles_.version();
  if (version == profiles_version_) return;
  profiles_version_ = version;
  ++epoch_;
}

TunedKernel::Prepared& TunedKernel::prepare(const Configuration& dimensions) {
  look_for_new_profiles();
  const std::string key = dimensions.describe();
  auto found = prepared_.find(key);
  if (found == prepared_.end() || found->second->epoch != epoch_) {
    Prepared* const present = found == prepared_.end() ? nullptr : found->second.get();
    std::unique_ptr<Prepared> chosen = choose(dimensions, present);
    tell((chosen ? *chosen : *present).selection);
    if (chosen) {
      // The device may still run what is dropped, on streams that are the application's.
      const bool full = present == nullptr && prepared_.size() >= options_.max_prepared;
      if (present != nullptr || full) context_.synchronize();
      if (full)
        prepared_.erase(std::min_element(prepared_.begin(), prepared_.end(),
                                         [](const auto& a, const auto& b) { return a.second->used < b.second->used; }));
      found = prepared_.insert_or_assign(key, std::move(chosen)).first;
    }
    found->second->epoch = epoch_;
  }
  found->second->used = ++uses_;
  return *found->second;
}

// Takes `configuration` if it fits this device at this size; otherwise says why not.
std::optional<std::string> TunedKernel::try_configuration(Prepared& prepared, const Configuration& configuration) {
  const Problem& problem = prepared.problem;
  auto geometries = measure::evaluate_geometries(problem.launches, problem.scope(configuration), context_.device());
  if (geometries.refused) return geometries.refused;
  bool from_cache = true;
  Binary binary =
      measure::compile_configuration(problem, configuration, context_.device(), [&](const device::CompileJob& job) {
        const std::string key = device::cache_key(job, *compiler_);
        if (auto cached = cache_ ? cache_->find(key) : std::nullopt) return *std::move(cached);
        from_cache = false;
        Binary compiled = compiler_->compile(job);
        if (cache_) cache_->put(key, compiled);
        return compiled;
      });
  const auto occupancy = measure::check_occupancy(problem, configuration, binary.resources, context_.device());
  if (occupancy.refusal) return occupancy.refusal;

  auto modules = std::make_unique<measure::ModuleSet>(context_, binary);
  const std::vector<std::string> entries = measure::entry_names(problem, configuration);
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const LaunchGeometry& geometry = geometries.each[i];
    if (geometry.repeat == 0) continue;
    const auto kernel = modules->kernel(entries[i]);
    if (auto refused = measure::exceeds_kernel_limits(entries[i], kernel->resources(), geometry, context_.device()))
      return refused;
    const std::int64_t threads = geometry.threads_per_block();
    if (kernel->max_active_blocks(threads, geometry.dynamic_shared) == 0)
      return fmt::format("kernel '{}' has no occupancy here: no block of {} threads fits a multiprocessor", entries[i],
                         threads);
  }
  prepared.binary = std::move(binary);
  prepared.geometries = std::move(geometries);
  prepared.modules = std::move(modules);
  prepared.selection.configuration = configuration;
  prepared.selection.binary_from_cache = from_cache;
  return std::nullopt;
}

// What the profile says of the configuration that is used.
void TunedKernel::describe(Selection& selection, const store::ProfileMatch& match, const Configuration& dimensions) {
  const store::TuningProfile& profile = match.profile;
  selection.tuned = true;
  selection.profile_id = profile.id;
  selection.quality = match.quality;
  selection.warnings.insert(selection.warnings.end(), match.warnings.begin(), match.warnings.end());
  const auto sizes = verified_sizes(profile);
  const bool here =
      std::any_of(sizes.begin(), sizes.end(), [&](const Configuration& size) { return same_size(size, dimensions); });
  selection.verified = here ? Verified::at_this_size : sizes.empty() ? Verified::nowhere : Verified::at_other_sizes;
  if (sizes.empty()) {
    selection.warnings.push_back(
        fmt::format("profile {} was never verified{}; results of its configuration were not compared with a reference",
                    profile.id, profile.verification.empty() ? "" : " (" + profile.verification + ")"));
  } else if (!here) {
    selection.warnings.push_back(
        fmt::format("profile {} was verified at other sizes ({}), not at {}; 'warpwright check' verifies at this size",
                    profile.id, sizes.front().describe(), dimensions.describe()));
  }
}

// Null where `present` has the configuration that would be chosen again: what is loaded stays, and its selection is
// brought up to date.
std::unique_ptr<TunedKernel::Prepared> TunedKernel::choose(const Configuration& dimensions, Prepared* present) {
  auto prepared = std::make_unique<Prepared>();
  prepared->problem = problem_.for_device(context_.device(), dimensions);
  const Problem& problem = prepared->problem;
  Selection& selection = prepared->selection;
  const store::ProfileKey wanted = profile_key(problem, context_.device(), options_.cache_mode);
  const auto keep = [&](const Configuration& configuration) {
    if (present == nullptr || present->selection.configuration != configuration) return false;
    selection.configuration = configuration;
    selection.binary_from_cache = present->selection.binary_from_cache;
    return true;
  };
  const auto done = [&](bool kept) -> std::unique_ptr<Prepared> {
    if (!kept) return std::move(prepared);
    present->selection = std::move(selection);
    return nullptr;
  };

  const auto matches = profiles_.find_all(wanted, options_.match);
  std::set<std::string> refused;  // configurations, which profiles of several sizes share
  for (const store::ProfileMatch& match : matches) {
    const Configuration& configuration = match.profile.configuration;
    if (refused.size() == most_tried || refused.contains(configuration.describe())) continue;
    std::optional<std::string> unfit;
    const bool kept = keep(configuration);
    try {
      if (!kept) unfit = try_configuration(*prepared, configuration);
    } catch (const Error& error) {
      if (!is_of_the_configuration(error.code())) throw;
      unfit = error.what();
    }
    if (!unfit) {
      describe(selection, match, problem.dimensions);
      return done(kept);
    }
    refused.insert(configuration.describe());
    selection.warnings.push_back(fmt::format("profile {} ({}) cannot be used here: {}", match.profile.id,
                                             configuration.describe(), first_line_of(*unfit)));
    selection.rejected.push_back({match.profile.id, configuration, std::move(*unfit)});
  }

  if (matches.empty()) {
    const std::size_t stale = profiles_.count_stale(wanted);
    selection.quality = fmt::format("none under the policy '{}'", store::to_string(options_.match));
    if (stale > 0)
      selection.quality += fmt::format("; {} profile{} of another version of the source or its options", stale,
                                       stale == 1 ? " is" : "s are");
  } else {
    selection.quality = fmt::format("none of {} that can be used here", matches.size());
  }
  selection.warnings.push_back(
      fmt::format("'{}' is not tuned for this device and size ({}): using the default "
                  "configuration; run 'warpwright tune'",
                  problem.name, selection.quality));
  const Configuration configuration = problem.baseline_configuration();
  const bool kept = keep(configuration);
  if (!kept)
    if (const auto unfit = try_configuration(*prepared, configuration))
      throw Error(ErrorCode::bad_input, fmt::format("the default configuration of '{}' cannot be launched at {}: {}",
                                                    problem.name, problem.dimensions.describe(), *unfit));
  return done(kept);
}

// Each text once, so that sizes which take turns in a small cache do not repeat it.
void TunedKernel::tell(const Selection& selection) {
  for (const auto& warning : selection.warnings) {
    if (told_.size() >= most_told) told_.clear();
    if (told_.insert(warning).second) log_to(options_.log, LogLevel::warning, warning);
  }
}

void TunedKernel::launch(device::Stream& stream, const Configuration& dimensions,
                         const std::map<std::string, device::Buffer*>& buffers,
                         const std::map<std::string, device::Image*>& images) {
  Prepared& prepared = prepare(dimensions);
  const Configuration& configuration = prepared.selection.configuration;
  if (!prepared.buffers)
    prepared.buffers = std::make_unique<ApplicationBuffers>(context_, prepared.problem, configuration);
  prepared.buffers->assign(buffers, images);
  if (!prepared.sequence) {
    // An earlier launch failed half-way.
    if (!prepared.modules) prepared.modules = std::make_unique<measure::ModuleSet>(context_, prepared.binary);
    prepared.sequence = std::make_unique<measure::LaunchSequence>(
        context_, stream, prepared.problem, prepared.problem.launches,
        measure::entry_names(prepared.problem, configuration), prepared.geometries, configuration,
        std::move(prepared.modules), *prepared.buffers);
    prepared.sequence->require_match();
  } else {
    prepared.sequence->use_stream(stream);
    prepared.sequence->rebind_if_changed();
  }
  prepared.buffers->restore_scratch(stream);
  prepared.sequence->enqueue();
}

}  // namespace warpwright::runtime
