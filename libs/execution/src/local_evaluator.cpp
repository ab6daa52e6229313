#include <algorithm>
#include <ctime>
#include <new>
#include <utility>

#include <warpwright/base/error.hpp>
#include <warpwright/execution/local_evaluator.hpp>
#include <warpwright/measure/kernel_job.hpp>

namespace warpwright::execution {
namespace {

// CPU time of this process: an NVRTC or PoCL compilation may use threads of its own.
Nanoseconds process_cpu_time() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return Nanoseconds(static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_nsec));
}

std::string first_line(const std::string& text) {
  const std::size_t begin = text.find_first_not_of("\r\n \t");
  if (begin == std::string::npos) return {};
  const std::size_t end = text.find_first_of("\r\n", begin);
  return text.substr(begin, end == std::string::npos ? end : end - begin);
}

}  // namespace

CompileStation::CompileStation(const device::Backend& backend, const DeviceInfo& device, Problem problem,
                               const Clock& clock, EvaluatorOptions options)
    : backend_(backend),
      device_(device),
      problem_(std::move(problem)),
      clock_(clock),
      options_(std::move(options)),
      compiler_(backend.compiler(device)) {
  if (!options_.cache_folder) return;
  // The cache saves time and nothing else depends on it.
  try {
    cache_.emplace(*options_.cache_folder);
  } catch (const Error& error) {
    log_to(options_.log, LogLevel::warning, std::string("compiling without the cache of binaries: ") + error.what());
  }
}

CompileStation::~CompileStation() = default;

CompileDone CompileStation::compile(const CompileTask& task, const PhaseCallback& phase) {
  CompileDone done;
  done.id = task.id;
  const Nanoseconds begin = clock_.now();
  const Nanoseconds cpu_begin = process_cpu_time();
  const auto finish = [&]() -> CompileDone {
    done.wall = clock_.now() - begin;
    done.cpu = process_cpu_time() - cpu_begin;
    return std::move(done);
  };
  try {
    const Problem* problem = &problem_;
    Problem other;
    if (!task.dimensions.empty()) {
      other = problem_.with_dimensions(task.dimensions);
      problem = &other;
    }
    bool all_cached = true;
    done.binary =
        measure::compile_configuration(*problem, task.configuration, device_, [&](const device::CompileJob& job) {
          const std::string key = device::cache_key(job, *compiler_);
          if (auto cached = cache_ ? cache_->find(key) : std::nullopt) return *std::move(cached);
          all_cached = false;
          Binary compiled = compiler_->compile(job);
          if (cache_ && !cache_->put(key, compiled))
            log_to(options_.log, LogLevel::warning,
                   "compiled binaries cannot be kept in " + options_.cache_folder->string() +
                       ": is the folder writable, and is there space on the disk?");
          return compiled;
        });
    done.from_cache = all_cached;
    done.log = std::exchange(done.binary.log, {});  // travels once
    // On a CPU the machine code of a work-group size is made at the first launch, so that launch is part of compiling.
    if (compiler_->needs_device() && device_.kind == DeviceKind::cpu && task.dimensions.empty()) {
      if (phase) phase("first launch");
      done.status = first_launch(task, done);
    }
  } catch (const Error& error) {
    if (error.code() == ErrorCode::device) throw;
    done.status = error.code() == ErrorCode::timeout ? TrialStatus::compile_timed_out : TrialStatus::compile_failed;
    done.log = error.what();
    done.message = first_line(done.log);
    if (error.code() == ErrorCode::out_of_memory) done.message += memory_hint();
  } catch (const std::bad_alloc&) {
    done.status = TrialStatus::compile_failed;
    done.log = done.message = "out of memory while compiling" + memory_hint();
  }
  return finish();
}

std::string CompileStation::memory_hint() const {
  if (options_.compile_memory.count == 0) return {};
  return "; a compile worker may use " + format_bytes(options_.compile_memory) + " (--compile-memory)";
}

TrialStatus CompileStation::first_launch(const CompileTask& task, CompileDone& done) {
  if (!context_) {
    context_ = backend_.open(device_.id);
    runner_ = std::make_unique<measure::ProblemRunner>(*context_, *compiler_, problem_, clock_,
                                                       measure::RunnerOptions{.log = options_.log});
  }
  measure::RunResult result = runner_->run_once(task.configuration, done.binary);
  done.message = std::move(result.message);
  done.specification_mistake = result.specification_mistake;
  return result.status;
}

DeviceStation::DeviceStation(const device::Backend& backend, const DeviceId& id, Problem problem, const Clock& clock,
                             EvaluatorOptions options)
    : problem_(std::move(problem)),
      clock_(clock),
      options_(std::move(options)),
      context_(backend.open(id)),
      compiler_(backend.compiler(context_->device())),
      telemetry_(backend.telemetry(context_->device())) {
  if (options_.cache == measure::CacheMode::cold) {
    const auto stream = context_->create_stream();
    flusher_ =
        std::make_shared<measure::CacheFlusher>(*context_, *compiler_, *stream, measure::FlushMethod{}, options_.log);
  }
  runner_ = std::make_unique<measure::ProblemRunner>(
      *context_, *compiler_, problem_, clock_,
      measure::RunnerOptions{.allow_commands = options_.allow_commands, .flusher = flusher_, .log = options_.log});
  runner_->compute_reference();
}

