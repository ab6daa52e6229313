// The kernels of the contract suite in the languages of the real backends.
//
// Every source has these entries; `local` arguments are the trailing __local pointer of OpenCL:
//   contract_add(float* c, float* a, float* b, int n)        c[i] = a[i] + b[i], guarded by i < n
//   contract_fill(int* out, int value, int n)                out[i] = value, guarded by i < n
//   contract_index(int* out, int nx, int ny, int nz)         out[(z * ny + y) * nx + x] = x + 1000 y + 1000000 z
//   contract_shared(int* out, int words, local)              one block: shared[i] = i for i < words; then
//                                                            out[t] = sum of shared[words - 1 - i] over i = t, t + T,
//                                                            ...
//   contract_define(int* out)                                out[0] = CONTRACT_VALUE, out[1] = (CONTRACT_TYPE)(-1) > 0
//   contract_constant(float* out, constant float* table, int n)   out[i] = table[i % 4]
//   contract_spin(int* data, int rounds)                     data[i] goes `rounds` times through 5 x + 1, then 1 is
//   added contract_symbol(float* out, int n)                       out[i] = contract_table[i % 4], where there are
//   symbols
#pragma once

#include <string>

namespace warpwright::test {

inline std::string cuda_contract_source() {
  return R"(
#ifndef CONTRACT_VALUE
#define CONTRACT_VALUE 0
#endif
#ifndef CONTRACT_TYPE
#define CONTRACT_TYPE int
#endif
__constant__ float contract_table[4];

extern "C" __global__ void contract_add(float* c, const float* a, const float* b, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) c[i] = a[i] + b[i];
}
extern "C" __global__ void contract_fill(int* out, int value, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) out[i] = value;
}
extern "C" __global__ void contract_index(int* out, int nx, int ny, int nz) {
  int x = blockIdx.x * blockDim.x + threadIdx.x;
  int y = blockIdx.y * blockDim.y + threadIdx.y;
  int z = blockIdx.z * blockDim.z + threadIdx.z;
  if (x < nx && y < ny && z < nz) out[(z * ny + y) * nx + x] = x + 1000 * y + 1000000 * z;
}
extern "C" __global__ void contract_shared(int* out, int words) {
  extern __shared__ int scratch[];
  for (int i = threadIdx.x; i < words; i += blockDim.x) scratch[i] = i;
  __syncthreads();
  int sum = 0;
  for (int i = threadIdx.x; i < words; i += blockDim.x) sum += scratch[words - 1 - i];
  out[threadIdx.x] = sum;
}
extern "C" __global__ void contract_define(int* out) {
  out[0] = CONTRACT_VALUE;
  out[1] = (CONTRACT_TYPE)(-1) > (CONTRACT_TYPE)0;
}
extern "C" __global__ void contract_constant(float* out, const float* table, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) out[i] = table[i % 4];
}
extern "C" __global__ void contract_spin(int* data, int rounds) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  unsigned x = (unsigned)data[i];
  for (int r = 0; r < rounds; ++r) x = 5u * x + 1u;
  data[i] = (int)(x + 1u);
}
extern "C" __global__ void contract_symbol(float* out, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) out[i] = contract_table[i % 4];
}
)";
}

inline std::string opencl_contract_source() {
  return R"(
#ifndef CONTRACT_VALUE
#define CONTRACT_VALUE 0
#endif
#ifndef CONTRACT_TYPE
#define CONTRACT_TYPE int
#endif
__kernel void contract_add(__global float* c, __global const float* a, __global const float* b, int n) {
  int i = get_global_id(0);
  if (i < n) c[i] = a[i] + b[i];
}
__kernel void contract_fill(__global int* out, int value, int n) {
  int i = get_global_id(0);
  if (i < n) out[i] = value;
}
__kernel void contract_index(__global int* out, int nx, int ny, int nz) {
  int x = get_global_id(0);
  int y = get_global_id(1);
  int z = get_global_id(2);
  if (x < nx && y < ny && z < nz) out[(z * ny + y) * nx + x] = x + 1000 * y + 1000000 * z;
}
__kernel void contract_shared(__global int* out, int words, __local int* scratch) {
  int t = get_local_id(0), width = get_local_size(0);
  for (int i = t; i < words; i += width) scratch[i] = i;
  barrier(CLK_LOCAL_MEM_FENCE);
  int sum = 0;
  for (int i = t; i < words; i += width) sum += scratch[words - 1 - i];
  out[t] = sum;
}
__kernel void contract_define(__global int* out) {
  out[0] = CONTRACT_VALUE;
  out[1] = (CONTRACT_TYPE)(-1) > (CONTRACT_TYPE)0;
}
__kernel void contract_constant(__global float* out, __constant float* table, int n) {
  int i = get_global_id(0);
  if (i < n) out[i] = table[i % 4];
}
__kernel void contract_spin(__global int* data, int rounds) {
  int i = get_global_id(0);
  unsigned x = (unsigned)data[i];
  for (int r = 0; r < rounds; ++r) x = 5u * x + 1u;
  data[i] = (int)(x + 1u);
}
)";
}

}  // namespace warpwright::test
