/* Philox4x32-10 (Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as 1, 2, 3, SC'11), for the host and for
 * kernels of the dialect.
 *
 * Why counter-based: a draw is a function of (seed, stage, frame, step, element), so every configuration of a kernel
 * sees the same numbers whatever its block size, and the oracle sees them too. Rejected: a generator with a state in
 * memory per thread, whose numbers depend on the shape of the grid.
 *
 * One text for C++ (namespace warpwright::workloads, double), CUDA and OpenCL (no namespace, float). A kernel includes
 * <warpwright/dialect.h> first and may define PHILOX_REAL as double before it includes this.
 *
 * Layout: key = (seed, stage); counter = (frame, step, element / 4, sub); element e takes lane e mod 4. What is drawn
 * once before the first frame (weights, initial states) has frame PHILOX_SETUP_FRAME and step = number of the array.
 */
#ifndef WARPWRIGHT_WORKLOADS_PHILOX_H
#define WARPWRIGHT_WORKLOADS_PHILOX_H

#if defined(WARPWRIGHT_DIALECT_H)
#define PHILOX_FUNCTION WW_DEVICE
#define PHILOX_WORD ww_uint32
#define PHILOX_WIDE ww_uint64
#define PHILOX_MATH(name) name
#ifndef PHILOX_REAL
#define PHILOX_REAL float
#endif
/* Of an angle in turns. Both languages have these functions, which need no reduction of large arguments: that of sin
 * and cos takes registers and memory of the thread even where no argument is large. */
#define PHILOX_COS_TURN(turn) cospi((PHILOX_REAL)2.0f * (turn))
#define PHILOX_SIN_TURN(turn) sinpi((PHILOX_REAL)2.0f * (turn))
#else
#include <cmath>
#include <cstdint>
#define PHILOX_FUNCTION inline
#define PHILOX_WORD std::uint32_t
#define PHILOX_WIDE std::uint64_t
#define PHILOX_MATH(name) std::name
#ifndef PHILOX_REAL
#define PHILOX_REAL double
#endif
#define PHILOX_COS_TURN(turn) std::cos(6.28318530717958647692 * (turn))
#define PHILOX_SIN_TURN(turn) std::sin(6.28318530717958647692 * (turn))
namespace warpwright::workloads {
#endif

#define PHILOX_SETUP_FRAME 0xffffffffu

/* Four words, or a counter of four words. */
typedef struct PhiloxBlock {
  PHILOX_WORD word[4];
} PhiloxBlock;

/* Four numbers of the working type. */
typedef struct PhiloxReals {
  PHILOX_REAL value[4];
} PhiloxReals;

/* Ten rounds on `counter` with the key (key0, key1). Zero key and counter give 6627e8d5 e169c58d bc57ac4c 9b00dbd8. */
PHILOX_FUNCTION PhiloxBlock philox_4x32_10(PhiloxBlock counter, PHILOX_WORD key0, PHILOX_WORD key1) {
  for (int round = 0; round < 10; ++round) {
    const PHILOX_WIDE product0 = (PHILOX_WIDE)0xD2511F53u * counter.word[0];
    const PHILOX_WIDE product1 = (PHILOX_WIDE)0xCD9E8D57u * counter.word[2];
    PhiloxBlock next;
    next.word[0] = (PHILOX_WORD)(product1 >> 32) ^ counter.word[1] ^ key0;
    next.word[1] = (PHILOX_WORD)product1;
    next.word[2] = (PHILOX_WORD)(product0 >> 32) ^ counter.word[3] ^ key1;
    next.word[3] = (PHILOX_WORD)product0;
    counter = next;
    key0 += 0x9E3779B9u; /* Weyl sequence: golden ratio and sqrt(3) - 1, as in the paper */
    key1 += 0xBB67AE85u;
  }
  return counter;
}

/* The block that holds element `4 * quad` to `4 * quad + 3`. */
PHILOX_FUNCTION PhiloxBlock philox_draw(PHILOX_WORD seed, PHILOX_WORD stage, PHILOX_WORD frame, PHILOX_WORD step,
                                        PHILOX_WORD quad, PHILOX_WORD sub) {
  PhiloxBlock counter;
  counter.word[0] = frame;
  counter.word[1] = step;
  counter.word[2] = quad;
  counter.word[3] = sub;
  return philox_4x32_10(counter, seed, stage);
}

/* Uniform on (0, 1), never 0 or 1: the same number in float and in double, because it needs 24 bits. */
PHILOX_FUNCTION PHILOX_REAL philox_uniform(PHILOX_WORD word) {
  return ((PHILOX_REAL)(word >> 9) + (PHILOX_REAL)0.5f) * (PHILOX_REAL)1.1920928955078125e-07f;
}

/* Uniforms of the four words of a block. */
PHILOX_FUNCTION PhiloxReals philox_uniforms(PhiloxBlock block) {
  PhiloxReals result;
  for (int lane = 0; lane < 4; ++lane) result.value[lane] = philox_uniform(block.word[lane]);
  return result;
}

/* Standard normals by Box and Muller: lanes 0 and 1 from the first two uniforms, 2 and 3 from the others. */
PHILOX_FUNCTION PhiloxReals philox_normals(PhiloxBlock block) {
  PhiloxReals result;
  for (int lane = 0; lane < 4; lane += 2) {
    const PHILOX_REAL radius =
        PHILOX_MATH(sqrt)((PHILOX_REAL)-2.0f * PHILOX_MATH(log)(philox_uniform(block.word[lane])));
    const PHILOX_REAL turn = philox_uniform(block.word[lane + 1]);
    result.value[lane] = radius * PHILOX_COS_TURN(turn);
    result.value[lane + 1] = radius * PHILOX_SIN_TURN(turn);
  }
  return result;
}

#if !defined(WARPWRIGHT_DIALECT_H)
}  // namespace warpwright::workloads
#endif

#endif /* WARPWRIGHT_WORKLOADS_PHILOX_H */
