#include "occupancy_arguments.hpp"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>

#include <warpwright/base/error.hpp>

#include "command.hpp"

namespace warpwright::app {
namespace {

using store::Json;

// No block of any GPU has a thousandth of this; whoever asks for more has mixed up units.
constexpr std::int64_t absurd_bytes = std::int64_t{1} << 30;
constexpr std::int64_t most_registers = 65536;

template <class T>
Json or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

GlobalCaching parse_caching(const std::string& text) {
  std::vector<std::string> names;
  for (const auto mode : {GlobalCaching::off, GlobalCaching::on, GlobalCaching::strict}) {
    if (to_string(mode) == text) return mode;
    names.emplace_back(to_string(mode));
  }
  const auto close = closest_match(text, names);
  throw Error(ErrorCode::bad_input, fmt::format("--caching '{}' must be off, on or strict{}", text,
                                                close ? "; did you mean '" + *close + "'?" : ""));
}

}  // namespace

void read_kernel_numbers(const OccupancyArguments& arguments, KernelConfig& config) {
  const auto bytes = [](const std::string& text, const char* flag) {
    return Bytes{static_cast<std::uint64_t>(parse_whole(text, flag, 0, absurd_bytes))};
  };
  const auto number = [](const std::string& text, const char* flag, std::int64_t low, std::int64_t high) {
    return static_cast<int>(parse_whole(text, flag, low, high));
  };
  if (!arguments.registers.empty())
    config.registers_per_thread = number(arguments.registers, "--registers", 0, most_registers);
  if (!arguments.static_shared.empty()) config.static_shared_memory = bytes(arguments.static_shared, "--static-shared");
  if (!arguments.dynamic_shared.empty()) config.shared_memory = bytes(arguments.dynamic_shared, "--dynamic-shared");
  if (arguments.max_dynamic_shared == "none")
    config.shared_opt_in = false;
  else if (!arguments.max_dynamic_shared.empty())
    config.max_dynamic_shared = bytes(arguments.max_dynamic_shared, "--max-dynamic-shared");
  if (!arguments.carveout.empty()) config.carveout_percent = number(arguments.carveout, "--carveout", 0, 100);
  if (!arguments.barriers.empty()) config.barriers = number(arguments.barriers, "--barriers", 0, 1024);
  if (!arguments.launch_bounds.empty())
    config.max_threads_per_block = number(arguments.launch_bounds, "--launch-bounds", 1, 1024);
  config.caching = parse_caching(arguments.caching);
}

void OccupancyArguments::add_to(CLI::App& command) {
  auto* by_name =
      command.add_option("--arch", architecture, "Architecture, e.g. sm_90: no device is needed")->type_name("SM");
  command.add_option("--device", device, "Device, e.g. cuda:0: its own limits, and the number of its SMs")
      ->type_name("ID")
      ->excludes(by_name);
  const auto text = [&](const char* flag, std::string& target, const char* help, const char* type) {
    command.add_option(flag, target, help)->type_name(type);
  };
  text("--registers", registers, "Registers per thread (default: not counted, or those of --kernel)", "N");
  text("--static-shared", static_shared, "Static shared memory of a block", "BYTES");
  text("--dynamic-shared", dynamic_shared, "Dynamic shared memory of a block", "BYTES");
  text("--max-dynamic-shared", max_dynamic_shared,
       "Dynamic shared memory the function opted in to; none = no opt-in (default: the device's maximum)",
       "BYTES|none");
  text("--carveout", carveout, "Preferred share of shared memory, 0 to 100 (default: the driver's choice)", "PERCENT");
  text("--caching", caching, "Partitioned global caching of compute capability 5.2 to 6.2 (default off)",
       "off|on|strict");
  text("--barriers", barriers, "Named barriers of a block", "N");
  text("--launch-bounds", launch_bounds, "Most threads the function was compiled for", "N");
  text("--kernel", kernel.file,
       "Take what the kernel needs from CUDA source, a cubin, a fatbin, a program, or a shared or static library",
       "FILE");
  text("--entry", kernel.entry, "The kernel in that file (default: its only one)", "NAME");
  const auto list = [&](const char* flag, std::vector<std::string>& target, const char* help, const char* type) {
    command.add_option(flag, target, help)->type_name(type)->allow_extra_args(false);
  };
  list("-D,--define", kernel.defines, "Definition for the compiler; may be given several times", "NAME=VALUE");
  list("-I,--include", kernel.include_folders, "Folder of headers; may be given several times", "FOLDER");
  list("--option", kernel.options, "Any other option of NVRTC; may be given several times", "OPTION");
}

OccupancyTarget read_target(const OccupancyArguments& arguments, const device::BackendRegistry& backends) {
  OccupancyTarget target;
  if (!arguments.architecture.empty()) {
    target.tuner = KernelTuner::for_architecture(arguments.architecture);
    target.kernel_target.architecture = arguments.architecture;
  } else if (!arguments.device.empty()) {
    target.device = backends.describe(DeviceId::parse(arguments.device));
  } else if (arguments.kernel.file.empty()) {
    const auto best = backends.best_device();
    if (!best || !device_properties(*best))
      throw Error(ErrorCode::bad_input,
                  "for which GPU? name an architecture with --arch (e.g. --arch sm_90), or a device with --device");
    target.device = best;
  }
  if (target.device && device_properties(*target.device)) target.tuner = KernelTuner::for_device(*target.device);
  if (!arguments.kernel.file.empty() && target.device) {
    if (target.device->id.backend != "cuda")
      throw Error(ErrorCode::unsupported,
                  fmt::format("--kernel reads binaries for CUDA, and {} is not a CUDA device; leave out --kernel and "
                              "give --static-shared and --dynamic-shared",
                              target.device->id.to_string()));
    target.kernel_target = {target.device->architecture, true};
  }
  return target;
}

OccupancyQuestion read_question(const OccupancyArguments& arguments, const device::BackendRegistry& backends) {
  if (arguments.kernel.file.empty() && !arguments.kernel.entry.empty())
    throw Error(ErrorCode::bad_input, fmt::format("--entry '{}' names a kernel, but of which file? add --kernel FILE",
                                                  arguments.kernel.entry));
  OccupancyTarget target = read_target(arguments, backends);
  OccupancyQuestion question;
  question.tuner = std::move(target.tuner);
  question.device = std::move(target.device);
  if (!arguments.kernel.file.empty()) {
    question.file = read_kernel_file(arguments.kernel, target.kernel_target);
    question.config = question.config.with_resources(question.file->kernel);
    if (question.file->dynamic_shared) question.config.shared_memory = *question.file->dynamic_shared;
    if (!question.tuner)
      question.tuner = KernelTuner::for_architecture(question.file->architecture);
    else if (question.file->architecture != question.tuner->properties().architecture)
      question.file->notes.push_back(
          fmt::format("the binary is for {}, the question is about {}: code for the latter may "
                      "need other registers",
                      question.file->architecture, question.tuner->properties().architecture));
  }
  read_kernel_numbers(arguments, question.config);  // flags go over what the file says
  return question;
}

std::int64_t parse_whole(const std::string& text, const std::string& flag, std::int64_t low, std::int64_t high) {
  std::int64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [at, status] = std::from_chars(text.data(), end, value);
  if (status == std::errc::invalid_argument || at != end)
    throw Error(ErrorCode::bad_input,
                fmt::format("{} '{}' must be a whole number from {} to {}", flag, text, low, high));
  if (status != std::errc{} || value < low || value > high)
    throw Error(ErrorCode::bad_input, fmt::format("{} {} must be from {} to {}", flag, text, low, high));
  return value;
}

Dim3 parse_dim3(const std::string& text, const std::string& flag) {
  std::array<std::int64_t, 3> sizes{1, 1, 1};
  std::size_t begin = 0, count = 0;
  while (true) {
    const std::size_t end = std::min(text.find_first_of("x,", begin), text.size());
    if (count == 3)
      throw Error(ErrorCode::bad_input, fmt::format("{} '{}' has more than three dimensions", flag, text));
    sizes[count++] = parse_whole(text.substr(begin, end - begin), flag, 1, 2147483647);
    if (end == text.size()) break;
    begin = end + 1;
  }
  return Dim3(sizes);
}

std::string shape_text(const Dim3& sizes) {
  std::string text = std::to_string(sizes.x);
  if (sizes.y != 1 || sizes.z != 1) text += "x" + std::to_string(sizes.y);
  if (sizes.z != 1) text += "x" + std::to_string(sizes.z);
  return text;
}

std::string percent(double fraction) { return fmt::format("{:.3g} %", fraction * 100); }

std::string describe(const KernelConfig& config) {
  const auto& block = config.block_size;
  const std::string shape =
      block.y == 1 && block.z == 1 ? "" : fmt::format(" ({} x {} x {})", block.x, block.y, block.z);
  return fmt::format("{} threads{}, {}, shared memory {} static + {} dynamic bytes", block.count(), shape,
                     config.registers_per_thread == 0 ? std::string("registers not counted")
                                                      : fmt::format("{} registers", config.registers_per_thread),
                     config.static_shared_memory.count, config.shared_memory.count);
}

Json to_json(const OccupancyInfo& info) {
  Json factors = Json::array();
  for (const auto factor : info.limiting_factors.list()) factors.push_back(to_string(factor));
  return Json{{"occupancy", info.occupancy},
              {"blocks_per_sm", info.blocks_per_sm},
              {"active_warps_per_sm", info.active_warps_per_sm},
              {"max_warps_per_sm", info.max_warps_per_sm},
              {"warps_per_block", info.warps_per_block},
              {"limiting_factors", std::move(factors)},
              {"limits",
               {{"warps", info.limits.warps},
                {"blocks", info.limits.blocks},
                {"registers", or_null<int>(info.limits.registers)},
                {"shared_memory", or_null<int>(info.limits.shared_memory)},
                {"barriers", or_null<int>(info.limits.barriers)},
                {"virtual_resources", or_null<int>(info.limits.virtual_resources)}}},
              {"launchable", info.launchable()},
              {"registers_allocated_per_block", info.registers_allocated_per_block},
              {"shared_allocated_per_block_bytes", info.shared_allocated_per_block.count},
              {"shared_capacity_per_sm_bytes", info.shared_capacity_per_sm.count},
              {"waves", or_null(info.waves)},
              {"tail_efficiency", or_null(info.tail_efficiency)}};
}

Json to_json(const KernelConfig& config) {
  const auto sizes = [](const Dim3& dim) { return Json::array({dim.x, dim.y, dim.z}); };
  return Json{
      {"block", sizes(config.block_size)},
      {"grid", config.grid_size ? sizes(*config.grid_size) : Json(nullptr)},
      {"registers_per_thread", config.registers_per_thread},
      {"static_shared_bytes", config.static_shared_memory.count},
      {"dynamic_shared_bytes", config.shared_memory.count},
      {"shared_opt_in", config.shared_opt_in},
      {"max_dynamic_shared_bytes", config.max_dynamic_shared ? Json(config.max_dynamic_shared->count) : Json(nullptr)},
      {"carveout_percent", or_null(config.carveout_percent)},
      {"caching", to_string(config.caching)},
      {"barriers", config.barriers},
      {"max_threads_per_block", or_null(config.max_threads_per_block)},
      {"required_block", config.required_block ? sizes(*config.required_block) : Json(nullptr)},
      {"cluster", sizes(config.cluster_size)},
      {"required_cluster", config.required_cluster ? sizes(*config.required_cluster) : Json(nullptr)},
      {"max_cluster_blocks", or_null(config.max_cluster_blocks)}};
}

}  // namespace warpwright::app
