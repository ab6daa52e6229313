// `warpwright frame`: the reference workloads of all stages as one frame, checked against their oracle and timed.
#include <cmath>
#include <cstring>
#include <fmt/format.h>
#include <memory>

#include <warpwright/base/error.hpp>
#include <warpwright/base/temporary_folder.hpp>
#include <warpwright/measure/inputs.hpp>
#include <warpwright/store/json.hpp>
#include <warpwright/store/profile_database.hpp>

#include "backends.hpp"
#include "command.hpp"
#include "stop_signal.hpp"
#include "text_table.hpp"
#include "workloads/common/sizes.hpp"
#include "workloads/frame/device/comparison.hpp"
#include "workloads/frame/device/dump.hpp"
#include "workloads/frame/device/frame.hpp"
#include "workloads/frame/device/measurement.hpp"

namespace warpwright::app {
namespace {

using store::Json;

struct FrameArguments {
  std::size_t n = 900, batch = 1;
  std::uint64_t frames = 1000, warm_up = 100;
  std::uint32_t seed = 1;
  std::size_t period = 1;
  std::string device, profiles, input, dump;
  bool no_graph = false, json = false, quiet = false;
};

// The specifications of the reference workloads, a folder for each stage. Throws Error(not_found) that says where it
// looked.
std::filesystem::path workloads_folder() {
  std::error_code status;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", status);
  const auto folder = self.parent_path().parent_path() / "share" / "warpwright" / "workloads";
  if (std::filesystem::exists(folder / "frame" / "glue.kernel", status)) return folder;
  throw Error(ErrorCode::not_found,
              fmt::format("the kernels of the reference workloads are missing: '{}' does not hold "
                          "them; install warpwright again",
                          folder.string()));
}

// The user's profiles; without any, an empty database that is forgotten.
class FrameProfiles {
 public:
  FrameProfiles(const std::string& given, const driver::Places& places) {
    std::error_code status;
    std::filesystem::path file = given;
    if (given.empty()) {
      try {
        file = places.profiles_file();
      } catch (const Error&) {
        // Who has no home has no profiles there.
      }
    }
    if (!given.empty() || (!file.empty() && std::filesystem::exists(file, status))) {
      database_.emplace(store::ProfileDatabase::open_read_only(file));
    } else {
      folder_ = std::make_unique<TemporaryFolder>(std::filesystem::temp_directory_path());
      database_.emplace(folder_->path() / "profiles.sqlite");
    }
  }
  const store::ProfileDatabase& database() const { return *database_; }

 private:
  std::unique_ptr<TemporaryFolder> folder_;
  std::optional<store::ProfileDatabase> database_;
};

// Everything that both commands need, in the order of its making.
struct FrameSession {
  FrameSession(const FrameArguments& arguments, const Console& console)
      : profiles(arguments.profiles, *console.places) {
    if (arguments.batch != 1)
      throw Error(ErrorCode::bad_input,
                  fmt::format("--batch {}: a frame runs one instance; only --batch 1 is offered yet", arguments.batch));
    backends = make_backends(console, arguments.quiet);
    if (!arguments.device.empty()) {
      device = backends.describe(DeviceId::parse(arguments.device));
    } else {
      const auto best = backends.best_device();
      if (!best) throw Error(ErrorCode::unavailable, "no device for a frame; 'warpwright devices' says why");
      device = *best;
      if (best->kind == DeviceKind::cpu && !arguments.quiet)
        fmt::print(console.err, "no GPU found: using this CPU ({}, {})\n", best->name, best->id.to_string());
    }
    if (device.id.backend == "sim")
      throw Error(ErrorCode::bad_input, fmt::format("--device {}: the simulated device cannot run the kernels of the "
                                                    "frame; choose one of cuda or opencl",
                                                    device.id.to_string()));
    const device::Backend& backend = backends.find(device.id);
    context = backend.open(device.id);
    workloads::FrameOptions options;
    options.specifications = workloads_folder();
    options.settings.seed = arguments.seed;
    options.settings.flow_period = arguments.period;
    options.graph = !arguments.no_graph;
    options.binary_cache = console.places->usable_cache_folder("", console.log(arguments.quiet)) / "binaries";
    options.log = console.log(arguments.quiet);
    try {
      const auto use = context->memory_use();
      workloads::require_frame_fits(arguments.n, arguments.batch, use ? use->free : device.global_memory);
    } catch (Error& error) {
      throw error.add_context(fmt::format("--n {}", arguments.n));
    }
    if (!arguments.input.empty()) {
      const measure::NpyArray array = measure::read_npy(arguments.input);
      if (array.type != DataType::float32)
        throw Error(ErrorCode::bad_input,
                    fmt::format("--input '{}' holds {}; frames are float32", arguments.input, to_string(array.type)));
      std::vector<float> values(array.data.size() / sizeof(float));
      std::memcpy(values.data(), array.data.data(), array.data.size());
      input = workloads::recorded_inputs(std::move(values), arguments.n, fmt::format("--input '{}'", arguments.input));
    }
    frame =
        std::make_unique<workloads::Frame>(backend, *context, profiles.database(),
                                           workloads::scaled_sizes(arguments.n, arguments.batch), std::move(options));
    if (!input) input = workloads::example_inputs(frame->model());
  }

