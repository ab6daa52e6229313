#include <algorithm>
#include <cmath>
#include <cstring>
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

[[noreturn]] void too_large(const Argument& argument, std::size_t size) {
  throw Error(ErrorCode::bad_input,
              fmt::format("argument '{}' has {} bytes, and at most {} are passed by value; give "
                          "it as a buffer",
                          argument.name, size, device::ScalarArgument::capacity),
              argument.position);
}

// The components' values: as many as there are components, or one for all.
std::vector<Value> components_of(const std::string& name, const ExpressionValue& value, int components) {
  const auto* list = std::get_if<ExpressionList>(&value);
  if (list == nullptr) return std::vector<Value>(static_cast<std::size_t>(components), value.scalar());
  if (list->size() != static_cast<std::size_t>(components)) {
    throw Error(ErrorCode::bad_input, fmt::format("argument '{}' has {} components, and its value is a list of {}",
                                                  name, components, list->size()));
  }
  std::vector<Value> values;
  for (const ExpressionValue& item : *list) values.push_back(item.scalar());
  return values;
}

device::ScalarArgument scalar_argument(const Argument& argument, const ExpressionValue& value, DataType type,
                                       const std::string& backend) {
  const int width = std::max(argument.components, 1);
  // OpenCL's three-component vectors take the room of four.
  const int room = width == 3 && backend == "opencl" ? 4 : width;
  const std::size_t size = static_cast<std::size_t>(room) * size_of(type);
  if (size > device::ScalarArgument::capacity) too_large(argument, size);
  std::vector<Value> values = components_of(argument.name, value, width);
  values.resize(static_cast<std::size_t>(room), values.back());
  device::ScalarArgument result;
  for (const Value& component : values) append_scalar(result, argument.name, component, type);
  return result;
}

device::ScalarArgument struct_argument(const Argument& argument, const Scope& scope) {
  const StructLayout layout = layout_of(argument.fields);
  const auto size = static_cast<std::size_t>(layout.size);
  if (size > device::ScalarArgument::capacity) too_large(argument, size);
  device::ScalarArgument result;
  for (std::size_t i = 0; i < argument.fields.size(); ++i) {
    const StructField& field = argument.fields[i];
    const std::string name = field.name.empty() ? argument.name : argument.name + "." + field.name;
    result.size = static_cast<std::size_t>(layout.offsets[i]);
    for (const Value& component : components_of(name, field.value.evaluate(scope.lookup()), field.components))
      append_scalar(result, name, component, field.type);
  }
  result.size = size;
  return result;
}

// As the specification writes it.
std::string name_of(const Launch& launch) { return label_of(launch.stage, launch.entry); }

bool names_repeat(const Expression& expression) {
  const auto& names = expression.names();
  return std::find(names.begin(), names.end(), repeat_variable) != names.end();
}

bool changes_with_repeat(const Argument& argument) {
  return (argument.value && names_repeat(*argument.value)) ||
         std::any_of(argument.fields.begin(), argument.fields.end(),
                     [](const StructField& field) { return names_repeat(field.value); });
}

std::string too_many_repeats(const Launch& launch, std::int64_t repeat) {
  return fmt::format(
      "launch '{}' changes with each of its {} repeats, and at most {} can be prepared; make several "
      "launches of it, or count in the kernel",
      launch.entry, repeat, most_changing_repeats);
}

}  // namespace

Geometries evaluate_geometries(const std::vector<Launch>& launches, const Scope& scope, const DeviceInfo& device) {
  Geometries result;
  bool any = false;
  for (const Launch& launch : launches) {
    try {
      const LaunchGeometry geometry = evaluate_geometry(launch, scope);
      std::vector<LaunchGeometry> rounds;
      if (geometry.repeat > 1 && warpwright::changes_with_repeat(launch, scope)) {
        if (geometry.repeat > most_changing_repeats) {
          result.refused = too_many_repeats(launch, geometry.repeat);
          return result;
        }
        for (std::int64_t i = 0; i < geometry.repeat; ++i) rounds.push_back(evaluate_geometry(launch, scope, i));
      }
      const auto refuse = [&](const LaunchGeometry& one) {
        const auto reason = exceeds_limits(one, device);
        if (reason) result.refused = "launch '" + launch.entry + "': " + *reason;
        return reason.has_value();
      };
      if (geometry.repeat > 0 && (refuse(geometry) || std::any_of(rounds.begin(), rounds.end(), refuse))) return result;
      any = any || geometry.repeat > 0;
      result.each.push_back(geometry);
      result.rounds.push_back(std::move(rounds));
    } catch (const Error& error) {
      if (error.code() != ErrorCode::bad_input) throw;
      result.refused = error.what();
      return result;
    }
  }
  if (!any && !launches.empty()) result.refused = "every launch is left out (`when`, or `repeat` of 0): nothing runs";
  return result;
}

