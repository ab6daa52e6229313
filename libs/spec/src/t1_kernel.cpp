#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <set>
#include <system_error>
#include <utility>

#include <warpwright/spec/source.hpp>

#include "check.hpp"
#include "t1_reader.hpp"
#include "words.hpp"

namespace warpwright::spec::detail {
namespace {

constexpr std::array<const char*, 3> axis_names = {"X", "Y", "Z"};
constexpr std::array<const char*, 3> suffixes = {"x", "y", "z"};

bool starts_name(char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0 || c == '_'; }
bool in_name(char c) { return starts_name(c) || (c >= '0' && c <= '9'); }

// As the expression language reads it back: True, not true.
std::string expression_literal(const Value& value) {
  if (const bool* truth = std::get_if<bool>(&value)) return *truth ? "True" : "False";
  return to_literal(value);
}

std::string json_excerpt(const T1Json& json) {
  if (json.is_string()) return "'" + excerpt(json.get<std::string>(), 60) + "'";
  return excerpt(json.dump(-1, ' ', false, T1Json::error_handler_t::replace), 60);
}

}  // namespace

// ---- expressions ----------------------------------------------------------------------------------------------------

std::string T1Reader::rewritten(const std::string& text, ParameterNames meaning) const {
  std::string out;
  std::size_t at = 0;
  while (at < text.size()) {
    const char c = text[at];
    if (c == '"' || c == '\'') {
      std::size_t end = at + 1;
      while (end < text.size() && text[end] != c) end += text[end] == '\\' ? 2 : 1;
      end = std::min(end + 1, text.size());
      out.append(text, at, end - at);
      at = end;
      continue;
    }
    if (!starts_name(c)) {
      out += c;
      ++at;
      while (in_name(c) && at < text.size() && in_name(text[at])) out += text[at++];  // 1e5 holds no name
      continue;
    }
    const std::size_t start = at;
    while (at < text.size() && in_name(text[at])) ++at;
    const std::string name = text.substr(start, at - start);
    const bool attribute = !out.empty() && out.back() == '.';
    if (name == "ProblemSize" && !attribute) {
      std::size_t open = at;
      while (open < text.size() && text[open] == ' ') ++open;
      std::size_t digits = open + 1, end = open + 1;
      while (digits < text.size() && text[digits] == ' ') ++digits;
      end = digits;
      while (end < text.size() && text[end] >= '0' && text[end] <= '9') ++end;
      std::size_t close = end;
      while (close < text.size() && text[close] == ' ') ++close;
      if (open < text.size() && text[open] == '[' && end > digits && end - digits < 4 && close < text.size() &&
          text[close] == ']') {
        const auto index = static_cast<std::size_t>(std::stoul(text.substr(digits, end - digits)));
        if (index >= sizes_.size()) {
          throw Error(ErrorCode::bad_input, "ProblemSize[" + std::to_string(index) +
                                                "] does not exist: ProblemSize has " + std::to_string(sizes_.size()) +
                                                " entries");
        }
        out += sizes_[index];
        at = close + 1;
      } else {
        out += "[" + join(sizes_) + "]";
      }
      continue;
    }
    if (meaning == ParameterNames::lists && !attribute) {
      const auto parameter = std::find_if(problem_.parameters.begin(), problem_.parameters.end(),
                                          [&](const Parameter& candidate) { return candidate.name == name; });
      if (parameter != problem_.parameters.end()) {
        std::vector<std::string> values;
        for (const auto& value : parameter->values) values.push_back(expression_literal(value));
        out += "[" + join(values) + "]";
        continue;
      }
    }
    out += name;
  }
  return out;
}

std::optional<Expression> T1Reader::usable(const T1Json& json, const std::string& pointer, const std::string& what,
                                           ParameterNames meaning) {
  std::string reason;
  try {
    if (json.is_number_float()) return Expression::constant(Value(json.get<double>()));
    if (json.is_number_unsigned() && json.get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX)) {
      throw Error(ErrorCode::bad_input, "the number does not fit in 64 bits");
    }
    if (json.is_number_integer()) return Expression::constant(Value(json.get<std::int64_t>()));
    if (json.is_boolean()) return Expression::constant(Value(json.get<bool>()));
    if (!json.is_string()) throw Error(ErrorCode::bad_input, "expected a number or an expression");
    const std::string text = json.get<std::string>();
    const auto known = [&](const Expression& expression) {
      for (const auto& name : expression.names()) {
        std::vector<std::string> names;
        for (const auto& [dimension, value] : problem_.dimensions) names.push_back(dimension);
        for (const auto& parameter : problem_.parameters) names.push_back(parameter.name);
        if (std::find(names.begin(), names.end(), name) == names.end()) {
          throw Error(ErrorCode::bad_input,
                      "unknown name '" + name + "'" + suggestion(name, names, "known sizes and parameters"));
        }
      }
      return expression;
    };
    if (meaning == ParameterNames::values) return known(Expression::parse(rewritten(text, meaning)));
    // The documented meaning first; where it gives no number, the value of the configuration is what was meant.
    const Expression lists = known(Expression::parse(rewritten(text, ParameterNames::lists)));
    try {
      problem_.scope({}).integer(lists, what);
      return lists;
    } catch (const Error& error) {
      reason = error.message();
    }
    const Expression values = known(Expression::parse(rewritten(text, ParameterNames::values)));
    if (values.names().size() > lists.names().size()) return values;
  } catch (const Error& error) {
    reason = error.message();
  }
  warn(pointer, what + " cannot be used: " + json_excerpt(json) + ": " + reason);
  runnable_ = false;
  return std::nullopt;
}

