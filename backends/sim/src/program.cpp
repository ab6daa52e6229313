#include "program.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sstream>
#include <string_view>
#include <tomlplusplus.hpp>

#include <warpwright/base/error.hpp>

namespace warpwright::sim {

namespace {

constexpr const char* job_table = "warpwright_job";

enum class Moment { compile, launch };
struct Key {
  const char* name;
  Moment moment;  // which names its expression may use
};
constexpr std::array expression_keys{Key{"registers", Moment::compile},
                                     Key{"static_shared", Moment::compile},
                                     Key{"compile_ms", Moment::compile},
                                     Key{"compile_error_if", Moment::compile},
                                     Key{"hang_compile_if", Moment::compile},
                                     Key{"crash_compile_if", Moment::compile},
                                     Key{"cost_ns", Moment::launch},
                                     Key{"noise", Moment::launch},
                                     Key{"elements", Moment::launch},
                                     Key{"launch_refused_if", Moment::launch},
                                     Key{"crash_if", Moment::launch},
                                     Key{"hang_if", Moment::launch},
                                     Key{"device_fault_if", Moment::launch},
                                     Key{"wrong_if", Moment::launch},
                                     Key{"nondeterministic_if", Moment::launch},
                                     Key{"nan_if", Moment::launch},
                                     Key{"partial_if", Moment::launch},
                                     Key{"out_of_bounds_if", Moment::launch}};

constexpr std::array<const char*, 7> geometry_names{"BLOCK_X", "BLOCK_Y", "BLOCK_Z", "GRID_X",
                                                    "GRID_Y",  "GRID_Z",  "SHARED"};

// Collects mistakes like a compiler does, and throws them as one log.
class Log {
 public:
  explicit Log(std::string file) : file_(file.empty() ? "<source>" : std::move(file)) {}
  void add(const toml::source_region& where, const std::string& message) {
    if (!text_.empty()) text_ += '\n';
    text_ += file_;
    if (where.begin.line > 0) text_ += fmt::format(":{}:{}", where.begin.line, where.begin.column);
    text_ += ": error: " + message;
  }
  void throw_if_any() const {
    if (!text_.empty()) throw Error(ErrorCode::compile, text_);
  }

 private:
  std::string file_;
  std::string text_;
};

std::string known_names(std::string_view word, const std::vector<std::string>& known) {
  const auto match = closest_match(word, known);
  return match ? fmt::format("did you mean '{}'?", *match) : fmt::format("known are {}", fmt::join(known, ", "));
}

std::optional<ArgumentDeclaration> parse_declaration(std::string_view text) {
  ArgumentDeclaration declaration;
  const std::size_t end = text.find_first_of(" *");
  if (end == std::string_view::npos) return std::nullopt;
  const auto type = parse_data_type(text.substr(0, end));
  if (!type) return std::nullopt;
  declaration.type = *type;
  std::size_t i = end;
  for (; i < text.size() && (text[i] == ' ' || text[i] == '*'); ++i) declaration.is_buffer |= text[i] == '*';
  declaration.name = std::string(text.substr(i));
  if (declaration.name.empty() || declaration.name.find_first_of(" *,") != std::string::npos) return std::nullopt;
  return declaration;
}

class Reader {
 public:
  Reader(Log& log, const std::map<std::string, Behaviour>& behaviours) : log_(log), behaviours_(behaviours) {}

  void symbols(const toml::node& node, Program& program) {
    const toml::table* table = node.as_table();
    if (table == nullptr) return log_.add(node.source(), "'symbols' must be a table of name = bytes");
    for (const auto& [name, value] : *table) {
      const auto bytes = value.value_exact<std::int64_t>();
      if (bytes && *bytes > 0)
        program.symbols[std::string(name.str())] = Bytes{static_cast<std::uint64_t>(*bytes)};
      else
        log_.add(value.source(), fmt::format("symbol '{}' needs its size in bytes, a positive integer", name.str()));
    }
  }

  void kernels(const toml::node& node, Program& program) {
    const toml::table* table = node.as_table();
    if (table == nullptr) return log_.add(node.source(), "'kernels' must hold one table per kernel: [kernels.NAME]");
    for (const auto& [name, value] : *table) {
      const std::string entry(name.str());
      if (const toml::table* body = value.as_table())
        program.kernels[entry] = kernel(entry, *body);
      else
        log_.add(value.source(), fmt::format("kernel '{}' must be a table: [kernels.{}]", entry, entry));
    }
  }

