// Initial designs and random samples over a space, bit-identical on every platform for equal seeds.
#pragma once

#include <cstdint>
#include <vector>

#include <warpwright/base/rng.hpp>
#include <warpwright/model/space.hpp>

namespace warpwright {

enum class Replacement : std::uint8_t { without, with };

// `count` indices, each uniform over the space; without replacement no index comes twice, and the whole space comes (in
// random order) where it has no more. Memory and time grow with `count` alone (Floyd's method, then a shuffle).
std::vector<std::uint64_t> sample(const Space& space, std::size_t count, Rng& rng,
                                  Replacement replacement = Replacement::without);

// Latin hypercube over the positions of the values: each parameter's list is cut into `count` strata and each is used
// once, in an order of its own; a point that is not valid moves to the nearest configuration that is (Space::nearest).
// Points that fall together come once, and random configurations fill up: as many distinct indices as sample() gives.
std::vector<std::uint64_t> latin_hypercube(const Space& space, std::size_t count, Rng& rng);

}  // namespace warpwright
