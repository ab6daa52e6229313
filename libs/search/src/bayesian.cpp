// Bayesian optimisation over discrete, constrained spaces: a Gaussian process on the logarithm of the objective, with a
// correlation of its own for every parameter (Matern 3/2 over positions of ordered values, equal or not for others),
// lengths fitted by marginal likelihood, and expected improvement per cost as the question to ask. The same process
// predicts the cost. Failures count as the worst result so far: their neighbourhood is avoided, not forbidden.
// Predictions are lazy: a candidate's score of before is an upper bound while more results only narrow its prediction,
// so the best score is brought up to date until the best is up to date; where a result was better than predicted, its
// neighbours are brought up to date at once, because their scores may have risen.
// Cubic growth is cut by making the model anew from the best results and an even sample of the others; large spaces are
// seen through a pool of candidates: neighbours of the best and a uniform sample.
// What was rejected: squared-exponential correlations (ill-conditioned on grids), sentinel values for failures (they
// bend the model), predictions of all candidates after every result (the same scores at twenty times the time).
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>
#include <unordered_map>
#include <unordered_set>

#include <warpwright/base/rng.hpp>
#include <warpwright/model/sampling.hpp>
#include <warpwright/search/search_algorithm.hpp>

#include "candidate_pool.hpp"
#include "correlation_fit.hpp"
#include "expected_improvement.hpp"
#include "gaussian_process.hpp"
#include "initial_questions.hpp"
#include "options.hpp"
#include "vectors.hpp"

#if WARPWRIGHT_WIDE_VERSION
#include <emmintrin.h>
#endif

namespace warpwright {
namespace {

using detail::CandidatePool;
using detail::GaussianProcess;

enum Output : std::size_t { objective_output, cost_output, one_output };

constexpr float closed = -std::numeric_limits<float>::infinity();

// Scores of the candidates with their maximum at hand: changing one looks at its block, and at the blocks beside it
// where the block's best falls.
class ScoreTable {
 public:
  void assign(std::size_t count) {
    const std::size_t groups = (count + block * block - 1) / (block * block);
    scores_.assign(groups * block * block, closed);
    best_.assign(groups * block, closed);
    best_of_blocks_.assign((groups + block - 1) / block * block, closed);
  }
  float operator[](std::size_t candidate) const { return scores_[candidate]; }
  void set(std::size_t candidate, float score) {
    const float before = scores_[candidate];
    scores_[candidate] = score;
    raise(best_, best_of_blocks_, candidate / block, raise(scores_, best_, candidate, before));
  }
  // Many at once: set_only() each, then settle().
  void set_only(std::size_t candidate, float score) { scores_[candidate] = score; }
  void settle() {
    for (std::size_t b = 0; b < best_.size(); ++b) best_[b] = highest(scores_.data() + b * block);
    for (std::size_t g = 0; g < best_.size() / block; ++g) best_of_blocks_[g] = highest(best_.data() + g * block);
  }
  // The first of the highest; nullopt if all are closed.
  std::optional<std::size_t> best() const {
    float highest_score = closed;
    std::size_t first = 0;
    for (std::size_t g = 0; g < best_of_blocks_.size(); g += block) {
      const float here = highest(best_of_blocks_.data() + g);
      if (here > highest_score) highest_score = here, first = g;
    }
    if (highest_score == closed) return std::nullopt;
    const std::size_t group = find(best_of_blocks_, first / block, highest_score);
    return find(scores_, find(best_, group, highest_score), highest_score);
  }

 private:
  static constexpr std::size_t block = 32;

  static float highest(const float* values) {
    // In lanes, which compilers turn into vectors; the highest does not depend on the order.
    float best[8];
    for (std::size_t lane = 0; lane < 8; ++lane) best[lane] = values[lane];
    for (std::size_t i = 8; i < block; i += 8)
      for (std::size_t lane = 0; lane < 8; ++lane)
        best[lane] = best[lane] < values[i + lane] ? values[i + lane] : best[lane];
    for (std::size_t half = 4; half > 0; half /= 2)
      for (std::size_t lane = 0; lane < half; ++lane)
        best[lane] = best[lane] < best[lane + half] ? best[lane + half] : best[lane];
    return best[0];
  }

