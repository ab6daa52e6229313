#include <algorithm>
#include <atomic>
#include <cmath>
#include <deque>
#include <fmt/format.h>
#include <map>
#include <numeric>
#include <utility>

#include <warpwright/base/error.hpp>
#include <warpwright/execution/replay_device.hpp>

namespace warpwright::execution {

// The state of the public class holds these two, so they are not in an anonymous namespace: where sources are compiled
// in groups that is a warning.
class RecordedClock final : public Clock {
 public:
  Nanoseconds now() const override { return Nanoseconds(now_.load(std::memory_order_relaxed)); }
  void advance(Nanoseconds time) {
    now_.store(now_.load(std::memory_order_relaxed) + time.count(), std::memory_order_relaxed);
  }

 private:
  std::atomic<double> now_{0};
};

namespace {

Nanoseconds phase(const std::optional<Milliseconds>& recorded) {
  return recorded && std::isfinite(recorded->count()) ? Nanoseconds(*recorded) : Nanoseconds{};
}

bool while_compiling(TrialStatus status) {
  return status == TrialStatus::compile_failed || status == TrialStatus::compile_timed_out;
}

}  // namespace

// One task at a time, in order: the costs are those of a tuner that did one thing after the other, and the strategy has
// heard of every configuration before it is asked for the next.
class RecordedAnswers final : public Evaluation {
 public:
  RecordedAnswers(const RecordedSpace& recorded, const ListedSpace& space, const std::vector<std::size_t>& trials,
                  const DeviceInfo& device, std::string name, RecordedClock& clock)
      : recorded_(recorded), space_(space), trials_(trials), device_(device), name_(std::move(name)), clock_(clock) {}

  EvaluationInfo start() override {
    EvaluationInfo info;
    info.device = device_;
    info.compiler = "none: the times are recorded";
    info.unverified = "nothing was run, the times are those of " + name_;
    return info;
  }
  bool can_compile() const override { return done_.empty(); }
  bool can_run() const override { return done_.empty(); }
  bool compiles_while_running() const override { return true; }

  void compile(CompileTask task) override {
    CompileDone done;
    done.id = task.id;
    const RecordedTrial* const trial = find(task.configuration);
    if (trial == nullptr || !task.dimensions.empty()) {
      done.status = TrialStatus::pruned;
      done.message = trial == nullptr ? "not in the recording " + name_ : name_ + " is of one problem size";
    } else {
      done.wall = done.cpu = phase(trial->costs.compile);
      if (while_compiling(trial->status)) {
        done.status = trial->status;
        done.message = message(*trial);
        // A failed compilation is all there was: what else the record charges belongs to it.
        done.wall = Nanoseconds(trial->costs.total());
      }
    }
    finish(done.wall, std::move(done));
  }

  void run(RunTask task) override {
    RunDone done;
    done.id = task.id;
    measure::RunResult& result = done.result;
    const RecordedTrial* const trial = find(task.configuration);
    if (trial == nullptr) throw Error(ErrorCode::internal, task.configuration.describe() + " is not in " + name_);
    result.status = trial->status;
    result.message = trial->status == TrialStatus::ok ? std::string() : message(*trial);
    // Whatever is neither compiling, verifying nor measuring, so that the sum is what the record charges.
    result.copy = phase(trial->costs.framework) + phase(trial->costs.strategy);
    result.verify = phase(trial->costs.verify);
    result.measure = phase(trial->costs.benchmark);
    if (trial->status == TrialStatus::ok) {
      const Nanoseconds time(Milliseconds(trial->objective.value_or(0)));
      if (std::isfinite(time.count()) && time.count() > 0) {
        result.samples.push_back(time);
      } else {
        result.status = TrialStatus::not_finite;
        result.message = fmt::format("the recorded time is {} ns", time.count());
      }
    }
    finish(result.copy + result.verify + result.measure, std::move(done));
  }

  void interleave(InterleaveTask task) override {
    InterleaveDone done;
    done.id = task.id;
    // Recordings know no power limit.
    if (task.sustained) return finish(Nanoseconds{}, std::move(done));
    if (task.with_reference)
      throw Error(ErrorCode::unsupported, name_ + " is a recording, which has no reference kernel");
    Nanoseconds total{};
    for (const Configuration& configuration : task.configurations) {
      const RecordedTrial* const trial = find(configuration);
      if (trial == nullptr || !trial->objective)
        throw Error(ErrorCode::internal, configuration.describe() + " has no time in " + name_);
      const Nanoseconds time(Milliseconds(*trial->objective));
      done.samples.emplace_back(static_cast<std::size_t>(task.rounds), time);
      total += time * task.rounds;
    }
    finish(total, std::move(done));
  }

