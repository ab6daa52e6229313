#include <array>
#include <bit>

#include <warpwright/model/data_type.hpp>

namespace warpwright {
namespace {

struct TypeName {
  DataType type;
  std::string_view name;
  std::size_t size;
};

constexpr std::array<TypeName, 12> types{{{DataType::int8, "int8", 1},
                                          {DataType::uint8, "uint8", 1},
                                          {DataType::int16, "int16", 2},
                                          {DataType::uint16, "uint16", 2},
                                          {DataType::int32, "int32", 4},
                                          {DataType::uint32, "uint32", 4},
                                          {DataType::int64, "int64", 8},
                                          {DataType::uint64, "uint64", 8},
                                          {DataType::float16, "float16", 2},
                                          {DataType::bfloat16, "bfloat16", 2},
                                          {DataType::float32, "float32", 4},
                                          {DataType::float64, "float64", 8}}};

// Names people bring from C, CUDA, OpenCL and T1 files.
constexpr std::array<TypeName, 6> aliases{{{DataType::float32, "float", 4},
                                           {DataType::float64, "double", 8},
                                           {DataType::float16, "half", 2},
                                           {DataType::int32, "int", 4},
                                           {DataType::uint32, "uint", 4},
                                           {DataType::int8, "char", 1}}};

}  // namespace

std::string_view to_string(DataType type) noexcept {
  for (const auto& entry : types) {
    if (entry.type == type) return entry.name;
  }
  return "unknown";
}

std::optional<DataType> parse_data_type(std::string_view text) {
  for (const auto& entry : types) {
    if (entry.name == text) return entry.type;
  }
  for (const auto& entry : aliases) {
    if (entry.name == text) return entry.type;
  }
  return std::nullopt;
}

const std::vector<std::string>& data_type_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const auto& entry : types) all.emplace_back(entry.name);
    for (const auto& entry : aliases) all.emplace_back(entry.name);
    return all;
  }();
  return names;
}

std::size_t size_of(DataType type) noexcept {
  for (const auto& entry : types) {
    if (entry.type == type) return entry.size;
  }
  return 0;
}

bool is_floating(DataType type) noexcept {
  return type == DataType::float16 || type == DataType::bfloat16 || type == DataType::float32 ||
         type == DataType::float64;
}

std::uint16_t float_to_half(float value) noexcept {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const auto sign = static_cast<std::uint16_t>((bits >> 16) & 0x8000u);
  const std::uint32_t magnitude = bits & 0x7FFFFFFFu;
  if (magnitude > 0x7F800000u) return static_cast<std::uint16_t>(sign | 0x7E00u | ((magnitude >> 13) & 0x1FFu));
  // 65520 is half way between the largest half, 65504, and the next power of two: it and all above round to infinity.
  if (magnitude >= 0x477FF000u) return static_cast<std::uint16_t>(sign | 0x7C00u);
  std::uint32_t significand = magnitude;
  int shift = 13;
  std::uint32_t base = 0;
  if (magnitude >= 0x38800000u) {  // 2^-14, the smallest normal half
    significand = magnitude - 0x38000000u;
  } else {
    const int exponent = static_cast<int>(magnitude >> 23);
    if (exponent < 102) return sign;  // below 2^-25, half of the smallest subnormal
    significand = (magnitude & 0x7FFFFFu) | 0x800000u;
    shift = 126 - exponent;  // 14 to 24
  }
  base = significand >> shift;
  const std::uint32_t rest = significand & ((1u << shift) - 1u);
  const std::uint32_t half = 1u << (shift - 1);
  if (rest > half || (rest == half && (base & 1u) != 0)) ++base;  // a carry into the exponent is the right result
  return static_cast<std::uint16_t>(sign | base);
}

float half_to_float(std::uint16_t bits) noexcept {
  const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x8000u) << 16;
  const std::uint32_t exponent = (bits >> 10) & 0x1Fu;
  const std::uint32_t fraction = bits & 0x3FFu;
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7F800000u | (fraction << 13));
  if (exponent != 0) return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (fraction << 13));
  const float magnitude = static_cast<float>(fraction) * 0x1p-24f;  // exact
  return sign != 0 ? -magnitude : magnitude;
}

std::uint16_t float_to_bfloat16(float value) noexcept {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7FFFFFFFu) > 0x7F800000u) return static_cast<std::uint16_t>((bits >> 16) | 0x40u);
  return static_cast<std::uint16_t>((bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16);
}

float bfloat16_to_float(std::uint16_t bits) noexcept {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

}  // namespace warpwright
