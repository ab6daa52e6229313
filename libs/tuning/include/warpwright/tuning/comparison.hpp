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
#include <warpwright/model/problem.hpp>
#include <warpwright/model/statistics.hpp>
#include <warpwright/tuning/evaluation.hpp>

namespace warpwright::tuning {

struct ComparisonOptions {
  measure::CacheMode cache = measure::CacheMode::cold;
  int rounds = 50;  // samples of each; fewer, but at least 5, where they would take more than about 5 s
  double tie_margin = 0.01;
  std::uint64_t seed = 0;  // of the order within each round
  const std::atomic<bool>* stop = nullptr;
};

struct ComparedConfiguration {
  Trial trial;                       // verified alone first; what follows is empty unless it is ok
  std::vector<Nanoseconds> samples;  // interleaved with those of the others, one a round
  Nanoseconds median{}, spread{};    // of these; spread is the interquartile range
  PairedRatio ratio;                 // against the fastest, pair by pair: above 1 is slower
  bool tie = false;                  // cannot be told from the fastest, or only by less than tie_margin
  std::string impossible;            // why `median` cannot be (Conditions::impossible); then it is never the fastest
};

struct ComparisonResult {
  EvaluationInfo evaluation;
  std::vector<ComparedConfiguration> configurations;  // in the order given
  std::optional<std::size_t> fastest;  // by median of the interleaved samples; nullopt if none is ok and possible
};

// A configuration may be given several times (a kernel against itself). Throws Error(bad_input) where there is none or
// one lacks a parameter, Error(interrupted) when stopped, Error(device) when the device fails in the comparison itself.
ComparisonResult compare_configurations(const Problem& problem, Evaluation& evaluation, const Clock& clock,
                                        const std::vector<Configuration>& configurations,
                                        const ComparisonOptions& options = {});

}  // namespace warpwright::tuning
