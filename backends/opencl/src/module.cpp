#include <algorithm>
#include <fmt/format.h>

#include <warpwright/base/error.hpp>
#include <warpwright/device/checks.hpp>

#include "context.hpp"
#include "program.hpp"

namespace warpwright::opencl {

namespace {

class OpenclKernel final : public device::Kernel {
 public:
  OpenclKernel(std::shared_ptr<ContextState> state, OwnedKernel kernel, KernelResources resources)
      : state_(std::move(state)), kernel_(std::move(kernel)), resources_(std::move(resources)) {
    check(state_->api->get_kernel_info(kernel_.get(), abi::kernel_num_args, sizeof(parameters_), &parameters_, nullptr),
          Stage::query, "clGetKernelInfo", "count the parameters of kernel '" + resources_.entry + "'");
  }

  const std::string& name() const override { return resources_.entry; }
  KernelResources resources() const override { return resources_; }
  std::optional<int> max_active_blocks(std::int64_t, Bytes) const override { return std::nullopt; }

  abi::Event enqueue(const StreamState& stream, const device::LaunchConfig& config,
                     std::span<const device::KernelArgument> arguments) const;

 private:
  void set_argument(abi::Uint index, const device::KernelArgument& argument) const;

  std::shared_ptr<ContextState> state_;
  OwnedKernel kernel_;
  KernelResources resources_;
  abi::Uint parameters_ = 0;
  // Arguments are state of the kernel object until it is enqueued, and streams may be used by different threads.
  mutable std::mutex mutex_;
};

void OpenclKernel::set_argument(abi::Uint index, const device::KernelArgument& argument) const {
  abi::Mem memory = nullptr;
  const void* value = &memory;
  std::size_t size = sizeof(memory);
  if (const auto* scalar = std::get_if<device::ScalarArgument>(&argument)) {
    value = scalar->bytes.data();
    size = scalar->size;
  } else {
    const device::Buffer* buffer = std::get<const device::Buffer*>(argument);
    if (buffer == nullptr)
      throw Error(ErrorCode::bad_input, fmt::format("argument {} of kernel '{}' is a null buffer", index, name()));
    memory = ours<const DeviceBuffer>(*buffer, "buffer").handle();
  }
  const abi::Int status = state_->api->set_kernel_arg(kernel_.get(), index, size, value);
  if (status != abi::success)
    check(status, Stage::argument, "clSetKernelArg",
          fmt::format("pass {} bytes as argument {} of kernel '{}'", size, index, name()));
}

abi::Event OpenclKernel::enqueue(const StreamState& stream, const device::LaunchConfig& config,
                                 std::span<const device::KernelArgument> arguments) const {
  const DeviceInfo& device = state_->found.info;
  device::check_geometry(name(), config, device);
  const bool trailing_local = config.dynamic_shared.count > 0;
  const std::size_t given = arguments.size() + (trailing_local ? 1 : 0);
  if (given != parameters_)
    throw Error(ErrorCode::bad_input,
                fmt::format("kernel '{}' has {} parameters; the launch passes {} arguments{}", name(), parameters_,
                            arguments.size(),
                            trailing_local ? fmt::format(" and {} bytes of __local memory", config.dynamic_shared.count)
                            : given + 1 == parameters_ ? " and no __local memory (dynamic shared memory is 0)"
                                                       : ""));
  // Drivers that keep local memory in ordinary memory (PoCL) do not check. A limit of 0 is one the driver did not tell.
  const Bytes fixed = resources_.static_shared.value_or(Bytes{}), room = device.shared_per_block;
  if (room.count > 0 && (room < fixed || config.dynamic_shared > room - fixed))
    throw Error(ErrorCode::launch,
                fmt::format("kernel '{}' needs {} + {} bytes of local memory, the device has {}", name(), fixed.count,
                            config.dynamic_shared.count, device.shared_per_block.count));
  std::array<std::size_t, 3> local{}, global{};
  abi::Uint dimensions = 1;
  for (std::size_t d = 0; d < 3; ++d) {
    local[d] = static_cast<std::size_t>(config.block[d]);
    if (__builtin_mul_overflow(local[d], static_cast<std::size_t>(config.grid[d]), &global[d]))
      throw Error(ErrorCode::launch, fmt::format("kernel '{}': grid {} times block {} does not fit 64 bits", name(),
                                                 config.grid[d], config.block[d]));
    if (global[d] > 1) dimensions = static_cast<abi::Uint>(d + 1);
  }
  const std::lock_guard lock(mutex_);
  abi::Uint index = 0;
  for (const auto& argument : arguments) set_argument(index++, argument);
  if (trailing_local)
    check(state_->api->set_kernel_arg(kernel_.get(), index, config.dynamic_shared.count, nullptr), Stage::argument,
          "clSetKernelArg",
          fmt::format("pass {} bytes of __local memory as the last argument of kernel '{}'; is it a __local pointer",
                      config.dynamic_shared.count, name()));
  abi::Event event = nullptr;
  const abi::Int status = state_->api->enqueue_nd_range_kernel(stream.queue(), kernel_.get(), dimensions, nullptr,
                                                               global.data(), local.data(), 0, nullptr, &event);
  if (status == abi::success) return event;
  std::string what =
      fmt::format("launch kernel '{}' with block ({},{},{}) and grid ({},{},{})", name(), config.block[0],
                  config.block[1], config.block[2], config.grid[0], config.grid[1], config.grid[2]);
  if (resources_.max_threads_per_block)
    what += fmt::format(" (its blocks may have {} threads)", *resources_.max_threads_per_block);
  check(status, Stage::launch, "clEnqueueNDRangeKernel", what);
  return event;
}

class OpenclModule final : public device::Module {
 public:
  OpenclModule(std::shared_ptr<ContextState> state, OwnedProgram program, const device::Binary& binary)
      : state_(std::move(state)), program_(std::move(program)), symbols_(binary.symbols), compiled_(binary.resources) {}

