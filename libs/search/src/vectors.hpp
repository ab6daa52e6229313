// Vectors of floats for the inner loops of the model, in versions for several instruction sets. Sums have a fixed order
// and products are not fused with sums (-ffp-contract=off), so every version gives the same bits. Private to this
// library.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <vector>

#if defined(__x86_64__) && defined(__GNUC__)
#define WARPWRIGHT_WIDE_VERSION 1
#else
#define WARPWRIGHT_WIDE_VERSION 0
#endif

namespace warpwright::detail {

// Several floats in one register where the processor has such; written as the compilers' vector type because arrays of
// sums are not reliably kept in registers.
using Four [[gnu::vector_size(16)]] = float;
using Eight [[gnu::vector_size(32)]] = float;
using Sixteen [[gnu::vector_size(64)]] = float;

// What a version is made of.
struct Wide {
  using Vector = Eight;
  using Mask [[gnu::vector_size(32)]] = std::int32_t;
  static constexpr std::size_t width = 8;
};
struct Widest {
  using Vector = Sixteen;
  using Mask [[gnu::vector_size(64)]] = std::int32_t;
  static constexpr std::size_t width = 16;
};

template <class Vector>
[[gnu::always_inline]] inline void load(Vector& vector, const void* from) {
  std::memcpy(&vector, from, sizeof vector);
}
template <class Vector>
[[gnu::always_inline]] inline void store(void* to, const Vector& vector) {
  std::memcpy(to, &vector, sizeof vector);
}

#if WARPWRIGHT_WIDE_VERSION
// Whether this processor runs functions with gnu::target("avx2"), which are made of Wide, and "avx512f", of Widest.
inline bool has_wide() { return __builtin_cpu_supports("avx2") != 0; }
inline bool has_widest() { return __builtin_cpu_supports("avx512f") != 0; }
#endif

// Floats that begin on a cache line, so that no vector straddles two.
template <class T>
struct LineAllocator {
  using value_type = T;
  LineAllocator() = default;
  template <class U>
  LineAllocator(const LineAllocator<U>&) {}
  T* allocate(std::size_t count) { return static_cast<T*>(::operator new (count * sizeof(T), std::align_val_t{64})); }
  void deallocate(T* at, std::size_t) { ::operator delete (at, std::align_val_t{64}); }
  bool operator==(const LineAllocator&) const { return true; }
};
using Floats = std::vector<float, LineAllocator<float>>;

}  // namespace warpwright::detail
