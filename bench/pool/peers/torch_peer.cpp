// PyTorch's CachingHostAllocator, which pins and keeps memory behind pin_memory(), as a peer of bench_pool.
//
// No stream has used the blocks, so to give one back records no event and puts it into the list of its size at once:
// the cheapest case. There is one such allocator in a process; it has no limit, and open only makes sure that it works.
#include <ATen/Context.h>
#include <ATen/core/CachingHostAllocator.h>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <torch/headeronly/version.h>

#include "../peer.h"

namespace {

struct Pool {
  at::HostAllocator* allocator;
  std::size_t block_size;
  c10::DeleterFnPtr deleter;
};

const char* name() { return "PyTorch " TORCH_VERSION " CachingHostAllocator"; }

void* open(std::size_t block_size, std::uint32_t, char* error, std::size_t error_size) {
  try {
    at::globalContext().lazyInitDevice(at::kCUDA);
    at::HostAllocator* const allocator = at::getHostAllocator(at::kCUDA);
    const at::DataPtr block = allocator->allocate(block_size);
    return new Pool{allocator, block_size, block.get_deleter()};
  } catch (const c10::Error& thrown) {
    std::snprintf(error, error_size, "%s", thrown.what_without_backtrace());
  } catch (const std::exception& thrown) {
    std::snprintf(error, error_size, "%s", thrown.what());
  }
  return nullptr;
}

// The context is what the deleter wants to have; the address of the memory comes back with the block next time.
void* take(void* handle) {
  const auto& pool = *static_cast<Pool*>(handle);
  try {
    return pool.allocator->allocate(pool.block_size).release_context();
  } catch (const std::exception&) {
    return nullptr;
  }
}

void give(void* handle, void* block) { static_cast<Pool*>(handle)->deleter(block); }

void close(void* handle) {
  auto* const pool = static_cast<Pool*>(handle);
  try {
    pool->allocator->empty_cache();
  } catch (const std::exception&) {  // the process ends soon, and the driver frees what is left
  }
  delete pool;
}

constexpr PoolPeer peer{pool_peer_interface, name, open, take, give, close};

}  // namespace

extern "C" const PoolPeer* warpwright_pool_peer(void) { return &peer; }
