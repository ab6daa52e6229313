#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fmt/format.h>
#include <fstream>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include <warpwright/base/clock.hpp>
#include <warpwright/base/error.hpp>
#include <warpwright/memory/host_memory.hpp>

namespace warpwright::memory {
namespace {

constexpr std::size_t huge_page = std::size_t{2} << 20;
constexpr unsigned long bind_policy = 2;  // MPOL_BIND of the system's <linux/mempolicy.h>
constexpr int most_nodes = 1024;

std::string words_of(int error) { return std::error_code(error, std::generic_category()).message(); }

void add_fallback(RegionReport& report, std::string text) {
  report.fallback += (report.fallback.empty() ? "" : "; ") + std::move(text);
}

// mbind() without libnuma: one system call, and no node list to parse.
bool bind_to_node(void* memory, std::size_t size, int node) {
  if (node < 0 || node >= most_nodes) {
    errno = EINVAL;
    return false;
  }
  std::array<unsigned long, most_nodes / (8 * sizeof(unsigned long))> mask{};
  constexpr int word = 8 * sizeof(unsigned long);
  mask[static_cast<std::size_t>(node / word)] = 1UL << (node % word);
  return ::syscall(SYS_mbind, memory, size, bind_policy, mask.data(), static_cast<unsigned long>(most_nodes), 0U) == 0;
}

void touch(std::span<std::byte> bytes, int threads) {
  const std::size_t pages = (bytes.size() + page_size - 1) / page_size;
  const auto work = [&](std::size_t begin, std::size_t end) {
    // Volatile, or the compiler drops stores that nobody reads.
    volatile std::byte* memory = bytes.data();
    for (std::size_t page = begin; page < end; ++page) memory[page * page_size] = std::byte{0};
  };
  const auto count = static_cast<std::size_t>(std::max(1, threads));
  // Starting a thread costs more than touching a few pages.
  if (count == 1 || pages < 1024) return work(0, pages);
  std::vector<std::jthread> helpers;
  for (std::size_t i = 1; i < count; ++i) helpers.emplace_back(work, pages * i / count, pages * (i + 1) / count);
  work(0, pages / count);
}

class MappedRegion final : public HostRegion {
 public:
  MappedRegion(Bytes size, const HostMemoryOptions& options) {
    const SteadyClock clock;
    const Nanoseconds begin = clock.now();
    size_ = std::max<std::uint64_t>(size.count, 1);
    if (size_ > SIZE_MAX / 2) throw refusal(ENOMEM);
    // Room to begin on a huge page, so that the first and last are whole.
    const bool huge = options.huge_pages && size_ >= huge_page;
    mapped_size_ = (size_ + page_size - 1) / page_size * page_size + (huge ? huge_page : 0);
    mapped_ = ::mmap(nullptr, mapped_size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped_ == MAP_FAILED) throw refusal(errno);
    const auto address = reinterpret_cast<std::uintptr_t>(mapped_);
    const std::uintptr_t begin_at = huge ? (address + huge_page - 1) / huge_page * huge_page : address;
    data_ = static_cast<std::byte*>(mapped_) + (begin_at - address);
    if (huge) {
      report_.huge_pages = ::madvise(data_, size_, MADV_HUGEPAGE) == 0;
      if (!report_.huge_pages) add_fallback(report_, "no huge pages: " + words_of(errno));
    }
    if (options.numa_node) {
      if (bind_to_node(mapped_, mapped_size_, *options.numa_node))
        report_.numa_node = options.numa_node;
      else
        add_fallback(report_, fmt::format("not bound to NUMA node {}: {}", *options.numa_node, words_of(errno)));
    }
    const Nanoseconds mapped_at = clock.now();
    report_.map = mapped_at - begin;
    report_.touch_threads = std::max(1, options.touch_threads);
    touch(bytes(), report_.touch_threads);
    report_.touch = clock.now() - mapped_at;
    if (!report_.fallback.empty()) log_to(options.log, LogLevel::info, "host memory: " + report_.fallback);
  }
  ~MappedRegion() override {
    pinned_.reset();
    ::munmap(mapped_, mapped_size_);
  }
  MappedRegion(const MappedRegion&) = delete;
  MappedRegion& operator=(const MappedRegion&) = delete;

