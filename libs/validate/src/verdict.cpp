#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <utility>

#include <warpwright/base/error.hpp>
#include <warpwright/base/units.hpp>
#include <warpwright/validate/verdict.hpp>

namespace warpwright::validate {
namespace {

constexpr double interval_confidence = 0.95;
constexpr std::uint64_t quick_seconds = 5;

// `rank` from 1, ascending.
std::optional<Nanoseconds> at_rank(const std::vector<Nanoseconds>& sorted, std::uint64_t rank) {
  if (rank == 0 || rank > sorted.size()) return std::nullopt;
  return sorted[rank - 1];
}

std::optional<Nanoseconds> from_largest(const std::vector<Nanoseconds>& sorted, std::optional<std::uint64_t> rank) {
  return rank && *rank >= 1 && *rank <= sorted.size() ? at_rank(sorted, sorted.size() + 1 - *rank) : std::nullopt;
}

LimitVerdict judge_limit(const Contract& contract, const Limit& limit, const std::vector<Nanoseconds>& sorted) {
  LimitVerdict verdict;
  verdict.limit = limit;
  verdict.requests = sorted.size();
  verdict.late = static_cast<std::uint64_t>(sorted.end() - std::upper_bound(sorted.begin(), sorted.end(), limit.limit));
  if (!limit.percentile) {
    // One request beyond it refutes it; that there was none is a fact about this run and no proof.
    if (verdict.late > 0) {
      verdict.outcome = Outcome::fail;
    } else if (verdict.requests > 0) {
      verdict.outcome = Outcome::pass;
    }
    verdict.sample = at_rank(sorted, sorted.size());
    verdict.most_late_to_pass = 0;
    return verdict;
  }
  const LateTest test = contract.test_of(limit);
  verdict.outcome = test.judge(verdict.requests, verdict.late);
  verdict.sample = at_rank(sorted, limit.percentile->rank(sorted.size()));
  verdict.bound = from_largest(sorted, test.bound_rank(verdict.requests));
  const RankInterval ranks = test.rank_interval(verdict.requests, interval_confidence);
  verdict.low = from_largest(sorted, ranks.deep);
  verdict.high = from_largest(sorted, ranks.shallow);
  verdict.share = test.bounds(verdict.requests, verdict.late);
  verdict.most_late_to_pass = test.most_late_to_pass(verdict.requests);
  verdict.more_to_pass = test.more_to_pass(verdict.requests, verdict.late);
  return verdict;
}

std::vector<std::string> reasons_against(const Contract& contract, const LatencyRun& run, const RunVerdict& verdict) {
  std::vector<std::string> reasons;
  if (run.failed > contract.validity.errors_max) {
    std::string reason = fmt::format("{} requests failed, {} may", run.failed, contract.validity.errors_max);
    if (!run.first_failure.empty()) reason += "; the first: " + run.first_failure;
    reasons.push_back(std::move(reason));
  }
  if (verdict.lateness_p99 && *verdict.lateness_p99 > contract.validity.late_issue_p99) {
    reasons.push_back(
        fmt::format("the generator itself was late: p99 {}, at most {} is allowed; give it a processor of its own",
                    format_duration(*verdict.lateness_p99), format_duration(contract.validity.late_issue_p99)));
  }
  if (run.without_stage > 0) {
    reasons.push_back(fmt::format("{} requests did not report every stage of the contract", run.without_stage));
  }
  if (run.stage_sum_off > 0) {
    reasons.push_back(
        fmt::format("the stages of {} requests add up to something else than the request took (by more than {} %)",
                    run.stage_sum_off, *contract.validity.stage_sum_gap * 100));
  }
  return reasons;
}

Contract quick_version(const Contract& contract) {
  Contract quick = contract;
  quick.run.repeats = 1;
  quick.run.warmup = std::min(quick.run.warmup, Seconds{1});
  quick.run.min_duration = std::min(quick.run.min_duration, Seconds{quick_seconds});
  quick.run.max_duration = std::min(quick.run.max_duration, Seconds{4 * quick_seconds});
  const Load& load = contract.load;
  if (load.kind == LoadKind::trace) {
    std::erase_if(quick.load.trace, [](Nanoseconds at) { return at > Seconds{quick_seconds}; });
  } else {
    const double in_time = load.rate_hz > 0 ? load.rate_hz * static_cast<double>(quick_seconds) : 1000;
    quick.run.min_requests = std::clamp<std::uint64_t>(static_cast<std::uint64_t>(in_time), 1, quick.run.min_requests);
  }
  return quick;
}

}  // namespace

RunVerdict judge_run(const Contract& contract, const LatencyRun& run) {
  RunVerdict verdict;
  verdict.repeat = run.repeat;
  verdict.seed = run.seed;
  verdict.requests = run.requests();
  verdict.failed = run.failed;
  verdict.dropped = run.dropped;
  verdict.unserved = run.unserved;
  verdict.first_failure = run.first_failure;
  verdict.complete = run.complete;
  verdict.elapsed = run.elapsed;
  std::vector<Nanoseconds> lateness = run.lateness;
  std::sort(lateness.begin(), lateness.end());
  verdict.lateness_p50 = at_rank(lateness, Percentile::percent(50).rank(lateness.size()));
  verdict.lateness_p99 = at_rank(lateness, Percentile::percent(99).rank(lateness.size()));
  verdict.lateness_max = at_rank(lateness, lateness.size());

  std::string stage_name;
  std::vector<Nanoseconds> sorted;
  verdict.outcome = Outcome::pass;
  for (const Limit& limit : contract.limits) {
    if (stage_name != limit.stage) {
      stage_name = limit.stage;
      const auto stage = std::find_if(run.stages.begin(), run.stages.end(),
                                      [&](const LatencyRun::Stage& other) { return other.name == limit.stage; });
      if (stage == run.stages.end()) {
        throw Error(ErrorCode::bad_input,
                    fmt::format("the run has no stage '{}', so it is of another contract", limit.stage));
      }
      sorted = stage->samples;
      std::sort(sorted.begin(), sorted.end());
      Histogram histogram(contract.stats.histogram);
      for (const Nanoseconds sample : sorted) histogram.add(sample);
      verdict.stages.push_back({limit.stage, std::move(histogram)});
    }
    verdict.limits.push_back(judge_limit(contract, limit, sorted));
    verdict.outcome = worst_of(verdict.outcome, verdict.limits.back().outcome);
  }
  verdict.invalid = reasons_against(contract, run, verdict);
  // Whoever stops a run may have looked at it, so it decides nothing.
  if (!run.complete) verdict.outcome = Outcome::inconclusive;
  if (!verdict.invalid.empty()) verdict.outcome = Outcome::invalid;
  return verdict;
}

Verdict judge(const Contract& contract, const std::vector<LatencyRun>& runs) {
  Verdict verdict;
  verdict.contract = contract;
  verdict.outcome = Outcome::pass;
  for (const LatencyRun& run : runs) {
    verdict.runs.push_back(judge_run(contract, run));
    verdict.outcome = worst_of(verdict.outcome, verdict.runs.back().outcome);
    if (!run.complete) {
      verdict.notes.push_back(
          fmt::format("run {} ended before it had what the contract asks for, so it decides nothing", run.repeat + 1));
    }
  }
  if (runs.size() < contract.run.repeats) {
    verdict.outcome = worst_of(verdict.outcome, Outcome::inconclusive);
    verdict.notes.push_back(fmt::format("{} of {} runs were made", runs.size(), contract.run.repeats));
  }
  if (contract.load.kind == LoadKind::closed) {
    verdict.notes.emplace_back(
        "closed loop: no requests arrived while the service was busy, so stalls count once; this says "
        "nothing about users who do not wait for each other");
  }
  for (const Limit& limit : contract.limits) {
    if (limit.percentile) continue;
    verdict.notes.push_back(limit.name() +
                            ": that no request exceeded it holds for these runs; no number of requests proves it");
  }
  return verdict;
}

Verdict validate(const Contract& contract, const Service& service, LoadClock& clock, const ValidateOptions& options) {
  check_contract(contract);
  const Contract used = options.quick ? quick_version(contract) : contract;
  std::vector<LatencyRun> runs;
  for (std::uint64_t repeat = 0; repeat < used.run.repeats; ++repeat) {
    if (options.stop_asked && options.stop_asked()) break;
    runs.push_back(run_load(used, repeat, service, clock, options.stop_asked));
    if (options.on_run) options.on_run(judge_run(used, runs.back()));
  }
  Verdict verdict = judge(used, runs);
  if (options.quick) {
    if (verdict.outcome == Outcome::pass) verdict.outcome = Outcome::inconclusive;
    verdict.notes.emplace_back("quick: a short look that can fail and never passes");
  }
  return verdict;
}

int exit_code(Outcome outcome) noexcept {
  switch (outcome) {
    case Outcome::pass:
      return 0;
    case Outcome::fail:
      return 1;
    case Outcome::inconclusive:
      return 3;
    case Outcome::invalid:
      return 4;
  }
  return 4;
}

}  // namespace warpwright::validate
