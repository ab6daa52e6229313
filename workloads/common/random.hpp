// Draws of a stage for the host: philox.h by element, and whole arrays at a quarter of the cost. The layout of the
// counter is that of the kernels, so an oracle and a kernel with the same seed see the same numbers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "workloads/common/philox.h"

namespace warpwright::workloads {

// The stage's number is the second word of the key. Values: the numbers of the frame's stages S1 to S8.
enum class Stage : std::uint32_t {
  reservoir = 1,
  transfer_entropy = 2,
  coupling = 3,
  oscillators = 4,
  quantum = 5,
  inference = 6,
  control = 7,
  synchronisation = 8
};

// Immutable. Instance e of a batch uses the seed `seed + e`.
class Draws {
 public:
  Draws(std::uint32_t seed, Stage stage) : seed_(seed), stage_(static_cast<std::uint32_t>(stage)) {}

  // Uniform on (0, 1) for one element.
  double uniform(std::uint32_t frame, std::uint32_t step, std::size_t element, std::uint32_t sub = 0) const {
    return philox_uniforms(block(frame, step, element, sub)).value[element % 4];
  }

  // Standard normal for one element.
  double normal(std::uint32_t frame, std::uint32_t step, std::size_t element, std::uint32_t sub = 0) const {
    return philox_normals(block(frame, step, element, sub)).value[element % 4];
  }

  // Elements 0 to values.size() - 1, the same numbers as one by one.
  void uniforms(std::uint32_t frame, std::uint32_t step, std::span<double> values, std::uint32_t sub = 0) const {
    fill(frame, step, values, sub, philox_uniforms);
  }
  void normals(std::uint32_t frame, std::uint32_t step, std::span<double> values, std::uint32_t sub = 0) const {
    fill(frame, step, values, sub, philox_normals);
  }

 private:
  PhiloxBlock block(std::uint32_t frame, std::uint32_t step, std::size_t element, std::uint32_t sub) const {
    return philox_draw(seed_, stage_, frame, step, static_cast<std::uint32_t>(element / 4), sub);
  }

  void fill(std::uint32_t frame, std::uint32_t step, std::span<double> values, std::uint32_t sub,
            PhiloxReals (*convert)(PhiloxBlock)) const {
    for (std::size_t begin = 0; begin < values.size(); begin += 4) {
      const PhiloxReals four = convert(block(frame, step, begin, sub));
      for (std::size_t lane = 0; lane < 4 && begin + lane < values.size(); ++lane) {
        values[begin + lane] = four.value[lane];
      }
    }
  }

  std::uint32_t seed_;
  std::uint32_t stage_;
};

// What is drawn once before the first frame has this frame number; its step is the number of the array.
inline constexpr std::uint32_t setup_frame = PHILOX_SETUP_FRAME;

}  // namespace warpwright::workloads