// ---- sizes, source, options -----------------------------------------------------------------------------------------

void T1Reader::read_sizes(const T1Json& kernel, const std::string& pointer) {
  const T1Json* sizes = member(kernel, "ProblemSize");
  if (!sizes) return;
  std::set<std::string> taken;
  if (const T1Json* space = member(root_, "ConfigurationSpace")) {
    if (const T1Json* parameters = member(*space, "TuningParameters"); parameters && parameters->is_array()) {
      for (const auto& parameter : *parameters) taken.insert(text_of(parameter, "Name"));
    }
  }
  const T1Json list = sizes->is_array() ? *sizes : T1Json::array({*sizes});
  for (std::size_t i = 0; i < list.size(); ++i) {
    const std::string at = pointer + "/ProblemSize" + (sizes->is_array() ? "/" + std::to_string(i) : std::string());
    std::string name =
        i < suffixes.size() ? std::string("problem_size_") + suffixes[i] : "problem_size_" + std::to_string(i);
    while (taken.count(name) != 0) name += '_';
    std::optional<Value> value;
    if (list[i].is_number_integer() &&
        !(list[i].is_number_unsigned() && list[i].get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX))) {
      value = list[i].get<std::int64_t>();
    } else if (list[i].is_number_float()) {
      if (const auto integer = as_integer(Value(list[i].get<double>()))) value = *integer;
    } else if (list[i].is_string()) {
      if (const auto integer = as_integer(parse_value(list[i].get<std::string>()))) value = *integer;
    }
    if (!value) {
      warn(at, "a problem size must be an integer, found " + json_excerpt(list[i]) + "; 1 is used");
      runnable_ = false;
      value = std::int64_t{1};
    }
    problem_.dimensions.set(name, *value);
    sizes_.push_back(name);
  }
}

