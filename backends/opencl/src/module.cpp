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
  OpenclKernel(std::shared_ptr<ContextState> state, OwnedKernel kernel, KernelResources resources,
               std::optional<std::vector<KernelParameter>> declared)
      : state_(std::move(state)),
        kernel_(std::move(kernel)),
        resources_(std::move(resources)),
        declared_(std::move(declared)),
        required_block_(query_required_block(*state_->api, kernel_.get(), state_->found.device)) {
    check(state_->api->get_kernel_info(kernel_.get(), abi::kernel_num_args, sizeof(parameters_), &parameters_, nullptr),
          Stage::query, "clGetKernelInfo", "count the parameters of kernel '" + resources_.entry + "'");
    // Their number is known without the compiler's word.
    if (!declared_ || declared_->size() != parameters_) declared_.emplace(parameters_);
  }

  const std::string& name() const override { return resources_.entry; }
  KernelResources resources() const override { return resources_; }
  std::optional<std::vector<KernelParameter>> parameters() const override { return declared_; }
  std::optional<std::array<std::int64_t, 3>> required_block() const override { return required_block_; }
  std::optional<int> max_active_blocks(std::int64_t, Bytes) const override { return std::nullopt; }

  abi::Event enqueue(const StreamState& stream, const device::LaunchConfig& config,
                     std::span<const device::KernelArgument> arguments) const;

 private:
  void set_argument(abi::Uint index, const device::KernelArgument& argument) const;

  std::shared_ptr<ContextState> state_;
  OwnedKernel kernel_;
  KernelResources resources_;
  abi::Uint parameters_ = 0;
  std::optional<std::vector<KernelParameter>> declared_;
  std::optional<std::array<std::int64_t, 3>> required_block_;
  // Arguments are state of the kernel object until it is enqueued, and streams may be used by different threads.
  mutable std::mutex mutex_;
};

void OpenclKernel::set_argument(abi::Uint index, const device::KernelArgument& argument) const {
  abi::Mem memory = nullptr;
  abi::Sampler handle = nullptr;
  const void* value = &memory;
  std::size_t size = sizeof(memory);
  if (const auto* scalar = std::get_if<device::ScalarArgument>(&argument)) {
    value = scalar->bytes.data();
    size = scalar->size;
  } else if (const auto* local = std::get_if<device::LocalMemory>(&argument)) {
    value = nullptr;
    size = static_cast<std::size_t>(local->size.count);
  } else if (const auto* image = std::get_if<const device::Image*>(&argument)) {
    if (*image == nullptr)
      throw Error(ErrorCode::bad_input, fmt::format("argument {} of kernel '{}' is a null image", index, name()));
    memory = ours<const DeviceImage>(**image, "image").handle();
  } else if (const auto* sampler = std::get_if<const device::Sampler*>(&argument)) {
    if (*sampler == nullptr)
      throw Error(ErrorCode::bad_input, fmt::format("argument {} of kernel '{}' is a null sampler", index, name()));
    handle = ours<const DeviceSampler>(**sampler, "sampler").handle();
    value = &handle;
    size = sizeof(handle);
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
  Bytes asked = config.dynamic_shared;
  bool beyond = false;
  for (const auto& argument : arguments) {
    const auto* local = std::get_if<device::LocalMemory>(&argument);
    if (local == nullptr) continue;
    if (local->size.count == 0)
      throw Error(ErrorCode::bad_input, fmt::format("kernel '{}' is passed __local memory of 0 bytes", name()));
    beyond = beyond || __builtin_add_overflow(asked.count, local->size.count, &asked.count);
  }
  if (beyond || (room.count > 0 && (room < fixed || asked > room - fixed)))
    throw Error(ErrorCode::launch, fmt::format("kernel '{}' needs {} + {} bytes of local memory, the device has {}",
                                               name(), fixed.count, asked.count, device.shared_per_block.count));
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
  OpenclModule(std::shared_ptr<ContextState> state, OwnedProgram program, const Binary& binary)
      : state_(std::move(state)),
        program_(std::move(program)),
        symbols_(binary.symbols),
        compiled_(binary.resources),
        parameters_(binary.parameters) {}

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
    const auto declared = parameters_.find(entry);
    return std::make_unique<OpenclKernel>(
        state_, std::move(kernel), std::move(resources),
        declared == parameters_.end() ? std::nullopt : std::optional(declared->second));
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
  std::map<std::string, std::vector<KernelParameter>> parameters_;
};

}  // namespace

std::unique_ptr<device::Module> load_module(const std::shared_ptr<ContextState>& state, const Binary& binary) {
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
  // PoCL answers 1024 for every kernel.
  if (!is_pocl(api, device)) {
    if (const auto bytes = query(abi::kernel_private_mem_size, abi::Ulong{0}))
      resources.local_per_thread = Bytes{*bytes};
  }
  if (const auto threads = query(abi::kernel_work_group_size, std::size_t{0}); threads && *threads > 0)
    resources.max_threads_per_block = static_cast<int>(*threads);
  return resources;
}

