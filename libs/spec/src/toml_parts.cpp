#include "toml_parts.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <fmt/format.h>
#include <limits>
#include <system_error>
#include <utility>

#include <warpwright/spec/source.hpp>

#include "check.hpp"
#include "words.hpp"

namespace warpwright::spec::detail {
namespace {

// A range is expanded to a list; beyond this it was surely not meant.
constexpr std::size_t max_values = 1'000'000;

struct RangeEnd {
  bool real = false;
  std::int64_t integer = 0;
  double number = 0;
};

RangeEnd range_number(const Section& range, std::string_view name) {
  const Node& node = range.require(name, "range = { from = 1, to = 8, step = 1 }");
  RangeEnd end;
  end.number = to_number(range.document(), node, range.key(name), "8");
  end.real = node.is(Node::Kind::real);
  end.integer = node.integer;
  return end;
}

[[noreturn]] void too_many(const Section& range) {
  fail_at(range.document(), range.path(),
          "the range has more than " + std::to_string(max_values) + " values; use a larger step, or power");
}

// Digits behind the point in the shortest decimal text of `number`: 1 of 0.1, 4 of 5e-4, 0 of 1e6.
int decimals_of(double number) {
  std::array<char, 64> buffer{};
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), number, std::chars_format::scientific);
  const std::string text(buffer.data(), end.ptr);  // as 1.25e-03
  const std::size_t exponent = text.find('e');
  const std::size_t point = text.find('.');
  const std::string digits = point == std::string::npos ? std::string() : text.substr(point + 1, exponent - point - 1);
  return std::max(0, static_cast<int>(digits.size()) - std::atoi(text.c_str() + exponent + 1));
}

// A sum of decimals as people write them: 0.1 + 2 * 0.1 is 0.3, not 0.30000000000000004.
double with_decimals(double number, int decimals) {
  if (decimals > 17 || std::abs(number) > 1e15) return number;
  return std::strtod(fmt::format("{:.{}f}", number, decimals).c_str(), nullptr);
}

std::vector<Value> stepped(const Section& range, const RangeEnd& from, const RangeEnd& to, const RangeEnd& step) {
  if (step.number == 0) range.fail("step", "must not be 0");
  if ((to.number - from.number) * step.number < 0) {
    range.fail("step", "leads away from 'to' (from " + plain_number(from.number) + " to " + plain_number(to.number) +
                           "), so the range is empty; change its sign or swap the ends");
  }
  std::vector<Value> values;
  if (from.real || to.real || step.real) {
    // The end counts as reached when rounding alone keeps it apart: 0.1 .. 0.5 step 0.1 has five values.
    const double count = std::floor((to.number - from.number) / step.number * (1 + 1e-12) + 1e-9);
    if (!(count < static_cast<double>(max_values))) too_many(range);
    const int decimals = std::max(decimals_of(from.number), decimals_of(step.number));
    for (std::size_t i = 0; i <= static_cast<std::size_t>(count); ++i) {
      values.emplace_back(with_decimals(from.number + static_cast<double>(i) * step.number, decimals));
    }
    return values;
  }
  if (std::abs((to.number - from.number) / step.number) >= static_cast<double>(max_values)) too_many(range);
  std::int64_t value = from.integer;
  while (step.integer > 0 ? value <= to.integer : value >= to.integer) {
    values.emplace_back(value);
    if (__builtin_add_overflow(value, step.integer, &value)) break;
  }
  return values;
}

std::vector<Value> powers(const Section& range, const RangeEnd& from, const RangeEnd& to, const RangeEnd& power) {
  if (!(from.number > 0)) {
    range.fail("from", "must be positive in a range of powers, found " + plain_number(from.number));
  }
  if (!(power.number > 1)) {
    range.fail("power", "is the factor from one value to the next and must be above 1, such as 2; found " +
                            plain_number(power.number));
  }
  if (to.number < from.number) {
    range.fail("to", "is below 'from', so the range is empty; swap the ends");
  }
  std::vector<Value> values;
  if (from.real || to.real || power.real) {
    for (double value = from.number; value <= to.number * (1 + 1e-12); value *= power.number) {
      if (values.size() >= max_values) too_many(range);
      // Fifteen digits are what every double keeps: what differs behind them came from rounding.
      values.emplace_back(std::strtod(fmt::format("{:.15g}", value).c_str(), nullptr));
    }
    return values;
  }
  for (std::int64_t value = from.integer; value <= to.integer;) {
    values.emplace_back(value);
    if (__builtin_mul_overflow(value, power.integer, &value)) break;
  }
  return values;
}

