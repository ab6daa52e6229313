// A device in host memory for the tests of this library: kernels are functions by entry name, work runs when it is
// enqueued, device time is virtual and passes as scripted, and every operation is written down in order.
#pragma once

#include <cstring>
#include <deque>
#include <fmt/format.h>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <warpwright/base/clock.hpp>
#include <warpwright/base/error.hpp>
#include <warpwright/device/backend.hpp>
#include <warpwright/device/checks.hpp>

namespace warpwright::measure::testing {

// Passes 10 ns with each look, and as scripted.
class StepClock final : public Clock {
 public:
  Nanoseconds now() const override { return time_ += Nanoseconds{10}; }
  void pass(Nanoseconds time) const { time_ += time; }

 private:
  mutable Nanoseconds time_{};
};

class HostBuffer final : public device::Buffer {
 public:
  explicit HostBuffer(Bytes size, std::string buffer_name = {}) : name(std::move(buffer_name)), memory(size.count) {}
  Bytes size() const override { return Bytes{memory.size()}; }
  std::string name;
  std::vector<std::byte> memory;
};

// A view of a symbol's memory.
class SymbolView final : public device::Buffer {
 public:
  explicit SymbolView(std::vector<std::byte>& symbol) : memory(symbol) {}
  Bytes size() const override { return Bytes{memory.size()}; }
  std::vector<std::byte>& memory;
};

// A part of a buffer.
class HostView final : public device::Buffer {
 public:
  explicit HostView(std::span<std::byte> part) : memory(part) {}
  Bytes size() const override { return Bytes{memory.size()}; }
  std::span<std::byte> memory;
};

inline std::span<std::byte> memory_of(const device::Buffer& buffer) {
  if (auto* symbol = dynamic_cast<const SymbolView*>(&buffer)) return symbol->memory;
  if (auto* view = dynamic_cast<const HostView*>(&buffer)) return view->memory;
  return const_cast<HostBuffer&>(dynamic_cast<const HostBuffer&>(buffer)).memory;
}

class HostPinned final : public device::PinnedBuffer {
 public:
  explicit HostPinned(Bytes size) : memory_(size.count) {}
  std::byte* data() override { return memory_.data(); }
  const std::byte* data() const override { return memory_.data(); }
  Bytes size() const override { return Bytes{memory_.size()}; }

 private:
  std::vector<std::byte> memory_;
};

// What a kernel function sees.
struct Call {
  device::LaunchConfig config;
  std::vector<std::span<std::byte>> buffers;  // empty for scalars
  std::vector<device::ScalarArgument> scalars;
  std::map<std::string, std::string> defines;
  std::map<std::string, std::vector<std::byte>>* symbols;
  std::vector<Bytes> locals = {};  // 0 for all that is no local memory
  std::vector<std::optional<SamplerSettings>> samplers = {};

  // Buffers as the kernel would see them: writing past both ends reaches guard zones, as on a device.
  template <class T>
  T* data(std::size_t argument) const {
    return reinterpret_cast<T*>(buffers.at(argument).data());
  }
  template <class T>
  T scalar(std::size_t argument) const {
    T value;
    if (scalars.at(argument).size != sizeof(T)) throw std::logic_error("scalar of another size");
    std::memcpy(&value, scalars.at(argument).bytes.data(), sizeof(T));
    return value;
  }
  int define(const std::string& name) const { return std::stoi(defines.at(name)); }
};

// Shared by the fake's objects and the test.
struct Host {
  DeviceInfo info;
  std::map<std::string, std::function<void(const Call&)>> kernels;
  std::map<std::string, Bytes> symbols;  // names every module has
  std::map<std::string, KernelResources> resources;
  std::map<std::string, std::vector<KernelParameter>> parameters;      // of the kernels that tell
  std::map<std::string, std::array<std::int64_t, 3>> required_blocks;  // of those that have one
  std::vector<device::CompileJob> jobs;                                // binaries refer to these by position
  std::vector<std::string> operations;
  std::deque<Nanoseconds> launch_times;  // of the next launches; 1 us when empty
  Nanoseconds device_time{};
  std::optional<device::MemoryUse> memory;
  std::vector<ImageFormat> readable_images, writable_images;  // with info.max_image
  std::uint64_t largest_allocation = std::uint64_t{1} << 40;
  int live_modules = 0;

