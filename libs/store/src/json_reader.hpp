// Reading our own JSON back with errors that name the key, e.g. "trial: key 'times.verify_ns' must be a number, found a
// string". Private to this library.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <warpwright/base/error.hpp>
#include <warpwright/store/json.hpp>

namespace warpwright::store::detail {

// Where in a document we are, as a chain of stack objects: nothing is allocated unless an error is reported.
class Where {
 public:
  explicit Where(std::string_view what) : name_(what) {}
  Where(const Where& parent, std::string_view key) : parent_(&parent), name_(key) {}
  Where(const Where& parent, std::size_t index) : parent_(&parent), index_(index), is_index_(true) {}

  // "trial: key 'samples[3]'", or "trial" at the root.
  std::string describe() const;

 private:
  void append_path(std::string& path) const;
  const Where& root() const { return parent_ == nullptr ? *this : parent_->root(); }

  const Where* parent_ = nullptr;
  std::string_view name_;
  std::size_t index_ = 0;
  bool is_index_ = false;
};

// Throws Error(corrupted): "<where> must be <expected>, found <kind of json>".
[[noreturn]] void reject(const Json& json, const Where& where, std::string_view expected);

// Strings that are not UTF-8 (a compiler's log, a path, a Latin-1 comment in a source) cannot stand in JSON: they
// become
// {"bytes": text} with the offending bytes as \xNN and backslashes doubled.
Json text_json(std::string_view text);
std::string read_text(const Json& json, const Where& where);

// NaN and infinities as "nan", "inf", "-inf".
Json double_json(double number);
double read_double(const Json& json, const Where& where);

bool read_bool(const Json& json, const Where& where);
Value read_value(const Json& json, const Where& where);
Configuration read_configuration(const Json& json, const Where& where);
KernelResources read_resources(const Json& json, const Where& where);
DeviceInfo read_device(const Json& json, const Where& where);
Trial read_trial(const Json& json, const Where& where);
EvaluationInfo read_evaluation_info(const Json& json, const Where& where);
Parameter read_parameter(const Json& json, const Where& where);
Json parameter_json(const Parameter& parameter);
inline Nanoseconds read_nanoseconds(const Json& json, const Where& where) {
  return Nanoseconds{read_double(json, where)};
}

template <std::integral T>
T read_integer(const Json& json, const Where& where) {
  if (json.is_number_unsigned()) {
    const auto number = json.get<std::uint64_t>();
    if (std::in_range<T>(number)) return static_cast<T>(number);
  } else if (json.is_number_integer()) {
    const auto number = json.get<std::int64_t>();
    if (std::in_range<T>(number)) return static_cast<T>(number);
  }
  reject(json, where,
         "an integer from " + std::to_string(std::numeric_limits<T>::min()) + " to " +
             std::to_string(std::numeric_limits<T>::max()));
}
inline Bytes read_bytes(const Json& json, const Where& where) {
  return Bytes{read_integer<std::uint64_t>(json, where)};
}

// One of `all` by its to_string().
template <class Enum>
Enum read_enum(const Json& json, const Where& where, std::span<const Enum> all) {
  std::string names;
  for (const Enum candidate : all) {
    if (json.is_string() && json.get_ref<const std::string&>() == to_string(candidate)) return candidate;
    names += (names.empty() ? "one of " : ", ") + std::string(to_string(candidate));
  }
  reject(json, where, names);
}

template <class Read>
using ReadResult = std::invoke_result_t<Read, const Json&, const Where&>;

template <class Read>
std::vector<ReadResult<Read>> read_list(const Json& json, const Where& where, Read read) {
  if (!json.is_array()) reject(json, where, "an array");
  std::vector<ReadResult<Read>> list;
  list.reserve(json.size());
  for (std::size_t i = 0; i < json.size(); ++i) list.push_back(read(json[i], Where(where, i)));
  return list;
}

// An object whose unknown keys are skipped, so that files of later versions stay readable. A view.
class ObjectReader {
 public:
  ObjectReader(const Json& json, const Where& where) : json_(json), where_(where) {
    if (!json.is_object()) reject(json, where, "an object");
  }

  // Null if absent or null.
  const Json* find(std::string_view key) const {
    const auto found = json_.find(key);
    return found == json_.end() || found->is_null() ? nullptr : &*found;
  }
  template <class Read>
  ReadResult<Read> get(std::string_view key, Read read) const {
    const Where here(where_, key);
    const auto found = json_.find(key);
    if (found == json_.end()) throw Error(ErrorCode::corrupted, here.describe() + " is missing");
    return read(*found, here);
  }
  template <class Read>
  std::optional<ReadResult<Read>> maybe(std::string_view key, Read read) const {
    const Json* found = find(key);
    if (found == nullptr) return std::nullopt;
    return read(*found, Where(where_, key));
  }
  template <class Read>
  std::vector<ReadResult<Read>> list(std::string_view key, Read read) const {
    return get(key, [&](const Json& json, const Where& where) { return read_list(json, where, read); });
  }
  // As list(); an absent key is an empty list.
  template <class Read>
  std::vector<ReadResult<Read>> maybe_list(std::string_view key, Read read) const {
    return find(key) == nullptr ? std::vector<ReadResult<Read>>{} : list(key, read);
  }
  // Members in order as (name, value).
  template <class Read>
  std::vector<std::pair<std::string, ReadResult<Read>>> entries(std::string_view key, Read read) const {
    return get(key, [&](const Json& json, const Where& where) {
      if (!json.is_object()) reject(json, where, "an object");
      std::vector<std::pair<std::string, ReadResult<Read>>> result;
      for (const auto& [name, value] : json.items()) result.emplace_back(name, read(value, Where(where, name)));
      return result;
    });
  }

  std::string text(std::string_view key) const { return get(key, read_text); }
  double number(std::string_view key) const { return get(key, read_double); }
  bool boolean(std::string_view key) const { return get(key, read_bool); }
  template <std::integral T>
  T integer(std::string_view key) const {
    return get(key, read_integer<T>);
  }

 private:
  const Json& json_;
  const Where& where_;
};

// Never throws for bytes that are not UTF-8 (object keys and values of foreign origin): they become U+FFFD.
std::string dump(const Json& json, int indent = -1);

// Parses a whole document. Throws Error(corrupted): "<what> is not valid JSON at byte N: <reason>".
Json parse(std::string_view text, std::string_view what);

}  // namespace warpwright::store::detail
