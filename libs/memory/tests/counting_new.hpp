// Counts what the program allocates with operator new. Link counting_new.cpp.
#pragma once

#include <cstdint>

namespace warpwright::test {

std::uint64_t allocations();

}  // namespace warpwright::test
