// A place for a worker of a pool: the process that is there now, and what it is doing.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>

#include <warpwright/base/units.hpp>

#include "worker_process.hpp"

namespace warpwright::execution {

class DeviceLane;

// The task that proves a doubtful device.
inline constexpr std::uint64_t proof_id = ~std::uint64_t{0};

// One thread only.
struct WorkerSlot {
  enum class State { dead, starting, idle, busy };

  // Whose device it works on; null: it compiles.
  DeviceLane* lane = nullptr;
  State state = State::dead;
  std::optional<WorkerProcess> process;
  std::uint64_t generation = 0;  // counts the processes this slot has had
  int attempts = 0;              // starts in a row that failed
  std::uint64_t task = 0;
  std::string phase;  // of a compilation
  Nanoseconds begin{}, deadline{};

  bool compiles() const { return lane == nullptr; }
  bool timed() const { return state == State::busy || state == State::starting; }
  void end() {
    process.reset();
    state = State::dead;
  }
  // Time that was nobody's work is taken from the times that run.
  void forgive(Nanoseconds jump, Nanoseconds now) {
    const Nanoseconds allowed = deadline - begin;
    begin = std::min(begin + jump, now);
    deadline = begin + allowed;
  }
};

}  // namespace warpwright::execution
