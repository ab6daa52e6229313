// What the tests run in processes of its own: appending to a journal until killed, writing profiles, looking one up.
#include <cstdio>
#include <exception>
#include <filesystem>
#include <string>
#include <unistd.h>
#include <vector>

#include <warpwright/store/journal.hpp>
#include <warpwright/store/json.hpp>
#include <warpwright/store/profile_database.hpp>

namespace {

using namespace warpwright;
using namespace warpwright::store;

// One write(), so that what was reported is what the other end reads even if this process is killed.
void report(const std::string& text) {
  const std::string line = text + "\n";
  if (::write(STDOUT_FILENO, line.data(), line.size()) != static_cast<ssize_t>(line.size())) _exit(3);
}

JournalHeader header() {
  JournalHeader header;
  header.kernel = "killed";
  header.problem_hash = "hash";
  header.device = "device";
  header.strategy = "random";
  header.seed = 1;
  return header;
}

// Appends for ever, reporting each ordinal once its append has returned. Long logs widen the window for a torn line.
int append_until_killed(const std::filesystem::path& folder) {
  std::uint64_t next = 0;
  auto journal = [&] {
    if (!std::filesystem::exists(folder / Journal::file_name)) return Journal::create(folder, header());
    auto [resumed, contents] = Journal::resume(folder, header());
    next = contents.trials.size();
    return std::move(resumed);
  }();
  for (;; ++next) {
    Trial trial;
    trial.ordinal = next;
    trial.configuration = {{"x", static_cast<std::int64_t>(next)}};
    trial.log = std::string(static_cast<std::size_t>(next * 7919 % 20'000), 'x');
    journal.append(trial);
    report(std::to_string(next));
  }
}

int put_profiles(const std::filesystem::path& file, const std::string& process, int count) {
  ProfileDatabase database(file);
  for (int i = 0; i < count; ++i) {
    TuningProfile profile;
    profile.key.kernel = "shared";
    profile.key.device = "process " + process;
    profile.key.dimensions = {{"n", std::int64_t{i}}};
    profile.median = Nanoseconds{100.0 + i};
    database.put(profile);
  }
  return 0;
}

// Prints the configuration stored for a kernel, found by its key, as another program would.
int show_profile(const std::filesystem::path& file, const std::string& key_json) {
  const TuningProfile wanted = profile_from_json(Json::parse(key_json));
  const auto match = ProfileDatabase(file).find(wanted.key, MatchPolicy::exact);
  if (!match) return 1;
  report(match->quality);
  report(match->profile.configuration.describe());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  try {
    if (arguments.size() == 2 && arguments[0] == "append") return append_until_killed(arguments[1]);
    if (arguments.size() == 4 && arguments[0] == "put")
      return put_profiles(arguments[1], arguments[2], std::stoi(arguments[3]));
    if (arguments.size() == 3 && arguments[0] == "show") return show_profile(arguments[1], arguments[2]);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "store_helper: %s\n", error.what());
    return 2;
  }
  return 64;
}
