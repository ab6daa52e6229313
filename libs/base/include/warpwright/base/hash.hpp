// Content hashes for cache keys and profile keys (XXH3, 128 bits; not cryptographic, stable across platforms and
// versions).
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace warpwright {

// Incremental. Every `add` is length-prefixed, so ("ab","c") and ("a","bc") differ. Thread-compatible.
class ContentHash {
 public:
  ContentHash();
  ~ContentHash();
  ContentHash(const ContentHash&) = delete;
  ContentHash& operator=(const ContentHash&) = delete;

  ContentHash& add(std::string_view bytes);
  ContentHash& add(std::uint64_t number);
  // 32 lower-case hexadecimal digits. May be called once.
  std::string hex();

 private:
  void* state_;
};

std::string content_hash(std::string_view bytes);

}  // namespace warpwright
