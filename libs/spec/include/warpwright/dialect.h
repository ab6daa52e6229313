/* One kernel source for CUDA and OpenCL: a C subset that both NVRTC (C++17) and OpenCL C 1.2 accept.
 *
 * Why macros: both languages name the same things differently (address spaces, indices, barriers, atomics), and a kernel
 * that is tuned on both needs one text, so that one hash identifies it. Rejected: translating source to source (errors
 * would point into generated text) and HIP-like wrappers (OpenCL C has no classes). What the languages do not share stays
 * visible: address spaces are written out, vectors have no operators, there are no templates.
 *
 * The tuner defines WARPWRIGHT_CUDA or WARPWRIGHT_OPENCL to 1; without it the compiler's own macros decide. Everything
 * here starts with WW_ or ww_. docs/dialect.md has the table and a complete example.
 *
 * Order of a kernel's parameters on OpenCL: the launch's arguments, the constant symbols in the order in which the
 * specification declares them, and the dynamic shared memory if the launch has more than 0 bytes of it.
 *
 * Names of tunable parameters are macros too: do not name one `unroll`, `x`, `y`, `z`, `w`, `min`, `max`, `read_only`,
 * `write_only`, `global`, `local`, `constant`, or like anything this file or a compiler's header uses.
 */
#ifndef WARPWRIGHT_DIALECT_H
#define WARPWRIGHT_DIALECT_H

#if !defined(WARPWRIGHT_CUDA) && !defined(WARPWRIGHT_OPENCL)
#if defined(__CUDACC__) || defined(__CUDACC_RTC__)
#define WARPWRIGHT_CUDA 1
#elif defined(__OPENCL_VERSION__)
#define WARPWRIGHT_OPENCL 1
#else
#error "warpwright/dialect.h: define WARPWRIGHT_CUDA=1 or WARPWRIGHT_OPENCL=1 (the compiler is neither CUDA nor OpenCL C)"
#endif
#endif

/* ---- loops ------------------------------------------------------------------------------------------------------- */

/* Before a `for`. WW_UNROLL(n): by n (a constant of at least 1; may be a parameter), WW_UNROLL_FULL: completely (the trip
 * count must be a constant), WW_NO_UNROLL: not at all. */
#define WW_DETAIL_PRAGMA(text) _Pragma(#text)
#define WW_PRAGMA(text) WW_DETAIL_PRAGMA(text)
#define WW_UNROLL(n) WW_PRAGMA(unroll n)
#define WW_UNROLL_FULL _Pragma("unroll")
#define WW_NO_UNROLL _Pragma("unroll 1")

#if defined(WARPWRIGHT_CUDA)

/* ================================================== CUDA ============================================================ */

/* ---- functions and address spaces -------------------------------------------------------------------------------- */

#define WW_KERNEL extern "C" __global__ void
/* A helper that only some configurations call is no mistake. */
#define WW_DEVICE [[maybe_unused]] static __device__ __forceinline__
#define WW_GLOBAL
#define WW_RESTRICT __restrict__
#define WW_SHARED __shared__
#define WW_SHARED_POINTER
#define WW_CONSTANT_POINTER
#define WW_ALIGN(bytes) __align__(bytes)

#define WW_CONSTANT_ARRAY(type, name, size) __constant__ type name[size]
#define WW_CONSTANT_PARAM(type, name)
#define WW_DYNAMIC_SHARED_PARAM
#define WW_DYNAMIC_SHARED(type, name)                               \
  extern __shared__ __align__(16) unsigned char ww_dynamic_shared[]; \
  type* name = (type*)ww_dynamic_shared

#define WW_LAUNCH_BOUNDS(threads) __launch_bounds__(threads)
#define WW_LAUNCH_BOUNDS_MIN(threads, blocks) __launch_bounds__(threads, blocks)
#define WW_REQUIRED_BLOCK(x_threads, y_threads, z_threads) __launch_bounds__((x_threads) * (y_threads) * (z_threads))

/* ---- indices, barriers -------------------------------------------------------------------------------------------- */

#define WW_THREAD_X ((int)threadIdx.x)
#define WW_THREAD_Y ((int)threadIdx.y)
#define WW_THREAD_Z ((int)threadIdx.z)
#define WW_BLOCK_X ((int)blockIdx.x)
#define WW_BLOCK_Y ((int)blockIdx.y)
#define WW_BLOCK_Z ((int)blockIdx.z)
#define WW_BLOCK_DIM_X ((int)blockDim.x)
#define WW_BLOCK_DIM_Y ((int)blockDim.y)
#define WW_BLOCK_DIM_Z ((int)blockDim.z)
#define WW_GRID_DIM_X ((int)gridDim.x)
#define WW_GRID_DIM_Y ((int)gridDim.y)
#define WW_GRID_DIM_Z ((int)gridDim.z)
#define WW_GLOBAL_X ((int)(blockIdx.x * blockDim.x + threadIdx.x))
#define WW_GLOBAL_Y ((int)(blockIdx.y * blockDim.y + threadIdx.y))
#define WW_GLOBAL_Z ((int)(blockIdx.z * blockDim.z + threadIdx.z))

