"""Kernels for the corpus: PTX and CUDA C++ that differ in registers, shared memory, barriers, bounds and clusters."""

PTX_HEAD = """.version {version}
.target {target}
.address_size 64
.extern .shared .align 16 .b8 dynamic_memory[];
"""


def ptx_kernel(name, live=4, shared=0, dynamic=False, barriers=0, directives=()):
    """`live` values are loaded, then stored in the other order: so many registers at least are needed."""
    lines = [f".visible .entry {name}(.param .u64 pointer)", *directives, "{",
             f"  .reg .f32 %f<{live + 4}>;", "  .reg .b64 %rd<4>;", "  .reg .b32 %r<4>;"]
    if shared:
        lines.append(f"  .shared .align 4 .b8 fixed_{name}[{shared}];")
    lines += ["  ld.param.u64 %rd0, [pointer];", "  mov.u32 %r0, %tid.x;", "  mul.wide.u32 %rd1, %r0, 4;",
              "  add.s64 %rd2, %rd0, %rd1;"]
    lines += [f"  ld.volatile.global.f32 %f{i}, [%rd2+{4096 * i}];" for i in range(live)]
    if shared:
        lines += [f"  st.volatile.shared.f32 [fixed_{name}], %f0;", f"  ld.volatile.shared.f32 %f0, [fixed_{name}+{shared - 4}];"]
    if dynamic:
        lines += ["  st.volatile.shared.f32 [dynamic_memory], %f0;", "  ld.volatile.shared.f32 %f0, [dynamic_memory+64];"]
    lines += [f"  bar.sync {i}, 64;" for i in range(barriers)]
    lines += [f"  st.volatile.global.f32 [%rd2+{4096 * i}], %f{i};" for i in reversed(range(live))]
    return "\n".join(lines + ["  ret;", "}", ""])


def ptx_module(version, target):
    compute = int("".join(c for c in target if c.isdigit()))
    kernels = [ptx_kernel(f"live_{live}", live=live) for live in (1, 12, 20, 28, 40, 61, 90, 122, 180, 230)]
    kernels += [ptx_kernel(f"shared_{bytes}", shared=bytes) for bytes in (4, 400, 1024, 5000, 16384, 49152)]
    kernels += [ptx_kernel(f"barriers_{count}", barriers=count) for count in (1, 2, 4, 7, 16)]
    kernels += [
        ptx_kernel("dynamic", dynamic=True),
        ptx_kernel("bounded", live=60, directives=[".maxntid 512, 1, 1", ".minnctapersm 2"]),
        ptx_kernel("bounded_in_two", directives=[".maxntid 32, 8, 1"]),
        ptx_kernel("required", live=30, barriers=3, directives=[".reqntid 128, 1, 1"]),
        ptx_kernel("required_in_two", shared=800, directives=[".reqntid 16, 12, 1"]),
    ]
    if compute >= 90:
        kernels += [ptx_kernel("cluster", directives=[".reqntid 64, 1, 1", ".reqnctapercluster 2, 1, 1"]),
                    ptx_kernel("cluster_bound", directives=[".maxntid 256, 1, 1", ".maxclusterrank 4"])]
    return PTX_HEAD.format(version=version, target=target) + "".join(kernels)


CUDA = r"""
extern __shared__ float dynamic_memory[];
#define BARRIER(n) asm volatile("bar.sync " #n ", 64;");
extern "C" __global__ void plain(float* a) { a[threadIdx.x] = 1; }
extern "C" __global__ void __launch_bounds__(256) fixed_shared(float* a) {
  __shared__ float tile[100];
  tile[threadIdx.x % 100] = a[threadIdx.x];
  __syncthreads();
  a[threadIdx.x] = tile[(threadIdx.x + 3) % 100];
}
extern "C" __global__ void __launch_bounds__(2048) wide_bound(float* a) { a[threadIdx.x] = 1; }
extern "C" __global__ void __launch_bounds__(256, 2) two_blocks(float* a) { a[threadIdx.x] = 1; }
extern "C" __global__ void barriers(float* a) {
  BARRIER(0) a[threadIdx.x] = 1; BARRIER(1) BARRIER(2) BARRIER(3) BARRIER(4) BARRIER(5) BARRIER(6) BARRIER(7)
  BARRIER(8) BARRIER(9) BARRIER(10) BARRIER(11) BARRIER(12) BARRIER(13) BARRIER(14) BARRIER(15)
}
extern "C" __global__ void dynamic_shared(float* a) {
  dynamic_memory[threadIdx.x] = a[threadIdx.x];
  __syncthreads();
  a[threadIdx.x] = dynamic_memory[threadIdx.x ^ 1];
}
namespace ns {
template <int live, class T>
__global__ void holds(T* a) {
  T values[live];
#pragma unroll
  for (int i = 0; i < live; ++i) values[i] = a[i * 1024 + threadIdx.x];
#pragma unroll 1
  for (int k = 0; k < 10; ++k) {
#pragma unroll
    for (int i = 0; i < live; ++i) values[i] = values[i] * values[(i + 1) % live] + values[(i * 7 + 3) % live];
  }
#pragma unroll
  for (int i = 0; i < live; ++i) a[i * 1024 + threadIdx.x] = values[i];
}
}  // namespace ns
template __global__ void ns::holds<8, float>(float*);
template __global__ void ns::holds<24, float>(float*);
template __global__ void ns::holds<60, float>(float*);
template __global__ void ns::holds<100, float>(float*);
template __global__ void ns::holds<40, double>(double*);
__global__ void overloaded(float* a) { a[0] = 1; }
__global__ void overloaded(double* a) { a[0] = 1; }
#if __CUDA_ARCH__ >= 900 || !defined(__CUDA_ARCH__)
extern "C" __global__ void __cluster_dims__(2, 1, 1) cluster(float* a) { a[threadIdx.x] = 1; }
extern "C" __global__ void __launch_bounds__(256, 1, 4) cluster_bound(float* a) { a[threadIdx.x] = 1; }
#endif
"""

# Separate compilation: the kernel's registers are those of what it calls, once linked.
CUDA_CALLEE = r"""
__device__ float heavy(const float* a, int i) {
  float x[32];
#pragma unroll
  for (int k = 0; k < 32; ++k) x[k] = a[i + k * 33];
  float sum = 0;
#pragma unroll
  for (int k = 0; k < 32; ++k) sum += x[k] * x[31 - k];
  return sum;
}
"""
CUDA_CALLER = r"""
__device__ float heavy(const float* a, int i);
extern "C" __global__ void calls(float* a) { a[threadIdx.x] = heavy(a, threadIdx.x); }
"""

HOST_MAIN = "extern \"C\" int answer() { return 42; }\n"
