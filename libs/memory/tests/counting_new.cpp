#include "counting_new.hpp"

#include <atomic>
#include <cstdlib>
#include <new>

namespace {
std::atomic<std::uint64_t> counter{0};
thread_local bool no_memory = false;
}  // namespace

namespace warpwright::test {
std::uint64_t allocations() { return counter.load(std::memory_order_relaxed); }
NoMemory::NoMemory() { no_memory = true; }
NoMemory::~NoMemory() { no_memory = false; }
}  // namespace warpwright::test

void* operator new(std::size_t size) {
  counter.fetch_add(1, std::memory_order_relaxed);
  if (no_memory) throw std::bad_alloc();
  if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