  FrameProfiles profiles;
  device::BackendRegistry backends;
  DeviceInfo device;
  std::unique_ptr<device::Context> context;
  workloads::FrameInput input;
  std::unique_ptr<workloads::Frame> frame;
};

Json to_json(const workloads::FrameVerdict& verdict) {
  Json outputs = Json::array();
  for (const auto& output : verdict.outputs)
    outputs.push_back({{"stage", output.stage},
                       {"output", output.output},
                       {"error", std::isfinite(output.error) ? Json(output.error) : Json("not finite")},
                       {"limit", output.limit},
                       {"undecided", output.undecided},
                       {"passed", output.passed()}});
  return {{"passed", verdict.passed()}, {"frames", verdict.frames}, {"outputs", outputs}};
}

Json choices_json(const workloads::Frame& frame) {
  Json list = Json::array();
  for (const auto& choice : frame.choices())
    list.push_back({{"stage", choice.stage},
                    {"kernel", choice.kernel},
                    {"configuration", store::to_json(choice.selection.configuration)},
                    {"tuned", choice.selection.tuned},
                    {"profile", choice.selection.profile_id ? Json(*choice.selection.profile_id) : Json(nullptr)},
                    {"quality", choice.selection.quality}});
  return list;
}

Json head_json(const FrameArguments& arguments, const FrameSession& session) {
  return {{"schema_version", 1},
          {"device", store::to_json(session.device)},
          {"n", arguments.n},
          {"batch", arguments.batch},
          {"seed", arguments.seed},
          {"flow_period", arguments.period},
          {"graph", session.frame->uses_graph()},
          {"stages", choices_json(*session.frame)}};
}

void print_head(const FrameArguments& arguments, const FrameSession& session, const Console& console) {
  fmt::print(console.out, "frame of n = {} on {} ({}), seed {}, {}\n", arguments.n, session.device.name,
             session.device.id.to_string(), arguments.seed,
             session.frame->uses_graph() ? "one graph a frame" : "launches one by one");
}

std::function<void(const std::string&)> progress_of(const FrameArguments& arguments, const Console& console) {
  if (arguments.quiet) return {};
  return [err = console.err](const std::string& text) { fmt::print(err, "{}\n", text); };
}

void print_verdict(const workloads::FrameVerdict& verdict, const Console& console) {
  TextTable table({{"stage", Align::left},
                   {"output", Align::left},
                   {"largest error", Align::right},
                   {"limit", Align::right},
                   {"", Align::left}});
  for (const auto& output : verdict.outputs) {
    // Discrete outputs are counted.
    const bool counted = output.limit == 0;
    std::string remark = output.passed() ? "right" : "WRONG";
    if (output.undecided > 0) remark += fmt::format(" ({} too close to call)", output.undecided);
    table.add({output.stage, output.output,
               counted ? fmt::format("{:.0f} differ", output.error) : fmt::format("{:.1e}", output.error),
               counted ? "0" : fmt::format("{:.0e}", output.limit), remark});
  }
  table.print(console.out, 2);
}

int check_frame_command(const FrameArguments& arguments, const Console& console) {
  FrameSession session(arguments, console);
  const workloads::FrameVerdict verdict =
      workloads::check_frame(*session.frame, session.input, progress_of(arguments, console));
  if (arguments.json) {
    Json json = head_json(arguments, session);
    json["check"] = to_json(verdict);
    fmt::print(console.out, "{}\n", json.dump(2));
  } else {
    print_head(arguments, session, console);
    print_verdict(verdict, console);
    fmt::print(console.out, "  {}: frames {} against the oracle in double precision\n",
               verdict.passed() ? "every stage is right" : "SOME STAGES ARE WRONG", fmt::join(verdict.frames, ", "));
  }
  return verdict.passed() ? exit_success : exit_failure;
}

double microseconds_of(Nanoseconds time) { return time.count() / 1e3; }

Json times_json(const workloads::FrameTimes& times) {
  Json stages = Json::array();
  for (const auto& stage : times.stages)
    stages.push_back({{"stage", stage.stage}, {"mean_us", microseconds_of(stage.mean)}});
  return {{"frames", times.frames},
          {"p50_us", microseconds_of(times.p50)},
          {"p99_us", microseconds_of(times.p99)},
          {"p99_9_us", microseconds_of(times.p999)},
          {"max_us", microseconds_of(times.max)},
          {"mean_us", microseconds_of(times.mean)},
          {"frames_per_second", times.frames_per_second},
          {"by_stage", stages},
          {"by_stage_sum_us", microseconds_of(times.stages_sum)},
          {"by_stage_frames", times.staged_frames}};
}

void print_times(const workloads::FrameTimes& times, const workloads::Frame& frame, const Console& console) {
  fmt::print(console.out, "  {} frames, host to host: p50 {}, p99 {}, p99.9 {}, max {}; {:.0f} frames/s\n",
             times.frames, format_duration(times.p50), format_duration(times.p99), format_duration(times.p999),
             format_duration(times.max), times.frames_per_second);
  fmt::print(console.out, "  a frame moves {} up and {} down; {} on the device\n",
             format_bytes(frame.uploaded_per_frame()), format_bytes(frame.downloaded_per_frame()),
             format_bytes(frame.device_memory()));
  TextTable table({{"stage", Align::left}, {"mean", Align::right}, {"share", Align::right}});
  for (const auto& stage : times.stages)
    table.add(
        {stage.stage, format_duration(stage.mean), fmt::format("{:.1f} %", 100.0 * (stage.mean / times.stages_sum))});
  table.add({"all", format_duration(times.stages_sum), "100.0 %"});
  table.print(console.out, 2);
  fmt::print(console.out, "  stages are means of {} frames with an event behind each; a whole frame takes {} (mean)\n",
             times.staged_frames, format_duration(times.mean));
}

int run_frame_command(const FrameArguments& arguments, const Console& console) {
  FrameSession session(arguments, console);
  workloads::Frame& frame = *session.frame;
  const workloads::FrameVerdict verdict = workloads::check_frame(frame, session.input, progress_of(arguments, console));
  const StopSignal stop;
  const SteadyClock clock;
  const workloads::FrameTimes times =
      workloads::measure_frames(frame, session.input, arguments.frames, arguments.warm_up, clock, stop.flag());
  bool verified = verdict.passed();
  if (!arguments.dump.empty()) {
    const bool last = workloads::dump_frame(frame, session.input, arguments.dump).passed();
    verified = verified && last;
  }
  const std::vector<std::string> names = workloads::summary_names(frame.model().policy.policies.size());
  const bool interrupted = times.frames < arguments.frames;
  if (arguments.json) {
    Json json = head_json(arguments, session);
    json["verified"] = verified;
    json["check"] = to_json(verdict);
    json["times"] = times_json(times);
    json["bytes_up"] = frame.uploaded_per_frame().count;
    json["bytes_down"] = frame.downloaded_per_frame().count;
    json["device_bytes"] = frame.device_memory().count;
    json["last_frame"] = times.last_frame;
    json["coupling_age"] = times.coupling_age ? Json(*times.coupling_age) : Json(nullptr);
    json["flow_frames"] = times.flow_frames;
    json["interrupted"] = interrupted;
    Json summary = Json::object();
    for (std::size_t i = 0; i < names.size(); ++i) summary[names[i]] = times.summary[i];
    json["summary"] = summary;
    fmt::print(console.out, "{}\n", json.dump(2));
  } else {
    print_head(arguments, session, console);
    print_times(times, frame, console);
    fmt::print(console.out, "  S2 and S3 ran in {} of {} frames; the coupling of the last frame is {} frames old\n",
               times.flow_frames, times.frames, times.coupling_age.value_or(0));
    std::vector<std::string> words;
    for (std::size_t i = 0; i < names.size(); ++i)
      words.push_back(fmt::format("{} {:.4g}", names[i], times.summary[i]));
    fmt::print(console.out, "  frame {}: {}\n", times.last_frame, fmt::join(words, ", "));
    if (verified) {
      fmt::print(console.out, "  output verified: frames {} against the oracle, {} outputs of all stages\n",
                 fmt::join(verdict.frames, ", "), verdict.outputs.size());
    } else {
      print_verdict(verdict, console);
      fmt::print(console.out, "  THE OUTPUT IS WRONG\n");
    }
    if (!arguments.dump.empty()) fmt::print(console.out, "  the frame behind these is in {}\n", arguments.dump);
  }
  if (!verified) return exit_failure;
  return interrupted ? exit_interrupted : exit_success;
}

void add_frame_options(CLI::App& command, FrameArguments& arguments) {
  command.add_option("--n", arguments.n, "Oscillators, which are windows and sources of information too; at least 9")
      ->type_name("N")
      ->check(at_least(9))
      ->capture_default_str();
  command.add_option("--batch", arguments.batch, "Instances; only 1 is offered yet")
      ->type_name("B")
      ->check(at_least(1))
      ->capture_default_str();
  command.add_option("--seed", arguments.seed, "Of weights, initial state, noise and example input")
      ->type_name("SEED")
      ->check(at_least(0))
      ->capture_default_str();
  command.add_option("--period", arguments.period, "Frames from one run of S2 and S3 to the next: less fresh coupling")
      ->type_name("K")
      ->check(at_least(1))
      ->capture_default_str();
  command
      .add_option("--device", arguments.device,
                  "Device to use, e.g. cuda:0 or opencl:0:0 (default: the best GPU, else the CPU)")
      ->type_name("ID");
  command
      .add_option("--profiles", arguments.profiles,
                  "Profile database (default: $XDG_DATA_HOME/warpwright/profiles.sqlite)")
      ->type_name("FILE");
  command
      .add_option(
          "--input", arguments.input,
          "Frames of n float32 each as npy, again from the beginning when they end (default: a travelling wave)")
      ->type_name("FILE");
  command.add_flag("--no-graph", arguments.no_graph, "Launch kernels one by one, also where the device has graphs");
  command.add_flag("--json", arguments.json, "Print JSON");
  command.add_flag("--quiet", arguments.quiet, "No progress and no notes on standard error");
}

}  // namespace

void add_frame_command(CLI::App& app, const Console& console, int& exit_code) {
  CLI::App* command =
      app.add_subcommand("frame", "Run the reference workloads of all stages as one frame, verified and timed");
  command->require_subcommand(1);
  auto arguments = std::make_shared<FrameArguments>();

  CLI::App* run_command =
      command->add_subcommand("run", "Time frames from host to host; their output is checked first");
  add_frame_options(*run_command, *arguments);
  run_command->add_option("--frames", arguments->frames, "Frames to time")
      ->type_name("F")
      ->check(at_least(1))
      ->capture_default_str();
  run_command->add_option("--warm-up", arguments->warm_up, "Frames before these that are not timed")
      ->type_name("F")
      ->check(at_least(0))
      ->capture_default_str();
  run_command
      ->add_option("--dump", arguments->dump,
                   "Write input, state before and every stage's output of one more frame as npy files to this folder")
      ->type_name("DIR");
  run_command->callback([arguments, console, &exit_code] { exit_code = run_frame_command(*arguments, console); });

  CLI::App* check_command =
      command->add_subcommand("check", "Compare every stage of a frame with the oracle; exit code 0 or 1");
  add_frame_options(*check_command, *arguments);
  check_command->callback([arguments, console, &exit_code] { exit_code = check_frame_command(*arguments, console); });
}

}  // namespace warpwright::app
