// Method: blocks whose bytes are equal pass without arithmetic (a correct kernel often reproduces the reference to the
// bit); other blocks are counted by a loop without branches, which the compiler vectorises; only blocks with a
// suspicious element are looked at one by one.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <fmt/format.h>
#include <limits>
#include <type_traits>
#include <utility>

#include <warpwright/base/error.hpp>
#include <warpwright/measure/verify.hpp>

namespace warpwright::measure {
namespace {

constexpr std::size_t block_elements = 4096;

// Which sign bit a NaN has means nothing.
template <class T>
std::string print_number(T value) {
  if constexpr (std::is_floating_point_v<T>) {
    if (std::isnan(value)) return "nan";
  }
  return fmt::format("{}", value);
}

// How the raw elements of a type are read for comparison: `Raw` as stored, widened to `Wide`.
template <class T>
struct Plain {
  using Raw = T;
  using Wide = std::conditional_t<std::is_floating_point_v<T>, double, T>;
  static Wide widen(Raw raw) { return raw; }
  static std::string print(Raw raw) { return print_number(raw); }
};
struct HalfReader {
  using Raw = std::uint16_t;
  using Wide = double;
  static Wide widen(Raw raw) { return half_to_float(raw); }
  static std::string print(Raw raw) { return print_number(half_to_float(raw)); }
};
struct BFloat16Reader {
  using Raw = std::uint16_t;
  using Wide = double;
  static Wide widen(Raw raw) { return bfloat16_to_float(raw); }
  static std::string print(Raw raw) { return print_number(bfloat16_to_float(raw)); }
};

// Steps between neighbouring values of a floating type, read from its bits: sign-magnitude becomes a line on which -0
// and +0 are one point. Neither is NaN or infinite.
template <class Raw>
std::uint64_t steps_between(Raw a, Raw b) {
  using Bits = std::conditional_t<sizeof(Raw) == 2, std::uint16_t,
                                  std::conditional_t<sizeof(Raw) == 4, std::uint32_t, std::uint64_t>>;
  constexpr Bits sign = Bits{1} << (8 * sizeof(Bits) - 1);
  const auto place = [](Raw raw) {
    const auto bits = std::bit_cast<Bits>(raw);
    const auto magnitude = static_cast<std::int64_t>(bits & static_cast<Bits>(sign - 1));
    return (bits & sign) != 0 ? -magnitude : magnitude;
  };
  const std::int64_t x = place(a), y = place(b);
  return x > y ? static_cast<std::uint64_t>(x) - static_cast<std::uint64_t>(y)
               : static_cast<std::uint64_t>(y) - static_cast<std::uint64_t>(x);
}

enum class Verdict { good, wrong, not_finite };

// The largest difference that is right of an element, but for units in the last place.
double allowance(double magnitude, const Tolerance& tolerance) {
  return std::max(tolerance.atol + tolerance.rtol * magnitude, tolerance.anywhere);
}

Verdict judge(double expected, double found, const Tolerance& tolerance) {
  if (std::isfinite(expected) && std::isfinite(found)) {
    return std::abs(found - expected) <= allowance(std::abs(expected), tolerance) ? Verdict::good : Verdict::wrong;
  }
  if (std::isnan(expected) && std::isnan(found)) return Verdict::good;
  if (std::isinf(expected) && expected == found) return Verdict::good;
  return std::isfinite(found) ? Verdict::wrong : Verdict::not_finite;
}

template <class T>
requires std::is_integral_v<T> Verdict judge(T expected, T found, const Tolerance& tolerance) {
  const auto low = static_cast<std::uint64_t>(std::min(expected, found));
  const auto high = static_cast<std::uint64_t>(std::max(expected, found));
  const std::uint64_t difference = high - low;  // exact: modulo 2^64 also across the sign
  const double allowed = allowance(std::abs(static_cast<double>(expected)), tolerance);
  // The comparison is made in integers: a double cannot tell differences above 2^53 apart.
  if (allowed >= 0x1p64 || difference <= static_cast<std::uint64_t>(allowed)) return Verdict::good;
  return Verdict::wrong;
}

// Whether the block may hold a bad element; false is certain.
template <class Reader>
bool suspicious(const typename Reader::Raw* expected, const typename Reader::Raw* found, std::size_t count,
                const Tolerance& tolerance) {
  if constexpr (std::is_same_v<typename Reader::Wide, double>) {
    constexpr double largest = std::numeric_limits<double>::max();
    unsigned bad = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const double e = Reader::widen(expected[i]);
      const double f = Reader::widen(found[i]);
      const double magnitude = std::abs(e);
      // Written so that NaN and infinities anywhere make one of the comparisons false.
      bad |= static_cast<unsigned>(!(std::abs(f - e) <= allowance(magnitude, tolerance))) |
             static_cast<unsigned>(!(magnitude <= largest)) | static_cast<unsigned>(!(std::abs(f) <= largest));
    }
    return bad != 0;
  } else {
    return true;
  }
}

template <class Reader>
Comparison compare_as(std::span<const std::byte> expected, std::span<const std::byte> found, const Tolerance& tolerance,
                      const std::string& argument) {
  using Raw = typename Reader::Raw;
  const std::size_t total = expected.size() / sizeof(Raw);
  Comparison result;
  std::uint64_t wrong = 0;
  bool not_finite = false;
  Raw expected_block[block_elements];
  Raw found_block[block_elements];
  for (std::size_t start = 0; start < total; start += block_elements) {
    const std::size_t count = std::min(block_elements, total - start);
    const std::byte* expected_bytes = expected.data() + start * sizeof(Raw);
    const std::byte* found_bytes = found.data() + start * sizeof(Raw);
    if (std::memcmp(expected_bytes, found_bytes, count * sizeof(Raw)) == 0) continue;
    std::memcpy(expected_block, expected_bytes, count * sizeof(Raw));  // the spans need not be aligned
    std::memcpy(found_block, found_bytes, count * sizeof(Raw));
    if (!suspicious<Reader>(expected_block, found_block, count, tolerance)) continue;
    for (std::size_t i = 0; i < count; ++i) {
      const Verdict verdict = judge(Reader::widen(expected_block[i]), Reader::widen(found_block[i]), tolerance);
      if (verdict == Verdict::good) continue;
      if constexpr (std::is_same_v<typename Reader::Wide, double>) {
        if (verdict == Verdict::wrong && tolerance.ulp > 0 && std::isfinite(Reader::widen(expected_block[i])) &&
            steps_between(expected_block[i], found_block[i]) <= tolerance.ulp)
          continue;
      } else if (tolerance.ulp > 0) {
        // Of an integer a unit in the last place is 1.
        if (judge(expected_block[i], found_block[i], Tolerance{0, static_cast<double>(tolerance.ulp)}) == Verdict::good)
          continue;
      }
      not_finite = not_finite || verdict == Verdict::not_finite;
      if (wrong++ == 0) {
        result.mismatch =
            Mismatch{argument, start + i, Reader::print(expected_block[i]), Reader::print(found_block[i]), 0, 0};
      }
    }
  }
  if (wrong > 0) {
    result.status = not_finite ? TrialStatus::not_finite : TrialStatus::wrong_result;
    result.mismatch->wrong = wrong;
    result.mismatch->total = total;
  }
  return result;
}

// visit(Reader) for the elements of `type`.
template <class Visit>
auto with_reader(DataType type, Visit visit) {
  switch (type) {
    case DataType::int8:
      return visit(Plain<std::int8_t>{});
    case DataType::uint8:
      return visit(Plain<std::uint8_t>{});
    case DataType::int16:
      return visit(Plain<std::int16_t>{});
    case DataType::uint16:
      return visit(Plain<std::uint16_t>{});
    case DataType::int32:
      return visit(Plain<std::int32_t>{});
    case DataType::uint32:
      return visit(Plain<std::uint32_t>{});
    case DataType::int64:
      return visit(Plain<std::int64_t>{});
    case DataType::uint64:
      return visit(Plain<std::uint64_t>{});
    case DataType::float16:
      return visit(HalfReader{});
    case DataType::bfloat16:
      return visit(BFloat16Reader{});
    case DataType::float32:
      return visit(Plain<float>{});
    case DataType::float64:
      return visit(Plain<double>{});
  }
  throw Error(ErrorCode::internal, "unknown data type");
}

template <class Reader, class Visit>
void for_each_element(std::span<const std::byte> data, Visit visit) {
  typename Reader::Raw raw;
  for (std::size_t offset = 0; offset + sizeof(raw) <= data.size(); offset += sizeof(raw)) {
    std::memcpy(&raw, data.data() + offset, sizeof(raw));
    visit(raw);
  }
}

double largest_magnitude(std::span<const std::byte> data, DataType type) {
  return with_reader(type, [&](auto reader) {
    using Reader = decltype(reader);
    double largest = 0;
    for_each_element<Reader>(data, [&](auto raw) {
      const double magnitude = std::abs(static_cast<double>(Reader::widen(raw)));
      if (magnitude > largest && std::isfinite(magnitude)) largest = magnitude;
    });
    return largest;
  });
}

}  // namespace

