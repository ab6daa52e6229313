// Reading [[launch]] and [[stage]].
#include <algorithm>
#include <string>
#include <utility>

#include "check.hpp"
#include "toml_parts.hpp"
#include "words.hpp"

namespace warpwright::spec::detail {
namespace {

// A name that nothing of the problem has yet.
std::string unused_name(const Problem& problem) {
  for (std::size_t i = 1;; ++i) {
    const std::string name = "local_" + std::to_string(i);
    const bool parameter = std::any_of(problem.parameters.begin(), problem.parameters.end(),
                                       [&](const Parameter& candidate) { return candidate.name == name; });
    if (!parameter && !problem.find_argument(name) && !problem.dimensions.find(name)) return name;
  }
}

// Names, and { local = "bytes" } for __local memory, which becomes an argument of the problem.
std::vector<std::string> read_args(const Section& launch, Problem& problem) {
  const Node& node = *launch.find("args");
  const std::string key = launch.key("args");
  const std::string example = "[\"in\", \"out\", \"width\", { local = \"block_x * 4\" }]";
  const Document& document = launch.document();
  if (!node.is(Node::Kind::array)) wrong_type(document, node, key, "an array of names such as " + example);
  std::vector<std::string> args;
  for (std::size_t i = 0; i < node.items.size(); ++i) {
    const Node& item = node.items[i];
    const std::string path = join_index(key, i);
    if (item.is(Node::Kind::string)) {
      args.push_back(item.text);
      continue;
    }
    if (!item.is(Node::Kind::table)) {
      wrong_type(document, item, path, "the name of an argument or dimension, or __local memory, as in " + example);
    }
    const Section local(document, item, path, {"local"});
    local.require("local", "{ local = \"block_x * 4\" }");
    Argument argument;
    argument.name = unused_name(problem);
    argument.type = DataType::uint8;
    argument.access = Access::local;
    argument.size = local.expression("local", "\"block_x * 4\"");
    argument.position = document.locations.at(local.key("local"));
    args.push_back(argument.name);
    problem.arguments.push_back(std::move(argument));
  }
  return args;
}

void read_launch_list(const Section& parent, const std::vector<std::string>& all_args, const std::string& stage,
                      Problem& problem) {
  for (const Section& section : parent.sections("launch", launch_keys())) {
    section.required_string("entry", "stencil5");
    section.require("block", "block = [\"block_x\", \"block_y\"]");
    section.require("grid", "grid = [\"ceil_div(width, block_x)\", \"ceil_div(height, block_y)\"]");
    Launch launch = read_launch(section, problem);
    if (!section.has("args")) launch.args = all_args;
    launch.stage = stage;
    problem.launches.push_back(std::move(launch));
  }
}

Stage read_stage(const Section& section, const Problem& problem) {
  Stage stage;
  stage.position = section.document().locations.at(section.path());
  stage.name = section.required_string("name", "force");
  if (section.has("source")) stage.source = read_source(section, "source", problem.include_folders);
  stage.options = read_options(section);
  stage.defines = read_defines(section);
  if (section.has("parameters")) stage.parameters = section.strings("parameters", "[\"block_x\", \"tile\"]");
  return stage;
}

}  // namespace

const std::vector<std::string>& launch_keys() {
  static const std::vector<std::string> keys = {"entry",  "block", "grid",        "shared",  "args",
                                                "repeat", "swap",  "cooperative", "cluster", "when"};
  return keys;
}

std::map<std::string, std::vector<std::string>> read_options(const Section& kernel) {
  std::map<std::string, std::vector<std::string>> options;
  const Node* node = kernel.find("options");
  if (node == nullptr) return options;
  if (node->is(Node::Kind::array)) {
    kernel.fail("options",
                "options are given per backend; write for example: options = { cuda = [\"-use_fast_math\"] }");
  }
  const Section by_backend = *kernel.section("options", backend_names());
  for (const auto& member : by_backend.node().members) {
    options[member.key] = by_backend.strings(member.key, "[\"-use_fast_math\"]");
  }
  return options;
}

std::vector<std::pair<std::string, Expression>> read_defines(const Section& kernel) {
  std::vector<std::pair<std::string, Expression>> result;
  const auto defines = kernel.section("defines", {});
  if (!defines) return result;
  for (const auto& member : defines->node().members) {
    result.emplace_back(member.key,
                        to_expression(kernel.document(), member.value, defines->key(member.key), "\"2 * radius + 1\""));
  }
  return result;
}

// Absent keys stay empty: required ones are the caller's business, as a reference takes them from the problem.
Launch read_launch(const Section& section, Problem& problem) {
  Launch launch;
  launch.position = section.document().locations.at(section.path());
  if (const auto entry = section.string("entry", "stencil5")) launch.entry = *entry;
  launch.block = section.geometry("block", "[\"block_x\", \"block_y\"]");
  launch.grid = section.geometry("grid", "[\"ceil_div(width, block_x)\"]");
  launch.shared = section.expression("shared", "\"block_x * 4\"");
  if (section.has("args")) launch.args = read_args(section, problem);
  launch.args_position = section.has("args") ? section.document().locations.at(section.key("args")) : launch.position;
  launch.repeat = section.expression("repeat", "10");
  launch.swap = section.strings("swap", "[\"in\", \"out\"]");
  if (section.has("swap") && launch.swap.empty()) {
    section.fail("swap",
                 "expected two different buffers such as [\"in\", \"out\"], found none; leave the key out to "
                 "swap nothing");
  }
  launch.cooperative = section.boolean("cooperative").value_or(false);
  launch.cluster = section.geometry("cluster", "[2, 1, 1]");
  launch.when = section.expression("when", "\"algorithm == 'two_pass'\"");
  return launch;
}

void read_launches(const Section& root, Problem& problem) {
  if (root.has("stage") && root.has("launch")) {
    root.fail("launch",
              "there are stages, and a problem has either [[stage]] or [[launch]]; make this launch a "
              "[[stage.launch]] of one of them (a stage without a source runs from that of [kernel])");
  }
  // Before local memory of launches is among the arguments.
  const std::vector<std::string> all_args = default_args(problem);
  read_launch_list(root, all_args, {}, problem);
  const std::vector<std::string> keys = {"name", "source", "options", "defines", "parameters", "launch"};
  for (const Section& section : root.sections("stage", keys)) {
    problem.stages.push_back(read_stage(section, problem));
    read_launch_list(section, all_args, problem.stages.back().name, problem);
  }
}

}  // namespace warpwright::spec::detail
