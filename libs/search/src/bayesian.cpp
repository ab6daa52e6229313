// Bayesian optimisation over discrete, constrained spaces: a Gaussian process on the logarithm of the objective, with a
// correlation of its own for every parameter (Matern 3/2 over positions of ordered values, equal or not for others),
// lengths fitted by marginal likelihood, and expected improvement per cost as the question to ask. The same process
// predicts the cost. Failures count as the worst result so far: their neighbourhood is avoided, not forbidden.
// Cubic growth is cut by refitting on the best results and an even sample of the others; large spaces are seen through
// a pool of candidates: neighbours of the best and a uniform sample.
// What was rejected: trees as surrogate (needed several times the evaluations on smooth spaces of a few parameters),
// squared-exponential correlations (ill-conditioned on grids), sentinel values for failures (they bend the model).
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <numeric>
#include <optional>
#include <unordered_map>
#include <unordered_set>

#include <warpwright/base/rng.hpp>
#include <warpwright/model/sampling.hpp>
#include <warpwright/search/search_algorithm.hpp>

#include "gaussian_process.hpp"
#include "initial_questions.hpp"
#include "options.hpp"

namespace warpwright {
namespace {

using detail::CandidateTable;
using detail::Correlations;
using detail::GaussianProcess;

enum Output : std::size_t { objective_output, cost_output, one_output, output_count };

// log(E[max(0, X)] / s) for X normal with mean u*s and deviation s, as a table over u: it is asked for every candidate
// at every question.
class LogImprovement {
 public:
  LogImprovement() {
    for (std::size_t i = 0; i < table_.size(); ++i)
      table_[i] = static_cast<float>(exact(low + step * static_cast<double>(i)));
  }
  float operator()(float u) const {
    const float at = std::clamp((u - static_cast<float>(low)) * static_cast<float>(1 / step), 0.0F,
                                static_cast<float>(table_.size()) - 1.001F);
    const auto i = static_cast<std::size_t>(at);
    const float part = at - static_cast<float>(i);
    // Below the table the logarithm falls like -u*u/2.
    const float beyond = std::min(0.0F, u - static_cast<float>(low));
    return table_[i] + part * (table_[i + 1] - table_[i]) - 0.5F * beyond * beyond + beyond * static_cast<float>(-low);
  }

 private:
  static double exact(double u) {
    const double density = std::exp(-0.5 * u * u) / std::sqrt(2 * 3.14159265358979323846);
    const double value = u * 0.5 * std::erfc(-u / std::sqrt(2.0)) + density;
    if (value > 1e-280 && u > -20) return std::log(value);
    return -0.5 * u * u - 2 * std::log(-u) - 0.919;
  }
  static constexpr double low = -10, step = 0.02;
  std::array<float, 801> table_{};  // to +6
};

// Fast and the same on every machine; relative error below 1e-4 is far finer than the model.
float fast_log(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const int exponent = static_cast<int>(bits >> 23) - 127;
  const float m = std::bit_cast<float>((bits & 0x7fffffU) | 0x3f800000U) - 1.5F;
  // Taylor series of log at 1.5, four terms.
  const float q = m * (1.0F / 1.5F);
  const float series = q * (1.0F - q * (0.5F - q * (0.33333333F - q * (0.25F - q * 0.2F))));
  return static_cast<float>(exponent) * 0.69314718F + 0.40546511F + series;
}

struct Observation {
  std::uint64_t index = 0;
  std::optional<double> objective;
  double log_cost = 0;
};

class Bayesian final : public SearchAlgorithm {
 public:
  Bayesian(const Space& space, const StrategySettings& settings)
      : space_(space),
        rng_(settings.seed),
        first_(detail::integer_option(settings, "initial", 4)),
        active_(std::max<std::size_t>(8, detail::integer_option(settings, "active", 160))),
        window_(std::max(active_ + 1, static_cast<std::size_t>(detail::integer_option(settings, "window", 256)))),
        pool_size_(std::max<std::size_t>(64, detail::integer_option(settings, "pool", 12000))),
        cost_weight_(detail::number_option(settings, "cost_weight", 1.0)),
        length_(detail::number_option(settings, "length", 1.0)) {
    for (std::size_t p = 0; p < space.parameters().size(); ++p) {
      if (space.parameters()[p].values.size() < 2) continue;
      dimensions_.push_back(p);
      table_.values.push_back(static_cast<std::uint32_t>(space.parameters()[p].values.size()));
      ordered_.push_back(is_ordered(space.parameters()[p]));
    }
    lengths_.assign(dimensions_.size(), length_);
    table_.columns.resize(dimensions_.size());
    whole_ = space.size() <= pool_size_;
    // Questions before the model: what the caller gave, then a space-filling design.
    detail::InitialQuestions given(space, settings);
    std::vector<std::uint64_t> opening;
    given.ask(static_cast<std::size_t>(-1), opening);
    const std::size_t wanted = static_cast<std::size_t>(std::min<std::uint64_t>(first_, space.size()));
    if (opening.size() < wanted) {
      // Where the whole space is at hand repair is cheap; elsewhere a uniform sample is as good for so few points.
      const auto design = whole_ ? latin_hypercube(space, wanted, rng_) : sample(space, wanted, rng_);
      for (const std::uint64_t index : design)
        if (!given.contains(index)) opening.push_back(index);
    }
    opening_ = std::move(opening);
  }