Tolerance Tolerance::of(const Output& output, std::span<const std::byte> expected, DataType type) {
  Tolerance tolerance{output.rtol, output.atol, output.ulp, 0};
  if (output.normwise > 0) tolerance.anywhere = output.normwise * largest_magnitude(expected, type);
  return tolerance;
}

Comparison compare(std::span<const std::byte> expected, std::span<const std::byte> found, DataType type,
                   const Tolerance& tolerance, const std::string& argument) {
  if (expected.size() != found.size() || expected.size() % size_of(type) != 0) {
    throw Error(ErrorCode::internal, fmt::format("output '{}': {} bytes expected, {} bytes found, elements of {} bytes",
                                                 argument, expected.size(), found.size(), size_of(type)));
  }
  const auto usable = [](double number) { return std::isfinite(number) && number >= 0; };
  if (!usable(tolerance.rtol) || !usable(tolerance.atol) || !usable(tolerance.anywhere)) {
    throw Error(
        ErrorCode::bad_input,
        fmt::format("output '{}': rtol is {}, atol is {} and the norm-wise tolerance {}; all must be finite and "
                    "not negative",
                    argument, tolerance.rtol, tolerance.atol, tolerance.anywhere));
  }
  return with_reader(type,
                     [&](auto reader) { return compare_as<decltype(reader)>(expected, found, tolerance, argument); });
}

