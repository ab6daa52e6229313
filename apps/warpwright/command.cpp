#include "command.hpp"

#include <charconv>
#include <fmt/format.h>

#include <warpwright/base/error.hpp>

namespace warpwright::app {

LogSink Console::log(bool quiet) const {
  return [stream = err, quiet](LogLevel level, std::string_view text) {
    if (level == LogLevel::debug || (quiet && level != LogLevel::error)) return;
    const char* prefix = level == LogLevel::error ? "error: " : level == LogLevel::warning ? "warning: " : "";
    fmt::print(stream, "{}{}\n", prefix, text);
  };
}

void ProblemArguments::add_to(CLI::App& command, bool may_replay) {
  CLI::Option* file =
      command.add_option("specification", specification, "Specification of the kernel: TOML, or T1 JSON")
          ->type_name("SPEC");
  if (!may_replay) file->required();
  command
      .add_option("--device", device,
                  may_replay
                      ? "Device to use, e.g. cuda:0, or replay:FILE, a recorded space (default: the best GPU, else the "
                        "CPU)"
                      : "Device to use, e.g. cuda:0 or opencl:0:0 (default: the best GPU, else the CPU)")
      ->type_name("ID");
  command.add_option("--problem", dimensions, "Set a problem dimension or constant; may be given several times")
      ->type_name("NAME=VALUE")
      ->allow_extra_args(false);
}

driver::ProblemRequest ProblemArguments::request() const {
  driver::ProblemRequest request;
  request.specification = specification;
  request.device = device;
  for (const auto& text : dimensions) {
    auto [name, value] = parse_assignment(text, "--problem");
    request.dimensions.set(name, std::move(value));
  }
  return request;
}

driver::OptionNames flag_names() {
  driver::OptionNames names;
  names.specification = "SPEC";
  names.device = "--device";
  names.dimensions = "--problem";
  names.start_from = "--start-from";
  names.max_evaluations = "--max-evaluations";
  names.time_limit = "--time-limit";
  names.session = "--session";
  names.no_session = "--no-session";
  names.resume = "--resume";
  names.profiles = "--profiles";
  names.no_profile = "--no-profile";
  names.cache_folder = "--cache-dir";
  names.no_cache = "--no-cache";
  return names;
}

void print_notes(const std::vector<driver::Note>& notes, const Console& console) {
  const LogSink log = console.log();
  for (const driver::Note& note : notes) log(note.level, note.text);
}

std::pair<std::string, Value> parse_assignment(const std::string& text, const std::string& flag) {
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0 || equals + 1 == text.size())
    throw Error(ErrorCode::bad_input, fmt::format("{} '{}': write NAME=VALUE, e.g. {} width=1024", flag, text, flag));
  return {text.substr(0, equals), parse_value(text.substr(equals + 1))};
}

Nanoseconds parse_duration(const std::string& text, const std::string& flag) {
  double number = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string unit(end, text.data() + text.size());
  double scale = 0;
  if (unit == "s")
    scale = 1e9;
  else if (unit == "ms")
    scale = 1e6;
  else if (unit == "m" || unit == "min")
    scale = 60e9;
  else if (unit == "h")
    scale = 3600e9;
  if (status == std::errc{} && unit.empty() && number > 0)
    throw Error(ErrorCode::bad_input, fmt::format("{} '{}' has no unit; for seconds write {}s", flag, text, text));
  if (status != std::errc{} || scale == 0 || !(number > 0) || number * scale > 1e18)
    throw Error(ErrorCode::bad_input,
                fmt::format("{} '{}': write a positive time with a unit, e.g. 30s, 500ms, 10m or 1h", flag, text));
  return Nanoseconds(number * scale);
}

Bytes parse_bytes(const std::string& text, const std::string& flag) {
  double number = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string unit(end, text.data() + text.size());
  constexpr std::pair<std::string_view, double> units[] = {
      {"B", 1}, {"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"KiB", 1024.0}, {"MiB", 1048576.0}, {"GiB", 1073741824.0}};
  double scale = 0;
  for (const auto& [name, factor] : units)
    if (unit == name) scale = factor;
  if (status == std::errc{} && unit.empty() && number > 0)
    throw Error(ErrorCode::bad_input,
                fmt::format("{} '{}' has no unit; for gibibytes write {}GiB, for bytes {}B", flag, text, text, text));
  if (status != std::errc{} || scale == 0 || !(number * scale >= 1) || number * scale > 1e18)
    throw Error(ErrorCode::bad_input,
                fmt::format("{} '{}': write a positive size with a unit, e.g. 512MiB, 4GiB or 2GB", flag, text));
  return Bytes{static_cast<std::uint64_t>(number * scale)};
}

CLI::Validator at_least(std::uint64_t minimum) {
  return CLI::Validator(
      [minimum](std::string& text) {
        std::uint64_t number = 0;
        const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), number);
        if (status == std::errc{} && end == text.data() + text.size() && number >= minimum) return std::string();
        return fmt::format("'{}' must be a whole number, at least {}", text, minimum);
      },
      "");
}

}  // namespace warpwright::app
