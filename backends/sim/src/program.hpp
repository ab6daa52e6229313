// The TOML text of simulated kernels, parsed and checked. Internal.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <warpwright/device/compiler.hpp>
#include <warpwright/model/data_type.hpp>
#include <warpwright/model/expression.hpp>
#include <warpwright/model/trial.hpp>
#include <warpwright/sim/behaviour.hpp>

namespace warpwright::sim {

// "float32* c" or "int32 n".
struct ArgumentDeclaration {
  std::string name;
  DataType type = DataType::float32;
  bool is_buffer = false;
};

struct KernelText {
  std::string entry;
  std::string behaviour;
  std::vector<ArgumentDeclaration> arguments;
  bool arguments_declared = false;
  std::optional<std::size_t> output;  // index of an argument
  // The keys that hold expressions, by key; absent where the text has none.
  std::map<std::string, Expression> expressions;

  const Expression* find(const std::string& key) const;
};

using Defines = std::vector<std::pair<std::string, std::string>>;

struct Program {
  std::string file;
  std::map<std::string, KernelText> kernels;
  std::map<std::string, Bytes> symbols;
  std::map<std::string, Value> defines;
};

// Throws Error(compile) whose message is the log: "file:line:column: error: ...", one line each mistake. Every
// expression of the kernels named in `entries` (all if empty) is checked to name known values only.
Program parse_program(const std::string& source, const std::string& file, const Defines& defines,
                      const std::map<std::string, Behaviour>& behaviours, const std::vector<std::string>& entries);

// The image of a Binary: the source with the definitions as one more table, so a TOML text too.
std::string make_image(const std::string& source, const std::string& file, const Defines& defines,
                       const std::vector<std::string>& entries);
// Throws Error(bad_input) if `image` is none of ours.
Program parse_image(const std::string& image, const std::map<std::string, Behaviour>& behaviours);

// The values of the definitions.
Scope compile_scope(const Program& program);

// Throws Error(bad_input) naming the key where a value has the wrong type.
bool holds(const KernelText& kernel, const std::string& key, const Scope& scope);
double number_or(const KernelText& kernel, const std::string& key, const Scope& scope, double otherwise);

// Registers and static shared memory under the program's definitions.
KernelResources evaluate_resources(const Program& program, const KernelText& kernel);

}  // namespace warpwright::sim
