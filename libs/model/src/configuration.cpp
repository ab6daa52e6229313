#include <algorithm>

#include <warpwright/base/error.hpp>
#include <warpwright/model/configuration.hpp>

namespace warpwright {

const Value* Configuration::find(std::string_view name) const {
  const auto entry = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& e) { return e.first == name; });
  return entry == entries_.end() ? nullptr : &entry->second;
}

const Value& Configuration::at(std::string_view name) const {
  if (const Value* value = find(name)) return *value;
  std::string message = "the configuration has no '" + std::string(name) + "'";
  std::vector<std::string> known;
  for (const auto& entry : entries_) known.push_back(entry.first);
  if (const auto match = closest_match(name, known)) message += "; did you mean '" + *match + "'?";
  throw Error(ErrorCode::not_found, message);
}

void Configuration::set(std::string_view name, Value value) {
  for (auto& entry : entries_) {
    if (entry.first == name) {
      entry.second = std::move(value);
      return;
    }
  }
  entries_.emplace_back(std::string(name), std::move(value));
}

std::string Configuration::describe() const {
  if (entries_.empty()) return "(none)";
  std::string text;
  for (const auto& [name, value] : entries_) {
    if (!text.empty()) text += ", ";
    text += name + "=" + to_literal(value);
  }
  return text;
}

}  // namespace warpwright
