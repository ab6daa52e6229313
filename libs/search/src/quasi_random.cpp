// Halton points (one prime base a parameter, shifted by the seed modulo 1) over the positions of the values, moved to
// the nearest valid configuration: covers the space more evenly than independent draws. It learns nothing; its use is a
// control beside random search and the start of a survey. Sobol points were not taken: their evenness comes in powers
// of two, and lists of values seldom have such lengths.
#include <array>

#include "groupwise_strategy.hpp"

namespace warpwright {
namespace {

// More parameters than primes share bases; their shifts still differ.
constexpr std::array<std::uint32_t, 24> primes = {2,  3,  5,  7,  11, 13, 17, 19, 23, 29, 31, 37,
                                                  41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89};

double radical_inverse(std::uint64_t number, std::uint32_t base) {
  double value = 0, digit = 1.0 / base;
  for (; number > 0; number /= base, digit /= base) value += digit * static_cast<double>(number % base);
  return value;
}

class QuasiRandom final : public detail::GroupwiseStrategy {
 public:
  QuasiRandom(const Space& space, const StrategySettings& settings) : GroupwiseStrategy(space, settings) {
    for (std::size_t p = 0; p < space.parameters().size(); ++p) shifts_.push_back(rng_.uniform());
  }

 private:
  std::vector<std::uint64_t> next_group() override {
    std::vector<std::uint64_t> group;
    for (int i = 0; i < 64; ++i) {
      ++number_;
      Choice choice;
      for (std::size_t p = 0; p < shifts_.size(); ++p) {
        double at = radical_inverse(number_, primes[p % primes.size()]) + shifts_[p];
        at -= at >= 1 ? 1 : 0;
        const auto count = static_cast<double>(space_.parameters()[p].values.size());
        choice.push_back(static_cast<std::uint32_t>(std::min(count - 1, at * count)));
      }
      group.push_back(repaired(choice));
    }
    return group;
  }

  std::vector<double> shifts_;
  std::uint64_t number_ = 0;
};

}  // namespace

std::unique_ptr<SearchAlgorithm> make_quasi_random(const Space& space, const StrategySettings& settings) {
  return std::make_unique<QuasiRandom>(space, settings);
}

}  // namespace warpwright