  Host() {
    info.id = DeviceId::parse("sim:0");
    info.kind = DeviceKind::simulated;
    info.name = "host";
    info.max_threads_per_block = 1024;
    info.max_block = {1024, 1024, 64};
    info.shared_per_block = Bytes{48 << 10};
    info.l2_cache = Bytes{64 << 10};
    kernels["warpwright_read_cache"] = [](const Call&) {};
  }
  int count(const std::string& prefix) const {
    int result = 0;
    for (const std::string& operation : operations) result += operation.starts_with(prefix) ? 1 : 0;
    return result;
  }
};

class HostEvent final : public device::Event {
 public:
  bool done() const override { return true; }
  void synchronize() override {}
  Nanoseconds elapsed_since(const device::Event& start) const override {
    const auto& other = dynamic_cast<const HostEvent&>(start);
    if (!time || !other.time) throw Error(ErrorCode::conflict, "event was not recorded");
    return *time - *other.time;
  }
  std::optional<Nanoseconds> time;
};

class HostKernel final : public device::Kernel {
 public:
  HostKernel(Host& host, std::string name, std::map<std::string, std::string> definitions,
             std::map<std::string, std::vector<std::byte>>& module_symbols)
      : defines(std::move(definitions)), symbols(module_symbols), host_(host), name_(std::move(name)) {}
  const std::string& name() const override { return name_; }
  KernelResources resources() const override {
    const auto found = host_.resources.find(name_);
    return found == host_.resources.end() ? KernelResources{} : found->second;
  }
  std::optional<std::vector<KernelParameter>> parameters() const override {
    const auto found = host_.parameters.find(name_);
    return found == host_.parameters.end() ? std::nullopt : std::optional(found->second);
  }
  std::optional<std::array<std::int64_t, 3>> required_block() const override {
    const auto found = host_.required_blocks.find(name_);
    return found == host_.required_blocks.end() ? std::nullopt : std::optional(found->second);
  }
  std::optional<int> max_active_blocks(std::int64_t, Bytes) const override { return std::nullopt; }
  std::map<std::string, std::string> defines;
  std::map<std::string, std::vector<std::byte>>& symbols;

 private:
  Host& host_;
  std::string name_;
};

class HostModule final : public device::Module {
 public:
  HostModule(Host& host, const Binary& binary) : host_(host), job_(host.jobs.at(std::stoul(binary.image))) {
    for (const auto& [name, size] : host.symbols) symbols_[name].resize(size.count);
    host_.live_modules += counts() ? 1 : 0;
  }
  ~HostModule() override { host_.live_modules -= counts() ? 1 : 0; }
  std::unique_ptr<device::Kernel> kernel(const std::string& entry) override {
    if (!host_.kernels.contains(entry)) throw Error(ErrorCode::not_found, "module has no kernel '" + entry + "'");
    return std::make_unique<HostKernel>(
        host_, entry, std::map<std::string, std::string>(job_.defines.begin(), job_.defines.end()), symbols_);
  }
  std::unique_ptr<device::Buffer> symbol(const std::string& name) override {
    const auto found = symbols_.find(name);
    return found == symbols_.end() ? nullptr : std::make_unique<SymbolView>(found->second);
  }

 private:
  // The flush and the cover keep modules of their own.
  bool counts() const { return job_.entries.empty() || !job_.entries[0].starts_with("warpwright_"); }