 private:
  KernelText kernel(const std::string& entry, const toml::table& table) {
    KernelText text;
    text.entry = text.behaviour = entry;
    std::vector<std::string> known{"behaviour", "arguments", "output"};
    for (const Key& key : expression_keys) known.emplace_back(key.name);
    for (const auto& [name, value] : table) {
      const std::string key(name.str());
      if (key == "arguments" || key == "output") continue;  // below, in order of need
      if (key == "behaviour") {
        if (const auto word = value.value_exact<std::string>())
          text.behaviour = *word;
        else
          log_.add(value.source(), fmt::format("kernel '{}': 'behaviour' must be a string", entry));
      } else if (std::find(known.begin(), known.end(), key) == known.end()) {
        log_.add(value.source(), fmt::format("kernel '{}': unknown key '{}'; {}", entry, key, known_names(key, known)));
      } else {
        expression(text, key, value);
      }
    }
    const auto found = behaviours_.find(text.behaviour);
    if (found == behaviours_.end()) {
      std::vector<std::string> names;
      for (const auto& [name, behaviour] : behaviours_) names.push_back(name);
      log_.add(table.source(), fmt::format("kernel '{}': there is no behaviour '{}'; {}", entry, text.behaviour,
                                           known_names(text.behaviour, names)));
    } else {
      text.arguments_declared = !found->second.arguments.empty();
      for (const auto& declaration : found->second.arguments) declare(text, declaration, table.source());
    }
    if (const toml::node* node = table.get("arguments")) arguments(text, *node);
    if (const toml::node* node = table.get("output")) {
      output(text, *node);
    } else {
      for (std::size_t i = text.arguments.size(); i-- > 0;)
        if (text.arguments[i].is_buffer) text.output = i;
    }
    if (text.find("out_of_bounds_if") != nullptr && text.find("elements") == nullptr)
      log_.add(table.source(),
               fmt::format("kernel '{}': 'out_of_bounds_if' needs 'elements', the number of elements of "
                           "the output, to know what lies out of bounds",
                           entry));
    return text;
  }

  void declare(KernelText& text, const std::string& declaration, const toml::source_region& where) {
    if (auto argument = parse_declaration(declaration))
      text.arguments.push_back(std::move(*argument));
    else
      log_.add(where,
               fmt::format("kernel '{}': '{}' declares no argument; write \"float32* name\" for a buffer, \"int32 "
                           "name\" for a scalar; types are {}",
                           text.entry, declaration, fmt::join(data_type_names(), ", ")));
  }

  void arguments(KernelText& text, const toml::node& node) {
    const toml::array* array = node.as_array();
    if (array == nullptr)
      return log_.add(node.source(), fmt::format("kernel '{}': 'arguments' must be an array of strings", text.entry));
    text.arguments.clear();
    text.arguments_declared = true;
    for (const auto& element : *array) {
      if (const auto declaration = element.value_exact<std::string>())
        declare(text, *declaration, element.source());
      else
        log_.add(element.source(), fmt::format("kernel '{}': 'arguments' must be an array of strings", text.entry));
    }
  }

  void output(KernelText& text, const toml::node& node) {
    const auto name = node.value_exact<std::string>();
    std::vector<std::string> buffers;
    for (std::size_t i = 0; i < text.arguments.size(); ++i) {
      if (!text.arguments[i].is_buffer) continue;
      buffers.push_back(text.arguments[i].name);
      if (name && *name == text.arguments[i].name) text.output = i;
    }
    if (!text.output)
      log_.add(node.source(), fmt::format("kernel '{}': 'output' must name a buffer among its arguments ({})",
                                          text.entry, fmt::join(buffers, ", ")));
  }

  void expression(KernelText& text, const std::string& key, const toml::node& value) {
    try {
      if (const auto words = value.value_exact<std::string>())
        text.expressions.emplace(key, Expression::parse(*words));
      else if (const auto integer = value.value_exact<std::int64_t>())
        text.expressions.emplace(key, Expression::constant(Value{*integer}));
      else if (const auto real = value.value_exact<double>())
        text.expressions.emplace(key, Expression::constant(Value{*real}));
      else if (const auto boolean = value.value_exact<bool>())
        text.expressions.emplace(key, Expression::constant(Value{*boolean}));
      else
        log_.add(
            value.source(),
            fmt::format("kernel '{}': '{}' must be a number, a boolean or an expression in a string", text.entry, key));
    } catch (const Error& error) {
      log_.add(value.source(), fmt::format("kernel '{}': '{}': {}", text.entry, key, error.message()));
    }
  }

