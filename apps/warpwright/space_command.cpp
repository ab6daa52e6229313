#include <algorithm>
#include <chrono>
#include <fmt/format.h>
#include <memory>

#include <warpwright/model/sampling.hpp>
#include <warpwright/model/space.hpp>
#include <warpwright/spec/read.hpp>
#include <warpwright/store/json.hpp>

#include "command.hpp"

namespace warpwright::app {
namespace {

struct SpaceArguments {
  std::string specification;
  std::vector<std::string> dimensions;
  std::uint64_t sample = 0;
  std::uint64_t seed = 0;
  bool count = false, list = false, json = false;
};

Problem read_problem(const SpaceArguments& arguments) {
  Problem problem = spec::read(arguments.specification);
  for (const auto& text : arguments.dimensions) {
    auto [name, value] = parse_assignment(text, "--problem");
    if (problem.dimensions.find(name) == nullptr) {
      std::vector<std::string> names;
      for (const auto& entry : problem.dimensions) names.push_back(entry.first);
      const auto close = closest_match(name, names);
      throw Error(ErrorCode::bad_input,
                  fmt::format("--problem: there is no dimension '{}'{}; the dimensions are {}", name,
                              close ? "; did you mean '" + *close + "'?" : "", fmt::join(names, ", ")));
    }
    problem = problem.with_dimensions({{name, std::move(value)}});
  }
  return problem;
}

int show_space(const SpaceArguments& arguments, const Console& console) {
  const Problem problem = read_problem(arguments);
  const auto begin = std::chrono::steady_clock::now();
  const auto space = problem.build_space();
  const double build_ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
  const auto& parameters = space->parameters();

  // Drawn by choice, so that spaces beyond 64 bits are sampled as uniformly as the others.
  std::vector<Choice> drawn;
  const bool is_small = space->exact_size().size() < 20;
  Rng rng(arguments.seed);
  if (arguments.sample > 0 && is_small) {
    for (const auto index : sample(*space, arguments.sample, rng)) drawn.push_back(space->choice_at(index));
  } else {
    for (std::uint64_t i = 0; i < arguments.sample; ++i) drawn.push_back(space->draw_choice(rng));
  }

  if (arguments.json) {
    store::Json list = store::Json::array();
    for (const auto& parameter : parameters) {
      const auto p = static_cast<std::size_t>(&parameter - parameters.data());
      list.push_back({{"name", parameter.name},
                      {"values", parameter.values.size()},
                      {"occurring", space->occurring(p).size()},
                      {"ordered", is_ordered(parameter)}});
    }
    store::Json json{{"schema_version", 1},
                     {"kernel", problem.name},
                     {"size", space->size()},
                     {"exact_size", space->exact_size()},
                     {"cartesian", space->cartesian_size()},
                     {"build_ms", build_ms},
                     {"memory_bytes", space->memory_bytes()},
                     {"parameters", std::move(list)}};
    if (arguments.sample > 0) {
      store::Json samples = store::Json::array();
      for (const auto& choice : drawn) samples.push_back(store::to_json(space->configuration(choice)));
      json["seed"] = arguments.seed;
      json["sample"] = std::move(samples);
    }
    if (arguments.list) {
      store::Json configurations = store::Json::array();
      for (std::uint64_t i = 0; i < space->size(); ++i) configurations.push_back(store::to_json(space->at(i)));
      json["configurations"] = std::move(configurations);
    }
    fmt::print(console.out, "{}\n", json.dump(2));
    return exit_success;
  }
  if (arguments.count) {
    fmt::print(console.out, "{}\n", space->exact_size());
    return exit_success;
  }
  for (const auto& choice : drawn) fmt::print(console.out, "{}\n", space->configuration(choice).describe());
  if (arguments.list) {
    for (std::uint64_t i = 0; i < space->size(); ++i) fmt::print(console.out, "{}\n", space->at(i).describe());
  }
  if (arguments.sample > 0 || arguments.list) return exit_success;
  fmt::print(console.out, "{}: {} valid configurations of {:.0f}, built in {:.3f} ms, {} bytes\n", problem.name,
             space->exact_size(), space->cartesian_size(), build_ms, space->memory_bytes());
  for (std::size_t p = 0; p < parameters.size(); ++p) {
    const auto occurring = space->occurring(p);
    std::string note;
    if (occurring.size() < parameters[p].values.size()) note = fmt::format(", {} of them occur", occurring.size());
    if (occurring.size() == 1 && parameters[p].values.size() > 1)
      note += " (only " + to_literal(parameters[p].values[occurring.front()]) + ")";
    fmt::print(console.out, "  {}: {} value{}{}\n", parameters[p].name, parameters[p].values.size(),
               parameters[p].values.size() == 1 ? "" : "s", note);
  }
  return exit_success;
}

}  // namespace

void add_space_command(CLI::App& app, const Console& console, int& exit_code) {
  CLI::App* command =
      app.add_subcommand("space", "Count, list or sample the valid configurations of a specification; needs no device");
  auto arguments = std::make_shared<SpaceArguments>();
  command->add_option("spec", arguments->specification, "Specification: TOML or T1 JSON")
      ->required()
      ->type_name("SPEC");
  command->add_option("--problem", arguments->dimensions, "Replace a problem dimension, e.g. n=1048576")
      ->type_name("NAME=VALUE");
  auto* count = command->add_flag("--count", arguments->count, "Print the number of valid configurations only");
  auto* sampled =
      command->add_option("--sample", arguments->sample, "Print N configurations drawn uniformly, without repetition")
          ->type_name("N")
          ->check(at_least(1));
  auto* list = command->add_flag("--list", arguments->list, "Print every valid configuration in index order");
  count->excludes(sampled)->excludes(list);
  sampled->excludes(list);
  command->add_option("--seed", arguments->seed, "Seed of --sample (default 0)")->type_name("S")->check(at_least(0));
  command->add_flag("--json", arguments->json, "Print JSON");
  command->callback([arguments, console, &exit_code] { exit_code = show_space(*arguments, console); });
}

}  // namespace warpwright::app