  Host& host_;
  device::CompileJob job_;
  std::map<std::string, std::vector<std::byte>> symbols_;
};

class HostImage final : public device::Image {
 public:
  explicit HostImage(const ImageShape& shape) : bytes(shape.size().count), shape_(shape) {}
  const ImageShape& shape() const override { return shape_; }
  std::vector<std::byte> bytes;

 private:
  ImageShape shape_;
};

class HostSampler final : public device::Sampler {
 public:
  explicit HostSampler(const SamplerSettings& chosen) : settings(chosen) {}
  SamplerSettings settings;
};

class HostStream final : public device::Stream {
 public:
  explicit HostStream(Host& host) : host_(host) {}
  void copy_to_device(device::Buffer& destination, Bytes offset, std::span<const std::byte> source) override {
    std::copy(source.begin(), source.end(), at(destination, offset, Bytes{source.size()}));
    host_.operations.emplace_back("upload");
  }
  void copy_to_host(std::span<std::byte> destination, const device::Buffer& source, Bytes offset) override {
    std::copy_n(at(source, offset, Bytes{destination.size()}), destination.size(), destination.begin());
    host_.operations.emplace_back("download");
  }
  void copy_on_device(device::Buffer& destination, Bytes destination_offset, const device::Buffer& source,
                      Bytes source_offset, Bytes size) override {
    std::copy_n(at(source, source_offset, size), size.count, at(destination, destination_offset, size));
    host_.operations.emplace_back("copy");
  }
  void fill(device::Buffer& destination, Bytes offset, Bytes size, std::uint8_t value) override {
    std::fill_n(at(destination, offset, size), size.count, std::byte{value});
    host_.operations.push_back(fmt::format("fill {}", size.count));
    host_.device_time += Nanoseconds{500};
  }
  void copy_to_image(device::Image& destination, const device::Buffer& source, Bytes offset) override {
    auto& bytes = dynamic_cast<HostImage&>(destination).bytes;
    std::copy_n(at(source, offset, Bytes{bytes.size()}), bytes.size(), bytes.begin());
    host_.operations.emplace_back("to image");
  }
  void copy_from_image(device::Buffer& destination, Bytes offset, const device::Image& source) override {
    const auto& bytes = dynamic_cast<const HostImage&>(source).bytes;
    std::copy(bytes.begin(), bytes.end(), at(destination, offset, Bytes{bytes.size()}));
    host_.operations.emplace_back("from image");
  }
  void launch(const device::Kernel& kernel, const device::LaunchConfig& config,
              std::span<const device::KernelArgument> arguments) override {
    const auto& function = dynamic_cast<const HostKernel&>(kernel);
    Call call{config, {}, {}, function.defines, &function.symbols};
    for (const auto& argument : arguments) {
      const auto* buffer = std::get_if<const device::Buffer*>(&argument);
      call.buffers.push_back(buffer == nullptr ? std::span<std::byte>{} : memory_of(**buffer));
      if (const auto* image = std::get_if<const device::Image*>(&argument)) {
        const auto& bytes = dynamic_cast<const HostImage&>(**image).bytes;
        call.buffers.back() = {const_cast<std::byte*>(bytes.data()), bytes.size()};
      }
      const auto* sampler = std::get_if<const device::Sampler*>(&argument);
      call.samplers.push_back(sampler == nullptr ? std::nullopt
                                                 : std::optional(dynamic_cast<const HostSampler&>(**sampler).settings));
      const auto* scalar = std::get_if<device::ScalarArgument>(&argument);
      call.scalars.push_back(scalar == nullptr ? device::ScalarArgument{} : *scalar);
      const auto* local = std::get_if<device::LocalMemory>(&argument);
      call.locals.push_back(local == nullptr ? Bytes{} : local->size);
    }
    host_.kernels.at(kernel.name())(call);
    // Part of a flush, like its fill: no launch of the tested work.
    if (kernel.name() == "warpwright_read_cache") {
      host_.operations.push_back(
          fmt::format("read {}", memory_of(*std::get<const device::Buffer*>(arguments[0])).size()));
      host_.device_time += Nanoseconds{500};
      return;
    }
    host_.operations.push_back("launch " + kernel.name());
    Nanoseconds time{1000};
    if (!host_.launch_times.empty()) {
      time = host_.launch_times.front();
      host_.launch_times.pop_front();
    }
    host_.device_time += time;
  }
  void launch(const device::Graph&) override { throw Error(ErrorCode::unsupported, "no graphs"); }
  void record(device::Event& event) override {
    dynamic_cast<HostEvent&>(event).time = host_.device_time;
    host_.operations.emplace_back("record");
  }
  void wait(const device::Event&) override {}
  bool idle() const override { return true; }
  void synchronize() override {}

