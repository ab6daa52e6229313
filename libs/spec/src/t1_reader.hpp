// Reading T1 files (https://github.com/odgaard/TuningSchema). The space must be right, so its mistakes are errors;
// everything about the kernel is taken as far as it goes, and what cannot be used becomes a warning, because published
// files contain such mistakes (arguments of another kernel, missing files, defaults outside their lists).
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <warpwright/model/problem.hpp>

#include "locations.hpp"

namespace warpwright::spec::detail {

using T1Json = nlohmann::ordered_json;

std::string json_excerpt(const T1Json& json);

// One file. One use: construct, run().
class T1Reader {
 public:
  T1Reader(std::string_view text, const std::filesystem::path& file);
  Problem run();

 private:
  enum class ParameterNames {
    values,  // a parameter name is the value of the configuration
    lists    // a parameter name is its whole value list, as in T1's size expressions
  };

  // ---- t1.cpp: the file and the space
  [[noreturn]] void fail(const std::string& pointer, const std::string& message) const;
  void warn(const std::string& pointer, const std::string& message);
  // A warning that also says why the kernel cannot be run.
  void obstruct(const std::string& pointer, const std::string& message);
  // The same of something without which the launch would run the wrong thing.
  void warn_unusable(const std::string& pointer, const std::string& message);
  void note_unused(const T1Json& object, const std::string& pointer, const std::vector<std::string>& known);
  const T1Json* member(const T1Json& object, const char* name) const;
  std::string text_of(const T1Json& object, const char* name) const;  // empty if absent or no string
  Expression parse_space_expression(const std::string& text, const std::string& pointer) const;
  void read_space(const T1Json& space);
  void read_parameter(const T1Json& json, const std::string& pointer);
  std::vector<Value> read_values(const T1Json& json, const std::string& pointer, const std::string& type);
  std::optional<Value> convert(const ExpressionValue& value, const std::string& type) const;
  void read_default(Parameter& parameter, const T1Json& json, const std::string& pointer, const std::string& type);
  void read_condition(const T1Json& json, const std::string& pointer);

  // ---- t1_kernel.cpp: the kernel and its launch
  void read_sizes(const T1Json& kernel, const std::string& pointer);
  void read_kernel(const T1Json& kernel, const std::string& pointer);
  void read_source(const T1Json& kernel, const std::string& pointer);
  void read_options(const T1Json& kernel, const std::string& pointer, const std::string& backend);
  void read_launch(const T1Json& kernel, const std::string& pointer);
  std::optional<Expression> grid_axis(const T1Json& kernel, const std::string& pointer, std::size_t axis,
                                      const std::optional<Expression>& block);
  // An expression of the kernel part; nullopt after a warning that says what cannot be used.
  std::optional<Expression> usable(const T1Json& json, const std::string& pointer, const std::string& what,
                                   ParameterNames meaning);
  // `ProblemSize[0]` becomes a dimension's name, and parameter names their lists where asked for.
  std::string rewritten(const std::string& text, ParameterNames meaning) const;

  // ---- t1_arguments.cpp: what it is given and what it must give
  void read_arguments(const T1Json& kernel, const std::string& pointer);
  std::optional<Argument> read_argument(const T1Json& json, const std::string& pointer, std::uint64_t position);
  bool read_type(const T1Json& json, const std::string& pointer, Argument& argument);
  void read_fill(const T1Json& json, const std::string& pointer, std::uint64_t position, Argument& argument);
  void read_local_memory(const T1Json& json, const std::string& pointer, const Argument& argument);
  // Adds the local memory of the arguments to what the launch has.
  void place_local_memory(const T1Json& kernel, const std::string& pointer);
  // The data file of that name if it is a NumPy file; nullopt, after a warning, if it is named so and absent.
  std::optional<std::filesystem::path> numpy_file(const std::string& source, const std::string& pointer);
  // Any data file of that name; nullopt, after a warning, if it is absent.
  std::optional<std::filesystem::path> data_file(const std::string& source, const std::string& pointer);
  std::optional<Fill> generator(const std::string& type, const std::string& source, std::uint64_t seed,
                                const Argument& argument);
  void read_references(const T1Json& kernel, const std::string& pointer);

  std::string_view text_;
  std::filesystem::path file_;
  std::string file_name_;
  T1Json root_;
  Locations locations_;
  Problem problem_;
  std::vector<std::string> sizes_;  // names of the dimensions, in the order of ProblemSize
  std::vector<std::string> unused_;
  std::vector<std::string> args_;  // the arguments that are passed, in order
  struct LocalMemory {
    Argument argument;
    std::string pointer;
    Expression bytes;
    std::size_t position;  // how many arguments are passed before it
  };
  std::vector<LocalMemory> local_memory_;
  bool launch_understood_ = true;  // and all of its arguments
};

}  // namespace warpwright::spec::detail
