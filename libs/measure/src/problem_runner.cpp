#include <algorithm>
#include <cctype>
#include <fmt/format.h>
#include <numeric>
#include <utility>

#include <warpwright/base/error.hpp>
#include <warpwright/base/rng.hpp>
#include <warpwright/measure/kernel_job.hpp>
#include <warpwright/measure/problem_runner.hpp>
#include <warpwright/model/statistics.hpp>

#include "runner_state.hpp"

namespace warpwright::measure {
namespace {

// Runs of which the median time of each launch is told: a few, because the total is what decides.
constexpr int launch_time_runs = 5;

std::string one_line(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

// Whether the driver refused a launch because of what it needs, as the drivers say it.
bool about_resources(const Error& error, const std::string& backend) {
  if (error.native()) {
    const std::int64_t code = error.native()->code;
    // CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES
    if (backend == "cuda" && code == 701) return true;
    // CL_OUT_OF_RESOURCES, CL_INVALID_WORK_GROUP_SIZE, CL_INVALID_WORK_ITEM_SIZE
    if (backend == "opencl" && (code == -5 || code == -54 || code == -55)) return true;
  }
  std::string text = error.what();
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  for (const char* phrase :
       {"out of resources", "out_of_resources", "too many resources", "work_group_size", "work-group size",
        "work group size", "work_item_size", "shared memory", "local memory", "registers"}) {
    if (text.find(phrase) != std::string::npos) return true;
  }
  return false;
}

// The status an error of a configuration stands for; nullopt for errors that are not the configuration's doing.
std::optional<TrialStatus> status_of(const Error& error, const std::string& backend) {
  switch (error.code()) {
    case ErrorCode::launch:
      return about_resources(error, backend) ? TrialStatus::resource_exceeded : TrialStatus::launch_failed;
    case ErrorCode::out_of_memory:
      return TrialStatus::resource_exceeded;
    case ErrorCode::compile:  // compilers that work at load or first launch
      return TrialStatus::compile_failed;
    case ErrorCode::not_found:
    case ErrorCode::unsupported:
    case ErrorCode::bad_input:  // a value that cannot be passed, or a list that does not fit
      return TrialStatus::launch_failed;
    default:
      return std::nullopt;
  }
}

// Whether a reference kernel stands in the source of what it judges: it has none of its own, or names the same file.
bool same_source(const KernelSource& problem, const KernelSource& reference, const std::string& backend) {
  const SourceText* own = problem.find(backend);
  const SourceText* other = reference.find(backend);
  if (own == nullptr || other == nullptr) return true;
  const auto plain = [](const std::filesystem::path& file) { return file.lexically_normal(); };
  return own->text == other->text || (!own->file.empty() && plain(own->file) == plain(other->file));
}

std::vector<const Launch*> all_launches(const Problem& problem) {
  std::vector<const Launch*> launches;
  for (const Launch& launch : problem.launches) launches.push_back(&launch);
  if (const auto* reference = std::get_if<ReferenceKernel>(&problem.reference)) {
    for (const Launch& launch : reference->launches) launches.push_back(&launch);
  }
  return launches;
}

// The first parameter that `expression` names; null if there is none.
const std::string* named_parameter(const Problem& problem, const Expression& expression) {
  for (const std::string& name : expression.names()) {
    for (const Parameter& parameter : problem.parameters) {
      if (parameter.name == name) return &parameter.name;
    }
  }
  return nullptr;
}

}  // namespace

ProblemRunner::State::State(device::Context& context_used, device::Compiler& compiler_used, Problem problem_used,
                            const Clock& clock_used, RunnerOptions options_used)
    : context(context_used),
      compiler(compiler_used),
      problem(std::move(problem_used)),
      clock(clock_used),
      options(std::move(options_used)),
      stream(context_used.create_stream()),
      run_begin(context_used.create_event()),
      run_end(context_used.create_event()),
      flusher(options.flusher) {
  check_problem();
  if (context.device().kind != DeviceKind::cpu) cover.emplace(context, compiler, options.log);
  buffers.emplace(context, *stream, problem, all_launches(problem), options.input_salt, options.host_memory);
  fit_baseline();
}

// Sizes that depend on parameters are each configuration's own, the baseline's too: what cannot be made for it is told
// by the configuration that needs it, and by a reference that does.
void ProblemRunner::State::fit_baseline() {
  try {
    buffers->fit(problem.baseline_configuration());
  } catch (const Error& error) {
    if (error.code() != ErrorCode::bad_input && error.code() != ErrorCode::out_of_memory) throw;
    const bool own_sizes = std::any_of(
        problem.arguments.begin(), problem.arguments.end(),
        [&](const Argument& argument) { return argument.size && named_parameter(problem, *argument.size) != nullptr; });
    if (!own_sizes) throw;
  }
}

ProblemRunner::State::~State() {
  drain();  // buffers outlive the work on them
}

void ProblemRunner::State::check_problem() const {
  if (problem.launches.empty()) throw Error(ErrorCode::bad_input, "problem '" + problem.name + "' has no launch");
  require_images(problem, context.device());
  for (const Output& output : problem.outputs) {
    const Argument* argument = problem.find_argument(output.argument);
    if (argument == nullptr || !argument->is_buffer() || argument->access == Access::constant ||
        argument->access == Access::scratch) {
      throw Error(ErrorCode::bad_input, "output '" + output.argument + "' is not a buffer that kernels write",
                  output.position);
    }
    if (!argument->size) continue;  // reported by the buffers
    const auto refuse = [&](const std::optional<Expression>& part, const char* what) {
      const std::string* name = part ? named_parameter(problem, *part) : nullptr;
      if (name == nullptr) return;
      throw Error(ErrorCode::bad_input,
                  std::string(what) + " of output '" + output.argument + "' depends on parameter '" + *name +
                      "'; all configurations are compared with one result, so it may name problem dimensions only",
                  output.position);
    };
    refuse(output.first, "first");
    if (!output.by_sum) refuse(output.count, "count");
    if (output.count || output.by_sum) continue;
    if (const std::string* name = named_parameter(problem, *argument->size)) {
      throw Error(ErrorCode::bad_input,
                  "the size of output '" + output.argument + "' depends on parameter '" + *name +
                      "'; all configurations are compared with one result, so it may name problem dimensions only, "
                      "or the output says how many elements are compared (count), or that their sum is (judge)",
                  output.position);
    }
  }
}

void ProblemRunner::State::drain() noexcept {
  try {
    stream->synchronize();
  } catch (const Error& error) {  // found again by the next call, and another error is on its way to the caller
    log_to(options.log, LogLevel::debug, "while waiting for the launches of '" + problem.name + "': " + error.what());
  }
}

CacheFlusher* ProblemRunner::State::flusher_for(CacheMode cache) {
  if (cache == CacheMode::warm) return nullptr;
  if (!flusher) flusher = std::make_shared<CacheFlusher>(context, compiler, *stream, FlushMethod{}, options.log);
  return flusher.get();
}

bool ProblemRunner::State::compares_with_host() const {
  return context.device().kind != DeviceKind::simulated || options.clock_is_devices;
}

LaunchSequence ProblemRunner::State::make_sequence(const Configuration& configuration, const Binary& binary) {
  Geometries geometries = evaluate_geometries(problem.launches, problem.scope(configuration), context.device());
  if (geometries.refused) throw Error(ErrorCode::launch, *geometries.refused);
  LaunchSequence sequence(context, *stream, problem, problem.launches, entry_names(problem, configuration),
                          std::move(geometries), configuration, binary, *buffers);
  sequence.require_match();
  return sequence;
}

std::vector<LaunchTime> ProblemRunner::State::time_launches(LaunchSequence& sequence, CacheMode cache) {
  std::vector<LaunchTime> times = sequence.steps();
  std::vector<std::unique_ptr<device::Event>> events;
  for (std::size_t i = 0; i <= times.size(); ++i) events.push_back(context.create_event());
  std::vector<std::vector<double>> samples(times.size());
  for (int run = 0; run < launch_time_runs; ++run) {
    if (buffers->runs_change_inputs()) buffers->restore_changed_inputs();
    if (CacheFlusher* flush = flusher_for(cache)) flush->flush(*stream);
    sequence.enqueue([&](std::size_t i) { stream->record(*events[i]); });
    stream->synchronize();
    for (std::size_t i = 0; i < times.size(); ++i)
      samples[i].push_back(events[i + 1]->elapsed_since(*events[i]).count());
  }
  for (std::size_t i = 0; i < times.size(); ++i) times[i].time = Nanoseconds(std::max(0.0, median(samples[i])));
  return times;
}

// With `timing` null: one untimed run, not verified.
void ProblemRunner::State::attempt(const Configuration& configuration, const Binary& binary,
                                   const TimingOptions* timing, std::optional<LaunchSequence>& sequence,
                                   RunResult& result, PhaseTimer& timer) {
  Geometries geometries = evaluate_geometries(problem.launches, problem.scope(configuration), context.device());
  if (!geometries.refused) {
    try {
      buffers->fit(configuration);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::bad_input) throw;
      geometries.refused = error.what();
    }
  }
  if (geometries.refused) {
    result.status = TrialStatus::pruned;
    result.message = one_line(*geometries.refused);
    return;
  }
  try {
    sequence.emplace(context, *stream, problem, problem.launches, entry_names(problem, configuration),
                     std::move(geometries), configuration, binary, *buffers);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::bad_input) throw;
    result.status = TrialStatus::pruned;  // arguments that have no value, or one that their type cannot hold
    result.message = one_line(error.what());
    return;
  }
  result.resources = sequence->resources();
  sequence->require_match();
  if (const auto reason = sequence->refuses_block()) {
    result.status = TrialStatus::launch_failed;
    result.message = *reason;
    return;
  }
  if (const auto reason = sequence->exceeds_kernel_limits()) {
    result.status = TrialStatus::resource_exceeded;
    result.message = *reason;
    return;
  }
  if (timing == nullptr) {
    set_up(0, GuardBytes::first);
    stream->synchronize();
    timer.enter(result.measure);
    sequence->enqueue();
    stream->synchronize();
    return;
  }
  if (!verify(*sequence, result, timer)) return;
  if (timing->incumbent && hopeless_with_latency(verified_run, *timing->incumbent)) {
    result.status = TrialStatus::censored;
    result.samples = {verified_run};
    result.message = "stopped after one run: more than 10 times as slow as the best so far";
    return;
  }

