// What the commands share: exit codes, their registration, and the flags that choose problem and device.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include <warpwright/base/log.hpp>
#include <warpwright/base/units.hpp>
#include <warpwright/driver/places.hpp>
#include <warpwright/driver/problem.hpp>
#include <warpwright/model/value.hpp>

namespace warpwright::app {

// Documented in `warpwright --help`.
enum ExitCode : int {
  exit_success = 0,
  exit_failure = 1,  // FAIL, or no valid result
  exit_bad_input = 2,
  exit_inconclusive = 3,
  exit_invalid = 4,
  exit_interrupted = 130  // what was measured is kept
};

// Results go to `out`, progress and log to `err` (message_stream() in the program). Nothing is owned.
struct Console {
  std::FILE* out = stdout;
  std::FILE* err = stderr;
  driver::Places* places = nullptr;  // of the program, always set there
  // Prints warnings and information; errors alone where `quiet`.
  LogSink log(bool quiet = false) const;
};

// Each adds its subcommand to `app`; when chosen, the command runs and leaves its exit code in `exit_code`.
void add_devices_command(CLI::App& app, const Console& console, int& exit_code);
void add_check_command(CLI::App& app, const Console& console, int& exit_code);
void add_tune_command(CLI::App& app, const Console& console, int& exit_code);
void add_compare_command(CLI::App& app, const Console& console, int& exit_code);
void add_show_command(CLI::App& app, const Console& console, int& exit_code);
void add_pipeline_command(CLI::App& app, const Console& console, int& exit_code);
// Only where the reference workloads are built.
void add_frame_command(CLI::App& app, const Console& console, int& exit_code);
void add_space_command(CLI::App& app, const Console& console, int& exit_code);
void add_simulate_command(CLI::App& app, const Console& console, int& exit_code);
void add_strategies_command(CLI::App& app, const Console& console, int& exit_code);
void add_export_command(CLI::App& app, const Console& console, int& exit_code);
void add_profiles_command(CLI::App& app, const Console& console, int& exit_code);
void add_occupancy_command(CLI::App& app, const Console& console, int& exit_code);
void add_recommend_command(CLI::App& app, const Console& console, int& exit_code);
void add_validate_command(CLI::App& app, const Console& console, int& exit_code);

// What the library calls options, as flags.
driver::OptionNames flag_names();

// SPEC, --device and --problem of the commands that work on a kernel. With `may_replay` SPEC may be absent on the
// command line, for recordings.
struct ProblemArguments {
  std::string specification;
  std::string device;
  std::vector<std::string> dimensions;  // NAME=VALUE
  void add_to(CLI::App& command, bool may_replay = false);
  // Throws Error(bad_input) naming the flag.
  driver::ProblemRequest request() const;
};

// Prints them where the console takes messages.
void print_notes(const std::vector<driver::Note>& notes, const Console& console);

// "NAME=VALUE" of `flag`; throws Error(bad_input) naming the flag.
std::pair<std::string, Value> parse_assignment(const std::string& text, const std::string& flag);
// "30s", "2m", "1.5h", "500ms"; a bare number could be meant in any unit. Throws Error(bad_input) naming the flag.
Nanoseconds parse_duration(const std::string& text, const std::string& flag);
// "4GiB", "512MiB", "2GB", "100000B"; throws Error(bad_input) naming the flag.
Bytes parse_bytes(const std::string& text, const std::string& flag);

// Accepts whole numbers from `minimum` on; CLI11's own check prints the limits of a double.
CLI::Validator at_least(std::uint64_t minimum);

}  // namespace warpwright::app