void T1Reader::read_source(const T1Json& kernel, const std::string& pointer) {
  const std::string language = text_of(kernel, "Language");
  const std::string name = text_of(kernel, "KernelFile");
  std::string backend;
  if (language == "CUDA") backend = "cuda";
  if (language == "OpenCL") backend = "opencl";
  if (backend.empty()) {
    warn(pointer + "/Language", (language.empty() ? std::string("is missing") : "'" + excerpt(language, 40) + "'") +
                                    ": only CUDA and OpenCL kernels can be run");
    return;
  }
  read_options(kernel, pointer, backend);
  if (name.empty()) {
    warn(pointer + "/KernelFile", "is missing: there is no kernel source");
    return;
  }
  const std::filesystem::path file = (file_.parent_path() / name).lexically_normal();
  try {
    std::error_code ignored;
    if (!std::filesystem::is_regular_file(file, ignored)) {
      throw Error(ErrorCode::not_found, "there is no file '" + excerpt(file.string(), 200) + "'");
    }
    problem_.source.by_backend[backend] = load_source(file);
    has_source_ = true;
  } catch (const Error& error) {
    warn(pointer + "/KernelFile", std::string("the kernel source cannot be used: ") + error.what());
  }
}

void T1Reader::read_options(const T1Json& kernel, const std::string& pointer, const std::string& backend) {
  const T1Json* options = member(kernel, "CompilerOptions");
  if (!options) return;
  if (!options->is_array()) {
    warn(pointer + "/CompilerOptions", "expected an array of strings; no option is used");
    return;
  }
  for (std::size_t i = 0; i < options->size(); ++i) {
    const std::string at = pointer + "/CompilerOptions/" + std::to_string(i);
    if (!(*options)[i].is_string()) {
      warn(at, "expected a string, found " + json_excerpt((*options)[i]));
      continue;
    }
    const std::string option = (*options)[i].get<std::string>();
    if (backend == "opencl" && option.rfind("-std=", 0) == 0) {
      warn(at, "'" + excerpt(option, 40) + "' is no option of OpenCL compilers (-cl-std= is); it is left out");
      continue;
    }
    problem_.options[backend].push_back(option);
  }
}

// ---- launch ---------------------------------------------------------------------------------------------------------

std::optional<Expression> T1Reader::grid_axis(const T1Json& kernel, const std::string& pointer, std::size_t axis,
                                              const std::optional<Expression>& block) {
  const std::string divisor_key = std::string("GridDiv") + axis_names[axis];
  const std::string what = std::string("grid ") + suffixes[axis];
  const T1Json* divisors = member(kernel, divisor_key.c_str());
  const T1Json* global = member(kernel, "GlobalSize");
  const T1Json* global_axis = global ? member(*global, axis_names[axis]) : nullptr;
  if (divisors && axis < sizes_.size()) {
    // Kernel Tuner's rule: the problem size over the product of the divisors, rounded up; GlobalSize does not count.
    const T1Json list = divisors->is_array() ? *divisors : T1Json::array({*divisors});
    std::vector<std::string> factors;
    for (std::size_t i = 0; i < list.size(); ++i) {
      const auto factor =
          usable(list[i], pointer + "/" + divisor_key + "/" + std::to_string(i), what, ParameterNames::values);
      if (!factor) return std::nullopt;
      factors.push_back(is_identifier(factor->text()) ? factor->text() : "(" + factor->text() + ")");
    }
    if (factors.empty()) return Expression::parse(sizes_[axis]);
    return Expression::parse("ceil_div(" + sizes_[axis] + ", " + join(factors, " * ") + ")");
  }
  if (global_axis) {
    const auto size = usable(*global_axis, pointer + "/GlobalSize/" + axis_names[axis], what, ParameterNames::values);
    if (!size) return std::nullopt;
    // CUDA counts blocks, OpenCL and Vulkan count threads.
    const std::string type = text_of(kernel, "GlobalSizeType");
    const std::string counted = type.empty() ? text_of(kernel, "Language") : type;
    if (counted == "CUDA" || !block) return size;
    return Expression::parse("ceil_div(" + size->text() + ", " + block->text() + ")");
  }
  if (axis < sizes_.size()) {
    return Expression::parse(block ? "ceil_div(" + sizes_[axis] + ", " + block->text() + ")" : sizes_[axis]);
  }
  return Expression::constant(Value(std::int64_t{1}));
}

