// Everything that a session measured and decided, as plain data that outlives it. It lies beside the journal, which
// holds the trials; reports, exports and other programs read both with read_session().
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <warpwright/base/host.hpp>
#include <warpwright/base/units.hpp>
#include <warpwright/model/configuration.hpp>
#include <warpwright/model/evaluation_info.hpp>
#include <warpwright/model/problem.hpp>
#include <warpwright/model/space.hpp>
#include <warpwright/model/statistics.hpp>
#include <warpwright/model/trial.hpp>
#include <warpwright/store/journal.hpp>

namespace warpwright::store {

// Where the wall time of a session went. The wall parts add up to `total`; compile_cpu is CPU time of all compile
// workers and overlaps them.
struct SessionTimes {
  Nanoseconds total{}, startup{}, compile_wait{}, compile_cpu{}, copy{}, verify{}, measure{}, tuner{}, finish{};
};

// Which clock a GPU had: that of short bursts, or the one that its power limit leaves when the kernel runs back to
// back.
enum class ClockState { boost, sustained };
std::string_view to_string(ClockState state) noexcept;

// How one configuration did in the final comparison, at the clock that decides (SessionRecord::clock). What is said of
// it comes from the second half of its samples; the first half chose the winner.
struct Finalist {
  Configuration configuration;
  std::vector<Nanoseconds> samples;  // fresh, interleaved; in the order of the rounds
  Nanoseconds median{}, spread{};
  // Its times by the winner's, pair by pair: above 1 is slower. The intervals of all finalists hold together at 95 %.
  PairedRatio ratio;
  // Not told from the winner (by Holm's procedure at 5 % for all finalists together), or only by less than the tie
  // margin.
  bool tie = false;
  // The baseline's times by its own, pair by pair; absent without a baseline in the comparison.
  std::optional<double> speedup;
  // Medians in short bursts and at the power limit, where both were measured, and then the samples of short bursts
  // where `samples` are of the power limit.
  std::optional<Nanoseconds> boost, sustained;
  std::vector<Nanoseconds> boost_samples;
  std::map<std::string, double> metrics;  // at `median`
};

// How the final comparison was judged.
struct ComparisonMethod {
  std::uint64_t choosing_rounds = 0;  // the first ones, which chose the winner
  std::uint64_t reported_rounds = 0;  // the others, which everything that is said comes from
  std::string tie_method;             // in words
  double family_error = 0;            // the probability that any finalist as good as the winner is called worse
};

// Thread-compatible value type.
struct SessionRecord {
  static constexpr const char* file_name = "session.json";

  // ---- what was asked -----------------------------------------------------------------------------------------------
  std::string kernel;
  std::string specification;  // path of its file; empty where the problem was made in C++
  Configuration dimensions;   // and constants
  std::vector<Parameter> parameters;
  std::vector<std::string> metrics;  // names, in the order of the specification
  Objective objective;
  std::string cache_mode;  // "cold", "warm"
  std::string strategy;
  std::uint64_t seed = 0;
  std::uint64_t space_size = 0;
  double cartesian_size = 0;

  // ---- where it ran -------------------------------------------------------------------------------------------------
  EvaluationInfo evaluation;  // device, compiler, reference
  std::string version;        // of Warpwright
  HostInfo host;
  std::string began_at, finished_at;  // of this run; UTC, ISO 8601

  // ---- what was measured --------------------------------------------------------------------------------------------
  std::uint64_t evaluations = 0;
  std::uint64_t resumed_from = 0;  // trials kept from before
  std::vector<Trial> trials;       // by ordinal
  std::array<std::uint64_t, trial_status_count> by_status{};
  std::optional<Trial> baseline;

  // ---- what came of it ----------------------------------------------------------------------------------------------
  std::optional<Configuration> best;
  Nanoseconds best_median{}, best_spread{};    // from the final comparison where it took place
  std::optional<Nanoseconds> baseline_median;  // from the same comparison
  std::map<std::string, double> baseline_metrics;
  std::vector<Nanoseconds> baseline_samples;  // as Finalist::samples; empty without a baseline in the comparison
  // Median of the paired ratios of the baseline's times to the winner's, with its interval, in rounds that had no part
  // in choosing. Without a final comparison the ratio of the medians of the search, which favours lucky samples: then
  // there is no interval.
  std::optional<double> speedup;
  std::optional<Interval> speedup_interval;
  std::optional<ComparisonMethod> comparison;  // absent where there was none
  bool power_limited = false;            // the fastest finalist reached the power limit, so both clocks were compared
  ClockState clock = ClockState::boost;  // what best_median, finalists, ties and speedup are of
  std::vector<Finalist> finalists;       // winner first, then by median; the baseline only if it is one
  std::vector<Configuration> ties;       // the configurations of finalists with a tie, winner first
  std::string verification;              // how the winner was verified, in words
  bool reverified = false;
  std::vector<Configuration> verified_sizes;  // other problem sizes that the winner was verified at, all dimensions
  bool interrupted = false;
  std::string stop_reason;  // "space exhausted", "200 evaluations", "time limit", "interrupted", "strategy ended"
  SessionTimes times;
  std::vector<std::string> warnings;

  // False while the session is at work, where it was killed, and where it went on after the record was written. Then
  // what is known comes from the journal alone, and what came of it is empty.
  bool complete = true;

  // times.tuner for each configuration of this run; 0 where there was none.
  Nanoseconds tuner_per_evaluation() const;
};

// Writes everything but the trials to `folder`, replacing an older record in one step. Throws Error with
// path_error_code() when it cannot be written; the older one is still there then.
void write_session_record(const std::filesystem::path& folder, const SessionRecord& record);

// What a session's folder holds: the record with the trials of the journal. Sessions of versions that wrote no record,
// and those that are not at their end, have what the journal tells (`complete` is false). Throws as Journal::read()
// does, and Error(corrupted) or Error(unsupported, a newer schema) that names the record's file.
SessionRecord read_session(const std::filesystem::path& folder);
// The same with the journal of that folder as it was read.
SessionRecord read_session(const std::filesystem::path& folder, JournalContents journal);

}  // namespace warpwright::store