  timer.enter(result.measure);
  // Another set than while verifying: a kernel that happens to write the bytes of one past its buffer is caught by the
  // other.
  buffers->arm_guards(GuardBytes::second);
  std::function<void()> before;
  if (buffers->runs_change_inputs()) before = [this] { buffers->restore_changed_inputs(); };
  TimedWork timed = time_work(
      context, *stream, flusher_for(timing->cache), before, [&] { sequence->enqueue(); }, *timing, clock,
      compares_with_host(), cover_kernel());
  result.samples = std::move(timed.samples);
  result.conditions.marks = std::move(timed.marks);
  if (timing->cache == CacheMode::cold) {
    if (sequence->launches() > 1) result.conditions.marks.emplace_back(marks::flushed_once);
    result.conditions.flushed_cache = flusher->cache();
    result.conditions.flushed_cache_source = flusher->cache_source();
    if (!flusher->cleans()) result.conditions.marks.emplace_back(marks::dirty_flush);
  }
  std::int64_t runs = timed.runs;
  if (timing->launch_times) {
    result.launch_times = time_launches(*sequence, timing->cache);
    runs += launch_time_runs;
  }
  // A kernel that is right every second time must not pass because the run looked at below is as even as the verified
  // one.
  if (runs % 2 == 0) {
    if (before) before();
    sequence->enqueue();
  }