  std::optional<Completion> wait(Nanoseconds timeout) override {
    if (done_.empty()) {
      clock_.advance(timeout);
      return std::nullopt;
    }
    // Work takes its time: a mere look finds nothing.
    if (timeout.count() <= 0 && done_.front().first.count() > 0) return std::nullopt;
    auto [cost, completion] = std::move(done_.front());
    done_.pop_front();
    clock_.advance(cost);
    return std::move(completion);
  }
  Nanoseconds restart_time() const override { return {}; }

 private:
  void finish(Nanoseconds cost, Completion completion) { done_.emplace_back(cost, std::move(completion)); }

  const RecordedTrial* find(const Configuration& configuration) const {
    const auto index = space_.index_of(configuration);
    return index ? &recorded_.trials[trials_[space_.listed_at(*index)]] : nullptr;
  }

  std::string message(const RecordedTrial& trial) const {
    return trial.message.empty() ? "recorded so in " + name_ : trial.message;
  }

  const RecordedSpace& recorded_;
  const ListedSpace& space_;
  const std::vector<std::size_t>& trials_;  // of the rows of the space
  const DeviceInfo& device_;
  const std::string name_;
  RecordedClock& clock_;
  std::deque<std::pair<Nanoseconds, Completion>> done_;
};

namespace {

// ---- recording and specification ------------------------------------------------------------------------------------

std::vector<std::string> names_of(const std::vector<Parameter>& parameters) {
  std::vector<std::string> names;
  for (const Parameter& parameter : parameters) names.push_back(parameter.name);
  return names;
}

std::size_t place_of(const std::vector<Parameter>& parameters, const std::string& name) {
  const auto found =
      std::find_if(parameters.begin(), parameters.end(), [&](const Parameter& p) { return p.name == name; });
  return static_cast<std::size_t>(found - parameters.begin());
}

[[noreturn]] void disagree(const std::string& recording, const Problem& specification, const std::string& how) {
  throw Error(ErrorCode::bad_input,
              fmt::format("'{}' is no recording of '{}': {}", recording,
                          specification.file.empty() ? specification.name : specification.file.string(), how));
}

std::string suggestion(const std::string& word, const std::vector<Parameter>& parameters) {
  const auto match = closest_match(word, names_of(parameters));
  return match ? "; did you mean '" + *match + "'?" : "";
}

// For every parameter of the specification where it stands in the recording, and what its values are there.
struct Translation {
  std::vector<std::size_t> place;
  std::vector<std::vector<std::uint32_t>> values;
};

Translation translate(const RecordedSpace& recorded, const Problem& specification, const std::string& name) {
  for (const Parameter& parameter : recorded.parameters)
    if (place_of(specification.parameters, parameter.name) == specification.parameters.size())
      disagree(name, specification,
               fmt::format("the specification has no parameter '{}'{}", parameter.name,
                           suggestion(parameter.name, specification.parameters)));
  Translation translation;
  for (const Parameter& parameter : specification.parameters) {
    const std::size_t place = place_of(recorded.parameters, parameter.name);
    if (place == recorded.parameters.size())
      disagree(name, specification,
               fmt::format("the recording has no parameter '{}'{}", parameter.name,
                           suggestion(parameter.name, recorded.parameters)));
    std::vector<std::uint32_t> values;
    for (const Value& value : recorded.parameters[place].values) {
      const auto found = std::find_if(parameter.values.begin(), parameter.values.end(),
                                      [&](const Value& declared) { return python_equal(declared, value); });
      // The recording may list values that no configuration in it has; such a one is found below if it matters.
      values.push_back(static_cast<std::uint32_t>(found - parameter.values.begin()));
    }
    translation.place.push_back(place);
    translation.values.push_back(std::move(values));
  }
  return translation;
}

Problem problem_of(const RecordedSpace& recorded, const std::string& name) {
  Problem problem;
  problem.name = recorded.kernel.empty() ? name : recorded.kernel;
  problem.parameters = recorded.parameters;
  if (!recorded.problem_size.empty()) problem.dimensions.set("problem_size", Value(recorded.problem_size));
  return problem;
}

}  // namespace

struct ReplayDevice::State {
  State(RecordedSpace given, const std::string& identity, const std::string& name, const Problem* specification)
      : recorded(std::move(given)) {
    if (recorded.trials.empty()) throw Error(ErrorCode::bad_input, "'" + name + "' records no configuration");
    if (!recorded.objective_is_time() || !recorded.minimise)
      throw Error(ErrorCode::unsupported,
                  fmt::format("'{}' records '{}'{}; only a recording of the time can stand for a device. 'warpwright "
                              "simulate' searches any",
                              name, recorded.objective, recorded.minimise ? "" : " to be maximised"));
    device.id = {backend, {0}};
    device.kind = DeviceKind::simulated;
    device.name = (recorded.device.empty() ? name : recorded.device) + " (recorded)";
    if (specification != nullptr) {
      problem = *specification;
      join(name);
    } else {
      problem = problem_of(recorded, name);
      std::vector<std::vector<std::uint32_t>> rows;
      for (const RecordedTrial& trial : recorded.trials) rows.push_back(trial.values);
      trials.resize(rows.size());
      std::iota(trials.begin(), trials.end(), std::size_t{0});
      space = std::make_unique<ListedSpace>(recorded.parameters, rows);
    }
    // The identity of the recording stands where a kernel has its source.
    problem.source = {};
    problem.source.by_backend[backend] = SourceText{name, "recorded space " + identity};
    problem.options.clear();
    problem.include_folders.clear();
    problem.defines.clear();
    problem.stages.clear();
    problem.launches.clear();
    problem.outputs.clear();
    problem.verify_sizes.clear();
    problem.verify_positions.clear();
    problem.reference = std::monostate{};
    evaluation = std::make_unique<RecordedAnswers>(recorded, *space, trials, device, "'" + name + "'", clock);
  }