  // The first place of `value` in block b, without a branch that nobody can predict.
  static std::size_t find(const std::vector<float>& values, std::size_t b, float value) {
    const float* of_block = values.data() + b * block;
    std::uint32_t places = 0;
#if WARPWRIGHT_WIDE_VERSION
    const __m128 wanted = _mm_set1_ps(value);
    for (std::uint32_t i = 0; i < block; i += 4)
      places |= static_cast<std::uint32_t>(_mm_movemask_ps(_mm_cmpeq_ps(_mm_loadu_ps(of_block + i), wanted))) << i;
#else
    for (std::uint32_t i = 0; i < block; ++i) places |= static_cast<std::uint32_t>(of_block[i] == value) << i;
#endif
    return b * block + static_cast<std::size_t>(std::countr_zero(places));
  }

  // Keeps the best of a block after one value changed from `before`; returns the best before.
  static float raise(const std::vector<float>& values, std::vector<float>& best, std::size_t at, float before) {
    float& of_block = best[at / block];
    const float old = of_block;
    if (values[at] >= old)
      of_block = values[at];
    else if (before == old)
      of_block = highest(values.data() + at / block * block);
    return old;
  }

  std::vector<float> scores_, best_, best_of_blocks_;  // of candidates, of blocks of them, of blocks of blocks
};

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
        fitted_(std::max<std::size_t>(4, detail::integer_option(settings, "fitted", 80))),
        effort_(static_cast<double>(detail::integer_option(settings, "effort", 4'000'000))),
        cost_weight_(detail::number_option(settings, "cost_weight", 1.0)),
        length_(detail::number_option(settings, "length", 2.0)),
        pool_(space) {
    fit_.lengths.assign(pool_.dimensions(), length_);
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
    if (asked.size() < count && seen_.size() < space_.size()) refresh(count == 1);
    while (asked.size() < count && seen_.size() < space_.size()) {
      const std::uint64_t next = propose();
      take(next, asked);
      if (asked.size() < count && process_) process_->expect(codes_of(next));
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
    if (process_)
      if (const auto place = pool_.find(codes_of(index))) scores_.set(*place, closed);
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

  const std::uint16_t* codes_of(std::uint64_t index) {
    codes_.clear();
    pool_.read(index, codes_);
    return codes_.data();
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
  void refresh(bool for_one_question) {
    if (process_) process_->forget_expected();
    std::sort(told_.begin(), told_.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    const std::size_t before = observations_.size();
    for (auto& [ordinal, observation] : told_) {
      note_scale(observation);
      observations_.push_back(observation);
    }
    told_.clear();
    const int sign = any_positive_ == any_negative_ ? 0 : any_positive_ ? 1 : -1;
    const bool scale_changed = sign != sign_;
    sign_ = sign;
    if (lowest_) {
      best_ = transformed(*lowest_);
      // A new worst value moves the failures with it, which the model does not show before it is made anew.
      worst_ = transformed(*highest_);
    }
    const std::size_t fresh = observations_.size() - before;
    const bool due =
        !process_ || process_->rows() + fresh > window_ || scale_changed || fit_due(fresh, for_one_question);
    if (lowest_ && due) {
      refit();
    } else if (process_) {
      std::vector<std::size_t> surprises;
      for (std::size_t i = before; i < observations_.size(); ++i)
        if (observe(observations_[i])) surprises.push_back(i);
      settle();
      for (const std::size_t i : surprises) look_around(observations_[i]);
    }
    if (!process_) return;
    std::vector<std::pair<std::uint64_t, std::uint64_t>> waiting;
    for (const auto& [index, ordinal] : pending_) waiting.emplace_back(ordinal, index);
    std::sort(waiting.begin(), waiting.end());
    for (const auto& [ordinal, index] : waiting) process_->expect(codes_of(index));
  }

  // A fit takes far longer than a question. Where several answers came at once, workers may wait for what is asked
  // next: they get their questions from the model that there is, and it is made anew while they work.
  bool fit_due(std::size_t fresh, bool for_one_question) {
    if (observations_.size() < next_fit_) {
      fit_put_off_.reset();
      return false;
    }
    if (!fit_put_off_ && fresh > 1) fit_put_off_ = questions_;
    return !for_one_question || !fit_put_off_ || questions_ >= *fit_put_off_ + questions_before_fit;
  }

  void note_scale(const Observation& observation) {
    if (!observation.objective) return;
    const double value = *observation.objective;
    any_positive_ |= !(value < 0);
    any_negative_ |= !(value > 0);
    if (!lowest_ || value < *lowest_) lowest_ = value;
    if (!highest_ || value > *highest_) highest_ = value;
  }

  // ---- model --------------------------------------------------------------------------------------------------------

  // Best first; of equals the first.
  void sort_by_rank(std::vector<std::size_t>& observations) const {
    std::vector<std::pair<double, std::size_t>> ranked;
    ranked.reserve(observations.size());
    for (const std::size_t i : observations) ranked.emplace_back(target(observations_[i]), i);
    std::sort(ranked.begin(), ranked.end());
    std::transform(ranked.begin(), ranked.end(), observations.begin(), [](const auto& entry) { return entry.second; });
  }

  // Observations that a model of `count` keeps: the best 70 %, and the others evenly through the ranks.
  std::vector<std::size_t> choose(std::size_t count) const {
    std::vector<std::size_t> order(observations_.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    if (order.size() <= count) return order;
    sort_by_rank(order);
    const std::size_t best = count * 7 / 10, others = count - best;
    std::vector<std::size_t> chosen(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(best));
    for (std::size_t i = 0; i < others; ++i) chosen.push_back(order[best + (order.size() - best) * i / others]);
    std::sort(chosen.begin(), chosen.end());
    return chosen;
  }

  void refit() {
    const std::vector<std::size_t> active = choose(active_);
    const bool new_pool = fill_pool(active);
    if (observations_.size() >= next_lengths_) {
      fit_lengths();
      next_lengths_ = observations_.size() + observations_.size() / 2 + 1;
    }
    process_->reset(detail::correlations(pool_, fit_.lengths), static_cast<float>(fit_.noise));
    count_ = 0;
    sum_ = cost_sum_ = square_sum_ = 0;
    for (const std::size_t i : active) observe(observations_[i]);
    settle();
    refresh_most(active, new_pool);
    next_fit_ = observations_.size() + observations_.size() / 2 + 1;
  }

  void fit_lengths() {
    std::vector<std::uint16_t> codes;
    std::vector<double> targets;
    for (const std::size_t i : choose(fitted_)) {
      pool_.read(observations_[i].index, codes);
      targets.push_back(target(observations_[i]));
    }
    fit_ = detail::fit_correlations(pool_, codes, std::move(targets), fit_, length_, 2);
  }

  // Whether the result was better than predicted.
  bool observe(const Observation& observation) {
    const double y = target(observation);
    const GaussianProcess::Prediction before = process_->observe(
        codes_of(observation.index), {static_cast<float>(y), static_cast<float>(observation.log_cost), 1.0F});
    ++count_;
    sum_ += y;
    square_sum_ += y * y;
    cost_sum_ += observation.log_cost;
    return static_cast<float>(y) < mean_ + (before.mean[objective_output] - mean_ * before.mean[one_output]);
  }

  // Mean and spread of what was observed, which shift and scale the predictions.
  void settle() {
    const auto n = static_cast<double>(std::max<std::size_t>(1, count_));
    mean_ = static_cast<float>(sum_ / n);
    mean_cost_ = static_cast<float>(cost_sum_ / n);
    const double variance = square_sum_ / n - (sum_ / n) * (sum_ / n);
    spread_ = static_cast<float>(variance > 1e-18 ? std::sqrt(variance) : 1.0);
  }

  float score(const GaussianProcess::Prediction& prediction) const {
    const float part = std::max(1e-6F, prediction.variance);
    const float deviation = spread_ * std::sqrt(part);
    const float expected = mean_ + (prediction.mean[objective_output] - mean_ * prediction.mean[one_output]);
    const float cost = mean_cost_ + (prediction.mean[cost_output] - mean_cost_ * prediction.mean[one_output]);
    static const detail::LogImprovement improvement;
    return improvement((static_cast<float>(best_) - expected) / deviation) + 0.5F * detail::fast_log(part) -
           static_cast<float>(cost_weight_) * cost;
  }

  void look_around(const Observation& observation) {
    near_.clear();
    pool_.around(codes_of(observation.index), [&](std::size_t near) {
      if (scores_[near] != closed) near_.push_back(near);
    });
    process_->update(near_);
    for (const std::size_t near : near_) scores_.set(near, score(process_->prediction(near)));
  }

  // Predictions of a new model: all while it is small, then those that had the best scores and neighbours of the best
  // results. The others keep the score of the old model until they are looked at.
  void refresh_most(const std::vector<std::size_t>& active, bool new_pool) {
    const auto rows = static_cast<double>(process_->rows());
    const std::size_t most =
        new_pool ? pool_.size() : static_cast<std::size_t>(std::max(256.0, effort_ / (rows * rows)));
    struct Scored {
      float score;
      std::uint32_t candidate;
    };
    std::vector<Scored> scored;
    scored.reserve(pool_.size());
    for (std::size_t c = 0; c < pool_.size(); ++c)
      if (scores_[c] != closed) scored.push_back({scores_[c], static_cast<std::uint32_t>(c)});
    if (most < scored.size()) {
      const auto before = [](const Scored& a, const Scored& b) {
        return a.score > b.score || (a.score == b.score && a.candidate < b.candidate);
      };
      std::nth_element(scored.begin(), scored.begin() + static_cast<std::ptrdiff_t>(most), scored.end(), before);
      scored.resize(most);
      std::vector<std::size_t> by_rank = active;
      sort_by_rank(by_rank);
      for (std::size_t i = 0; i < by_rank.size() && i < 4; ++i) look_around(observations_[by_rank[i]]);
    }
    std::vector<std::size_t> order(scored.size());
    std::transform(scored.begin(), scored.end(), order.begin(), [](const Scored& entry) { return entry.candidate; });
    process_->predict(order);
    for (const std::size_t c : order) scores_.set_only(c, score(process_->prediction(c)));
    scores_.settle();
  }

  // Whether there are other candidates than before.
  bool fill_pool(const std::vector<std::size_t>& active) {
    if (whole_ && process_) return false;
    process_.reset();
    if (whole_) {
      pool_.assign_whole_space();
    } else {
      std::unordered_set<std::uint64_t> there;
      std::vector<std::uint64_t> indices;
      const auto add = [&](std::uint64_t index) {
        if (!seen_.contains(index) && there.insert(index).second) indices.push_back(index);
      };
      std::vector<std::size_t> by_rank = active;
      sort_by_rank(by_rank);
      for (std::size_t i = 0; i < by_rank.size() && i < 16 && indices.size() < pool_size_ / 2; ++i)
        for (const std::uint64_t near : space_.neighbours(observations_[by_rank[i]].index, Neighbourhood::hamming))
          add(near);
      for (std::size_t attempt = 0; indices.size() < pool_size_ / 3 * 2 && attempt < pool_size_; ++attempt)
        add(space_.draw(rng_));
      pool_.assign(std::move(indices));
    }
    process_.emplace(pool_.table(), window_ + 64);
    scores_.assign(pool_.size());
    for (std::size_t c = 0; c < pool_.size(); ++c)
      if (!seen_.contains(pool_.index(c))) scores_.set(c, 0);
    return true;
  }

  // ---- question -----------------------------------------------------------------------------------------------------

  std::uint64_t propose() {
    if (!process_ || process_->rows() == 0) return draw_unseen();
    const auto stale = [&](const std::optional<std::size_t>& candidate) {
      return candidate && !process_->is_up_to_date(*candidate);
    };
    std::optional<std::size_t> chosen = scores_.best();
    std::size_t looked = 0;
    while (stale(chosen) && looked < most_looked) {
      // The best that are not up to date, in their order: predictions are made together, and those that the first ones
      // turn out to be better than are left as they were.
      constexpr std::size_t most = GaussianProcess::most_foreseen;
      std::array<std::size_t, most> group;
      std::array<float, most> before;
      std::size_t count = 0;
      for (; stale(chosen) && count < most && looked + count < most_looked; chosen = scores_.best(), ++count) {
        group[count] = *chosen;
        before[count] = scores_[*chosen];
        scores_.set(*chosen, closed);
      }
      process_->foresee(group.data(), count, foreseen_.data());
      std::size_t accepted = 0;
      float best = closed;
      std::size_t first_best = 0;
      for (; accepted < count; ++accepted, ++looked) {
        const std::size_t candidate = group[accepted];
        if (best > before[accepted] || (best == before[accepted] && first_best < candidate && accepted > 0)) break;
        process_->accept(candidate, foreseen_[accepted]);
        const float now = score(foreseen_[accepted]);
        scores_.set(candidate, now);
        if (accepted == 0 || now > best || (now == best && candidate < first_best)) best = now, first_best = candidate;
      }
      for (std::size_t i = accepted; i < count; ++i) scores_.set(group[i], before[i]);
      chosen = scores_.best();
    }
    return chosen ? pool_.index(*chosen) : draw_unseen();
  }

  static constexpr std::uint64_t questions_before_fit = 2;
  // Bounds the time of a question; then the best score counts though it is old.
  static constexpr std::size_t most_looked = 1000;

  const Space& space_;
  Rng rng_;
  std::size_t first_, active_, window_, pool_size_, fitted_;
  double effort_, cost_weight_, length_;

  bool whole_ = false;  // the pool is the whole space
  CandidatePool pool_;
  ScoreTable scores_;  // of the pool; closed: asked
  std::vector<std::uint16_t> codes_;
  std::vector<std::size_t> near_;  // scratch, as is foreseen_
  std::array<GaussianProcess::Prediction, GaussianProcess::most_foreseen> foreseen_;

  std::vector<std::uint64_t> opening_;
  std::size_t opened_ = 0;
  std::uint64_t questions_ = 0;
  std::unordered_set<std::uint64_t> seen_;
  std::unordered_map<std::uint64_t, std::uint64_t> pending_;  // index, ordinal of the question
  std::vector<std::pair<std::uint64_t, Observation>> told_;   // not in the model yet
  std::vector<Observation> observations_;

  bool any_positive_ = false, any_negative_ = false;
  int sign_ = 2;  // none yet
  std::optional<double> lowest_, highest_;
  double best_ = 0, worst_ = 0;  // transformed
  detail::CorrelationLengths fit_;
  std::optional<GaussianProcess> process_;
  std::size_t count_ = 0;  // of what the process observed
  double sum_ = 0, square_sum_ = 0, cost_sum_ = 0;
  float mean_ = 0, mean_cost_ = 0, spread_ = 1;
  std::size_t next_fit_ = 0, next_lengths_ = 0;
  std::optional<std::uint64_t> fit_put_off_;  // questions there had been then
};

}  // namespace

std::unique_ptr<SearchAlgorithm> make_bayesian(const Space& space, const StrategySettings& settings) {
  return std::make_unique<Bayesian>(space, settings);
}

std::unique_ptr<SearchAlgorithm> make_auto(const Space& space, const StrategySettings& settings) {
  return make_bayesian(space, settings);
}

}  // namespace warpwright
