#include <fmt/format.h>

#include <warpwright/base/error.hpp>
#include <warpwright/tuning/comparison.hpp>

#include "evaluator.hpp"

namespace warpwright::tuning {
namespace {

using Part = TimeAccount::Part;

void check_complete(const Problem& problem, const std::vector<Configuration>& configurations) {
  if (configurations.empty()) throw Error(ErrorCode::bad_input, "a comparison needs at least one configuration");
  for (const auto& configuration : configurations)
    for (const auto& parameter : problem.parameters)
      if (configuration.find(parameter.name) == nullptr)
        throw Error(ErrorCode::bad_input, fmt::format("configuration {} lacks a value of parameter '{}'",
                                                      configuration.describe(), parameter.name));
}

}  // namespace

ComparisonResult compare_configurations(const Problem& problem, Evaluation& evaluation, const Clock& clock,
                                        const std::vector<Configuration>& configurations,
                                        const ComparisonOptions& options) {
  check_complete(problem, configurations);
  ComparisonResult result;
  result.evaluation = evaluation.start();
  TimeAccount account(clock, {});
  measure::TimingOptions timing;
  timing.cache = options.cache;
  timing.max_samples = timing.min_samples;
  Evaluator evaluator(problem, evaluation, timing, account);

  InterleaveTask task;
  task.id = first_extra_id;
  task.cache = options.cache;
  task.seed = options.seed;
  std::vector<std::size_t> taking_part;
  Nanoseconds one_round{};
  for (const auto& configuration : configurations) {
    ComparedConfiguration& entry = result.configurations.emplace_back();
    entry.trial = evaluator.evaluate_alone(configuration, result.evaluation.device, first_extra_id, options.stop);
    entry.trial.ordinal = result.configurations.size() - 1;
    if (!entry.trial.ok()) continue;
    CompileDone compiled = evaluator.compile_now({first_extra_id, configuration, {}}, Part::compile_wait, options.stop);
    if (compiled.status != TrialStatus::ok)
      throw Error(ErrorCode::compile, configuration.describe() + " compiled once and not again: " + compiled.message);
    task.configurations.push_back(configuration);
    task.binaries.push_back(std::move(compiled.binary));
    one_round += *entry.trial.median;
    taking_part.push_back(result.configurations.size() - 1);
  }
  if (taking_part.empty()) return result;
  task.rounds = comparison_rounds(options.rounds, one_round);
  const InterleaveDone done = evaluator.interleave_now(std::move(task), Part::device, options.stop);
  if (done.status != TrialStatus::ok)
    throw Error(ErrorCode::device, "the interleaved comparison failed: " + done.message);

  for (std::size_t i = 0; i < taking_part.size(); ++i) {
    ComparedConfiguration& entry = result.configurations[taking_part[i]];
    entry.samples = done.samples.at(i);
    const auto samples = counts_of(entry.samples);
    entry.median = Nanoseconds(median(samples));
    entry.spread = Nanoseconds(interquartile_range(samples));
    entry.impossible = evaluator.impossible(entry.trial.configuration, result.evaluation.device, entry.median);
    if (!entry.impossible.empty()) continue;
    if (!result.fastest || entry.median < result.configurations[*result.fastest].median)
      result.fastest = taking_part[i];
  }
  if (!result.fastest) return result;
  const auto fastest = counts_of(result.configurations[*result.fastest].samples);
  for (const std::size_t index : taking_part) {
    ComparedConfiguration& entry = result.configurations[index];
    entry.ratio = paired_ratio(counts_of(entry.samples), fastest);
    entry.tie = is_tie(entry.ratio, options.tie_margin);
  }
  return result;
}

}  // namespace warpwright::tuning
