// Input data from the program's own memory, where every process of a session can read them: a worker gets a problem as
// text, and gigabytes of numbers are no text.
// Method: one copy in a file of shared memory (/dev/shm, else the folder for temporary files), named after its content:
// equal data give equal problems, so that a session can be resumed, and share their memory. Rejected: a descriptor that
// workers inherit, because a problem is also read by processes that nobody of this program starts.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <type_traits>

#include <warpwright/base/descriptor.hpp>
#include <warpwright/base/units.hpp>
#include <warpwright/model/problem.hpp>

namespace warpwright::spec {

// Move-only; the data are there as long as it lives, and must be as long as a session uses the problem. A file that a
// killed program left is taken over by the next one with the same data. Thread-compatible.
class SharedInput {
 public:
  // Copies the elements. Throws Error(out_of_memory) where the shared memory has no room for them, Error(io) for what
  // else fails.
  template <class T>
  requires(std::is_trivially_copyable_v<T>) explicit SharedInput(std::span<const T> elements)
      : size_(Bytes{elements.size_bytes()}) {
    take(std::as_bytes(elements));
  }
  ~SharedInput();
  SharedInput(SharedInput&& other) noexcept;
  SharedInput& operator=(SharedInput&& other) noexcept;

  // For ProblemBuilder::input() and its like; the argument must have as many elements of the same size.
  FillRaw fill() const { return {file_}; }
  const std::filesystem::path& file() const { return file_; }
  Bytes size() const { return size_; }

 private:
  void take(std::span<const std::byte> bytes);
  void release() noexcept;

  std::filesystem::path file_;
  Descriptor descriptor_;  // locked (shared) while this lives
  Bytes size_;
};

}  // namespace warpwright::spec
