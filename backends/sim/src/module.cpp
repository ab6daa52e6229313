#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>

#include <warpwright/device/checks.hpp>

#include "context.hpp"

namespace warpwright::sim {

namespace {

// What a module, its kernels and their launches share.
struct LoadedProgram {
  LoadedProgram(std::shared_ptr<DeviceState> owner, Program text) : state(std::move(owner)), program(std::move(text)) {
    for (const auto& [name, size] : program.symbols) symbols.emplace(name, std::make_shared<Storage>(state, size));
  }

  std::shared_ptr<DeviceState> state;
  Program program;
  std::map<std::string, std::shared_ptr<Storage>> symbols;
};

class SimKernel final : public device::Kernel {
 public:
  SimKernel(std::shared_ptr<LoadedProgram> loaded, const KernelText& text)
      : loaded_(std::move(loaded)), text_(text), resources_(evaluate_resources(loaded_->program, text)) {
    // The largest block whose registers fit, in whole warps.
    const DeviceInfo& info = loaded_->state->info;
    std::int64_t threads = info.max_threads_per_block;
    while (threads > 0 && blocks_per_multiprocessor(info, resources_, threads, Bytes{}) == 0)
      threads -= std::max(1, info.warp_size);
    resources_.max_threads_per_block = static_cast<int>(std::max<std::int64_t>(0, threads));
  }

  const std::string& name() const override { return text_.entry; }
  KernelResources resources() const override { return resources_; }
  std::optional<std::vector<KernelParameter>> parameters() const override {
    using Kind = KernelParameter::Kind;
    if (!text_.arguments_declared) return std::nullopt;
    std::vector<KernelParameter> parameters;
    for (const ArgumentDeclaration& argument : text_.arguments) {
      KernelParameter& parameter = parameters.emplace_back();
      parameter.kind = argument.is_buffer ? Kind::buffer : Kind::scalar;
      parameter.text = fmt::format("{}{} {}", to_string(argument.type), argument.is_buffer ? "*" : "", argument.name);
      parameter.type = argument.type;
      if (!argument.is_buffer) parameter.size = Bytes{size_of(argument.type)};
    }
    return parameters;
  }
  std::optional<int> max_active_blocks(std::int64_t threads_per_block, Bytes dynamic_shared) const override {
    return blocks_per_multiprocessor(loaded_->state->info, resources_, threads_per_block, dynamic_shared);
  }

  const std::shared_ptr<LoadedProgram>& loaded() const { return loaded_; }
  const KernelText& text() const { return text_; }
  const KernelResources& needs() const { return resources_; }
  const std::shared_ptr<std::uint64_t>& launches() const { return launches_; }

 private:
  std::shared_ptr<LoadedProgram> loaded_;
  const KernelText& text_;  // in loaded_
  KernelResources resources_;
  std::shared_ptr<std::uint64_t> launches_ = std::make_shared<std::uint64_t>(0);  // guarded by the state's mutex
};

class SimModule final : public device::Module {
 public:
  explicit SimModule(std::shared_ptr<LoadedProgram> loaded) : loaded_(std::move(loaded)) {}

  std::unique_ptr<device::Kernel> kernel(const std::string& entry) override {
    const auto& kernels = loaded_->program.kernels;
    if (const auto found = kernels.find(entry); found != kernels.end())
      return std::make_unique<SimKernel>(loaded_, found->second);
    std::vector<std::string> names;
    for (const auto& [name, text] : kernels) names.push_back(name);
    std::string message = "there is no kernel '" + entry + "' in the program";
    if (const auto match = closest_match(entry, names)) message += "; did you mean '" + *match + "'?";
    throw Error(ErrorCode::not_found, message + fmt::format("; it has: {}", fmt::join(names, ", ")));
  }

  std::unique_ptr<device::Buffer> symbol(const std::string& name) override {
    const auto found = loaded_->symbols.find(name);
    if (found == loaded_->symbols.end()) return nullptr;
    return std::make_unique<SimBuffer>(loaded_->state, found->second);
  }