  void join(const std::string& name) {
    const Translation translation = translate(recorded, problem, name);
    const auto allowed = problem.build_space();
    std::vector<std::vector<std::uint32_t>> rows;
    std::size_t rejected = 0;
    for (std::size_t t = 0; t < recorded.trials.size(); ++t) {
      std::vector<std::uint32_t> row;
      for (std::size_t p = 0; p < problem.parameters.size(); ++p) {
        const std::size_t place = translation.place[p];
        const std::uint32_t value = translation.values[p][recorded.trials[t].values[place]];
        if (value == problem.parameters[p].values.size())
          disagree(name, problem,
                   fmt::format("the recording has {} = {}, which is no value of the specification",
                               problem.parameters[p].name,
                               to_literal(recorded.parameters[place].values[recorded.trials[t].values[place]])));
        row.push_back(value);
      }
      if (!allowed->contains_choice(row)) {
        ++rejected;
        continue;
      }
      rows.push_back(std::move(row));
      trials.push_back(t);
    }
    if (rows.empty())
      disagree(name, problem, "the constraints of the specification reject everything that was recorded");
    if (rejected > 0)
      notes.push_back(
          fmt::format("{} of {} recorded configurations break the constraints of the specification and are "
                      "left out",
                      rejected, recorded.trials.size()));
    if (rows.size() < allowed->size())
      notes.push_back(
          fmt::format("{} of the {} configurations that the specification allows were not recorded and are "
                      "left out",
                      allowed->size() - rows.size(), allowed->size()));
    space = std::make_unique<ListedSpace>(problem.parameters, rows);
  }

  const RecordedSpace recorded;
  DeviceInfo device;
  Problem problem;
  std::vector<std::size_t> trials;  // of the rows given to the space
  std::unique_ptr<ListedSpace> space;
  std::vector<std::string> notes;
  RecordedClock clock;
  std::unique_ptr<RecordedAnswers> evaluation;
};

ReplayDevice::ReplayDevice(RecordedSpace recorded, const std::string& identity, const std::string& name,
                           const Problem* specification)
    : state_(std::make_unique<State>(std::move(recorded), identity, name, specification)) {}
ReplayDevice::~ReplayDevice() = default;

const RecordedSpace& ReplayDevice::recorded() const { return state_->recorded; }
const Problem& ReplayDevice::problem() const { return state_->problem; }
const Space& ReplayDevice::space() const { return *state_->space; }
const DeviceInfo& ReplayDevice::device() const { return state_->device; }
const std::vector<std::string>& ReplayDevice::notes() const { return state_->notes; }
const Clock& ReplayDevice::clock() const { return state_->clock; }
Evaluation& ReplayDevice::evaluation() { return *state_->evaluation; }

}  // namespace warpwright::execution
