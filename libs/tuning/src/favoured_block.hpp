// Where a choice of launch begins without any knowledge, and what breaks ties.
#pragma once

namespace warpwright::detail {

// Threads of a block: NVIDIA's guide to good practice advises 128 to 256.
inline constexpr int favoured_block = 256;

}  // namespace warpwright::detail
