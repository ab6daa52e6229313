#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <limits>
#include <numeric>
#include <utility>

#include <warpwright/base/error.hpp>
#include <warpwright/measure/launch_sequence.hpp>

#include "parameter_check.hpp"

namespace warpwright::measure {
namespace {

template <class T>
void append_scalar(device::ScalarArgument& argument, T value) {
  std::memcpy(argument.bytes.data() + argument.size, &value, sizeof(T));
  argument.size += sizeof(T);
}

[[noreturn]] void bad_scalar(const std::string& name, const Value& value, DataType type) {
  throw Error(ErrorCode::bad_input, fmt::format("argument '{}' has the value {}, which {} cannot hold", name,
                                                to_literal(value), to_string(type)));
}

template <class T>
T checked_integer(const std::string& name, const Value& value, DataType type) {
  const auto integer = as_integer(value);
  if (!integer || !std::in_range<T>(*integer)) bad_scalar(name, value, type);
  return static_cast<T>(*integer);
}

void append_scalar(device::ScalarArgument& argument, const std::string& name, const Value& value, DataType type) {
  const auto number = as_number(value);
  if (!number) bad_scalar(name, value, type);
  const auto narrow = static_cast<float>(
      std::clamp(*number, -double{std::numeric_limits<float>::max()}, double{std::numeric_limits<float>::max()}));
  switch (type) {
    case DataType::int8:
      return append_scalar(argument, checked_integer<std::int8_t>(name, value, type));
    case DataType::uint8:
      return append_scalar(argument, checked_integer<std::uint8_t>(name, value, type));
    case DataType::int16:
      return append_scalar(argument, checked_integer<std::int16_t>(name, value, type));
    case DataType::uint16:
      return append_scalar(argument, checked_integer<std::uint16_t>(name, value, type));
    case DataType::int32:
      return append_scalar(argument, checked_integer<std::int32_t>(name, value, type));
    case DataType::uint32:
      return append_scalar(argument, checked_integer<std::uint32_t>(name, value, type));
    case DataType::int64:
      return append_scalar(argument, checked_integer<std::int64_t>(name, value, type));
    case DataType::uint64:
      return append_scalar(argument, checked_integer<std::uint64_t>(name, value, type));
    case DataType::float64:
      return append_scalar(argument, *number);
    case DataType::float16:
    case DataType::bfloat16:
    case DataType::float32:
      break;
  }
  if (std::isfinite(*number) && std::abs(*number) > double{std::numeric_limits<float>::max()}) {
    bad_scalar(name, value, type);
  }
  const float single = std::isfinite(*number) ? narrow : static_cast<float>(*number);
  if (type == DataType::float32) return append_scalar(argument, single);
  return append_scalar(argument, type == DataType::float16 ? float_to_half(single) : float_to_bfloat16(single));
}

// A dimension is passed as it is written.
DataType dimension_type(const Value& dimension) {
  return std::holds_alternative<double>(dimension) ? DataType::float32 : DataType::int32;
}

device::ScalarArgument scalar_argument(const Argument& argument, const Value& value, const std::string& backend) {
  // OpenCL's three-component vectors take the room of four.
  const int width = std::max(argument.components, 1);
  const int copies = width == 3 && backend == "opencl" ? 4 : width;
  if (static_cast<std::size_t>(copies) * size_of(argument.type) > device::ScalarArgument{}.bytes.size()) {
    throw Error(ErrorCode::bad_input, fmt::format("argument '{}': {}x{} is more than the 16 bytes passed by value",
                                                  argument.name, to_string(argument.type), width));
  }
  device::ScalarArgument result;
  for (int i = 0; i < copies; ++i) append_scalar(result, argument.name, value, argument.type);
  return result;
}

}  // namespace

Geometries evaluate_geometries(const std::vector<Launch>& launches, const Scope& scope, const DeviceInfo& device) {
  Geometries result;
  for (const Launch& launch : launches) {
    try {
      const LaunchGeometry geometry = evaluate_geometry(launch, scope);
      if (const auto reason = exceeds_limits(geometry, device)) {
        result.refused = "launch '" + launch.entry + "': " + *reason;
        return result;
      }
      result.each.push_back(geometry);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::bad_input) throw;
      result.refused = error.what();
      return result;
    }
  }
  return result;
}

LaunchSequence::LaunchSequence(device::Context& context, device::Stream& stream, const Problem& problem,
                               const std::vector<Launch>& launches, const std::vector<std::string>& entries,
                               std::vector<LaunchGeometry> geometries, const Configuration& configuration,
                               const device::Binary& binary, BufferSource& buffers)
    : LaunchSequence(context, stream, problem, launches, entries, std::move(geometries), configuration,
                     context.load(binary), buffers) {}