#define WW_BARRIER() __syncthreads()
#define WW_GLOBAL_FENCE() __threadfence()

/* ---- types --------------------------------------------------------------------------------------------------------- */

typedef unsigned char ww_uint8;
typedef unsigned int ww_uint32;
typedef long long ww_int64;
typedef unsigned long long ww_uint64;

#define WW_MAKE_FLOAT2(a, b) make_float2(a, b)
#define WW_MAKE_FLOAT4(a, b, c, d) make_float4(a, b, c, d)
#define WW_MAKE_INT2(a, b) make_int2(a, b)
#define WW_MAKE_INT4(a, b, c, d) make_int4(a, b, c, d)

/* ---- loads and stores ---------------------------------------------------------------------------------------------- */

#define WW_LOAD_FLOAT2(pointer, index) (((const float2*)(pointer))[index])
#define WW_LOAD_FLOAT4(pointer, index) (((const float4*)(pointer))[index])
#define WW_STORE_FLOAT2(value, pointer, index) ((void)(((float2*)(pointer))[index] = (value)))
#define WW_STORE_FLOAT4(value, pointer, index) ((void)(((float4*)(pointer))[index] = (value)))
#define WW_LOAD_READ_ONLY(pointer) __ldg(pointer)
#define WW_LOAD_STREAMING(pointer) __ldcs(pointer)
#define WW_STORE_STREAMING(pointer, value) __stcs(pointer, value)

/* ---- arithmetic ---------------------------------------------------------------------------------------------------- */

#define WW_FMA(a, b, c) fmaf(a, b, c)
#define WW_RSQRT(value) rsqrtf(value)
#define WW_SQRT(value) sqrtf(value)
#define WW_FABS(value) fabsf(value)
#define WW_EXP(value) expf(value)
#define WW_LOG(value) logf(value)
#define WW_MIN(a, b) min(a, b)
#define WW_MAX(a, b) max(a, b)
#define WW_ASSUME(condition) __builtin_assume(condition)

/* ---- atomics: on int or unsigned int in global or shared memory; each yields the old value --------------------------- */

#define WW_ATOMIC_ADD(pointer, value) atomicAdd(pointer, value)
#define WW_ATOMIC_SUB(pointer, value) atomicSub(pointer, value)
#define WW_ATOMIC_MIN(pointer, value) atomicMin(pointer, value)
#define WW_ATOMIC_MAX(pointer, value) atomicMax(pointer, value)
#define WW_ATOMIC_AND(pointer, value) atomicAnd(pointer, value)
#define WW_ATOMIC_OR(pointer, value) atomicOr(pointer, value)
#define WW_ATOMIC_XOR(pointer, value) atomicXor(pointer, value)
#define WW_ATOMIC_EXCHANGE(pointer, value) atomicExch(pointer, value)
#define WW_ATOMIC_COMPARE_EXCHANGE(pointer, expected, value) atomicCAS(pointer, expected, value)

/* ---- warp shuffles (CUDA only): 1 where WW_SHUFFLE_DOWN exists ------------------------------------------------------- */

#define WW_HAS_SHUFFLE 1
#define WW_WARP_SIZE 32
#define WW_SHUFFLE_DOWN(value, lanes) __shfl_down_sync(0xffffffffu, value, lanes)

#else

/* ================================================= OpenCL =========================================================== */

#define WW_KERNEL __kernel void
#define WW_DEVICE static inline
#define WW_GLOBAL __global
#define WW_RESTRICT restrict
#define WW_SHARED __local
#define WW_SHARED_POINTER __local
#define WW_CONSTANT_POINTER __constant
#define WW_ALIGN(bytes) __attribute__((aligned(bytes)))

/* A declaration that declares nothing new, so that the semicolon after the macro is legal at file scope. */
#define WW_CONSTANT_ARRAY(type, name, size) typedef type ww_constant_##name
#define WW_CONSTANT_PARAM(type, name) , __constant type* name
/* uint4, so that the memory is aligned for float4. */
#define WW_DYNAMIC_SHARED_PARAM , __local uint4* ww_dynamic_shared
#define WW_DYNAMIC_SHARED(type, name) __local type* name = (__local type*)ww_dynamic_shared