  std::unique_ptr<device::Kernel> kernel(const std::string& entry) override {
    const auto symbol = symbols_.find(entry);
    const std::string& name = symbol == symbols_.end() ? entry : symbol->second;
    abi::Int status = abi::success;
    OwnedKernel kernel(state_->api, state_->api->create_kernel(program_.get(), name.c_str(), &status));
    if (status == abi::invalid_kernel_name) throw not_found(entry, status);
    check(status, Stage::load, "clCreateKernel", "make kernel '" + entry + "'");
    KernelResources resources = query_resources(*state_->api, kernel.get(), state_->found.device, entry);
    // The driver reports no registers; the compiler did, where it could.
    for (const auto& known : compiled_)
      if (known.entry == entry && !resources.registers_per_thread)
        resources.registers_per_thread = known.registers_per_thread;
    return std::make_unique<OpenclKernel>(state_, std::move(kernel), std::move(resources));
  }

  std::unique_ptr<device::Buffer> symbol(const std::string&) override { return nullptr; }

 private:
  Error not_found(const std::string& entry, abi::Int status) const {
    const std::vector<std::string> names = kernel_names(*state_->api, program_.get());
    std::string message = "there is no kernel '" + entry + "' in the program";
    if (const auto match = closest_match(entry, names)) message += "; did you mean '" + *match + "'?";
    if (!names.empty()) message += fmt::format("; it has: {}", fmt::join(names, ", "));
    return Error(ErrorCode::not_found, message, NativeError{status, std::string(status_name(status))});
  }

