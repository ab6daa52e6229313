#include <warpwright/base/error.hpp>
#include <warpwright/tuning/worker.hpp>

#include "task_json.hpp"
#include "worker_process.hpp"

#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <deque>
#include <optional>
#include <thread>
#include <utility>

namespace warpwright::tuning {
namespace {

// Attempts to bring a device worker back before the device counts as lost.
constexpr int max_restart_attempts = 3;

ErrorCode error_code_from(const std::string& text) {
  for (int code = 0; code <= static_cast<int>(ErrorCode::internal); ++code)
    if (to_string(static_cast<ErrorCode>(code)) == text) return static_cast<ErrorCode>(code);
  return ErrorCode::internal;
}

// One worker process and what it is doing.
struct Slot {
  enum class State { dead, starting, idle, busy };
  bool compiles = false;
  State state = State::dead;
  std::optional<WorkerProcess> process;
  std::uint64_t task = 0;
  bool interleaving = false;
  std::string phase;  // of a compilation
  Nanoseconds begin{}, deadline{};
};

class WorkerPool final : public Evaluation {
 public:
  WorkerPool(DeviceInfo device, Problem problem, const Clock& clock, WorkerPoolOptions options)
      : device_(std::move(device)), problem_(std::move(problem)), clock_(clock), options_(std::move(options)) {
    const bool cpu = device_.kind == DeviceKind::cpu;
    int compilers = options_.compile_workers;
    // On a CPU nothing is measured while compilers work, so they get all cores.
    if (compilers <= 0) compilers = std::max(1, static_cast<int>(std::thread::hardware_concurrency()) - (cpu ? 0 : 1));
    overlaps_ = !cpu;
    slots_.resize(static_cast<std::size_t>(compilers) + 1);
    for (std::size_t i = 1; i < slots_.size(); ++i) slots_[i].compiles = true;
  }

  EvaluationInfo start() override {
    // Compilers first: they start up while the device opens.
    for (auto& slot : slots_)
      if (slot.compiles) spawn(slot);
    spawn(device_slot());
    while (device_slot().state != Slot::State::idle) pump(Nanoseconds(1e9));
    return info_;
  }

  bool can_compile() const override {
    return std::any_of(slots_.begin(), slots_.end(),
                       [](const Slot& slot) { return slot.compiles && slot.state == Slot::State::idle; });
  }
  bool can_run() const override { return slots_.front().state == Slot::State::idle; }
  bool compiles_while_running() const override { return overlaps_; }
  Nanoseconds restart_time() const override { return restart_time_; }

  void compile(CompileTask task) override {
    const auto slot = std::find_if(slots_.begin(), slots_.end(), [](const Slot& candidate) {
      return candidate.compiles && candidate.state == Slot::State::idle;
    });
    if (slot == slots_.end()) throw Error(ErrorCode::internal, "no idle compile worker");
    dispatch(*slot, task.id, to_message(task), options_.compile_deadline);
  }
  void run(RunTask task) override {
    device_slot().interleaving = false;
    // A run at another size computes a reference of its own first.
    const bool fresh = !task.dimensions.empty() || task.input_salt != 0;
    Nanoseconds deadline = options_.run_deadline;
    if (task.deadline.count() > 0) deadline = std::min(deadline, task.deadline);
    dispatch(device_slot(), task.id, to_message(task), fresh ? deadline + options_.startup_deadline : deadline);
  }
  void interleave(InterleaveTask task) override {
    device_slot().interleaving = true;
    const double runs = static_cast<double>(task.configurations.size()) * task.rounds;
    dispatch(device_slot(), task.id, to_message(task), options_.run_deadline * std::max(1.0, runs / 10));
  }

  std::optional<Completion> wait(Nanoseconds timeout) override {
    const Nanoseconds end = clock_.now() + timeout;
    for (;;) {
      if (!completions_.empty()) {
        Completion completion = std::move(completions_.front());
        completions_.pop_front();
        return completion;
      }
      const Nanoseconds left = end - clock_.now();
      if (left.count() <= 0 || !pump(left)) {
        if (completions_.empty()) return std::nullopt;
      }
    }
  }

 private:
  Slot& device_slot() { return slots_.front(); }

