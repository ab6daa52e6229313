#include "command.hpp"

#include <csignal>
#include <fmt/format.h>

#include <warpwright/base/error.hpp>
#include <warpwright/base/files.hpp>
#include <warpwright/base/process.hpp>

namespace warpwright::measure {
namespace {

// Runs the command and stays beside it, so that there is somebody to end all that the command has started when this
// process dies: the kernel's death signal reaches one process only. Ends as the command ended.
constexpr const char* keeper = R"(trap 'kill -KILL 0' TERM
"$@" &
wait $!
status=$?
trap - TERM
[ $status -gt 128 ] && kill -$((status - 128)) $$ 2>/dev/null
exit $status)";
// What a shell ends with where a command is not there or cannot be executed.
constexpr int exit_not_executable = 126, exit_not_found = 127;

std::string last_words(const std::filesystem::path& log) {
  constexpr std::size_t longest = 2000;
  try {
    std::string text = read_file(log);
    while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
    if (text.size() > longest) text = "..." + text.substr(text.size() - longest);
    return text.empty() ? "it printed nothing" : "it printed: " + text;
  } catch (const Error&) {
    return "it printed nothing";
  }
}

}  // namespace

void run_command(const std::vector<std::string>& command, const std::filesystem::path& folder,
                 const std::filesystem::path& log, Seconds deadline) {
  if (command.empty()) throw Error(ErrorCode::bad_input, "the command of the reference is empty");
  ProcessOptions options;
  options.program = "/bin/sh";
  options.arguments = {"-c", keeper, "sh"};
  options.arguments.insert(options.arguments.end(), command.begin(), command.end());
  options.folder = folder;
  options.output = log;
  options.death_signal = SIGTERM;
  Process process = [&] {
    try {
      return Process::start(options);
    } catch (Error& error) {
      throw error.add_context("starting the command '" + command[0] + "'");
    }
  }();
  const auto end = process.wait(deadline);
  if (!end) {
    process.end();
    throw Error(ErrorCode::timeout, fmt::format("command '{}' did not end within {}; {}", command[0],
                                                format_duration(deadline), last_words(log)));
  }
  if (end->succeeded()) return;
  if (end->exit_code == exit_not_found || end->exit_code == exit_not_executable) {
    throw Error(ErrorCode::not_found, fmt::format("cannot start '{}'; {}", command[0], last_words(log)));
  }
  const std::string how = end->signal      ? fmt::format("was killed by signal {}", *end->signal)
                          : end->exit_code ? fmt::format("ended with exit code {}", *end->exit_code)
                                           : end->describe();
  throw Error(ErrorCode::bad_input, fmt::format("command '{}' {}; {}", command[0], how, last_words(log)));
}

}  // namespace warpwright::measure
