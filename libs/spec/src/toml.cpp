#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <utility>

#include <warpwright/spec/read.hpp>

#include "check.hpp"
#include "toml_parts.hpp"
#include "words.hpp"

namespace warpwright::spec {
namespace detail {
namespace {

void check_schema(const Document& document) {
  const Member* schema = document.root.find("schema");
  if (!schema) {
    throw Error(ErrorCode::bad_input,
                "is required and missing; write schema = 1 as the first line, before any [section]",
                InputPosition{document.file_name, 1, 0, "schema"});
  }
  if (!schema->value.is(Node::Kind::integer) || schema->value.integer != 1) {
    fail_at(document, "schema",
            "this version reads schema = 1, found " + schema->value.describe() +
                (schema->value.is(Node::Kind::integer) ? "; a newer warpwright may read it" : ""));
  }
}

// ---- [kernel] -------------------------------------------------------------------------------------------------------

void read_kernel(const Section& root, Problem& problem) {
  root.require("kernel", "[kernel], and under it name = \"stencil5\" and source = \"stencil.kernel\"");
  const Section kernel = *root.section("kernel", {"name", "source", "include", "options", "defines"});
  problem.name = kernel.required_string("name", "stencil5");
  for (const auto& folder : read_include_folders(kernel)) problem.include_folders.push_back(folder);
  // Stages may bring all the source there is.
  if (!root.has("stage") || root.has("launch"))
    kernel.require("source", "source = \"stencil.kernel\", or source = { cuda = \"a.cu\", opencl = \"a.cl\" }");
  if (kernel.has("source")) problem.source = read_source(kernel, "source", problem.include_folders);
  problem.options = read_options(kernel);
  problem.defines = read_defines(kernel);
}

// ---- [problem] ------------------------------------------------------------------------------------------------------

void read_dimensions(const Section& root, Problem& problem) {
  const auto section = root.section("problem", {});
  if (!section) return;
  const Document& document = root.document();
  for (const auto& member : section->node().members) {
    const std::string key = section->key(member.key);
    if (!member.value.is(Node::Kind::table)) {
      problem.dimensions.set(member.key, to_value(document, member.value, key));
      continue;
    }
    problem.device_dimensions[member.key] = to_configuration(document, member.value, key, "{ width = 1024 }");
  }
}

// ---- [parameters.X] -------------------------------------------------------------------------------------------------

ParameterRole read_role(const Section& section) {
  const auto text = section.string("role", "define");
  if (!text || *text == "define") return ParameterRole::define;
  if (*text == "template") return ParameterRole::template_argument;
  if (*text == "option") return ParameterRole::option;
  if (*text == "block") return ParameterRole::block;
  section.fail("role", "'" + excerpt(*text, 40) + "' is not a role" +
                           suggestion(*text, {"define", "template", "option", "block"}, "roles"));
}

void read_constraints(const Document& document, const Node& node, const std::string& path, Problem& problem) {
  if (!node.is(Node::Kind::array)) {
    wrong_type(document, node, path, "an array of strings such as [\"block_x * block_y <= 1024\"]");
  }
  for (std::size_t i = 0; i < node.items.size(); ++i) {
    const std::string key = join_index(path, i);
    const std::string text = to_text(document, node.items[i], key, "block_x * block_y <= 1024");
    Constraint constraint;
    constraint.text = text;
    constraint.expression = to_expression(document, node.items[i], key, "\"block_x * block_y <= 1024\"");
    constraint.position = document.locations.at(key);
    problem.constraints.push_back(std::move(constraint));
  }
}

void read_parameters(const Section& root, Problem& problem) {
  const auto section = root.section("parameters", {});
  if (!section) return;
  const Document& document = root.document();
  for (const auto& member : section->node().members) {
    const std::string key = section->key(member.key);
    if (member.key == "constraints" && member.value.is(Node::Kind::array)) {
      read_constraints(document, member.value, key, problem);
      continue;
    }
    if (!member.value.is(Node::Kind::table)) {
      wrong_type(document, member.value, key,
                 "a table such as { values = [16, 32, 64], default = 32 }, or its own [" + key + "]");
    }
    // In TOML a line after [parameters.tile] belongs to that table, and the natural place to write the constraints is
    // after the last parameter: accepted there, they hold for the whole space like those at the top.
    const Section entry(document, member.value, key, {"values", "range", "default", "role", "ordered", "constraints"});
    Parameter parameter;
    parameter.name = member.key;
    parameter.position = document.locations.at(key);
    parameter.values = read_values(entry);
    parameter.role = read_role(entry);
    if (const Node* value = entry.find("default")) {
      parameter.default_value = to_value(document, *value, entry.key("default"));
    }
    const bool numbers = std::none_of(parameter.values.begin(), parameter.values.end(), [](const Value& value) {
      return std::holds_alternative<std::string>(value) || std::holds_alternative<bool>(value);
    });
    parameter.ordered = numbers;
    if (const auto ordered = entry.boolean("ordered")) {
      if (*ordered && !numbers) {
        entry.fail("ordered", "only numbers are ordered; '" + member.key + "' has values that are not numbers");
      }
      parameter.ordered = *ordered;
    }
    problem.parameters.push_back(std::move(parameter));
    if (const Node* constraints = entry.find("constraints")) {
      read_constraints(document, *constraints, entry.key("constraints"), problem);
    }
  }
}

// ---- [[output]], [reference] ----------------------------------------------------------------------------------------

void read_outputs(const Section& root, Problem& problem) {
  for (const Section& section :
       root.sections("output", {"argument", "rtol", "atol", "ulp", "normwise", "first", "count", "judge"})) {
    Output output;
    output.position = section.document().locations.at(section.path());
    output.argument = section.required_string("argument", "out");
    const Argument* argument = problem.find_argument(output.argument);
    Tolerance tolerance = argument ? default_tolerance(problem, *argument) : default_tolerance(DataType::float32);
    if (const auto ulp = section.number("ulp", "4")) {
      if (!(*ulp >= 0 && *ulp <= 1e9) || *ulp != std::floor(*ulp)) {
        section.fail("ulp",
                     fmt::format("must be a whole number from 0 to 1000000000 (the units in the last place by which "
                                 "a right value may differ), found {}",
                                 *ulp));
      }
      output.ulp = static_cast<std::uint32_t>(*ulp);
      tolerance = {};  // who counts units wants nothing looser beside them
    }
    if (const auto normwise = section.number("normwise", "1e-6")) {
      if (*normwise < 0)
        section.fail("normwise",
                     fmt::format("must not be negative (it is the part of the output's largest magnitude by "
                                 "which a right value may differ), found {}",
                                 *normwise));
      output.normwise = *normwise;
      tolerance = {};  // nor who measures by the whole output
    }
    output.rtol = section.number("rtol", "1e-5").value_or(tolerance.rtol);
    output.atol = section.number("atol", "1e-6").value_or(tolerance.atol);
    output.first = section.expression("first", "\"width\"");
    output.count = section.expression("count", "\"width * height\"");
    if (const auto judge = section.string("judge", "sum")) {
      if (*judge != "elements" && *judge != "sum")
        section.fail("judge", "'" + excerpt(*judge, 40) + "' is not a way to judge" +
                                  suggestion(*judge, {"elements", "sum"}, "ways"));
      output.by_sum = *judge == "sum";
    }
    problem.outputs.push_back(std::move(output));
  }
  if (!root.has("output")) problem.outputs = default_outputs(problem);
}

ReferenceKernel read_reference_kernel(const Section& section, Problem& problem) {
  ReferenceKernel reference;
  if (section.has("kernel")) reference.source = read_source(section, "kernel", problem.include_folders);
  std::vector<std::string> of_launch;
  for (const auto& key : launch_keys()) {
    if (section.has(key)) of_launch.push_back(key);
  }
  if (section.has("launch")) {
    if (!of_launch.empty()) {
      section.fail(of_launch.front(), "belongs into [[reference.launch]] where there is one; move it there");
    }
    for (const Section& launch : section.sections("launch", launch_keys()))
      reference.launches.push_back(read_launch(launch, problem));
    if (reference.launches.size() > problem.launches.size()) {
      for (std::size_t i = problem.launches.size(); i < reference.launches.size(); ++i) {
        const Section extra = section.sections("launch", launch_keys())[i];
        for (const char* key : {"entry", "block", "grid", "args"}) {
          if (!extra.has(key)) {
            extra.fail(key, "is required and missing: the problem has no launch of this position to take it from");
          }
        }
      }
    }
  } else {
    Launch launch = read_launch(section, problem);
    reference.launches.push_back(std::move(launch));
  }
  complete_reference_launches(reference.launches, problem.launches);
  return reference;
}

void read_reference(const Section& root, Problem& problem) {
  std::vector<std::string> keys = {"kernel", "npy", "configuration", "command", "launch"};
  keys.insert(keys.end(), launch_keys().begin(), launch_keys().end());
  const auto section = root.section("reference", keys);
  if (!section) return;
  std::vector<std::string> kinds;
  for (const char* kind : {"kernel", "npy", "configuration", "command"}) {
    if (section->has(kind)) kinds.push_back(kind);
  }
  if (kinds.size() > 1) {
    section->fail(kinds[1], "there is already '" + kinds[0] +
                                "'; a reference is exactly one of kernel, npy, configuration or command");
  }
  // Another entry of the problem's own source is a kernel reference that needs no file.
  const bool own_source = kinds.empty() && (section->has("entry") || section->has("launch"));
  if (kinds.empty() && !own_source) {
    throw Error(
        ErrorCode::bad_input,
        "says nothing to compare with; give exactly one of kernel (a source file), npy, configuration or command",
        root.document().locations.at("reference"));
  }
  if (own_source || kinds[0] == "kernel") {
    problem.reference = read_reference_kernel(*section, problem);
    return;
  }
  for (const auto& member : section->node().members) {
    if (member.key != kinds[0]) {
      section->fail(member.key,
                    "belongs to a reference by kernel, and has no meaning beside '" + kinds[0] + "'; remove it");
    }
  }
  const Node& value = *section->find(kinds[0]);
  const std::string key = section->key(kinds[0]);
  if (kinds[0] == "npy") {
    problem.reference = read_reference_files(*section);
  } else if (kinds[0] == "configuration") {
    problem.reference =
        ReferenceConfiguration{to_configuration(root.document(), value, key, "{ block_x = 32, block_y = 1 }")};
  } else {
    problem.reference = ReferenceCommand{section->strings("command", "[\"python3\", \"reference.py\"]")};
  }
}

// ---- [baseline], [objective], [metrics], [verify] -------------------------------------------------------------------

void read_rest(const Section& root, Problem& problem) {
  const Document& document = root.document();
  if (const auto baseline = root.section("baseline", {"configuration"})) {
    const Node& node = baseline->require("configuration", "configuration = { block_x = 32 }");
    problem.baseline =
        to_configuration(document, node, baseline->key("configuration"), "{ block_x = 32, block_y = 1 }");
  }
  if (const auto metrics = root.section("metrics", {})) {
    for (const auto& member : metrics->node().members) {
      problem.metrics.push_back({member.key, to_expression(document, member.value, metrics->key(member.key),
                                                           "\"2 * width * height / time_ns\"")});
    }
  }
  if (const auto objective = root.section("objective", {"minimise", "maximise"})) {
    const auto minimise = objective->string("minimise", "time");
    const auto maximise = objective->string("maximise", "GFLOP/s");
    if (minimise && maximise) objective->fail("maximise", "there is already 'minimise'; keep one of the two");
    if (!minimise && !maximise) {
      throw Error(ErrorCode::bad_input, "is empty; write minimise = \"time\", or maximise = the name of a metric",
                  document.locations.at("objective"));
    }
    problem.objective = {minimise ? *minimise : *maximise, minimise.has_value()};
  }
  if (const auto verify = root.section("verify", {"sizes"})) {
    const Node& sizes = verify->require("sizes", "sizes = [{ width = 1000 }]");
    if (!sizes.is(Node::Kind::array)) {
      wrong_type(document, sizes, verify->key("sizes"), "an array of tables such as [{ width = 1000, height = 777 }]");
    }
    for (std::size_t i = 0; i < sizes.items.size(); ++i) {
      const std::string key = join_index(verify->key("sizes"), i);
      problem.verify_sizes.push_back(to_configuration(document, sizes.items[i], key, "{ width = 1000, height = 777 }"));
      problem.verify_positions.push_back(document.locations.at(key));
    }
  }
}

}  // namespace
}  // namespace detail

Problem read_toml(std::string_view text, const std::filesystem::path& file) {
  const detail::Document document = detail::parse_toml(text, file);
  detail::check_schema(document);
  const detail::Section root(document, document.root, {},
                             {"schema", "kernel", "problem", "parameters", "constraints", "argument", "stage", "launch",
                              "output", "reference", "baseline", "objective", "metrics", "verify"});
  Problem problem;
  problem.file = file;
  detail::read_kernel(root, problem);
  detail::read_dimensions(root, problem);
  if (const detail::Node* constraints = root.find("constraints")) {
    detail::read_constraints(document, *constraints, "constraints", problem);
  }
  detail::read_parameters(root, problem);
  detail::read_arguments(root, problem);
  // The space first: a misspelt parameter explains more than the launch that cannot use it.
  detail::check_space(problem, document.locations);
  detail::read_launches(root, problem);
  detail::read_outputs(root, problem);
  detail::read_reference(root, problem);
  detail::read_rest(root, problem);
  detail::check_execution(problem, document.locations);
  problem.warnings = detail::find_warnings(problem);
  return problem;
}

}  // namespace warpwright::spec