LaunchSequence::LaunchSequence(device::Context& context, device::Stream& stream, const Problem& problem,
                               const std::vector<Launch>& launches, const std::vector<std::string>& entries,
                               Geometries geometries, const Configuration& configuration, const Binary& binary,
                               BufferSource& buffers)
    : LaunchSequence(context, stream, problem, launches, entries, std::move(geometries), configuration,
                     std::make_unique<ModuleSet>(context, binary), buffers) {}

LaunchSequence::LaunchSequence(device::Context& context, device::Stream& stream, const Problem& problem,
                               const std::vector<Launch>& launches, const std::vector<std::string>& entries,
                               Geometries geometries, const Configuration& configuration,
                               std::unique_ptr<ModuleSet> modules, BufferSource& buffers)
    : context_(context),
      stream_(&stream),
      problem_(problem),
      buffers_(buffers),
      scope_(problem.scope(configuration)),
      modules_(std::move(modules)) {
  for (std::size_t slot = 0; slot < buffers.count(); ++slot) {
    const Argument& argument = buffers.argument(slot);
    if (argument.access != Access::constant || argument.symbol.empty()) continue;
    for (auto& symbol : modules_->symbols(argument.symbol)) {
      if (symbol->size() < buffers.size(slot)) {
        throw Error(ErrorCode::bad_input,
                    fmt::format("symbol '{}' has {} bytes, argument '{}' has {}", argument.symbol, symbol->size().count,
                                argument.name, buffers.size(slot).count),
                    argument.position);
      }
      symbols_.emplace_back(slot, std::move(symbol));
    }
  }
  const bool hidden = scope_.find(repeat_variable) != nullptr;
  for (std::size_t i = 0; i < launches.size(); ++i) {
    const Launch& launch = launches[i];
    const LaunchGeometry& geometry = geometries.each[i];
    if (geometry.repeat == 0) continue;
    auto& kernel = kernels_[entries[i]];
    if (!kernel) {
      kernel = modules_->kernel(entries[i]);
      resources_.push_back(kernel->resources());
      resources_.back().entry = entries[i];
    }
    Step step{&launch, entries[i], kernel.get(), geometry.repeat, {}, {}, {}};
    const bool shapes = i < geometries.rounds.size() && !geometries.rounds[i].empty();
    for (const LaunchGeometry& round : shapes ? geometries.rounds[i] : std::vector{geometry}) {
      device::LaunchConfig config;
      config.grid = round.grid;
      config.block = round.block;
      config.dynamic_shared = round.dynamic_shared;
      config.cooperative = launch.cooperative;
      config.cluster = round.cluster;
      step.configs.push_back(config);
      for (KernelResources& resources : resources_) {
        if (resources.entry != entries[i] || round.dynamic_shared.count == 0) continue;
        resources.dynamic_shared = std::max(resources.dynamic_shared.value_or(Bytes{0}), round.dynamic_shared);
      }
    }
    const bool scalars = !hidden && geometry.repeat > 1 && launch.repeat &&
                         std::any_of(launch.args.begin(), launch.args.end(), [&](const std::string& name) {
                           const Argument* argument = problem.find_argument(name);
                           return argument != nullptr && changes_with_repeat(*argument);
                         });
    if (scalars && geometry.repeat > most_changing_repeats) {
      throw Error(ErrorCode::bad_input, too_many_repeats(launch, geometry.repeat), launch.position);
    }
    for (std::int64_t round = 0; round < (scalars ? geometry.repeat : 1); ++round) {
      const Scope scope = with_repeat(scope_, round);
      auto& parameters = step.parameters.emplace_back();
      for (const std::string& name : launch.args) parameters.push_back(parameter(name, launch, scope));
      for (std::size_t slot = 0; slot < buffers.count(); ++slot) {
        if (appends_constant(slot, launch)) parameters.emplace_back(slot);
      }
    }
    if (!mismatch_) check_parameters(step);
    steps_.push_back(std::move(step));
  }
  bind();
}

