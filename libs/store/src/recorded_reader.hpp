// What reading the two interchange formats shares: entries one by one without a tree of the whole file, values to
// positions in lists, and words to statuses. Private to this library.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <warpwright/model/recorded_space.hpp>
#include <warpwright/store/json.hpp>

namespace warpwright::store::detail {

// The members of the document's "cache" (an object) or "results" (an array) go to `entry` one at a time; everything
// else is gathered in the result. nlohmann's ordered objects look every new key up in turn, which would be quadratic in
// the number of entries.
struct Document {
  Json header = Json::object();
  std::string broken;           // why the text ends early; empty: it is whole
  std::size_t broken_line = 0;  // from 1
  bool cut_off = false;         // the text just ended
};
using EntryCallback = std::function<void(const std::string& key, const Json& value)>;
// Throws Error(bad_input) for what is no JSON object.
Document stream_document(std::string_view text, const std::string& name, const EntryCallback& entry);

// Whether the document has a member "results" before any "tune_params" or "cache": T4 and not Kernel Tuner's cache.
bool holds_results(std::string_view text);

// Bare NaN, Infinity and -Infinity in quotes; all else unchanged.
std::string quote_special_numbers(std::string_view text);
// A number, or one of the three words in quotes; nullopt otherwise.
std::optional<double> read_number(const Json& json);
std::size_t line_of(std::string_view text, std::size_t offset);

// A value of a parameter; nullopt for null, arrays and objects.
std::optional<Value> read_parameter_value(const Json& json);
Json write_parameter_value(const Value& value);

// Positions of values in a list: equal as Python compares them.
class ValueIndex {
 public:
  // False if an equal value is there already.
  bool add(const Value& value);
  std::optional<std::uint32_t> find(const Value& value) const;
  const std::vector<Value>& values() const { return values_; }

 private:
  static std::string key(const Value& value);
  std::vector<Value> values_;
  std::unordered_map<std::string, std::uint32_t> positions_;
};

// Numbers ascending, then everything else in the order it came; for formats that do not list their values.
std::vector<Value> in_natural_order(const std::vector<Value>& values);
// Whether the positions of numbers mean an order.
bool is_ordered(const std::vector<Value>& values);
// Kernel Tuner's rule: rates are maximised, times and energies minimised.
bool is_minimised(const std::string& objective);

// Milliseconds in one of a unit of time, as T1 and T4 files write them ("ms", "Microseconds", "s", "miliseconds");
// nullopt for any other unit.
std::optional<double> milliseconds_in(std::string_view unit);

// Counts different rows.
class RowSet {
 public:
  // False for a row that is there already.
  bool insert(const std::vector<std::uint32_t>& row) { return place(row).second; }
  // How many different rows came before this one did first, and whether this is the first.
  std::pair<std::size_t, bool> place(const std::vector<std::uint32_t>& row);

 private:
  struct Hash {
    std::size_t operator()(const std::vector<std::uint32_t>& row) const;
  };
  std::unordered_map<std::vector<std::uint32_t>, std::size_t, Hash> rows_;
};

RecordedSpace parse_kernel_tuner(std::string_view text, const std::string& name);
RecordedSpace parse_t4(std::string_view text, const std::string& name);

}  // namespace warpwright::store::detail
