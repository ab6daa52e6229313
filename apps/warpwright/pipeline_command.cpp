// `warpwright pipeline bench` and `warpwright pipeline tune`: the transfer pipeline on a device, with a kernel whose
// weight is chosen and whose every result is checked.
#include <charconv>
#include <fmt/format.h>
#include <memory>
#include <stop_token>
#include <thread>

#include <warpwright/base/error.hpp>
#include <warpwright/base/files.hpp>
#include <warpwright/driver/winner_storage.hpp>
#include <warpwright/memory/memory_optimizer.hpp>
#include <warpwright/sim/backend.hpp>
#include <warpwright/store/json.hpp>
#include <warpwright/store/profile_database.hpp>
#include <warpwright/tuning/pipeline_tuning.hpp>

#include "backends.hpp"
#include "command.hpp"
#include "pipeline_workload.hpp"
#include "stop_signal.hpp"
#include "text_table.hpp"

namespace warpwright::app {
namespace {

using store::Json;

// The words of a chunk are checked four at a time, and pinned blocks are pages.
constexpr std::uint64_t granule = 4096;

struct PipelineArguments {
  std::string device;
  std::string bytes = "1GiB", chunk = "8MiB", pinned_budget = "512MiB", device_budget = "512MiB";
  int depth = 3;
  std::string variant = "role_streams";
  std::string kernel = "balanced";
  bool in_place = false, helper_threads = false, poll = false, tuned = false, json = false, quiet = false,
       no_profile = false;
  std::string trace, profiles, strategy = "exhaustive";
  std::uint64_t seed = 0, max_evaluations = 0;
};

// "4194304", "4096KiB", "8MiB", "1GiB", "1TiB"; decimal units (MB) count thousands.
Bytes parse_size(const std::string& text, const std::string& flag) {
  double number = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string unit(end, text.data() + text.size());
  double scale = 0;
  if (unit.empty() || unit == "B") scale = 1;
  constexpr std::string_view letters = "KMGT";
  if (const std::size_t at = unit.empty() ? std::string_view::npos : letters.find(unit.front());
      at != std::string_view::npos) {
    const double base = unit.substr(1) == "iB" ? 1024 : unit.substr(1) == "B" ? 1000 : 0;
    scale = base;
    for (std::size_t i = 0; i < at; ++i) scale *= base;
  }
  const double bytes = number * scale;
  if (status != std::errc{} || scale == 0 || !(bytes >= 1) || bytes > 1e18)
    throw Error(ErrorCode::bad_input,
                fmt::format("{} '{}': write a positive number of bytes, e.g. 4194304, 8MiB or 1GiB", flag, text));
  return Bytes{static_cast<std::uint64_t>(bytes)};
}

Bytes parse_volume(const std::string& text, const std::string& flag) {
  const Bytes size = parse_size(text, flag);
  if (size.count % granule != 0)
    throw Error(ErrorCode::bad_input, fmt::format("{} '{}': must be a multiple of {} bytes", flag, text, granule));
  return size;
}

memory::PipelineVariant parse_variant(const std::string& text) {
  if (const auto variant = memory::parse_pipeline_variant(text)) return *variant;
  const std::vector<std::string> names{"role_streams", "stream_per_slot", "graph"};
  std::string message = fmt::format("--variant '{}': it is role_streams, stream_per_slot or graph", text);
  if (const auto match = closest_match(text, names)) message += fmt::format("; did you mean '{}'?", *match);
  throw Error(ErrorCode::bad_input, message);
}

// Everything that both commands need, in the order of its making.
struct Session {
  Session(const PipelineArguments& arguments, const Console& console)
      : weight(parse_kernel_weight(arguments.kernel)), volume(parse_volume(arguments.bytes, "--bytes")) {
    config.chunk = parse_volume(arguments.chunk, "--chunk");
    config.depth = arguments.depth;
    config.variant = parse_variant(arguments.variant);
    config.in_place = arguments.in_place;
    config.helper_threads = arguments.helper_threads;
    config.wait = arguments.poll ? memory::WaitMode::poll : memory::WaitMode::block;
    config.trace = !arguments.trace.empty();
    const memory::MemoryBudget budget{parse_size(arguments.pinned_budget, "--pinned-budget"),
                                      parse_size(arguments.device_budget, "--device-budget")};
    backends = make_backends(console, arguments.quiet);
    if (!arguments.device.empty()) {
      device = backends.describe(DeviceId::parse(arguments.device));
    } else {
      const auto best = backends.best_device();
      if (!best)
        throw Error(ErrorCode::unavailable,
                    "no device for a pipeline; 'warpwright devices' says why. sim:0 is always there");
      device = *best;
      if (best->kind == DeviceKind::cpu && !arguments.quiet)
        fmt::print(console.err, "no GPU found: using this CPU ({}, {}); its memory has no link to fill\n", best->name,
                   best->id.to_string());
    }
    const device::Backend& backend = backends.find(device.id);
    context = backend.open(device.id);
    clock = backend.name() == "sim" ? sim::virtual_clock(*context) : std::make_unique<SteadyClock>();
    ranges = memory::nvtx_ranges();
    memory::MemoryOptimizerOptions options;
    options.clock = clock.get();
    options.ranges = ranges.get();
    options.host.numa_node = memory::numa_node_of(device.pci_bus_id);
    options.log = [console, quiet = arguments.quiet](LogLevel level, std::string_view text) {
      if (!quiet && (level == LogLevel::warning || level == LogLevel::error)) fmt::print(console.err, "{}\n", text);
    };
    optimizer = std::make_unique<memory::MemoryOptimizer>(*context, budget, std::move(options));
  }
  // The largest chunk decides how many words the workload keeps.
  void load(Bytes most) { workload = std::make_unique<PipelineWorkload>(backends.find(device.id), *context, most); }