// The numbers of a fill: as they are written, or expressions over the dimensions.
struct FillNumbers {
  double first = 0, second = 0;
  std::vector<Expression> bounds;  // empty if all are plain numbers
};

FillNumbers fill_numbers(const Section& init, const std::vector<const Node*>& nodes,
                         const std::vector<std::string>& keys, std::string_view example) {
  FillNumbers numbers;
  const bool plain =
      std::none_of(nodes.begin(), nodes.end(), [](const Node* node) { return node->is(Node::Kind::string); });
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (plain) {
      (i == 0 ? numbers.first : numbers.second) = to_number(init.document(), *nodes[i], keys[i], example);
    } else {
      numbers.bounds.push_back(to_expression(init.document(), *nodes[i], keys[i], "\"n - 1\""));
    }
  }
  return numbers;
}

FillNumbers two_numbers(const Section& init, std::string_view name, std::string_view example) {
  const Node& node = *init.find(name);
  if (!node.is(Node::Kind::array) || node.items.size() != 2) {
    std::string found = node.describe();
    if (node.is(Node::Kind::array)) found = std::to_string(node.items.size()) + " entries";
    init.fail(name, "expected two numbers such as " + std::string(example) + ", found " + found);
  }
  return fill_numbers(init, {&node.items[0], &node.items[1]},
                      {join_index(init.key(name), 0), join_index(init.key(name), 1)}, example);
}

Fill read_iota(const Section& init) {
  const Node& node = *init.find("iota");
  if (node.is(Node::Kind::boolean) && node.boolean) return FillIota{};
  if (!node.is(Node::Kind::array)) {
    wrong_type(init.document(), node, init.key("iota"), "[start, step] such as [0, 1], or true for that");
  }
  FillNumbers numbers = two_numbers(init, "iota", "[0, 1]");
  return FillIota{numbers.first, numbers.second, std::move(numbers.bounds)};
}

FillOrder read_order(const Section& init) {
  const Node* node = init.find("sorted");
  if (node == nullptr) return FillOrder::none;
  if (node->is(Node::Kind::boolean)) return node->boolean ? FillOrder::ascending : FillOrder::none;
  const std::string text = to_text(init.document(), *node, init.key("sorted"), "ascending");
  for (const FillOrder order : {FillOrder::ascending, FillOrder::descending}) {
    if (text == to_string(order)) return order;
  }
  init.fail("sorted", "expected \"ascending\" (also true) or \"descending\", found '" + excerpt(text, 40) + "'");
}

std::filesystem::path existing_file(const Document& document, const std::string& name, std::string_view key) {
  const std::filesystem::path shown = (document.file.parent_path() / name).lexically_normal();
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(shown, ignored)) {
    const bool there = std::filesystem::exists(shown, ignored);
    fail_at(document, key,
            "the file '" + excerpt(shown.string(), 200) +
                (there ? "' is not a regular file"
                       : "' does not exist; paths are relative to the folder of this specification"));
  }
  return shown;
}

SourceText read_one_source(const Section& section, const Node& node, const std::string& key,
                           const std::vector<std::filesystem::path>& include_folders) {
  const std::string name = to_text(section.document(), node, key, "stencil.kernel");
  const std::filesystem::path file = existing_file(section.document(), name, key);
  try {
    return load_source(file, include_folders);
  } catch (const Error& error) {
    throw Error(ErrorCode::bad_input, error.what(), section.document().locations.at(key));
  }
}

}  // namespace

