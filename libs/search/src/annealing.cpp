// Simulated annealing over Hamming neighbours. The temperature is a relative worsening (0.5: half as slow again) and
// falls geometrically with what is spent of the budget, so it fits every budget; stuck walks start again from the best.
#include <algorithm>
#include <cmath>
#include <optional>

#include "groupwise_strategy.hpp"

namespace warpwright {
namespace {

class Annealing final : public detail::GroupwiseStrategy {
 public:
  Annealing(const Space& space, const StrategySettings& settings)
      : GroupwiseStrategy(space, settings),
        hot_(detail::number_option(settings, "start_temperature", 0.5)),
        cold_(detail::number_option(settings, "end_temperature", 0.001)),
        patience_(detail::integer_option(settings, "patience", 100)) {
    if (!(hot_ > 0) || !(cold_ > 0))
      throw Error(ErrorCode::bad_input, "options 'start_temperature' and 'end_temperature' must be above 0");
  }

 private:
  std::vector<std::uint64_t> next_group() override {
    if (candidate_ && is_known(*candidate_)) {
      if (!current_ || accepts(value(*candidate_), value(*current_))) {
        current_ = candidate_;
        rejected_ = 0;
      } else if (++rejected_ > patience_ && has_best()) {
        current_ = best();
        rejected_ = 0;
      }
    }
    if (!candidate_ && has_best()) current_ = best();
    if (!current_ || !std::isfinite(value(*current_))) {
      candidate_ = draw();
      current_.reset();
      return {*candidate_};
    }
    const auto near = space_.neighbours(*current_, Neighbourhood::hamming);
    candidate_ = near.empty() ? draw() : near[rng_.below(near.size())];
    return {*candidate_};
  }

  bool accepts(double next, double now) {
    if (next <= now) return true;
    if (!std::isfinite(next)) return false;
    const double temperature = hot_ * std::pow(cold_ / hot_, spent());
    const double worse = (next - now) / std::max(1e-300, std::abs(now));
    return rng_.uniform() < std::exp(-worse / temperature);
  }

  double hot_, cold_;
  std::uint64_t patience_, rejected_ = 0;
  std::optional<std::uint64_t> current_, candidate_;
};

}  // namespace

std::unique_ptr<SearchAlgorithm> make_annealing(const Space& space, const StrategySettings& settings) {
  return std::make_unique<Annealing>(space, settings);
}

}  // namespace warpwright