 private:
  std::shared_ptr<LoadedProgram> loaded_;
};

// Why the device refuses the launch; nullopt if it does not.
std::optional<std::string> refusal(const DeviceInfo& info, const SimKernel& kernel,
                                   const device::LaunchConfig& config) {
  const std::int64_t threads = config.block[0] * config.block[1] * config.block[2];
  const Bytes fixed = kernel.needs().static_shared.value_or(Bytes{});
  if (fixed > info.shared_per_block)
    return fmt::format("its {} bytes of static shared memory exceed the {} a block may have", fixed.count,
                       info.shared_per_block.count);
  if (config.dynamic_shared > info.shared_limit() - fixed)
    return fmt::format("{} + {} bytes of shared memory exceed the {} a block may have", fixed.count,
                       config.dynamic_shared.count, info.shared_limit().count);
  const int fitting = blocks_per_multiprocessor(info, kernel.needs(), threads, config.dynamic_shared);
  if (fitting == 0)
    return fmt::format("too many resources requested: {} threads with {} registers each", threads,
                       kernel.needs().registers_per_thread.value_or(0));
  // Divided one by one, so that no product can overflow.
  std::int64_t cluster = 8;  // the portable limit
  for (std::size_t d = 0; d < 3; ++d) {
    if (config.grid[d] % config.cluster[d] != 0)
      return fmt::format("grid {} is no multiple of cluster {}", config.grid[d], config.cluster[d]);
    cluster /= config.cluster[d];
  }
  if (cluster == 0) return "a cluster may have 8 blocks";
  if (config.cooperative) {
    std::int64_t room = static_cast<std::int64_t>(fitting) * info.multiprocessors;
    for (const std::int64_t extent : config.grid) room /= extent;
    if (room == 0)
      return fmt::format("a cooperative grid may have {} blocks of this kernel",
                         static_cast<std::int64_t>(fitting) * info.multiprocessors);
  }
  return std::nullopt;
}

// An argument as the behaviour will see it, with its buffer kept by a weak reference.
struct BoundArgument {
  LaunchView::Argument view;
  std::weak_ptr<Storage> storage;
  Bytes offset, size;  // of the buffer in its storage
};

std::vector<BoundArgument> bind_arguments(const SimKernel& kernel, std::span<const device::KernelArgument> arguments) {
  const KernelText& text = kernel.text();
  if (text.arguments_declared && arguments.size() != text.arguments.size())
    throw Error(ErrorCode::bad_input, fmt::format("kernel '{}' has {} parameters; the launch passes {} arguments",
                                                  text.entry, text.arguments.size(), arguments.size()));
  std::vector<BoundArgument> bound(arguments.size());
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    LaunchView::Argument& view = bound[i].view;
    if (text.arguments_declared) {
      view.name = text.arguments[i].name;
      view.type = text.arguments[i].type;
      view.declared = true;
    }
    if (const auto* scalar = std::get_if<device::ScalarArgument>(&arguments[i])) {
      view.scalar = *scalar;
    } else if (std::holds_alternative<device::LocalMemory>(arguments[i])) {
      // What a simulated kernel does needs no memory of a block's.
      if (text.arguments_declared)
        throw Error(ErrorCode::bad_input,
                    fmt::format("argument {} ('{}') of kernel '{}' must be a {}, and __local memory is passed", i,
                                view.name, text.entry, text.arguments[i].is_buffer ? "buffer" : "scalar"));
      continue;
    } else if (!std::holds_alternative<const device::Buffer*>(arguments[i])) {
      throw Error(
          ErrorCode::unsupported,
          fmt::format("argument {} of kernel '{}' is an image or sampler: those are for OpenCL, and the backend "
                      "sim does not offer them",
                      i, text.entry));
    } else {
      const device::Buffer* buffer = std::get<const device::Buffer*>(arguments[i]);
      if (buffer == nullptr)
        throw Error(ErrorCode::bad_input, fmt::format("argument {} of kernel '{}' is a null buffer", i, text.entry));
      const auto& mine = ours<const SimBuffer>(*buffer, "buffer");
      const auto& storage = mine.storage();
      if (storage->owner() != kernel.loaded()->state.get())
        throw Error(ErrorCode::bad_input, "this buffer belongs to another context");
      view.is_buffer = true;
      bound[i].storage = storage;
      bound[i].offset = mine.offset();
      bound[i].size = mine.size();
    }
    if (!text.arguments_declared) continue;
    if (view.is_buffer != text.arguments[i].is_buffer)
      throw Error(ErrorCode::bad_input, fmt::format("argument {} ('{}') of kernel '{}' must be a {}", i, view.name,
                                                    text.entry, text.arguments[i].is_buffer ? "buffer" : "scalar"));
    if (!view.is_buffer && view.scalar.size != size_of(view.type))
      throw Error(ErrorCode::bad_input, fmt::format("cannot pass {} bytes as argument {} ('{}', {}) of kernel '{}'",
                                                    view.scalar.size, i, view.name, to_string(view.type), text.entry));
  }
  return bound;
}

// Definitions, geometry and declared scalars.
Scope launch_scope(const SimKernel& kernel, const device::LaunchConfig& config, const LaunchView& view) {
  Scope scope = compile_scope(kernel.loaded()->program);
  constexpr std::array axes{'X', 'Y', 'Z'};
  for (std::size_t d = 0; d < 3; ++d) {
    scope.set(fmt::format("BLOCK_{}", axes[d]), Value{config.block[d]});
    scope.set(fmt::format("GRID_{}", axes[d]), Value{config.grid[d]});
  }
  scope.set("SHARED", Value{static_cast<std::int64_t>(config.dynamic_shared.count)});
  for (std::size_t i = 0; i < view.arguments.size(); ++i) {
    const auto& argument = view.arguments[i];
    if (argument.is_buffer || !argument.declared || size_of(argument.type) == 2) continue;
    scope.set(argument.name, is_floating(argument.type) ? Value{view.number(i)} : Value{view.integer(i)});
  }
  return scope;
}

// ---- the damage of faults -------------------------------------------------------------------------------------------

struct Damage {
  bool wrong = false, nan = false, partial = false, out_of_bounds = false;
  std::size_t output = 0;
  std::optional<std::uint64_t> elements;  // default: the whole buffer
  bool any() const { return wrong || nan || partial || out_of_bounds; }
};

void add_one(std::span<std::byte> element, DataType type) {
  if (type == DataType::float32) {
    float value;
    std::memcpy(&value, element.data(), sizeof(value));
    value += std::max(1.0f, std::abs(value));
    std::memcpy(element.data(), &value, sizeof(value));
  } else if (type == DataType::float64) {
    double value;
    std::memcpy(&value, element.data(), sizeof(value));
    value += std::max(1.0, std::abs(value));
    std::memcpy(element.data(), &value, sizeof(value));
  } else if (type == DataType::float16 || type == DataType::bfloat16) {
    element[1] ^= std::byte{0x04};  // a bit of the exponent
  } else {
    element[0] ^= std::byte{0x01};
  }
}

void make_nan(std::span<std::byte> element, DataType type, const std::string& kernel) {
  if (!is_floating(type))
    throw Error(ErrorCode::bad_input, fmt::format("kernel '{}': 'nan_if' needs an output of a floating type", kernel));
  // All exponent bits and a quiet bit; right for every IEEE format and bfloat16.
  std::ranges::fill(element, std::byte{0xFF});
}

// Spoils what the behaviour wrote; `before` is the output as it was.
void spoil(std::span<std::byte> output, std::span<const std::byte> before, DataType type, const Damage& damage,
           const std::string& kernel, DeviceState& state) {
  const std::size_t width = size_of(type);
  const std::size_t room = output.size() / width;
  const std::size_t elements = damage.elements.value_or(room);
  if (elements == 0 || elements > room) return;
  const auto element = [&](std::size_t index) { return output.subspan(index * width, width); };
  if (damage.partial) {
    const std::size_t half = elements / 2 * width;
    std::ranges::copy(before.subspan(half, elements * width - half),
                      output.begin() + static_cast<std::ptrdiff_t>(half));
  }
  if (damage.wrong) add_one(element(elements / 2), type);
  if (damage.nan) make_nan(element(elements / 3), type, kernel);
  if (damage.out_of_bounds) {
    // Outside the allocation a device faults; inside it, the guard zone of a careful caller is hit.
    if (elements == room) return state.lose(fmt::format("kernel '{}' wrote to an illegal address", kernel));
    for (std::byte& byte : element(elements)) byte = ~byte;
  }
}

}  // namespace

