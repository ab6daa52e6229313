// Seeded random numbers that are bit-identical on every platform: the standard library's distributions are not.
// Generator: xoshiro256** (Blackman, Vigna 2018) seeded by SplitMix64; bounded integers by Lemire's
// multiply-and-reject.
#pragma once

#include <array>
#include <cstdint>

namespace warpwright {

// Thread-compatible. Satisfies std::uniform_random_bit_generator.
class Rng {
 public:
  using result_type = std::uint64_t;
  explicit Rng(std::uint64_t seed) noexcept;

  static constexpr result_type min() { return 0; }
  static constexpr result_type max() { return ~result_type{0}; }
  result_type operator()() noexcept { return next(); }

  std::uint64_t next() noexcept;
  // Uniform in [0, bound); bound 0 gives 0.
  std::uint64_t below(std::uint64_t bound) noexcept;
  // Uniform in [0, 1), 53 bits.
  double uniform() noexcept;
  // Standard normal (Box-Muller, both values used).
  double normal() noexcept;

 private:
  std::array<std::uint64_t, 4> state_{};
  double spare_normal_ = 0;
  bool has_spare_ = false;
};

// Mixes a seed with a stream number so that independent consumers of one seed do not share a sequence.
std::uint64_t derive_seed(std::uint64_t seed, std::uint64_t stream) noexcept;

}  // namespace warpwright
