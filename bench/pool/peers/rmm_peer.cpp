// RMM's pool over pinned memory, as a peer of bench_pool.
//
// RMM orders releases by streams: to give a block back is to record an event, with the pool's mutex held, and both
// calls ask the driver for the stream's number. This is what its users pay: there is no release that costs less. All
// threads use one stream, the cheapest case; a block that was released on another one costs a wait between the two on
// top.
#include <cstdio>
#include <cuda_runtime_api.h>
#include <exception>
#include <rmm/aligned.hpp>
#include <rmm/cuda_stream.hpp>
#include <rmm/mr/pinned_host_memory_resource.hpp>
#include <rmm/mr/pool_memory_resource.hpp>
#include <rmm/version_config.hpp>

#include "../peer.h"

namespace {

struct Pool {
  Pool(std::size_t block, std::size_t bytes)
      : block_size(block), resource(rmm::mr::pinned_host_memory_resource{}, bytes, bytes) {}
  std::size_t block_size;
  rmm::cuda_stream stream{rmm::cuda_stream::flags::non_blocking};  // outlives the pool, whose events are of this stream
  cuda::stream_ref order{stream};
  rmm::mr::pool_memory_resource resource;
};

const char* name() { return "RMM " RMM_VERSION " pinned pool"; }

void* open(std::size_t block_size, std::uint32_t count, char* error, std::size_t error_size) {
  // RMM's own message would name a line of its sources first.
  int devices = 0;
  cudaError_t status = cudaGetDeviceCount(&devices);
  if (status == cudaSuccess && devices > 0) status = cudaFree(nullptr);  // makes the context
  if (status != cudaSuccess || devices == 0) {
    std::snprintf(error, error_size, "no CUDA device: %s",
                  status != cudaSuccess ? cudaGetErrorString(status) : "the driver knows none");
    return nullptr;
  }
  try {
    const std::size_t block = rmm::align_up(block_size, rmm::CUDA_ALLOCATION_ALIGNMENT);
    return new Pool(block, block * count);
  } catch (const std::exception& thrown) {
    std::snprintf(error, error_size, "%s", thrown.what());
    return nullptr;
  }
}

void* take(void* handle) {
  auto& pool = *static_cast<Pool*>(handle);
  try {
    return pool.resource.allocate(pool.order, pool.block_size, rmm::CUDA_ALLOCATION_ALIGNMENT);
  } catch (const std::exception&) {
    return nullptr;
  }
}

void give(void* handle, void* block) {
  auto& pool = *static_cast<Pool*>(handle);
  pool.resource.deallocate(pool.order, block, pool.block_size, rmm::CUDA_ALLOCATION_ALIGNMENT);
}

void close(void* handle) { delete static_cast<Pool*>(handle); }

constexpr PoolPeer peer{pool_peer_interface, name, open, take, give, close};

}  // namespace

extern "C" const PoolPeer* warpwright_pool_peer(void) { return &peer; }
