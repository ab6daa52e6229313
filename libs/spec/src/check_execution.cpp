#include <algorithm>
#include <cctype>
#include <cmath>
#include <limits>
#include <map>
#include <set>

#include "check.hpp"
#include "checker.hpp"
#include "document.hpp"
#include "words.hpp"

namespace warpwright::spec::detail {
namespace {

// The first parameter that `expression` names; null if there is none.
const std::string* named_parameter(const Problem& problem, const Expression& expression) {
  for (const std::string& name : expression.names()) {
    for (const Parameter& parameter : problem.parameters) {
      if (parameter.name == name) return &parameter.name;
    }
  }
  return nullptr;
}

std::vector<std::string> argument_names(const Problem& problem) {
  std::vector<std::string> names;
  for (const auto& argument : problem.arguments) names.push_back(argument.name);
  return names;
}

// ---- definitions and options ----------------------------------------------------------------------------------------

// A string value v of the parameter p reaches the kernel as the macro p_v, with '_' for what no macro name can hold.
void check_macro_values(const Checker& checker, const Parameter& parameter) {
  std::map<std::string, std::string> values_of_macros;
  for (std::size_t i = 0; i < parameter.values.size(); ++i) {
    const std::string* text = std::get_if<std::string>(&parameter.values[i]);
    if (!text) continue;
    const std::string key = join_index(join_key("parameters", parameter.name) + ".values", i);
    if (text->find_first_of(" \t\r\n\v\f") != std::string::npos) {
      checker.fail(key, "the value '" + excerpt(*text, 40) +
                            "' has a space, which a preprocessor definition cannot carry; use '_' in its place, or "
                            "role = \"option\" if it is meant for the compiler");
    }
    std::string macro = *text;
    std::replace_if(
        macro.begin(), macro.end(), [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
    const auto [first, is_new] = values_of_macros.emplace(parameter.name + "_" + macro, *text);
    if (!is_new) {
      checker.fail(key, "the values '" + excerpt(first->second, 40) + "' and '" + excerpt(*text, 40) +
                            "' both reach the kernel as " + excerpt(first->first, 80) + "; rename one of them");
    }
  }
}

void check_defines(const Checker& checker, const std::vector<std::pair<std::string, Expression>>& defines,
                   const std::string& path) {
  std::set<std::string> seen;
  for (const auto& [name, expression] : defines) {
    const std::string key = join_key(path, name);
    if (!is_identifier(name)) {
      checker.fail(key, "'" + excerpt(name, 40) +
                            "' cannot be a definition: use letters, digits and '_', not starting with a digit");
    }
    if (!seen.insert(name).second) checker.fail(key, "'" + name + "' is defined twice; remove one");
    for (const auto& parameter : checker.problem.parameters) {
      if (parameter.name == name && parameter.role == ParameterRole::define) {
        checker.fail(key,
                     "the parameter '" + name + "' is already passed as a definition of that name; rename this one");
      }
    }
    checker.check_names(expression, key, "definition '" + name + "'");
  }
}

void check_options(const Checker& checker, const std::map<std::string, std::vector<std::string>>& by_backend,
                   const std::string& path) {
  const auto& known = backend_names();
  for (const auto& [backend, options] : by_backend) {
    if (std::find(known.begin(), known.end(), backend) != known.end()) continue;
    checker.fail(join_key(path, backend),
                 "'" + backend + "' is not a backend" + suggestion(backend, known, "backends"));
  }
}

void check_kernel(const Checker& checker) {
  const Problem& problem = checker.problem;
  if (problem.name.empty()) checker.fail("kernel.name", "the kernel needs a name: its profiles are found by it");
  check_options(checker, problem.options, "kernel.options");
  for (const auto& parameter : problem.parameters) {
    if (parameter.role == ParameterRole::define) check_macro_values(checker, parameter);
  }
  check_defines(checker, problem.defines, "kernel.defines");
}

void check_stage(const Checker& checker, const Stage& stage, const std::string& key) {
  const Problem& problem = checker.problem;
  const std::string quoted = "stage '" + stage.name + "'";
  const bool own_source = problem.source.dialect || !problem.source.by_backend.empty();
  if (!own_source && !stage.source.dialect && stage.source.by_backend.empty()) {
    checker.fail(key + ".source", "the " + quoted +
                                      " has no source, and [kernel] has none to share; give it one, such as source = "
                                      "\"force.kernel\"");
  }
  check_options(checker, stage.options, key + ".options");
  check_defines(checker, stage.defines, key + ".defines");
  for (const auto& [name, expression] : stage.defines) {
    for (const auto& [other, value] : problem.defines) {
      if (name != other) continue;
      checker.fail(join_key(key + ".defines", name),
                   "'" + name + "' is defined in [kernel] already, for every stage; rename or remove one");
    }
  }
  std::vector<std::string> parameters;
  for (const auto& parameter : problem.parameters) parameters.push_back(parameter.name);
  for (std::size_t j = 0; stage.parameters && j < stage.parameters->size(); ++j) {
    const std::string& name = (*stage.parameters)[j];
    if (std::find(parameters.begin(), parameters.end(), name) != parameters.end()) continue;
    checker.fail(join_index(key + ".parameters", j),
                 "'" + excerpt(name, 40) + "' is not a parameter" + suggestion(name, parameters, "parameters"));
  }
  const bool used = std::any_of(problem.launches.begin(), problem.launches.end(),
                                [&](const Launch& launch) { return launch.stage == stage.name; });
  if (!used) {
    checker.fail(key + ".launch", "the " + quoted +
                                      " has no launch, so nothing of it would run; add [[stage.launch]] with entry, "
                                      "block, grid and args");
  }
}

void check_stages(const Checker& checker) {
  const Problem& problem = checker.problem;
  std::vector<std::string> names;
  for (std::size_t i = 0; i < problem.stages.size(); ++i) {
    const Stage& stage = problem.stages[i];
    const std::string key = join_index("stage", i);
    if (!is_identifier(stage.name)) {
      checker.fail(key + ".name", "'" + excerpt(stage.name, 40) +
                                      "' cannot be the name of a stage: use letters, digits and '_', not starting "
                                      "with a digit");
    }
    if (std::find(names.begin(), names.end(), stage.name) != names.end()) {
      checker.fail(key + ".name", "the stage '" + stage.name + "' is declared twice; remove or rename one");
    }
    names.push_back(stage.name);
    check_stage(checker, stage, key);
  }
  for (std::size_t i = 0; i < problem.launches.size(); ++i) {
    const Launch& launch = problem.launches[i];
    if (launch.stage.empty() || problem.find_stage(launch.stage) != nullptr) continue;
    checker.fail(launch_key(problem, i), "the launch '" + launch.entry + "' belongs to the stage '" + launch.stage +
                                             "', which is not declared" + suggestion(launch.stage, names, "stages"));
  }
}

// ---- arguments ------------------------------------------------------------------------------------------------------

// A fill whose bounds are expressions is looked at when they have values.
void check_fill_expressions(const Checker& checker, const Argument& argument, const std::string& key) {
  const std::string what = "init of argument '" + argument.name + "'";
  const auto check_one = [&](const Expression& expression, const std::vector<std::string>& extra) {
    checker.check_names(expression, key, what, extra);
    const std::string* parameter = named_parameter(checker.problem, expression);
    if (parameter == nullptr) return;
    checker.fail(key, what + " depends on the parameter '" + *parameter +
                          "'; all configurations get the same inputs, so it may name problem dimensions only");
  };
  const auto check = [&](const auto& fill) {
    if constexpr (requires { fill.bounds; }) {
      for (const Expression& bound : fill.bounds) check_one(bound, {});
    }
    if constexpr (requires { fill.formula; }) {
      check_one(fill.formula, formula_names(fill));
      if (fill.row_length) check_one(*fill.row_length, {});
    }
  };
  std::visit(check, argument.fill);
}

void check_structure(const Checker& checker, const Argument& argument, const std::string& key) {
  const std::string quoted = "argument '" + argument.name + "'";
  if (argument.access != Access::scalar) {
    checker.fail(key + ".type", quoted +
                                    " is a structure, which is passed by value: access = \"scalar\"; for a buffer "
                                    "of structures give type = \"uint8\" and its bytes as size");
  }
  if (argument.value) checker.fail(key + ".value", quoted + " is a structure: each member of its layout has a value");
  if (argument.size) checker.fail(key + ".size", quoted + " is a structure: its size follows from its layout");
  for (std::size_t i = 0; i < argument.fields.size(); ++i) {
    const StructField& field = argument.fields[i];
    const std::string at = join_index(key + ".layout", i);
    if (field.components == 3) {
      checker.fail(at + ".type",
                   "a vector of three has 16 bytes in OpenCL and 12 in CUDA; write three members, or one of "
                   "four");
    }
    checker.check_names(field.value, at + ".value", "value of " + quoted, {std::string(repeat_variable)});
  }
  try {
    const StructLayout layout = layout_of(argument.fields);
    constexpr std::int64_t most = 128;
    if (layout.size > most) {
      checker.fail(key + ".layout", quoted + " has " + std::to_string(layout.size) + " bytes, and at most " +
                                        std::to_string(most) + " are passed by value; give it as a buffer");
    }
  } catch (const Error& error) {
    if (error.position() && !error.position()->key.empty()) throw;
    checker.fail(key + ".layout", error.message());
  }
}

void check_image(const Checker& checker, const Argument& argument, const std::string& key) {
  const std::string quoted = "argument '" + argument.name + "'";
  if (argument.access == Access::constant || argument.access == Access::scalar || argument.access == Access::local) {
    checker.fail(key + ".access", quoted +
                                      " is an image, which has access = \"in\", \"out\", \"inout\" or \"scratch\"; "
                                      "found access = \"" +
                                      std::string(to_string(argument.access)) + "\"");
  }
  const ImageFormat format = argument.image_format();
  const auto& known = image_formats();
  if (std::find(known.begin(), known.end(), format) == known.end() || !argument.type_parameter.empty()) {
    checker.fail(key + ".image.format", quoted + " is an image of a format that does not exist (" + to_string(format) +
                                            "); it is one of " + describe(known) + ", the same in every configuration");
  }
  if (argument.value || !argument.fields.empty()) {
    checker.fail(key + ".image", quoted + " is an image, which has neither value nor layout");
  }
  if (!argument.size) {
    checker.fail(key + ".image", quoted +
                                     " is an image without a number of pixels: its size is "
                                     "image_pixels(width, height)");
  }
  checker.check_names(argument.image->width, key + ".image.width", "width of " + quoted);
  checker.check_names(argument.image->height, key + ".image.height", "height of " + quoted);
  check_fill(checker, argument, key + ".init");
  check_fill_expressions(checker, argument, key + ".init");
}

void check_sampler(const Checker& checker, const Argument& argument, const std::string& key) {
  const std::string quoted = "argument '" + argument.name + "'";
  if (argument.access != Access::scalar || argument.image || argument.value || argument.size ||
      !argument.fields.empty()) {
    checker.fail(key + ".sampler", quoted +
                                       " is a sampler, which is passed by value and has neither size, value, layout "
                                       "nor image");
  }
  const ImageAddressing addressing = argument.sampler->addressing;
  const bool repeats = addressing == ImageAddressing::repeat || addressing == ImageAddressing::mirrored_repeat;
  if (repeats && !argument.sampler->normalized) {
    checker.fail(key + ".sampler.addressing",
                 quoted + " has addressing \"" + std::string(to_string(addressing)) +
                     "\", which OpenCL defines for normalized coordinates only; give normalized = true and let the "
                     "kernel divide its coordinates by width and height, or take clamp_to_edge");
  }
}

void check_argument_kind(const Checker& checker, const Argument& argument, const std::string& key) {
  const std::string quoted = "argument '" + argument.name + "'";
  if (argument.sampler) return check_sampler(checker, argument, key);
  if (argument.image) return check_image(checker, argument, key);
  if (!argument.fields.empty()) return check_structure(checker, argument, key);
  if (argument.access == Access::local) {
    const std::string size_key = key.ends_with(".local") ? key : key + ".size";
    if (!argument.size) {
      checker.fail(size_key, quoted +
                                 " is local memory and needs its number of elements; write for example: size = "
                                 "\"block_x\"");
    }
    if (argument.value) checker.fail(key + ".value", quoted + " is local memory, which has no value");
    checker.check_names(*argument.size, size_key, "size of " + quoted, {std::string(repeat_variable)});
    return;
  }
  if (argument.access == Access::scalar) {
    if (!argument.value) {
      checker.fail(key + ".value", quoted + " is a scalar and needs a value; write for example: value = \"width\"");
    }
    if (argument.size) {
      checker.fail(key + ".size", quoted + " is a scalar, passed by value; it has no size");
    }
    checker.check_names(*argument.value, key + ".value", "value of " + quoted, {std::string(repeat_variable)});
    return;
  }
  if (!argument.size) {
    checker.fail(key + ".size", quoted +
                                    " is a buffer and needs its number of elements; write for example: "
                                    "size = \"width * height\" (or access = \"scalar\" with a value)");
  }
  if (argument.value) {
    checker.fail(key + ".value", quoted +
                                     " is a buffer; 'value' belongs to access = \"scalar\", buffers have "
                                     "'init'");
  }
  checker.check_names(*argument.size, key + ".size", "size of " + quoted);
  check_fill(checker, argument, key + ".init");
  check_fill_expressions(checker, argument, key + ".init");
}

// All element types of an argument are floats, or all are integers: results of one are compared with those of another.
void check_type_parameter(const Checker& checker, const Argument& argument, const std::string& key) {
  if (argument.type_parameter.empty()) return;
  const std::string quoted = "argument '" + argument.name + "'";
  const auto& parameters = checker.problem.parameters;
  const auto found = std::find_if(parameters.begin(), parameters.end(), [&](const Parameter& parameter) {
    return parameter.name == argument.type_parameter;
  });
  if (found == parameters.end()) {
    checker.fail(key + ".type",
                 "the type of " + quoted + " is that of '" + argument.type_parameter + "', which is no parameter");
  }
  for (const Value& value : found->values) {
    const auto* text = std::get_if<std::string>(&value);
    const auto type = text == nullptr ? std::nullopt : parse_data_type(*text);
    if (!type) {
      checker.fail(key + ".type", "the type of " + quoted + " is that of the parameter '" + found->name +
                                      "', whose value " + to_literal(value) + " is no element type");
    }
    if (is_floating(*type) == is_floating(argument.type)) continue;
    checker.fail(key + ".type", "the parameter '" + found->name + "' has floating types and integers, and " + quoted +
                                    " may have the one or the other");
  }
}

void check_arguments(const Checker& checker) {
  const Problem& problem = checker.problem;
  std::set<std::string> seen;
  for (std::size_t i = 0; i < problem.arguments.size(); ++i) {
    const Argument& argument = problem.arguments[i];
    const std::string key = join_index("argument", i);
    // Not a name of the expression language, so a word of it such as 'in' is fine.
    if (!is_identifier(argument.name)) {
      checker.fail(key + ".name", "'" + excerpt(argument.name, 40) +
                                      "' cannot be the name of an argument: use letters, digits and '_', not starting "
                                      "with a digit");
    }
    if (!seen.insert(argument.name).second) {
      checker.fail(key + ".name", "the argument '" + argument.name + "' is declared twice; remove or rename one");
    }
    if (std::find(checker.names.begin(), checker.names.end(), argument.name) != checker.names.end()) {
      const bool dimension = problem.dimensions.find(argument.name) != nullptr;
      checker.fail(key + ".name", "'" + argument.name + "' is both an argument and a " +
                                      (dimension ? "problem dimension" : "parameter") + "; rename one of them");
    }
    const std::string quoted = "argument '" + argument.name + "'";
    const auto& components = {1, 2, 3, 4, 8, 16};
    if (std::find(components.begin(), components.end(), argument.components) == components.end()) {
      checker.fail(key + ".type", quoted + " has " + std::to_string(argument.components) +
                                      " components; vector types have 2, 3, 4, 8 or 16");
    }
    check_argument_kind(checker, argument, argument_key(argument, i));
    check_type_parameter(checker, argument, argument_key(argument, i));
    if (!argument.symbol.empty() && argument.access != Access::constant) {
      checker.fail(key + ".symbol", quoted +
                                        " has a symbol, which only access = \"constant\" may have; found access = \"" +
                                        std::string(to_string(argument.access)) + "\"");
    }
  }
}

// ---- launches -------------------------------------------------------------------------------------------------------

void check_launch_args(const Checker& checker, const Launch& launch, const std::string& key) {
  const Problem& problem = checker.problem;
  for (std::size_t j = 0; j < launch.args.size(); ++j) {
    const std::string& name = launch.args[j];
    const std::string item = join_index(key + ".args", j);
    if (problem.find_argument(name)) continue;
    if (const Value* value = problem.dimensions.find(name)) {
      if (const auto* integer = std::get_if<std::int64_t>(value)) {
        if (*integer > std::numeric_limits<std::int32_t>::max() ||
            *integer < std::numeric_limits<std::int32_t>::min()) {
          checker.fail(item, "the dimension '" + name + "' is passed as int32 and " + std::to_string(*integer) +
                                 " does not fit; declare an [[argument]] with access = \"scalar\", type = \"int64\" "
                                 "and value = \"" +
                                 name + "\" and pass that");
        }
      } else if (!std::holds_alternative<double>(*value)) {
        checker.fail(
            item, "the dimension '" + name + "' is " + to_literal(*value) + "; only numbers can be passed to a kernel");
      }
      continue;
    }
    const bool parameter = std::any_of(problem.parameters.begin(), problem.parameters.end(),
                                       [&](const Parameter& candidate) { return candidate.name == name; });
    if (parameter) {
      checker.fail(item, "'" + name +
                             "' is a tunable parameter, which reaches the kernel as a definition; to pass its "
                             "value too, declare an [[argument]] with access = \"scalar\" and value = \"" +
                             name + "\"");
    }
    std::vector<std::string> known = argument_names(problem);
    for (const auto& [dimension, value] : problem.dimensions) known.push_back(dimension);
    checker.fail(item, "'" + excerpt(name, 40) + "' is neither an argument nor a problem dimension" +
                           suggestion(name, known, "arguments and dimensions"));
  }
}

void check_swap(const Checker& checker, const Launch& launch, const std::string& key) {
  if (launch.swap.empty()) return;
  const std::string path = key + ".swap";
  if (launch.swap.size() != 2 || launch.swap[0] == launch.swap[1]) {
    checker.fail(path, "expected two different buffers such as [\"in\", \"out\"], found " +
                           std::to_string(launch.swap.size()) + (launch.swap.size() == 1 ? " name" : " names") +
                           (launch.swap.size() == 2 ? " that are the same" : ""));
  }
  for (std::size_t j = 0; j < 2; ++j) {
    const std::string item = join_index(path, j);
    const Argument* argument = checker.problem.find_argument(launch.swap[j]);
    if (!argument) {
      checker.fail(item, "'" + excerpt(launch.swap[j], 40) + "' is not an argument" +
                             suggestion(launch.swap[j], argument_names(checker.problem), "arguments"));
    }
    if (!is_buffer(*argument) || argument->access == Access::constant) {
      checker.fail(item, "'" + argument->name + "' has access = \"" + std::string(to_string(argument->access)) +
                             "\"; only buffers with access in, out, inout or scratch can be swapped");
    }
    if (std::find(launch.args.begin(), launch.args.end(), argument->name) == launch.args.end()) {
      checker.fail(item, "'" + argument->name +
                             "' is not passed to this launch, so swapping it has no effect; add it "
                             "to args");
    }
  }
  const Argument& first = *checker.problem.find_argument(launch.swap[0]);
  const Argument& second = *checker.problem.find_argument(launch.swap[1]);
  if (first.type != second.type || first.type_parameter != second.type_parameter ||
      first.components != second.components || first.image.has_value() != second.image.has_value() ||
      (first.image && (first.image->normalized != second.image->normalized ||
                       first.image->width.text() != second.image->width.text())) ||
      (first.size && second.size && first.size->text() != second.size->text())) {
    checker.fail(path, "'" + first.name + "' and '" + second.name +
                           "' are swapped, so both need the same type and the same size expression" +
                           (first.image || second.image ? ", and of images the same format and width" : ""));
  }
}

void check_geometry(const Checker& checker, const std::vector<Expression>& entries, const std::string& key,
                    const std::string& part, const std::string& of, bool required,
                    const std::vector<std::string>& extra) {
  if (entries.size() > 3 || (required && entries.empty())) {
    checker.fail(key, part + of + " needs 1 to 3 entries (x, y, z), such as [\"block_x\", \"block_y\"], found " +
                          std::to_string(entries.size()));
  }
  for (std::size_t j = 0; j < entries.size(); ++j) {
    checker.check_names(entries[j], join_index(key, j), join_index(part, j) + of, extra);
  }
}

void check_launch(const Checker& checker, const Launch& launch, const std::string& key) {
  if (launch.entry.empty()) {
    checker.fail(key + ".entry",
                 "a launch needs the name of a kernel function; write for example: entry = \"stencil\"");
  }
  const std::string of = " of launch '" + launch.entry + "'";
  std::vector<std::string> counted;
  if (launch.repeat) counted.emplace_back(repeat_variable);
  check_geometry(checker, launch.block, key + ".block", "block", of, true, counted);
  check_geometry(checker, launch.grid, key + ".grid", "grid", of, true, counted);
  check_geometry(checker, launch.cluster, key + ".cluster", "cluster", of, false, counted);
  if (launch.shared) checker.check_names(*launch.shared, key + ".shared", "shared memory" + of, counted);
  if (launch.when) checker.check_names(*launch.when, key + ".when", "when" + of);
  if (launch.repeat) checker.check_names(*launch.repeat, key + ".repeat", "repeat" + of);
  check_launch_args(checker, launch, key);
  check_swap(checker, launch, key);
}

// ---- outputs and reference ------------------------------------------------------------------------------------------

void check_outputs(const Checker& checker) {
  const Problem& problem = checker.problem;
  std::set<std::string> seen;
  for (std::size_t i = 0; i < problem.outputs.size(); ++i) {
    const Output& output = problem.outputs[i];
    const std::string key = join_index("output", i);
    const Argument* argument = problem.find_argument(output.argument);
    if (!argument) {
      checker.fail(key + ".argument", "'" + excerpt(output.argument, 40) + "' is not an argument" +
                                          suggestion(output.argument, argument_names(problem), "arguments"));
    }
    if (!is_written(*argument)) {
      checker.fail(key + ".argument",
                   "the argument '" + argument->name + "' has access = \"" + std::string(to_string(argument->access)) +
                       "\"; an output is a buffer that the kernel writes: access = \"out\" or \"inout\"");
    }
    if (!seen.insert(output.argument).second) {
      checker.fail(key + ".argument", "the output '" + output.argument + "' is declared twice; remove one");
    }
    for (const auto& [part, name] : {std::pair(&output.first, "first"), std::pair(&output.count, "count")}) {
      if (!*part) continue;
      const std::string path = key + "." + name;
      checker.check_names(**part, path, std::string(name) + " of output '" + output.argument + "'");
      if (output.by_sum && part == &output.count) continue;
      if (const std::string* parameter = named_parameter(problem, **part)) {
        checker.fail(path, std::string(name) + " of output '" + output.argument + "' depends on the parameter '" +
                               *parameter +
                               "'; every configuration is compared with the same elements of the reference, so it may "
                               "name problem dimensions only" +
                               (part == &output.count ? " (or give judge = \"sum\")" : ""));
      }
    }
    if (argument->size && !output.count && !output.by_sum && depends_on_tuning(*argument->size, problem)) {
      checker.fail(key + ".argument", outputs_of_tunable_size(problem));
    }
    const auto check_tolerance = [&](double tolerance, const char* name) {
      if (!(tolerance >= 0) || !std::isfinite(tolerance)) {
        checker.fail(key + "." + name, std::string(name) + " of output '" + output.argument +
                                           "' must be a finite number that is not negative, found " +
                                           plain_number(tolerance));
      }
    };
    check_tolerance(output.rtol, "rtol");
    check_tolerance(output.atol, "atol");
    check_tolerance(output.normwise, "normwise");
  }
}

void check_reference(const Checker& checker) {
  const Problem& problem = checker.problem;
  if (std::holds_alternative<std::monostate>(problem.reference)) return;
  if (problem.outputs.empty()) {
    const std::string why = "there is a reference but no output to compare with it; ";
    if (const auto sized = outputs_of_tunable_size(problem); !sized.empty()) {
      checker.fail("reference", why + sized);
    }
    checker.fail("reference", why + "declare the kernel's results with [[output]], or give them access = \"out\"");
  }
  if (const auto* kernel = std::get_if<ReferenceKernel>(&problem.reference)) {
    if (kernel->launches.empty()) checker.fail("reference", "the reference kernel has no launch; give its entry");
    const auto none = [](const KernelSource& source) { return !source.dialect && source.by_backend.empty(); };
    if (!problem.stages.empty() && none(kernel->source) && none(problem.source)) {
      checker.fail("reference.kernel",
                   "the reference has no source: [kernel] has none, and those of the stages are not shared; write for "
                   "example: kernel = \"naive.kernel\"");
    }
    for (std::size_t i = 0; i < kernel->launches.size(); ++i) {
      check_launch(checker, kernel->launches[i],
                   kernel->launches[i].position.key.empty() ? "reference" : kernel->launches[i].position.key);
    }
  } else if (const auto* npy = std::get_if<ReferenceNpy>(&problem.reference)) {
    std::vector<std::string> outputs;
    for (const auto& output : problem.outputs) outputs.push_back(output.argument);
    for (const auto& [name, file] : npy->files) {
      if (std::find(outputs.begin(), outputs.end(), name) == outputs.end()) {
        checker.fail(join_key("reference.npy", name),
                     "'" + name + "' is not an output" + suggestion(name, outputs, "outputs"));
      }
    }
    for (const auto& name : outputs) {
      if (npy->files.count(name) == 0) {
        checker.fail("reference.npy",
                     "there is no file for the output '" + name + "'; add " + name + " = \"" + name + ".npy\"");
      }
    }
  } else if (const auto* configuration = std::get_if<ReferenceConfiguration>(&problem.reference)) {
    checker.check_configuration(configuration->configuration, "reference.configuration", "the reference");
  } else if (const auto* command = std::get_if<ReferenceCommand>(&problem.reference)) {
    if (command->command.empty() || command->command.front().empty()) {
      checker.fail("reference.command",
                   "expected a program and its arguments, such as [\"python3\", \"reference.py\"]");
    }
  } else if (const auto* callback = std::get_if<ReferenceCallback>(&problem.reference)) {
    if (!callback->compute) checker.fail("reference", "the reference callback is empty");
  }
}

// ---- objective, metrics, other sizes --------------------------------------------------------------------------------

void check_metrics(const Checker& checker) {
  const Problem& problem = checker.problem;
  std::vector<std::string> names = {"time"};
  for (const auto& metric : problem.metrics) {
    const std::string key = join_key("metrics", metric.name);
    if (metric.name.empty()) checker.fail(key, "a metric needs a name, such as \"GFLOP/s\"");
    if (std::find(names.begin(), names.end(), metric.name) != names.end()) {
      checker.fail(key, metric.name == "time" ? "'time' is what is measured; give the metric another name"
                                              : "the metric '" + metric.name + "' is declared twice; remove one");
    }
    checker.check_names(metric.expression, key, "metric '" + metric.name + "'", {"time_ns"});
    names.push_back(metric.name);
  }
  const std::string key = problem.objective.minimise ? "objective.minimise" : "objective.maximise";
  if (std::find(names.begin(), names.end(), problem.objective.metric) == names.end()) {
    checker.fail(key, "'" + excerpt(problem.objective.metric, 40) + "' is neither time nor a metric" +
                          suggestion(problem.objective.metric, names, "time and metrics"));
  }
  if (problem.objective.metric == "time" && !problem.objective.minimise) {
    checker.fail(key,
                 "maximising time looks for the slowest configuration; write minimise = \"time\", or maximise a "
                 "metric");
  }
}

void check_verify_sizes(const Checker& checker) {
  const Problem& problem = checker.problem;
  std::vector<std::string> dimensions;
  for (const auto& [name, value] : problem.dimensions) dimensions.push_back(name);
  for (std::size_t i = 0; i < problem.verify_sizes.size(); ++i) {
    const std::string key = join_index("verify.sizes", i);
    if (problem.verify_sizes[i].empty()) {
      checker.fail(key, "names no dimension; write for example: { width = 1000 }");
    }
    for (const auto& [name, value] : problem.verify_sizes[i]) {
      const Value* base = problem.dimensions.find(name);
      if (!base) {
        checker.fail(join_key(key, name), "'" + name + "' is not declared in [problem]" +
                                              suggestion(name, dimensions, "dimensions declared there"));
      }
      if (std::holds_alternative<std::string>(*base) != std::holds_alternative<std::string>(value)) {
        checker.fail(join_key(key, name), "'" + name + "' is " + to_literal(*base) + " in [problem] and " +
                                              to_literal(value) + " here; give both the same kind");
      }
      checker.check_dimension(join_key(key, name), name, value);
    }
  }
}

}  // namespace

bool is_buffer(const Argument& argument) { return argument.is_buffer(); }

bool is_written(const Argument& argument) { return argument.access == Access::out || argument.access == Access::inout; }

bool depends_on_tuning(const Expression& expression, const Problem& problem) {
  return std::any_of(expression.names().begin(), expression.names().end(), [&](const std::string& name) {
    return std::any_of(problem.parameters.begin(), problem.parameters.end(), [&](const Parameter& parameter) {
      return parameter.name == name && parameter.values.size() > 1;
    });
  });
}

std::string outputs_of_tunable_size(const Problem& problem) {
  std::string text;
  for (const auto& argument : problem.arguments) {
    if (!is_written(argument) || !argument.size || !depends_on_tuning(*argument.size, problem)) continue;
    std::vector<std::string> names;
    for (const auto& name : argument.size->names()) {
      const auto tuned = [&](const Parameter& parameter) {
        return parameter.name == name && parameter.values.size() > 1;
      };
      if (std::any_of(problem.parameters.begin(), problem.parameters.end(), tuned)) names.push_back("'" + name + "'");
    }
    text += (text.empty() ? "" : ", ") + ("the size of '" + argument.name + "', \"" + excerpt(argument.size->text())) +
            "\", depends on the tunable " + join(names, " and ");
  }
  if (text.empty()) return text;
  return text +
         ", so it is another buffer in every configuration and cannot be compared; give it the size that the "
         "largest configuration needs, and let the kernel write the same elements in all, or give the output the "
         "`count` of elements that every configuration writes, or judge = \"sum\"";
}

Tolerance default_tolerance(DataType type) {
  switch (type) {
    case DataType::float64:
      return {1e-10, 1e-12};
    case DataType::float32:
      return {1e-4, 1e-5};
    case DataType::float16:
      return {1e-2, 1e-3};
    case DataType::bfloat16:
      return {5e-2, 1e-2};
    default:
      return {0, 0};
  }
}

Tolerance default_tolerance(const Problem& problem, const Argument& argument) {
  Tolerance tolerance = default_tolerance(argument.type);
  for (const Parameter& parameter : problem.parameters) {
    if (argument.type_parameter.empty() || parameter.name != argument.type_parameter) continue;
    for (const Value& value : parameter.values) {
      const auto* text = std::get_if<std::string>(&value);
      const auto type = text == nullptr ? std::nullopt : parse_data_type(*text);
      if (!type) continue;
      tolerance.rtol = std::max(tolerance.rtol, default_tolerance(*type).rtol);
      tolerance.atol = std::max(tolerance.atol, default_tolerance(*type).atol);
    }
  }
  return tolerance;
}

std::vector<Output> default_outputs(const Problem& problem) {
  std::vector<Output> outputs;
  for (const auto& argument : problem.arguments) {
    if (!is_written(argument) || (argument.size && depends_on_tuning(*argument.size, problem))) continue;
    const Tolerance tolerance = default_tolerance(problem, argument);
    outputs.push_back({argument.name, tolerance.rtol, tolerance.atol, argument.position});
  }
  return outputs;
}

std::vector<std::string> default_args(const Problem& problem) {
  std::vector<std::string> args;
  for (const auto& argument : problem.arguments) {
    if (argument.symbol.empty()) args.push_back(argument.name);
  }
  return args;
}

void complete_reference_launches(std::vector<Launch>& launches, const std::vector<Launch>& of_problem) {
  for (std::size_t i = 0; i < launches.size() && i < of_problem.size(); ++i) {
    Launch& launch = launches[i];
    const Launch& other = of_problem[i];
    if (launch.entry.empty()) launch.entry = other.entry;
    // Shared memory goes with the geometry it was computed for; on OpenCL it is even one more parameter of the kernel.
    if (!launch.shared && launch.block.empty() && launch.grid.empty()) launch.shared = other.shared;
    if (launch.block.empty()) launch.block = other.block;
    if (launch.grid.empty()) launch.grid = other.grid;
    if (launch.args.empty()) {
      launch.args = other.args;
      launch.args_position = other.args_position;
    }
    if (!launch.repeat) launch.repeat = other.repeat;
    if (launch.swap.empty()) launch.swap = other.swap;
  }
}

void check_execution(const Problem& problem, const Locations& locations) {
  const Checker checker(problem, locations);
  check_kernel(checker);
  check_stages(checker);
  check_arguments(checker);
  if (problem.launches.empty()) {
    checker.fail("launch", "there is no launch, so nothing would run; add [[launch]] with entry, block, grid and args");
  }
  for (std::size_t i = 0; i < problem.launches.size(); ++i) {
    check_launch(checker, problem.launches[i], launch_key(problem, i));
  }
  check_outputs(checker);
  if (problem.baseline) {
    checker.check_configuration(*problem.baseline, "baseline.configuration", "the baseline");
  }
  check_reference(checker);
  check_metrics(checker);
  check_verify_sizes(checker);
  const Configuration baseline = completed(problem, problem.baseline.value_or(Configuration{}));
  if (!checker.violated(baseline)) evaluate_all(checker, baseline);
}

}  // namespace warpwright::spec::detail
