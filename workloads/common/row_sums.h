/* What kernels of the dialect share that multiply a matrix with a vector, several threads for each row: loads of
 * vector_width floats, and sums over the threads of a row.
 *
 * Include <warpwright/dialect.h> first, and define ROW_LANES, the threads of a row, a power of two; they are neighbours
 * in the block. block_x and vector_width are the tunable parameters of these names.
 */
#ifndef WARPWRIGHT_WORKLOADS_ROW_SUMS_H
#define WARPWRIGHT_WORKLOADS_ROW_SUMS_H

/* vector_width floats from element `first` on, a multiple of it, into the array `out`. */
#if vector_width == 4
#define LOAD(pointer, first, out)                               \
  {                                                             \
    const float4 loaded = WW_LOAD_FLOAT4(pointer, (first) / 4); \
    out[0] = loaded.x;                                          \
    out[1] = loaded.y;                                          \
    out[2] = loaded.z;                                          \
    out[3] = loaded.w;                                          \
  }
#elif vector_width == 2
#define LOAD(pointer, first, out)                               \
  {                                                             \
    const float2 loaded = WW_LOAD_FLOAT2(pointer, (first) / 2); \
    out[0] = loaded.x;                                          \
    out[1] = loaded.y;                                          \
  }
#else
#define LOAD(pointer, first, out) out[0] = (pointer)[first];
#endif

// Each of `count` values (32 at most) summed over the lanes of a row; lane 0 has the sums. All threads of the block
// come here. scratch: block_x floats.
WW_DEVICE void sum_over_lanes(float* values, WW_SHARED_POINTER float* scratch, int count) {
#if WW_HAS_SHUFFLE
  WW_UNROLL_FULL
  for (int k = 0; k < count; ++k) {
    WW_UNROLL_FULL
    for (int offset = (ROW_LANES < 32 ? ROW_LANES : 32) / 2; offset > 0; offset /= 2) {
      values[k] += WW_SHUFFLE_DOWN(values[k], offset);
    }
  }
#if ROW_LANES > 32
  WW_BARRIER();
  if (WW_THREAD_X % 32 == 0) {
    WW_UNROLL_FULL
    for (int k = 0; k < count; ++k) scratch[k * (block_x / 32) + WW_THREAD_X / 32] = values[k];
  }
  WW_BARRIER();
  if (WW_THREAD_X % ROW_LANES == 0) {
    WW_UNROLL_FULL
    for (int k = 0; k < count; ++k) {
      WW_UNROLL_FULL
      for (int warp = 1; warp < ROW_LANES / 32; ++warp) {
        values[k] += scratch[k * (block_x / 32) + WW_THREAD_X / 32 + warp];
      }
    }
  }
#endif
#else
  // Eight lanes gather, then one: a tree has its barrier in a loop, for which PoCL compiles for many seconds.
  WW_NO_UNROLL
  for (int k = 0; k < count; ++k) {
    WW_BARRIER();
    scratch[WW_THREAD_X] = values[k];
    WW_BARRIER();
#if ROW_LANES > 8
    if (WW_THREAD_X % ROW_LANES < 8) {
      for (int other = 8; other < ROW_LANES; other += 8) values[k] += scratch[WW_THREAD_X + other];
      scratch[WW_THREAD_X] = values[k];
    }
    WW_BARRIER();
#endif
    if (WW_THREAD_X % ROW_LANES == 0) {
      for (int other = 1; other < (ROW_LANES < 8 ? ROW_LANES : 8); ++other) values[k] += scratch[WW_THREAD_X + other];
    }
  }
#endif
}

/* Each of `count` values summed over the block, in all of its threads. All threads of the block come here. scratch:
 * count x block_x floats, of which the first count x block_x / 32 are used where there are shuffles. */
WW_DEVICE void sum_over_block(float* values, WW_SHARED_POINTER float* scratch, int count) {
  WW_BARRIER();
#if WW_HAS_SHUFFLE
  WW_UNROLL_FULL
  for (int k = 0; k < count; ++k) {
    WW_UNROLL_FULL
    for (int offset = 16; offset > 0; offset /= 2) values[k] += WW_SHUFFLE_DOWN(values[k], offset);
    if (WW_THREAD_X % 32 == 0) scratch[k * (block_x / 32) + WW_THREAD_X / 32] = values[k];
  }
  WW_BARRIER();
  WW_UNROLL_FULL
  for (int k = 0; k < count; ++k) {
    values[k] = scratch[k * (block_x / 32)];
    for (int warp = 1; warp < block_x / 32; ++warp) values[k] += scratch[k * (block_x / 32) + warp];
  }
#else
  for (int k = 0; k < count; ++k) scratch[k * block_x + WW_THREAD_X] = values[k];
  WW_BARRIER();
  for (int half_size = block_x / 2; half_size > 0; half_size /= 2) {
    if (WW_THREAD_X < half_size) {
      for (int k = 0; k < count; ++k) {
        const int at = k * block_x + WW_THREAD_X;
        scratch[at] += scratch[at + half_size];
      }
    }
    WW_BARRIER();
  }
  for (int k = 0; k < count; ++k) values[k] = scratch[k * block_x];
#endif
}

#endif /* WARPWRIGHT_WORKLOADS_ROW_SUMS_H */
