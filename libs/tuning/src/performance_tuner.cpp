#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <limits>
#include <mutex>
#include <set>
#include <utility>

#include <warpwright/base/error.hpp>
#include <warpwright/base/hash.hpp>
#include <warpwright/base/host.hpp>
#include <warpwright/model/problem.hpp>
#include <warpwright/store/kernel_config_json.hpp>
#include <warpwright/tuning/performance_tuner.hpp>
#include <warpwright/tuning/ranking.hpp>

#include "callable_session.hpp"
#include "evaluator.hpp"
#include "favoured_block.hpp"

namespace warpwright {
namespace {

constexpr int warp = 32;
constexpr std::size_t most_seeds = 5;

[[noreturn]] void refuse(const std::string& text) { throw Error(ErrorCode::bad_input, text); }

// ---- the simple form
// -------------------------------------------------------------------------------------------------

void check(const SearchSpace& space) {
  if (space.workload_size == 0) refuse("SearchSpace::workload_size is 0: there is nothing to compute");
  if (space.workload_size > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
    refuse(fmt::format("SearchSpace::workload_size is {}; it must fit in 63 bits", space.workload_size));
  if (space.min_block_size < 1)
    refuse(fmt::format("SearchSpace::min_block_size is {}; it must be at least 1", space.min_block_size));
  if (space.max_block_size < space.min_block_size)
    refuse(fmt::format("SearchSpace::max_block_size ({}) is below min_block_size ({})", space.max_block_size,
                       space.min_block_size));
  if (space.elements_per_thread.empty()) refuse("SearchSpace::elements_per_thread is empty; give at least {1}");
  for (const int elements : space.elements_per_thread)
    if (elements < 1) refuse(fmt::format("SearchSpace::elements_per_thread has {}; it must be at least 1", elements));
  if (!(space.min_occupancy >= 0 && space.min_occupancy <= 1))
    refuse(fmt::format("SearchSpace::min_occupancy is {}; it must lie between 0 and 1", space.min_occupancy));
  if (space.min_occupancy > 0 && !space.resources)
    refuse("SearchSpace::min_occupancy needs SearchSpace::resources: registers are not guessed");
}

int default_block(const SearchSpace& space) {
  return std::clamp(detail::favoured_block, space.min_block_size, space.max_block_size);
}

std::vector<Parameter> parameters_of(const SearchSpace& space) {
  std::set<std::int64_t> blocks{default_block(space)};
  for (std::int64_t threads = (space.min_block_size + warp - 1) / warp * warp; threads <= space.max_block_size;
       threads += warp)
    blocks.insert(threads);
  std::vector<Parameter> parameters(1);
  parameters[0].name = "block_size";
  parameters[0].role = ParameterRole::block;
  parameters[0].values.assign(blocks.begin(), blocks.end());
  parameters[0].default_value = std::int64_t{default_block(space)};
  if (space.elements_per_thread.size() > 1) {
    Parameter elements;
    elements.name = "elements_per_thread";
    for (const int value : space.elements_per_thread) elements.values.emplace_back(std::int64_t{value});
    elements.default_value = elements.values.front();
    parameters.push_back(std::move(elements));
  }
  return parameters;
}

Bytes shared_memory(const SearchSpace& space, std::int64_t threads) {
  if (!space.use_shared_memory) return {};
  try {
    return space.use_shared_memory(static_cast<int>(threads));
  } catch (const std::exception& error) {
    refuse(fmt::format("SearchSpace::use_shared_memory threw for a block of {} threads: {}", threads, error.what()));
  }
}

KernelConfig kernel_of(const SearchSpace& space, std::int64_t threads, std::int64_t elements_per_thread) {
  KernelConfig config;
  config.block_size = Dim3{threads};
  const auto per_block = static_cast<std::uint64_t>(threads) * static_cast<std::uint64_t>(elements_per_thread);
  const std::uint64_t blocks = space.workload_size / per_block + (space.workload_size % per_block != 0 ? 1 : 0);
  config.grid_size = Dim3{static_cast<std::int64_t>(blocks)};
  config.shared_memory = shared_memory(space, threads);
  return config;
}

KernelConfig kernel_of(const SearchSpace& space, const Configuration& configuration) {
  const Value* const elements = configuration.find("elements_per_thread");
  return kernel_of(space, *as_integer(configuration.at("block_size")),
                   elements != nullptr ? *as_integer(*elements) : space.elements_per_thread.front());
}

bool same_launch(const KernelConfig& a, const KernelConfig& b) {
  return a.block_size == b.block_size && a.grid_size == b.grid_size && a.shared_memory == b.shared_memory &&
         a.cluster_size == b.cluster_size;
}

struct KernelBaseline {
  Configuration configuration;  // that of a candidate, or one that says what the launch is
  KernelConfig kernel;
};

KernelBaseline baseline_of(const SearchSpace& space, const Space& candidates) {
  if (!space.baseline) return {candidates.defaults(), kernel_of(space, candidates.defaults())};
  KernelConfig kernel = *space.baseline;
  const std::int64_t threads = kernel.block_size.count();
  if (kernel.block_size.x < 1 || kernel.block_size.y < 1 || kernel.block_size.z < 1)
    refuse("SearchSpace::baseline has a block of " + kernel.block_size.to_string() + " threads");
  const KernelConfig candidate = kernel_of(space, threads, space.elements_per_thread.front());
  if (!kernel.grid_size) kernel.grid_size = candidate.grid_size;
  if (kernel.shared_memory == Bytes{}) kernel.shared_memory = candidate.shared_memory;
  for (std::uint64_t i = 0; i < candidates.size(); ++i) {
    const Configuration configuration = candidates.at(i);
    if (same_launch(kernel_of(space, configuration), kernel)) return {configuration, kernel};
  }
  return {Configuration{{"block_size", kernel.block_size.to_string()},
                        {"grid_size", kernel.grid_size->to_string()},
                        {"shared_memory", static_cast<std::int64_t>(kernel.shared_memory.count)}},
          kernel};
}

// With what the binary needs, as far as it is known.
KernelConfig with_known_resources(const SearchSpace& space, const KernelConfig& config) {
  if (!space.resources) return config;
  KernelResources resources = *space.resources;
  resources.dynamic_shared.reset();  // follows from the block
  return config.with_resources(resources);
}

// Best first.
std::vector<std::uint64_t> recommended(const SearchSpace& space, const Space& candidates, const KernelTuner& tuner) {
  const Workload workload{space.workload_size, static_cast<std::uint64_t>(space.elements_per_thread.front())};
  RecommendOptions options;
  options.min_occupancy = space.min_occupancy;
  options.min_block = space.min_block_size;
  options.max_block = space.max_block_size;
  options.max_results = most_seeds;
  std::vector<Recommendation> found;
  if (!space.use_shared_memory) {
    found = tuner.recommend(workload, with_known_resources(space, KernelConfig{}), options);
  } else {
    // Any function of the block: one question for each.
    for (const Value& value : candidates.parameters().front().values) {
      const int threads = static_cast<int>(*as_integer(value));
      options.min_block = options.max_block = threads;
      KernelConfig kernel = with_known_resources(space, KernelConfig{});
      kernel.shared_memory = shared_memory(space, threads);
      for (auto& one : tuner.recommend(workload, kernel, options)) found.push_back(std::move(one));
    }
    const auto distance = [](const Recommendation& r) {
      return std::abs(std::log2(static_cast<double>(r.config.block_size.x) / detail::favoured_block));
    };
    std::stable_sort(found.begin(), found.end(), [&](const Recommendation& a, const Recommendation& b) {
      const double x = std::round(a.score * 1000), y = std::round(b.score * 1000);
      return x != y ? x > y : distance(a) < distance(b);
    });
    if (found.size() > most_seeds) found.resize(most_seeds);
  }
  std::vector<std::uint64_t> indices;
  for (const Recommendation& one : found) {
    Configuration configuration = candidates.defaults();
    configuration.set("block_size", one.config.block_size.x);
    if (const auto index = candidates.index_of(configuration)) indices.push_back(*index);
  }
  return indices;
}

// ---- the general form
// ------------------------------------------------------------------------------------------------

Configuration baseline_of(const ConfigurationSpace& definition, const Space& space) {
  if (!definition.baseline) {
    const Configuration defaults = space.defaults();
    return space.at(space.contains(defaults) ? *space.index_of(defaults) : space.repair(defaults));
  }
  Problem problem;
  problem.parameters = definition.parameters;
  problem.baseline = definition.baseline;
  const Configuration baseline = problem.baseline_configuration();
  // As the space writes it: 2 and 2.0 are the same value.
  const auto index = space.index_of(baseline);
  return index ? space.at(*index) : baseline;
}

void check(const TuningSessionOptions& options) {
  if (options.samples < 1)
    refuse(fmt::format("TuningSessionOptions::samples is {}; it must be at least 1", options.samples));
  if (options.warmup < 0)
    refuse(fmt::format("TuningSessionOptions::warmup is {}; it cannot be negative", options.warmup));
  if (options.batch < 1) refuse("TuningSessionOptions::batch is 0; it must be at least 1");
  if (options.finalists < 0 || options.final_rounds < 0)
    refuse("TuningSessionOptions::finalists and final_rounds cannot be negative; 0 means no final comparison");
  if (options.max_evaluations == std::uint64_t{0})
    refuse("TuningSessionOptions::max_evaluations is 0; leave it out for no limit");
  if (options.time_limit && !(options.time_limit->count() > 0))
    refuse("TuningSessionOptions::time_limit must be positive; leave it out for no limit");
  const int chosen =
      (options.strategy != "auto") + (options.make_algorithm != nullptr) + (options.algorithm != nullptr);
  if (chosen > 1) refuse("TuningSessionOptions: give one of strategy, make_algorithm and algorithm, not several");
  if (!options.strategy_options.empty() && (options.make_algorithm || options.algorithm))
    refuse("TuningSessionOptions::strategy_options are for a named strategy");
}

// ---- what profiles are for
// -------------------------------------------------------------------------------------------

store::ProfileKey identity_of(const PerformanceTunerOptions& options) {
  store::ProfileKey key;
  // No kernel has this hash or these types, so a look-up for one never finds the profile of a callable.
  ContentHash hash;
  hash.add("callable").add(options.code_version);
  key.source_hash = hash.hex();
  key.data_types = "callable";
  if (options.device) {
    key.backend = options.device->id.backend;
    key.device = options.device->name;
    key.architecture = options.device->architecture;
    key.device_kind = std::string(to_string(options.device->kind));
    key.toolkit = options.device->toolkit;
    key.driver = options.device->driver;
  } else {
    key.backend = "host";
    const HostInfo host = host_info();
    key.device = host.processor.empty() ? "unknown CPU" : host.processor;
    key.architecture = host.architecture;
    key.device_kind = std::string(to_string(DeviceKind::cpu));
  }
  return key;
}

std::optional<KernelTuner> tuner_of(const PerformanceTunerOptions& options) {
  if (options.kernel_tuner || !options.device) return options.kernel_tuner;
  try {
    return KernelTuner::for_device(*options.device);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::unsupported) throw;
    return std::nullopt;  // the plain limits of the device remain
  }
}

}  // namespace

EvaluatorResult EvaluatorResult::failed(TrialStatus status, std::string message) {
  if (status == TrialStatus::ok) throw Error(ErrorCode::bad_input, "EvaluatorResult::failed: 'ok' is no failure");
  EvaluatorResult result;
  result.status_ = status;
  result.message_ = std::move(message);
  return result;
}

struct PerformanceTuner::State {
  explicit State(PerformanceTunerOptions given)
      : options(std::move(given)),
        kernel_tuner(tuner_of(options)),
        identity(identity_of(options)),
        cache({options.profiles, identity, options.match}) {}

