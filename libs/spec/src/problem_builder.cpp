#include <algorithm>
#include <utility>

#include <warpwright/spec/problem_builder.hpp>
#include <warpwright/spec/source.hpp>

#include "check.hpp"
#include "document.hpp"
#include "toml_parts.hpp"
#include "words.hpp"

namespace warpwright::spec {
namespace {

Expression parse(const std::string& text, const std::string& key) {
  try {
    return Expression::parse(text);
  } catch (const Error& error) {
    InputPosition position;
    position.key = key;
    throw Error(ErrorCode::bad_input, error.message(), position);
  }
}

std::vector<Expression> parse_all(const std::vector<std::string>& texts, const std::string& key) {
  std::vector<Expression> expressions;
  for (std::size_t i = 0; i < texts.size(); ++i) expressions.push_back(parse(texts[i], detail::join_index(key, i)));
  return expressions;
}

InputPosition at_key(std::string key) {
  InputPosition position;
  position.key = std::move(key);
  return position;
}

}  // namespace

ProblemBuilder::ProblemBuilder(std::string kernel_name) { problem_.name = std::move(kernel_name); }

// ---- code -----------------------------------------------------------------------------------------------------------

ProblemBuilder& ProblemBuilder::include_folder(const std::filesystem::path& folder) {
  problem_.include_folders.push_back(folder);
  return *this;
}

ProblemBuilder& ProblemBuilder::source_file(const std::filesystem::path& file, const std::string& backend) {
  SourceText source = load_source(file, problem_.include_folders);
  if (backend.empty()) {
    problem_.source.dialect = std::move(source);
  } else {
    problem_.source.by_backend[backend] = std::move(source);
  }
  return *this;
}

ProblemBuilder& ProblemBuilder::source_text(const std::string& text, const std::string& backend) {
  SourceText source = inline_source(text, problem_.name, problem_.include_folders);
  if (backend.empty()) {
    problem_.source.dialect = std::move(source);
  } else {
    problem_.source.by_backend[backend] = std::move(source);
  }
  return *this;
}

ProblemBuilder& ProblemBuilder::compiler_options(const std::string& backend, std::vector<std::string> options) {
  problem_.options[backend] = std::move(options);
  return *this;
}

ProblemBuilder& ProblemBuilder::define(std::string name, const std::string& expression) {
  Expression parsed = parse(expression, detail::join_key("kernel.defines", name));
  problem_.defines.emplace_back(std::move(name), std::move(parsed));
  return *this;
}

// ---- space ----------------------------------------------------------------------------------------------------------

ProblemBuilder& ProblemBuilder::dimension(std::string name, Value value) {
  if (problem_.dimensions.find(name)) {
    throw Error(ErrorCode::bad_input, "the problem dimension '" + name + "' is declared twice; remove one",
                at_key(detail::join_key("problem", name)));
  }
  problem_.dimensions.set(name, std::move(value));
  return *this;
}

ProblemBuilder& ProblemBuilder::device_dimension(const std::string& device_class, std::string name, Value value) {
  problem_.device_dimensions[device_class].set(name, std::move(value));
  return *this;
}

ProblemBuilder& ProblemBuilder::parameter(std::string name, std::vector<Value> values,
                                          std::optional<Value> default_value, ParameterRole role) {
  for (const auto& other : problem_.parameters) {
    if (other.name == name) {
      throw Error(ErrorCode::bad_input, "the parameter '" + name + "' is declared twice; remove one",
                  at_key(detail::join_key("parameters", name)));
    }
  }
  Parameter parameter;
  parameter.position = at_key(detail::join_key("parameters", name));
  parameter.name = std::move(name);
  parameter.ordered = std::none_of(values.begin(), values.end(), [](const Value& value) {
    return std::holds_alternative<std::string>(value) || std::holds_alternative<bool>(value);
  });
  parameter.values = std::move(values);
  parameter.default_value = std::move(default_value);
  parameter.role = role;
  problem_.parameters.push_back(std::move(parameter));
  return *this;
}

ProblemBuilder& ProblemBuilder::constraint(std::string expression) {
  const std::string key = detail::join_index("constraints", problem_.constraints.size());
  Constraint constraint;
  constraint.expression = parse(expression, key);
  constraint.text = std::move(expression);
  constraint.position = at_key(key);
  problem_.constraints.push_back(std::move(constraint));
  return *this;
}

ProblemBuilder& ProblemBuilder::constraint(std::string name, std::function<bool(const Configuration&)> callable) {
  Constraint constraint = Constraint::from(std::move(name), std::move(callable));
  constraint.position = at_key(detail::join_index("constraints", problem_.constraints.size()));
  problem_.constraints.push_back(std::move(constraint));
  return *this;
}

// ---- data -----------------------------------------------------------------------------------------------------------

ProblemBuilder& ProblemBuilder::buffer(std::string name, DataType type, const std::string& size, Access access,
                                       std::optional<Fill> fill, int components) {
  const std::string key = detail::join_index("argument", problem_.arguments.size());
  Argument argument;
  argument.name = std::move(name);
  argument.type = type;
  argument.components = components;
  argument.access = access;
  argument.size = parse(size, key + ".size");
  argument.fill = fill ? std::move(*fill) : detail::default_fill(access, type, problem_.arguments.size() + 1);
  argument.position = at_key(key);
  problem_.arguments.push_back(std::move(argument));
  return *this;
}

ProblemBuilder& ProblemBuilder::input(std::string name, DataType type, const std::string& size,
                                      std::optional<Fill> fill, int components) {
  return buffer(std::move(name), type, size, Access::in, std::move(fill), components);
}

ProblemBuilder& ProblemBuilder::output(std::string name, DataType type, const std::string& size, double rtol,
                                       double atol, int components) {
  problem_.outputs.push_back({name, rtol, atol, at_key(detail::join_index("output", problem_.outputs.size()))});
  return buffer(std::move(name), type, size, Access::out, FillConstant{}, components);
}

ProblemBuilder& ProblemBuilder::inout(std::string name, DataType type, const std::string& size, Fill fill, double rtol,
                                      double atol, int components) {
  problem_.outputs.push_back({name, rtol, atol, at_key(detail::join_index("output", problem_.outputs.size()))});
  return buffer(std::move(name), type, size, Access::inout, std::move(fill), components);
}

ProblemBuilder& ProblemBuilder::constant(std::string name, std::string symbol, DataType type, const std::string& size,
                                         std::optional<Fill> fill, int components) {
  buffer(std::move(name), type, size, Access::constant, std::move(fill), components);
  problem_.arguments.back().symbol = std::move(symbol);
  return *this;
}

ProblemBuilder& ProblemBuilder::scalar(std::string name, DataType type, const std::string& value) {
  const std::string key = detail::join_index("argument", problem_.arguments.size());
  Argument argument;
  argument.name = std::move(name);
  argument.type = type;
  argument.access = Access::scalar;
  argument.value = parse(value, key + ".value");
  argument.position = at_key(key);
  problem_.arguments.push_back(std::move(argument));
  return *this;
}

ProblemBuilder& ProblemBuilder::vector(std::string name, DataType type, int components, const std::string& value) {
  scalar(std::move(name), type, value);
  problem_.arguments.back().components = components;
  return *this;
}

ProblemBuilder& ProblemBuilder::structure(std::string name, std::vector<StructField> fields) {
  Argument argument;
  argument.name = std::move(name);
  argument.type = DataType::uint8;
  argument.access = Access::scalar;
  argument.fields = std::move(fields);
  argument.position = at_key(detail::join_index("argument", problem_.arguments.size()));
  problem_.arguments.push_back(std::move(argument));
  return *this;
}

ProblemBuilder& ProblemBuilder::scratch(std::string name, DataType type, const std::string& size, int components,
                                        std::optional<Fill> restored) {
  const bool kept = restored.has_value();
  buffer(std::move(name), type, size, Access::scratch, kept ? std::move(*restored) : Fill(FillConstant{}), components);
  problem_.arguments.back().restored = kept;
  return *this;
}

ProblemBuilder& ProblemBuilder::local(std::string name, DataType type, const std::string& size) {
  return buffer(std::move(name), type, size, Access::local, FillConstant{}, 1);
}

ProblemBuilder& ProblemBuilder::image(std::string name, ImageFormat format, const std::string& width,
                                      const std::string& height, Access access, std::optional<Fill> fill) {
  const std::string key = detail::join_index("argument", problem_.arguments.size());
  Argument argument;
  argument.name = std::move(name);
  argument.type = format.type;
  argument.components = format.channels;
  argument.access = access;
  argument.image =
      ImageArgument{parse(width, key + ".image.width"), parse(height, key + ".image.height"), format.normalized};
  argument.size = image_pixels(argument.image->width, argument.image->height);
  argument.fill = fill ? std::move(*fill) : detail::default_fill(access, format.type, problem_.arguments.size() + 1);
  argument.position = at_key(key);
  problem_.arguments.push_back(std::move(argument));
  return *this;
}

ProblemBuilder& ProblemBuilder::input_image(std::string name, ImageFormat format, const std::string& width,
                                            const std::string& height, std::optional<Fill> fill) {
  return image(std::move(name), format, width, height, Access::in, std::move(fill));
}

ProblemBuilder& ProblemBuilder::output_image(std::string name, ImageFormat format, const std::string& width,
                                             const std::string& height, double rtol, double atol) {
  problem_.outputs.push_back({name, rtol, atol, at_key(detail::join_index("output", problem_.outputs.size()))});
  return image(std::move(name), format, width, height, Access::out, FillConstant{});
}

ProblemBuilder& ProblemBuilder::inout_image(std::string name, ImageFormat format, const std::string& width,
                                            const std::string& height, Fill fill, double rtol, double atol) {
  problem_.outputs.push_back({name, rtol, atol, at_key(detail::join_index("output", problem_.outputs.size()))});
  return image(std::move(name), format, width, height, Access::inout, std::move(fill));
}

ProblemBuilder& ProblemBuilder::scratch_image(std::string name, ImageFormat format, const std::string& width,
                                              const std::string& height) {
  return image(std::move(name), format, width, height, Access::scratch, FillConstant{});
}

ProblemBuilder& ProblemBuilder::sampler(std::string name, SamplerSettings settings) {
  Argument argument;
  argument.name = std::move(name);
  argument.access = Access::scalar;
  argument.sampler = settings;
  argument.position = at_key(detail::join_index("argument", problem_.arguments.size()));
  problem_.arguments.push_back(std::move(argument));
  return *this;
}

ProblemBuilder& ProblemBuilder::type_from(const std::string& argument, std::string parameter) {
  const auto found = std::find_if(problem_.arguments.begin(), problem_.arguments.end(),
                                  [&](const Argument& candidate) { return candidate.name == argument; });
  if (found == problem_.arguments.end()) {
    throw Error(ErrorCode::bad_input, "type_from() names '" + argument + "', which is not an argument yet",
                at_key("argument"));
  }
  found->type_parameter = std::move(parameter);
  return *this;
}

Output& ProblemBuilder::output_of(const std::string& argument, const char* wanted) {
  const auto found = std::find_if(problem_.outputs.begin(), problem_.outputs.end(),
                                  [&](const Output& candidate) { return candidate.argument == argument; });
  if (found == problem_.outputs.end()) {
    throw Error(
        ErrorCode::bad_input,
        std::string(wanted) + " names '" + argument + "', which is not an output; call output() or inout() first",
        at_key("output"));
  }
  return *found;
}

ProblemBuilder& ProblemBuilder::compare_range(const std::string& argument, const std::string& first,
                                              const std::string& count) {
  Output& output = output_of(argument, "compare_range()");
  if (!first.empty()) output.first = parse(first, output.position.key + ".first");
  if (!count.empty()) output.count = parse(count, output.position.key + ".count");
  return *this;
}

ProblemBuilder& ProblemBuilder::judge_by_sum(const std::string& argument) {
  output_of(argument, "judge_by_sum()").by_sum = true;
  return *this;
}

// ---- stages ---------------------------------------------------------------------------------------------------------

ProblemBuilder& ProblemBuilder::stage(std::string name, const std::string& text,
                                      std::optional<std::vector<std::string>> parameters) {
  Stage stage;
  stage.position = at_key(detail::join_index("stage", problem_.stages.size()));
  if (!text.empty()) {
    stage.source.dialect = inline_source(text, problem_.name + "." + name, problem_.include_folders);
  }
  stage.parameters = std::move(parameters);
  stage.name = std::move(name);
  problem_.stages.push_back(std::move(stage));
  return *this;
}

ProblemBuilder& ProblemBuilder::stage_file(std::string name, const std::filesystem::path& file,
                                           std::optional<std::vector<std::string>> parameters) {
  SourceText source = load_source(file, problem_.include_folders);
  stage(std::move(name), {}, std::move(parameters));
  problem_.stages.back().source.dialect = std::move(source);
  return *this;
}

// ---- launches -------------------------------------------------------------------------------------------------------

ProblemBuilder& ProblemBuilder::launch(std::string entry, std::vector<std::string> block, std::vector<std::string> grid,
                                       std::vector<std::string> args, const std::string& shared) {
  std::string key = detail::join_index("launch", problem_.launches.size());
  Launch launch;
  if (!problem_.stages.empty()) {
    launch.stage = problem_.stages.back().name;
    const auto in_stage = std::count_if(problem_.launches.begin(), problem_.launches.end(),
                                        [&](const Launch& other) { return other.stage == launch.stage; });
    key = detail::join_index(problem_.stages.back().position.key + ".launch", static_cast<std::size_t>(in_stage));
  }
  launch.entry = std::move(entry);
  launch.block = parse_all(block, key + ".block");
  launch.grid = parse_all(grid, key + ".grid");
  if (!shared.empty()) launch.shared = parse(shared, key + ".shared");
  launch.args = std::move(args);
  launch.position = at_key(key);
  launch.args_position = at_key(key + ".args");
  problem_.launches.push_back(std::move(launch));
  return *this;
}

Launch& ProblemBuilder::last_launch(const char* wanted) {
  if (problem_.launches.empty()) {
    throw Error(ErrorCode::bad_input, std::string(wanted) + " belongs to a launch; call launch() first",
                at_key("launch"));
  }
  return problem_.launches.back();
}

ProblemBuilder& ProblemBuilder::repeat_last_launch(const std::string& times, std::vector<std::string> swap) {
  Launch& launch = last_launch("repeat");
  launch.repeat = parse(times, launch.position.key + ".repeat");
  launch.swap = std::move(swap);
  return *this;
}

ProblemBuilder& ProblemBuilder::when_last_launch(const std::string& condition) {
  Launch& launch = last_launch("when");
  launch.when = parse(condition, launch.position.key + ".when");
  return *this;
}

ProblemBuilder& ProblemBuilder::cooperative_last_launch() {
  last_launch("cooperative").cooperative = true;
  return *this;
}

ProblemBuilder& ProblemBuilder::cluster_last_launch(std::vector<std::string> cluster) {
  Launch& launch = last_launch("cluster");
  launch.cluster = parse_all(cluster, launch.position.key + ".cluster");
  return *this;
}

// ---- reference, baseline, objective ---------------------------------------------------------------------------------

ProblemBuilder& ProblemBuilder::reference(ReferenceCallback callback) {
  problem_.reference = std::move(callback);
  return *this;
}

ProblemBuilder& ProblemBuilder::reference_entry(std::string entry, std::vector<std::string> block,
                                                std::vector<std::string> grid) {
  Launch launch;
  launch.entry = std::move(entry);
  launch.block = parse_all(block, "reference.block");
  launch.grid = parse_all(grid, "reference.grid");
  launch.position = at_key("reference");
  ReferenceKernel kernel;
  kernel.launches.push_back(std::move(launch));
  problem_.reference = std::move(kernel);
  return *this;
}

ProblemBuilder& ProblemBuilder::reference_kernel(const std::filesystem::path& file, std::string entry,
                                                 std::vector<std::string> block, std::vector<std::string> grid) {
  SourceText source = load_source(file, problem_.include_folders);
  reference_entry(std::move(entry), std::move(block), std::move(grid));
  std::get<ReferenceKernel>(problem_.reference).source.dialect = std::move(source);
  return *this;
}

ProblemBuilder& ProblemBuilder::reference_npy(std::map<std::string, std::filesystem::path> files) {
  problem_.reference = ReferenceNpy{std::move(files)};
  return *this;
}

ProblemBuilder& ProblemBuilder::reference_configuration(Configuration configuration) {
  problem_.reference = ReferenceConfiguration{std::move(configuration)};
  return *this;
}

ProblemBuilder& ProblemBuilder::baseline(Configuration configuration) {
  problem_.baseline = std::move(configuration);
  return *this;
}

ProblemBuilder& ProblemBuilder::metric(std::string name, const std::string& expression) {
  Expression parsed = parse(expression, detail::join_key("metrics", name));
  problem_.metrics.push_back({std::move(name), std::move(parsed)});
  return *this;
}

ProblemBuilder& ProblemBuilder::minimise(std::string metric) {
  problem_.objective = {std::move(metric), true};
  return *this;
}

ProblemBuilder& ProblemBuilder::maximise(std::string metric) {
  problem_.objective = {std::move(metric), false};
  return *this;
}

ProblemBuilder& ProblemBuilder::verify_size(Configuration dimensions) {
  problem_.verify_sizes.push_back(std::move(dimensions));
  return *this;
}

Problem ProblemBuilder::build() const {
  Problem problem = problem_;
  if (auto* kernel = std::get_if<ReferenceKernel>(&problem.reference)) {
    detail::complete_reference_launches(kernel->launches, problem.launches);
  }
  check_problem(problem);
  problem.warnings = detail::find_warnings(problem);
  return problem;
}

}  // namespace warpwright::spec
