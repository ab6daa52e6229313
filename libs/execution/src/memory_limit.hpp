// A limit on the address space of this process, and a word to the coordinator when the process dies of it. A compiler
// that runs out of memory ends in many ways: some report it, some throw across a C interface and abort, some write to a
// null pointer. The coordinator only sees a signal; so the worker leaves a last message from its signal handler.
#pragma once

#include <string>

#include <warpwright/base/units.hpp>

namespace warpwright::execution {

// Permits this process `budget` more address space than it has now: what libraries have mapped so far, sanitizers'
// shadow memory included, does not count. Throws Error(io) if the system refuses.
void limit_memory(Bytes budget);

// From now on, when this process is killed by SIGABRT, SIGSEGV or SIGBUS after an allocation failed, or with most of
// its limited memory in use, `frame` is written to `descriptor` first. One per process; to be called after
// limit_memory().
void report_out_of_memory(int descriptor, std::string frame);

// Forgets an allocation that failed: the next task begins.
void forget_failed_allocations() noexcept;

}  // namespace warpwright::execution