void T1Reader::read_launch(const T1Json& kernel, const std::string& pointer) {
  Launch launch;
  launch.entry = text_of(kernel, "KernelName");
  launch.position = locations_.at(pointer + "/KernelName");
  if (launch.entry.empty()) {
    warn(pointer + "/KernelName", "is missing: there is no kernel to launch");
    runnable_ = false;
    return;
  }
  const T1Json* local = member(kernel, "LocalSize");
  bool complete = true;
  for (std::size_t axis = 0; axis < axis_names.size(); ++axis) {
    const std::string name = std::string("block_size_") + suffixes[axis];
    const bool tuned = std::any_of(problem_.parameters.begin(), problem_.parameters.end(),
                                   [&](const Parameter& parameter) { return parameter.name == name; });
    const T1Json* size = local ? member(*local, axis_names[axis]) : nullptr;
    std::optional<Expression> block;
    if (size) {
      block = usable(*size, pointer + "/LocalSize/" + axis_names[axis], std::string("block ") + suffixes[axis],
                     ParameterNames::values);
      if (!block) complete = false;
    } else if (tuned) {
      block = Expression::parse(name);
    } else if (axis == 0) {
      warn(pointer + "/LocalSize/X", "is missing, and there is no parameter 'block_size_x'");
      runnable_ = complete = false;
    }
    if (!complete) continue;
    const auto grid = grid_axis(kernel, pointer, axis, block);
    if (!grid) {
      complete = false;
      continue;
    }
    launch.block.push_back(block.value_or(Expression::constant(Value(std::int64_t{1}))));
    launch.grid.push_back(*grid);
    // Kernel Tuner defines these for every kernel, and its kernels use them.
    problem_.defines.emplace_back(std::string("grid_size_") + suffixes[axis], *grid);
    if (!tuned) problem_.defines.emplace_back(name, launch.block.back());
  }
  if (const T1Json* shared = member(kernel, "SharedMemory")) {
    if (*shared != 0) {
      launch.shared = usable(*shared, pointer + "/SharedMemory", "shared memory", ParameterNames::values);
      complete = complete && launch.shared;
    }
  }
  if (!complete) {
    problem_.defines.clear();
    return;
  }
  problem_.defines.emplace_back("kernel_tuner", Expression::constant(Value(std::int64_t{1})));
  // A definition cannot also be a parameter.
  std::erase_if(problem_.defines, [&](const auto& define) {
    return std::any_of(problem_.parameters.begin(), problem_.parameters.end(),
                       [&](const Parameter& parameter) { return parameter.name == define.first; });
  });
  problem_.launches.push_back(std::move(launch));
}

// ---- arguments ------------------------------------------------------------------------------------------------------

bool T1Reader::read_type(const T1Json& json, const std::string& pointer, Argument& argument) {
  const std::string text = text_of(json, "Type");
  if (text == "custom") {
    const T1Json* size = member(json, "TypeSize");
    argument.type = DataType::uint8;
    const std::int64_t bytes = size && size->is_number_integer() ? size->get<std::int64_t>() : 0;
    for (const int components : {1, 2, 3, 4, 8, 16}) {
      if (bytes == components) argument.components = components;
    }
    if (bytes == argument.components) return true;
    warn(pointer + "/Type", "'custom' can be used with a TypeSize of 1, 2, 3, 4, 8 or 16 bytes, found " +
                                (size ? json_excerpt(*size) : std::string("none")));
    return false;
  }
  std::string base = text;
  while (!base.empty() && base.back() >= '0' && base.back() <= '9') base.pop_back();
  static const std::array<std::pair<const char*, DataType>, 3> vectors = {
      {{"half", DataType::float16}, {"float", DataType::float32}, {"double", DataType::float64}}};
  for (const auto& [name, type] : vectors) {
    if (base != name) continue;
    argument.type = type;
    const std::string count = text.substr(base.size());
    for (const int components : {2, 3, 4, 8, 16}) {
      if (count == std::to_string(components)) argument.components = components;
    }
    if (count.empty() || argument.components > 1) return true;
  }
  if (text == "bool") {
    argument.type = DataType::uint8;
    return true;
  }
  if (const auto type = parse_data_type(text); type && !is_floating(*type)) {
    argument.type = *type;
    return true;
  }
  warn(pointer + "/Type", "'" + excerpt(text, 40) +
                              "' is not a type of T1 (bool, int8 to uint64, half, float, double, "
                              "with 2, 4, 8 or 16 behind them for vectors)");
  return false;
}

