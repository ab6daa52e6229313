// A few given configurations against each other: each verified, then sampled in turn, so that drift of clocks and
// temperature hits all alike, and compared pair by pair. Answers "is A faster than B, by how much, and how sure is
// that".
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <warpwright/base/clock.hpp>
#include <warpwright/execution/evaluation.hpp>
#include <warpwright/model/problem.hpp>
#include <warpwright/model/statistics.hpp>

namespace warpwright::tuning {

struct ComparisonOptions {
  measure::CacheMode cache = measure::CacheMode::cold;
  int rounds = 50;  // samples of each; fewer, but at least 6, where they would take more than about 5 s
  double tie_margin = 0.01;
  std::uint64_t seed = 0;  // of the order within each round
  // Times the problem's reference kernel in turns with the configurations: what a speed-up over it is quoted from. The
  // reference is what judges the configurations, so it is not verified itself, and its time is not known when the
  // rounds are chosen: a slow one makes them take longer.
  bool with_reference = false;
  const std::atomic<bool>* stop = nullptr;
};

struct ComparedConfiguration {
  Trial trial;                       // verified alone first; what follows is empty unless it is ok
  std::vector<Nanoseconds> samples;  // interleaved with those of the others, one a round
  std::vector<std::string> marks;    // how they came about, as Conditions::marks
  // Of their second half, which had no part in choosing the fastest; spread is the interquartile range.
  Nanoseconds median{}, spread{};
  // Its times by those of the fastest, pair by pair: above 1 is slower. The intervals of all hold together at 95 %.
  PairedRatio ratio;
  // Not told from the fastest (by Holm's procedure at 5 % for all together), or only by less than tie_margin.
  bool tie = false;
  std::string
      impossible;  // why a median of all samples cannot be (Conditions::impossible); then it is never the fastest
};

// The reference kernel beside the configurations; it is never the fastest, and no configuration ties with it.
struct ComparedReference {
  std::vector<Nanoseconds> samples;  // as those of the configurations
  std::vector<std::string> marks;
  Nanoseconds median{}, spread{};  // of their second half
  // Its times by those of the fastest configuration, pair by pair, with an interval of its own at 95 %: the speed-up.
  PairedRatio ratio;
};

struct ComparisonResult {
  EvaluationInfo evaluation;
  std::vector<ComparedConfiguration> configurations;  // in the order given
  // By the median of the first half of the interleaved samples; nullopt if none is ok and possible.
  std::optional<std::size_t> fastest;
  // Where it was asked for and there is a fastest one.
  std::optional<ComparedReference> reference;
};

// A configuration may be given several times (a kernel against itself). Throws Error(bad_input) where there is none or
// one lacks a parameter, or where the reference is to take part and is no kernel, Error(interrupted) when stopped,
// Error(device) when the device fails in the comparison itself.
ComparisonResult compare_configurations(const Problem& problem, execution::Evaluation& evaluation, const Clock& clock,
                                        const std::vector<Configuration>& configurations,
                                        const ComparisonOptions& options = {});

}  // namespace warpwright::tuning