std::vector<Value> read_values(const Section& parameter) {
  const Document& document = parameter.document();
  const Node* list = parameter.find("values");
  const Node* range_node = parameter.find("range");
  if (list && range_node) parameter.fail("range", "there is already 'values'; keep one of the two");
  if (!list && !range_node) {
    fail_at(document, parameter.path(),
            "the parameter has no values; add values = [16, 32, 64], or range = { from = 1, to = 8, step = 1 }");
  }
  std::vector<Value> values;
  if (list) {
    if (!list->is(Node::Kind::array)) {
      wrong_type(document, *list, parameter.key("values"), "an array such as [16, 32, 64]");
    }
    if (list->items.empty()) parameter.fail("values", "the list is empty; give at least one value");
    for (std::size_t i = 0; i < list->items.size(); ++i) {
      values.push_back(to_value(document, list->items[i], join_index(parameter.key("values"), i)));
    }
    return values;
  }
  if (!range_node->is(Node::Kind::table)) {
    wrong_type(document, *range_node, parameter.key("range"),
               "a table such as { from = 1, to = 8, step = 1 } or { from = 1, to = 64, power = 2 }");
  }
  const Section range = *parameter.section("range", {"from", "to", "step", "power"});
  const RangeEnd from = range_number(range, "from");
  const RangeEnd to = range_number(range, "to");
  if (range.has("step") && range.has("power")) {
    range.fail("power", "there is already 'step'; keep one of the two");
  }
  if (range.has("power")) return powers(range, from, to, range_number(range, "power"));
  RangeEnd step{false, 1, 1};
  if (range.has("step")) step = range_number(range, "step");
  return stepped(range, from, to, step);
}

Fill default_fill(Access access, DataType type, std::uint64_t position) {
  // Zeros would hide mistakes in everything that is only read: 0 * anything is right.
  if (access != Access::in && access != Access::constant) return FillConstant{0};
  // Integers in [0, 1) would all be 0; [0, 100] fits every type.
  return is_floating(type) ? FillUniform{0, 1, position} : FillUniform{0, 100, position};
}

Fill read_fill(const Section& argument, const Argument& read_so_far, std::uint64_t position) {
  const Node* node = argument.find("init");
  if (!node) return default_fill(read_so_far.access, read_so_far.type, position);
  if (read_so_far.access == Access::scalar) {
    argument.fail("init", "a scalar has a value, not data to fill; write for example: value = \"width\"");
  }
  if (read_so_far.access == Access::out) {
    argument.fail("init",
                  "an output is overwritten with a poison pattern before every run, so that unwritten elements "
                  "are found; use access = \"inout\" if the kernel reads what is there");
  }
  if (read_so_far.access == Access::local) {
    argument.fail("init", "local memory has no contents when a block begins; let the kernel write it first");
  }
  const std::vector<std::string> kinds = {"constant", "uniform", "normal", "iota", "formula", "npy", "raw"};
  if (!node->is(Node::Kind::table)) {
    wrong_type(argument.document(), *node, argument.key("init"),
               "a table such as { constant = 0 }, { uniform = [0, 1], seed = 1 }, { normal = [0, 1] }, "
               "{ iota = [0, 1] }, { formula = \"index % 7\" }, { npy = \"file.npy\" } or { raw = \"file.bin\" }");
  }
  std::vector<std::string> keys = kinds;
  keys.insert(keys.end(), {"seed", "sorted", "row_length"});
  const Section init = *argument.section("init", keys);
  std::vector<std::string> given;
  for (const auto& kind : kinds) {
    if (init.has(kind)) given.push_back(kind);
  }
  if (given.size() != 1) {
    fail_at(init.document(), init.path(),
            "expected exactly one of constant, uniform, normal, iota, formula, npy or raw, found " +
                (given.empty() ? std::string("none") : join(given, " and ")));
  }
  const std::string& kind = given.front();
  const auto seed = init.seed("seed");
  const bool random = kind == "uniform" || kind == "normal";
  if (seed && !random) {
    init.fail("seed", "only uniform and normal use random numbers; remove the seed");
  }
  if (init.has("row_length") && kind != "formula") {
    init.fail("row_length", "only a formula knows rows and columns; remove it");
  }
  const FillOrder order = read_order(init);
  if (init.has("sorted") && !random) {
    init.fail("sorted", "only uniform and normal are put in order; remove it");
  }
  if (kind == "constant") {
    FillNumbers numbers = fill_numbers(init, {init.find("constant")}, {init.key("constant")}, "0");
    return FillConstant{numbers.first, std::move(numbers.bounds)};
  }
  if (kind == "uniform") {
    FillNumbers numbers = two_numbers(init, "uniform", "[-1.0, 1.0]");
    return FillUniform{numbers.first, numbers.second, seed.value_or(position), std::move(numbers.bounds), order};
  }
  if (kind == "normal") {
    FillNumbers numbers = two_numbers(init, "normal", "[0.0, 1.0]");
    return FillNormal{numbers.first, numbers.second, seed.value_or(position), std::move(numbers.bounds), order};
  }
  if (kind == "iota") return read_iota(init);
  if (kind == "formula") {
    return FillFormula{to_expression(init.document(), *init.find("formula"), init.key("formula"), "\"index % 7\""),
                       init.expression("row_length", "\"n\"")};
  }
  const std::string name = init.required_string(kind, kind == "npy" ? "data.npy" : "data.bin");
  existing_file(init.document(), name, init.key(kind));
  if (kind == "raw") return FillRaw{beside(init.document(), name)};
  return FillNpy{beside(init.document(), name)};
}

