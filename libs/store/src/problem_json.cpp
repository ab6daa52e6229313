// Problems as JSON, for worker processes. Expressions travel as their text.
#include <array>
#include <type_traits>

#include <warpwright/store/json.hpp>

#include "json_reader.hpp"

namespace warpwright::store {
namespace {

using namespace detail;

constexpr std::array all_addressings{ImageAddressing::none, ImageAddressing::clamp_to_edge, ImageAddressing::clamp,
                                     ImageAddressing::repeat, ImageAddressing::mirrored_repeat};
constexpr std::array all_filters{ImageFilter::nearest, ImageFilter::linear};
constexpr std::array all_access{Access::in,     Access::out,     Access::inout, Access::constant,
                                Access::scalar, Access::scratch, Access::local};
constexpr std::array all_orders{FillOrder::none, FillOrder::ascending, FillOrder::descending};

// ---- writing --------------------------------------------------------------------------------------------------------

template <class Range, class Write>
Json array_json(const Range& range, Write write) {
  Json array = Json::array();
  for (const auto& element : range) array.push_back(write(element));
  return array;
}

Json expression_json(const Expression& expression) { return text_json(expression.text()); }
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

// What only some problems have is written only there: the text of all others, which is hashed, stays as it was.
template <class How>
Json with_details(Json object, const How& how) {
  if (!how.bounds.empty()) object["bounds"] = array_json(how.bounds, expression_json);
  if constexpr (requires { how.order; }) {
    if (how.order != FillOrder::none) object["order"] = to_string(how.order);
  }
  return object;
}

Json fill_json(const Fill& fill) {
  struct Writer {
    Json operator()(const FillConstant& f) const {
      return with_details({{"kind", "constant"}, {"value", double_json(f.value)}}, f);
    }
    Json operator()(const FillUniform& f) const {
      return with_details(
          {{"kind", "uniform"}, {"low", double_json(f.low)}, {"high", double_json(f.high)}, {"seed", f.seed}}, f);
    }
    Json operator()(const FillNormal& f) const {
      return with_details({{"kind", "normal"},
                           {"mean", double_json(f.mean)},
                           {"deviation", double_json(f.deviation)},
                           {"seed", f.seed}},
                          f);
    }
    Json operator()(const FillIota& f) const {
      return with_details({{"kind", "iota"}, {"start", double_json(f.start)}, {"step", double_json(f.step)}}, f);
    }
    Json operator()(const FillFormula& f) const {
      Json object{{"kind", "formula"}, {"formula", expression_json(f.formula)}};
      if (f.row_length) object["row_length"] = expression_json(*f.row_length);
      return object;
    }
    Json operator()(const FillNpy& f) const { return {{"kind", "npy"}, {"file", path_json(f.file)}}; }
    Json operator()(const FillRaw& f) const { return {{"kind", "raw"}, {"file", path_json(f.file)}}; }
  };
  return std::visit(Writer{}, fill);
}

Json field_json(const StructField& field) {
  Json object{{"name", text_json(field.name)},
              {"type", to_string(field.type)},
              {"components", field.components},
              {"value", expression_json(field.value)}};
  if (field.offset) object["offset"] = *field.offset;
  return object;
}

Json define_json(const std::pair<std::string, Expression>& define) {
  return Json{{"name", text_json(define.first)}, {"expression", expression_json(define.second)}};
}

Json options_json(const std::map<std::string, std::vector<std::string>>& options) {
  Json object = Json::object();
  for (const auto& [backend, list] : options) object[backend] = array_json(list, text_json);
  return object;
}

Json stage_json(const Stage& stage) {
  Json object{{"name", text_json(stage.name)},
              {"source", source_json(stage.source)},
              {"options", options_json(stage.options)},
              {"defines", array_json(stage.defines, define_json)}};
  if (stage.parameters) object["parameters"] = array_json(*stage.parameters, text_json);
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
  if (argument.restored) object["restored"] = true;
  if (!argument.fields.empty()) object["fields"] = array_json(argument.fields, field_json);
  if (!argument.type_parameter.empty()) object["type_parameter"] = text_json(argument.type_parameter);
  if (const auto& image = argument.image)
    object["image"] = Json{{"width", expression_json(image->width)},
                           {"height", expression_json(image->height)},
                           {"normalized", image->normalized}};
  if (const auto& sampler = argument.sampler)
    object["sampler"] = Json{{"addressing", to_string(sampler->addressing)},
                             {"filter", to_string(sampler->filter)},
                             {"normalized", sampler->normalized}};
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
  if (launch.when) object["when"] = expression_json(*launch.when);
  if (!launch.stage.empty()) object["stage"] = text_json(launch.stage);
  // A worker that finds that the launch does not fit the kernel says where it stands.
  const InputPosition& at = launch.args_position.describe().empty() ? launch.position : launch.args_position;
  if (!at.describe().empty())
    object["args_position"] =
        Json{{"file", text_json(at.file)}, {"line", at.line}, {"column", at.column}, {"key", text_json(at.key)}};
  return object;
}

Json output_json(const Output& output) {
  Json object{{"argument", text_json(output.argument)},
              {"rtol", double_json(output.rtol)},
              {"atol", double_json(output.atol)},
              {"ulp", output.ulp},
              {"normwise", double_json(output.normwise)}};
  if (output.first) object["first"] = expression_json(*output.first);
  if (output.count) object["count"] = expression_json(*output.count);
  if (output.by_sum) object["by_sum"] = true;
  return object;
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

template <class How>
Fill read_details(const ObjectReader& object, How how) {
  if (object.find("bounds") != nullptr) {
    how.bounds = object.list("bounds", read_expression);
    const std::size_t wanted = std::is_same_v<How, FillConstant> ? 1 : 2;
    if (how.bounds.size() != wanted)
      throw Error(ErrorCode::corrupted,
                  "a fill has " + std::to_string(how.bounds.size()) + " bounds, it needs " + std::to_string(wanted));
  }
  if constexpr (requires { how.order; }) {
    if (object.find("order") != nullptr)
      how.order = object.get(
          "order", [](const Json& order, const Where& here) { return read_enum<FillOrder>(order, here, all_orders); });
  }
  return how;
}

Fill read_fill(const Json& json, const Where& where) {
  const ObjectReader object(json, where);
  const std::string kind = object.text("kind");
  if (kind == "constant") return read_details(object, FillConstant{.value = object.number("value"), .bounds = {}});
  if (kind == "uniform")
    return read_details(object, FillUniform{.low = object.number("low"),
                                            .high = object.number("high"),
                                            .seed = object.integer<std::uint64_t>("seed"),
                                            .bounds = {}});
  if (kind == "normal")
    return read_details(object, FillNormal{.mean = object.number("mean"),
                                           .deviation = object.number("deviation"),
                                           .seed = object.integer<std::uint64_t>("seed"),
                                           .bounds = {}});
  if (kind == "iota")
    return read_details(object, FillIota{.start = object.number("start"), .step = object.number("step"), .bounds = {}});
  if (kind == "formula") {
    return FillFormula{.formula = object.get("formula", read_expression),
                       .row_length = object.maybe("row_length", read_expression)};
  }
  if (kind == "npy") return FillNpy{.file = object.get("file", read_path)};
  if (kind == "raw") return FillRaw{.file = object.get("file", read_path)};
  reject(json.at("kind"), Where(where, "kind"), "one of constant, uniform, normal, iota, formula, npy, raw");
}

DataType read_data_type(const Json& type, const Where& here) {
  if (type.is_string())
    if (const auto parsed = parse_data_type(type.get_ref<const std::string&>())) return *parsed;
  reject(type, here, "a data type such as \"float32\"");
}

StructField read_field(const Json& json, const Where& where) {
  const ObjectReader object(json, where);
  StructField field;
  field.name = object.text("name");
  field.type = object.get("type", read_data_type);
  field.components = object.integer<int>("components");
  field.value = object.get("value", read_expression);
  if (object.find("offset") != nullptr) field.offset = object.integer<std::int64_t>("offset");
  return field;
}

std::pair<std::string, Expression> read_define(const Json& json, const Where& where) {
  const ObjectReader define(json, where);
  return {define.text("name"), define.get("expression", read_expression)};
}

std::map<std::string, std::vector<std::string>> read_options(const ObjectReader& object) {
  std::map<std::string, std::vector<std::string>> options;
  const auto read_texts = [](const Json& list, const Where& here) { return read_list(list, here, read_text); };
  for (auto& [backend, list] : object.entries("options", read_texts)) options.emplace(backend, std::move(list));
  return options;
}

Stage read_stage(const Json& json, const Where& where) {
  const ObjectReader object(json, where);
  Stage stage;
  stage.name = object.text("name");
  stage.source = object.get("source", read_source);
  stage.options = read_options(object);
  stage.defines = object.list("defines", read_define);
  if (object.find("parameters") != nullptr) stage.parameters = object.list("parameters", read_text);
  return stage;
}

Constraint read_constraint(const Json& json, const Where& where) {
  const ObjectReader object(json, where);
  Constraint constraint;
  constraint.text = object.text("text");
  constraint.expression = object.get("expression", read_expression);
  return constraint;
}

ImageArgument read_image(const Json& json, const Where& where) {
  const ObjectReader object(json, where);
  return {object.get("width", read_expression), object.get("height", read_expression), object.boolean("normalized")};
}

SamplerSettings read_sampler(const Json& json, const Where& where) {
  const ObjectReader object(json, where);
  SamplerSettings sampler;
  sampler.addressing = object.get("addressing", [](const Json& word, const Where& here) {
    return read_enum<ImageAddressing>(word, here, all_addressings);
  });
  sampler.filter = object.get(
      "filter", [](const Json& word, const Where& here) { return read_enum<ImageFilter>(word, here, all_filters); });
  sampler.normalized = object.boolean("normalized");
  return sampler;
}

Argument read_argument(const Json& json, const Where& where) {
  const ObjectReader object(json, where);
  Argument argument;
  argument.name = object.text("name");
  argument.type = object.get("type", read_data_type);
  argument.components = object.integer<int>("components");
  argument.access = object.get(
      "access", [](const Json& access, const Where& here) { return read_enum<Access>(access, here, all_access); });
  argument.size = object.maybe("size", read_expression);
  argument.value = object.maybe("value", read_expression);
  argument.fill = object.get("fill", read_fill);
  argument.symbol = object.text("symbol");
  argument.restored = object.find("restored") != nullptr && object.boolean("restored");
  if (object.find("fields") != nullptr) argument.fields = object.list("fields", read_field);
  if (object.find("type_parameter") != nullptr) argument.type_parameter = object.text("type_parameter");
  argument.image = object.maybe("image", read_image);
  argument.sampler = object.maybe("sampler", read_sampler);
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
  launch.when = object.maybe("when", read_expression);
  if (object.find("stage") != nullptr) launch.stage = object.text("stage");
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
  output.first = object.maybe("first", read_expression);
  output.count = object.maybe("count", read_expression);
  output.by_sum = object.find("by_sum") != nullptr && object.boolean("by_sum");
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
  object["options"] = options_json(problem.options);
  object["include_folders"] = array_json(problem.include_folders, path_json);
  object["defines"] = array_json(problem.defines, define_json);
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
  if (!problem.stages.empty()) object["stages"] = array_json(problem.stages, stage_json);
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
  problem.options = read_options(object);
  problem.include_folders = object.list("include_folders", read_path);
  problem.defines = object.list("defines", read_define);
  problem.dimensions = object.get("dimensions", read_configuration);
  for (auto& [device_class, dimensions] : object.entries("device_dimensions", read_configuration))
    problem.device_dimensions.emplace(device_class, std::move(dimensions));
  problem.parameters = object.list("parameters", read_parameter);
  problem.constraints = object.list("constraints", read_constraint);
  problem.arguments = object.list("arguments", read_argument);
  if (object.find("stages") != nullptr) problem.stages = object.list("stages", read_stage);
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