  std::shared_ptr<ContextState> state_;
  OwnedProgram program_;
  std::map<std::string, std::string> symbols_;
  std::vector<KernelResources> compiled_;
};

}  // namespace

std::unique_ptr<device::Module> load_module(const std::shared_ptr<ContextState>& state, const device::Binary& binary) {
  if (binary.backend != "opencl")
    throw Error(ErrorCode::bad_input,
                "this binary was compiled for backend '" + binary.backend + "', not for 'opencl'");
  if (binary.image.empty()) throw Error(ErrorCode::bad_input, "this OpenCL binary is empty");
  const Api& api = *state->api;
  const abi::Device device = state->found.device;
  const std::size_t size = binary.image.size();
  const auto* image = reinterpret_cast<const unsigned char*>(binary.image.data());
  abi::Int image_status = abi::success, status = abi::success;
  OwnedProgram program(state->api, api.create_program_with_binary(state->context.get(), 1, &device, &size, &image,
                                                                  &image_status, &status));
  const std::string what = fmt::format("load a binary of {} for '{}' on device {} ({})", format_bytes(Bytes{size}),
                                       binary.target, state->found.info.id.to_string(), state->found.info.name);
  check(status != abi::success ? status : image_status, Stage::load, "clCreateProgramWithBinary", what);
  status = api.build_program(program.get(), 1, &device, "", nullptr, nullptr);
  if (status != abi::success) {
    const std::string log = build_log(api, program.get(), device);
    check(status, Stage::load, "clBuildProgram", log.empty() ? what : what + " (" + log + ")");
  }
  return std::make_unique<OpenclModule>(state, std::move(program), binary);
}

abi::Event enqueue_launch(const StreamState& stream, const device::Kernel& kernel, const device::LaunchConfig& config,
                          std::span<const device::KernelArgument> arguments) {
  return ours<const OpenclKernel>(kernel, "kernel").enqueue(stream, config, arguments);
}

// ---- queries --------------------------------------------------------------------------------------------------------

std::string build_log(const Api& api, abi::Program program, abi::Device device) {
  std::size_t size = 0;
  if (api.get_program_build_info(program, device, abi::program_build_log, 0, nullptr, &size) != abi::success ||
      size == 0)
    return {};
  std::string log(size, '\0');
  if (api.get_program_build_info(program, device, abi::program_build_log, size, log.data(), nullptr) != abi::success)
    return {};
  log.resize(std::min(log.size(), log.find('\0')));
  const std::size_t last = log.find_last_not_of(" \t\r\n");
  log.resize(last == std::string::npos ? 0 : last + 1);
  return log;
}

std::vector<std::string> kernel_names(const Api& api, abi::Program program) {
  std::size_t size = 0;
  if (api.get_program_info(program, abi::program_kernel_names, 0, nullptr, &size) != abi::success || size == 0)
    return {};
  std::string text(size, '\0');
  if (api.get_program_info(program, abi::program_kernel_names, size, text.data(), nullptr) != abi::success) return {};
  text.resize(std::min(text.size(), text.find('\0')));
  std::vector<std::string> names;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.size(), text.find(';', begin));
    if (end > begin) names.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return names;
}

KernelResources query_resources(const Api& api, abi::Kernel kernel, abi::Device device, const std::string& entry) {
  KernelResources resources;
  resources.entry = entry;
  const auto query = [&](abi::Uint name, auto value) -> std::optional<decltype(value)> {
    if (api.get_kernel_work_group_info(kernel, device, name, sizeof(value), &value, nullptr) != abi::success)
      return std::nullopt;
    return value;
  };
  if (const auto bytes = query(abi::kernel_local_mem_size, abi::Ulong{0})) resources.static_shared = Bytes{*bytes};
  if (const auto bytes = query(abi::kernel_private_mem_size, abi::Ulong{0})) resources.local_per_thread = Bytes{*bytes};
  if (const auto threads = query(abi::kernel_work_group_size, std::size_t{0}); threads && *threads > 0)
    resources.max_threads_per_block = static_cast<int>(*threads);
  return resources;
}

std::map<std::string, int> parse_ptxas_registers(std::string_view log) {
  std::map<std::string, int> registers;
  std::string current;
  while (!log.empty()) {
    const std::size_t end = std::min(log.size(), log.find('\n'));
    const std::string_view line = log.substr(0, end);
    log.remove_prefix(std::min(log.size(), end + 1));
    constexpr std::string_view entry = "Compiling entry function '", used = ": Used ";
    if (const std::size_t at = line.find(entry); at != std::string_view::npos) {
      const std::string_view rest = line.substr(at + entry.size());
      current = std::string(rest.substr(0, rest.find('\'')));
    } else if (const std::size_t count = line.find(used); count != std::string_view::npos && !current.empty()) {
      int number = 0;
      std::size_t i = count + used.size();
      for (; i < line.size() && line[i] >= '0' && line[i] <= '9' && number < 100000; ++i)
        number = number * 10 + (line[i] - '0');
      if (line.substr(i).starts_with(" registers")) registers[current] = number;
    }
  }
  return registers;
}

}  // namespace warpwright::opencl