// Constants that have no symbol are passed, behind the others. Not on CUDA: the compiler drops a symbol that a
// configuration does not use, and a kernel that relies on symbols has no parameter for it. Of several sources, to the
// launches of those that name it.
bool LaunchSequence::appends_constant(std::size_t slot, const Launch& launch) const {
  const Argument& argument = buffers_.argument(slot);
  if (argument.access != Access::constant) return false;
  const std::string& backend = context_.device().id.backend;
  if (std::find(launch.args.begin(), launch.args.end(), argument.name) != launch.args.end()) return false;
  if (std::any_of(symbols_.begin(), symbols_.end(), [&](auto& s) { return s.first == slot; })) return false;
  if (!argument.symbol.empty() && backend == "cuda") return false;
  if (problem_.stages.empty()) return true;
  const SourceText* source = problem_.find_source(launch.stage, backend);
  return !argument.symbol.empty() && source != nullptr && source->text.find(argument.symbol) != std::string::npos;
}

void LaunchSequence::check_parameters(const Step& step) {
  const auto parameters = step.kernel->parameters();
  if (!parameters) return;
  std::vector<PassedArgument> passed;
  const std::vector<Parameter>& given = step.parameters.front();
  for (std::size_t i = 0; i < given.size(); ++i) {
    PassedArgument& argument = passed.emplace_back();
    if (const auto* slot = std::get_if<std::size_t>(&given[i])) {
      const Argument& declared = buffers_.argument(*slot);
      argument = {declared.name, true, false, declared.type_in(scope_), declared.components, {}};
      if (declared.image) argument.image = declared.access == Access::in ? PassedImage::read : PassedImage::written;
      continue;
    }
    argument.name = step.launch->args[i];
    if (const auto* local = std::get_if<device::LocalMemory>(&given[i])) {
      argument.local = true;
      argument.size = local->size;
      continue;
    }
    if (std::holds_alternative<const device::Sampler*>(given[i])) {
      argument.sampler = true;
      continue;
    }
    argument.size = Bytes{std::get<device::ScalarArgument>(given[i]).size};
    if (const Argument* declared = problem_.find_argument(argument.name)) {
      argument.structure = !declared->fields.empty();
      argument.type = declared->type_in(scope_);
      argument.components = declared->components;
    } else {
      argument.dimension = true;
      argument.type = dimension_type(problem_.dimensions.at(argument.name));
    }
  }
  const bool opencl = context_.device().id.backend == "opencl";
  const auto reason = parameter_mismatch(*parameters, passed, opencl ? step.configs.front().dynamic_shared : Bytes{},
                                         step.kernel->name());
  if (!reason) return;
  InputPosition position = step.launch->args_position;
  if (position.describe().empty()) position = step.launch->position;
  mismatch_.emplace(ErrorCode::bad_input, "launch '" + step.launch->entry + "': " + *reason, std::move(position));
}

