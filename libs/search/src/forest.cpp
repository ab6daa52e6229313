// A forest of randomised trees as the model (as in SMAC, Hutter et al. 2011): expected improvement over what the trees
// say of neighbours of the best results and of a uniform sample. Made anew for every group of questions. No correlation
// lengths to fit and indifferent to monotone scales, but coarser than the Gaussian process of `bayesian`.
#include <algorithm>
#include <cmath>
#include <unordered_set>

#include <warpwright/model/sampling.hpp>

#include "candidate_pool.hpp"
#include "expected_improvement.hpp"
#include "groupwise_strategy.hpp"
#include "regression_forest.hpp"

namespace warpwright {
namespace {

class Forest final : public detail::GroupwiseStrategy {
 public:
  Forest(const Space& space, const StrategySettings& settings)
      : GroupwiseStrategy(space, settings),
        first_(std::max<std::uint64_t>(2, detail::integer_option(settings, "initial", 8))),
        trees_(std::max<std::uint64_t>(2, detail::integer_option(settings, "trees", 24))),
        group_(std::max<std::uint64_t>(1, detail::integer_option(settings, "group", 4))),
        sample_(std::max<std::uint64_t>(1, detail::integer_option(settings, "sample", 400))),
        pool_(space) {
    for (std::size_t d = 0; d < pool_.dimensions(); ++d) ordered_.push_back(pool_.ordered(d));
  }

 private:
  std::vector<std::uint64_t> next_group() override {
    if (!started_) {
      started_ = true;
      if (!has_best() || known().size() < first_) return latin_hypercube(space_, first_, rng_);
    }
    if (!has_best() || pool_.dimensions() == 0) return {draw()};
    // Logarithms where they exist; failures count as the worst.
    std::vector<std::uint64_t> ranked = known();
    std::sort(ranked.begin(), ranked.end(),
              [&](std::uint64_t a, std::uint64_t b) { return value(a) < value(b) || (value(a) == value(b) && a < b); });
    const double least = value(ranked.front());
    double worst = least;
    for (const std::uint64_t index : ranked)
      if (std::isfinite(value(index))) worst = value(index);
    const auto target = [&](std::uint64_t index) {
      const double result = std::isfinite(value(index)) ? value(index) : worst;
      return least > 0 ? std::log(result) : result;
    };
    std::vector<std::uint16_t> codes;
    std::vector<double> targets;
    for (const std::uint64_t index : known()) {
      pool_.read(index, codes);
      targets.push_back(target(index));
    }
    const detail::RegressionForest forest(codes, pool_.dimensions(), targets, ordered_, trees_, rng_);

    std::unordered_set<std::uint64_t> there;
    std::vector<std::pair<float, std::uint64_t>> scored;
    static const detail::LogImprovement improvement;
    const double best = target(ranked.front());
    const auto consider = [&](std::uint64_t index) {
      if (is_known(index) || !there.insert(index).second) return;
      codes.clear();
      pool_.read(index, codes);
      const auto prediction = forest(codes.data());
      const double deviation = std::max(1e-4 * std::max(1e-9, std::abs(best)), prediction.deviation);
      const float score = improvement(static_cast<float>((best - prediction.mean) / deviation)) +
                          detail::fast_log(static_cast<float>(std::max(1e-30, deviation)));
      scored.emplace_back(-score, index);
    };
    for (std::size_t i = 0; i < ranked.size() && i < 6; ++i)
      for (const std::uint64_t near : space_.neighbours(ranked[i], Neighbourhood::hamming)) consider(near);
    for (std::uint64_t i = 0; i < sample_; ++i) consider(draw());
    // More questions at once as the forest costs more, so that the time of a question stays bounded.
    const std::size_t kept = std::min<std::size_t>(std::max<std::size_t>(group_, known().size() / 32), scored.size());
    std::partial_sort(scored.begin(), scored.begin() + static_cast<std::ptrdiff_t>(kept), scored.end());
    std::vector<std::uint64_t> group;
    for (std::size_t i = 0; i < kept; ++i) group.push_back(scored[i].second);
    return group;
  }

  std::uint64_t first_, trees_, group_, sample_;
  detail::CandidatePool pool_;
  std::vector<bool> ordered_;
  bool started_ = false;
};

}  // namespace

std::unique_ptr<SearchAlgorithm> make_forest(const Space& space, const StrategySettings& settings) {
  return std::make_unique<Forest>(space, settings);
}

}  // namespace warpwright