  KernelWeight weight;
  Bytes volume;
  memory::PipelineConfig config;
  device::BackendRegistry backends;
  DeviceInfo device;
  std::unique_ptr<device::Context> context;
  std::unique_ptr<Clock> clock;
  std::unique_ptr<memory::RangeMarker> ranges;
  std::unique_ptr<memory::MemoryOptimizer> optimizer;
  std::unique_ptr<PipelineWorkload> workload;
};

double microseconds(Nanoseconds time) { return time.count() / 1e3; }

Json percentile_us(const memory::LatencySnapshot& latencies, double percent) {
  const auto found = latencies.percentile(Percentile::percent(percent));
  return found ? Json(microseconds(*found)) : Json(nullptr);
}

Json stages_json(const memory::StageTimes& stages) {
  return {{"upload_us", microseconds(stages.upload)},
          {"kernel_us", microseconds(stages.kernel)},
          {"download_us", microseconds(stages.download)}};
}

Json shape_json(const memory::PipelineConfig& config) {
  return {{"chunk_bytes", config.chunk.count},
          {"depth", config.depth},
          {"variant", to_string(config.variant)},
          {"in_place", config.in_place}};
}

// The profile of `wanted`, if there is one.
std::optional<store::ProfileMatch> find_tuned(const PipelineArguments& arguments, const store::ProfileKey& wanted,
                                              const driver::Places& places) {
  const std::filesystem::path file =
      arguments.profiles.empty() ? places.profiles_file() : std::filesystem::absolute(arguments.profiles);
  std::error_code status;
  if (arguments.profiles.empty() && !std::filesystem::exists(file, status)) return std::nullopt;
  return store::ProfileDatabase::open_read_only(file).find(wanted, store::MatchPolicy::device);
}

// A stop token that follows Ctrl-C.
class StopOnSignal {
 public:
  StopOnSignal()
      : watcher_([this](std::stop_token end) {
          while (!end.stop_requested()) {
            if (signal_.flag()->load()) {
              stop_.request_stop();
              return;
            }
            // A handler can only set a flag, and nobody notices 20 ms.
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
          }
        }) {}
  std::stop_token token() const { return stop_.get_token(); }
  const std::atomic<bool>* flag() const { return signal_.flag(); }

