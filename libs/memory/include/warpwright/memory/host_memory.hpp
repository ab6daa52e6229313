// Where host memory for transfers comes from: ordinary pages, pinned by the device's driver, or ordinary pages that are
// prepared by several threads and then handed to the driver to be pinned.
//
// Why the third: a driver's allocator clears pages with one thread, under a lock, and pays for it at start-up. Mapping
// with huge pages, touching by several threads and registering is three to five times faster on machines where others
// measured it; `HostRegion::report()` holds the times of this one, so that the claim can be checked where it is made.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include <warpwright/base/log.hpp>
#include <warpwright/base/units.hpp>
#include <warpwright/device/context.hpp>

namespace warpwright::memory {

inline constexpr std::size_t page_size = 4096;  // of every machine this runs on; huge pages are multiples

// How a region came to be.
struct RegionReport {
  bool pinned = false;           // the device's copy engines reach it directly
  bool registered = false;       // pinned after it was mapped and touched; false: the driver's own allocation, or none
  bool huge_pages = false;       // the system was asked for huge pages and did not refuse
  std::optional<int> numa_node;  // bound to this node
  int touch_threads = 0;
  Nanoseconds map{}, touch{}, pin{};  // where the time went
  std::string fallback;               // why a wish was not met, in words; empty if all were
};

// Page-aligned memory of one piece. Owned. Thread-compatible.
class HostRegion {
 public:
  virtual ~HostRegion() = default;
  virtual std::span<std::byte> bytes() = 0;
  virtual const RegionReport& report() const = 0;
};

struct HostMemoryOptions {
  bool huge_pages = true;        // ask for them; refusal is no error
  std::optional<int> numa_node;  // bind to it before the first touch; refusal is no error
  // Times flatten at four threads in published measurements. They run where the caller may run: bound to one processor,
  // several are no faster than one.
  int touch_threads = 4;
  LogSink log;  // told of fallbacks
};

// Makes regions. Thread-compatible.
class HostMemory {
 public:
  virtual ~HostMemory() = default;
  // At least one page. Throws Error(out_of_memory) or what the device's driver throws; nothing stays allocated then.
  virtual std::unique_ptr<HostRegion> reserve(Bytes size) = 0;
};

// Ordinary memory: for tests, for CPU devices, for staging that needs no copy engine.
std::unique_ptr<HostMemory> ordinary_memory(HostMemoryOptions options = {});
// What the driver's own allocator gives. `context` must outlive every region.
std::unique_ptr<HostMemory> driver_memory(device::Context& context);
// Ordinary memory, prepared as `options` say, then pinned by the driver; where the device cannot do that, or refuses,
// driver_memory() (report().fallback says so). `context` must outlive every region.
std::unique_ptr<HostMemory> registered_memory(device::Context& context, HostMemoryOptions options = {});

// The NUMA node that a PCI device ("0000:3b:00.0") is attached to; nullopt where the system does not tell.
std::optional<int> numa_node_of(const std::string& pci_bus_id);

}  // namespace warpwright::memory
