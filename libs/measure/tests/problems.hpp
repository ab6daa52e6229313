// Small problems for the tests, built by hand.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include <warpwright/model/problem.hpp>

namespace warpwright::measure::testing {

inline Argument buffer_argument(std::string name, DataType type, Access access, const std::string& size,
                                Fill fill = FillConstant{}) {
  Argument argument;
  argument.name = std::move(name);
  argument.type = type;
  argument.access = access;
  argument.size = Expression::parse(size);
  argument.fill = std::move(fill);
  return argument;
}

inline Argument scalar_argument(std::string name, DataType type, const std::string& value) {
  Argument argument;
  argument.name = std::move(name);
  argument.type = type;
  argument.access = Access::scalar;
  argument.value = Expression::parse(value);
  return argument;
}

inline Launch make_launch(std::string entry, std::vector<std::string> args, const std::string& block = "1",
                          const std::string& grid = "1") {
  Launch launch;
  launch.entry = std::move(entry);
  launch.args = std::move(args);
  launch.block = {Expression::parse(block)};
  launch.grid = {Expression::parse(grid)};
  return launch;
}

inline Parameter make_parameter(std::string name, std::vector<Value> values,
                                ParameterRole role = ParameterRole::define) {
  Parameter parameter;
  parameter.name = std::move(name);
  parameter.values = std::move(values);
  parameter.role = role;
  return parameter;
}

inline Value integer(std::int64_t value) { return Value{value}; }

template <class T>
std::vector<T> values_of(const std::vector<std::byte>& bytes) {
  std::vector<T> values(bytes.size() / sizeof(T));
  std::copy_n(bytes.data(), values.size() * sizeof(T), reinterpret_cast<std::byte*>(values.data()));
  return values;
}

template <class T>
std::vector<std::byte> bytes_of(const std::vector<T>& values) {
  std::vector<std::byte> bytes(values.size() * sizeof(T));
  std::copy_n(reinterpret_cast<const std::byte*>(values.data()), bytes.size(), bytes.data());
  return bytes;
}

}  // namespace warpwright::measure::testing
