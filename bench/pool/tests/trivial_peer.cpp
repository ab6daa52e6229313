// Peers for the test of bench_pool's flag --peer: a free list that works, and what is wrong on purpose.
//   PEER_REFUSES  cannot be opened
//   PEER_SHORT    has one block less than asked for
//   PEER_TWICE    gives one block to everybody
//   PEER_LACKING  needs a function that nobody has
//   PEER_STRANGE  has another interface
//   PEER_NONE     is no peer
#include <cstdio>
#include <memory>
#include <mutex>
#include <vector>

#include "../peer.h"

#ifndef PEER_NONE
namespace {

struct Pool {
  std::mutex mutex;
  std::vector<std::unique_ptr<char[]>> blocks;
  std::vector<void*> free;
};

#ifdef PEER_LACKING
extern "C" const char* nobody_has_this();
const char* name() { return nobody_has_this(); }
#else
const char* name() { return "trivial 1.0"; }
#endif

void* open([[maybe_unused]] std::size_t block_size, [[maybe_unused]] std::uint32_t count, [[maybe_unused]] char* error,
           [[maybe_unused]] std::size_t error_size) {
#ifdef PEER_REFUSES
  std::snprintf(error, error_size, "refused on purpose");
  return nullptr;
#else
  auto pool = std::make_unique<Pool>();
#ifdef PEER_SHORT
  --count;
#endif
  for (std::uint32_t i = 0; i < count; ++i) {
    pool->blocks.push_back(std::make_unique<char[]>(block_size));
    pool->free.push_back(pool->blocks.back().get());
  }
  return pool.release();
#endif
}

void* take(void* handle) {
  auto& pool = *static_cast<Pool*>(handle);
  const std::lock_guard lock(pool.mutex);
  if (pool.free.empty()) return nullptr;
  void* const block = pool.free.back();
#ifndef PEER_TWICE
  pool.free.pop_back();
#endif
  return block;
}

void give(void* handle, [[maybe_unused]] void* block) {
  auto& pool = *static_cast<Pool*>(handle);
  const std::lock_guard lock(pool.mutex);
#ifndef PEER_TWICE
  pool.free.push_back(block);
#endif
}

void close(void* handle) { delete static_cast<Pool*>(handle); }

#ifdef PEER_STRANGE
constexpr int interface = pool_peer_interface + 1;
#else
constexpr int interface = pool_peer_interface;
#endif
constexpr PoolPeer peer{interface, name, open, take, give, close};

}  // namespace

extern "C" const PoolPeer* warpwright_pool_peer(void) { return &peer; }
#endif