std::optional<std::filesystem::path> T1Reader::numpy_file(const std::string& source, const std::string& pointer) {
  if (source.size() <= 4 || source.substr(source.size() - 4) != ".npy") return std::nullopt;
  const std::filesystem::path file = (file_.parent_path() / source).lexically_normal();
  std::error_code error;
  const std::filesystem::path absolute = std::filesystem::absolute(file, error);
  if (!error && std::filesystem::is_regular_file(absolute, error)) return absolute;
  warn(pointer, "there is no file '" + excerpt(file.string(), 200) + "'");
  return std::nullopt;
}

void T1Reader::read_fill(const T1Json& json, const std::string& pointer, std::uint64_t position, Argument& argument) {
  const std::string type = text_of(json, "FillType");
  const T1Json* value_json = member(json, "FillValue");
  const bool has_value = value_json && value_json->is_number();
  const double value = has_value ? value_json->get<double>() : 0;
  const T1Json* seed_json = member(json, "RandomSeed");
  const std::uint64_t seed = seed_json && seed_json->is_number_unsigned() ? seed_json->get<std::uint64_t>() : position;
  const std::string source = text_of(json, "DataSource");
  if (type == "Constant" || (type.empty() && has_value)) {
    argument.fill = FillConstant{value};
  } else if (type == "Random") {
    // FillValue is the upper bound, as Kernel Tuning Toolkit reads it.
    const double high = has_value && value != 0 ? value : 1;
    argument.fill = FillUniform{std::min(0.0, high), std::max(0.0, high), seed};
  } else if (const auto npy = numpy_file(source, pointer + "/DataSource"); npy && type == "BinaryRaw") {
    argument.fill = FillNpy{*npy};
  } else if (type.empty()) {
    argument.fill = argument.access == Access::in || argument.access == Access::constant
                        ? Fill(FillUniform{0, 1, position})
                        : Fill(FillConstant{0});
  } else {
    warn(pointer + "/FillType", "argument '" + argument.name + "' cannot be filled by '" + excerpt(type, 40) + "'" +
                                    (source.empty() ? std::string() : " from '" + excerpt(source, 80) + "'") +
                                    "; save the data as a NumPy file and use a TOML specification with init = "
                                    "{ npy = \"file.npy\" }");
    runnable_ = false;
  }
}