  void spawn(Slot& slot) {
    slot.process.emplace(WorkerProcess::start(options_.executable, environment()));
    slot.state = Slot::State::starting;
    slot.begin = clock_.now();
    slot.deadline = slot.begin + options_.startup_deadline;
    Message hello{{{"type", "hello"},
                   {"role", slot.compiles ? "compile" : "device"},
                   {"device", store::to_json(device_)},
                   {"problem", store::to_json(problem_)},
                   {"cache_folder", options_.use_cache ? (options_.cache_folder / "binaries").string() : std::string()},
                   {"allow_commands", options_.allow_commands}},
                  {}};
    try {
      slot.process->channel().send(hello);
    } catch (const Error&) {
      on_closed(slot);
    }
  }

  std::vector<std::pair<std::string, std::string>> environment() const {
    auto variables = options_.environment;
    // The compile worker's first launch leaves the machine code where the device worker finds it.
    if (!options_.cache_folder.empty())
      variables.emplace_back("POCL_CACHE_DIR", (options_.cache_folder / "pocl").string());
    return variables;
  }

  void dispatch(Slot& slot, std::uint64_t id, const Message& message, Nanoseconds deadline) {
    if (slot.state != Slot::State::idle) throw Error(ErrorCode::internal, "a busy worker was given a task");
    slot.state = Slot::State::busy;
    slot.task = id;
    slot.phase.clear();
    slot.begin = clock_.now();
    slot.deadline = slot.begin + deadline;
    try {
      slot.process->channel().send(message);
    } catch (const Error&) {
      on_closed(slot);
    }
  }

