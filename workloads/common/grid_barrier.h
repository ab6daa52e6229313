/* Barriers of all blocks of a launch, for kernels of the dialect on CUDA. OpenCL has none: there blocks may run one
 * after the other, and a barrier would wait for ever. The same methods as cooperative groups of NVIDIA, which would
 * need a header of the toolkit.
 *
 * Include <warpwright/dialect.h> first. grid_barrier() needs a cooperative launch (one-dimensional grid): without that
 * nothing promises that all blocks run at the same time. cluster_barrier() is for a grid of one cluster (at most 16
 * blocks, compute capability 9.0): the hardware has a barrier for that, which costs a fraction of one through memory.
 */
#ifndef WARPWRIGHT_WORKLOADS_GRID_BARRIER_H
#define WARPWRIGHT_WORKLOADS_GRID_BARRIER_H

#if !WARPWRIGHT_CUDA
#error "grid_barrier.h: a barrier of the whole grid needs a cooperative launch, which OpenCL does not have"
#endif

/* What another block has written before a barrier. Past the first-level cache, which is not kept coherent. */
#define LOAD_OF_OTHERS(pointer) __ldcg(pointer)

/* All threads of all blocks come here; what they have written to global memory before is seen behind. *state: 0 before
 * the first launch that uses it, shared by no other kernel that runs at the same time. Each barrier adds 2^31 in all:
 * the top bit turns over when the last block arrives, the others are 0 again, so that nothing has to be reset between
 * launches. */
WW_DEVICE void grid_barrier(WW_GLOBAL ww_uint32* state) {
  WW_BARRIER();
  if (WW_THREAD_X == 0) {
    const ww_uint32 share = WW_BLOCK_X == 0 ? 0x80000000u - (ww_uint32)(WW_GRID_DIM_X - 1) : 1u;
    WW_GLOBAL_FENCE();
    const ww_uint32 before = WW_ATOMIC_ADD(state, share);
    while (((before ^ *(volatile WW_GLOBAL ww_uint32*)state) & 0x80000000u) == 0u) {
    }
    WW_GLOBAL_FENCE();
  }
  WW_BARRIER();
}

/* The same for the blocks of a cluster. */
WW_DEVICE void cluster_barrier() {
#if __CUDA_ARCH__ >= 900
  asm volatile("barrier.cluster.arrive.release;\nbarrier.cluster.wait.acquire;" ::: "memory");
#endif
}

#endif /* WARPWRIGHT_WORKLOADS_GRID_BARRIER_H */
