// Comparing outputs where they lie: a kernel says whether any element may be wrong, so that a right result never
// crosses the bus. It only ever answers "surely right" or "look closer"; what is wrong, and how, the host says.
#pragma once

#include <cstdint>
#include <map>
#include <memory>

#include <warpwright/device/backend.hpp>
#include <warpwright/measure/verify.hpp>

namespace warpwright::measure {

// One thread only. `context`, `compiler` and `stream` must outlive it.
class DeviceComparer {
 public:
  // Throws Error(unsupported) where the device has no double arithmetic, and what allocating throws.
  DeviceComparer(device::Context& context, device::Compiler& compiler, device::Stream& stream);
  ~DeviceComparer();

  // Whether all elements are certain to pass compare() with `tolerance`; false where some may not. Both
  // buffers begin with `size` bytes of elements of `type`. Waits. Throws what compiling (the first time for a type),
  // launching and copying throw.
  bool surely_equal(const device::Buffer& expected, const device::Buffer& found, Bytes size, DataType type,
                    const Tolerance& tolerance);

  // What the kernel left: 0, or 1 if it found any number of elements that may be wrong. Else as surely_equal().
  std::uint32_t flag_after(const device::Buffer& expected, const device::Buffer& found, Bytes size, DataType type,
                           const Tolerance& tolerance);

 private:
  struct Program {
    std::unique_ptr<device::Module> module;
    std::unique_ptr<device::Kernel> kernel;
  };
  const device::Kernel& kernel(DataType type);

  device::Context& context_;
  device::Compiler& compiler_;
  device::Stream& stream_;
  std::unique_ptr<device::Buffer> flag_;
  std::map<DataType, Program> programs_;
};

}  // namespace warpwright::measure
