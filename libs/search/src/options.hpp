// Values of a strategy's options; the registry has checked names and kinds. Private to this library.
#pragma once

#include <cstdint>
#include <string>

#include <warpwright/base/error.hpp>
#include <warpwright/search/search_algorithm.hpp>

namespace warpwright::detail {

inline double number_option(const StrategySettings& settings, const char* name, double fallback) {
  const auto option = settings.options.find(name);
  return option == settings.options.end() ? fallback : as_number(option->second).value_or(fallback);
}

inline std::uint64_t integer_option(const StrategySettings& settings, const char* name, std::uint64_t fallback) {
  const auto option = settings.options.find(name);
  if (option == settings.options.end()) return fallback;
  const auto value = as_integer(option->second);
  if (!value || *value < 0)
    throw Error(ErrorCode::bad_input, std::string("option '") + name + "' must be a whole number, at least 0, found " +
                                          to_literal(option->second));
  return static_cast<std::uint64_t>(*value);
}

}  // namespace warpwright::detail
