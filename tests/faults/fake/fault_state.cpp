#include "fault_state.hpp"

#include <array>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

namespace warpwright::faults {
namespace {

struct Mapping {
  SharedState* state = nullptr;
  int descriptor = -1;
};

Mapping map_state() {
  Mapping mapping;
  if (const char* path = std::getenv("FAKE_DRIVER_STATE"); path != nullptr && path[0] != '\0') {
    mapping.descriptor = ::open(path, O_RDWR | O_CLOEXEC);
    void* memory = mapping.descriptor < 0 ? MAP_FAILED
                                          : ::mmap(nullptr, sizeof(SharedState), PROT_READ | PROT_WRITE, MAP_SHARED,
                                                   mapping.descriptor, 0);
    // A test that injects nothing because its file is missing would pass for the wrong reason.
    if (memory == MAP_FAILED || static_cast<SharedState*>(memory)->magic != SharedState::magic_number) std::abort();
    mapping.state = static_cast<SharedState*>(memory);
    return mapping;
  }
  static SharedState own{};
  own.magic = SharedState::magic_number;
  mapping.state = &own;
  return mapping;
}

const Mapping& mapping() {
  static const Mapping mapped = map_state();
  return mapped;
}

std::atomic<int> poison_code{0};
std::atomic<std::uint64_t> poison_generation{0};
std::array<std::atomic<std::int64_t>, kind_slots> own_live{};

std::atomic<std::uint64_t>& counter(const char* function) {
  SharedState& shared = state();
  for (auto& call : shared.calls) {
    if (call.name[0] == '\0') break;
    if (std::strncmp(call.name, function, sizeof(call.name)) == 0) return call.count;
  }
  // A new name. The lock goes with a process that is killed here.
  if (mapping().descriptor >= 0) ::flock(mapping().descriptor, LOCK_EX);
  std::atomic<std::uint64_t>* found = nullptr;
  for (auto& call : shared.calls) {
    if (call.name[0] == '\0') std::strncpy(call.name, function, sizeof(call.name) - 1);
    if (std::strncmp(call.name, function, sizeof(call.name)) == 0) {
      found = &call.count;
      break;
    }
  }
  if (mapping().descriptor >= 0) ::flock(mapping().descriptor, LOCK_UN);
  if (found == nullptr) std::abort();  // more functions than slots
  return *found;
}

void raise_to(std::atomic<std::uint64_t>& peak, std::uint64_t value) {
  std::uint64_t seen = peak.load();
  while (seen < value && !peak.compare_exchange_weak(seen, value)) {
  }
}

}  // namespace

SharedState& state() { return *mapping().state; }

void hang() {
  for (;;) ::pause();
}

int enter(const char* function) {
  SharedState& shared = state();
  const std::uint64_t total = ++shared.total;
  const std::uint64_t ordinal = ++counter(function);
  const bool any = shared.function[0] == '\0';
  const bool hit = shared.action != Action::none && shared.ordinal == (any ? total : ordinal) &&
                   (any || std::strncmp(shared.function, function, sizeof(shared.function)) == 0);
  if (hit) {
    ++shared.fired;
    switch (shared.action) {
      case Action::error:
        return shared.code;
      case Action::hang:
        hang();
      case Action::crash:
        std::signal(SIGSEGV, SIG_DFL);
        std::raise(SIGSEGV);
        break;
      case Action::lost:
        shared.lost = 1;
        break;
      case Action::sticky:
        poison(shared.code);
        break;
      case Action::none:
        break;
    }
  }
  if (shared.lost != 0) return shared.code;
  return poison_generation == shared.generation ? poison_code.load() : 0;
}

void poison(int code) {
  poison_generation = state().generation.load();
  poison_code = code;
}

void created(Kind kind, std::uint64_t bytes) {
  const auto slot = static_cast<std::size_t>(kind);
  const std::int64_t now = ++own_live[slot];
  raise_to(state().peak[slot], static_cast<std::uint64_t>(now));
  ++state().live[slot];
  raise_to(state().peak_bytes, state().live_bytes.fetch_add(bytes) + bytes);
}

void destroyed(Kind kind, std::uint64_t bytes) {
  const auto slot = static_cast<std::size_t>(kind);
  --own_live[slot];
  --state().live[slot];
  state().live_bytes -= bytes;
}

void misused(const std::string& what) {
  if (state().misuses.fetch_add(1) == 0)
    std::strncpy(state().first_misuse, what.c_str(), sizeof(state().first_misuse) - 1);
}

void context_closed() {
  if (own_live[static_cast<std::size_t>(Kind::context)] > 0) return;
  for (const auto& live : own_live)
    if (live != 0) {
      ++state().leaks;
      return;
    }
}

}  // namespace warpwright::faults
