// Making a device's caches cold before a sample, and clean as well.
//
// Method: a buffer of twice the last-level cache is written, then another one of that size, which nobody ever writes,
// is read on the device by a kernel of our own. Writing alone (as NVBench and Triton's do_bench do) leaves the cache
// full of dirty lines, and the measured kernel pays for writing them back: on an H200 a reader of 64 MiB took 25.3 us
// instead of 19.3, one of 256 MiB 73.7 instead of 65.3, while writers hardly changed, so that another configuration
// wins. Caches replace nearly at random: one pass over a clean buffer of the cache's size left half of that, of twice
// the size an eighth, so GPUs make two passes. Rejected: reading without a write (data that the kernel before left
// dirty stays in part), and one buffer for both (it is never clean).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include <warpwright/base/log.hpp>
#include <warpwright/base/units.hpp>
#include <warpwright/device/compiler.hpp>
#include <warpwright/device/context.hpp>

namespace warpwright::measure {

// How a flush is done; the default is what samples are taken with, the others exist to show what they would measure.
struct FlushMethod {
  bool write = true;
  // Passes over the clean buffer; negative: two on GPUs, one elsewhere. 0 leaves dirty lines behind.
  int read_passes = -1;
};

// Owns the two buffers and the kernel that reads. Each buffer has twice the size of the last-level cache, at most
// 1 GiB or a sixteenth of the device's memory, and at most 64 MiB on CPUs (server CPUs have hundreds of MiB, shared by
// cores that the kernel does not run on): together 240 MiB for the 60 MiB of an H200. One thread only.
class CacheFlusher {
 public:
  // Compiles and runs the kernel, so that no sample pays for that; waits. Where a GPU does not tell the size of its
  // cache, it is measured. Where the kernel cannot be compiled or run, `log` gets a warning and flushes only write.
  // Throws Error(out_of_memory) saying what was needed and what to do, Error(device) when the context is lost.
  // `context` must outlive the object.
  CacheFlusher(device::Context& context, device::Compiler& compiler, device::Stream& stream, FlushMethod method = {},
               const LogSink& log = {});
  ~CacheFlusher();
  CacheFlusher(const CacheFlusher&) = delete;
  CacheFlusher& operator=(const CacheFlusher&) = delete;

  // Enqueues the flush. Lines that kernels had made persistent are given up first, where the driver can do that.
  void flush(device::Stream& stream);

  // Of each buffer.
  Bytes size() const { return size_; }
  // The size of the cache that was assumed, and who said so (Conditions::flushed_cache_source).
  Bytes cache() const { return cache_; }
  const std::string& cache_source() const { return cache_source_; }
  // Whether a flush ends with the clean read.
  bool cleans() const { return kernel_ != nullptr; }
  // Device time of a flush, as measured by the constructor: so long the host may enqueue unseen.
  Nanoseconds duration() const { return duration_; }

 private:
  void choose_size(device::Stream& stream);
  void prepare_reading(device::Compiler& compiler, device::Stream& stream);
  void read(device::Stream& stream, const device::Buffer& buffer) const;
  std::unique_ptr<device::Buffer> allocate(Bytes size) const;
  Bytes measured_cache(device::Stream& stream) const;

  device::Context& context_;
  FlushMethod method_;
  Bytes size_{}, cache_{};
  std::string cache_source_;
  std::unique_ptr<device::Buffer> dirty_, clean_, sink_;
  std::unique_ptr<device::Module> module_;
  std::unique_ptr<device::Kernel> kernel_;
  Nanoseconds duration_{};
  std::uint8_t value_ = 0;
};

// Where the throughput of repeated reads falls: the largest size (ascending in `sizes`) whose rate is nearer to the
// best one than to the one of the largest size. 0 where the best is not 1.3 times the last, which is no step but noise.
// Both spans have the same length, at least 2. Pure.
Bytes size_before_step(std::span<const Bytes> sizes, std::span<const double> rates);

}  // namespace warpwright::measure
