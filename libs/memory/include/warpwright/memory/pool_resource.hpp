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
  // std::bad_alloc if no block is ready, the size exceeds the largest class, or the alignment a page.
  void* do_allocate(std::size_t bytes, std::size_t alignment) override;
  // The container must be done with device work on the memory.
  void do_deallocate(void* pointer, std::size_t bytes, std::size_t alignment) override;
  bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override;

  PinnedMemoryPool& pool_;
};

}  // namespace warpwright::memory
