// What bench_pool asks of a library with another project's pool, a peer. Libraries are opened at run time (--peer
// FILE.so), so that neither the build nor the bench needs these projects, and one that cannot work here costs only its
// own rows.
#ifndef WARPWRIGHT_BENCH_POOL_PEER_H
#define WARPWRIGHT_BENCH_POOL_PEER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { pool_peer_interface = 1 };

// None of these throws. take and give may be called by any thread at any time between open and close.
struct PoolPeer {
  int interface;              // pool_peer_interface of the header that the library was built with
  const char* (*name)(void);  // project, version, and which of its pools
  // A pool of `count` blocks, or null and in `error` why there is none. bench_pool takes and gives back all blocks
  // before it measures, so memory may be pinned here or at the first take.
  void* (*open)(size_t block_size, uint32_t count, char* error, size_t error_size);
  // What names a block until it is given back, its address or what else the pool wants to have back; null if there is
  // none.
  void* (*take)(void* pool);
  void (*give)(void* pool, void* block);
  void (*close)(void* pool);  // every block was given back
};

// The only name that bench_pool looks for.
const struct PoolPeer* warpwright_pool_peer(void);

#ifdef __cplusplus
}
#endif

#endif
