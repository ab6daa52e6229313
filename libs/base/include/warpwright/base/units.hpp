// Units live in types: no bare `double seconds` or `size_t size`.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <string>

namespace warpwright {

// Durations are fractional nanoseconds: device timers give fractions, and a double holds 104 days exactly.
using Nanoseconds = std::chrono::duration<double, std::nano>;
using Seconds = std::chrono::duration<double>;

struct Bytes {
  std::uint64_t count = 0;
  constexpr Bytes() = default;
  constexpr explicit Bytes(std::uint64_t n) : count(n) {}
  constexpr auto operator<=>(const Bytes&) const = default;
  constexpr Bytes operator+(Bytes other) const { return Bytes{count + other.count}; }
  constexpr Bytes operator-(Bytes other) const { return Bytes{count - other.count}; }
  constexpr Bytes operator*(std::uint64_t n) const { return Bytes{count * n}; }
};

// "1.25 ms", "480 MiB": three significant digits, for people. Machine output writes plain numbers with the unit in the
// key.
std::string format_duration(Nanoseconds duration);
std::string format_bytes(Bytes bytes);

}  // namespace warpwright
