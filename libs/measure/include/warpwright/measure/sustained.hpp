// Times at the power limit. A tuner measures in short bursts, and a GPU boosts in bursts: on an H200 a bf16 GEMM takes
// 1.367 ms in its first 50 ms and 1.651 ms after 8 s, when the clock has settled at what 700 W allow. An application
// that runs the kernel all day gets the second one, and configurations that draw less power then gain places.
//
// Method: the fastest candidate runs back to back while the telemetry is asked whether power holds the clock down. If
// it does, all candidates run in turns, in blocks long enough for the clock to follow, until the GPU as a whole has
// settled (4 to 8 s on an H200), and then for some rounds more that are measured: of each block the second half,
// because the clock must settle at each kernel's own power. The device never waits: while one group of runs is waited
// for, the next is queued.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include <warpwright/base/clock.hpp>
#include <warpwright/measure/cache_flusher.hpp>

namespace warpwright::measure {

struct SustainedOptions {
  Nanoseconds probe{1e9};    // how long the fastest candidate runs to see whether power limits it
  Nanoseconds settle{6e9};   // turns of all candidates before anything is measured
  Nanoseconds block{500e6};  // of one candidate
  int rounds = 6;            // measured blocks of each candidate
  std::uint64_t seed = 0;    // of the order within a round
};

// Flushes before each run are left out where they would take longer than this part of the run.
inline constexpr double largest_flush_share = 0.25;

struct SustainedWork {
  std::function<void()> prepare;  // before a block of this candidate, the device idle; may be empty
  std::function<void()> before;   // before each run, untimed; may be empty
  std::function<void()> work;     // one run
  Nanoseconds estimate{};         // of one run
};

struct SustainedTimes {
  bool power_limited = false;
  // [candidate][round]: the mean time of a run in a block; empty unless power_limited.
  std::vector<std::vector<Nanoseconds>> samples;
};

// `power_limited` asks the telemetry (nullopt: it does not tell, which ends the probe as "no"). `flusher` flushes
// before each run; null: runs are warm. The estimate of works[0] must be the least. Waits, for about probe + settle +
// rounds * works.size() * block where power limits. Throws what the device throws.
SustainedTimes run_sustained(device::Context& context, device::Stream& stream, CacheFlusher* flusher,
                             std::span<const SustainedWork> works,
                             const std::function<std::optional<bool>()>& power_limited, const SustainedOptions& options,
                             const Clock& clock);

}  // namespace warpwright::measure
