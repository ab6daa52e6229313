// Reading the arguments of a T1 file's kernel, and what their results are compared with.
#include <algorithm>
#include <array>
#include <system_error>
#include <utility>

#include "check.hpp"
#include "t1_reader.hpp"
#include "words.hpp"

namespace warpwright::spec::detail {

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
    warn_unusable(pointer + "/Type", "'custom' can be used with a TypeSize of 1, 2, 3, 4, 8 or 16 bytes, found " +
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
  warn_unusable(pointer + "/Type", "'" + excerpt(text, 40) +
                                       "' is not a type of T1 (bool, int8 to uint64, half, float, double, "
                                       "with 2, 4, 8 or 16 behind them for vectors)");
  return false;
}

std::optional<std::filesystem::path> T1Reader::numpy_file(const std::string& source, const std::string& pointer) {
  if (source.size() <= 4 || source.substr(source.size() - 4) != ".npy") return std::nullopt;
  return data_file(source, pointer);
}

std::optional<std::filesystem::path> T1Reader::data_file(const std::string& source, const std::string& pointer) {
  const std::filesystem::path file = (file_.parent_path() / source).lexically_normal();
  std::error_code error;
  const std::filesystem::path absolute = std::filesystem::absolute(file, error);
  if (!error && std::filesystem::is_regular_file(absolute, error)) return absolute;
  warn(pointer, "there is no file '" + excerpt(file.string(), 200) + "'");
  return std::nullopt;
}

// `Generator` with the words and numbers that describe data without a program: "Line" (0, 1, 2, ...), "Random" as the
// FillType of that name, or one number for all.
std::optional<Fill> T1Reader::generator(const std::string& type, const std::string& source, std::uint64_t seed,
                                        const Argument& argument) {
  if (type != "Generator") return std::nullopt;
  if (source == "Line") return FillIota{0, 1};
  if (source == "Random") {
    if (is_floating(argument.type)) return FillNormal{0, 1, seed};
    return FillUniform{0, 1, seed};
  }
  try {
    const Expression expression = Expression::parse(source);
    if (!expression.names().empty()) return std::nullopt;
    if (const auto number = as_number(expression.evaluate(Scope().lookup()).scalar())) return FillConstant{*number};
  } catch (const Error&) {
    // A program text, which is not run.
  }
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
    if (is_floating(argument.type)) {
      argument.fill = FillNormal{0, 1, seed};  // as Kernel Tuner, whatever FillValue says
    } else {
      // Kernel Tuner has no integer buffers; Kernel Tuning Toolkit takes FillValue as the upper bound.
      const double high = has_value && value != 0 ? value : 1;
      argument.fill = FillUniform{std::min(0.0, high), std::max(0.0, high), seed};
    }
  } else if (type == "BinaryRaw" && !source.empty()) {
    // Without the file the argument has no data, and the launch would run on something else.
    const auto file = data_file(source, pointer + "/DataSource");
    if (!file) {
      warn_unusable(pointer + "/FillType", "argument '" + argument.name + "' has no data without it");
    } else if (source.ends_with(".npy")) {
      argument.fill = FillNpy{*file};
    } else {
      argument.fill = FillRaw{*file};
    }
  } else if (const auto generated = generator(type, source, seed, argument)) {
    argument.fill = *generated;
  } else if (type.empty()) {
    argument.fill = argument.access == Access::in || argument.access == Access::constant
                        ? Fill(FillUniform{0, 1, position})
                        : Fill(FillConstant{0});
  } else {
    warn_unusable(pointer + "/FillType", "argument '" + argument.name + "' cannot be filled by '" + excerpt(type, 40) +
                                             "'" +
                                             (source.empty() ? std::string() : " from '" + excerpt(source, 80) + "'") +
                                             "; save the data as a NumPy file and use a TOML specification with init = "
                                             "{ npy = \"file.npy\" }");
  }
}

std::optional<Argument> T1Reader::read_argument(const T1Json& json, const std::string& pointer,
                                                std::uint64_t position) {
  if (!json.is_object()) {
    warn_unusable(pointer, "expected an object, found " + json_excerpt(json));
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
      warn_unusable(pointer + "/FillValue", "is missing: the scalar '" + argument.name + "' has no value");
      return std::nullopt;
    }
    if (argument.components != 1) {
      warn_unusable(pointer + "/Type",
                    "the scalar '" + argument.name + "' has a vector type, which cannot be passed by value");
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
    read_local_memory(json, pointer, argument);
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
    warn_unusable(pointer + "/Size", "is missing: the buffer '" + argument.name + "' has no size");
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
    warn_unusable(pointer + "/Arguments", "expected an array of objects");
    return;
  }
  std::vector<std::string> marked;
  for (std::size_t i = 0; i < arguments->size(); ++i) {
    const T1Json& json = (*arguments)[i];
    auto argument = read_argument(json, pointer + "/Arguments/" + std::to_string(i), i + 1);
    if (!argument) continue;
    // What is in constant memory for Kernel Tuner is a parameter of the kernel too, and copied to a symbol of its name
    // where the module has one. A symbol of T1 is the symbol alone.
    if (text_of(json, "MemoryType") != "Symbol") args_.push_back(argument->name);
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

// ---- local memory ---------------------------------------------------------------------------------------------------

void T1Reader::read_local_memory(const T1Json& json, const std::string& pointer, const Argument& argument) {
  const T1Json* size = member(json, "Size");
  if (!size) {
    warn_unusable(pointer + "/Size", "is missing: the local memory '" + argument.name + "' has no size");
    return;
  }
  const auto elements = usable(*size, pointer + "/Size", "the size of '" + argument.name + "'", ParameterNames::lists);
  if (!elements) return;
  const std::size_t bytes = size_of(argument.type) * static_cast<std::size_t>(argument.components);
  Expression all = Expression::parse("(" + elements->text() + ") * " + std::to_string(bytes));
  Argument local = argument;
  local.access = Access::local;
  local.size = elements;
  local_memory_.push_back({std::move(local), pointer, std::move(all), args_.size()});
}

void T1Reader::place_local_memory(const T1Json& kernel, const std::string& pointer) {
  if (local_memory_.empty()) return;
  // There it is a parameter of the kernel. One alone behind all others is what `shared` of a launch passes.
  const bool opencl = text_of(kernel, "Language") == "OpenCL";
  if (opencl && (local_memory_.size() > 1 || local_memory_.front().position < args_.size())) {
    for (std::size_t i = 0; i < local_memory_.size(); ++i) {
      LocalMemory& memory = local_memory_[i];
      args_.insert(args_.begin() + static_cast<std::ptrdiff_t>(memory.position + i), memory.argument.name);
      problem_.arguments.push_back(memory.argument);
    }
    return;
  }
  if (opencl && member(kernel, "SharedMemory") && *member(kernel, "SharedMemory") != 0) {
    const LocalMemory& memory = local_memory_.front();
    warn_unusable(memory.pointer, "the local memory '" + memory.argument.name + "' cannot be passed: " + pointer +
                                      "/SharedMemory asks for local memory too; leave one of them out");
  }
  for (Launch& launch : problem_.launches) {
    for (const LocalMemory& memory : local_memory_) {
      launch.shared =
          launch.shared ? Expression::parse(launch.shared->text() + " + " + memory.bytes.text()) : memory.bytes;
    }
  }
}

}  // namespace warpwright::spec::detail
