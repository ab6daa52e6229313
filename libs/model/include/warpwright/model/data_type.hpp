// Element types of kernel arguments.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace warpwright {

enum class DataType { int8, uint8, int16, uint16, int32, uint32, int64, uint64, float16, bfloat16, float32, float64 };

// "float32"; with components, "float32x4".
std::string_view to_string(DataType type) noexcept;
std::optional<DataType> parse_data_type(std::string_view text);
// Every name parse_data_type accepts, for error messages.
const std::vector<std::string>& data_type_names();
std::size_t size_of(DataType type) noexcept;
bool is_floating(DataType type) noexcept;

// IEEE binary16 and bfloat16, round to nearest even; NaN stays NaN.
std::uint16_t float_to_half(float value) noexcept;
float half_to_float(std::uint16_t bits) noexcept;
std::uint16_t float_to_bfloat16(float value) noexcept;
float bfloat16_to_float(std::uint16_t bits) noexcept;

}  // namespace warpwright
