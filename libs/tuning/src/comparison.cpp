#include <fmt/format.h>

#include <warpwright/base/error.hpp>
#include <warpwright/tuning/comparison.hpp>
#include <warpwright/tuning/ranking.hpp>

#include "evaluator.hpp"
#include "second_verification.hpp"

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

ComparisonResult compare_configurations(const Problem& problem, execution::Evaluation& evaluation, const Clock& clock,
                                        const std::vector<Configuration>& configurations,
                                        const ComparisonOptions& options) {
  check_complete(problem, configurations);
  if (options.with_reference && !std::holds_alternative<ReferenceKernel>(problem.reference))
    throw Error(ErrorCode::bad_input, fmt::format("the reference of '{}' cannot be timed: it is no kernel; give "
                                                  "[reference] a kernel and its launches",
                                                  problem.name));
  ComparisonResult result;
  result.evaluation = evaluation.start();
  TimeAccount account(clock, {});
  measure::TimingOptions timing;
  timing.cache = options.cache;
  timing.max_samples = timing.min_samples;
  const Evaluator evaluator(problem, timing);
  TaskBatch batch(account);
  const auto wait = [&] { drive(batch, evaluation, options.stop); };

  SecondVerification verification(problem, result.evaluation, options.seed, batch, Part::device);
  verification.check_references([] {});
  wait();
  std::vector<Binary> binaries(configurations.size());
  std::vector<Verified> candidates;
  std::vector<std::size_t> candidate_of;
  for (std::size_t i = 0; i < configurations.size(); ++i) {
    ComparedConfiguration& entry = result.configurations.emplace_back();
    evaluator.evaluate_alone(batch, configurations[i], result.evaluation.device, [&](Trial trial, Binary binary) {
      entry.trial = std::move(trial);
      binaries[i] = std::move(binary);
    });
    wait();
    entry.trial.ordinal = i;
    if (!entry.trial.ok()) continue;
    Verified& candidate = candidates.emplace_back();
    candidate.configuration = configurations[i];
    candidate.binary = &binaries[i];
    candidate_of.push_back(i);
  }
  verification.run(candidates, [] {});
  wait();

  execution::InterleaveTask task;
  task.cache = options.cache;
  task.seed = options.seed;
  task.with_reference = options.with_reference;
  std::vector<std::size_t> taking_part;
  Nanoseconds one_round{};
  for (std::size_t c = 0; c < candidates.size(); ++c) {
    const std::size_t i = candidate_of[c];
    Trial& trial = result.configurations[i].trial;
    if (candidates[c].status != TrialStatus::ok) {
      record_failure(trial, candidates[c]);
      continue;
    }
    task.configurations.push_back(configurations[i]);
    task.binaries.push_back(std::move(binaries[i]));
    one_round += *trial.median;
    taking_part.push_back(i);
  }
  if (taking_part.empty()) return result;
  task.rounds = comparison_rounds(options.rounds, taking_part.size(), one_round);
  execution::InterleaveDone done;
  batch.begin({std::move(task)}, Part::device, [&](TaskBatch::Results results) {
    done = std::get<execution::InterleaveDone>(std::move(results.front()));
  });
  wait();
  if (done.status != TrialStatus::ok)
    throw Error(ErrorCode::device, "the interleaved comparison failed: " + done.message);

  std::vector<std::size_t> possible;
  std::vector<std::vector<Nanoseconds>> samples;
  for (std::size_t i = 0; i < taking_part.size(); ++i) {
    ComparedConfiguration& entry = result.configurations[taking_part[i]];
    entry.samples = done.samples.at(i);
    if (i < done.marks.size()) entry.marks = done.marks[i];
    entry.median = Nanoseconds(median(counts_of(entry.samples)));
    entry.spread = Nanoseconds(interquartile_range(counts_of(entry.samples)));
    entry.impossible = evaluator.impossible(entry.trial.configuration, result.evaluation.device, entry.median);
    if (!entry.impossible.empty()) continue;
    possible.push_back(taking_part[i]);
    samples.push_back(entry.samples);
  }
  if (possible.empty()) return result;
  RankingOptions ranking_options;
  ranking_options.tie_margin = options.tie_margin;
  const Ranking ranking = rank_candidates(samples, ranking_options);
  result.fastest = possible[ranking.winner];
  for (std::size_t i = 0; i < possible.size(); ++i) {
    ComparedConfiguration& entry = result.configurations[possible[i]];
    entry.median = ranking.standings[i].median;
    entry.spread = ranking.standings[i].spread;
    entry.ratio = ranking.standings[i].ratio;
    entry.tie = ranking.standings[i].tie;
  }
  if (options.with_reference) {
    ComparedReference& reference = result.reference.emplace();
    reference.samples = done.samples.at(taking_part.size());
    if (taking_part.size() < done.marks.size()) reference.marks = done.marks[taking_part.size()];
    const std::vector<double> times = counts_of(reported_part(reference.samples));
    reference.median = Nanoseconds(median(times));
    reference.spread = Nanoseconds(interquartile_range(times));
    reference.ratio = speedup_over(reference.samples, result.configurations[*result.fastest].samples);
  }
  return result;
}

}  // namespace warpwright::tuning
