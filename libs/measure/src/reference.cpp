// Where the expected outputs come from. Whatever computes them starts from poisoned outputs and must write every
// element: a reference that leaves some would otherwise approve of kernels that leave the same ones.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <exception>
#include <fmt/format.h>
#include <utility>

#include <warpwright/base/error.hpp>
#include <warpwright/base/temporary_folder.hpp>
#include <warpwright/measure/inputs.hpp>
#include <warpwright/measure/kernel_job.hpp>
#include <warpwright/measure/verify.hpp>

#include "command.hpp"
#include "runner_state.hpp"

namespace warpwright::measure {
namespace {

std::vector<std::string> reference_entries(const ReferenceKernel& kernel) {
  std::vector<std::string> entries;
  for (const Launch& launch : kernel.launches) entries.push_back(launch.entry);
  return entries;
}

std::uint8_t poison_of(DataType type, bool second) { return second ? second_poison : first_poison(type); }

bool consists_of(const std::byte* element, std::size_t size, std::uint8_t value) {
  return std::all_of(element, element + size, [&](std::byte b) { return b == std::byte{value}; });
}

// Elements that still hold the poison of the first computation and, where given, that of the second.
struct Unwritten {
  std::uint64_t count = 0, first = 0;
};
Unwritten find_unwritten(DataType type, const std::vector<std::byte>& first, const std::vector<std::byte>* second) {
  Unwritten result;
  const std::size_t width = size_of(type);
  for (std::size_t offset = 0; offset < first.size(); offset += width) {
    if (first[offset] != std::byte{poison_of(type, false)}) continue;
    if (!consists_of(first.data() + offset, width, poison_of(type, false))) continue;
    if (second != nullptr && !consists_of(second->data() + offset, width, poison_of(type, true))) continue;
    if (result.count++ == 0) result.first = offset / width;
  }
  return result;
}

// How many right values an untouched output full of `poison` would show.
std::uint64_t right_by_accident(const std::vector<std::byte>& expected, DataType type, const Tolerance& tolerance,
                                std::uint8_t poison) {
  const std::size_t chunk = std::min<std::size_t>(expected.size(), std::size_t{1} << 20);
  const std::vector<std::byte> untouched(chunk, std::byte{poison});
  std::uint64_t right = 0;
  for (std::size_t offset = 0; offset < expected.size(); offset += chunk) {
    const std::size_t size = std::min(chunk, expected.size() - offset);
    const auto comparison =
        compare(std::span(expected).subspan(offset, size), std::span(untouched).first(size), type, tolerance, {});
    right += size / size_of(type) - (comparison.mismatch ? comparison.mismatch->wrong : 0);
  }
  return right;
}

template <class T, class ToFloat>
std::uint64_t count_nan(const std::vector<std::byte>& data, ToFloat to_float) {
  std::uint64_t count = 0;
  for (std::size_t offset = 0; offset < data.size(); offset += sizeof(T)) {
    T raw;
    std::memcpy(&raw, data.data() + offset, sizeof(T));
    count += std::isnan(to_float(raw)) ? 1 : 0;
  }
  return count;
}

std::uint64_t count_nan(const std::vector<std::byte>& data, DataType type) {
  switch (type) {
    case DataType::float16:
      return count_nan<std::uint16_t>(data, half_to_float);
    case DataType::bfloat16:
      return count_nan<std::uint16_t>(data, bfloat16_to_float);
    case DataType::float32:
      return count_nan<float>(data, [](float value) { return value; });
    case DataType::float64:
      return count_nan<double>(data, [](double value) { return value; });
    default:
      return 0;
  }
}

bool has_random_inputs(const Problem& problem) {
  return std::any_of(problem.arguments.begin(), problem.arguments.end(), [](const Argument& argument) {
    const bool has_data = argument.access != Access::out && argument.access != Access::scalar;
    return has_data &&
           (std::holds_alternative<FillUniform>(argument.fill) || std::holds_alternative<FillNormal>(argument.fill));
  });
}

// "{dir}" and "{width}" replaced by the folder and the problem's dimensions.
std::string filled_in(std::string word, const std::filesystem::path& folder, const Configuration& dimensions) {
  const auto replace = [&](const std::string& name, const std::string& value) {
    const std::string key = "{" + name + "}";
    for (std::size_t at = word.find(key); at != std::string::npos; at = word.find(key, at + value.size())) {
      word.replace(at, key.size(), value);
    }
  };
  replace("dir", folder.string());
  for (const auto& [name, value] : dimensions) replace(name, warpwright::to_string(value));
  return word;
}

}  // namespace

// Whether a kernel that reads outside its buffers may have shown in these outputs. What it read shows as NaN in
// floating outputs; in integers anything may come of it.
bool ProblemRunner::State::may_depend_on_guards(const HostBuffers& outputs) const {
  return std::any_of(outputs.begin(), outputs.end(), [&](const auto& output) {
    const DataType type = type_of(output.first);
    return !is_floating(type) || count_nan(output.second, type) > 0;
  });
}

// "element 3 of output 'y' is 1, and 2" of the first element that differs by more than its tolerance.
std::optional<std::string> ProblemRunner::State::first_difference(const HostBuffers& one,
                                                                  const HostBuffers& other) const {
  for (const Output& output : problem.outputs) {
    const DataType type = type_of(output.argument);
    const auto found = compare(one.at(output.argument), other.at(output.argument), type,
                               Tolerance::of(output, one.at(output.argument), type), output.argument)
                           .mismatch;
    if (!found) continue;
    return fmt::format("element {} of output '{}' is {}, and {}", found->index, found->argument, found->expected,
                       found->found);
  }
  return std::nullopt;
}

void ProblemRunner::State::compute_reference() {
  reference_ready = false;
  expected.clear();
  described.clear();
  if (std::holds_alternative<std::monostate>(problem.reference)) return;

  Bytes outputs_size, largest;
  for (const Output& output : problem.outputs) {
    const Bytes size = buffers->size(buffers->find(output.argument).value());
    outputs_size = outputs_size + size;
    largest = std::max(largest, size);
  }
  buffers->require_host_memory(outputs_size + largest, "the expected outputs");

  // Each source of expected values as a function of what it finds in unwritten outputs and around the buffers.
  std::function<HostBuffers(Surroundings)> compute;
  bool repeatable = true;
  const bool on_device = std::holds_alternative<ReferenceKernel>(problem.reference) ||
                         std::holds_alternative<ReferenceConfiguration>(problem.reference);
  const Configuration baseline = problem.baseline_configuration();
  const Scope scope = problem.scope(baseline);
  Binary binary;
  Configuration configuration;
  std::vector<std::string> entries;
  std::string what = "computing the reference of '" + problem.name + "'";
  try {
    if (const auto* kernel = std::get_if<ReferenceKernel>(&problem.reference)) {
      binary = compiler.compile(reference_job(problem, context.device()));
      entries = reference_entries(*kernel);
      compute = [&, kernel](Surroundings around) {
        return reference_on_device(baseline, kernel->launches, entries, binary, around);
      };
    } else if (const auto* chosen = std::get_if<ReferenceConfiguration>(&problem.reference)) {
      configuration = baseline;
      for (const auto& [name, value] : chosen->configuration) configuration.set(name, value);
      what += " with (" + configuration.describe() + ")";
      binary = compile_configuration(problem, configuration, context.device(),
                                     [&](const device::CompileJob& job) { return compiler.compile(job); });
      entries = entry_names(problem, configuration);
      compute = [&](Surroundings around) {
        return reference_on_device(configuration, problem.launches, entries, binary, around);
      };
    } else if (const auto* callback = std::get_if<ReferenceCallback>(&problem.reference)) {
      buffers->fit(baseline);
      compute = [&, callback](Surroundings around) {
        return reference_from_callback(*callback, around.second_poison, scope);
      };
    } else if (const auto* files = std::get_if<ReferenceNpy>(&problem.reference)) {
      repeatable = false;
      buffers->fit(baseline);
      compute = [&, files](Surroundings) { return reference_from_files(*files, scope); };
    } else {
      repeatable = false;
      buffers->fit(baseline);
      compute = [&](Surroundings) {
        return reference_from_command(std::get<ReferenceCommand>(problem.reference), scope);
      };
    }

    HostBuffers outputs = compute({});
    if (repeatable) {
      const auto suspicious = [&](const HostBuffers* second) {
        for (const auto& [name, data] : outputs) {
          const DataType type = type_of(name);
          const Unwritten found = find_unwritten(type, data, second == nullptr ? nullptr : &second->at(name));
          if (found.count == 0) continue;
          if (second == nullptr) return true;
          throw Error(
              ErrorCode::bad_input,
              fmt::format(
                  "the reference leaves {} of {} elements of output '{}' unwritten, the first is element {}; if "
                  "kernels are meant to leave them as they were, declare the argument with access 'inout'",
                  found.count, data.size() / size_of(type), name, found.first));
        }
        return false;
      };
      // A right value may look like the poison: only what shows both poisons in turn was not written.
      if (suspicious(nullptr)) {
        const HostBuffers second = compute({.second_poison = true});
        suspicious(&second);
      }
      if (on_device && may_depend_on_guards(outputs)) {
        const HostBuffers other = compute({.guards = GuardBytes::third});
        if (const auto place = first_difference(outputs, other); place && !first_difference(outputs, compute({}))) {
          throw Error(ErrorCode::bad_input,
                      "the reference kernel reads outside its buffers: " + *place + " with other bytes there");
        }
      }
    }
    accept_reference(std::move(outputs));
    if (std::holds_alternative<ReferenceKernel>(problem.reference)) reference_binary = std::move(binary);
  } catch (Error& error) {
    throw error.add_context(what);
  }
  reference_ready = true;
}

void ProblemRunner::State::accept_reference(HostBuffers outputs) {
  for (const Output& output : problem.outputs) {
    ExpectedOutput item;
    item.output = &output;
    item.slot = buffers->find(output.argument).value();
    item.type = buffers->type(item.slot);
    const std::vector<std::byte> range = std::move(outputs.at(output.argument));
    item.data = judged(output, range, item.type);
    const DataType type = output.by_sum ? sum_type(item.type) : item.type;
    item.tolerance = Tolerance::of(output, item.data, type);
    described.push_back(describe_expected(item.data, type, item.tolerance, output.argument));
    // Whether an output that nobody wrote would show right values.
    const auto right = [&](std::uint8_t poison) {
      if (!output.by_sum) return right_by_accident(item.data, type, item.tolerance, poison) > 0;
      const std::vector<std::byte> untouched(range.size(), std::byte{poison});
      return compare(item.data, sum_of(untouched, item.type), type, item.tolerance, {}).status == TrialStatus::ok;
    };
    item.poisons.push_back(first_poison(item.type));
    if (right(first_poison(item.type))) {
      if (!right(second_poison)) {
        item.poisons.front() = second_poison;
      } else {
        item.poisons.push_back(second_poison);  // verified twice: no value looks like both
      }
    }
    expected.push_back(std::move(item));
  }
  compare_on_device();
}

// Puts the expected outputs on the device. What fails here costs speed, not correctness: the host can compare
// everything.
void ProblemRunner::State::compare_on_device() {
  const DeviceInfo& device = context.device();
  const bool wanted =
      options.compare_on == CompareOn::device ||
      (options.compare_on == CompareOn::automatic && device.kind == DeviceKind::gpu && device.supports_float64);
  if (!wanted) return;
  try {
    comparer = std::make_unique<DeviceComparer>(context, compiler, *stream);
    for (ExpectedOutput& item : expected) {
      // There comparing begins with the buffer.
      if (item.output->by_sum || item.output->first) continue;
      const Bytes size{item.data.size()};
      const auto use = context.memory_use();
      if (use && use->free < size + memory_reserve) continue;
      auto copy = context.allocate(size);
      stream->copy_to_device(*copy, Bytes{0}, item.data);
      stream->synchronize();
      const DataType type = item.type;
      // Compiles and runs the kernel once, so that no configuration pays for it.
      if (comparer->surely_equal(*copy, *copy, size, type, item.tolerance)) item.on_device = std::move(copy);
    }
  } catch (const Error& error) {
    if (error.code() == ErrorCode::device) throw;
    log_to(options.log, LogLevel::debug, std::string("outputs are compared on the host: ") + error.what());
    for (ExpectedOutput& item : expected) item.on_device.reset();
    comparer.reset();
  }
}

LaunchSequence ProblemRunner::State::make_reference_sequence() {
  const auto* kernel = std::get_if<ReferenceKernel>(&problem.reference);
  if (kernel == nullptr)
    throw Error(ErrorCode::unsupported,
                "the reference of '" + problem.name + "' is not a kernel, so it has no time here");
  if (!reference_ready)
    throw Error(ErrorCode::conflict, "the reference of '" + problem.name + "' was not computed yet");
  const Configuration baseline = problem.baseline_configuration();
  Geometries geometries = evaluate_geometries(kernel->launches, problem.scope(baseline), context.device());
  if (geometries.refused) throw Error(ErrorCode::launch, *geometries.refused);
  LaunchSequence sequence(context, *stream, problem, kernel->launches, reference_entries(*kernel),
                          std::move(geometries), baseline, reference_binary, *buffers);
  sequence.require_match();
  return sequence;
}

HostBuffers ProblemRunner::State::reference_on_device(const Configuration& configuration,
                                                      const std::vector<Launch>& launches,
                                                      const std::vector<std::string>& entries, const Binary& binary,
                                                      Surroundings around) {
  Geometries geometries = evaluate_geometries(launches, problem.scope(configuration), context.device());
  if (geometries.refused) {
    throw Error(ErrorCode::bad_input, fmt::format("{}; the reference is computed with ({}), so choose another {}",
                                                  *geometries.refused, configuration.describe(),
                                                  std::holds_alternative<ReferenceConfiguration>(problem.reference)
                                                      ? "configuration in [reference]"
                                                      : "baseline ([baseline] configuration)"));
  }
  buffers->fit(configuration);
  LaunchSequence sequence(context, *stream, problem, launches, entries, std::move(geometries), configuration, binary,
                          *buffers);
  sequence.require_match();
  HostBuffers outputs;
  try {
    buffers->restore_inputs();
    for (std::size_t slot = 0; slot < buffers->count(); ++slot) {
      buffers->poison(slot, poison_of(buffers->type(slot), around.second_poison));
    }
    buffers->arm_guards(around.guards);
    sequence.enqueue();
    stream->synchronize();
    if (const auto breach = buffers->check_guards(around.guards)) {
      throw Error(ErrorCode::bad_input,
                  fmt::format("the reference kernel writes {} '{}' ({} bytes {} it)",
                              breach->before ? "before the beginning of" : "behind the end of", breach->argument,
                              breach->offset, breach->before ? "before" : "past"));
    }
    for (const Output& output : problem.outputs) {
      const std::size_t slot = buffers->find(output.argument).value();
      const OutputRange range = range_of(output, slot, sequence.scope());
      const auto bytes = buffers->download(sequence.final_slot(slot), range.begin, range.size);
      outputs[output.argument].assign(bytes.begin(), bytes.end());
    }
  } catch (const Error& error) {
    if (error.code() != ErrorCode::device) stream->synchronize();  // before the module goes
    throw;
  }
  return outputs;
}

HostBuffers ProblemRunner::State::reference_from_files(const ReferenceNpy& reference, const Scope& scope) {
  if (options.input_salt != 0 && has_random_inputs(problem)) {
    throw Error(ErrorCode::unsupported,
                "a reference from npy files belongs to the specification's own inputs; fresh inputs "
                "need a reference that computes (kernel, command)");
  }
  HostBuffers outputs;
  for (const Output& output : problem.outputs) {
    const auto file = reference.files.find(output.argument);
    if (file == reference.files.end()) {
      throw Error(ErrorCode::bad_input, "the reference names no npy file for output '" + output.argument + "'",
                  output.position);
    }
    const std::size_t slot = buffers->find(output.argument).value();
    const DataType type = buffers->type(slot);
    std::uint64_t elements = range_of(output, slot, scope).size.count / size_of(type);
    // Any number of elements has a sum.
    if (output.by_sum) elements = read_npy(file->second).data.size() / size_of(type);
    outputs[output.argument] = generate(FillNpy{file->second}, type, elements);
  }
  return outputs;
}

HostBuffers ProblemRunner::State::reference_from_callback(const ReferenceCallback& reference, bool second,
                                                          const Scope& scope) {
  HostBuffers all = buffers->host_copies([&](DataType type) { return poison_of(type, second); });
  try {
    reference.compute(problem.dimensions, all);
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {
    throw Error(ErrorCode::bad_input, std::string("the reference callback failed: ") + error.what());
  }
  HostBuffers outputs;
  for (const Output& output : problem.outputs) {
    const auto found = all.find(output.argument);
    const std::size_t size = buffers->size(buffers->find(output.argument).value()).count;
    if (found == all.end() || found->second.size() != size) {
      throw Error(ErrorCode::bad_input,
                  fmt::format("the reference callback left {} bytes for output '{}', which has {}",
                              found == all.end() ? 0 : found->second.size(), output.argument, size));
    }
    outputs[output.argument] = std::move(found->second);
  }
  return ranges_of(std::move(outputs), scope);
}

HostBuffers ProblemRunner::State::reference_from_command(const ReferenceCommand& reference, const Scope& scope) {
  if (!options.allow_commands) {
    throw Error(
        ErrorCode::bad_input,
        "the reference is a command, and running commands of a specification must be allowed (--allow-commands)");
  }
  const TemporaryFolder folder(options.scratch_folder);
  const auto file_of = [&](const std::string& name) {
    if (name.find('/') != std::string::npos) {
      throw Error(ErrorCode::bad_input, "argument '" + name + "' cannot be a file name; a command reference needs one");
    }
    return folder.path() / (name + ".npy");
  };
  // Outputs that are inputs too must be seen to be written again: their first version is dated back.
  const auto long_ago = std::filesystem::file_time_type::clock::now() - std::chrono::hours(24);
  HostBuffers inputs = buffers->host_copies([](DataType type) { return first_poison(type); });
  for (std::size_t slot = 0; slot < buffers->count(); ++slot) {
    const Argument& argument = buffers->argument(slot);
    if (argument.access == Access::out || argument.access == Access::scratch) continue;
    NpyArray array;
    array.type = buffers->type(slot);
    array.data = std::move(inputs.at(argument.name));
    const auto width = static_cast<std::uint64_t>(std::max(argument.components, 1));
    const std::uint64_t elements = array.data.size() / size_of(array.type) / width;
    array.shape = {elements};
    if (const device::Image* image = buffers->image(slot)) {
      const auto rows = static_cast<std::uint64_t>(image->shape().height);
      array.shape = {rows, elements / rows};
    }
    if (width > 1) array.shape.push_back(width);
    write_npy(file_of(argument.name), array);
    std::filesystem::last_write_time(file_of(argument.name), long_ago);
  }
  inputs.clear();

  std::vector<std::string> command;
  for (const std::string& word : reference.command)
    command.push_back(filled_in(word, folder.path(), problem.dimensions));
  run_command(command, problem.file.parent_path(), folder.path() / "command.log", options.command_deadline);

  HostBuffers outputs;
  for (const Output& output : problem.outputs) {
    const std::size_t slot = buffers->find(output.argument).value();
    const Argument& argument = buffers->argument(slot);
    const std::filesystem::path file = file_of(output.argument);
    std::error_code missing;
    const auto written = std::filesystem::last_write_time(file, missing);
    if (missing || (argument.access != Access::out && written < long_ago + std::chrono::hours(1))) {
      throw Error(ErrorCode::bad_input, fmt::format("command '{}' ended well without writing {}.npy into {{dir}}",
                                                    command[0], output.argument));
    }
    const DataType type = buffers->type(slot);
    outputs[output.argument] = generate(FillNpy{file}, type, buffers->size(slot).count / size_of(type));
  }
  return ranges_of(std::move(outputs), scope);
}

HostBuffers ProblemRunner::State::ranges_of(HostBuffers whole, const Scope& scope) const {
  for (const Output& output : problem.outputs) {
    if (output.whole()) continue;
    std::vector<std::byte>& data = whole.at(output.argument);
    const OutputRange range = range_of(output, buffers->find(output.argument).value(), scope);
    data.erase(data.begin(), data.begin() + static_cast<std::ptrdiff_t>(range.begin.count));
    data.resize(range.size.count);
  }
  return whole;
}

}  // namespace warpwright::measure