  std::vector<std::uint64_t> ask(std::size_t count) override {
    std::vector<std::uint64_t> asked;
    for (; asked.size() < count && opened_ < opening_.size(); ++opened_) take(opening_[opened_], asked);
    if (asked.size() < count && seen_.size() < space_.size()) refresh();
    while (asked.size() < count && seen_.size() < space_.size()) {
      const std::uint64_t next = propose();
      take(next, asked);
      if (asked.size() < count && process_) expect(next);
    }
    return asked;
  }

  void tell(std::uint64_t index, const SearchOutcome& outcome) override {
    const auto question = pending_.find(index);
    if (question == pending_.end()) return;
    Observation observation;
    observation.index = index;
    // What was stopped early is at least as slow as its bound, and that is slow enough to learn from.
    const bool measured = outcome.status == TrialStatus::ok || outcome.status == TrialStatus::censored;
    if (measured && outcome.objective && std::isfinite(*outcome.objective)) observation.objective = outcome.objective;
    observation.log_cost = std::log(std::max(1e-9, Seconds(outcome.cost).count()));
    told_.emplace_back(question->second, observation);
    pending_.erase(question);
  }

 private:
  void take(std::uint64_t index, std::vector<std::uint64_t>& asked) {
    if (!seen_.insert(index).second) return;
    pending_.emplace(index, questions_++);
    if (const auto place = place_.find(index); place != place_.end()) open_[place->second] = 0;
    asked.push_back(index);
  }

  std::uint64_t draw_unseen() {
    // Where most is seen, the next in order after a random place: ends in any case.
    for (int attempt = 0; attempt < 64; ++attempt)
      if (const std::uint64_t index = rng_.below(space_.size()); !seen_.contains(index)) return index;
    std::uint64_t index = rng_.below(space_.size());
    while (seen_.contains(index)) index = (index + 1) % space_.size();
    return index;
  }

  // ---- outcomes to targets ------------------------------------------------------------------------------------------

  // Logarithms where all objectives have one sign (of rates, which come negated, too); as they are otherwise.
  double transformed(double objective) const {
    if (sign_ > 0) return std::log(objective);
    if (sign_ < 0) return -std::log(-objective);
    return objective;
  }

  double target(const Observation& observation) const {
    return observation.objective ? transformed(*observation.objective) : worst_;
  }