#define WW_LAUNCH_BOUNDS(threads)
#define WW_LAUNCH_BOUNDS_MIN(threads, blocks)
#define WW_REQUIRED_BLOCK(x_threads, y_threads, z_threads) \
  __attribute__((reqd_work_group_size(x_threads, y_threads, z_threads)))

#define WW_THREAD_X ((int)get_local_id(0))
#define WW_THREAD_Y ((int)get_local_id(1))
#define WW_THREAD_Z ((int)get_local_id(2))
#define WW_BLOCK_X ((int)get_group_id(0))
#define WW_BLOCK_Y ((int)get_group_id(1))
#define WW_BLOCK_Z ((int)get_group_id(2))
#define WW_BLOCK_DIM_X ((int)get_local_size(0))
#define WW_BLOCK_DIM_Y ((int)get_local_size(1))
#define WW_BLOCK_DIM_Z ((int)get_local_size(2))
#define WW_GRID_DIM_X ((int)get_num_groups(0))
#define WW_GRID_DIM_Y ((int)get_num_groups(1))
#define WW_GRID_DIM_Z ((int)get_num_groups(2))
#define WW_GLOBAL_X ((int)get_global_id(0))
#define WW_GLOBAL_Y ((int)get_global_id(1))
#define WW_GLOBAL_Z ((int)get_global_id(2))

/* Global memory too: __syncthreads() orders both. */
#define WW_BARRIER() barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE)
#define WW_GLOBAL_FENCE() mem_fence(CLK_GLOBAL_MEM_FENCE)

typedef uchar ww_uint8;
typedef uint ww_uint32;
typedef long ww_int64;
typedef ulong ww_uint64;

#define WW_MAKE_FLOAT2(a, b) ((float2)(a, b))
#define WW_MAKE_FLOAT4(a, b, c, d) ((float4)(a, b, c, d))
#define WW_MAKE_INT2(a, b) ((int2)(a, b))
#define WW_MAKE_INT4(a, b, c, d) ((int4)(a, b, c, d))

#define WW_LOAD_FLOAT2(pointer, index) vload2((size_t)(index), pointer)
#define WW_LOAD_FLOAT4(pointer, index) vload4((size_t)(index), pointer)
#define WW_STORE_FLOAT2(value, pointer, index) vstore2(value, (size_t)(index), pointer)
#define WW_STORE_FLOAT4(value, pointer, index) vstore4(value, (size_t)(index), pointer)
#define WW_LOAD_READ_ONLY(pointer) (*(pointer))
#if defined(__clang__)
#define WW_LOAD_STREAMING(pointer) __builtin_nontemporal_load(pointer)
#define WW_STORE_STREAMING(pointer, value) __builtin_nontemporal_store(value, pointer)
#define WW_ASSUME(condition) __builtin_assume(condition)
#else
#define WW_LOAD_STREAMING(pointer) (*(pointer))
#define WW_STORE_STREAMING(pointer, value) ((void)(*(pointer) = (value)))
#define WW_ASSUME(condition) ((void)0)
#endif

/* fma() is emulated, and slow, where the device has no such instruction: mad() there. */
#if defined(FP_FAST_FMAF)
#define WW_FMA(a, b, c) fma(a, b, c)
#else
#define WW_FMA(a, b, c) mad(a, b, c)
#endif
#define WW_RSQRT(value) rsqrt(value)
#define WW_SQRT(value) sqrt(value)
#define WW_FABS(value) fabs(value)
#define WW_EXP(value) exp(value)
#define WW_LOG(value) log(value)
#define WW_MIN(a, b) min(a, b)
#define WW_MAX(a, b) max(a, b)

#define WW_ATOMIC_ADD(pointer, value) atomic_add(pointer, value)
#define WW_ATOMIC_SUB(pointer, value) atomic_sub(pointer, value)
#define WW_ATOMIC_MIN(pointer, value) atomic_min(pointer, value)
#define WW_ATOMIC_MAX(pointer, value) atomic_max(pointer, value)
#define WW_ATOMIC_AND(pointer, value) atomic_and(pointer, value)
#define WW_ATOMIC_OR(pointer, value) atomic_or(pointer, value)
#define WW_ATOMIC_XOR(pointer, value) atomic_xor(pointer, value)
#define WW_ATOMIC_EXCHANGE(pointer, value) atomic_xchg(pointer, value)
#define WW_ATOMIC_COMPARE_EXCHANGE(pointer, expected, value) atomic_cmpxchg(pointer, expected, value)

#define WW_HAS_SHUFFLE 0

#endif

#endif /* WARPWRIGHT_DIALECT_H */
