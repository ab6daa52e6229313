// From the runs of a contract to its verdict, and the verdict as text and JSON.
// A point estimate passes nothing: each limit is decided by its exact count of late requests, each run by all its
// limits, and the contract by all its runs. What makes a run no evidence at all (a late generator, failing requests,
// missing stages) makes it INVALID, which no other result outweighs.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <warpwright/base/histogram.hpp>
#include <warpwright/validate/contract.hpp>
#include <warpwright/validate/late_test.hpp>
#include <warpwright/validate/load.hpp>

namespace warpwright::validate {

// One limit in one run.
struct LimitVerdict {
  Limit limit;
  Outcome outcome = Outcome::inconclusive;
  std::uint64_t requests = 0, late = 0;
  // The sample of the percentile's rank (the largest for a limit of every request); nullopt without samples.
  std::optional<Nanoseconds> sample;
  // The smallest limit that would have passed: the upper confidence bound of the percentile. nullopt if the run is too
  // short, and for a limit of every request, which no run proves.
  std::optional<Nanoseconds> bound;
  // The true percentile lies in it with 95 %; an end is missing where the run is too short.
  std::optional<Nanoseconds> low, high;
  // Of the true share of late requests.
  ShareBounds share;
  std::optional<std::uint64_t> most_late_to_pass;
  std::uint64_t more_to_pass = 0;  // requests, if none of them is late
};

struct RunVerdict {
  std::uint64_t repeat = 0, seed = 0;
  Outcome outcome = Outcome::inconclusive;
  std::vector<std::string> invalid;  // why it is no evidence
  std::vector<LimitVerdict> limits;  // in the order of the contract
  std::uint64_t requests = 0, failed = 0, dropped = 0, unserved = 0;
  std::string first_failure;
  bool complete = false;
  Nanoseconds elapsed{0};
  // Of the generator, exact nearest ranks; nullopt where it started no request.
  std::optional<Nanoseconds> lateness_p50, lateness_p99, lateness_max;
  struct Stage {
    std::string name;
    Histogram histogram;  // requests without a time are above its range
  };
  std::vector<Stage> stages;
};

struct Verdict {
  Contract contract;
  Outcome outcome = Outcome::inconclusive;
  // Why it is not PASS although no limit was broken, and what else its reader must know.
  std::vector<std::string> notes;
  std::vector<RunVerdict> runs;
};

// Throws Error(bad_input) for runs of another contract (stages differ).
RunVerdict judge_run(const Contract& contract, const LatencyRun& run);
// All repeats must pass; fewer runs than the contract has, or runs that were stopped, are INCONCLUSIVE at best.
Verdict judge(const Contract& contract, const std::vector<LatencyRun>& runs);

struct ValidateOptions {
  // One short run without all repeats, to see whether everything works; it can fail and never passes.
  bool quick = false;
  StopAsked stop_asked;
  // After each repeat.
  std::function<void(const RunVerdict&)> on_run;
};
// Runs all repeats of a contract on a service and judges them. Blocks. Throws Error(bad_input) as check_contract()
// does.
Verdict validate(const Contract& contract, const Service& service, LoadClock& clock,
                 const ValidateOptions& options = {});

// A few lines for a person.
std::string to_text(const Verdict& verdict);
// docs/validation.md lists its keys. What is not known is null.
std::string to_json_text(const Verdict& verdict);
// 0 PASS, 1 FAIL, 3 INCONCLUSIVE, 4 INVALID: the codes of `warpwright validate`.
int exit_code(Outcome outcome) noexcept;

}  // namespace warpwright::validate