LaunchSequence::LaunchSequence(device::Context& context, device::Stream& stream, const Problem& problem,
                               const std::vector<Launch>& launches, const std::vector<std::string>& entries,
                               std::vector<LaunchGeometry> geometries, const Configuration& configuration,
                               std::unique_ptr<device::Module> module, BufferSource& buffers)
    : context_(context), stream_(&stream), problem_(problem), buffers_(buffers), module_(std::move(module)) {
  const Scope scope = problem.scope(configuration);
  for (std::size_t slot = 0; slot < buffers.count(); ++slot) {
    const Argument& argument = buffers.argument(slot);
    if (argument.access != Access::constant || argument.symbol.empty()) continue;
    auto symbol = module_->symbol(argument.symbol);
    if (!symbol) continue;
    if (symbol->size() < buffers.size(slot)) {
      throw Error(ErrorCode::bad_input,
                  fmt::format("symbol '{}' has {} bytes, argument '{}' has {}", argument.symbol, symbol->size().count,
                              argument.name, buffers.size(slot).count),
                  argument.position);
    }
    symbols_.emplace_back(slot, std::move(symbol));
  }
  for (std::size_t i = 0; i < launches.size(); ++i) {
    const Launch& launch = launches[i];
    auto& kernel = kernels_[entries[i]];
    if (!kernel) {
      kernel = module_->kernel(entries[i]);
      resources_.push_back(kernel->resources());
      resources_.back().entry = entries[i];
    }
    const LaunchGeometry& geometry = geometries[i];
    Step step{&launch, kernel.get(), {}, geometry.repeat, {}, {}};
    step.config.grid = geometry.grid;
    step.config.block = geometry.block;
    step.config.dynamic_shared = geometry.dynamic_shared;
    step.config.cooperative = launch.cooperative;
    step.config.cluster = geometry.cluster;
    for (const std::string& name : launch.args) step.parameters.push_back(parameter(name, launch, scope));
    // Constants that have no symbol are passed, behind the others. Not on CUDA: the compiler drops a symbol that a
    // configuration does not use, and a kernel that relies on symbols has no parameter for it.
    for (std::size_t slot = 0; slot < buffers.count(); ++slot) {
      const Argument& argument = buffers.argument(slot);
      const bool named = std::find(launch.args.begin(), launch.args.end(), argument.name) != launch.args.end();
      const bool has_symbol = std::any_of(symbols_.begin(), symbols_.end(), [&](auto& s) { return s.first == slot; });
      if (argument.access != Access::constant || named || has_symbol) continue;
      if (!argument.symbol.empty() && context.device().id.backend == "cuda") continue;
      step.parameters.emplace_back(slot);
    }
    for (KernelResources& resources : resources_) {
      if (resources.entry != entries[i] || geometry.dynamic_shared.count == 0) continue;
      resources.dynamic_shared = std::max(resources.dynamic_shared.value_or(Bytes{0}), geometry.dynamic_shared);
    }
    if (!mismatch_) check_parameters(step);
    steps_.push_back(std::move(step));
  }
  bind();
}

void LaunchSequence::check_parameters(const Step& step) {
  const auto parameters = step.kernel->parameters();
  if (!parameters) return;
  std::vector<PassedArgument> passed;
  for (std::size_t i = 0; i < step.parameters.size(); ++i) {
    PassedArgument& argument = passed.emplace_back();
    if (const auto* slot = std::get_if<std::size_t>(&step.parameters[i])) {
      const Argument& declared = buffers_.argument(*slot);
      argument = {declared.name, true, false, declared.type, declared.components, {}};
      continue;
    }
    argument.name = step.launch->args[i];
    argument.size = Bytes{std::get<device::ScalarArgument>(step.parameters[i]).size};
    if (const Argument* declared = problem_.find_argument(argument.name)) {
      argument.type = declared->type;
      argument.components = declared->components;
    } else {
      argument.dimension = true;
      argument.type = dimension_type(problem_.dimensions.at(argument.name));
    }
  }
  const bool opencl = context_.device().id.backend == "opencl";
  const auto reason =
      parameter_mismatch(*parameters, passed, opencl ? step.config.dynamic_shared : Bytes{}, step.kernel->name());
  if (!reason) return;
  InputPosition position = step.launch->args_position;
  if (position.describe().empty()) position = step.launch->position;
  mismatch_.emplace(ErrorCode::bad_input, "launch '" + step.launch->entry + "': " + *reason, std::move(position));
}

LaunchSequence::Parameter LaunchSequence::parameter(const std::string& name, const Launch& launch,
                                                    const Scope& scope) const {
  if (const auto slot = buffers_.find(name)) return *slot;
  const std::string& backend = context_.device().id.backend;
  if (const Argument* argument = problem_.find_argument(name)) {
    if (argument->value) {
      return scalar_argument(*argument, argument->value->evaluate(scope.lookup()).scalar(), backend);
    }
    if (const auto* constant = std::get_if<FillConstant>(&argument->fill)) {
      return scalar_argument(*argument, constant->value, backend);
    }
    throw Error(ErrorCode::bad_input, "scalar argument '" + name + "' has no value", argument->position);
  }
  if (const Value* dimension = problem_.dimensions.find(name)) {
    Argument typed;
    typed.name = name;
    typed.type = dimension_type(*dimension);
    return scalar_argument(typed, *dimension, backend);
  }
  throw Error(
      ErrorCode::bad_input,
      "launch '" + launch.entry + "' passes '" + name + "', which is neither an argument nor a problem dimension",
      launch.position);
}

