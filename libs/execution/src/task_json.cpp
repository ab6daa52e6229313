#include "task_json.hpp"

#include <warpwright/base/error.hpp>

namespace warpwright::execution {
namespace {

using store::Json;

constexpr std::size_t longest_log = std::size_t{1} << 20;
constexpr std::size_t longest_message = std::size_t{1} << 16;

Json samples_to_json(const std::vector<Nanoseconds>& samples) {
  Json json = Json::array();
  for (const auto sample : samples) json.push_back(sample.count());
  return json;
}

std::vector<Nanoseconds> samples_from_json(const Json& json) {
  std::vector<Nanoseconds> samples;
  for (const auto& sample : json) samples.emplace_back(sample.get<double>());
  return samples;
}

TrialStatus status_from(const Json& json) {
  const auto text = json.get<std::string>();
  const auto status = parse_trial_status(text);
  if (!status) throw Error(ErrorCode::corrupted, "unknown trial status '" + text + "' in a message");
  return *status;
}

// The first part of what a compiler wrote. A message's head has a limit, and bytes that JSON must escape take six.
std::string shortened(const std::string& text, std::size_t limit) {
  if (text.size() <= limit) return text;
  const std::string note = "\n[the rest of " + std::to_string(text.size()) + " bytes is left out]";
  std::size_t end = limit - note.size();
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;  // not within a character
  return text.substr(0, end) + note;
}

Json timing_to_json(const measure::TimingOptions& timing) {
  Json json{{"cache", std::string(measure::to_string(timing.cache))},
            {"warmup", timing.warmup},
            {"min_samples", timing.min_samples},
            {"max_samples", timing.max_samples},
            {"target_precision", timing.target_precision},
            {"time_budget_ns", timing.time_budget.count()}};
  if (timing.launch_times) json["launch_times"] = true;
  if (timing.incumbent)
    json["incumbent"] = {{"median_ns", timing.incumbent->median.count()},
                         {"upper_quartile_ns", timing.incumbent->upper_quartile.count()},
                         {"noise", timing.incumbent->noise}};
  return json;
}

measure::CacheMode cache_mode_from(const Json& json) {
  return json.get<std::string>() == "warm" ? measure::CacheMode::warm : measure::CacheMode::cold;
}

measure::TimingOptions timing_from_json(const Json& json) {
  measure::TimingOptions timing;
  timing.cache = cache_mode_from(json.at("cache"));
  timing.warmup = json.at("warmup").get<int>();
  timing.min_samples = json.at("min_samples").get<int>();
  timing.max_samples = json.at("max_samples").get<int>();
  timing.target_precision = json.at("target_precision").get<double>();
  timing.time_budget = Nanoseconds(json.at("time_budget_ns").get<double>());
  timing.launch_times = json.value("launch_times", false);
  if (const auto found = json.find("incumbent"); found != json.end())
    timing.incumbent =
        measure::Incumbent{Nanoseconds(found->at("median_ns").get<double>()),
                           Nanoseconds(found->at("upper_quartile_ns").get<double>()), found->at("noise").get<double>()};
  return timing;
}

}  // namespace

Message to_message(const CompileTask& task) {
  return {{{"type", "compile"},
           {"id", task.id},
           {"configuration", store::to_json(task.configuration)},
           {"dimensions", store::to_json(task.dimensions)}},
          {}};
}

CompileTask compile_task_from(const Message& message) {
  return {message.head.at("id").get<std::uint64_t>(), store::configuration_from_json(message.head.at("configuration")),
          store::configuration_from_json(message.head.at("dimensions"))};
}

Message to_message(const RunTask& task) {
  return {{{"type", "run"},
           {"id", task.id},
           {"configuration", store::to_json(task.configuration)},
           {"binary", store::to_json(task.binary)},
           {"timing", timing_to_json(task.timing)},
           {"dimensions", store::to_json(task.dimensions)},
           {"input_salt", task.input_salt},
           {"reference_only", task.reference_only}},
          task.binary.image};
}

RunTask run_task_from(Message message) {
  RunTask task;
  task.id = message.head.at("id").get<std::uint64_t>();
  task.configuration = store::configuration_from_json(message.head.at("configuration"));
  task.binary = store::binary_from_json(message.head.at("binary"), std::move(message.payload));
  task.timing = timing_from_json(message.head.at("timing"));
  task.dimensions = store::configuration_from_json(message.head.at("dimensions"));
  task.input_salt = message.head.at("input_salt").get<std::uint64_t>();
  task.reference_only = message.head.at("reference_only").get<bool>();
  return task;
}

Message to_message(const InterleaveTask& task) {
  Message message;
  Json candidates = Json::array();
  for (std::size_t i = 0; i < task.configurations.size(); ++i) {
    candidates.push_back({{"configuration", store::to_json(task.configurations[i])},
                          {"binary", store::to_json(task.binaries[i])},
                          {"image_size", task.binaries[i].image.size()}});
    message.payload += task.binaries[i].image;
  }
  message.head = {{"type", "interleave"},
                  {"id", task.id},
                  {"candidates", std::move(candidates)},
                  {"rounds", task.rounds},
                  {"cache", std::string(measure::to_string(task.cache))},
                  {"seed", task.seed},
                  {"with_reference", task.with_reference}};
  if (task.sustained)
    message.head["sustained"] = {{"probe_ns", task.sustained->probe.count()},
                                 {"settle_ns", task.sustained->settle.count()},
                                 {"block_ns", task.sustained->block.count()},
                                 {"rounds", task.sustained->rounds},
                                 {"seed", task.sustained->seed},
                                 {"estimates", samples_to_json(task.estimates)}};
  return message;
}

InterleaveTask interleave_task_from(const Message& message) {
  InterleaveTask task;
  task.id = message.head.at("id").get<std::uint64_t>();
  task.rounds = message.head.at("rounds").get<int>();
  task.cache = cache_mode_from(message.head.at("cache"));
  task.seed = message.head.at("seed").get<std::uint64_t>();
  task.with_reference = message.head.at("with_reference").get<bool>();
  if (const auto found = message.head.find("sustained"); found != message.head.end()) {
    measure::SustainedOptions& sustained = task.sustained.emplace();
    sustained.probe = Nanoseconds(found->at("probe_ns").get<double>());
    sustained.settle = Nanoseconds(found->at("settle_ns").get<double>());
    sustained.block = Nanoseconds(found->at("block_ns").get<double>());
    sustained.rounds = found->at("rounds").get<int>();
    sustained.seed = found->at("seed").get<std::uint64_t>();
    task.estimates = samples_from_json(found->at("estimates"));
  }
  std::size_t offset = 0;
  for (const auto& candidate : message.head.at("candidates")) {
    const auto size = candidate.at("image_size").get<std::size_t>();
    if (size > message.payload.size() - offset)
      throw Error(ErrorCode::corrupted, "a message ends before the binaries that it announces");
    task.configurations.push_back(store::configuration_from_json(candidate.at("configuration")));
    task.binaries.push_back(store::binary_from_json(candidate.at("binary"), message.payload.substr(offset, size)));
    offset += size;
  }
  return task;
}

Message to_message(const CompileDone& done) {
  return {{{"type", "compiled"},
           {"id", done.id},
           {"status", std::string(to_string(done.status))},
           {"binary", store::to_json(done.binary)},
           {"message", shortened(done.message, longest_message)},
           {"log", shortened(done.log, longest_log)},
           {"specification_mistake", done.specification_mistake},
           {"from_cache", done.from_cache},
           {"wall_ns", done.wall.count()},
           {"cpu_ns", done.cpu.count()}},
          done.binary.image};
}

CompileDone compile_done_from(Message message) {
  CompileDone done;
  done.id = message.head.at("id").get<std::uint64_t>();
  done.status = status_from(message.head.at("status"));
  done.binary = store::binary_from_json(message.head.at("binary"), std::move(message.payload));
  done.message = message.head.at("message").get<std::string>();
  done.log = message.head.at("log").get<std::string>();
  done.specification_mistake = message.head.at("specification_mistake").get<bool>();
  done.from_cache = message.head.at("from_cache").get<bool>();
  done.wall = Nanoseconds(message.head.at("wall_ns").get<double>());
  done.cpu = Nanoseconds(message.head.at("cpu_ns").get<double>());
  return done;
}

Message to_message(const RunDone& done) {
  // A trial carries everything a run result has, so its JSON serves both.
  Trial trial;
  trial.status = done.result.status;
  trial.samples = done.result.samples;
  trial.launch_times = done.result.launch_times;
  trial.message = done.result.message;
  trial.mismatch = done.result.mismatch;
  trial.resources = done.result.resources;
  trial.conditions = done.result.conditions;
  trial.times.copy = done.result.copy;
  trial.times.verify = done.result.verify;
  trial.times.measure = done.result.measure;
  Message message{{{"type", "ran"},
                   {"id", done.id},
                   {"trial", store::to_json(trial)},
                   {"specification_mistake", done.result.specification_mistake}},
                  {}};
  if (done.reference_failure) message.head["reference_failure"] = *done.reference_failure;
  return message;
}

RunDone run_done_from(const Message& message) {
  Trial trial = store::trial_from_json(message.head.at("trial"));
  RunDone done;
  done.id = message.head.at("id").get<std::uint64_t>();
  done.result.status = trial.status;
  done.result.specification_mistake = message.head.at("specification_mistake").get<bool>();
  done.result.samples = std::move(trial.samples);
  done.result.launch_times = std::move(trial.launch_times);
  done.result.message = std::move(trial.message);
  done.result.mismatch = std::move(trial.mismatch);
  done.result.resources = std::move(trial.resources);
  done.result.conditions = std::move(trial.conditions);
  done.result.copy = trial.times.copy;
  done.result.verify = trial.times.verify;
  done.result.measure = trial.times.measure;
  if (const auto failure = message.head.find("reference_failure"); failure != message.head.end())
    done.reference_failure = failure->get<std::string>();
  return done;
}

Message to_message(const InterleaveDone& done) {
  Json samples = Json::array();
  for (const auto& list : done.samples) samples.push_back(samples_to_json(list));
  return {{{"type", "interleaved"},
           {"id", done.id},
           {"status", std::string(to_string(done.status))},
           {"samples", std::move(samples)},
           {"marks", done.marks},
           {"power_limited", done.power_limited},
           {"message", done.message}},
          {}};
}

InterleaveDone interleave_done_from(const Message& message) {
  InterleaveDone done;
  done.id = message.head.at("id").get<std::uint64_t>();
  done.status = status_from(message.head.at("status"));
  for (const auto& list : message.head.at("samples")) done.samples.push_back(samples_from_json(list));
  done.marks = message.head.at("marks").get<std::vector<std::vector<std::string>>>();
  done.power_limited = message.head.at("power_limited").get<bool>();
  done.message = message.head.at("message").get<std::string>();
  return done;
}

Message to_message(const Error& error) {
  return {{{"type", "error"},
           {"code", std::string(to_string(error.code()))},
           {"message", shortened(error.what(), longest_log)},
           {"position", error.position().has_value()}},
          {}};
}

Message to_message(const EvaluationInfo& info) {
  Json head{{"type", "ready"}};
  head.update(store::to_json(info));
  return {std::move(head), {}};
}

EvaluationInfo evaluation_info_from(const Message& message) { return store::evaluation_info_from_json(message.head); }

}  // namespace warpwright::execution