  // Takes in what was told since, in the order of the questions, so that the order of answers does not matter.
  void refresh() {
    if (process_) process_->forget_expected();
    std::sort(told_.begin(), told_.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    const std::size_t before = observations_.size();
    for (auto& [ordinal, observation] : told_) observations_.push_back(observation);
    told_.clear();
    settle_scale();
    const bool due = !process_ || process_->observations() + (observations_.size() - before) > window_ ||
                     observations_.size() >= next_fit_ || scale_changed_;
    if (best_ && due) {
      refit();
    } else if (process_) {
      for (std::size_t i = before; i < observations_.size(); ++i) observe(observations_[i]);
    }
    if (!process_) return;
    std::vector<std::pair<std::uint64_t, std::uint64_t>> waiting;
    for (const auto& [index, ordinal] : pending_) waiting.emplace_back(ordinal, index);
    std::sort(waiting.begin(), waiting.end());
    for (const auto& [ordinal, index] : waiting) expect(index);
  }

  void settle_scale() {
    bool positive = true, negative = true;
    std::optional<double> best, worst;
    for (const Observation& observation : observations_) {
      if (!observation.objective) continue;
      positive &= *observation.objective > 0;
      negative &= *observation.objective < 0;
      if (!best || *observation.objective < *best) best = observation.objective;
      if (!worst || *observation.objective > *worst) worst = observation.objective;
    }
    const int sign = positive ? 1 : negative ? -1 : 0;
    scale_changed_ = sign != sign_;
    sign_ = sign;
    if (!best) return;
    best_ = transformed(*best);
    // A new worst value moves the failures with it, which the rows in place do not show before the next fit.
    worst_ = transformed(*worst);
  }

  // ---- model --------------------------------------------------------------------------------------------------------

  float correlation(std::size_t d, std::uint32_t a, std::uint32_t b, double length) const {
    if (a == b) return 1.0F;
    const bool graded = ordered_[d] && table_.values[d] > 2;
    const double distance =
        graded ? std::abs(static_cast<double>(a) - static_cast<double>(b)) / static_cast<double>(table_.values[d] - 1)
               : 1.0;
    const double r = distance / length;
    if (!graded) return static_cast<float>(std::exp(-r));
    const double q = std::sqrt(3.0) * r;
    return static_cast<float>((1 + q) * std::exp(-q));
  }

  Correlations correlations(const std::vector<double>& lengths) const {
    Correlations tables(dimensions_.size());
    for (std::size_t d = 0; d < tables.size(); ++d) {
      const std::uint32_t n = table_.values[d];
      tables[d].resize(static_cast<std::size_t>(n) * n);
      for (std::uint32_t a = 0; a < n; ++a)
        for (std::uint32_t b = a; b < n; ++b)
          tables[d][static_cast<std::size_t>(a) * n + b] = tables[d][static_cast<std::size_t>(b) * n + a] =
              correlation(d, a, b, lengths[d]);
    }
    return tables;
  }

  // Observations that the model keeps: the best 70 %, and the others evenly through the ranks.
  std::vector<std::size_t> choose_active() const {
    std::vector<std::size_t> order(observations_.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    if (order.size() <= active_) return order;
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return target(observations_[a]) < target(observations_[b]); });
    const std::size_t best = active_ * 7 / 10, others = active_ - best;
    std::vector<std::size_t> chosen(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(best));
    for (std::size_t i = 0; i < others; ++i) chosen.push_back(order[best + (order.size() - best) * i / others]);
    std::sort(chosen.begin(), chosen.end());
    return chosen;
  }

  void refit() {
    const std::vector<std::size_t> active = choose_active();
    fill_pool(active);
    if (observations_.size() >= next_lengths_) {
      fit_lengths(active);
      next_lengths_ = observations_.size() + observations_.size() / 2 + 1;
    }
    process_.emplace(table_, correlations(lengths_), static_cast<float>(noise_), output_count);
    sum_ = cost_sum_ = square_sum_ = 0;
    for (const std::size_t i : active) observe(observations_[i]);
    next_fit_ = observations_.size() + observations_.size() / 2 + 1;
  }

  void observe(const Observation& observation) {
    const double y = target(observation);
    process_->observe(candidate(observation.index),
                      {static_cast<float>(y), static_cast<float>(observation.log_cost), 1.0F});
    sum_ += y;
    square_sum_ += y * y;
    cost_sum_ += observation.log_cost;
  }

  void expect(std::uint64_t index) {
    if (const auto place = place_.find(index); place != place_.end()) process_->expect(place->second);
  }

  // Where an index stands in the pool; every question comes from the pool or was put there by fill_pool().
  std::size_t candidate(std::uint64_t index) const {
    const auto place = place_.find(index);
    if (place != place_.end()) return place->second;
    // Asked while another pool was in use: the nearest thing to it is the candidate with most values in common.
    const Choice choice = space_.choice_at(index);
    std::size_t best = 0, most = 0;
    for (std::size_t c = 0; c < pool_.size(); ++c) {
      std::size_t common = 0;
      for (std::size_t d = 0; d < dimensions_.size(); ++d) common += table_.columns[d][c] == choice[dimensions_[d]];
      if (common > most) best = c, most = common;
    }
    return best;
  }