std::filesystem::path beside(const Document& document, const std::string& relative) {
  std::error_code ignored;
  const std::filesystem::path path = document.file.parent_path() / relative;
  const std::filesystem::path absolute = std::filesystem::absolute(path, ignored);
  return (ignored ? path : absolute).lexically_normal();
}

std::vector<std::filesystem::path> read_include_folders(const Section& kernel) {
  std::vector<std::filesystem::path> folders;
  const std::vector<std::string> names = kernel.strings("include", "[\"include\"]");
  for (std::size_t i = 0; i < names.size(); ++i) {
    const std::filesystem::path folder = beside(kernel.document(), names[i]);
    std::error_code ignored;
    if (!std::filesystem::is_directory(folder, ignored)) {
      fail_at(kernel.document(), join_index(kernel.key("include"), i),
              "the folder '" + excerpt(names[i], 200) +
                  "' does not exist; paths are relative to the folder of this specification");
    }
    folders.push_back(folder);
  }
  return folders;
}

KernelSource read_source(const Section& section, const std::string& key,
                         const std::vector<std::filesystem::path>& include_folders) {
  KernelSource source;
  const Node& node = *section.find(key);
  const std::string path = section.key(key);
  if (node.is(Node::Kind::table)) {
    const Section by_backend = *section.section(key, backend_names());
    if (node.members.empty()) {
      fail_at(section.document(), path, "names no file; write for example: { cuda = \"a.cu\", opencl = \"a.cl\" }");
    }
    for (const auto& member : node.members) {
      source.by_backend[member.key] =
          read_one_source(section, member.value, by_backend.key(member.key), include_folders);
    }
    return source;
  }
  if (!node.is(Node::Kind::string)) {
    wrong_type(section.document(), node, path,
               "a file name such as \"stencil.kernel\", or a table such as { cuda = \"a.cu\", opencl = \"a.cl\" }");
  }
  source.dialect = read_one_source(section, node, path, include_folders);
  return source;
}

ReferenceNpy read_reference_files(const Section& reference) {
  ReferenceNpy npy;
  const Node& node = *reference.find("npy");
  if (!node.is(Node::Kind::table)) {
    wrong_type(reference.document(), node, reference.key("npy"), "a table such as { out = \"out.npy\" }");
  }
  for (const auto& member : node.members) {
    const std::string key = join_key(reference.key("npy"), member.key);
    const std::string name = to_text(reference.document(), member.value, key, "out.npy");
    existing_file(reference.document(), name, key);
    npy.files[member.key] = beside(reference.document(), name);
  }
  return npy;
}

}  // namespace warpwright::spec::detail
