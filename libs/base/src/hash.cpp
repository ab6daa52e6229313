#include <fmt/format.h>

#include <warpwright/base/hash.hpp>

#define XXH_INLINE_ALL
#include <array>
#include <new>
#include <xxhash.h>

namespace warpwright {

ContentHash::ContentHash() : state_(XXH3_createState()) {
  if (state_ == nullptr) throw std::bad_alloc();
  XXH3_128bits_reset(static_cast<XXH3_state_t*>(state_));
}

ContentHash::~ContentHash() { XXH3_freeState(static_cast<XXH3_state_t*>(state_)); }

ContentHash& ContentHash::add(std::string_view bytes) {
  add(static_cast<std::uint64_t>(bytes.size()));
  XXH3_128bits_update(static_cast<XXH3_state_t*>(state_), bytes.data(), bytes.size());
  return *this;
}

ContentHash& ContentHash::add(std::uint64_t number) {
  std::array<unsigned char, 8> little_endian{};
  for (auto& byte : little_endian) {
    byte = static_cast<unsigned char>(number & 0xFFu);
    number >>= 8;
  }
  XXH3_128bits_update(static_cast<XXH3_state_t*>(state_), little_endian.data(), little_endian.size());
  return *this;
}

std::string ContentHash::hex() {
  const XXH128_hash_t digest = XXH3_128bits_digest(static_cast<XXH3_state_t*>(state_));
  return fmt::format("{:016x}{:016x}", digest.high64, digest.low64);
}

std::string content_hash(std::string_view bytes) { return ContentHash{}.add(bytes).hex(); }

}  // namespace warpwright