std::optional<Argument> T1Reader::read_argument(const T1Json& json, const std::string& pointer,
                                                std::uint64_t position) {
  if (!json.is_object()) {
    warn(pointer, "expected an object, found " + json_excerpt(json));
    return std::nullopt;
  }
  note_unused(json, pointer,
              {"Name", "Type", "MemoryType", "MemType", "AccessType", "Size", "TypeSize", "FillType", "FillValue",
               "DataSource", "RandomSeed", "Output"});
  Argument argument;
  argument.position = locations_.at(pointer);
  argument.name = text_of(json, "Name");
  if (argument.name.empty()) argument.name = "argument_" + std::to_string(position);
  if (!read_type(json, pointer, argument)) return std::nullopt;
  const std::string memory = text_of(json, "MemoryType");
  const std::string access = text_of(json, "AccessType");
  if (memory == "Scalar") {
    argument.access = Access::scalar;
    const T1Json* value = member(json, "FillValue");
    if (!value) {
      warn(pointer + "/FillValue", "is missing: the scalar '" + argument.name + "' has no value");
      return std::nullopt;
    }
    if (argument.components != 1) {
      warn(pointer + "/Type", "the scalar '" + argument.name + "' has a vector type, which cannot be passed by value");
      return std::nullopt;
    }
    argument.value =
        usable(*value, pointer + "/FillValue", "the value of '" + argument.name + "'", ParameterNames::lists);
    if (!argument.value) return std::nullopt;
    if (!is_floating(argument.type) && value->is_number_float()) {
      // 4.0 for an int32: the integer is meant.
      if (const auto integer = as_integer(Value(value->get<double>())))
        argument.value = Expression::constant(Value(*integer));
    }
    return argument;
  }
  if (memory == "Local") {
    warn(pointer + "/MemoryType", "argument '" + argument.name +
                                      "' is local memory, which is not passed as an argument "
                                      "here; declare it in the kernel, or use the launch's dynamic shared memory");
    return std::nullopt;
  }
  if (memory == "Symbol" || text_of(json, "MemType") == "Constant") {
    argument.access = Access::constant;
    argument.symbol = argument.name;
  } else if (access == "WriteOnly") {
    argument.access = Access::out;
  } else if (access == "ReadWrite") {
    argument.access = Access::inout;
  }
  const T1Json* size = member(json, "Size");
  if (!size) {
    warn(pointer + "/Size", "is missing: the buffer '" + argument.name + "' has no size");
    return std::nullopt;
  }
  argument.size = usable(*size, pointer + "/Size", "the size of '" + argument.name + "'", ParameterNames::lists);
  if (!argument.size) return std::nullopt;
  read_fill(json, pointer, position, argument);
  return argument;
}

void T1Reader::read_arguments(const T1Json& kernel, const std::string& pointer) {
  const T1Json* arguments = member(kernel, "Arguments");
  if (!arguments) return;
  if (!arguments->is_array()) {
    warn(pointer + "/Arguments", "expected an array of objects");
    runnable_ = false;
    return;
  }
  std::vector<std::string> marked;
  for (std::size_t i = 0; i < arguments->size(); ++i) {
    const T1Json& json = (*arguments)[i];
    auto argument = read_argument(json, pointer + "/Arguments/" + std::to_string(i), i + 1);
    if (!argument) {
      runnable_ = false;
      continue;
    }
    const T1Json* output = member(json, "Output");
    if (output && ((output->is_number() && *output != 0) || (output->is_boolean() && output->get<bool>()))) {
      marked.push_back(argument->name);
    }
    problem_.arguments.push_back(std::move(*argument));
  }
  for (auto& output : default_outputs(problem_)) {
    if (marked.empty() || std::find(marked.begin(), marked.end(), output.argument) != marked.end()) {
      problem_.outputs.push_back(std::move(output));
    }
  }
}