  Log& log_;
  const std::map<std::string, Behaviour>& behaviours_;
};

toml::table parse_toml(const std::string& source, const std::string& file, Log& log) {
  toml::parse_result result = toml::parse(source, file);
  if (result) return std::move(result).table();
  const toml::parse_error& error = result.error();
  log.add(error.source(),
          std::string(error.description()) + " (kernels of the simulated device are described in TOML)");
  log.throw_if_any();
  return {};
}

Program read(const toml::table& table, const std::string& file, const Defines& defines,
             const std::map<std::string, Behaviour>& behaviours, const std::vector<std::string>& entries, Log& log) {
  Program program;
  program.file = file;
  for (const auto& [name, value] : defines) program.defines[name] = parse_value(value);
  Reader reader(log, behaviours);
  for (const auto& [name, node] : table) {
    if (name.str() == "symbols")
      reader.symbols(node, program);
    else if (name.str() == "kernels")
      reader.kernels(node, program);
    else if (name.str() != job_table)
      log.add(node.source(), fmt::format("unknown table '{}'; known are 'kernels' and 'symbols'", name.str()));
  }
  if (program.kernels.empty()) log.add({}, "there is no kernel: write [kernels.NAME]");
  log.throw_if_any();

  for (const auto& [entry, kernel] : program.kernels) {
    if (!entries.empty() && std::find(entries.begin(), entries.end(), entry) == entries.end()) continue;
    for (const Key& key : expression_keys) {
      const Expression* expression = kernel.find(key.name);
      if (expression == nullptr) continue;
      std::vector<std::string> names;
      for (const auto& [name, value] : program.defines) names.push_back(name);
      if (key.moment == Moment::launch) {
        names.insert(names.end(), geometry_names.begin(), geometry_names.end());
        for (const auto& argument : kernel.arguments)
          if (!argument.is_buffer) names.push_back(argument.name);
      }
      for (const auto& name : expression->names())
        if (std::find(names.begin(), names.end(), name) == names.end())
          log.add(table["kernels"][entry][key.name].node()->source(),
                  fmt::format("kernel '{}': '{}' uses '{}', which is no {}; {}", entry, key.name, name,
                              key.moment == Moment::launch ? "definition, geometry or scalar argument" : "definition",
                              names.empty() ? "there are none" : known_names(name, names)));
    }
  }
  log.throw_if_any();
  return program;
}

}  // namespace

const Expression* KernelText::find(const std::string& key) const {
  const auto found = expressions.find(key);
  return found == expressions.end() ? nullptr : &found->second;
}

Program parse_program(const std::string& source, const std::string& file, const Defines& defines,
                      const std::map<std::string, Behaviour>& behaviours, const std::vector<std::string>& entries) {
  Log log(file);
  const toml::table table = parse_toml(source, file, log);
  if (const toml::node* node = table.get(job_table))
    log.add(node->source(), fmt::format("the name '{}' is taken", job_table));
  return read(table, file, defines, behaviours, entries, log);
}

std::string make_image(const std::string& source, const std::string& file, const Defines& defines,
                       const std::vector<std::string>& entries) {
  toml::array list, names;
  for (const auto& [name, value] : defines) list.push_back(toml::array{name, value});
  for (const auto& entry : entries) names.push_back(entry);
  toml::table job{{"file", file}, {"defines", std::move(list)}, {"entries", std::move(names)}};
  std::ostringstream text;
  text << source << "\n" << toml::table{{job_table, std::move(job)}} << "\n";
  return text.str();
}

Program parse_image(const std::string& image, const std::map<std::string, Behaviour>& behaviours) {
  try {
    Log log("image");
    const toml::table table = parse_toml(image, "image", log);
    const toml::table* job = table[job_table].as_table();
    const toml::array* list = job == nullptr ? nullptr : (*job)["defines"].as_array();
    if (list == nullptr) throw Error(ErrorCode::bad_input, fmt::format("it has no table '{}'", job_table));
    Defines defines;
    for (const auto& element : *list) {
      const toml::array* pair = element.as_array();
      if (pair == nullptr || pair->size() != 2) throw Error(ErrorCode::bad_input, "its definitions are malformed");
      defines.emplace_back(pair->get(0)->value_or(std::string()), pair->get(1)->value_or(std::string()));
    }
    std::vector<std::string> entries;
    if (const toml::array* names = (*job)["entries"].as_array())
      for (const auto& name : *names) entries.push_back(name.value_or(std::string()));
    return read(table, (*job)["file"].value_or(std::string()), defines, behaviours, entries, log);
  } catch (const Error& error) {
    throw Error(ErrorCode::bad_input, std::string("this is no binary of the simulated device: ") + error.what());
  }
}

Scope compile_scope(const Program& program) {
  Scope scope;
  for (const auto& [name, value] : program.defines) scope.set(name, value);
  return scope;
}

bool holds(const KernelText& kernel, const std::string& key, const Scope& scope) {
  const Expression* expression = kernel.find(key);
  return expression != nullptr && expression->evaluate(scope.lookup()).truthy();
}

double number_or(const KernelText& kernel, const std::string& key, const Scope& scope, double otherwise) {
  const Expression* expression = kernel.find(key);
  return expression == nullptr ? otherwise
                               : scope.number(*expression, fmt::format("'{}' of kernel '{}'", key, kernel.entry));
}

KernelResources evaluate_resources(const Program& program, const KernelText& kernel) {
  const Scope scope = compile_scope(program);
  const auto integer = [&](const char* key, std::int64_t minimum, std::int64_t otherwise) {
    const Expression* expression = kernel.find(key);
    if (expression == nullptr) return otherwise;
    return scope.integer_at_least(*expression, minimum, fmt::format("'{}' of kernel '{}'", key, kernel.entry));
  };
  KernelResources resources;
  resources.entry = kernel.entry;
  // 32 is what compilers give an average kernel.
  resources.registers_per_thread = static_cast<int>(std::min<std::int64_t>(integer("registers", 1, 32), 1 << 20));
  resources.static_shared = Bytes{static_cast<std::uint64_t>(integer("static_shared", 0, 0))};
  resources.local_per_thread = Bytes{0};
  return resources;
}

}  // namespace warpwright::sim
