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

}  // namespace

std::string json_excerpt(const T1Json& json) {
  if (json.is_string()) return "'" + excerpt(json.get<std::string>(), 60) + "'";
  return excerpt(json.dump(-1, ' ', false, T1Json::error_handler_t::replace), 60);
}

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
  warn_unusable(pointer, what + " cannot be used: " + json_excerpt(json) + ": " + reason);
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
      warn_unusable(at, "a problem size must be an integer, found " + json_excerpt(list[i]) + "; 1 is used");
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
    obstruct(pointer + "/Language", (language.empty() ? std::string("is missing") : "'" + excerpt(language, 40) + "'") +
                                        ": only CUDA and OpenCL kernels can be run");
    return;
  }
  read_options(kernel, pointer, backend);
  if (name.empty()) {
    obstruct(pointer + "/KernelFile", "is missing: there is no kernel source");
    return;
  }
  const std::filesystem::path file = (file_.parent_path() / name).lexically_normal();
  try {
    std::error_code ignored;
    if (!std::filesystem::is_regular_file(file, ignored)) {
      throw Error(ErrorCode::not_found, "there is no file '" + excerpt(file.string(), 200) + "'");
    }
    problem_.source.by_backend[backend] = load_source(file);
  } catch (const Error& error) {
    obstruct(pointer + "/KernelFile", std::string("the kernel source cannot be used: ") + error.what());
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
  // Without entries it is as if it were not there: what "no division" is to Kernel Tuner's Python is not so in its T1.
  const bool has_divisors = divisors && !(divisors->is_array() && divisors->empty());
  if (has_divisors && axis < sizes_.size()) {
    // Kernel Tuner's rule: the problem size over the product of the divisors, rounded up; GlobalSize does not count.
    const T1Json list = divisors->is_array() ? *divisors : T1Json::array({*divisors});
    std::vector<std::string> factors;
    for (std::size_t i = 0; i < list.size(); ++i) {
      const auto factor =
          usable(list[i], pointer + "/" + divisor_key + "/" + std::to_string(i), what, ParameterNames::values);
      if (!factor) return std::nullopt;
      factors.push_back(is_identifier(factor->text()) ? factor->text() : "(" + factor->text() + ")");
    }
    return Expression::parse("ceil_div(" + sizes_[axis] + ", " + join(factors, " * ") + ")");
  }
  if (global_axis && !(divisors && axis < sizes_.size())) {
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
    warn_unusable(pointer + "/KernelName", "is missing: there is no kernel to launch");
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
      warn_unusable(pointer + "/LocalSize/X", "is missing, and there is no parameter 'block_size_x'");
      complete = false;
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
  place_local_memory(kernel, pointer);
  for (auto& launch : problem_.launches) launch.args = args_;
  if (launch_understood_) {
    try {
      check_execution(problem_, locations_);
    } catch (const Error& error) {
      warn_unusable(pointer, error.message());
    }
  }
  if (launch_understood_) {
    if (problem_.obstacles.empty()) {
      for (const auto& warning : find_warnings(problem_)) problem_.warnings.push_back(warning);
    }
  } else {
    problem_.launches.clear();
    problem_.outputs.clear();
    problem_.reference = {};
  }
  if (!problem_.obstacles.empty()) {
    problem_.warnings.push_back(
        "the kernel cannot be run from this file; its space can be searched on recorded results");
  }
}

}  // namespace warpwright::spec::detail