  const Clock& clock() const { return options.clock != nullptr ? *options.clock : steady; }

  // Holds a name for as long as it lives.
  class Running {
   public:
    Running(State& state, const std::string& name) : state_(state), name_(name) {
      if (name.empty()) refuse("a tuning session needs a name: its profile is found by it");
      const std::lock_guard lock(state.mutex);
      if (!state.running.insert(name).second)
        throw Error(ErrorCode::conflict,
                    "a tuning session named '" + name + "' is running already; wait for it or choose another name");
    }
    ~Running() {
      const std::lock_guard lock(state_.mutex);
      state_.running.erase(name_);
    }
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;

   private:
    State& state_;
    const std::string& name_;
  };

  std::optional<std::string> refusal(const SearchSpace& space, const KernelConfig& config) const {
    if (kernel_tuner) {
      const KernelConfig known = with_known_resources(space, config);
      const OccupancyInfo info = kernel_tuner->calculate_occupancy(known);
      if (!info.launchable()) return kernel_tuner->refusal_reason(known);
      if (info.occupancy < space.min_occupancy)
        return fmt::format("its occupancy of {:.3g} % is below the {:.3g} % asked for", info.occupancy * 100,
                           space.min_occupancy * 100);
      return std::nullopt;
    }
    if (!options.device) return std::nullopt;
    LaunchGeometry geometry;
    geometry.block = {config.block_size.x, config.block_size.y, config.block_size.z};
    geometry.grid = {config.grid_size->x, config.grid_size->y, config.grid_size->z};
    geometry.dynamic_shared = config.shared_memory;
    return exceeds_limits(geometry, *options.device);
  }

