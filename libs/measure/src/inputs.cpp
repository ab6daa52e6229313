#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <limits>
#include <new>
#include <optional>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <warpwright/base/error.hpp>
#include <warpwright/base/rng.hpp>
#include <warpwright/base/units.hpp>
#include <warpwright/measure/inputs.hpp>

namespace warpwright::measure {
namespace {

// 16-bit floats as types of their own, so that one template serves every element type.
struct Half {
  std::uint16_t bits;
};
struct BFloat16 {
  std::uint16_t bits;
};

[[noreturn]] void not_representable(double value, DataType type) {
  throw Error(ErrorCode::bad_input, fmt::format("fill value {} is not representable as {}", value, to_string(type)));
}

// Whether `value` lies in the range of the integer type T; its bounds as doubles may round up, hence the powers of two.
template <class T>
bool in_range(double value) {
  const double limit = std::ldexp(1.0, std::numeric_limits<T>::digits);
  return std::is_signed_v<T> ? value >= -limit && value < limit : value >= 0 && value < limit;
}

// Exact for integers; nearest for floats. Throws where a finite value becomes infinite.
template <class T>
T convert(double value, DataType type) {
  if constexpr (std::is_integral_v<T>) {
    if (!(value == std::floor(value)) || !in_range<T>(value)) not_representable(value, type);
    return static_cast<T>(value);
  } else if constexpr (std::is_same_v<T, double>) {
    return value;
  } else {
    if (std::isfinite(value) && std::abs(value) > double{std::numeric_limits<float>::max()})
      not_representable(value, type);
    const auto narrow = static_cast<float>(value);
    T result{};
    float back = narrow;
    if constexpr (std::is_same_v<T, Half>) {
      result.bits = float_to_half(narrow);
      back = half_to_float(result.bits);
    } else if constexpr (std::is_same_v<T, BFloat16>) {
      result.bits = float_to_bfloat16(narrow);
      back = bfloat16_to_float(result.bits);
    } else {
      result = narrow;
    }
    if (std::isinf(back) && std::isfinite(value)) not_representable(value, type);
    return result;
  }
}

std::uint64_t salted(std::uint64_t seed, std::uint64_t salt) { return salt == 0 ? seed : derive_seed(seed, salt); }

template <class T>
void fill(const FillConstant& fill, DataType type, std::uint64_t elements, std::uint64_t /*salt*/, T* out) {
  std::fill_n(out, elements, convert<T>(fill.value, type));
}

template <class T>
void fill(const FillUniform& fill, DataType type, std::uint64_t elements, std::uint64_t salt, T* out) {
  if (!(fill.low <= fill.high)) {
    throw Error(ErrorCode::bad_input,
                fmt::format("uniform fill from {} to {}: the first must not exceed the second", fill.low, fill.high));
  }
  Rng rng(salted(fill.seed, salt));
  if constexpr (std::is_integral_v<T>) {
    const double low = std::ceil(fill.low);
    const double high = std::floor(fill.high);
    if (low > high) {
      throw Error(ErrorCode::bad_input, fmt::format("uniform fill from {} to {} holds no integer, and the type is {}",
                                                    fill.low, fill.high, to_string(type)));
    }
    // 2^63 and 2^64 are what "the largest value" rounds to when written as a double.
    const bool up_to_max = sizeof(T) == 8 && high == std::ldexp(1.0, std::numeric_limits<T>::digits);
    if (!in_range<T>(low)) not_representable(low, type);
    if (!up_to_max && !in_range<T>(high)) not_representable(high, type);
    const auto first = static_cast<std::uint64_t>(static_cast<T>(low));
    const auto last = static_cast<std::uint64_t>(up_to_max ? std::numeric_limits<T>::max() : static_cast<T>(high));
    const std::uint64_t count = last - first + 1;  // 0 stands for 2^64
    for (std::uint64_t i = 0; i < elements; ++i) {
      out[i] = static_cast<T>(first + (count == 0 ? rng.next() : rng.below(count)));
    }
  } else {
    const double width = fill.high - fill.low;
    // fma instead of * and +: compilers contract those on some machines only.
    for (std::uint64_t i = 0; i < elements; ++i) out[i] = convert<T>(std::fma(width, rng.uniform(), fill.low), type);
  }
}

template <class T>
void fill(const FillNormal& fill, DataType type, std::uint64_t elements, std::uint64_t salt, T* out) {
  Rng rng(salted(fill.seed, salt));
  for (std::uint64_t i = 0; i < elements; ++i) {
    double value = std::fma(fill.deviation, rng.normal(), fill.mean);
    if constexpr (std::is_integral_v<T>) {
      // The tails of the distribution saturate: a rare far value must not make the specification unusable.
      value = std::nearbyint(value);
      if (!in_range<T>(value)) {
        if (std::isnan(value)) not_representable(value, type);
        out[i] = value < 0 ? std::numeric_limits<T>::min() : std::numeric_limits<T>::max();
        continue;
      }
    }
    out[i] = convert<T>(value, type);
  }
}

template <class T>
void fill(const FillIota& fill, DataType type, std::uint64_t elements, std::uint64_t /*salt*/, T* out) {
  for (std::uint64_t i = 0; i < elements; ++i) {
    out[i] = convert<T>(std::fma(fill.step, static_cast<double>(i), fill.start), type);
  }
}

template <class T>
void fill(const FillFormula& fill, DataType type, std::uint64_t elements, std::uint64_t /*salt*/, T* out) {
  std::vector<std::string> names;
  std::vector<Value> values;
  for (const auto& [name, value] : fill.known) {
    names.push_back(name);
    values.push_back(value);
  }
  // Behind the dimensions, where one of the same name would be found first.
  const std::size_t place = values.size();
  for (std::string& name : formula_names(fill)) {
    names.push_back(std::move(name));
    values.emplace_back(std::int64_t{0});
  }
  const BoundExpression formula = fill.formula.bind(names);
  for (std::uint64_t i = 0; i < elements; ++i) {
    const auto index = static_cast<std::int64_t>(i);
    values[place] = index;
    if (fill.elements_per_row > 0) {
      values[place + 1] = index / fill.elements_per_row;
      values[place + 2] = index % fill.elements_per_row;
    }
    const ExpressionValue value = formula.evaluate(values);
    const bool scalar =
        !std::holds_alternative<std::monostate>(value) && !std::holds_alternative<ExpressionList>(value);
    const std::optional<double> number = scalar ? as_number(value.scalar()) : std::nullopt;
    if (!number) {
      throw Error(ErrorCode::bad_input, fmt::format("element {} of a formula must be a number, and \"{}\" gives {}", i,
                                                    fill.formula.text(), value.describe()));
    }
    out[i] = convert<T>(*number, type);
  }
}

template <class T>
double sort_key(T value) {
  if constexpr (std::is_same_v<T, Half>) {
    return half_to_float(value.bits);
  } else if constexpr (std::is_same_v<T, BFloat16>) {
    return bfloat16_to_float(value.bits);
  } else {
    return static_cast<double>(value);
  }
}

template <class T>
void put_in_order(FillOrder order, T* begin, T* end) {
  const auto less = [](T a, T b) {
    if constexpr (std::is_integral_v<T>) {
      return a < b;
    } else {
      return sort_key(a) < sort_key(b);
    }
  };
  if (order == FillOrder::ascending) std::sort(begin, end, less);
  if (order == FillOrder::descending) std::sort(begin, end, [&](T a, T b) { return less(b, a); });
}

template <class FillType, class T>
std::vector<std::byte> filled(const FillType& how, DataType type, std::uint64_t elements, std::uint64_t salt) {
  std::vector<std::byte> bytes(elements * sizeof(T));
  // operator new aligns for every element type, and bytes may hold any trivial one.
  T* const data = reinterpret_cast<T*>(bytes.data());
  fill(how, type, elements, salt, data);
  if constexpr (requires { how.order; }) put_in_order(how.order, data, data + elements);
  return bytes;
}

template <class FillType>
std::vector<std::byte> filled_as(const FillType& how, DataType type, std::uint64_t elements, std::uint64_t salt) {
  switch (type) {
    case DataType::int8:
      return filled<FillType, std::int8_t>(how, type, elements, salt);
    case DataType::uint8:
      return filled<FillType, std::uint8_t>(how, type, elements, salt);
    case DataType::int16:
      return filled<FillType, std::int16_t>(how, type, elements, salt);
    case DataType::uint16:
      return filled<FillType, std::uint16_t>(how, type, elements, salt);
    case DataType::int32:
      return filled<FillType, std::int32_t>(how, type, elements, salt);
    case DataType::uint32:
      return filled<FillType, std::uint32_t>(how, type, elements, salt);
    case DataType::int64:
      return filled<FillType, std::int64_t>(how, type, elements, salt);
    case DataType::uint64:
      return filled<FillType, std::uint64_t>(how, type, elements, salt);
    case DataType::float16:
      return filled<FillType, Half>(how, type, elements, salt);
    case DataType::bfloat16:
      return filled<FillType, BFloat16>(how, type, elements, salt);
    case DataType::float32:
      return filled<FillType, float>(how, type, elements, salt);
    case DataType::float64:
      return filled<FillType, double>(how, type, elements, salt);
  }
  throw Error(ErrorCode::internal, "unknown data type");
}

std::vector<std::byte> from_file(const FillNpy& fill, DataType type, std::uint64_t elements) {
  NpyArray array = read_npy(fill.file);
  // NumPy itself has no bfloat16: its users keep the bits in uint16.
  const bool same = array.type == type || (type == DataType::bfloat16 && array.type == DataType::uint16);
  if (!same) {
    throw Error(ErrorCode::bad_input,
                fmt::format("holds {}, the argument is {}; convert it with array.astype(...)", to_string(array.type),
                            to_string(type)),
                {fill.file.string(), 0, 0, {}});
  }
  const std::uint64_t found = array.data.size() / size_of(type);
  if (found != elements) {
    throw Error(ErrorCode::bad_input, fmt::format("holds {} elements, the argument needs {}", found, elements),
                {fill.file.string(), 0, 0, {}});
  }
  return std::move(array.data);
}

std::vector<std::byte> from_file(const FillRaw& fill, DataType type, std::uint64_t elements) {
  const InputPosition where{fill.file.string(), 0, 0, {}};
  std::error_code failed;
  const std::uintmax_t size = std::filesystem::file_size(fill.file, failed);
  if (failed) throw Error(ErrorCode::not_found, "cannot be read: " + failed.message(), where);
  const std::uint64_t wanted = elements * size_of(type);
  if (size != wanted) {
    throw Error(ErrorCode::bad_input,
                fmt::format("has {} bytes, and the argument needs {}: {} elements of {}", size, wanted, elements,
                            to_string(type)),
                where);
  }
  std::ifstream file(fill.file, std::ios::binary);
  std::vector<std::byte> data(wanted);
  if (!file.read(reinterpret_cast<char*>(data.data()), static_cast<std::streamsize>(wanted))) {
    throw Error(ErrorCode::io, "cannot be read", where);
  }
  return data;
}

}  // namespace

std::vector<std::byte> generate(const Fill& fill, DataType type, std::uint64_t elements, std::uint64_t salt) {
  if (elements > std::vector<std::byte>{}.max_size() / size_of(type)) {
    throw Error(ErrorCode::bad_input,
                fmt::format("{} elements of {} exceed the address space", elements, to_string(type)));
  }
  try {
    return std::visit(
        [&](const auto& how) -> std::vector<std::byte> {
          using How = std::decay_t<decltype(how)>;
          if constexpr (std::is_same_v<How, FillNpy> || std::is_same_v<How, FillRaw>) {
            return from_file(how, type, elements);
          } else {
            return filled_as(how, type, elements, salt);
          }
        },
        fill);
  } catch (const std::bad_alloc&) {
    throw Error(ErrorCode::out_of_memory,
                fmt::format("no host memory for {} of input data", format_bytes(Bytes{elements * size_of(type)})));
  }
}

}  // namespace warpwright::measure
