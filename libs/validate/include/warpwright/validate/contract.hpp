// What a service promises about its latencies, and how a run decides whether it keeps the promise: everything that
// decides is fixed before the run (load, seed, number of requests, limits, confidence), because a choice made after
// looking at the results is how a promise is kept on paper. docs/validation.md describes the file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <warpwright/base/histogram.hpp>
#include <warpwright/base/units.hpp>
#include <warpwright/validate/late_test.hpp>

namespace warpwright::validate {

enum class LoadKind {
  poisson,   // independent users: exponential gaps
  constant,  // a sensor: equal gaps
  trace,     // arrivals from a file
  closed     // the next request when the one before is done: it waits with the service and hides its stalls
};
std::string_view to_string(LoadKind kind) noexcept;

struct Load {
  LoadKind kind = LoadKind::poisson;
  double rate_hz = 0;                 // arrivals per second on average; poisson and constant only
  std::vector<Nanoseconds> trace;     // arrivals after the start, ascending; trace only
  std::uint64_t max_outstanding = 0;  // an arrival beyond so many unfinished requests is dropped (late); 0: unlimited
  std::uint64_t workers = 1;          // requests that are served at once; for closed the number of clients
};

struct RunLength {
  Seconds warmup{0};        // requests that arrive before are served and not counted
  Seconds min_duration{0};  // after the warm-up
  Seconds max_duration{600};
  std::uint64_t min_requests = 0;  // after the warm-up
  std::uint64_t repeats = 3;       // runs that must all pass
};

// One limit of a stage. Without a percentile it is the limit of every single request.
struct Limit {
  std::string stage;
  std::optional<Percentile> percentile;
  Nanoseconds limit{0};
  // "e2e p99.9", "kernel max"
  std::string name() const;
};

struct Statistics {
  double confidence = 0.99;
  double tolerance = 0;
  std::uint64_t looks = 1;  // 1: one look at the end; more: alpha spent in equal parts (LookPlan)
  Histogram::Range histogram;
};

struct Validity {
  std::uint64_t errors_max = 0;      // failed requests; each is late as well
  Nanoseconds late_issue_p99{50e3};  // how late the generator itself may start requests
  // How far the stages of a request may add up to something else than the request took, as a share of it; not checked
  // without a value.
  std::optional<double> stage_sum_gap;
};

// The stage that is the whole request, from its arrival to its end.
inline constexpr std::string_view whole_request = "e2e";

// Value type.
struct Contract {
  std::string name;
  std::uint64_t seed = 1;
  Load load;
  RunLength run;
  std::vector<Limit> limits;  // those of one stage together; at least one of whole_request
  Statistics stats;
  Validity validity;

  // In the order of the limits, each once.
  std::vector<std::string> stages() const;
  // The test of a limit with a percentile at one look: its confidence and the correction for all limits and repeats,
  // which must all hold.
  LateTest test_of(const Limit& limit) const;
};

// Throw Error(bad_input) with file, line and key. Files that the contract names are looked for beside it.
Contract read_contract(const std::filesystem::path& file);
Contract parse_contract(std::string_view text, const std::filesystem::path& file);
// For contracts that were made in C++. Throws Error(bad_input) with the key that a file would have.
void check_contract(const Contract& contract);

}  // namespace warpwright::validate
