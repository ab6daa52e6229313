#include "command_line.hpp"

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <exception>
#include <fmt/format.h>

#include <warpwright/base/error.hpp>

#include "backends.hpp"
#include "command.hpp"
#include "standard_streams.hpp"

namespace warpwright::app {
namespace {

int exit_code_for(const Error& error) {
  switch (error.code()) {
    case ErrorCode::bad_input:
    case ErrorCode::not_found:
    case ErrorCode::unsupported:
    case ErrorCode::unavailable:
    case ErrorCode::conflict:
    case ErrorCode::corrupted:
      return exit_bad_input;
    case ErrorCode::interrupted:
      return exit_interrupted;
    default:
      return exit_failure;
  }
}

int run(int argc, char** argv, const Console& console) {
  // A file beyond the limit of `ulimit -f` is a write that fails, like one on a full disk.
  std::signal(SIGXFSZ, SIG_IGN);
  CLI::App app(
      "Finds the fastest correct configuration of a GPU kernel on the device at hand, remembers it, and proves it.",
      "warpwright");
  app.set_version_flag("--version", std::string("warpwright ") + WARPWRIGHT_VERSION);
  app.require_subcommand(1);
  app.footer(
      "Exit codes: 0 success, 1 no valid result, 2 bad input, 130 interrupted (what was measured is kept);\n"
      "of validate: 0 PASS, 1 FAIL, 3 INCONCLUSIVE, 4 INVALID.\n"
      "Results go to standard output, progress to standard error; every command has --json.");
  app.get_formatter()->column_width(34);
  int exit_code = exit_success;
  add_devices_command(app, console, exit_code);
  add_check_command(app, console, exit_code);
  add_tune_command(app, console, exit_code);
  add_compare_command(app, console, exit_code);
  add_show_command(app, console, exit_code);
  add_pipeline_command(app, console, exit_code);
#ifdef WARPWRIGHT_HAS_WORKLOADS
  add_frame_command(app, console, exit_code);
#endif
  add_space_command(app, console, exit_code);
  add_simulate_command(app, console, exit_code);
  add_strategies_command(app, console, exit_code);
  add_export_command(app, console, exit_code);
  add_profiles_command(app, console, exit_code);
  add_occupancy_command(app, console, exit_code);
  add_recommend_command(app, console, exit_code);
  add_validate_command(app, console, exit_code);
  try {
    app.parse(argc, argv);
    return exit_code;
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? exit_success : exit_bad_input;
  } catch (const Error& error) {
    fmt::print(console.err, "error: {}\n", error.what());
    return exit_code_for(error);
  } catch (const std::exception& error) {
    // What could not be printed is told of by finish_output(), with the file's name.
    if (std::ferror(stdout) == 0) fmt::print(console.err, "error: {}\n", error.what());
    return exit_failure;
  }
}

}  // namespace

int run_command_line(int argc, char** argv) {
  open_missing_descriptors();
  Console console;
  console.err = message_stream();
  int exit_code = exit_success;
  {
    driver::Places places(own_variables(), flag_names());
    console.places = &places;
    exit_code = run(argc, argv, console);
  }
  return finish_output(exit_code, console.err);
}

}  // namespace warpwright::app