namespace {

template <class To, class From>
To as_type(From value) {
  if constexpr (std::is_integral_v<To>) {
    if constexpr (std::is_floating_point_v<From>) {
      if (std::isnan(value)) return 0;
      const double limit = std::ldexp(1.0, std::numeric_limits<To>::digits);
      if (value >= limit) return std::numeric_limits<To>::max();
      if (value < (std::is_signed_v<To> ? -limit : 0.0)) return std::numeric_limits<To>::min();
      return static_cast<To>(std::nearbyint(value));
    } else {
      if (std::in_range<To>(value)) return static_cast<To>(value);
      return value < From{} ? std::numeric_limits<To>::min() : std::numeric_limits<To>::max();
    }
  } else {
    return static_cast<To>(value);
  }
}

template <class Reader, class From>
typename Reader::Raw stored(From value) {
  if constexpr (std::is_same_v<Reader, HalfReader>) {
    return float_to_half(as_type<float>(value));
  } else if constexpr (std::is_same_v<Reader, BFloat16Reader>) {
    return float_to_bfloat16(as_type<float>(value));
  } else {
    return as_type<typename Reader::Raw>(value);
  }
}

template <class T>
std::vector<std::byte> bytes_of(const T& value) {
  std::vector<std::byte> bytes(sizeof(T));
  std::memcpy(bytes.data(), &value, sizeof(T));
  return bytes;
}

}  // namespace

