// Search strategies on recorded spaces: how fast they ask, and which options to choose.
//
//   search_bench speed FILE... [--strategy NAME]... [--seconds S] [--json FILE]
//   search_bench choose FILE... --setting SPEC... [--repeats R] [--seed N] [--threads T] [--json FILE]
//
// `speed` replays each strategy on one thread, run after run over all spaces, and divides the evaluations by the time
// that passed: strategy, look-up and bookkeeping of the replay together. Runs are as long as the score looks at.
// `choose` scores settings (NAME or NAME:OPTION=VALUE,...), then chooses the best setting on all spaces but those of
// one kernel (or of one device) and shows what it scores on the spaces that were left out. Differences are paired by
// run and taken to the first setting. The label of a space is "folder/file": kernel and device.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <ctime>
#include <fmt/format.h>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <warpwright/base/clock.hpp>
#include <warpwright/base/error.hpp>
#include <warpwright/base/rng.hpp>
#include <warpwright/search/strategy_score.hpp>
#include <warpwright/store/interchange.hpp>

#include "program.hpp"

namespace {

using namespace warpwright;
using Json = nlohmann::ordered_json;

// Processor time of the calling thread: what a strategy takes does not depend on what else runs on the machine.
class ProcessorClock final : public Clock {
 public:
  Nanoseconds now() const override {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
  }
};

struct LoadedSpace {
  std::string kernel, device;
  std::unique_ptr<Replay> replay;
  std::unique_ptr<SpaceScorer> scorer;
  std::string name() const { return kernel + "/" + device; }
};

std::vector<LoadedSpace> load(const std::vector<std::string>& files) {
  std::vector<LoadedSpace> spaces;
  for (const std::string& file : files) {
    std::filesystem::path stem = std::filesystem::path(file).filename();
    while (stem.extension() == ".gz" || stem.extension() == ".json") stem.replace_extension();
    LoadedSpace space;
    space.kernel = std::filesystem::absolute(file).parent_path().filename().string();
    space.device = stem.string();
    auto recorded = std::make_shared<RecordedSpace>(store::read_recorded(file));
    space.scorer = std::make_unique<SpaceScorer>(*recorded);
    space.replay = std::make_unique<Replay>(std::move(recorded), space.name());
    spaces.push_back(std::move(space));
  }
  return spaces;
}

struct Setting {
  std::string text, strategy;
  std::map<std::string, Value> options;
};

Setting parse_setting(const std::string& text) {
  Setting setting{text, text.substr(0, text.find(':')), {}};
  if (setting.strategy.size() == text.size()) return setting;
  for (std::size_t at = setting.strategy.size() + 1; at < text.size();) {
    const std::size_t end = std::min(text.find(',', at), text.size());
    const std::string part = text.substr(at, end - at);
    const std::size_t equals = part.find('=');
    if (equals == std::string::npos)
      throw Error(ErrorCode::bad_input, "setting '" + text + "': '" + part + "' is not OPTION=VALUE");
    setting.options[part.substr(0, equals)] = parse_value(part.substr(equals + 1));
    at = end + 1;
  }
  return setting;
}

MakeStrategy maker(const StrategyRegistry& registry, const Setting& setting) {
  return [&registry, &setting](const Space& space, const StrategySettings& given) {
    StrategySettings settings = given;
    settings.options = setting.options;
    return registry.create(setting.strategy, space, settings);
  };
}

Json header(const std::string& mode) {
  return {{"schema_version", 1},
          {"benchmark", "search"},
          {"mode", mode},
          {"processor", bench::processor_name()},
          {"compiler", __VERSION__},
          {"clock", "processor time of the thread"},
          {"load_at_start", bench::load_average()}};
}

// ---- speed ----------------------------------------------------------------------------------------------------------

int speed(const std::vector<LoadedSpace>& spaces, const StrategyRegistry& registry,
          const std::vector<std::string>& names, double seconds, const std::string& json_file) {
  const ProcessorClock clock;
  Json json = header("speed");
  fmt::print("{:<32} {:>14} {:>12} {:>14}\n", "strategy", "evaluations/s", "runs", "us a question");
  for (const std::string& name : names) {
    const Setting setting = parse_setting(name);
    const MakeStrategy make = maker(registry, setting);
    Seconds total{};
    std::uint64_t evaluations = 0, runs = 0;
    Json by_space = Json::object();
    std::vector<Seconds> time(spaces.size());
    std::vector<std::uint64_t> count(spaces.size());
    while (total.count() < seconds) {
      for (std::size_t i = 0; i < spaces.size(); ++i) {
        const Nanoseconds begin = clock.now();
        StrategySettings settings;
        settings.seed = derive_seed(0, runs);
        settings.budget.cost = Nanoseconds(spaces[i].scorer->time_limit());
        ReplayOptions options;
        options.budget = settings.budget;
        const auto strategy = make(spaces[i].replay->space(), settings);
        count[i] += replay(*spaces[i].replay, *strategy, options).steps.size();
        time[i] += Seconds(clock.now() - begin);
      }
      ++runs;
      total = Seconds{};
      for (const Seconds part : time) total += part;
    }
    for (std::size_t i = 0; i < spaces.size(); ++i) {
      evaluations += count[i];
      by_space[spaces[i].name()] = static_cast<double>(count[i]) / time[i].count();
    }
    const double rate = static_cast<double>(evaluations) / total.count();
    fmt::print("{:<32} {:>14.0f} {:>12} {:>14.2f}\n", name, rate, runs, 1e6 / rate);
    std::fflush(stdout);
    json["strategies"][name] = {{"evaluations_per_second", rate},
                                {"runs_of_each_space", runs},
                                {"evaluations", evaluations},
                                {"seconds", total.count()},
                                {"by_space", by_space}};
  }
  json["load_at_end"] = bench::load_average();
  bench::write_report(json_file, json.dump(1));
  return 0;
}

// ---- choice of options ----------------------------------------------------------------------------------------------

double mean_over(const std::vector<SpaceScore>& scores, const std::vector<std::size_t>& places) {
  double sum = 0;
  for (const std::size_t i : places) sum += scores[i].score;
  return sum / static_cast<double>(places.size());
}

// Chooses on the spaces whose `key` differs from the one left out, reports on those left out.
template <class Key>
Json leave_one_out(const char* title, const std::vector<LoadedSpace>& spaces, const std::vector<Setting>& settings,
                   const std::vector<std::vector<SpaceScore>>& scores, const Key& key) {
  std::set<std::string> groups;
  for (const LoadedSpace& space : spaces) groups.insert(key(space));
  Json json = Json::object();
  if (groups.size() < 2) return json;
  fmt::print("\nbest setting without one {}, and its score there:\n", title);
  double held_out = 0;
  for (const std::string& group : groups) {
    std::vector<std::size_t> inside, outside;
    for (std::size_t i = 0; i < spaces.size(); ++i) (key(spaces[i]) == group ? outside : inside).push_back(i);
    std::size_t best = 0;
    for (std::size_t s = 1; s < settings.size(); ++s)
      if (mean_over(scores[s], inside) > mean_over(scores[best], inside)) best = s;
    std::vector<double> there;
    for (const auto& setting : scores) there.push_back(mean_over(setting, outside));
    held_out += there[best] * static_cast<double>(outside.size()) / static_cast<double>(spaces.size());
    fmt::print("  {:<16} {:<48} {:.3f} (first setting {:.3f}, best there {:.3f})\n", group, settings[best].text,
               there[best], there.front(), *std::max_element(there.begin(), there.end()));
    json[group] = {{"chosen", settings[best].text},
                   {"score_on_chosen_from", mean_over(scores[best], inside)},
                   {"score_left_out", there[best]},
                   {"score_of_first_left_out", there.front()},
                   {"best_possible_left_out", *std::max_element(there.begin(), there.end())}};
  }
  fmt::print("  mean over the spaces left out: {:.3f}\n", held_out);
  json["mean_left_out"] = held_out;
  return json;
}

int choose(const std::vector<LoadedSpace>& spaces, const StrategyRegistry& registry,
           const std::vector<std::string>& texts, std::size_t repeats, std::uint64_t seed, unsigned threads,
           const std::string& json_file) {
  std::vector<Setting> settings;
  for (const std::string& text : texts) settings.push_back(parse_setting(text));
  for (const Setting& setting : settings)  // misspelt options stop this here
    maker(registry, setting)(spaces.front().replay->space(), {});
  Json json = header("choose");
  json["repeats"] = repeats;
  json["seed"] = seed;
  const ProcessorClock clock;
  std::vector<std::vector<SpaceScore>> scores(settings.size(), std::vector<SpaceScore>(spaces.size()));
  std::vector<AggregateScore> totals;
  fmt::print("{:<48} {:>6} {:>20}", "setting", "score", "to the first");
  for (const LoadedSpace& space : spaces) fmt::print(" {:>9}", space.name().substr(0, 4) + space.device);
  fmt::print(" {:>8}\n", "us/ask");
  std::atomic<std::size_t> next{0};
  const auto work = [&] {
    const std::size_t tasks = settings.size() * spaces.size();
    for (std::size_t task = next++; task < tasks; task = next++) {
      const std::size_t s = task / spaces.size(), i = task % spaces.size();
      ScoringOptions options;
      options.repeats = repeats;
      options.seed = seed;
      options.clock = &clock;
      scores[s][i] = score_strategy(*spaces[i].replay, *spaces[i].scorer, maker(registry, settings[s]), options);
    }
  };
  std::vector<std::thread> workers;
  for (unsigned t = 0; t < threads; ++t) workers.emplace_back(work);
  for (std::thread& worker : workers) worker.join();
  for (std::size_t s = 0; s < settings.size(); ++s) {
    totals.push_back(aggregate(scores[s]));
    const PairedDifference difference = paired_difference(totals[s].run_scores, totals[0].run_scores);
    Seconds own{};
    std::uint64_t evaluations = 0;
    Json by_space = Json::object();
    fmt::print("{:<48} {:>6.3f} {:>+6.3f} [{:+.3f},{:+.3f}]", settings[s].text, totals[s].score, difference.mean,
               difference.low, difference.high);
    for (std::size_t i = 0; i < spaces.size(); ++i) {
      own += scores[s][i].own_time;
      evaluations += scores[s][i].total_evaluations;
      by_space[spaces[i].name()] = scores[s][i].score;
      fmt::print(" {:>9.3f}", scores[s][i].score);
    }
    fmt::print(" {:>8.1f}\n", 1e6 * own.count() / static_cast<double>(evaluations));
    std::fflush(stdout);
    json["settings"].push_back(
        {{"setting", settings[s].text},
         {"score", totals[s].score},
         {"score_without_own_time", totals[s].score_without_own_time},
         {"to_first", {{"mean", difference.mean}, {"low", difference.low}, {"high", difference.high}}},
         {"spaces", by_space},
         {"own_microseconds_a_question", 1e6 * own.count() / static_cast<double>(evaluations)}});
  }
  // Beside the control, where it is among the settings.
  for (std::size_t control = 0; control < settings.size(); ++control) {
    if (settings[control].text != "random") continue;
    for (std::size_t s = 0; s < settings.size(); ++s) {
      const PairedDifference difference = paired_difference(totals[s].run_scores, totals[control].run_scores);
      json["settings"][s]["to_random"] = {
          {"mean", difference.mean}, {"low", difference.low}, {"high", difference.high}};
    }
  }
  json["without_one_kernel"] =
      leave_one_out("kernel", spaces, settings, scores, [](const LoadedSpace& space) { return space.kernel; });
  json["without_one_device"] =
      leave_one_out("device", spaces, settings, scores, [](const LoadedSpace& space) { return space.device; });
  json["load_at_end"] = bench::load_average();
  bench::write_report(json_file, json.dump(1));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Search strategies on recorded spaces: speed, and choice of options");
  app.require_subcommand(1);
  std::vector<std::string> files, names, settings;
  std::string json_file;
  double seconds = 5;
  std::size_t repeats = 25;
  std::uint64_t seed = 0;
  unsigned threads = 1;
  CLI::App* speed_command = app.add_subcommand("speed", "Evaluations a second in replay, on one thread");
  CLI::App* choose_command = app.add_subcommand("choose", "Scores of settings, with one kernel or device left out");
  for (CLI::App* command : {speed_command, choose_command}) {
    command->add_option("FILE", files, "Recorded spaces")->required()->check(CLI::ExistingFile);
    command->add_option("--json", json_file, "Write the figures as JSON");
  }
  speed_command->add_option("--strategy", names, "Default: all")->allow_extra_args(false);
  speed_command->add_option("--seconds", seconds, "Least time for each strategy (default 5)");
  choose_command->add_option("--setting", settings, "NAME or NAME:OPTION=VALUE,...")
      ->required()
      ->allow_extra_args(false);
  choose_command->add_option("--repeats", repeats, "Runs of each setting on each space (default 25)");
  choose_command->add_option("--seed", seed, "Default 0");
  choose_command->add_option("--threads", threads, "Runs at once, of different settings and spaces (default 1)")
      ->check(CLI::Range(1U, 256U));
  CLI11_PARSE(app, argc, argv);
  try {
    const auto registry = StrategyRegistry::with_defaults();
    const auto spaces = load(files);
    if (choose_command->parsed()) return choose(spaces, registry, settings, repeats, seed, threads, json_file);
    if (names.empty())
      for (const StrategyInfo& info : registry.list()) names.push_back(info.name);
    return speed(spaces, registry, names, seconds, json_file);
  } catch (const std::exception& error) {
    fmt::print(stderr, "search_bench: {}\n", error.what());
    return 2;
  }
}
