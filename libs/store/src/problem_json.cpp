// Problems as JSON, for worker processes. Expressions travel as their text.
#include <array>

#include <warpwright/store/json.hpp>

#include "json_reader.hpp"

namespace warpwright::store {
namespace {

using namespace detail;

constexpr std::array all_access{Access::in, Access::out, Access::inout, Access::constant, Access::scalar};
constexpr std::array all_roles{ParameterRole::define, ParameterRole::template_argument, ParameterRole::option,
                               ParameterRole::block};

// ---- writing --------------------------------------------------------------------------------------------------------

template <class Range, class Write>
Json array_json(const Range& range, Write write) {
  Json array = Json::array();
  for (const auto& element : range) array.push_back(write(element));
  return array;
}

Json expression_json(const Expression& expression) { return text_json(expression.text()); }
Json value_json(const Value& value) { return to_json(value); }
Json configuration_json(const Configuration& configuration) { return to_json(configuration); }
Json path_json(const std::filesystem::path& path) { return text_json(path.string()); }

Json source_text_json(const SourceText& source) {
  return Json{{"file", path_json(source.file)}, {"text", text_json(source.text)}};
}

Json source_json(const KernelSource& source) {
  Json object = Json::object();
  if (source.dialect) object["dialect"] = source_text_json(*source.dialect);
  Json by_backend = Json::object();
  for (const auto& [backend, text] : source.by_backend) by_backend[backend] = source_text_json(text);
  object["by_backend"] = std::move(by_backend);
  return object;
}

Json fill_json(const Fill& fill) {
  struct Writer {
    Json operator()(const FillConstant& f) const { return {{"kind", "constant"}, {"value", double_json(f.value)}}; }
    Json operator()(const FillUniform& f) const {
      return {{"kind", "uniform"}, {"low", double_json(f.low)}, {"high", double_json(f.high)}, {"seed", f.seed}};
    }
    Json operator()(const FillNormal& f) const {
      return {
          {"kind", "normal"}, {"mean", double_json(f.mean)}, {"deviation", double_json(f.deviation)}, {"seed", f.seed}};
    }
    Json operator()(const FillIota& f) const {
      return {{"kind", "iota"}, {"start", double_json(f.start)}, {"step", double_json(f.step)}};
    }
    Json operator()(const FillNpy& f) const { return {{"kind", "npy"}, {"file", path_json(f.file)}}; }
  };
  return std::visit(Writer{}, fill);
}

Json parameter_json(const Parameter& parameter) {
  Json object;
  object["name"] = text_json(parameter.name);
  object["values"] = array_json(parameter.values, value_json);
  if (parameter.default_value) object["default"] = to_json(*parameter.default_value);
  object["role"] = to_string(parameter.role);
  object["ordered"] = parameter.ordered;
  return object;
}

Json argument_json(const Argument& argument) {
  Json object;
  object["name"] = text_json(argument.name);
  object["type"] = to_string(argument.type);
  object["components"] = argument.components;
  object["access"] = to_string(argument.access);
  if (argument.size) object["size"] = expression_json(*argument.size);
  if (argument.value) object["value"] = expression_json(*argument.value);
  object["fill"] = fill_json(argument.fill);
  object["symbol"] = text_json(argument.symbol);
  return object;
}

Json launch_json(const Launch& launch) {
  Json object;
  object["entry"] = text_json(launch.entry);
  object["block"] = array_json(launch.block, expression_json);
  object["grid"] = array_json(launch.grid, expression_json);
  if (launch.shared) object["shared"] = expression_json(*launch.shared);
  object["args"] = array_json(launch.args, text_json);
  if (launch.repeat) object["repeat"] = expression_json(*launch.repeat);
  object["swap"] = array_json(launch.swap, text_json);
  object["cooperative"] = launch.cooperative;
  object["cluster"] = array_json(launch.cluster, expression_json);
  // A worker that finds that the launch does not fit the kernel says where it stands.
  const InputPosition& at = launch.args_position.describe().empty() ? launch.position : launch.args_position;
  if (!at.describe().empty())
    object["args_position"] =
        Json{{"file", text_json(at.file)}, {"line", at.line}, {"column", at.column}, {"key", text_json(at.key)}};
  return object;
}

Json output_json(const Output& output) {
  return Json{{"argument", text_json(output.argument)},
              {"rtol", double_json(output.rtol)},
              {"atol", double_json(output.atol)},
              {"ulp", output.ulp},
              {"normwise", double_json(output.normwise)}};
}

Json reference_json(const Reference& reference) {
  struct Writer {
    Json operator()(const std::monostate&) const { return {{"kind", "none"}}; }
    Json operator()(const ReferenceKernel& kernel) const {
      return {{"kind", "kernel"},
              {"source", source_json(kernel.source)},
              {"launches", array_json(kernel.launches, launch_json)}};
    }
    Json operator()(const ReferenceNpy& npy) const {
      Json files = Json::object();
      for (const auto& [argument, file] : npy.files) files[argument] = path_json(file);
      return {{"kind", "npy"}, {"files", std::move(files)}};
    }
    Json operator()(const ReferenceConfiguration& weak) const {
      return {{"kind", "configuration"}, {"configuration", to_json(weak.configuration)}};
    }
    Json operator()(const ReferenceCommand& command) const {
      return {{"kind", "command"}, {"command", array_json(command.command, text_json)}};
    }
    Json operator()(const ReferenceCallback&) const {
      throw Error(ErrorCode::unsupported,
                  "a C++ reference callback cannot be sent to a worker process; evaluate in this process, or give a "
                  "reference kernel, npy file, configuration or command");
    }
  };
  return std::visit(Writer{}, reference);
}

// ---- reading --------------------------------------------------------------------------------------------------------

Expression read_expression(const Json& json, const Where& where) {
  const std::string text = read_text(json, where);
  try {
    return Expression::parse(text);
  } catch (const Error& error) {
    throw Error(ErrorCode::corrupted, where.describe() + ": " + error.what());
  }
}

std::filesystem::path read_path(const Json& json, const Where& where) { return read_text(json, where); }

SourceText read_source_text(const Json& json, const Where& where) {
  const ObjectReader object(json, where);
  return {.file = object.get("file", read_path), .text = object.text("text")};
}

KernelSource read_source(const Json& json, const Where& where) {
  const ObjectReader object(json, where);
  KernelSource source;
  source.dialect = object.maybe("dialect", read_source_text);
  for (auto& [backend, text] : object.entries("by_backend", read_source_text))
    source.by_backend.emplace(backend, std::move(text));
  return source;
}

Fill read_fill(const Json& json, const Where& where) {
  const ObjectReader object(json, where);
  const std::string kind = object.text("kind");
  if (kind == "constant") return FillConstant{.value = object.number("value")};
  if (kind == "uniform")
    return FillUniform{
        .low = object.number("low"), .high = object.number("high"), .seed = object.integer<std::uint64_t>("seed")};
  if (kind == "normal")
    return FillNormal{.mean = object.number("mean"),
                      .deviation = object.number("deviation"),
                      .seed = object.integer<std::uint64_t>("seed")};
  if (kind == "iota") return FillIota{.start = object.number("start"), .step = object.number("step")};
  if (kind == "npy") return FillNpy{.file = object.get("file", read_path)};
  reject(json.at("kind"), Where(where, "kind"), "one of constant, uniform, normal, iota, npy");
}

Parameter read_parameter(const Json& json, const Where& where) {
  const ObjectReader object(json, where);
  Parameter parameter;
  parameter.name = object.text("name");
  parameter.values = object.list("values", read_value);
  parameter.default_value = object.maybe("default", read_value);
  parameter.role = object.get(
      "role", [](const Json& role, const Where& here) { return read_enum<ParameterRole>(role, here, all_roles); });
  parameter.ordered = object.boolean("ordered");
  return parameter;
}

Constraint read_constraint(const Json& json, const Where& where) {
  const ObjectReader object(json, where);
  Constraint constraint;
  constraint.text = object.text("text");
  constraint.expression = object.get("expression", read_expression);
  return constraint;
}

Argument read_argument(const Json& json, const Where& where) {
  const ObjectReader object(json, where);
  Argument argument;
  argument.name = object.text("name");
  argument.type = object.get("type", [](const Json& type, const Where& here) {
    if (type.is_string())
      if (const auto parsed = parse_data_type(type.get_ref<const std::string&>())) return *parsed;
    reject(type, here, "a data type such as \"float32\"");
  });
  argument.components = object.integer<int>("components");
  argument.access = object.get(
      "access", [](const Json& access, const Where& here) { return read_enum<Access>(access, here, all_access); });
  argument.size = object.maybe("size", read_expression);
  argument.value = object.maybe("value", read_expression);
  argument.fill = object.get("fill", read_fill);
  argument.symbol = object.text("symbol");
  return argument;
}

InputPosition read_position(const Json& json, const Where& where) {
  const ObjectReader object(json, where);
  return {object.text("file"), object.integer<std::size_t>("line"), object.integer<std::size_t>("column"),
          object.text("key")};
}

Launch read_launch(const Json& json, const Where& where) {
  const ObjectReader object(json, where);
  Launch launch;
  launch.entry = object.text("entry");
  launch.block = object.list("block", read_expression);
  launch.grid = object.list("grid", read_expression);
  launch.shared = object.maybe("shared", read_expression);
  launch.args = object.list("args", read_text);
  launch.repeat = object.maybe("repeat", read_expression);
  launch.swap = object.list("swap", read_text);
  launch.cooperative = object.boolean("cooperative");
  launch.cluster = object.list("cluster", read_expression);
  if (const auto position = object.maybe("args_position", read_position)) launch.args_position = *position;
  return launch;
}

Output read_output(const Json& json, const Where& where) {
  const ObjectReader object(json, where);
  Output output;
  output.argument = object.text("argument");
  output.rtol = object.number("rtol");
  output.atol = object.number("atol");
  output.ulp = object.integer<std::uint32_t>("ulp");
  output.normwise = object.number("normwise");
  return output;
}

Reference read_reference(const Json& json, const Where& where) {
  const ObjectReader object(json, where);
  const std::string kind = object.text("kind");
  if (kind == "none") return std::monostate{};
  if (kind == "kernel")
    return ReferenceKernel{.source = object.get("source", read_source),
                           .launches = object.list("launches", read_launch)};
  if (kind == "npy") {
    ReferenceNpy npy;
    for (auto& [argument, file] : object.entries("files", read_path)) npy.files.emplace(argument, std::move(file));
    return npy;
  }
  if (kind == "configuration")
    return ReferenceConfiguration{.configuration = object.get("configuration", read_configuration)};
  if (kind == "command") return ReferenceCommand{.command = object.list("command", read_text)};
  reject(json.at("kind"), Where(where, "kind"), "one of none, kernel, npy, configuration, command");
}

Metric read_metric(const Json& json, const Where& where) {
  const ObjectReader object(json, where);
  return {.name = object.text("name"), .expression = object.get("expression", read_expression)};
}

}  // namespace

Json to_json(const Problem& problem) {
  Json object;
  object["name"] = text_json(problem.name);
  object["file"] = path_json(problem.file);
  object["source"] = source_json(problem.source);
  Json options = Json::object();
  for (const auto& [backend, list] : problem.options) options[backend] = array_json(list, text_json);
  object["options"] = std::move(options);
  object["include_folders"] = array_json(problem.include_folders, path_json);
  object["defines"] = array_json(problem.defines, [](const auto& define) {
    return Json{{"name", text_json(define.first)}, {"expression", expression_json(define.second)}};
  });
  object["dimensions"] = to_json(problem.dimensions);
  Json device_dimensions = Json::object();
  for (const auto& [device_class, dimensions] : problem.device_dimensions)
    device_dimensions[device_class] = to_json(dimensions);
  object["device_dimensions"] = std::move(device_dimensions);
  object["parameters"] = array_json(problem.parameters, parameter_json);
  Json constraints = Json::array();
  for (const Constraint& constraint : problem.constraints)
    if (constraint.expression)
      constraints.push_back(
          Json{{"text", text_json(constraint.text)}, {"expression", expression_json(*constraint.expression)}});
  object["constraints"] = std::move(constraints);
  object["arguments"] = array_json(problem.arguments, argument_json);
  object["launches"] = array_json(problem.launches, launch_json);
  object["outputs"] = array_json(problem.outputs, output_json);
  object["reference"] = reference_json(problem.reference);
  if (problem.baseline) object["baseline"] = to_json(*problem.baseline);
  object["objective"] = Json{{"metric", text_json(problem.objective.metric)}, {"minimise", problem.objective.minimise}};
  object["metrics"] = array_json(problem.metrics, [](const Metric& metric) {
    return Json{{"name", text_json(metric.name)}, {"expression", expression_json(metric.expression)}};
  });
  object["verify_sizes"] = array_json(problem.verify_sizes, configuration_json);
  object["warnings"] = array_json(problem.warnings, text_json);
  return object;
}

Problem problem_from_json(const Json& json) {
  const Where where("problem");
  const ObjectReader object(json, where);
  Problem problem;
  problem.name = object.text("name");
  problem.file = object.get("file", read_path);
  problem.source = object.get("source", read_source);
  const auto read_texts = [](const Json& list, const Where& here) { return read_list(list, here, read_text); };
  for (auto& [backend, list] : object.entries("options", read_texts)) problem.options.emplace(backend, std::move(list));
  problem.include_folders = object.list("include_folders", read_path);
  problem.defines = object.list("defines", [](const Json& define_json, const Where& here) {
    const ObjectReader define(define_json, here);
    return std::pair<std::string, Expression>(define.text("name"), define.get("expression", read_expression));
  });
  problem.dimensions = object.get("dimensions", read_configuration);
  for (auto& [device_class, dimensions] : object.entries("device_dimensions", read_configuration))
    problem.device_dimensions.emplace(device_class, std::move(dimensions));
  problem.parameters = object.list("parameters", read_parameter);
  problem.constraints = object.list("constraints", read_constraint);
  problem.arguments = object.list("arguments", read_argument);
  problem.launches = object.list("launches", read_launch);
  problem.outputs = object.list("outputs", read_output);
  problem.reference = object.get("reference", read_reference);
  problem.baseline = object.maybe("baseline", read_configuration);
  problem.objective = object.get("objective", [](const Json& objective_json, const Where& here) {
    const ObjectReader objective(objective_json, here);
    return Objective{.metric = objective.text("metric"), .minimise = objective.boolean("minimise")};
  });
  problem.metrics = object.list("metrics", read_metric);
  problem.verify_sizes = object.list("verify_sizes", read_configuration);
  problem.warnings = object.list("warnings", read_text);
  return problem;
}

}  // namespace warpwright::store