  void fill_pool(const std::vector<std::size_t>& active) {
    if (whole_ && !pool_.empty()) return;
    process_.reset();
    pool_.clear();
    if (whole_) {
      pool_.resize(space_.size());
      std::iota(pool_.begin(), pool_.end(), std::uint64_t{0});
    } else {
      std::unordered_set<std::uint64_t> there;
      const auto add = [&](std::uint64_t index) {
        if (there.insert(index).second) pool_.push_back(index);
      };
      for (const std::size_t i : active) add(observations_[i].index);
      for (const auto& [index, ordinal] : pending_) there.insert(index);
      std::vector<std::uint64_t> waiting;
      for (const auto& [index, ordinal] : pending_) waiting.push_back(index);
      std::sort(waiting.begin(), waiting.end());
      pool_.insert(pool_.end(), waiting.begin(), waiting.end());
      std::vector<std::size_t> by_rank = active;
      std::stable_sort(by_rank.begin(), by_rank.end(), [&](std::size_t a, std::size_t b) {
        return target(observations_[a]) < target(observations_[b]);
      });
      for (std::size_t i = 0; i < by_rank.size() && i < 16 && pool_.size() < pool_size_ / 2; ++i)
        for (const std::uint64_t near : space_.neighbours(observations_[by_rank[i]].index, Neighbourhood::hamming))
          add(near);
      for (std::size_t attempt = 0; pool_.size() < pool_size_ / 3 * 2 && attempt < pool_size_; ++attempt)
        add(space_.draw(rng_));
    }
    place_.clear();
    open_.assign(pool_.size(), 1);
    for (auto& column : table_.columns) column.resize(pool_.size());
    Choice choice(space_.parameters().size());
    for (std::size_t c = 0; c < pool_.size(); ++c) {
      space_.read_choice(pool_[c], choice);
      for (std::size_t d = 0; d < dimensions_.size(); ++d)
        table_.columns[d][c] = static_cast<std::uint16_t>(choice[dimensions_[d]]);
      place_.emplace(pool_[c], c);
      if (seen_.contains(pool_[c])) open_[c] = 0;
    }
  }

  // Coordinate search on the logarithmic marginal likelihood with the variance of the signal profiled out; a weak prior
  // holds lengths near their start while there is little data.
  void fit_lengths(const std::vector<std::size_t>& active) {
    std::vector<std::size_t> places;
    std::vector<double> y;
    for (const std::size_t i : active) {
      places.push_back(candidate(observations_[i].index));
      y.push_back(target(observations_[i]));
    }
    const double mean = std::accumulate(y.begin(), y.end(), 0.0) / static_cast<double>(y.size());
    for (double& value : y) value -= mean;
    double best = likelihood(places, y, lengths_, noise_);
    for (int sweep = 0; sweep < 2; ++sweep) {
      for (std::size_t d = 0; d <= dimensions_.size(); ++d) {
        for (const double factor : {0.5, 2.0}) {
          std::vector<double> lengths = lengths_;
          double noise = noise_;
          if (d < dimensions_.size())
            lengths[d] = std::clamp(lengths[d] * factor, 0.05, 20.0);
          else
            noise = std::clamp(noise * factor * factor, 1e-4, 0.3);
          const double value = likelihood(places, y, lengths, noise);
          if (value > best) best = value, lengths_ = lengths, noise_ = noise;
        }
      }
    }
  }