  // The last run began with the same inputs, so it must have left the same outputs.
  timer.enter(result.verify);
  if (outputs_right(*sequence, GuardBytes::second, result, timer)) {
    if (timing->incumbent && hopeless(result.samples, *timing->incumbent)) {
      result.status = TrialStatus::censored;
      result.message = fmt::format("stopped after {} sample{}: clearly slower than the best so far",
                                   result.samples.size(), result.samples.size() == 1 ? "" : "s");
    }
    return;
  }
  find_outside_read(*sequence, 0, GuardBytes::second, result, timer);
  if (result.status == TrialStatus::out_of_bounds) return;
  const std::string first_failure = std::move(result.message);
  std::optional<Mismatch> mismatch = std::move(result.mismatch);
  result.status = TrialStatus::ok;
  result.mismatch.reset();
  const bool again = verify(*sequence, result, timer);
  if (result.status == TrialStatus::out_of_bounds) return;
  result.status = TrialStatus::nondeterministic;
  result.message = fmt::format("verified before timing and wrong after it: {}; a third run was {}", first_failure,
                               again ? "right" : "wrong");
  result.mismatch = std::move(mismatch);
}

RunResult ProblemRunner::State::run(const Configuration& configuration, const Binary& binary,
                                    const TimingOptions* timing) {
  RunResult result;
  PhaseTimer timer(clock, result);
  // What it lacks is no configuration's fault.
  if (timing != nullptr) flusher_for(timing->cache);
  std::optional<LaunchSequence> sequence;  // outlives the clean-up below: modules must not go while kernels run
  try {
    attempt(configuration, binary, timing, sequence, result, timer);
  } catch (const Error& error) {
    const auto status = status_of(error, context.device().id.backend);
    if (!status) {
      // The module goes with `sequence`; what still runs of it must have ended, unless the device is lost anyway.
      if (error.code() != ErrorCode::device) drain();
      throw;
    }
    result.status = *status;
    result.message = one_line(error.what());
    result.specification_mistake = error.code() == ErrorCode::bad_input;
    stream->synchronize();  // a later launch may have been refused while earlier ones run
  }
  // A time is only ever reported for a configuration that passed everything.
  if (result.status != TrialStatus::ok && result.status != TrialStatus::censored) {
    result.samples.clear();
    result.launch_times.clear();
  }
  timer.enter(result.copy);
  sequence.reset();
  timer.stop();
  return result;
}