void T1Reader::read_references(const T1Json& kernel, const std::string& pointer) {
  const T1Json* references = member(kernel, "ReferenceArguments");
  if (!references || !references->is_array() || references->empty()) return;
  std::vector<Output> outputs;
  ReferenceNpy files;
  for (std::size_t i = 0; i < references->size(); ++i) {
    const T1Json& json = (*references)[i];
    const std::string at = pointer + "/ReferenceArguments/" + std::to_string(i);
    if (!json.is_object()) {
      warn(at, "expected an object, found " + json_excerpt(json));
      continue;
    }
    note_unused(json, at,
                {"Name", "TargetName", "FillType", "FillValue", "DataSource", "RandomSeed", "ValidationMethod",
                 "ValidationThreshold"});
    const std::string target = text_of(json, "TargetName");
    const Argument* argument = problem_.find_argument(target);
    if (!argument || !is_written(*argument)) {
      std::vector<std::string> names;
      for (const auto& candidate : problem_.arguments) {
        if (is_written(candidate)) names.push_back(candidate.name);
      }
      warn(at + "/TargetName", "'" + excerpt(target, 40) + "' is no argument that the kernel writes" +
                                   suggestion(target, names, "arguments written"));
      continue;
    }
    Output output;
    output.argument = target;
    output.position = locations_.at(at);
    const Tolerance tolerance = default_tolerance(argument->type);
    output.rtol = tolerance.rtol;
    output.atol = tolerance.atol;
    const std::string method = text_of(json, "ValidationMethod");
    const T1Json* threshold = member(json, "ValidationThreshold");
    if (threshold && threshold->is_number() && threshold->get<double>() >= 0) {
      const double bound = threshold->get<double>();
      output.rtol = method == "SideBySideRelativeComparison" ? bound : 0;
      output.atol = method == "SideBySideRelativeComparison" ? 0 : bound;
    }
    if (method == "AbsoluteDifference") {
      warn(at + "/ValidationMethod", "AbsoluteDifference bounds the sum of all differences; here each element of '" +
                                         target + "' is held to the threshold");
    }
    const std::string source = text_of(json, "DataSource");
    if (const auto npy = numpy_file(source, at + "/DataSource")) {
      files.files[target] = *npy;
    } else {
      warn(at, "the expected data of '" + target + "' (" + excerpt(text_of(json, "FillType"), 40) +
                   (source.empty() ? std::string() : " '" + excerpt(source, 80) + "'") +
                   ") cannot be used; its tolerance is. Save the data as a NumPy file and name that as DataSource");
    }
    outputs.push_back(std::move(output));
  }
  if (outputs.empty()) return;
  problem_.outputs = std::move(outputs);
  if (files.files.size() == problem_.outputs.size()) problem_.reference = std::move(files);
}

// ---- all of it ------------------------------------------------------------------------------------------------------

void T1Reader::read_kernel(const T1Json& kernel, const std::string& pointer) {
  note_unused(kernel, pointer,
              {"Language", "BenchmarkName", "KernelName", "KernelFile", "CompilerOptions", "Profiling", "Device",
               "GlobalSizeType", "SharedMemory", "GlobalSize", "LocalSize", "Arguments", "ReferenceArguments",
               "ProblemSize", "GridDivX", "GridDivY", "GridDivZ"});
  if (const std::string name = text_of(kernel, "KernelName"); !name.empty()) problem_.name = name;
  if (member(kernel, "Device")) warn(pointer + "/Device", "is not used: choose the device on the command line");
  if (const T1Json* profiling = member(kernel, "Profiling"); profiling && *profiling == true) {
    warn(pointer + "/Profiling", "is not used: hardware counters are not read");
  }
  read_source(kernel, pointer);
  read_launch(kernel, pointer);
  read_arguments(kernel, pointer);
  read_references(kernel, pointer);
  for (auto& launch : problem_.launches) launch.args = default_args(problem_);
  if (runnable_) {
    try {
      check_execution(problem_, locations_);
    } catch (const Error& error) {
      warn(pointer, error.message());
      runnable_ = false;
    }
  }
  if (runnable_) {
    if (has_source_) {
      for (const auto& warning : find_warnings(problem_)) problem_.warnings.push_back(warning);
    }
  } else {
    // A launch with arguments missing would run the wrong thing.
    problem_.launches.clear();
    problem_.outputs.clear();
    problem_.reference = {};
  }
  if (!runnable_ || !has_source_) {
    problem_.warnings.push_back(
        "the kernel cannot be run from this file; its space can be searched on recorded results");
  }
}

}  // namespace warpwright::spec::detail