  // Waits for messages, deaths and deadlines, at most `timeout`; false when a signal interrupted.
  bool pump(Nanoseconds timeout) {
    std::vector<pollfd> items;
    std::vector<Slot*> owners;
    const Nanoseconds now = clock_.now();
    Nanoseconds wake = now + timeout;
    for (auto& slot : slots_) {
      if (!slot.process) continue;
      items.push_back({slot.process->channel().descriptor(), POLLIN, 0});
      owners.push_back(&slot);
      if (slot.state == Slot::State::busy || slot.state == Slot::State::starting) wake = std::min(wake, slot.deadline);
    }
    const double milliseconds = std::ceil(std::max(0.0, (wake - now).count()) / 1e6);
    const int ready = ::poll(items.data(), items.size(), static_cast<int>(std::min(milliseconds, 60'000.0)));
    if (ready < 0 && errno == EINTR) return false;
    for (std::size_t i = 0; i < items.size(); ++i)
      if (items[i].revents != 0) read(*owners[i]);
    const Nanoseconds later = clock_.now();
    for (auto& slot : slots_)
      if ((slot.state == Slot::State::busy || slot.state == Slot::State::starting) && later >= slot.deadline)
        on_deadline(slot);
    return true;
  }

  void read(Slot& slot) {
    if (!slot.process) return;
    const bool open = slot.process->channel().read_available();
    while (slot.process) {
      auto message = slot.process->channel().next();
      if (!message) break;
      on_message(slot, std::move(*message));
    }
    if (!open && slot.process) on_closed(slot);
  }

  void on_message(Slot& slot, Message message) {
    const auto type = message.head.at("type").get<std::string>();
    if (type == "log") {
      log_to(options_.log, static_cast<LogLevel>(message.head.at("level").get<int>()),
             message.head.at("text").get<std::string>());
    } else if (type == "phase") {
      slot.phase = message.head.at("phase").get<std::string>();
    } else if (type == "ready") {
      if (!slot.compiles) info_ = evaluation_info_from(message);
      slot.state = Slot::State::idle;
    } else if (type == "error") {
      const ErrorCode code = error_code_from(message.head.at("code").get<std::string>());
      on_failure(slot, code, message.head.at("message").get<std::string>());
    } else {
      slot.state = Slot::State::idle;
      if (type == "compiled") {
        completions_.emplace_back(compile_done_from(std::move(message)));
      } else {
        device_failures_ = 0;
        if (type == "ran") completions_.emplace_back(run_done_from(message));
        else completions_.emplace_back(interleave_done_from(message));
      }
    }
  }

  // The worker itself reported that it cannot go on.
  void on_failure(Slot& slot, ErrorCode code, const std::string& text) {
    if (slot.state == Slot::State::starting) {
      slot.process.reset();
      slot.state = Slot::State::dead;
      throw Error(code, text);
    }
    complete_failed(slot, TrialStatus::device_fault, text);
    replace(slot);
  }

  // The process is gone without a word.
  void on_closed(Slot& slot) {
    const std::string how = slot.process->end();
    const Slot::State before = slot.state;
    slot.process.reset();
    if (before == Slot::State::starting)
      throw Error(ErrorCode::device, std::string(slot.compiles ? "the compile worker " : "the device worker ") + how +
                                         " while starting on " + device_.id.to_string());
    if (before == Slot::State::busy) {
      const bool building = slot.compiles && slot.phase != "first launch";
      complete_failed(slot, building ? TrialStatus::compile_failed : TrialStatus::crashed,
                      (building ? "the compiler process was " : "the worker process was ") + how);
    }
    replace(slot);
  }

  void on_deadline(Slot& slot) {
    const Slot::State before = slot.state;
    slot.process->end();
    slot.process.reset();
    if (before == Slot::State::starting)
      throw Error(ErrorCode::timeout,
                  "opening " + device_.id.to_string() + " and computing the reference took longer than " +
                      format_duration(options_.startup_deadline) + "; check the device and the [reference]");
    if (slot.compiles) {
      std::string text = "no result within the compile deadline of " + format_duration(options_.compile_deadline);
      if (slot.phase == "first launch")
        text += ", in the first launch (on a CPU the code is generated there, so a kernel that never ends shows here too)";
      complete_failed(slot, TrialStatus::compile_timed_out, text);
    } else {
      complete_failed(slot, TrialStatus::timed_out,
                      "no result within the run deadline of " + format_duration(slot.deadline - slot.begin));
    }
    replace(slot);
  }

  void complete_failed(Slot& slot, TrialStatus status, const std::string& text) {
    if (slot.compiles) {
      CompileDone done;
      done.id = slot.task;
      done.status = status;
      done.message = text;
      done.wall = clock_.now() - slot.begin;
      completions_.emplace_back(std::move(done));
    } else if (slot.interleaving) {
      InterleaveDone done;
      done.id = slot.task;
      done.status = status;
      done.message = text;
      completions_.emplace_back(std::move(done));
    } else {
      RunDone done;
      done.id = slot.task;
      done.result.status = status;
      done.result.message = text;
      done.result.measure = clock_.now() - slot.begin;
      completions_.emplace_back(std::move(done));
    }
  }

  void replace(Slot& slot) {
    slot.process.reset();
    slot.state = Slot::State::dead;
    if (slot.compiles) {
      spawn(slot);
      return;
    }
    if (++device_failures_ >= options_.max_device_failures)
      throw Error(ErrorCode::device, "the device failed " + std::to_string(device_failures_) +
                                         " times without a good run in between; everything measured so far is kept");
    const Nanoseconds begin = clock_.now();
    for (int attempt = 1;; ++attempt) {
      try {
        spawn(slot);
        while (slot.state != Slot::State::idle) pump(Nanoseconds(1e9));
        break;
      } catch (const Error& error) {
        slot.process.reset();
        slot.state = Slot::State::dead;
        if (attempt >= max_restart_attempts) {
          Error fatal(ErrorCode::device, std::string("the device worker could not be started again: ") + error.what());
          throw fatal;
        }
      }
    }
    restart_time_ += clock_.now() - begin;
  }

  DeviceInfo device_;
  Problem problem_;
  const Clock& clock_;
  WorkerPoolOptions options_;
  EvaluationInfo info_;
  bool overlaps_ = true;
  std::vector<Slot> slots_;  // the device's first
  std::deque<Completion> completions_;
  int device_failures_ = 0;
  Nanoseconds restart_time_{};
};

}  // namespace

std::unique_ptr<Evaluation> make_worker_pool(DeviceInfo device, Problem problem, const Clock& clock,
                                             WorkerPoolOptions options) {
  return std::make_unique<WorkerPool>(std::move(device), std::move(problem), clock, std::move(options));
}

}  // namespace warpwright::tuning
