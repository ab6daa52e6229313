#include <fmt/format.h>
#include <memory>

#include <warpwright/base/error.hpp>
#include <warpwright/base/files.hpp>
#include <warpwright/store/json.hpp>
#include <warpwright/tuning/kernel_tuner.hpp>

#include "backends.hpp"
#include "command.hpp"
#include "kernel_hints.hpp"
#include "kernel_table.hpp"
#include "occupancy_arguments.hpp"
#include "occupancy_plot.hpp"

namespace warpwright::app {
namespace {

using store::Json;

struct QuestionArguments {
  OccupancyArguments question;
  std::string block, grid, cluster, sweep, svg;
  bool all = false;
  bool json = false;
};

// What the driver of an open device says of the same kernel.
struct DriverAnswer {
  KernelResources resources;
  std::optional<int> blocks_per_sm;
  std::optional<int> active_clusters;  // on the whole device
  std::string cluster_refusal;
};

SweepAxis parse_axis(const std::string& text) {
  std::vector<std::string> names;
  for (const auto axis : {SweepAxis::block, SweepAxis::registers, SweepAxis::shared}) {
    if (to_string(axis) == text) return axis;
    names.emplace_back(to_string(axis));
  }
  const auto close = closest_match(text, names);
  throw Error(ErrorCode::bad_input, fmt::format("--sweep '{}' must be block, registers or shared{}", text,
                                                close ? "; did you mean '" + *close + "'?" : ""));
}

DriverAnswer ask_driver(const OccupancyQuestion& question, const KernelConfig& config,
                        const device::BackendRegistry& backends) {
  const auto context = backends.find(question.device->id).open(question.device->id);
  const auto module = context->load(*question.file->binary);
  const auto kernel = module->kernel(question.file->kernel.entry);
  DriverAnswer answer;
  answer.resources = kernel->resources();
  answer.blocks_per_sm = kernel->max_active_blocks(config.block_size.count(), config.shared_memory);
  if (config.cluster_size != Dim3{1}) {
    device::LaunchConfig launch;
    launch.block = {config.block_size.x, config.block_size.y, config.block_size.z};
    launch.cluster = {config.cluster_size.x, config.cluster_size.y, config.cluster_size.z};
    launch.grid =
        config.grid_size ? std::array{config.grid_size->x, config.grid_size->y, config.grid_size->z} : launch.cluster;
    launch.dynamic_shared = config.shared_memory;
    try {
      answer.active_clusters = kernel->max_active_clusters(launch);
      if (answer.active_clusters == 0) {
        answer.active_clusters.reset();
        answer.cluster_refusal =
            fmt::format("the device has room for no cluster of {} such blocks", config.cluster_size.count());
      }
    } catch (const Error& error) {
      if (error.code() != ErrorCode::launch) throw;
      answer.cluster_refusal = error.message();
    }
  }
  return answer;
}

// ---- a device whose occupancy is not known exactly
// -----------------------------------------------------------------------

// Limits of one launch, which every driver tells; how many blocks share a multiprocessor, none does.
int print_launch_limits(const DeviceInfo& device, const KernelConfig& config, bool as_json, const Console& console) {
  LaunchGeometry geometry;
  geometry.block = {config.block_size.x, config.block_size.y, config.block_size.z};
  if (config.grid_size) geometry.grid = {config.grid_size->x, config.grid_size->y, config.grid_size->z};
  geometry.cluster = {config.cluster_size.x, config.cluster_size.y, config.cluster_size.z};
  geometry.dynamic_shared = config.static_shared_memory + config.shared_memory;
  const auto refusal = exceeds_limits(geometry, device);
  const std::string unknown = unknown_occupancy_reason(device);
  if (as_json) {
    Json json{{"schema_version", 1},
              {"device", store::to_json(device)},
              {"configuration", to_json(config)},
              {"occupancy", nullptr},
              {"blocks_per_sm", nullptr},
              {"active_warps_per_sm", nullptr},
              {"max_warps_per_sm", nullptr},
              {"limiting_factors", nullptr},
              {"limits", nullptr},
              {"launchable", !refusal},
              {"reason", refusal ? Json(*refusal) : Json(nullptr)},
              {"suggestions", Json::array()},
              {"unknown", unknown}};
    fmt::print(console.out, "{}\n", json.dump(2));
    return exit_success;
  }
  fmt::print(console.out, "{} ({})\n", device.name, device.id.to_string());
  fmt::print(console.out, "occupancy     unknown: {}\n", unknown);
  fmt::print(console.out, "known limits  {} threads and {} of local memory a block, {} multiprocessors{}\n",
             device.max_threads_per_block, format_bytes(device.shared_limit()), device.multiprocessors,
             device.warp_size > 0 ? fmt::format(", {} threads execute together", device.warp_size) : "");
  fmt::print(console.out, "launch        {}\n", refusal ? "refused: " + *refusal : "fits these limits");
  return exit_success;
}

// ---- exact answers
// -------------------------------------------------------------------------------------------------------

Json resources_json(const KernelFile& file) {
  const cuda::KernelDescription& kernel = file.kernel;
  Json json = store::to_json(static_cast<const KernelResources&>(kernel));
  json["name"] = kernel.name;
  json["architecture"] = file.architecture;
  json["target"] = file.target;
  json["untold_shared"] = kernel.untold_shared && !file.dynamic_shared;
  json["register_limit"] = kernel.register_limit ? Json(*kernel.register_limit) : Json(nullptr);
  json["shared_spills_bytes"] = kernel.shared_spills.count;
  json["reassigns_registers"] = kernel.reassigns_registers;
  json["origin"] = file.origin;
  return json;
}

Json answer_json(const OccupancyQuestion& question, const KernelConfig& config,
                 const std::optional<DriverAnswer>& driver, const std::vector<std::string>& notes) {
  const KernelTuner& tuner = *question.tuner;
  const OccupancyInfo info = tuner.calculate_occupancy(config);
  Json json{
      {"schema_version", 1}, {"architecture", tuner.properties().architecture}, {"name", tuner.properties().name}};
  json["sm_count"] = tuner.properties().sm_count ? Json(*tuner.properties().sm_count) : Json(nullptr);
  json["configuration"] = to_json(config);
  json.update(to_json(info));
  json["refusal"] = info.launchable() ? Json(nullptr) : Json(to_string(info.refusal));
  json["reason"] = info.launchable() ? Json(nullptr) : Json(refusal_reason(tuner.properties(), config, info));
  json["naive_blocks_per_sm"] = naive_blocks_per_sm(tuner.properties(), config);
  Json& suggestions = json["suggestions"] = Json::array();
  for (const auto& suggestion : tuner.suggestions(config))
    suggestions.push_back({{"text", suggestion.describe()},
                           {"occupancy", suggestion.occupancy_after},
                           {"configuration", to_json(suggestion.config)}});
  if (question.file)
    for (const auto& hint : explain_kernel(tuner, config, question.file->kernel))
      suggestions.push_back({{"text", hint.text},
                             {"occupancy", hint.occupancy ? Json(*hint.occupancy) : Json(nullptr)},
                             {"configuration", hint.config ? to_json(*hint.config) : Json(nullptr)}});
  if (info.clusters_unknown)
    json["active_clusters"] = driver && driver->active_clusters ? Json(*driver->active_clusters) : Json("unknown");
  if (question.file) json["kernel"] = resources_json(*question.file);
  if (driver) {
    json["driver"] = {{"resources", store::to_json(driver->resources)},
                      {"blocks_per_sm", driver->blocks_per_sm ? Json(*driver->blocks_per_sm) : Json(nullptr)}};
    if (!driver->cluster_refusal.empty()) json["driver"]["cluster_refusal"] = driver->cluster_refusal;
  }
  json["notes"] = notes;
  return json;
}

std::string or_dash(const std::optional<int>& value) { return value ? std::to_string(*value) : "-"; }

void print_answer(const OccupancyQuestion& question, const KernelConfig& config,
                  const std::optional<DriverAnswer>& driver, std::FILE* out) {
  const KernelTuner& tuner = *question.tuner;
  const GpuProperties& gpu = tuner.properties();
  const OccupancyInfo info = tuner.calculate_occupancy(config);
  const auto line = [&](const char* name, const std::string& text) { fmt::print(out, "{:<12} {}\n", name, text); };
  fmt::print(out, "{}: {}\n", gpu.name == gpu.architecture ? gpu.name : gpu.name + " (" + gpu.architecture + ")",
             describe(config));
  if (question.file) {
    const cuda::KernelDescription& needs = question.file->kernel;
    std::string text = fmt::format("{} ({})", needs.name, question.file->origin);
    if (needs.spill_stores)
      text += fmt::format(", spills {} bytes out and {} in a thread", needs.spill_stores->count,
                          needs.spill_loads.value_or(Bytes{}).count);
    if (needs.local_per_thread) text += fmt::format(", {} bytes of stack a thread", needs.local_per_thread->count);
    if (needs.barriers) text += fmt::format(", {} barriers", *needs.barriers);
    if (needs.max_threads_per_block) text += fmt::format(", at most {} threads a block", *needs.max_threads_per_block);
    if (needs.required_block)
      text += fmt::format(", blocks of {} threads only", Dim3(*needs.required_block).to_string());
    if (needs.required_cluster)
      text += fmt::format(", clusters of {} blocks only", Dim3(*needs.required_cluster).to_string());
    line("kernel", text);
  }
  line("occupancy", fmt::format("{}: {} blocks, {} of {} warps per SM", percent(info.occupancy), info.blocks_per_sm,
                                info.active_warps_per_sm, info.max_warps_per_sm));
  if (!info.launchable()) line("refused", refusal_reason(gpu, config, info));
  line("limited by", info.limiting_factors.to_string());
  line("limits", fmt::format("warps {}, blocks {}, registers {}, shared memory {}, barriers {}, virtual resources {}",
                             info.limits.warps, info.limits.blocks, or_dash(info.limits.registers),
                             or_dash(info.limits.shared_memory), or_dash(info.limits.barriers),
                             or_dash(info.limits.virtual_resources)));
  line("a block",
       fmt::format("{} warps, {} registers, {} bytes of shared memory as allocated ({} reserved); {} of it per SM",
                   info.warps_per_block, info.registers_allocated_per_block, info.shared_allocated_per_block.count,
                   gpu.reserved_shared_per_block.count, format_bytes(info.shared_capacity_per_sm)));
  if (info.waves)
    line("grid", fmt::format("{} blocks are {:.3g} waves on {} SMs: {} of the last one's time is used",
                             config.grid_size->count(), *info.waves, *gpu.sm_count, percent(*info.tail_efficiency)));
  if (info.clusters_unknown) {
    const auto size = config.cluster_size.count();
    std::string text =
        "unknown: which SMs of a product are fused off decides, and only the driver of a device can tell; "
        "name one with --device and --kernel";
    if (driver && driver->active_clusters)
      text = fmt::format("{} clusters of {} blocks at a time on the device: {:.3g} blocks per SM",
                         *driver->active_clusters, size,
                         static_cast<double>(*driver->active_clusters * size) / gpu.sm_count.value_or(1));
    else if (driver && !driver->cluster_refusal.empty())
      text = "refused by the driver: " + driver->cluster_refusal;
    line("clusters", text);
  }
  if (driver && driver->blocks_per_sm) line("driver says", fmt::format("{} blocks per SM", *driver->blocks_per_sm));
  for (const auto& suggestion : tuner.suggestions(config)) line("would help", suggestion.describe());
  if (question.file)
    for (const auto& hint : explain_kernel(tuner, config, question.file->kernel)) line("would help", hint.text);
}

OccupancyCurve make_curve(const KernelTuner& tuner, const KernelConfig& config, SweepAxis axis) {
  OccupancyCurve curve;
  curve.title = tuner.properties().name + ": " + describe(config);
  curve.axis = axis;
  curve.points = tuner.sweep(config, axis);
  curve.current = axis == SweepAxis::block       ? config.block_size.count()
                  : axis == SweepAxis::registers ? config.registers_per_thread
                                                 : static_cast<std::int64_t>(config.shared_memory.count);
  return curve;
}

Json sweep_json(const OccupancyCurve& curve) {
  Json points = Json::array();
  for (const auto& point : curve.points) {
    Json factors = Json::array();
    for (const auto factor : point.occupancy.limiting_factors.list()) factors.push_back(to_string(factor));
    points.push_back({{"value", point.value},
                      {"occupancy", point.occupancy.occupancy},
                      {"blocks_per_sm", point.occupancy.blocks_per_sm},
                      {"limiting_factors", std::move(factors)},
                      {"current", point.value == curve.current}});
  }
  return Json{{"axis", to_string(curve.axis)}, {"points", std::move(points)}};
}

// The block, grid and cluster of the command line in the question's configuration.
KernelConfig complete(const QuestionArguments& arguments, const OccupancyQuestion& question,
                      std::vector<std::string>& notes) {
  KernelConfig config = question.config;
  if (!arguments.grid.empty()) config.grid_size = parse_dim3(arguments.grid, "--grid");
  if (!arguments.cluster.empty()) config.cluster_size = parse_dim3(arguments.cluster, "--cluster");
  if (config.grid_size && question.file && question.file->kernel.grid_counts_clusters) {
    const Dim3 &grid = *config.grid_size, &cluster = config.cluster_size;
    config.grid_size = Dim3(grid.x * cluster.x, grid.y * cluster.y, grid.z * cluster.z);
    notes.push_back(fmt::format("the grid of this kernel counts clusters: {} blocks", config.grid_size->count()));
  }
  if (!arguments.block.empty()) {
    config.block_size = parse_dim3(arguments.block, "--block");
    const std::int64_t most =
        question.tuner ? question.tuner->properties().max_threads_per_block : question.device->max_threads_per_block;
    if (config.block_size.count() > most)
      throw Error(ErrorCode::bad_input,
                  fmt::format("--block {} has {} threads; a block of {} has 1 to {}", arguments.block,
                              config.block_size.count(),
                              question.tuner ? question.tuner->properties().name : question.device->name, most));
    return config;
  }
  if (config.required_block) {
    config.block_size = *config.required_block;
    notes.push_back(fmt::format("no --block: the kernel was compiled for blocks of {} threads and no other",
                                config.block_size.to_string()));
    return config;
  }
  if (!question.tuner)
    throw Error(ErrorCode::bad_input, "--block is missing: how many threads has a block? e.g. --block 256");
  const BlockSizeAnswer best = best_block_size(question.tuner->properties(), config);
  if (best.block_size == 0)
    throw Error(ErrorCode::bad_input,
                "no block size can be launched with these resources; give --block to see what refuses it");
  config.block_size = Dim3{best.block_size};
  notes.push_back(
      fmt::format("no --block: the largest of the block sizes with most occupancy, {}, is taken", best.block_size));
  return config;
}

// What makes no sense for many kernels at once is refused.
void check_all(const QuestionArguments& arguments) {
  if (arguments.question.kernel.file.empty())
    throw Error(ErrorCode::bad_input, "--all lists the kernels of a file: of which one? add --kernel FILE");
  for (const auto& [flag, value] : {std::pair("--grid", &arguments.grid), std::pair("--cluster", &arguments.cluster),
                                    std::pair("--sweep", &arguments.sweep), std::pair("--svg", &arguments.svg)})
    if (!value->empty())
      throw Error(ErrorCode::bad_input,
                  fmt::format("{} is about one kernel; leave out --all and name the kernel with --entry", flag));
}

int run_occupancy(const QuestionArguments& arguments, const Console& console) {
  const bool sweeps = !arguments.sweep.empty();
  const SweepAxis axis = sweeps ? parse_axis(arguments.sweep) : SweepAxis::block;
  if (!arguments.svg.empty() && !sweeps)
    throw Error(ErrorCode::bad_input, "--svg draws a sweep: add --sweep block, --sweep registers or --sweep shared");
  const auto backends = make_backends(console);
  if (arguments.all) {
    check_all(arguments);
    print_all_kernels(arguments.question, arguments.block, arguments.json, backends, console.out, console.err);
    return exit_success;
  }
  const OccupancyQuestion question = read_question(arguments.question, backends);
  std::vector<std::string> notes;
  const KernelConfig config = complete(arguments, question, notes);
  if (!question.tuner) {
    if (sweeps) throw Error(ErrorCode::unsupported, "--sweep: " + unknown_occupancy_reason(*question.device));
    return print_launch_limits(*question.device, config, arguments.json, console);
  }
  const auto& table = question.tuner->properties().notes;
  notes.insert(notes.end(), table.begin(), table.end());
  if (question.file) notes.insert(notes.end(), question.file->notes.begin(), question.file->notes.end());
  std::optional<DriverAnswer> driver;
  if (question.device && question.file) driver = ask_driver(question, config, backends);
  const OccupancyInfo info = question.tuner->calculate_occupancy(config);
  // The driver's query takes any block; that the kernel requires another one shows at the launch.
  const bool comparable =
      info.refusal != LaunchRefusal::required_block && info.refusal != LaunchRefusal::required_cluster;
  const bool differs = driver && driver->blocks_per_sm && comparable && *driver->blocks_per_sm != info.blocks_per_sm;
  if (differs) notes.push_back("the driver's number of blocks differs from the calculation: please report both");

  std::optional<OccupancyCurve> curve;
  if (sweeps) curve = make_curve(*question.tuner, config, axis);
  if (!arguments.svg.empty()) write_file_atomically(arguments.svg, svg_plot(*curve));
  if (arguments.json) {
    Json json = answer_json(question, config, driver, notes);
    if (curve) json["sweep"] = sweep_json(*curve);
    fmt::print(console.out, "{}\n", json.dump(2));
    return exit_success;
  }
  for (const auto& note : notes) fmt::print(console.err, "note: {}\n", note);
  print_answer(question, config, driver, console.out);
  if (curve) fmt::print(console.out, "\n{}", text_plot(*curve));
  if (!arguments.svg.empty()) fmt::print(console.err, "plot written to {}\n", arguments.svg);
  return exit_success;
}

}  // namespace

void add_occupancy_command(CLI::App& app, const Console& console, int& exit_code) {
  CLI::App* command = app.add_subcommand(
      "occupancy", "Exact theoretical occupancy of a kernel configuration, what limits it, and what would raise it");
  auto arguments = std::make_shared<QuestionArguments>();
  command->add_option("--block", arguments->block, "Threads of a block: 256 or 16x16 (default: the best)")
      ->type_name("N[xN]");
  command->add_option("--grid", arguments->grid, "Blocks of the grid, for waves and tail")->type_name("N[xN]");
  command->add_option("--cluster", arguments->cluster, "Blocks of a cluster; only a device with --kernel can answer")
      ->type_name("N[xN]");
  arguments->question.add_to(*command);
  command->add_option("--sweep", arguments->sweep, "Plot occupancy against block, registers or shared")
      ->type_name("AXIS");
  command->add_option("--svg", arguments->svg, "Write that plot as SVG")->type_name("FILE");
  command->add_flag("--all", arguments->all, "All kernels of --kernel in one table");
  command->add_flag("--json", arguments->json, "Print JSON");
  command->callback([arguments, console, &exit_code] { exit_code = run_occupancy(*arguments, console); });
}

}  // namespace warpwright::app
