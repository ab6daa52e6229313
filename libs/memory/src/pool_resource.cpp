#include <algorithm>
#include <bit>
#include <new>

#include <warpwright/memory/pool_resource.hpp>

namespace warpwright::memory {

void* PoolResource::do_allocate(std::size_t bytes, std::size_t alignment) {
  if (!std::has_single_bit(alignment) || alignment > page_size) throw std::bad_alloc();
  try {
    auto block = pool_.try_acquire(Bytes{std::max<std::size_t>(1, bytes)});
    if (!block) throw std::bad_alloc();
    void* const data = block->data();
    block->detach();
    return data;
  } catch (const Error&) {
    throw std::bad_alloc();
  }
}

void PoolResource::do_deallocate(void* pointer, std::size_t, std::size_t) {
  // As operator delete: containers that allocated nothing give back nothing.
  if (pointer == nullptr) return;
  pool_.release(static_cast<std::byte*>(pointer));
}

bool PoolResource::do_is_equal(const std::pmr::memory_resource& other) const noexcept {
  const auto* same = dynamic_cast<const PoolResource*>(&other);
  return same != nullptr && &same->pool_ == &pool_;
}

}  // namespace warpwright::memory