  double likelihood(const std::vector<std::size_t>& places, const std::vector<double>& y,
                    const std::vector<double>& lengths, double noise) const {
    const Correlations tables = correlations(lengths);
    const std::size_t n = places.size();
    std::vector<double> factor(n * n), z(n);
    double log_determinant = 0, squares = 0;
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t j = 0; j <= i; ++j) {
        double k = 1;
        for (std::size_t d = 0; d < tables.size(); ++d)
          k *= static_cast<double>(tables[d][static_cast<std::size_t>(table_.columns[d][places[i]]) * table_.values[d] +
                                             table_.columns[d][places[j]]]);
        if (i == j) k += noise;
        for (std::size_t m = 0; m < j; ++m) k -= factor[i * n + m] * factor[j * n + m];
        factor[i * n + j] = i == j ? std::sqrt(std::max(k, 1e-9)) : k / factor[j * n + j];
      }
      double rest = y[i];
      for (std::size_t m = 0; m < i; ++m) rest -= factor[i * n + m] * z[m];
      z[i] = rest / factor[i * n + i];
      log_determinant += std::log(factor[i * n + i]);
      squares += z[i] * z[i];
    }
    double prior = 0;
    for (const double length : lengths) prior += 0.5 * std::log(length / length_) * std::log(length / length_);
    const auto count = static_cast<double>(n);
    return -0.5 * count * std::log(squares / count + 1e-12) - log_determinant - prior;
  }

  // ---- question -----------------------------------------------------------------------------------------------------

  std::uint64_t propose() {
    if (!process_ || process_->observations() == 0) return draw_unseen();
    const auto n = static_cast<double>(std::max<std::size_t>(1, process_->observations()));
    const double known = std::max(1.0, n - static_cast<double>(pending_.size()));
    const auto mean = static_cast<float>(sum_ / known), mean_cost = static_cast<float>(cost_sum_ / known);
    const double variance = square_sum_ / known - (sum_ / known) * (sum_ / known);
    const auto spread = static_cast<float>(variance > 1e-18 ? std::sqrt(variance) : 1.0);
    const auto best = static_cast<float>(*best_), weight = static_cast<float>(cost_weight_);
    const float* objective = process_->mean(objective_output).data();
    const float* cost = process_->mean(cost_output).data();
    const float* one = process_->mean(one_output).data();
    const float* left = process_->variance().data();
    static const LogImprovement improvement;
    std::size_t chosen = pool_.size();
    float most = 0;
    for (std::size_t c = 0; c < pool_.size(); ++c) {
      if (open_[c] == 0) continue;
      const float part = std::max(1e-6F, left[c]);
      const float deviation = spread * std::sqrt(part);
      const float expected = mean + (objective[c] - mean * one[c]);
      float value = improvement((best - expected) / deviation) + 0.5F * fast_log(part);
      value -= weight * (mean_cost + (cost[c] - mean_cost * one[c]));
      if (chosen == pool_.size() || value > most) chosen = c, most = value;
    }
    return chosen == pool_.size() ? draw_unseen() : pool_[chosen];
  }

  const Space& space_;
  Rng rng_;
  std::size_t first_, active_, window_, pool_size_;
  double cost_weight_, length_;

  std::vector<std::size_t> dimensions_;  // parameters with more than one value
  std::vector<bool> ordered_;
  bool whole_ = false;  // the pool is the whole space
  CandidateTable table_;
  std::vector<std::uint64_t> pool_;
  std::unordered_map<std::uint64_t, std::size_t> place_;
  std::vector<char> open_;  // of the pool: not asked yet

  std::vector<std::uint64_t> opening_;
  std::size_t opened_ = 0;
  std::uint64_t questions_ = 0;
  std::unordered_set<std::uint64_t> seen_;
  std::unordered_map<std::uint64_t, std::uint64_t> pending_;  // index, ordinal of the question
  std::vector<std::pair<std::uint64_t, Observation>> told_;   // not in the model yet
  std::vector<Observation> observations_;

  int sign_ = 2;  // none yet
  bool scale_changed_ = false;
  std::optional<double> best_;
  double worst_ = 0;
  std::vector<double> lengths_;
  double noise_ = 1e-2;
  std::optional<GaussianProcess> process_;
  double sum_ = 0, square_sum_ = 0, cost_sum_ = 0;  // of what the process observed
  std::size_t next_fit_ = 0, next_lengths_ = 0;
};

}  // namespace

std::unique_ptr<SearchAlgorithm> make_bayesian(const Space& space, const StrategySettings& settings) {
  return std::make_unique<Bayesian>(space, settings);
}

std::unique_ptr<SearchAlgorithm> make_auto(const Space& space, const StrategySettings& settings) {
  return make_bayesian(space, settings);
}

}  // namespace warpwright
