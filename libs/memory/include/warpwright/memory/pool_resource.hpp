// The pool as a std::pmr::memory_resource, so that containers live in pinned memory.
#pragma once

#include <memory_resource>

#include <warpwright/memory/pinned_memory_pool.hpp>

namespace warpwright::memory {

// Thread-safe. The pool must outlive it. Every allocation takes a whole block: meant for few large containers.
class PoolResource final : public std::pmr::memory_resource {
 public:
  explicit PoolResource(PinnedMemoryPool& pool) : pool_(pool) {}

 private:
  // std::bad_alloc if no block is ready, the size exceeds the largest class, the alignment exceeds a page or is no
  // power of two.
  void* do_allocate(std::size_t bytes, std::size_t alignment) override;
  // The container must be done with device work on the memory. A null pointer is nothing to give back. Throws what
  // PinnedMemoryPool::release() throws for memory that is not this pool's.
  void do_deallocate(void* pointer, std::size_t bytes, std::size_t alignment) override;
  bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override;

  PinnedMemoryPool& pool_;
};

}  // namespace warpwright::memory