KernelParameter parameter_of_type(std::string_view type_name) {
  using Kind = KernelParameter::Kind;
  static constexpr std::array<std::pair<std::string_view, DataType>, 21> names{
      {{"char", DataType::int8},           {"signed char", DataType::int8},      {"uchar", DataType::uint8},
       {"unsigned char", DataType::uint8}, {"short", DataType::int16},           {"signed short", DataType::int16},
       {"ushort", DataType::uint16},       {"unsigned short", DataType::uint16}, {"int", DataType::int32},
       {"signed int", DataType::int32},    {"signed", DataType::int32},          {"uint", DataType::uint32},
       {"unsigned int", DataType::uint32}, {"unsigned", DataType::uint32},       {"long", DataType::int64},
       {"signed long", DataType::int64},   {"ulong", DataType::uint64},          {"unsigned long", DataType::uint64},
       {"half", DataType::float16},        {"float", DataType::float32},         {"double", DataType::float64}}};
  KernelParameter parameter;
  parameter.text = type_name;
  parameter.kind = type_name.ends_with('*') ? Kind::buffer : Kind::scalar;
  while (!type_name.empty() && (type_name.back() == '*' || type_name.back() == ' ')) type_name.remove_suffix(1);
  std::size_t digits = type_name.size();
  while (digits > 0 && type_name[digits - 1] >= '0' && type_name[digits - 1] <= '9') --digits;
  const std::string_view width = type_name.substr(digits);
  for (const int components : {2, 3, 4, 8, 16})
    if (width == std::to_string(components)) parameter.components = components;
  if (!width.empty() && parameter.components == 1) return parameter;  // part of a name, such as "vec32"
  for (const auto& [name, type] : names)
    if (name == type_name.substr(0, digits)) parameter.type = type;
  if (!parameter.type) {
    parameter.components = 1;
  } else if (parameter.kind == Kind::scalar) {
    // A vector of three takes the room of four.
    const int room = parameter.components == 3 ? 4 : parameter.components;
    parameter.size = Bytes{size_of(*parameter.type)} * static_cast<std::uint64_t>(room);
  }
  return parameter;
}

std::optional<std::vector<KernelParameter>> query_parameters(const Api& api, abi::Kernel kernel) {
  using Kind = KernelParameter::Kind;
  abi::Uint count = 0;
  check(api.get_kernel_info(kernel, abi::kernel_num_args, sizeof(count), &count, nullptr), Stage::query,
        "clGetKernelInfo", "count the parameters of a kernel");
  std::vector<KernelParameter> parameters;
  for (abi::Uint i = 0; i < count; ++i) {
    const auto text = [&](abi::Uint what) -> std::optional<std::string> {
      std::size_t size = 0;
      if (api.get_kernel_arg_info(kernel, i, what, 0, nullptr, &size) != abi::success) return std::nullopt;
      std::string value(size, '\0');
      if (api.get_kernel_arg_info(kernel, i, what, size, value.data(), nullptr) != abi::success) return std::nullopt;
      value.resize(std::min(value.size(), value.find('\0')));
      return value;
    };
    const auto word = [&](abi::Uint what) -> std::optional<abi::Uint> {
      abi::Uint value = 0;
      if (api.get_kernel_arg_info(kernel, i, what, sizeof(value), &value, nullptr) != abi::success) return std::nullopt;
      return value;
    };
    const auto type = text(abi::kernel_arg_type_name);
    const auto address = word(abi::kernel_arg_address_qualifier);
    if (!type || !address) return std::nullopt;
    KernelParameter parameter = parameter_of_type(*type);
    const Kind named = parameter.kind;
    const auto access = word(abi::kernel_arg_access_qualifier);
    if (*address == abi::kernel_arg_address_local)
      parameter.kind = Kind::local;
    else if (*address == abi::kernel_arg_address_private)
      parameter.kind = Kind::scalar;
    else if (*address == abi::kernel_arg_address_global || *address == abi::kernel_arg_address_constant)
      parameter.kind = Kind::buffer;
    // The name of a typedef does not tell a pointer from a value.
    if (parameter.kind != named) parameter.size.reset();
    const bool qualified = access && *access != abi::kernel_arg_access_none;
    // Samplers and queues have no access qualifier.
    if (*type == "sampler_t") {
      parameter.kind = Kind::sampler;
    } else if (type->ends_with("image2d_t")) {
      parameter.kind = Kind::image;
      parameter.writable = qualified && *access != abi::kernel_arg_access_read_only;
    } else if (qualified || *type == "queue_t") {
      parameter.kind = Kind::other;
    }
    parameter.text = (parameter.kind == Kind::image && access == abi::kernel_arg_access_read_only    ? "read_only "
                      : parameter.kind == Kind::image && access == abi::kernel_arg_access_write_only ? "write_only "
                      : parameter.kind == Kind::image && access == abi::kernel_arg_access_read_write ? "read_write "
                      : *address == abi::kernel_arg_address_local                                    ? "__local "
                      : *address == abi::kernel_arg_address_constant                                 ? "__constant "
                                                                                                     : "") +
                     *type;
    if (const auto name = text(abi::kernel_arg_name); name && !name->empty()) parameter.text += " " + *name;
    parameters.push_back(std::move(parameter));
  }
  return parameters;
}

std::optional<std::array<std::int64_t, 3>> query_required_block(const Api& api, abi::Kernel kernel,
                                                                abi::Device device) {
  std::array<std::size_t, 3> size{};
  if (api.get_kernel_work_group_info(kernel, device, abi::kernel_compile_work_group_size, sizeof(size), size.data(),
                                     nullptr) != abi::success ||
      size[0] == 0)
    return std::nullopt;
  std::array<std::int64_t, 3> block{};
  for (std::size_t d = 0; d < 3; ++d) block[d] = static_cast<std::int64_t>(size[d]);
  return block;
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
