#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include <warpwright/base/error.hpp>
#include <warpwright/model/significance.hpp>
#include <warpwright/tuning/ranking.hpp>

#include "evaluator.hpp"

namespace warpwright::tuning {
namespace {

using Costs = std::vector<double>;

// Of paired costs, relative to the second: above 0 is worse.
std::vector<double> relative_differences(const Costs& costs, const Costs& others) {
  std::vector<double> differences;
  differences.reserve(costs.size());
  for (std::size_t i = 0; i < costs.size(); ++i) {
    const double difference = costs[i] == others[i] ? 0 : (costs[i] - others[i]) / std::abs(others[i]);
    // What cannot be computed costs infinitely much.
    differences.push_back(std::isnan(difference) ? (costs[i] < others[i] ? -1 : 1) : difference);
  }
  return differences;
}

class Ranker {
 public:
  Ranker(const std::vector<std::vector<Nanoseconds>>& samples, const RankingOptions& options)
      : samples_(samples), options_(options) {
    if (samples.empty() || samples.front().empty()) throw Error(ErrorCode::bad_input, "there is nothing to rank");
    for (const auto& series : samples)
      if (series.size() != samples.front().size())
        throw Error(ErrorCode::bad_input, "candidates that took turns have as many samples as each other");
  }

  Ranking run() const {
    Ranking ranking;
    ranking.winner = choose();
    report(ranking);
    return ranking;
  }

 private:
  Costs costs(std::size_t candidate, std::span<const Nanoseconds> part) const {
    if (!options_.cost) return counts_of(part);
    Costs all;
    all.reserve(part.size());
    for (const Nanoseconds time : part) all.push_back(options_.cost(candidate, time));
    return all;
  }

  // A median of costs is the cost of a median where the cost grows with the time, and of nothing where it does not.
  std::size_t choose() const {
    std::vector<Costs> all;
    std::vector<double> medians;
    for (std::size_t i = 0; i < samples_.size(); ++i) {
      all.push_back(costs(i, choosing_part(samples_[i])));
      medians.push_back(median(all.back()));
    }
    const auto best = static_cast<std::size_t>(std::min_element(medians.begin(), medians.end()) - medians.begin());
    std::size_t chosen = best;
    for (std::size_t i = 0; i < options_.places.size() && i < samples_.size(); ++i) {
      const auto &place = options_.places[i], &so_far = options_.places[chosen];
      if (place && so_far && *place < *so_far && same(relative_differences(all[i], all[best]))) chosen = i;
    }
    return chosen;
  }

  // Whether choosing rounds show nothing that tells one from the best of them.
  bool same(const std::vector<double>& differences) const {
    return median_interval(differences).low <= 0 && median(differences) <= options_.tie_margin / 10;
  }

  void report(Ranking& ranking) const {
    const std::size_t count = samples_.size();
    const std::size_t others = count - 1;
    const double single_error = ranking_family_error / static_cast<double>(std::max<std::size_t>(1, others));
    const Costs best_costs = costs(ranking.winner, reported_part(samples_[ranking.winner]));
    const auto best_times = counts_of(reported_part(samples_[ranking.winner]));
    // Fewer rounds than this could not tell anything apart by signs.
    const bool signs_suffice = std::exp2(-static_cast<double>(best_times.size())) <= single_error;
    std::vector<double> medians, p_values;
    std::vector<bool> near;
    for (std::size_t i = 0; i < count; ++i) {
      const auto part = reported_part(samples_[i]);
      const auto times = counts_of(part);
      const Costs own_costs = costs(i, part);
      Standing standing;
      standing.median = Nanoseconds(median(times));
      standing.spread = Nanoseconds(interquartile_range(times));
      medians.push_back(median(own_costs));
      if (i == ranking.winner) {
        p_values.push_back(1);
        near.push_back(true);
      } else {
        standing.ratio = paired_ratio(times, best_times, 1 - single_error);
        const auto differences = relative_differences(own_costs, best_costs);
        p_values.push_back(signs_suffice ? sign_test(differences) : t_test(differences));
        near.push_back(median(differences) <= options_.tie_margin);
      }
      ranking.standings.push_back(std::move(standing));
    }
    auto family = p_values;
    family.erase(family.begin() + static_cast<std::ptrdiff_t>(ranking.winner));
    auto told_apart = holm(family, ranking_family_error);
    told_apart.insert(told_apart.begin() + static_cast<std::ptrdiff_t>(ranking.winner), false);
    for (std::size_t i = 0; i < count; ++i) ranking.standings[i].tie = !told_apart[i] || near[i];

    ranking.order.resize(count);
    std::iota(ranking.order.begin(), ranking.order.end(), std::size_t{0});
    std::stable_sort(ranking.order.begin(), ranking.order.end(), [&](std::size_t a, std::size_t b) {
      if ((a == ranking.winner) != (b == ranking.winner)) return a == ranking.winner;
      return medians[a] < medians[b];
    });
  }

  const std::vector<std::vector<Nanoseconds>>& samples_;
  const RankingOptions& options_;
};

}  // namespace

std::size_t choosing_rounds(std::size_t rounds) { return rounds / 2; }

std::span<const Nanoseconds> choosing_part(const std::vector<Nanoseconds>& samples) {
  return std::span(samples).first(
      std::max<std::size_t>(choosing_rounds(samples.size()), std::min<std::size_t>(1, samples.size())));
}

std::span<const Nanoseconds> reported_part(const std::vector<Nanoseconds>& samples) {
  return std::span(samples).subspan(choosing_rounds(samples.size()));
}

Ranking rank_candidates(const std::vector<std::vector<Nanoseconds>>& samples, const RankingOptions& options) {
  return Ranker(samples, options).run();
}

std::vector<std::size_t> rank_finalists(std::vector<Finalist>& finalists, const RankingOptions& options) {
  std::vector<std::vector<Nanoseconds>> samples;
  for (const Finalist& finalist : finalists) samples.push_back(finalist.samples);
  Ranking ranking = rank_candidates(samples, options);
  for (std::size_t i = 0; i < finalists.size(); ++i) {
    const Standing& standing = ranking.standings[i];
    finalists[i].median = standing.median;
    finalists[i].spread = standing.spread;
    finalists[i].ratio = standing.ratio;
    finalists[i].tie = standing.tie;
  }
  return std::move(ranking.order);
}

PairedRatio speedup_over(const std::vector<Nanoseconds>& baseline, const std::vector<Nanoseconds>& other) {
  return paired_ratio(counts_of(reported_part(baseline)), counts_of(reported_part(other)));
}

int comparison_rounds(int wanted, std::size_t candidates, Nanoseconds one_round) {
  constexpr Nanoseconds usual{5e9}, longest{30e9};
  constexpr double fewest = 6, for_the_interval = 6;  // six samples are the fewest with a 95 % interval of the median
  const double others = std::max(1.0, static_cast<double>(candidates) - 1);
  const double needed = 2 * std::max(for_the_interval, std::ceil(std::log2(others / ranking_family_error)));
  const auto within = [&](Nanoseconds time) { return std::floor(time / std::max(one_round, Nanoseconds(1))); };
  const double rounds = std::max({within(usual), std::min(needed, within(longest)), fewest});
  return rounds < wanted ? static_cast<int>(rounds) : wanted;
}

}  // namespace warpwright::tuning
