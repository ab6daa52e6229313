#include "workloads/frame/device/buffers.hpp"

#include <algorithm>

#include <warpwright/base/error.hpp>

#include "workloads/common/sizes.hpp"

namespace warpwright::workloads {

std::size_t longest_row(const reservoir::SparseMatrix& matrix) {
  std::size_t longest = 0;
  for (std::size_t i = 0; i < matrix.rows; ++i)
    longest = std::max(longest, matrix.row_begin[i + 1] - matrix.row_begin[i]);
  return longest;
}

SparseRows sparse_rows(const reservoir::SparseMatrix& matrix, std::size_t width) {
  SparseRows rows{width, std::vector<float>(matrix.rows * width, 0.0F),
                  std::vector<std::uint16_t>(matrix.rows * width, 0)};
  for (std::size_t i = 0; i < matrix.rows; ++i) {
    std::size_t at = i * width;
    for (std::size_t k = matrix.row_begin[i]; k < matrix.row_begin[i + 1]; ++k, ++at) {
      rows.values[at] = static_cast<float>(matrix.values[k]);
      rows.columns[at] = static_cast<std::uint16_t>(matrix.columns[k]);
    }
  }
  return rows;
}

std::vector<float> dense_rows(const reservoir::SparseMatrix& matrix) {
  const std::size_t ld = leading_dimension(matrix.columns_count);
  std::vector<float> rows(matrix.rows * ld, 0.0F);
  for (std::size_t i = 0; i < matrix.rows; ++i) {
    for (std::size_t k = matrix.row_begin[i]; k < matrix.row_begin[i + 1]; ++k) {
      rows[i * ld + matrix.columns[k]] = static_cast<float>(matrix.values[k]);
    }
  }
  return rows;
}

void FrameBuffers::add(const std::string& name, std::uint64_t bytes) {
  auto buffer = context_.allocate(Bytes{bytes});
  stream_->fill(*buffer, Bytes{0}, Bytes{bytes}, 0);
  stream_->synchronize();
  total_ = total_ + Bytes{bytes};
  buffers_.insert_or_assign(name, std::move(buffer));
}

void FrameBuffers::add_view(const std::string& name, const std::string& whole, std::uint64_t offset,
                            std::uint64_t bytes) {
  views_.insert_or_assign(name, context_.view(at(whole), Bytes{offset}, Bytes{bytes}));
}

device::Buffer& FrameBuffers::at(const std::string& name) const {
  if (const auto found = buffers_.find(name); found != buffers_.end()) return *found->second;
  if (const auto found = views_.find(name); found != views_.end()) return *found->second;
  throw Error(ErrorCode::internal, "the frame has no buffer '" + name + "'");
}

void FrameBuffers::upload(const std::string& name, std::span<const std::byte> data, std::uint64_t offset) {
  stream_->copy_to_device(at(name), Bytes{offset}, data);
  stream_->synchronize();
}

void FrameBuffers::download(const std::string& name, std::span<std::byte> data, std::uint64_t offset) const {
  stream_->copy_to_host(data, at(name), Bytes{offset});
  stream_->synchronize();
}

}  // namespace warpwright::workloads
