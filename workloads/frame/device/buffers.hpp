// The device memory of a frame, by name. Private to the frame.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <warpwright/device/context.hpp>

#include "workloads/frame/oracle.hpp"

namespace warpwright::workloads {

// Rows of a sparse matrix with the same number of elements each, as S1 takes them: what is missing is a weight of 0.
struct SparseRows {
  std::size_t width = 0;
  std::vector<float> values;
  std::vector<std::uint16_t> columns;
};
// `width` elements a row, at least as many as a row has.
SparseRows sparse_rows(const reservoir::SparseMatrix& matrix, std::size_t width);
// Row-major, rows leading_dimension(columns) apart.
std::vector<float> dense_rows(const reservoir::SparseMatrix& matrix);
// Elements of the longest row.
std::size_t longest_row(const reservoir::SparseMatrix& matrix);

// One thread only; the context must outlive it.
class FrameBuffers {
 public:
  explicit FrameBuffers(device::Context& context) : context_(context) {}

  // Zeros.
  void add(const std::string& name, std::uint64_t bytes);
  // The bytes from `offset` on, a multiple of a page, of another buffer.
  void add_view(const std::string& name, const std::string& whole, std::uint64_t offset, std::uint64_t bytes);
  // Throws Error(internal) for a name that nobody has added.
  device::Buffer& at(const std::string& name) const;
  Bytes total() const { return total_; }

  void upload(const std::string& name, std::span<const std::byte> data, std::uint64_t offset = 0);
  void download(const std::string& name, std::span<std::byte> data, std::uint64_t offset = 0) const;
  template <class T>
  void upload(const std::string& name, const std::vector<T>& values, std::uint64_t offset = 0) {
    upload(name, std::as_bytes(std::span<const T>(values)), offset);
  }
  template <class T>
  std::vector<T> download(const std::string& name, std::size_t count, std::uint64_t offset = 0) const {
    std::vector<T> values(count);
    download(name, std::as_writable_bytes(std::span<T>(values)), offset);
    return values;
  }

 private:
  device::Context& context_;
  std::unique_ptr<device::Stream> stream_ = context_.create_stream();
  std::map<std::string, std::unique_ptr<device::Buffer>> buffers_;
  // Behind the buffers that they are parts of, so that they go first.
  std::map<std::string, std::unique_ptr<device::Buffer>> views_;
  Bytes total_{};
};

}  // namespace warpwright::workloads