  PerformanceMetrics run(const detail::Callable& callable, const TuningSessionOptions& given) const {
    detail::CallableSession session(callable, given, options.strategies, clock());
    session.advance();
    return session.finish();
  }

  void keep(const std::string& name, const Configuration& dimensions, double work, const TuningSessionOptions& given,
            PerformanceMetrics& metrics) {
    if (!metrics.best || metrics.interrupted || !given.keep_profile) return;
    TuningProfile profile;
    profile.key = identity;
    profile.key.kernel = name;
    profile.key.dimensions = dimensions;
    profile.configuration = *metrics.best;
    profile.median = metrics.best_time;
    profile.spread = metrics.best_spread;
    profile.samples = metrics.finalists.empty()
                          ? given.samples
                          : static_cast<int>(tuning::reported_part(metrics.finalists.front().samples).size());
    if (metrics.baseline) profile.baseline = metrics.baseline->configuration;
    profile.baseline_median = metrics.baseline_time;
    if (metrics.speedup && metrics.speedup_interval)
      profile.paired_speedup = PairedRatio{*metrics.speedup, *metrics.speedup_interval};
    profile.evaluations = metrics.configs_evaluated;
    profile.strategy = metrics.strategy;
    profile.seed = metrics.seed;
    profile.verification = "by the evaluator";
    profile.created_at = tuning::utc_now();
    store::Json details{{"work", work},
                        {"throughput_per_second", metrics.best_throughput->per_second},
                        {"space_size", metrics.space_size}};
    if (metrics.best_kernel) details[store::kernel_config_key] = store::kernel_config_json(*metrics.best_kernel);
    profile.details = store::text_of(details);
    try {
      const std::int64_t id = cache.put(profile);
      if (options.profiles) metrics.profile_id = id;
    } catch (const Error& error) {
      // A disk that is full by now must not cost the result.
      metrics.warnings.push_back(std::string("the profile is in memory only, the database did not take it: ") +
                                 error.what());
    }
  }

