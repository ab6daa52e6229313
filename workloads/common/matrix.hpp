// A dense matrix as the kernels see it: row-major, rows padded to a multiple of 32 elements, the padding 0. The padding
// aligns every row for vector loads and lets a kernel read whole vectors without a guard at the end of a row.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "workloads/common/sizes.hpp"

namespace warpwright::workloads {

// Value type; thread-compatible. Who writes to `storage()` keeps the padding 0.
class Matrix {
 public:
  Matrix() = default;
  // rows x columns zeros.
  Matrix(std::size_t rows, std::size_t columns)
      : rows_(rows), columns_(columns), stride_(leading_dimension(columns)), storage_(rows * stride_, 0.0) {}

  std::size_t rows() const noexcept { return rows_; }
  std::size_t columns() const noexcept { return columns_; }
  // Distance between the first elements of two rows, in elements.
  std::size_t stride() const noexcept { return stride_; }

  double& operator()(std::size_t row, std::size_t column) { return storage_[row * stride_ + column]; }
  double operator()(std::size_t row, std::size_t column) const { return storage_[row * stride_ + column]; }

  // One row without its padding.
  std::span<double> row(std::size_t i) { return std::span<double>(storage_).subspan(i * stride_, columns_); }
  std::span<const double> row(std::size_t i) const {
    return std::span<const double>(storage_).subspan(i * stride_, columns_);
  }

  // rows x stride elements, with the padding: what is copied to a device.
  std::span<double> storage() noexcept { return storage_; }
  std::span<const double> storage() const noexcept { return storage_; }

  bool operator==(const Matrix&) const = default;

 private:
  std::size_t rows_ = 0;
  std::size_t columns_ = 0;
  std::size_t stride_ = 0;
  std::vector<double> storage_;
};

}  // namespace warpwright::workloads
