// What the fake drivers and the tests share: one file, mapped by every process of a session. A test writes which call
// is to go wrong and how; the fakes count their calls and objects there. So the n-th call of a function is the n-th of
// the whole session, whatever process makes it, and a fault happens once even though the failed worker is replaced.
//
// The environment variable FAKE_DRIVER_STATE names the file. Without it the fakes work and nothing goes wrong. Layout
// and offsets are known to tests/faults/fakes.py as well.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>

namespace warpwright::faults {

enum class Action : std::uint32_t {
  none = 0,
  error = 1,   // this call returns `code`
  hang = 2,    // this call never returns
  crash = 3,   // this call kills its process with SIGSEGV
  lost = 4,    // this call and every later one, of any process, returns `code`: the device is gone
  sticky = 5,  // this call and every later one of its process returns `code`: the context is gone
};

enum class Kind : std::uint32_t { context, stream, event, memory, host, module, graph, program, kernel, count };
inline constexpr std::size_t kind_slots = 16;
static_assert(static_cast<std::size_t>(Kind::count) <= kind_slots);

struct CallCount {
  char name[40];
  std::atomic<std::uint64_t> count;
};

struct SharedState {
  static constexpr std::uint64_t magic_number = 0x3154'4c41'4645'4b41;
  static constexpr std::size_t call_slots = 160;

  std::uint64_t magic;
  Action action;
  std::int32_t code;
  std::uint64_t ordinal;  // from 1: of the function, or of all calls if `function` is empty
  char function[40];
  std::atomic<std::uint64_t> fired, lost, total;
  std::atomic<std::uint64_t> leaks;    // contexts that were closed while something made from them was left
  std::atomic<std::uint64_t> misuses;  // dead handles, addresses outside every allocation, calls without a context
  std::atomic<std::uint64_t> unloaded;
  char first_misuse[144];
  std::atomic<std::uint64_t> peak[kind_slots];  // most objects of a kind that one process had at a time
  std::atomic<std::uint64_t> live[kind_slots];  // of all processes; the killed ones included
  std::atomic<std::uint64_t> peak_bytes, live_bytes;
  std::atomic<std::uint64_t> generation;  // a poisoned process is well again when this number changes
  std::uint64_t reserved[13];
  CallCount calls[call_slots];
};
static_assert(offsetof(SharedState, fired) == 64 && offsetof(SharedState, first_misuse) == 112 &&
              offsetof(SharedState, peak) == 256 && offsetof(SharedState, live) == 384 &&
              offsetof(SharedState, peak_bytes) == 512 && offsetof(SharedState, calls) == 640 &&
              sizeof(CallCount) == 48);

// The state of this process: the mapped file, or a private one. Thread-safe.
SharedState& state();

// Counts the call and does what was asked for at it: returns the code to fail with, or 0. Does not return from a hang
// or crash.
int enter(const char* function);
// A fault of the device that later calls report: they return `code` from now on, in this process.
void poison(int code);
[[noreturn]] void hang();

void created(Kind kind, std::uint64_t bytes = 0);
void destroyed(Kind kind, std::uint64_t bytes = 0);
void misused(const std::string& what);
// A context was closed: if it was the last one, what this process still has of anything is a leak.
void context_closed();

}  // namespace warpwright::faults
