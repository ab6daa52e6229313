#pragma OPENCL EXTENSION cl_khr_fp64 : enable
#if real == real_float64
typedef double Real;
#else
typedef float Real;
#endif

// Blocks of 32 whatever the work-group size, so that every configuration gives the same.
__kernel void reverse(__global const Real* x, __local Real* tile, __global Real* y, __local int* order, float2 weights) {
  const int local_id = get_local_id(0), global_id = get_global_id(0);
  tile[local_id] = x[global_id];
  order[local_id] = local_id / 32 * 32 + 31 - local_id % 32;
  barrier(CLK_LOCAL_MEM_FENCE);
  y[global_id] = tile[order[local_id]] * weights.x + weights.y;
}

__kernel void naive(__global const Real* x, __global Real* y, float2 weights) {
  const int i = get_global_id(0);
  y[i] = x[i / 32 * 32 + 31 - i % 32] * weights.x + weights.y;
}
