// One point of a parameter space, self-describing: an ordered list of (parameter, value).
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <warpwright/model/value.hpp>

namespace warpwright {

// Thread-compatible value type. Order is the declaration order of the parameters and is part of equality.
class Configuration {
 public:
  using Entry = std::pair<std::string, Value>;
  Configuration() = default;
  Configuration(std::initializer_list<Entry> entries) : entries_(entries) {}
  explicit Configuration(std::vector<Entry> entries) : entries_(std::move(entries)) {}

  // Null if there is no such parameter.
  const Value* find(std::string_view name) const;
  // Throws Error(not_found) naming the parameter.
  const Value& at(std::string_view name) const;
  // Replaces the value, or appends the parameter.
  void set(std::string_view name, Value value);

  std::size_t size() const { return entries_.size(); }
  bool empty() const { return entries_.empty(); }
  auto begin() const { return entries_.begin(); }
  auto end() const { return entries_.end(); }

  // "block_x=32, layout='row'": for people, and unique per configuration (literals), so it also serves as a map key.
  std::string describe() const;

  bool operator==(const Configuration& other) const = default;

 private:
  std::vector<Entry> entries_;
};

}  // namespace warpwright