DeviceStation::~DeviceStation() = default;

EvaluationInfo DeviceStation::info() const {
  EvaluationInfo info;
  info.device = context_->device();
  info.compiler = compiler_->version();
  info.target = compiler_->target();
  info.reference = runner_->reference_description();
  info.has_reference = runner_->has_reference();
  info.reference_outputs = runner_->reference_outputs();
  return info;
}

RunDone DeviceStation::run(const RunTask& task) {
  if (task.dimensions.empty() && task.input_salt == 0) {
    fresh_.reset();
    RunDone done{task.id, runner_->run(task.configuration, task.binary, task.timing)};
    // Right after the last sample the clock is still that of the samples.
    if (telemetry_ && !done.result.samples.empty()) {
      const Nanoseconds begin = clock_.now();
      const device::TelemetrySample now = telemetry_->sample();
      done.result.conditions.sm_clock_mhz = now.sm_clock_mhz;
      done.result.conditions.temperature_celsius = now.temperature_celsius;
      done.result.conditions.throttling = telemetry_->throttling(now);
      done.result.measure += clock_.now() - begin;  // belongs to the samples, and drivers take their time over it
    }
    return done;
  }
  RunDone done;
  done.id = task.id;
  measure::ProblemRunner* fresh = nullptr;
  try {
    fresh = &fresh_runner(task);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::device) throw;
    done.result.status = TrialStatus::launch_failed;
    done.reference_failure = error.what();
    return done;
  }
  if (!task.reference_only) done.result = fresh->run(task.configuration, task.binary, task.timing);
  return done;
}

// Another size or fresh inputs: a problem of its own with its own reference, kept for the next task that asks for it.
measure::ProblemRunner& DeviceStation::fresh_runner(const RunTask& task) {
  if (fresh_ && fresh_salt_ == task.input_salt && fresh_dimensions_ == task.dimensions) return *fresh_;
  fresh_.reset();  // its memory may be needed
  auto made =
      std::make_unique<measure::ProblemRunner>(*context_, *compiler_, problem_.with_dimensions(task.dimensions), clock_,
                                               measure::RunnerOptions{.input_salt = task.input_salt,
                                                                      .allow_commands = options_.allow_commands,
                                                                      .flusher = flusher_,
                                                                      .log = options_.log});
  made->compute_reference();
  fresh_ = std::move(made);
  fresh_salt_ = task.input_salt;
  fresh_dimensions_ = task.dimensions;
  return *fresh_;
}

std::optional<bool> DeviceStation::power_limited() {
  if (!telemetry_) return std::nullopt;
  const device::TelemetrySample now = telemetry_->sample();
  if (!now.throttle_reasons) return std::nullopt;
  const std::vector<std::string> words = telemetry_->throttling(now);
  return std::find(words.begin(), words.end(), device::power_cap) != words.end();
}

InterleaveDone DeviceStation::interleave(const InterleaveTask& task) {
  fresh_.reset();
  InterleaveDone done;
  done.id = task.id;
  std::vector<measure::ProblemRunner::Candidate> candidates;
  for (std::size_t i = 0; i < task.configurations.size(); ++i)
    candidates.push_back({task.configurations[i], &task.binaries[i]});
  try {
    if (task.sustained) {
      auto times = runner_->run_sustained(
          candidates, task.estimates, task.cache, [this] { return power_limited(); }, *task.sustained);
      done.power_limited = times.power_limited;
      done.samples = std::move(times.samples);
    } else {
      auto times = runner_->run_interleaved(candidates, task.rounds, task.cache, task.seed, task.with_reference);
      done.samples = std::move(times.samples);
      done.marks = std::move(times.marks);
    }
  } catch (const Error& error) {
    if (error.code() == ErrorCode::device) throw;
    done.status = TrialStatus::launch_failed;
    done.message = error.what();
  }
  return done;
}

LocalEvaluation::LocalEvaluation(const device::Backend& backend, DeviceInfo device, Problem problem, const Clock& clock,
                                 EvaluatorOptions options)
    : backend_(backend),
      device_(std::move(device)),
      problem_(std::move(problem)),
      clock_(clock),
      options_(std::move(options)) {}

EvaluationInfo LocalEvaluation::start() {
  compiler_ = std::make_unique<CompileStation>(backend_, device_, problem_, clock_, options_);
  station_ = std::make_unique<DeviceStation>(backend_, device_.id, problem_, clock_, options_);
  return station_->info();
}

std::optional<Completion> LocalEvaluation::wait(Nanoseconds) {
  if (!runs_.empty()) {
    const auto task = std::move(runs_.front());
    runs_.pop_front();
    if (const auto* run = std::get_if<RunTask>(&task)) return station_->run(*run);
    return station_->interleave(std::get<InterleaveTask>(task));
  }
  if (!compiles_.empty()) {
    const CompileTask task = std::move(compiles_.front());
    compiles_.pop_front();
    return compiler_->compile(task);
  }
  return std::nullopt;
}

}  // namespace warpwright::execution