// The occupancy rules of compute capability 9.0: registers are given to warps in units of 256 out of four equal files,
// shared memory to blocks in units of 128 bytes with 1 KiB reserved for the system.
int blocks_per_multiprocessor(const DeviceInfo& info, const KernelResources& resources, std::int64_t threads,
                              Bytes dynamic_shared) {
  if (threads <= 0 || threads > info.max_threads_per_block) return 0;
  const std::int64_t warp = std::max(1, info.warp_size);
  const std::int64_t warps = (threads + warp - 1) / warp;
  std::int64_t blocks = info.max_blocks_per_multiprocessor.value_or(std::numeric_limits<int>::max());
  if (info.max_threads_per_multiprocessor)
    blocks = std::min(blocks, *info.max_threads_per_multiprocessor / warp / warps);
  if (info.registers_per_multiprocessor && resources.registers_per_thread) {
    const std::int64_t per_warp = (*resources.registers_per_thread * warp + 255) / 256 * 256;
    const std::int64_t fitting_warps = *info.registers_per_multiprocessor / 4 / per_warp * 4;
    blocks = std::min(blocks, fitting_warps / warps);
  }
  const Bytes shared = resources.static_shared.value_or(Bytes{}) + dynamic_shared;
  if (shared > info.shared_limit()) return 0;
  if (info.shared_per_multiprocessor) {
    const std::uint64_t per_block =
        (shared.count + info.reserved_shared_per_block.value_or(Bytes{}).count + 127) / 128 * 128;
    if (per_block > 0)
      blocks =
          std::min<std::int64_t>(blocks, static_cast<std::int64_t>(info.shared_per_multiprocessor->count / per_block));
  }
  return static_cast<int>(std::max<std::int64_t>(0, blocks));
}

