#include <algorithm>
#include <cmath>
#include <numeric>

#include <warpwright/base/error.hpp>
#include <warpwright/base/rng.hpp>
#include <warpwright/model/statistics.hpp>
#include <warpwright/search/scoring.hpp>

namespace warpwright {
namespace {

// Python's and numpy's rounding: halves to even.
double round_half_even(double x) { return std::nearbyint(x); }

std::vector<double> linspace(double first, double last, std::size_t count) {
  std::vector<double> points(count, first);
  for (std::size_t i = 1; i < count; ++i)
    points[i] = first + (last - first) * static_cast<double>(i) / static_cast<double>(count - 1);
  if (count > 1) points.back() = last;
  return points;
}

}  // namespace

double mean_of(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

double deviation_of(std::span<const double> values) {
  if (values.size() < 2) return 0;
  const double mean = mean_of(values);
  double sum = 0;
  for (const double value : values) sum += (value - mean) * (value - mean);
  return std::sqrt(sum / static_cast<double>(values.size() - 1));
}

// ---- isotonic regression --------------------------------------------------------------------------------------------

DecreasingFit::DecreasingFit(std::vector<Point> points) {
  std::sort(points.begin(), points.end(), [](const Point& a, const Point& b) {
    return a.x != b.x ? a.x < b.x : a.y < b.y;  // the order of equal positions must not change the sum's last digits
  });
  struct Block {
    double sum, weight;
    std::size_t positions;
    double mean() const { return sum / weight; }
  };
  std::vector<Block> blocks;
  for (std::size_t i = 0; i < points.size();) {
    Block block{0, 0, 1};
    const double x = points[i].x;
    for (; i < points.size() && points[i].x == x; ++i) {
      block.sum += points[i].y;
      block.weight += 1;
    }
    x_.push_back(x);
    while (!blocks.empty() && blocks.back().mean() <= block.mean()) {
      block.sum += blocks.back().sum;
      block.weight += blocks.back().weight;
      block.positions += blocks.back().positions;
      blocks.pop_back();
    }
    blocks.push_back(block);
  }
  y_.reserve(x_.size());
  for (const Block& block : blocks) y_.insert(y_.end(), block.positions, block.mean());
}

double DecreasingFit::operator()(double x) const {
  if (x <= x_.front()) return y_.front();
  if (x >= x_.back()) return y_.back();
  const auto above = static_cast<std::size_t>(std::upper_bound(x_.begin(), x_.end(), x) - x_.begin());
  const double part = (x - x_[above - 1]) / (x_[above] - x_[above - 1]);
  return y_[above - 1] + part * (y_[above] - y_[above - 1]);
}

// ---- PCHIP ----------------------------------------------------------------------------------------------------------

Pchip::Pchip(std::vector<double> x, std::vector<double> y)
    : x_(std::move(x)), y_(std::move(y)), slope_(x_.size(), 0.0) {
  const std::size_t n = x_.size();
  if (n < 2) return;
  std::vector<double> h(n - 1), d(n - 1);
  for (std::size_t j = 0; j + 1 < n; ++j) {
    h[j] = x_[j + 1] - x_[j];
    d[j] = (y_[j + 1] - y_[j]) / h[j];
  }
  if (n == 2) {
    slope_ = {d[0], d[0]};
    return;
  }
  for (std::size_t j = 1; j + 1 < n; ++j) {
    if (d[j - 1] * d[j] <= 0) continue;
    const double w1 = 2 * h[j] + h[j - 1], w2 = h[j] + 2 * h[j - 1];
    slope_[j] = (w1 + w2) / (w1 / d[j - 1] + w2 / d[j]);
  }
  const auto end_slope = [](double h0, double h1, double d0, double d1) {
    const double slope = ((2 * h0 + h1) * d0 - h0 * d1) / (h0 + h1);
    if (slope * d0 <= 0) return 0.0;
    if (d0 * d1 < 0 && std::abs(slope) > 3 * std::abs(d0)) return 3 * d0;
    return slope;
  };
  slope_[0] = end_slope(h[0], h[1], d[0], d[1]);
  slope_[n - 1] = end_slope(h[n - 2], h[n - 3], d[n - 2], d[n - 3]);
}

double Pchip::operator()(double x) const {
  if (x_.size() == 1) return y_[0];
  auto above = static_cast<std::size_t>(std::upper_bound(x_.begin(), x_.end(), x) - x_.begin());
  above = std::clamp<std::size_t>(above, 1, x_.size() - 1);
  const std::size_t j = above - 1;
  const double h = x_[above] - x_[j], t = (x - x_[j]) / h;
  const double t2 = t * t, t3 = t2 * t;
  return (2 * t3 - 3 * t2 + 1) * y_[j] + (t3 - 2 * t2 + t) * h * slope_[j] + (3 * t2 - 2 * t3) * y_[above] +
         (t3 - t2) * h * slope_[above];
}

// ---- a space --------------------------------------------------------------------------------------------------------

SpaceScorer::SpaceScorer(const RecordedSpace& recorded, const ScoreSettings& settings)
    : recorded_(recorded.trials.size()) {
  std::vector<double> costs, invalid_costs, valid_costs;
  for (const RecordedTrial& trial : recorded.trials) {
    const double cost = Seconds(trial.costs.total()).count();
    costs.push_back(cost);
    if (trial.objective) {
      values_.push_back(recorded.minimise ? *trial.objective : -*trial.objective);
      valid_costs.push_back(cost);
    } else {
      invalid_costs.push_back(cost);
    }
  }
  std::sort(values_.begin(), values_.end());
  if (values_.size() < 3 || values_.front() == values_.back())
    throw Error(ErrorCode::bad_input, "the recorded space " + recorded.kernel + "/" + recorded.device +
                                          " cannot be scored: it needs at least 3 valid results that differ");
  median_ = warpwright::median(values_);
  median_cost_ = Seconds(warpwright::median(costs));
  if (!(median_cost_.count() > 0))
    throw Error(ErrorCode::bad_input,
                "the recorded space " + recorded.kernel + "/" + recorded.device +
                    " cannot be scored: it holds no costs (compile, verification, benchmark time)");
  double tau = mean_of(valid_costs);
  if (!invalid_costs.empty())
    tau += static_cast<double>(invalid_costs.size()) / static_cast<double>(costs.size()) * mean_of(invalid_costs);
  tau_ = Seconds(tau);
  start_ = cut_off(settings.start);
  stop_ = cut_off(settings.stop);
  grid_ = linspace(start_.time.count(), stop_.time.count(), settings.grid);

  const double n = static_cast<double>(values_.size());
  std::vector<double> draws, expected;
  for (const double t : grid_) {
    const double k = round_half_even(std::max(t / tau, 1.0));
    if (!draws.empty() && k <= draws.back()) continue;
    const double rank = std::min(n - 1, round_half_even(k * (n + 1) / (k + 1)));
    draws.push_back(k);
    expected.push_back(values_[values_.size() - 1 - static_cast<std::size_t>(rank)]);
  }
  first_ = static_cast<std::uint64_t>(draws.front());
  last_ = static_cast<std::uint64_t>(draws.back());
  const Pchip smooth(draws, expected);
  // Evaluated evenly over the draws, as the method does, not at the draws of each time.
  for (const double k : linspace(draws.front(), draws.back(), grid_.size())) baseline_.push_back(smooth(k));
}

SpaceScorer::CutOff SpaceScorer::cut_off(double fraction) const {
  CutOff result;
  result.target = optimum() + (median_ - optimum()) * (1 - fraction);
  const auto i = static_cast<double>(values_.size() - count_within(result.target));
  result.evaluations = static_cast<std::uint64_t>(std::ceil(i / (static_cast<double>(values_.size()) + 1 - i)));
  result.time = median_cost_ * static_cast<double>(result.evaluations);
  return result;
}

std::size_t SpaceScorer::count_within(double target) const {
  return static_cast<std::size_t>(std::upper_bound(values_.begin(), values_.end(), target) - values_.begin());
}

std::uint64_t SpaceScorer::evaluation_limit() const {
  const auto limit = static_cast<std::uint64_t>(std::ceil(1.1 * static_cast<double>(stop_.evaluations)));
  return std::min<std::uint64_t>(limit, recorded_);
}

struct SpaceScorer::Pool {
  std::vector<DecreasingFit::Point> points;  // seconds, rank
  double lowest = 0, highest = 0;            // ranks
  double end = 0;                            // median over the runs of the time of their last valid result
  std::size_t runs = 0;
};

bool SpaceScorer::usable(const Run& run) const {
  const double low = 0.9 * start_.time.count(), high = 1.1 * stop_.time.count();
  return std::count_if(run.begin(), run.end(), [&](const RunStep& step) {
           return step.has_best && step.elapsed.count() >= low && step.elapsed.count() <= high;
         }) >= 2;
}

SpaceScorer::Pool SpaceScorer::pool(std::span<const Run> runs) const {
  const double low = 0.9 * start_.time.count(), high = 1.1 * stop_.time.count();
  Pool pool;
  std::vector<double> ends;
  for (const Run& run : runs) {
    if (!usable(run)) continue;
    ++pool.runs;
    double end = 0;
    for (const RunStep& step : run) {
      const double t = step.elapsed.count();
      if (!step.has_best || t < low || t > high) continue;
      const auto rank = std::lower_bound(values_.begin(), values_.end(), step.best) - values_.begin();
      pool.points.push_back({t, static_cast<double>(rank)});
      end = t;
    }
    ends.push_back(end);
  }
  if (pool.runs == 0)
    throw Error(ErrorCode::bad_input, "no run has two valid results in the time that the score looks at");
  const auto [least, most] = std::minmax_element(pool.points.begin(), pool.points.end(),
                                                 [](const auto& a, const auto& b) { return a.y < b.y; });
  pool.lowest = least->y;
  pool.highest = most->y;
  pool.end = warpwright::median(ends);
  return pool;
}

std::vector<double> SpaceScorer::look_up(const Pool& pool, std::vector<double> ranks) const {
  const double top = static_cast<double>(values_.size() - 1);
  double frozen = values_.back();
  bool has_frozen = false;
  for (std::size_t g = 0; g < ranks.size(); ++g) {
    const double rank = std::clamp(round_half_even(std::clamp(ranks[g], pool.lowest, pool.highest)), 0.0, top);
    ranks[g] = values_[static_cast<std::size_t>(rank)];
    if (grid_[g] <= pool.end || !has_frozen) {
      frozen = ranks[g];
      has_frozen = true;
    } else {
      ranks[g] = frozen;
    }
  }
  return ranks;
}

std::vector<double> SpaceScorer::plain_curve(std::span<const Run> runs) const {
  const Pool pooled = pool(runs);
  const DecreasingFit fit(pooled.points);
  std::vector<double> ranks;
  for (const double t : grid_) ranks.push_back(fit(t));
  return look_up(pooled, std::move(ranks));
}

std::vector<double> SpaceScorer::curve(std::span<const Run> runs, std::uint64_t seed) const {
  const Pool pooled = pool(runs);
  const std::size_t bags = std::max<std::size_t>(pooled.runs, 3);
  const auto size = std::max<std::size_t>(
      1, static_cast<std::size_t>(static_cast<double>(pooled.points.size()) / std::sqrt(static_cast<double>(bags))));
  std::vector<double> ranks(grid_.size(), 0.0);
  Rng rng(seed);
  for (std::size_t bag = 0; bag < bags; ++bag) {
    std::vector<DecreasingFit::Point> drawn;
    drawn.reserve(size);
    for (std::size_t i = 0; i < size; ++i) drawn.push_back(pooled.points[rng.below(pooled.points.size())]);
    const DecreasingFit fit(std::move(drawn));
    for (std::size_t g = 0; g < grid_.size(); ++g) ranks[g] += fit(grid_[g]) / static_cast<double>(bags);
  }
  return look_up(pooled, std::move(ranks));
}

std::vector<double> SpaceScorer::performance(const std::vector<double>& curve) const {
  // In tiny spaces random search is expected to reach the optimum within the grid: from there on it counts as if it
  // were at the next best value, so that scores stay finite and the optimum stays 1.
  const double next_best = *std::upper_bound(values_.begin(), values_.end(), optimum());
  std::vector<double> result(curve.size());
  for (std::size_t g = 0; g < curve.size(); ++g) {
    const double baseline = baseline_[g] > optimum() ? baseline_[g] : next_best;
    result[g] = (curve[g] - baseline) / (optimum() - baseline);
  }
  return result;
}

}  // namespace warpwright
