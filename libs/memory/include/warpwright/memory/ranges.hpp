// Named ranges of time for a profiler.
#pragma once

#include <cstdint>
#include <memory>

namespace warpwright::memory {

// Ranges nest. Thread-safe.
class RangeMarker {
 public:
  virtual ~RangeMarker() = default;
  virtual void push(const char* name) = 0;
  virtual void pop() = 0;
};

// NVTX through libnvToolsExt.so.1, opened now; null where it is not installed. Ranges cost nothing worth naming unless
// a profiler listens.
std::unique_ptr<RangeMarker> nvtx_ranges();

// Marks its own life; `marker` may be null.
class Range {
 public:
  Range(RangeMarker* marker, const char* name) : marker_(marker) {
    if (marker_ != nullptr) marker_->push(name);
  }
  ~Range() {
    if (marker_ != nullptr) marker_->pop();
  }
  Range(const Range&) = delete;
  Range& operator=(const Range&) = delete;

 private:
  RangeMarker* marker_;
};

}  // namespace warpwright::memory