std::unique_ptr<device::Module> load_module(const std::shared_ptr<DeviceState>& state, const Binary& binary) {
  if (binary.backend != "sim")
    throw Error(ErrorCode::bad_input, "this binary was compiled for backend '" + binary.backend + "', not for 'sim'");
  return std::make_unique<SimModule>(
      std::make_shared<LoadedProgram>(state, parse_image(binary.image, state->world->behaviours)));
}

CommandMaker prepare_launch(const std::shared_ptr<DeviceState>& state, const device::Kernel& kernel,
                            const device::LaunchConfig& config, std::span<const device::KernelArgument> arguments) {
  const auto& target = ours<const SimKernel>(kernel, "kernel");
  if (target.loaded()->state != state) throw Error(ErrorCode::bad_input, "this kernel belongs to another context");
  const KernelText& text = target.text();
  device::check_geometry(text.entry, config, state->info);
  if (const auto why = refusal(state->info, target, config))
    throw Error(ErrorCode::launch,
                fmt::format("kernel '{}' with block ({},{},{}) and grid ({},{},{}): {}", text.entry, config.block[0],
                            config.block[1], config.block[2], config.grid[0], config.grid[1], config.grid[2], *why));
  const auto bound = bind_arguments(target, arguments);
  LaunchView view;
  view.kernel = text.entry;
  view.grid = config.grid;
  view.block = config.block;
  view.dynamic_shared = config.dynamic_shared;
  view.defines = target.loaded()->program.defines;
  for (const auto& argument : bound) view.arguments.push_back(argument.view);
  const Scope scope = launch_scope(target, config, view);

  if (holds(text, "crash_if", scope)) std::abort();
  if (holds(text, "launch_refused_if", scope))
    throw Error(ErrorCode::launch, fmt::format("kernel '{}': launch refused by 'launch_refused_if'", text.entry));
  const double cost = number_or(text, "cost_ns", scope, 1000);
  const double noise = number_or(text, "noise", scope, 0);
  if (!(cost >= 0) || !(noise >= 0))
    throw Error(ErrorCode::bad_input,
                fmt::format("kernel '{}': 'cost_ns' is {} and 'noise' is {}; neither may be negative", text.entry, cost,
                            noise));
  const bool hangs = holds(text, "hang_if", scope);
  const bool faults = holds(text, "device_fault_if", scope);
  const bool flaky = holds(text, "nondeterministic_if", scope);
  Damage damage;
  damage.wrong = holds(text, "wrong_if", scope);
  damage.nan = holds(text, "nan_if", scope);
  damage.partial = holds(text, "partial_if", scope);
  damage.out_of_bounds = holds(text, "out_of_bounds_if", scope);
  if (text.find("elements") != nullptr)
    damage.elements = static_cast<std::uint64_t>(std::max(0.0, number_or(text, "elements", scope, 0)));
  // Kernels that declare no arguments have their first buffer damaged.
  const auto first_buffer = std::find_if(bound.begin(), bound.end(), [](const auto& a) { return a.view.is_buffer; });
  const bool has_output = text.output.has_value() || first_buffer != bound.end();
  damage.output = text.output.value_or(static_cast<std::size_t>(first_buffer - bound.begin()));

  // The program stays loaded until the launch has ended, whatever the caller does with its module.
  auto loaded = target.loaded();
  auto launches = target.launches();
  double touched = 0;
  for (const auto& argument : bound) touched += static_cast<double>(argument.size.count);
  const Behaviour* behaviour = &state->world->behaviours.at(text.behaviour);
  return [=](DeviceState& device, int stream) {
    Command command;
    command.engine = Engine::compute;
    command.duration = noise > 0 ? cost * std::exp(noise * device.noise.normal()) : cost;
    if (device.options().slowdown) command.duration *= std::max(0.0, device.options().slowdown(view));
    command.duration += device.dirty_lines.touch(touched, false);
    command.never_ends = hangs;
    Damage dealt = damage;
    if (flaky && (*launches)++ % 2 == 1) dealt.wrong = true;
    command.on_end = guarded(device, stream, [=, &device] {
      if (faults) return device.lose(fmt::format("kernel '{}' faulted ('device_fault_if')", view.kernel));
      if (!device.options().move_bytes) return;
      LaunchView now = view;
      if (!behaviour->uses_bytes && !dealt.any()) return behaviour->run(now);
      std::vector<std::shared_ptr<Storage>> kept;
      for (std::size_t i = 0; i < bound.size(); ++i) {
        if (!bound[i].view.is_buffer) continue;
        kept.push_back(lock_storage(bound[i].storage, "kernel '" + view.kernel + "'"));
        now.arguments[i].bytes = kept.back()->bytes().subspan(bound[i].offset.count, bound[i].size.count);
      }
      for (const auto& [name, storage] : loaded->symbols) now.symbols.push_back({name, storage->bytes()});
      if (!dealt.any() || !has_output) return behaviour->run(now);
      const auto output = now.arguments.at(dealt.output).bytes;
      const std::vector<std::byte> before(output.begin(), output.end());
      behaviour->run(now);
      spoil(output, before, now.arguments[dealt.output].type, dealt, view.kernel, device);
    });
    return command;
  };
}

}  // namespace warpwright::sim