std::vector<std::byte> converted(std::span<const std::byte> data, DataType from, DataType to) {
  if (from == to) return {data.begin(), data.end()};
  std::vector<std::byte> result(data.size() / size_of(from) * size_of(to));
  with_reader(from, [&](auto source) {
    using Source = decltype(source);
    with_reader(to, [&](auto target) {
      using Target = decltype(target);
      std::size_t at = 0;
      for_each_element<Source>(data, [&](auto raw) {
        const auto value = stored<Target>(Source::widen(raw));
        std::memcpy(result.data() + at, &value, sizeof(value));
        at += sizeof(value);
      });
    });
  });
  return result;
}

DataType sum_type(DataType type) noexcept { return is_floating(type) ? DataType::float64 : DataType::int64; }

std::vector<std::byte> sum_of(std::span<const std::byte> data, DataType type) {
  return with_reader(type, [&](auto reader) {
    using Reader = decltype(reader);
    if constexpr (std::is_same_v<typename Reader::Wide, double>) {
      // Neumaier's compensation: the order in which kernels leave partial sums must not decide.
      double sum = 0, lost = 0;
      for_each_element<Reader>(data, [&](auto raw) {
        const double value = Reader::widen(raw);
        const double next = sum + value;
        if (std::isfinite(next)) lost += std::abs(sum) >= std::abs(value) ? sum - next + value : value - next + sum;
        sum = next;
      });
      return bytes_of(sum + lost);
    } else {
      std::uint64_t sum = 0;
      for_each_element<Reader>(data, [&](auto raw) { sum += static_cast<std::uint64_t>(raw); });
      return bytes_of(static_cast<std::int64_t>(sum));
    }
  });
}

ReferenceOutput describe_expected(std::span<const std::byte> expected, DataType type, const Tolerance& tolerance,
                                  const std::string& argument) {
  ReferenceOutput result;
  result.argument = argument;
  result.elements = expected.size() / size_of(type);
  result.largest = largest_magnitude(expected, type);
  with_reader(type, [&](auto reader) {
    using Reader = decltype(reader);
    using Raw = typename Reader::Raw;
    for_each_element<Reader>(expected, [&](Raw raw) {
      const auto value = Reader::widen(raw);
      if constexpr (std::is_same_v<typename Reader::Wide, double>) {
        if (std::isnan(value)) ++result.nan;
        if (!std::isfinite(value)) return;
      }
      if (value == 0) return;
      bool passes = judge(value, decltype(value){0}, tolerance) == Verdict::good;
      if constexpr (std::is_same_v<typename Reader::Wide, double>) {
        passes = passes || (tolerance.ulp > 0 && steps_between(raw, Raw{0}) <= tolerance.ulp);
      } else {
        passes = passes ||
                 (tolerance.ulp > 0 &&
                  judge(value, decltype(value){0}, Tolerance{0, static_cast<double>(tolerance.ulp)}) == Verdict::good);
      }
      if (passes) ++result.passing_zero;
    });
  });
  return result;
}

std::vector<std::string> warnings_about(const std::vector<ReferenceOutput>& outputs) {
  std::vector<std::string> warnings;
  for (const ReferenceOutput& output : outputs) {
    if (output.nan > 0)
      warnings.push_back(
          fmt::format("the reference's output '{}' holds {} NaN among {} elements; only NaN counts as "
                      "right there, and any NaN does",
                      output.argument, output.nan, output.elements));
    if (output.passing_zero > 0 && output.passing_zero >= output.elements / 100)
      warnings.push_back(
          fmt::format("{} of {} elements of output '{}' would pass as 0: the tolerance is as large as they are (the "
                      "largest is {:.3g}"
                      "); lower atol, or give the output `normwise`",
                      output.passing_zero, output.elements, output.argument, output.largest));
  }
  return warnings;
}

}  // namespace warpwright::measure