 private:
  static std::byte* at(const device::Buffer& buffer, Bytes offset, Bytes size) {
    const auto memory = memory_of(buffer);
    if (offset.count + size.count > memory.size()) throw Error(ErrorCode::bad_input, "outside the buffer");
    return memory.data() + offset.count;
  }
  Host& host_;
};

class HostContext final : public device::Context {
 public:
  explicit HostContext(Host& host) : host_(host) {}
  const DeviceInfo& device() const override { return host_.info; }
  std::unique_ptr<device::Buffer> allocate(Bytes size) override {
    if (size.count > host_.largest_allocation) throw Error(ErrorCode::out_of_memory, "device memory is full");
    host_.operations.push_back(fmt::format("allocate {}", size.count));
    return std::make_unique<HostBuffer>(size);
  }
  std::unique_ptr<device::Buffer> view(device::Buffer& whole, Bytes offset, Bytes size) override {
    return std::make_unique<HostView>(memory_of(whole).subspan(offset.count, size.count));
  }
  std::unique_ptr<device::PinnedBuffer> allocate_pinned(Bytes size) override {
    return std::make_unique<HostPinned>(size);
  }
  std::unique_ptr<device::Stream> create_stream() override { return std::make_unique<HostStream>(host_); }
  std::unique_ptr<device::Event> create_event() override { return std::make_unique<HostEvent>(); }
  std::unique_ptr<device::Module> load(const Binary& binary) override {
    return std::make_unique<HostModule>(host_, binary);
  }
  std::unique_ptr<device::Graph> record_graph(device::Stream&, const std::function<void()>&) override {
    throw Error(ErrorCode::unsupported, "no graphs");
  }
  std::optional<device::MemoryUse> memory_use() const override { return host_.memory; }
  std::vector<ImageFormat> image_formats(device::ImageUse use) const override {
    return use == device::ImageUse::read ? host_.readable_images : host_.writable_images;
  }
  std::unique_ptr<device::Image> create_image(const ImageShape& shape, device::ImageUse use) override {
    device::check_image(shape, use, image_formats(use), host_.info);
    if (shape.size().count > host_.largest_allocation) throw Error(ErrorCode::out_of_memory, "device memory is full");
    return std::make_unique<HostImage>(shape);
  }
  std::unique_ptr<device::Sampler> create_sampler(const SamplerSettings& settings) override {
    return std::make_unique<HostSampler>(settings);
  }
  void reset_persisting_cache() override { host_.operations.emplace_back("reset persisting"); }
  void synchronize() override {}

 private:
  Host& host_;
};

class HostCompiler final : public device::Compiler {
 public:
  explicit HostCompiler(Host& host) : host_(host) {}
  std::string version() const override { return "host"; }
  std::string target() const override { return "host"; }
  bool needs_device() const override { return false; }
  Binary compile(const device::CompileJob& job) override {
    host_.jobs.push_back(job);
    Binary binary;
    binary.backend = "sim";
    binary.image = std::to_string(host_.jobs.size() - 1);
    return binary;
  }

 private:
  Host& host_;
};

}  // namespace warpwright::measure::testing
