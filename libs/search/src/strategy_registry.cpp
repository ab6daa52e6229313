#include <algorithm>

#include <warpwright/base/error.hpp>
#include <warpwright/search/search_algorithm.hpp>

namespace warpwright {
namespace {

std::string join(const std::vector<std::string>& words) {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

bool same_kind(const Value& a, const Value& b) {
  // An integer is welcome where a fraction is expected, not the reverse.
  return a.index() == b.index() || (std::holds_alternative<double>(a) && std::holds_alternative<std::int64_t>(b));
}

std::string kind_name(const Value& value) {
  if (std::holds_alternative<std::int64_t>(value)) return "an integer";
  if (std::holds_alternative<double>(value)) return "a number";
  return std::holds_alternative<bool>(value) ? "true or false" : "a string";
}

void check_options(const StrategyInfo& info, const StrategySettings& settings) {
  std::vector<std::string> known;
  for (const auto& option : info.options) known.push_back(option.name);
  for (const auto& [name, value] : settings.options) {
    const auto option = std::find_if(info.options.begin(), info.options.end(),
                                     [&, wanted = &name](const StrategyOption& o) { return o.name == *wanted; });
    if (option == info.options.end()) {
      std::string message = "strategy '" + info.name + "' has no option '" + name + "'";
      if (known.empty()) throw Error(ErrorCode::bad_input, message + "; it has none at all");
      if (const auto match = closest_match(name, known)) message += "; did you mean '" + *match + "'?";
      throw Error(ErrorCode::bad_input, message + "; its options are " + join(known));
    }
    if (!same_kind(option->default_value, value)) {
      throw Error(ErrorCode::bad_input, "option '" + name + "' of strategy '" + info.name + "' must be " +
                                            kind_name(option->default_value) + " (default " +
                                            to_literal(option->default_value) + "), found " + to_literal(value));
    }
  }
}

}  // namespace

StrategyRegistry StrategyRegistry::with_defaults() {
  StrategyRegistry registry;
  registry.add({"exhaustive", "Every valid configuration, in the order of the space", {}, false}, &make_exhaustive);
  registry.add({"random", "Valid configurations uniformly at random, none twice", {}, true}, &make_random);
  return registry;
}

void StrategyRegistry::add(StrategyInfo info, Factory factory) {
  const auto same = [&](const StrategyInfo& other) { return other.name == info.name; };
  if (std::any_of(infos_.begin(), infos_.end(), same)) {
    throw Error(ErrorCode::conflict, "a strategy named '" + info.name + "' is registered already");
  }
  infos_.push_back(std::move(info));
  factories_.push_back(std::move(factory));
}

std::unique_ptr<SearchAlgorithm> StrategyRegistry::create(const std::string& name, const Space& space,
                                                          const StrategySettings& settings) const {
  std::vector<std::string> known;
  for (std::size_t i = 0; i < infos_.size(); ++i) {
    known.push_back(infos_[i].name);
    if (infos_[i].name != name) continue;
    check_options(infos_[i], settings);
    return factories_[i](space, settings);
  }
  std::string message = "unknown strategy '" + name + "'";
  if (const auto match = closest_match(name, known)) message += "; did you mean '" + *match + "'?";
  throw Error(ErrorCode::bad_input, message + "; known are " + join(known));
}

}  // namespace warpwright
