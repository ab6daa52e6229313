// What the link between host and device can do by itself: the yardstick for a pipeline.
#pragma once

#include <warpwright/base/clock.hpp>
#include <warpwright/base/units.hpp>
#include <warpwright/device/context.hpp>

namespace warpwright::memory {

// Time of one copy of `size` bytes.
struct LinkTimes {
  Bytes size;
  Nanoseconds upload{}, download{};            // one direction alone
  Nanoseconds both_upload{}, both_download{};  // each direction's own, while the other is busy
  Nanoseconds period{};                        // one upload and one download together, in the long run
};

// Copies `repeats` times each way alone, then both ways at once, between pinned memory and buffers of its own (two of
// each, which live during the call). Method: all copies are enqueued at once and the whole is timed by the host, so the
// cost of a call is hidden behind the copy before it. Each direction's own time in company is taken from events.
// `repeats` at least 2.
LinkTimes measure_link(device::Context& context, const Clock& clock, Bytes size, int repeats = 32);

}  // namespace warpwright::memory
