// Counts what the program allocates with operator new, and lets it fail. Link counting_new.cpp.
#pragma once

#include <cstdint>

namespace warpwright::test {

std::uint64_t allocations();

// While it lives, operator new throws std::bad_alloc on this thread.
class NoMemory {
 public:
  NoMemory();
  ~NoMemory();
  NoMemory(const NoMemory&) = delete;
  NoMemory& operator=(const NoMemory&) = delete;
};

}  // namespace warpwright::test