  std::span<std::byte> bytes() override { return {data_, size_}; }
  const RegionReport& report() const override { return report_; }

  // Throws what the driver throws.
  void pin(device::Context& context) {
    const SteadyClock clock;
    const Nanoseconds begin = clock.now();
    // Whole pages: drivers pin nothing less.
    const std::size_t whole = (size_ + page_size - 1) / page_size * page_size;
    pinned_ = context.pin_host_memory({data_, whole});
    report_.pin = clock.now() - begin;
    report_.pinned = report_.registered = true;
  }

 private:
  Error refusal(int error) const {
    return Error(ErrorCode::out_of_memory, "cannot map " + format_bytes(Bytes{size_}) + " of host memory",
                 NativeError{error, words_of(error)});
  }

  void* mapped_ = MAP_FAILED;
  std::size_t mapped_size_ = 0;
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  RegionReport report_;
  std::unique_ptr<device::PinnedBuffer> pinned_;
};

class DriverRegion final : public HostRegion {
 public:
  DriverRegion(device::Context& context, Bytes size) {
    const SteadyClock clock;
    const Nanoseconds begin = clock.now();
    buffer_ = context.allocate_pinned(Bytes{std::max<std::uint64_t>(size.count, 1)});
    report_.pin = clock.now() - begin;
    report_.pinned = true;
  }
  std::span<std::byte> bytes() override { return buffer_->bytes(); }
  const RegionReport& report() const override { return report_; }
  void note(std::string fallback) { add_fallback(report_, std::move(fallback)); }

 private:
  RegionReport report_;
  std::unique_ptr<device::PinnedBuffer> buffer_;
};

class OrdinaryMemory final : public HostMemory {
 public:
  explicit OrdinaryMemory(HostMemoryOptions options) : options_(std::move(options)) {}
  std::unique_ptr<HostRegion> reserve(Bytes size) override { return std::make_unique<MappedRegion>(size, options_); }

 private:
  HostMemoryOptions options_;
};

class DriverMemory final : public HostMemory {
 public:
  explicit DriverMemory(device::Context& context) : context_(context) {}
  std::unique_ptr<HostRegion> reserve(Bytes size) override { return std::make_unique<DriverRegion>(context_, size); }

 private:
  device::Context& context_;
};

class RegisteredMemory final : public HostMemory {
 public:
  RegisteredMemory(device::Context& context, HostMemoryOptions options)
      : context_(context), options_(std::move(options)) {}

  std::unique_ptr<HostRegion> reserve(Bytes size) override {
    std::string why;
    try {
      auto region = std::make_unique<MappedRegion>(size, options_);
      region->pin(context_);
      return region;
    } catch (const Error& error) {
      // A lost device, or memory that the driver's allocator could not give either, is no reason to try again.
      if (error.code() != ErrorCode::unsupported && error.code() != ErrorCode::out_of_memory) throw;
      why = error.message();
    }
    auto region = std::make_unique<DriverRegion>(context_, size);
    region->note("allocated by the driver: " + why);
    log_to(options_.log, LogLevel::info, "host memory: " + region->report().fallback);
    return region;
  }

 private:
  device::Context& context_;
  HostMemoryOptions options_;
};

}  // namespace

std::unique_ptr<HostMemory> ordinary_memory(HostMemoryOptions options) {
  return std::make_unique<OrdinaryMemory>(std::move(options));
}

std::unique_ptr<HostMemory> driver_memory(device::Context& context) { return std::make_unique<DriverMemory>(context); }

std::unique_ptr<HostMemory> registered_memory(device::Context& context, HostMemoryOptions options) {
  return std::make_unique<RegisteredMemory>(context, std::move(options));
}

std::optional<int> numa_node_of(const std::string& pci_bus_id) {
  if (pci_bus_id.empty() || pci_bus_id.find('/') != std::string::npos) return std::nullopt;
  std::ifstream file("/sys/bus/pci/devices/" + pci_bus_id + "/numa_node");
  int node = -1;
  if (!(file >> node) || node < 0) return std::nullopt;  // -1: the firmware does not tell
  return node;
}

}  // namespace warpwright::memory
