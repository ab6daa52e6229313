// The entry functions of the fuzzers: one per parser of text that comes from outside. Each takes any bytes, returns if
// the parser accepted or refused them properly, and aborts on anything else. libFuzzer calls them with what it invents;
// the replay test, built with any compiler, calls them with every file of the corpora.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>

namespace warpwright::fuzz {

// Parse, split, bind and evaluate: both ways of evaluation agree.
void expression(std::string_view text);
// Parameters and constraints, one a line: the space equals the filtered product of the values.
void space(std::string_view text);
// Read as a TOML specification beside a kernel named k.kernel; what is accepted passes the checks again.
void toml(std::string_view text);
// Read as a contract beside a trace named t.txt; what is accepted passes the checks again and can end in PASS.
void contract(std::string_view text);
// The same as toml() for T1.
void t1(std::string_view text);
// Describe as a cubin; the same bytes as a compiler's log.
void cubin(std::string_view bytes);
// Read as a recorded space (Kernel Tuner's cache or T4); what is accepted is written in both formats and read again.
void recorded(std::string_view text);
// Import as exported profiles; what is accepted is exported and imported again.
void profiles(std::string_view text);
// Bytes choose a specification of the simulated device with hostile expressions; its session gives every configuration
// an outcome.
void session(std::string_view bytes);
// What session() has seen so far in this process.
struct SessionCounts {
  std::uint64_t refused = 0;   // no specification
  std::uint64_t unjudged = 0;  // whose reference cannot be computed
  std::uint64_t sessions = 0;
  std::map<std::string, std::uint64_t> outcomes;  // of configurations, by status
};
SessionCounts& session_counts();

// Read as the journal of a session, as it is and with the checksums of its lines put right; what is accepted is
// resumed.
void journal(std::string_view text);
// Read as a file of NumPy's; what is accepted is written and read again.
void npy(std::string_view bytes);
// Inline beside headers that include, guard and repeat each other: one identity, whatever ends the lines.
void source(std::string_view text);
// Received as messages of another process, in one piece and in small ones; each read as every kind of task and answer.
void messages(std::string_view bytes);
// Found as an entry of the cache of binaries, as it is and with its checksum put right.
void binary_cache(std::string_view bytes);

// A broken promise of the code under test; also in builds without assertions.
inline void require(bool promise, const char* what) {
  if (promise) return;
  std::fprintf(stderr, "broken promise: %s\n", what);
  std::abort();
}

}  // namespace warpwright::fuzz

// The symbol that libFuzzer calls, in the translation units built for it.
#ifdef WARPWRIGHT_LIBFUZZER
#include <cstddef>
#include <cstdint>
#define WARPWRIGHT_FUZZ_ENTRY(function)                                                      \
  extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);         \
  extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {        \
    warpwright::fuzz::function(std::string_view(reinterpret_cast<const char*>(data), size)); \
    return 0;                                                                                \
  }
#else
#define WARPWRIGHT_FUZZ_ENTRY(function)
#endif