void LaunchSequence::bind() {
  std::vector<std::size_t> bound(buffers_.count());  // name -> slot
  std::iota(bound.begin(), bound.end(), std::size_t{0});
  for (Step& step : steps_) {
    std::optional<std::pair<std::size_t, std::size_t>> swap;
    if (step.launch->swap.size() == 2) {
      swap.emplace(buffers_.find(step.launch->swap[0]).value(), buffers_.find(step.launch->swap[1]).value());
    }
    const std::vector<std::size_t> at_start = bound;
    for (auto& arguments : step.arguments) {
      arguments.clear();
      for (const Parameter& parameter : step.parameters) {
        if (const auto* slot = std::get_if<std::size_t>(&parameter)) {
          arguments.emplace_back(&buffers_.buffer(bound[*slot]));
        } else {
          arguments.emplace_back(std::get<device::ScalarArgument>(parameter));
        }
      }
      if (swap) std::swap(bound[swap->first], bound[swap->second]);
    }
    // Exchanged between repeats, and not after the last: an odd number of repeats ends as it began.
    bound = at_start;
    if (swap && step.repeat % 2 == 0) std::swap(bound[swap->first], bound[swap->second]);
  }
  final_slots_ = std::move(bound);
  for (const auto& [slot, symbol] : symbols_) {
    stream_->copy_on_device(*symbol, Bytes{0}, buffers_.buffer(slot), Bytes{0}, buffers_.size(slot));
  }
  generation_ = buffers_.generation();
}

bool LaunchSequence::rebind_if_changed() {
  if (generation_ == buffers_.generation()) return false;
  bind();
  return true;
}

std::int64_t LaunchSequence::launches() const {
  std::int64_t count = 0;
  for (const Step& step : steps_) count += step.repeat;
  return count;
}

std::optional<std::string> exceeds_kernel_limits(const std::string& entry, const KernelResources& resources,
                                                 const LaunchGeometry& geometry, const DeviceInfo& device) {
  const std::int64_t threads = geometry.threads_per_block();
  if (resources.max_threads_per_block && threads > *resources.max_threads_per_block) {
    return fmt::format("launch '{}': block has {} threads, this kernel allows {}{}", entry, threads,
                       *resources.max_threads_per_block,
                       resources.registers_per_thread
                           ? fmt::format(" (it takes {} registers per thread)", *resources.registers_per_thread)
                           : std::string());
  }
  const Bytes shared = resources.static_shared.value_or(Bytes{0}) + geometry.dynamic_shared;
  if (device.shared_limit().count > 0 && shared > device.shared_limit()) {
    return fmt::format("launch '{}': needs {} of shared memory, the device allows {}", entry, format_bytes(shared),
                       format_bytes(device.shared_limit()));
  }
  return std::nullopt;
}

std::optional<std::string> LaunchSequence::exceeds_kernel_limits() const {
  for (const Step& step : steps_) {
    LaunchGeometry geometry;
    geometry.block = step.config.block;
    geometry.dynamic_shared = step.config.dynamic_shared;
    if (auto reason =
            measure::exceeds_kernel_limits(step.launch->entry, step.kernel->resources(), geometry, context_.device()))
      return reason;
  }
  return std::nullopt;
}

std::optional<std::string> LaunchSequence::refuses_block() const {
  for (const Step& step : steps_) {
    const auto required = step.kernel->required_block();
    if (!required || *required == step.config.block) continue;
    const auto text = [](const std::array<std::int64_t, 3>& block) {
      return fmt::format("({}, {}, {})", block[0], block[1], block[2]);
    };
    const bool opencl = context_.device().id.backend == "opencl";
    return fmt::format("launch '{}': the block is {}, and the kernel declares {} {}", step.launch->entry,
                       text(step.config.block), opencl ? "reqd_work_group_size" : "that its block is", text(*required));
  }
  return std::nullopt;
}

void LaunchSequence::enqueue() {
  for (const Step& step : steps_) {
    for (std::int64_t i = 0; i < step.repeat; ++i) {
      try {
        stream_->launch(*step.kernel, step.config, step.arguments[i % 2]);
      } catch (Error& error) {
        const auto& block = step.config.block;
        throw error.add_context(
            fmt::format("launching block ({}, {}, {}) of '{}'", block[0], block[1], block[2], step.launch->entry));
      }
    }
  }
}

}  // namespace warpwright::measure