 private:
  StopSignal signal_;
  std::stop_source stop_;
  std::jthread watcher_;
};

int bench(const PipelineArguments& arguments, const Console& console) {
  Session session(arguments, console);
  session.load(session.config.chunk);
  std::optional<std::int64_t> profile;
  if (arguments.tuned) {
    tuning::PipelineWork wanted;
    wanted.name = arguments.kernel;
    wanted.identity = "weight " + arguments.kernel;
    const auto match =
        find_tuned(arguments, tuning::pipeline_profile_key(wanted, session.device, session.volume), *console.places);
    if (!match)
      throw Error(ErrorCode::not_found,
                  fmt::format("no pipeline with the kernel '{}' is tuned for {}: run 'warpwright pipeline tune'",
                              arguments.kernel, session.device.name));
    session.config = tuning::pipeline_config(match->profile, session.config);
    profile = match->profile.id;
    session.load(session.config.chunk);
  }
  const Calibration calibration = session.workload->calibrate(*session.clock, session.config.chunk, session.weight);
  const memory::ColdStart cold = session.optimizer->prepare(session.config);
  const StopOnSignal stop;
  // Fills the slots and touches everything once; only the second run counts.
  const Bytes warm{std::min<std::uint64_t>(
      session.volume.count, session.config.chunk.count * 2 * static_cast<std::uint64_t>(session.config.depth))};
  session.optimizer
      ->run(session.config, *session.workload->source(warm), session.workload->kernel(),
            *session.workload->sink(Check::every_word))
      .check();
  const auto source = session.workload->source(session.volume);
  const auto sink = session.workload->sink(Check::sampled);
  const memory::PipelineResult result =
      session.optimizer->run(session.config, *source, session.workload->kernel(), *sink, stop.token());
  if (!arguments.trace.empty())
    write_file_atomically(arguments.trace, chrome_trace_json(result, "warpwright pipeline, " + session.device.name));
  result.check();
  const memory::PipelineStats& stats = result.stats;
  const bool verified = session.workload->wrong_chunks() == 0 && result.failed == 0;
  const auto nominal = stats.efficiency(calibration.stages());
  const auto achievable = stats.efficiency(calibration.stages(), calibration.link.period);
  const Nanoseconds serial = calibration.stages().sum() * static_cast<double>(stats.chunks);
  const auto number = [](std::optional<double> value) { return value ? Json(*value) : Json(nullptr); };

  if (arguments.json) {
    Json stalls = Json::object();
    for (int i = 0; i < memory::stall_cause_count; ++i) {
      const auto cause = static_cast<memory::StallCause>(i);
      stalls[std::string(to_string(cause))] = {{"count", stats.stall(cause).count},
                                               {"time_us", microseconds(stats.stall(cause).time)}};
    }
    const Json json = {
        {"schema_version", 1},
        {"device", store::to_json(session.device)},
        {"kernel", {{"weight", to_string(session.weight)}, {"rounds", calibration.rounds}}},
        {"shape", shape_json(session.config)},
        {"profile", profile ? Json(*profile) : Json(nullptr)},
        {"bytes", session.volume.count},
        {"chunks", stats.chunks},
        {"verified", verified},
        {"interrupted", result.stopped},
        {"wall_ms", stats.wall.count() / 1e6},
        {"h2d_gb_s", stats.upload_rate() / 1e9},
        {"d2h_gb_s", stats.download_rate() / 1e9},
        {"overlap_efficiency", number(achievable)},
        {"overlap_efficiency_nominal", number(nominal)},
        {"speedup_over_serial_stages", stats.wall.count() > 0 ? Json(serial / stats.wall) : Json(nullptr)},
        {"busy_share",
         {{"upload", stats.upload_share()}, {"kernel", stats.kernel_share()}, {"download", stats.download_share()}}},
        {"stages_alone", stages_json(calibration.stages())},
        {"stages_together", stages_json(stats.stages)},
        {"transfer_period_us", microseconds(calibration.link.period)},
        {"peak_pinned_bytes", stats.peak_pinned.count},
        {"peak_device_bytes", stats.peak_device.count},
        {"pinned_budget_bytes", session.optimizer->budget().pinned.count},
        {"device_budget_bytes", session.optimizer->budget().device.count},
        {"stalls", stalls},
        {"slot_wait",
         {{"count", stats.slot_wait.total()},
          {"p50_us", percentile_us(stats.slot_wait, 50)},
          {"p99_us", percentile_us(stats.slot_wait, 99)}}},
        {"cold_start",
         {{"total_ms", cold.total.count() / 1e6},
          {"registered", cold.memory.registered},
          {"huge_pages", cold.memory.huge_pages},
          {"fallback", cold.memory.fallback}}}};
    fmt::print(console.out, "{}\n", json.dump(2));
  } else {
    fmt::print(console.out, "{} ({}), kernel {}: {} in {} chunks of {}, depth {}, {}{}\n", session.device.name,
               session.device.id.to_string(), arguments.kernel, format_bytes(session.volume), stats.chunks,
               format_bytes(session.config.chunk), session.config.depth, to_string(session.config.variant),
               session.config.in_place ? ", in place" : "");
    TextTable table({{"", Align::left}, {"alone", Align::right}, {"together", Align::right}, {"busy", Align::right}});
    const auto percent = [](double share) { return fmt::format("{:.0f} %", 100 * share); };
    table.add({"upload", format_duration(calibration.link.upload), format_duration(stats.stages.upload),
               percent(stats.upload_share())});
    table.add({"kernel", format_duration(calibration.kernel), format_duration(stats.stages.kernel),
               percent(stats.kernel_share())});
    table.add({"download", format_duration(calibration.link.download), format_duration(stats.stages.download),
               percent(stats.download_share())});
    table.print(console.out, 2);
    fmt::print(console.out,
               "  {} in all: {:.2f} GB/s up, {:.2f} GB/s down; {} of what the stages allow ({} if the directions did "
               "not disturb each other)\n",
               format_duration(stats.wall), stats.upload_rate() / 1e9, stats.download_rate() / 1e9,
               achievable ? percent(*achievable) : "-", nominal ? percent(*nominal) : "-");
    fmt::print(console.out, "  {:.2f} times as fast as the stages one after another\n",
               stats.wall.count() > 0 ? serial / stats.wall : 0.0);
    fmt::print(console.out, "  memory: {} pinned, {} on the device; cold start {}\n", format_bytes(stats.peak_pinned),
               format_bytes(stats.peak_device), format_duration(cold.total));
    fmt::print(
        console.out, "  {}\n",
        verified ? "every chunk was right" : fmt::format("{} CHUNKS WERE WRONG", session.workload->wrong_chunks()));
  }
  if (result.stopped) return exit_interrupted;
  return verified ? exit_success : exit_failure;
}

int tune(const PipelineArguments& arguments, const Console& console) {
  Session session(arguments, console);
  constexpr std::uint64_t largest = std::uint64_t{32} << 20;
  session.load(Bytes{std::max(largest, session.config.chunk.count)});
  const Calibration calibration = session.workload->calibrate(*session.clock, session.config.chunk, session.weight);
  std::optional<driver::WinnerStorage> storage = driver::open_winner_storage(
      arguments.profiles, !arguments.no_profile, *console.places, console.log(arguments.quiet));
  const StopOnSignal stop;
  tuning::PipelineTuningOptions options;
  options.baseline = session.config;
  options.volume = session.volume;
  options.strategy = arguments.strategy;
  options.strategy_settings.seed = arguments.seed;
  if (arguments.max_evaluations > 0) options.max_evaluations = arguments.max_evaluations;
  options.clock = session.clock.get();
  options.stop = stop.flag();
  if (!arguments.quiet)
    options.progress = [&](std::uint64_t done, std::uint64_t planned) {
      if (done % 10 == 0 || done == planned) fmt::print(console.err, "measured {} of {} shapes\n", done, planned);
    };
  tuning::PipelineWork work = tuning_work(*session.workload, arguments.kernel);
  // The weight is the kernel's identity: rounds differ from run to run with what calibrating saw.
  work.identity = "weight " + arguments.kernel;
  tuning::PipelineTuningResult result =
      tune_pipeline(*session.optimizer, StrategyRegistry::with_defaults(), work, options);
  const bool verified = session.workload->wrong_chunks() == 0;
  result.profile.verification =
      fmt::format("{} chunks, their number and {} words each", session.workload->right_chunks(), 16);
  store::Json details = store::parse(result.profile.details, "the profile's details");
  details["kernel_rounds"] = calibration.rounds;
  result.profile.details = store::text_of(details);
  std::optional<std::int64_t> id;
  if (storage && verified) id = storage->database.put(result.profile);
  const auto rate = [&](Nanoseconds wall) { return static_cast<double>(result.volume.count) / wall.count(); };

  if (arguments.json) {
    const auto trials_json = [&](const std::vector<tuning::PipelineTrial>& trials) {
      Json list = Json::array();
      for (const auto& trial : trials) {
        Json entry = shape_json(trial.config);
        entry["status"] = to_string(trial.status);
        entry["median_ms"] = trial.median ? Json(trial.median->count() / 1e6) : Json(nullptr);
        entry["gb_s"] = trial.median ? Json(rate(*trial.median)) : Json(nullptr);
        entry["samples"] = trial.samples.size();
        entry["message"] = trial.message;
        list.push_back(std::move(entry));
      }
      return list;
    };
    const Json json = {{"schema_version", 1},
                       {"device", store::to_json(session.device)},
                       {"kernel", {{"weight", to_string(session.weight)}, {"rounds", calibration.rounds}}},
                       {"bytes", result.volume.count},
                       {"verified", verified},
                       {"best", shape_json(result.best)},
                       {"best_ms", result.best_median.count() / 1e6},
                       {"best_gb_s", rate(result.best_median)},
                       {"baseline", shape_json(session.config)},
                       {"baseline_ms", result.baseline_median.count() / 1e6},
                       {"speedup", result.speedup},
                       {"space_size", result.space_size},
                       {"evaluations", result.trials.size()},
                       {"strategy", arguments.strategy},
                       {"seed", arguments.seed},
                       {"interrupted", result.interrupted},
                       {"profile", id ? Json(*id) : Json(nullptr)},
                       {"finalists", trials_json(result.finalists)},
                       {"trials", trials_json(result.trials)}};
    fmt::print(console.out, "{}\n", json.dump(2));
  } else {
    fmt::print(console.out, "{} ({}), kernel {}: {} of {} shapes measured with {}\n", session.device.name,
               session.device.id.to_string(), arguments.kernel, result.trials.size(), result.space_size,
               format_bytes(result.volume));
    TextTable table({{"chunk", Align::right},
                     {"depth", Align::right},
                     {"variant", Align::left},
                     {"median", Align::right},
                     {"GB/s", Align::right}});
    for (const auto& trial : result.finalists)
      table.add({format_bytes(trial.config.chunk), std::to_string(trial.config.depth),
                 std::string(to_string(trial.config.variant)), format_duration(*trial.median),
                 fmt::format("{:.2f}", rate(*trial.median))});
    table.print(console.out, 2);
    fmt::print(console.out, "  {:.3f} times as fast as {} x {}, {}\n", result.speedup, session.config.depth,
               format_bytes(session.config.chunk), to_string(session.config.variant));
    if (id) fmt::print(console.out, "  stored as profile {}\n", *id);
  }
  if (result.interrupted) return exit_interrupted;
  return verified ? exit_success : exit_failure;
}

void add_shape_options(CLI::App& command, PipelineArguments& arguments) {
  command
      .add_option("--device", arguments.device,
                  "Device to use, e.g. cuda:0, opencl:0:0 or sim:0 (default: the best GPU, else the CPU)")
      ->type_name("ID");
  command.add_option("--bytes", arguments.bytes, "How much input to stream")->type_name("SIZE")->capture_default_str();
  command.add_option("--chunk", arguments.chunk, "Bytes of a chunk")->type_name("SIZE")->capture_default_str();
  command.add_option("--depth", arguments.depth, "Slots of the ring")
      ->type_name("K")
      ->check(at_least(1))
      ->capture_default_str();
  command.add_option("--variant", arguments.variant, "role_streams, stream_per_slot or graph")
      ->type_name("NAME")
      ->capture_default_str();
  command
      .add_option("--kernel", arguments.kernel,
                  "Kernel time against the upload: light, balanced (equal) or heavy (2.5 times)")
      ->type_name("WEIGHT")
      ->capture_default_str();
  command.add_option("--pinned-budget", arguments.pinned_budget, "Most pinned host memory")
      ->type_name("SIZE")
      ->capture_default_str();
  command.add_option("--device-budget", arguments.device_budget, "Most device memory")
      ->type_name("SIZE")
      ->capture_default_str();
  command.add_flag("--in-place", arguments.in_place, "The kernel overwrites its input: one device buffer a slot");
  command.add_flag("--helper-threads", arguments.helper_threads, "Source and sink in threads of their own");
  command.add_flag("--poll", arguments.poll, "Ask the driver again and again instead of sleeping in it");
  command
      .add_option("--profiles", arguments.profiles,
                  "Profile database (default: $XDG_DATA_HOME/warpwright/profiles.sqlite)")
      ->type_name("FILE");
  command.add_flag("--json", arguments.json, "Print JSON");
  command.add_flag("--quiet", arguments.quiet, "No progress on standard error");
}

}  // namespace

void add_pipeline_command(CLI::App& app, const Console& console, int& exit_code) {
  CLI::App* command =
      app.add_subcommand("pipeline", "Stream data through a device: uploads, kernels and downloads at once");
  command->require_subcommand(1);
  auto arguments = std::make_shared<PipelineArguments>();

  CLI::App* bench_command =
      command->add_subcommand("bench", "Run one shape of the pipeline and tell how near it came to the ideal");
  add_shape_options(*bench_command, *arguments);
  bench_command->add_flag("--tuned", arguments->tuned,
                          "Take chunk, depth and variant from the profile that 'tune' stored");
  bench_command->add_option("--trace", arguments->trace, "Write every stage of every chunk as Chrome trace JSON")
      ->type_name("FILE");
  bench_command->callback([arguments, console, &exit_code] { exit_code = bench(*arguments, console); });

  CLI::App* tune_command =
      command->add_subcommand("tune", "Find the fastest chunk size, depth and variant under the budgets");
  add_shape_options(*tune_command, *arguments);
  tune_command->add_option("--strategy", arguments->strategy, "Search strategy")
      ->type_name("NAME")
      ->capture_default_str();
  tune_command->add_option("--seed", arguments->seed, "Seed of the strategy")->type_name("N")->check(at_least(0));
  tune_command->add_option("--max-evaluations", arguments->max_evaluations, "Most shapes to measure")
      ->type_name("N")
      ->check(at_least(1));
  tune_command->add_flag("--no-profile", arguments->no_profile, "Do not store the result");
  tune_command->callback([arguments, console, &exit_code] { exit_code = tune(*arguments, console); });
}

}  // namespace warpwright::app