  const PerformanceTunerOptions options;
  const std::optional<KernelTuner> kernel_tuner;
  const store::ProfileKey identity;
  const SteadyClock steady;
  ProfileCache cache;
  std::mutex mutex;
  std::set<std::string> running;
};

PerformanceTuner::PerformanceTuner(PerformanceTunerOptions options)
    : state_(std::make_unique<State>(std::move(options))) {}
PerformanceTuner::~PerformanceTuner() = default;

PerformanceMetrics PerformanceTuner::run_tuning_session(const std::string& name, const SearchSpace& space,
                                                        const KernelEvaluator& evaluator,
                                                        const TuningSessionOptions& options) {
  const State::Running running(*state_, name);
  check(options);
  if (!evaluator) refuse("the evaluator of session '" + name + "' is empty");
  const auto candidates = space_of(space);
  if (space.min_occupancy > 0 && !state_->kernel_tuner)
    refuse("SearchSpace::min_occupancy needs a device whose limits are known exactly: see PerformanceTunerOptions");
  const KernelBaseline baseline = baseline_of(space, *candidates);
  const auto kernel = [&](const Configuration& configuration) {
    return configuration == baseline.configuration ? baseline.kernel : kernel_of(space, configuration);
  };
  detail::Callable callable{
      *candidates,
      baseline.configuration,
      static_cast<double>(space.workload_size),
      [&](const Configuration& configuration) { return evaluator(kernel(configuration)); },
      [&](const Configuration& configuration) { return state_->refusal(space, kernel(configuration)); },
      {}};
  if (state_->kernel_tuner) callable.first = recommended(space, *candidates, *state_->kernel_tuner);
  PerformanceMetrics metrics = state_->run(callable, options);
  if (metrics.best) metrics.best_kernel = kernel(*metrics.best);
  state_->keep(name, Configuration{{"workload_size", static_cast<std::int64_t>(space.workload_size)}}, callable.work,
               options, metrics);
  return metrics;
}

PerformanceMetrics PerformanceTuner::run_tuning_session(const std::string& name, const ConfigurationSpace& space,
                                                        const ConfigurationEvaluator& evaluator,
                                                        const TuningSessionOptions& options) {
  const State::Running running(*state_, name);
  check(options);
  if (!evaluator) refuse("the evaluator of session '" + name + "' is empty");
  if (!(std::isfinite(space.work) && space.work > 0))
    refuse(fmt::format("ConfigurationSpace::work is {}; it must be a positive number", space.work));
  const auto configurations = space_of(space);
  const detail::Callable callable{*configurations, baseline_of(space, *configurations), space.work, evaluator, {}, {}};
  PerformanceMetrics metrics = state_->run(callable, options);
  state_->keep(name, space.dimensions, space.work, options, metrics);
  return metrics;
}

std::optional<TuningProfile> PerformanceTuner::profile(std::string_view name) const {
  const auto found = state_->cache.find(name);
  return found ? std::optional(found->profile) : std::nullopt;
}

std::optional<TuningProfile> PerformanceTuner::profile(std::string_view name, const Configuration& dimensions) const {
  const auto found = state_->cache.find(name, dimensions);
  return found ? std::optional(found->profile) : std::nullopt;
}

ProfileHandle PerformanceTuner::handle(std::string_view name) { return state_->cache.handle(name); }

ProfileHandle PerformanceTuner::handle(std::string_view name, const Configuration& dimensions) {
  return state_->cache.handle(name, dimensions);
}

ProfileCache& PerformanceTuner::profiles() { return state_->cache; }

std::unique_ptr<Space> PerformanceTuner::space_of(const SearchSpace& space) {
  check(space);
  return build_space(parameters_of(space), {});
}

std::unique_ptr<Space> PerformanceTuner::space_of(const ConfigurationSpace& space) {
  return build_space(space.parameters, space.constraints, space.options);
}

}  // namespace warpwright
