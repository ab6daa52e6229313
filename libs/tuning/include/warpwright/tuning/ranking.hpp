// Which of several candidates that were timed in turns is best, by how much, and which others cannot be told from it.
// The best of many noisy times is too good to be true (the winner's curse), so the first half of the rounds chooses and
// everything that is reported comes from the second: the winner is one candidate among the others there, its times are
// fresh, and the intervals and tests keep their promises.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include <warpwright/base/units.hpp>
#include <warpwright/model/statistics.hpp>
#include <warpwright/tuning/session.hpp>

namespace warpwright::tuning {

// The probability that any candidate which is as good as the winner is called worse.
inline constexpr double ranking_family_error = 0.05;
// How ties are found, in words.
inline constexpr const char* tie_method =
    "Holm's step-down procedure over one-sided sign tests of paired samples (t tests where the rounds are too few)";

struct RankingOptions {
  // A candidate that is worse by no more than this, relative to the winner, counts as a tie even if it can be told from
  // it.
  double tie_margin = 0.01;
  // What a time of candidate [i] stands for, to be minimised; the time itself if empty.
  std::function<double(std::size_t candidate, Nanoseconds time)> cost{};
  // [candidate]: its place in an order of preference, for candidates that the choosing rounds do not tell apart at all.
  // May be empty.
  std::vector<std::optional<std::uint64_t>> places{};
};

// How a candidate did in the rounds that are reported.
struct Standing {
  Nanoseconds median{}, spread{};  // spread is the interquartile range
  // Its time by the winner's, pair by pair: above 1 is slower. The intervals of all candidates hold together at 95 %
  // (Bonferroni), as far as the rounds suffice.
  PairedRatio ratio;
  bool tie = true;  // not told from the winner, or only by less than the margin
};

struct Ranking {
  std::size_t winner = 0;
  std::vector<Standing> standings;  // [candidate]
  std::vector<std::size_t> order;   // winner first, then by median cost
};

// How many of so many rounds choose: half, rounded down; the others are reported. One round has to do both.
std::size_t choosing_rounds(std::size_t rounds);
std::span<const Nanoseconds> choosing_part(const std::vector<Nanoseconds>& samples);
std::span<const Nanoseconds> reported_part(const std::vector<Nanoseconds>& samples);

// `samples` [candidate][round], all of one length and not empty. Throws Error(bad_input) otherwise.
Ranking rank_candidates(const std::vector<std::vector<Nanoseconds>>& samples, const RankingOptions& options = {});

// The same for finalists with samples: sets what is said of each, and returns their order, the winner first. Throws as
// rank_candidates().
std::vector<std::size_t> rank_finalists(std::vector<Finalist>& finalists, const RankingOptions& options = {});

// How many times as fast as `baseline` the other one is, pair by pair in the reported rounds, with its 95 % interval.
// For a candidate that was chosen without looking at these rounds: the winner.
PairedRatio speedup_over(const std::vector<Nanoseconds>& baseline, const std::vector<Nanoseconds>& other);

// Rounds of an interleaved comparison of so many candidates: `wanted`, fewer where they would take longer than about 5
// s. Not fewer than the sign test and the interval of the speed-up need while these take half a minute at most, and
// then at least 6.
int comparison_rounds(int wanted, std::size_t candidates, Nanoseconds one_round);

}  // namespace warpwright::tuning