ProblemRunner::ProblemRunner(device::Context& context, device::Compiler& compiler, Problem problem, const Clock& clock,
                             RunnerOptions options)
    : state_(std::make_unique<State>(context, compiler, std::move(problem), clock, std::move(options))) {}

ProblemRunner::~ProblemRunner() = default;

void ProblemRunner::compute_reference() { state_->compute_reference(); }

bool ProblemRunner::has_reference() const { return !std::holds_alternative<std::monostate>(state_->problem.reference); }

const std::vector<ReferenceOutput>& ProblemRunner::reference_outputs() const { return state_->described; }

std::string ProblemRunner::reference_description() const {
  struct Describe {
    const Problem& problem;
    const std::string& backend;
    std::string operator()(const std::monostate&) const { return "none"; }
    std::string operator()(const ReferenceKernel& kernel) const {
      return same_source(problem.source, kernel.source, backend) ? "kernel in the same source file (not independent)"
                                                                 : "kernel (independent)";
    }
    std::string operator()(const ReferenceNpy&) const { return "npy (independent)"; }
    std::string operator()(const ReferenceConfiguration&) const { return "configuration (not independent)"; }
    std::string operator()(const ReferenceCommand&) const { return "command (independent)"; }
    std::string operator()(const ReferenceCallback&) const { return "callback (independent)"; }
  };
  return std::visit(Describe{state_->problem, state_->context.device().id.backend}, state_->problem.reference);
}

RunResult ProblemRunner::run_once(const Configuration& configuration, const Binary& binary) {
  return state_->run(configuration, binary, nullptr);
}

RunResult ProblemRunner::run(const Configuration& configuration, const Binary& binary, const TimingOptions& timing) {
  if (has_reference() && !state_->reference_ready) {
    throw Error(ErrorCode::conflict, "problem '" + state_->problem.name +
                                         "' has a reference that was not computed yet; call compute_reference() first");
  }
  return state_->run(configuration, binary, &timing);
}

const Problem& ProblemRunner::problem() const { return state_->problem; }

}  // namespace warpwright::measure
