#include <algorithm>
#include <fmt/format.h>
#include <utility>

#include <warpwright/base/error.hpp>
#include <warpwright/model/statistics.hpp>
#include <warpwright/store/json.hpp>
#include <warpwright/tuning/pipeline_tuning.hpp>

#include "evaluator.hpp"

namespace warpwright::tuning {
namespace {

using memory::PipelineConfig;

// In nanoseconds, as the functions of model/statistics.hpp want them.
std::vector<double> plain(const std::vector<Nanoseconds>& samples) {
  std::vector<double> numbers;
  for (const Nanoseconds sample : samples) numbers.push_back(sample.count());
  return numbers;
}

constexpr const char* chunk_name = "chunk_kib";
constexpr const char* depth_name = "depth";
constexpr const char* variant_name = "variant";

Configuration configuration_of(const PipelineConfig& config) {
  return Configuration{{chunk_name, static_cast<std::int64_t>(config.chunk.count / 1024)},
                       {depth_name, static_cast<std::int64_t>(config.depth)},
                       {variant_name, std::string(to_string(config.variant))}};
}

// nullopt where a value is missing or no such thing.
std::optional<PipelineConfig> shaped(const Configuration& configuration, PipelineConfig base) {
  const Value* chunk = configuration.find(chunk_name);
  const Value* depth = configuration.find(depth_name);
  const Value* variant = configuration.find(variant_name);
  if (chunk == nullptr || depth == nullptr || variant == nullptr) return std::nullopt;
  const auto* kib = std::get_if<std::int64_t>(chunk);
  const auto* slots = std::get_if<std::int64_t>(depth);
  const auto* name = std::get_if<std::string>(variant);
  if (kib == nullptr || slots == nullptr || name == nullptr || *kib < 1 || *slots < 1 || *slots > 64)
    return std::nullopt;
  const auto parsed = memory::parse_pipeline_variant(*name);
  if (!parsed) return std::nullopt;
  // Output follows the input in the baseline's proportion.
  const double ratio = static_cast<double>(base.output_bytes().count) / static_cast<double>(base.chunk.count);
  const bool same = base.output_chunk.count == 0;
  base.chunk = Bytes{static_cast<std::uint64_t>(*kib) * 1024};
  if (!same) base.output_chunk = Bytes{static_cast<std::uint64_t>(ratio * static_cast<double>(base.chunk.count) + 0.5)};
  base.depth = static_cast<int>(*slots);
  base.variant = *parsed;
  return base;
}

// Whether `candidate` is faster than `other` in paired rounds.
bool beyond_doubt(const PipelineTrial& candidate, const PipelineTrial& other) {
  if (candidate.samples.size() != other.samples.size()) return *candidate.median < *other.median;
  return paired_ratio(plain(candidate.samples), plain(other.samples)).interval.high < 1;
}

template <class T>
void add_unique(std::vector<T>& values, const T& value) {
  if (std::find(values.begin(), values.end(), value) == values.end()) values.push_back(value);
}

std::unique_ptr<Space> shapes(const memory::MemoryOptimizer& optimizer, const PipelineTuningOptions& options,
                              bool has_graphs) {
  std::vector<Bytes> chunks = options.chunks;
  if (chunks.empty())
    for (std::uint64_t mib = 1; mib <= 32; mib *= 2) chunks.push_back(Bytes{mib << 20});
  std::vector<int> depths = options.depths;
  std::vector<memory::PipelineVariant> variants = options.variants;
  add_unique(chunks, options.baseline.chunk);
  add_unique(depths, options.baseline.depth);
  add_unique(variants, options.baseline.variant);
  std::sort(chunks.begin(), chunks.end());
  std::sort(depths.begin(), depths.end());
  std::vector<Parameter> parameters(3);
  parameters[0].name = chunk_name;
  for (const Bytes chunk : chunks) {
    if (chunk.count == 0 || chunk.count % 1024 != 0)
      throw Error(ErrorCode::bad_input,
                  fmt::format("chunk sizes to search must be multiples of 1 KiB, not {}", format_bytes(chunk)));
    parameters[0].values.emplace_back(static_cast<std::int64_t>(chunk.count / 1024));
  }
  parameters[1].name = depth_name;
  for (const int depth : depths) parameters[1].values.emplace_back(static_cast<std::int64_t>(depth));
  parameters[2].name = variant_name;
  parameters[2].ordered = false;
  for (const auto variant : variants) {
    if (variant == memory::PipelineVariant::graph && !has_graphs) continue;
    if (variant == memory::PipelineVariant::role_streams || !options.baseline.ordered_kernels)
      parameters[2].values.emplace_back(std::string(to_string(variant)));
  }
  const memory::MemoryBudget budget = optimizer.budget();
  const auto fits = [budget, base = options.baseline](const Configuration& configuration) {
    const auto config = shaped(configuration, base);
    if (!config) return false;
    const memory::MemoryBudget needed = ring_bytes(*config);
    return needed.pinned <= budget.pinned && needed.device <= budget.device;
  };
  return build_space(std::move(parameters), {Constraint::from("the ring fits into both budgets", fits)});
}

}  // namespace

store::ProfileKey pipeline_profile_key(const PipelineWork& work, const DeviceInfo& device, Bytes volume) {
  store::ProfileKey key;
  key.kernel = "pipeline/" + work.name;
  key.source_hash = work.identity;
  key.data_types = "bytes";
  key.backend = device.id.backend;
  key.device = device.name;
  key.architecture = device.architecture;
  key.device_kind = std::string(to_string(device.kind));
  key.dimensions = Configuration{{"bytes", static_cast<std::int64_t>(volume.count)}};
  key.toolkit = device.toolkit;
  key.driver = device.driver;
  key.cache_mode = "warm";
  return key;
}

memory::PipelineConfig pipeline_config(const store::TuningProfile& profile, const memory::PipelineConfig& base) {
  if (const auto config = shaped(profile.configuration, base)) return *config;
  throw Error(ErrorCode::corrupted,
              fmt::format("profile {} of '{}' holds no shape of a pipeline (chunk_kib, depth, variant): {}", profile.id,
                          profile.key.kernel, profile.configuration.describe()));
}

PipelineTuningResult tune_pipeline(memory::MemoryOptimizer& optimizer, const StrategyRegistry& strategies,
                                   const PipelineWork& work, const PipelineTuningOptions& options) {
  const SteadyClock steady;
  const Clock& clock = options.clock != nullptr ? *options.clock : steady;
  const DeviceInfo& device = optimizer.context().device();
  const auto space = shapes(optimizer, options, device.supports_graphs);
  StrategySettings settings = options.strategy_settings;
  const auto baseline_index = space->index_of(configuration_of(options.baseline));
  if (!baseline_index)
    throw Error(ErrorCode::bad_input, "the pipeline to begin with exceeds a budget: lower its chunk size or depth");
  settings.initial.insert(settings.initial.begin(), *baseline_index);
  const auto strategy = strategies.create(options.strategy, *space, settings);

  PipelineTuningResult result;
  result.space_size = space->size();
  result.volume = options.volume;
  const auto stopped = [&] { return options.stop != nullptr && options.stop->load(); };
  // One run of the volume. Throws when the device is lost.
  const auto measure = [&](PipelineTrial& trial) {
    try {
      const auto source = work.source(options.volume);
      const auto sink = work.sink();
      const memory::PipelineResult run = optimizer.run(trial.config, *source, work.kernel, *sink);
      run.check();
      trial.samples.push_back(run.stats.wall);
    } catch (const Error& error) {
      if (error.code() == ErrorCode::device || error.code() == ErrorCode::conflict) throw;
      trial.status = error.code() == ErrorCode::timeout         ? TrialStatus::timed_out
                     : error.code() == ErrorCode::out_of_memory ? TrialStatus::resource_exceeded
                                                                : TrialStatus::launch_failed;
      trial.message = error.what();
    }
  };
  const auto with_median = [](PipelineTrial& trial) {
    if (trial.status == TrialStatus::ok && !trial.samples.empty())
      trial.median = Nanoseconds{median(plain(trial.samples))};
  };

  const std::uint64_t most = std::min(options.max_evaluations.value_or(space->size()), space->size());
  while (result.trials.size() < most && !stopped()) {
    const auto asked = strategy->ask(1);
    if (asked.empty()) break;
    for (const std::uint64_t index : asked) {
      PipelineTrial trial;
      trial.config = *shaped(space->at(index), options.baseline);
      const Nanoseconds begin = clock.now();
      // The first run of a shape allocates and warms up; the second is timed.
      measure(trial);
      trial.samples.clear();
      if (trial.status == TrialStatus::ok) measure(trial);
      with_median(trial);
      SearchOutcome outcome;
      outcome.status = trial.status;
      if (trial.median) outcome.objective = trial.median->count();
      outcome.cost = clock.now() - begin;
      strategy->tell(index, outcome);
      result.trials.push_back(std::move(trial));
      if (options.progress) options.progress(result.trials.size(), most);
    }
  }
  result.interrupted = stopped();

  std::vector<PipelineTrial> ranked;
  for (const PipelineTrial& trial : result.trials)
    if (trial.median) ranked.push_back(trial);
  if (ranked.empty())
    throw Error(result.interrupted ? ErrorCode::interrupted : ErrorCode::launch,
                "no shape of the pipeline could be measured" +
                    (result.trials.empty() ? std::string() : ": " + result.trials.front().message));
  std::stable_sort(ranked.begin(), ranked.end(), [](const auto& a, const auto& b) { return *a.median < *b.median; });
  const Configuration baseline = configuration_of(options.baseline);
  const auto is_baseline = [&](const PipelineTrial& trial) { return configuration_of(trial.config) == baseline; };
  const auto kept = static_cast<std::ptrdiff_t>(
      std::min<std::size_t>(ranked.size(), static_cast<std::size_t>(std::max(1, options.finalists))));
  result.finalists.assign(ranked.begin(), ranked.begin() + kept);
  if (std::none_of(result.finalists.begin(), result.finalists.end(), is_baseline)) {
    const auto found = std::find_if(ranked.begin(), ranked.end(), is_baseline);
    if (found != ranked.end()) result.finalists.push_back(*found);
  }
  // Each shape allocates anew when another ran before it, so every one gets an untimed run in each round.
  std::vector<PipelineTrial> searched = result.finalists;
  for (PipelineTrial& each : result.finalists) {
    each.samples.clear();
    each.median.reset();
  }
  for (int round = 0; round < std::max(1, options.final_rounds) && !stopped(); ++round)
    for (PipelineTrial& each : result.finalists) {
      if (each.status != TrialStatus::ok) continue;
      const std::size_t before = each.samples.size();
      measure(each);
      each.samples.resize(before);
      measure(each);
    }
  std::erase_if(result.finalists, [&](PipelineTrial& each) {
    with_median(each);
    return each.status != TrialStatus::ok || !each.median;
  });
  if (result.finalists.empty() && stopped()) {
    // Stopped before the comparison: what the search measured is what there is.
    result.interrupted = true;
    result.finalists = std::move(searched);
  }
  if (result.finalists.empty())
    throw Error(ErrorCode::launch, "every shape that was the fastest once failed when it was run again");
  std::stable_sort(result.finalists.begin(), result.finalists.end(),
                   [](const auto& a, const auto& b) { return *a.median < *b.median; });
  // The shape to begin with gives way to one that is faster beyond doubt: the fastest of several is often a lucky one.
  if (const auto baseline_at = std::find_if(result.finalists.begin(), result.finalists.end(), is_baseline);
      baseline_at != result.finalists.end() && !beyond_doubt(result.finalists.front(), *baseline_at))
    std::rotate(result.finalists.begin(), baseline_at, baseline_at + 1);
  const PipelineTrial& winner = result.finalists.front();
  result.best = winner.config;
  result.best_median = *winner.median;
  const auto reference = std::find_if(result.finalists.begin(), result.finalists.end(), is_baseline);
  result.baseline_median = reference != result.finalists.end() ? *reference->median : result.best_median;
  result.speedup = result.baseline_median / result.best_median;

  store::TuningProfile& profile = result.profile;
  profile.key = pipeline_profile_key(work, device, options.volume);
  profile.configuration = configuration_of(result.best);
  profile.median = result.best_median;
  profile.spread = Nanoseconds{interquartile_range(plain(winner.samples))};
  profile.samples = static_cast<int>(winner.samples.size());
  if (reference != result.finalists.end()) {
    profile.baseline = baseline;
    profile.baseline_median = result.baseline_median;
  }
  profile.evaluations = result.trials.size();
  profile.strategy = options.strategy;
  profile.seed = options.strategy_settings.seed;
  profile.verification = "by the sink of the work";
  profile.created_at = utc_now();
  profile.details = store::text_of(store::Json{{"pinned_budget_bytes", optimizer.budget().pinned.count},
                                               {"device_budget_bytes", optimizer.budget().device.count}});
  return result;
}

}  // namespace warpwright::tuning
