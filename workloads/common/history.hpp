// The ring buffer between encoding and information flow: one byte per window and frame, the last T_h frames. Readers
// count frames from the oldest; a window that is read newest first turns every source into a target.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <warpwright/base/error.hpp>

namespace warpwright::workloads {

// Thread-compatible value type. Symbols are stored as [slot][series], the shape of the kernels' buffer.
class History {
 public:
  // Room for `frames` frames (T_h) of `series` symbols each. Throws Error(bad_input) if one of them is 0.
  History(std::size_t frames, std::size_t series) : frames_(frames), series_(series), storage_(frames * series, 0) {
    if (frames == 0 || series == 0) {
      throw Error(ErrorCode::bad_input, "a history needs at least one frame and one series, not " +
                                            std::to_string(frames) + " and " + std::to_string(series));
    }
  }

  // Appends a frame of series() symbols; the oldest goes if the buffer is full. Throws Error(bad_input) for another
  // size.
  void push(std::span<const std::uint8_t> frame) {
    if (frame.size() != series_) {
      throw Error(ErrorCode::bad_input, "a frame of this history has " + std::to_string(series_) + " symbols, not " +
                                            std::to_string(frame.size()));
    }
    for (std::size_t j = 0; j < series_; ++j) storage_[next_ * series_ + j] = frame[j];
    next_ = (next_ + 1) % frames_;
    if (size_ < frames_) ++size_;
  }

  // Frames that are there, at most frames().
  std::size_t size() const noexcept { return size_; }
  bool full() const noexcept { return size_ == frames_; }
  std::size_t frames() const noexcept { return frames_; }
  std::size_t series() const noexcept { return series_; }

  // Symbol of series j at time t, 0 the oldest frame that is there, size() - 1 the newest.
  std::uint8_t at(std::size_t t, std::size_t j) const {
    const std::size_t oldest = full() ? next_ : 0;
    return storage_[(oldest + t) % frames_ * series_ + j];
  }

  // All size() symbols of series j, oldest first.
  std::vector<std::uint8_t> read(std::size_t j) const {
    std::vector<std::uint8_t> result(size_);
    for (std::size_t t = 0; t < size_; ++t) result[t] = at(t, j);
    return result;
  }

 private:
  std::size_t frames_;
  std::size_t series_;
  std::vector<std::uint8_t> storage_;
  std::size_t next_ = 0;
  std::size_t size_ = 0;
};

}  // namespace warpwright::workloads