LaunchSequence::Parameter LaunchSequence::parameter(const std::string& name, const Launch& launch, const Scope& scope) {
  if (const auto slot = buffers_.find(name)) return *slot;
  const std::string& backend = context_.device().id.backend;
  if (const Argument* argument = problem_.find_argument(name)) {
    const DataType type = argument->type_in(scope);
    if (argument->access == Access::local) {
      if (backend == "cuda") {
        throw Error(ErrorCode::bad_input,
                    fmt::format("launch '{}' passes __local memory ('{}'), which only OpenCL kernels take as a "
                                "parameter; a CUDA kernel has one block of dynamic shared memory: give its bytes with "
                                "`shared`, declare it with extern __shared__ and split it by offsets in the kernel, or "
                                "declare __shared__ arrays there",
                                launch.entry, name),
                    launch.args_position);
      }
      const std::int64_t elements =
          scope.integer_at_least(argument->size.value(), 1, "size of argument '" + name + "'");
      const auto width = static_cast<std::uint64_t>(std::max(argument->components, 1)) * size_of(type);
      if (static_cast<std::uint64_t>(elements) > (std::uint64_t{1} << 40) / width) {
        throw Error(ErrorCode::bad_input,
                    fmt::format("size of argument '{}' is {}, beyond any __local memory", name, elements),
                    argument->position);
      }
      return device::LocalMemory{Bytes{static_cast<std::uint64_t>(elements) * width}};
    }
    if (argument->sampler) {
      auto& sampler = samplers_[name];
      if (!sampler) sampler = context_.create_sampler(*argument->sampler);
      return static_cast<const device::Sampler*>(sampler.get());
    }
    if (!argument->fields.empty()) return struct_argument(*argument, scope);
    if (argument->value) {
      return scalar_argument(*argument, argument->value->evaluate(scope.lookup()), type, backend);
    }
    if (const auto* constant = std::get_if<FillConstant>(&argument->fill)) {
      return scalar_argument(*argument, ExpressionValue(constant->value), type, backend);
    }
    throw Error(ErrorCode::bad_input, "scalar argument '" + name + "' has no value", argument->position);
  }
  if (const Value* dimension = problem_.dimensions.find(name)) {
    Argument typed;
    typed.name = name;
    typed.type = dimension_type(*dimension);
    return scalar_argument(typed, ExpressionValue(*dimension), typed.type, backend);
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
    step.arguments.resize(std::max<std::size_t>(step.parameters.size(), 2));
    for (std::size_t round = 0; round < step.arguments.size(); ++round) {
      auto& arguments = step.arguments[round];
      arguments.clear();
      for (const Parameter& parameter : step.parameters[round % step.parameters.size()]) {
        if (const auto* slot = std::get_if<std::size_t>(&parameter)) {
          if (!buffers_.argument(*slot).image) {
            arguments.emplace_back(&buffers_.buffer(bound[*slot]));
          } else if (const device::Image* image = buffers_.image(bound[*slot])) {
            arguments.emplace_back(image);
          } else {
            throw Error(ErrorCode::bad_input,
                        "no image was given for argument '" + buffers_.argument(*slot).name + "'");
          }
        } else if (const auto* local = std::get_if<device::LocalMemory>(&parameter)) {
          arguments.emplace_back(*local);
        } else if (const auto* sampler = std::get_if<const device::Sampler*>(&parameter)) {
          arguments.emplace_back(*sampler);
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
    const KernelResources resources = step.kernel->resources();
    Bytes local;
    for (const Parameter& parameter : step.parameters.front()) {
      if (const auto* memory = std::get_if<device::LocalMemory>(&parameter)) local = local + memory->size;
    }
    for (const device::LaunchConfig& config : step.configs) {
      LaunchGeometry geometry;
      geometry.block = config.block;
      geometry.dynamic_shared = config.dynamic_shared + local;
      if (auto reason = measure::exceeds_kernel_limits(name_of(*step.launch), resources, geometry, context_.device()))
        return reason;
    }
  }
  return std::nullopt;
}

std::optional<std::string> LaunchSequence::refuses_block() const {
  for (const Step& step : steps_) {
    const auto required = step.kernel->required_block();
    if (!required) continue;
    const auto other = std::find_if(step.configs.begin(), step.configs.end(),
                                    [&](const device::LaunchConfig& config) { return config.block != *required; });
    if (other == step.configs.end()) continue;
    const auto text = [](const std::array<std::int64_t, 3>& block) {
      return fmt::format("({}, {}, {})", block[0], block[1], block[2]);
    };
    const bool opencl = context_.device().id.backend == "opencl";
    return fmt::format("launch '{}': the block is {}, and the kernel declares {} {}", name_of(*step.launch),
                       text(other->block), opencl ? "reqd_work_group_size" : "that its block is", text(*required));
  }
  return std::nullopt;
}

std::vector<LaunchTime> LaunchSequence::steps() const {
  std::vector<LaunchTime> steps;
  for (const Step& step : steps_) steps.push_back({step.entry, step.repeat, {}});
  return steps;
}

void LaunchSequence::enqueue() { enqueue({}); }

void LaunchSequence::enqueue(const std::function<void(std::size_t)>& between) {
  for (std::size_t s = 0; s < steps_.size(); ++s) {
    const Step& step = steps_[s];
    if (between) between(s);
    for (std::size_t i = 0; i < static_cast<std::size_t>(step.repeat); ++i) {
      const device::LaunchConfig& config = step.configs[i % step.configs.size()];
      try {
        stream_->launch(*step.kernel, config, step.arguments[i % step.arguments.size()]);
      } catch (Error& error) {
        const auto& block = config.block;
        throw error.add_context(
            fmt::format("launching block ({}, {}, {}) of '{}'", block[0], block[1], block[2], name_of(*step.launch)));
      }
    }
  }
  if (between) between(steps_.size());
}

}  // namespace warpwright::measure
