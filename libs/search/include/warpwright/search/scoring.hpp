// How good is a search strategy on a recorded space: the score of the autotuning methodology (Willemsen et al.,
// autotuning_methodology at b0075f8), minimising.
// A run is a sequence of (time charged so far, best objective so far). Many seeded runs of one strategy are pooled; the
// rank of the best so far in the recorded values is smoothed by isotonic regression over time; the curve is compared
// with the expected best of random search at the same time (calculated, not drawn): 0 is random search, 1 the optimum
// at once, below 0 is worse than random. The score is the mean over a time grid from where random search reaches
// `start` of the way from median to optimum to where it reaches `stop`. The published method bags isotonic fits on
// random subsets. Here the bags are seeded, and the fit of all points is reported beside (plain). Pure functions and
// immutable values; nothing here runs a strategy (see replay.hpp).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <warpwright/base/units.hpp>
#include <warpwright/model/recorded_space.hpp>

namespace warpwright {

struct ScoreSettings {
  double start =
      0.01;  // fractions of the way from the median to the optimum, as in Kernel Tuner's hyper-parameter tuner
  double stop = 0.95;
  std::size_t grid = 1000;
};

// One step of a run: after an evaluation that was charged.
struct RunStep {
  Seconds elapsed{};      // charged so far, this evaluation included
  bool has_best = false;  // false until the first valid result
  double best = 0;
};
using Run = std::vector<RunStep>;

// Isotonic regression (pool adjacent violators), not increasing, with linear interpolation between the points and the
// ends' values outside. Equal positions are averaged. Public because its properties are worth testing by themselves.
class DecreasingFit {
 public:
  struct Point {
    double x = 0, y = 0;
  };
  explicit DecreasingFit(std::vector<Point> points);  // at least one
  double operator()(double x) const;

 private:
  std::vector<double> x_, y_;
};

// Piecewise cubic Hermite interpolation that keeps monotony (Fritsch, Butland 1984; slopes as in scipy's PCHIP).
class Pchip {
 public:
  Pchip(std::vector<double> x, std::vector<double> y);  // x strictly increasing, at least one point
  double operator()(double x) const;

 private:
  std::vector<double> x_, y_, slope_;
};

// What a recorded space says by itself: targets, budgets and the baseline curve. Immutable, thread-safe.
class SpaceScorer {
 public:
  // Throws Error(bad_input) with fewer than 3 valid results, or when all are equal: then there is nothing to search.
  explicit SpaceScorer(const RecordedSpace& recorded, const ScoreSettings& settings = {});

  struct CutOff {
    double target = 0;              // objective
    std::uint64_t evaluations = 0;  // of random search to reach it
    Seconds time{};
  };
  double optimum() const { return values_.front(); }
  double median() const { return median_; }
  std::size_t valid() const { return values_.size(); }
  // Valid configurations at or below the target.
  std::size_t count_within(double target) const;
  Seconds median_cost() const { return median_cost_; }
  // Mean cost of one valid evaluation of random search, with the failures before it.
  Seconds cost_of_valid() const { return tau_; }
  const CutOff& start() const { return start_; }
  const CutOff& stop() const { return stop_; }
  // How long a run must be: 10 % beyond the last point of the grid.
  Seconds time_limit() const { return stop_.time * 1.1; }
  std::uint64_t evaluation_limit() const;
  std::uint64_t baseline_first() const { return first_; }
  std::uint64_t baseline_last() const { return last_; }

  const std::vector<double>& grid() const { return grid_; }          // seconds
  const std::vector<double>& baseline() const { return baseline_; }  // objective at each point of the grid

  // Whether a run has the two points in the margin of the grid that the method needs.
  bool usable(const Run& run) const;
  // Objective at each point of the grid. Runs that are not usable are left out; throws Error(bad_input) if none is
  // left. With seed: the published bagging; without: one fit of all points.
  std::vector<double> curve(std::span<const Run> runs, std::uint64_t seed) const;
  std::vector<double> plain_curve(std::span<const Run> runs) const;
  // (curve - baseline) / (optimum - baseline) at each point of the grid; where the baseline is at the optimum, it is
  // taken to be the next best value.
  std::vector<double> performance(const std::vector<double>& curve) const;

 private:
  struct Pool;
  Pool pool(std::span<const Run> runs) const;
  std::vector<double> look_up(const Pool& pool, std::vector<double> ranks) const;
  CutOff cut_off(double fraction) const;

  std::vector<double> values_;  // valid objectives, ascending (negated where the objective is maximised)
  std::size_t recorded_ = 0;
  double median_ = 0;
  Seconds median_cost_{}, tau_{};
  CutOff start_, stop_;
  std::uint64_t first_ = 1, last_ = 1;
  std::vector<double> grid_, baseline_;
};

double mean_of(std::span<const double> values);
// With n - 1; 0 for one value.
double deviation_of(std::span<const double> values);

}  // namespace warpwright
