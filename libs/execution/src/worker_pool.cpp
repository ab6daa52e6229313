#include <algorithm>
#include <cerrno>
#include <cmath>
#include <deque>
#include <optional>
#include <poll.h>
#include <set>
#include <utility>

#include <warpwright/base/error.hpp>
#include <warpwright/base/processors.hpp>
#include <warpwright/execution/worker.hpp>

#include "scheduling.hpp"
#include "task_json.hpp"
#include "worker_process.hpp"

namespace warpwright::execution {
namespace {

// Attempts to bring a worker back before its device or compiler counts as lost.
constexpr int max_restart_attempts = 3;
// The task that proves a doubtful device.
constexpr std::uint64_t proof_id = ~std::uint64_t{0};
// A worker that does not read its next task for this long hangs.
constexpr int send_patience_ms = 30'000;
// A wait that lasted this much longer than was asked for: the whole machine stood still, and the workers with it.
constexpr Nanoseconds standstill{2e9};
// To be polled for each worker: two for news, one for room.
constexpr std::size_t items_each = 3;
// Longest single wait, so that a stop flag is seen.
constexpr Nanoseconds longest_wait{200e6};

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
  std::uint64_t generation = 0;  // counts the processes this slot has had
  int attempts = 0;              // starts in a row that failed
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
    if (compilers <= 0) compilers = std::max(1, available_processors() - (cpu ? 0 : 1));
    overlaps_ = !cpu;
    slots_.resize(static_cast<std::size_t>(compilers) + 1);
    for (std::size_t i = 1; i < slots_.size(); ++i) slots_[i].compiles = true;
  }

  EvaluationInfo start() override {
    // Compilers first: they start up while the device opens.
    for (auto& slot : slots_)
      if (slot.compiles) spawn(slot);
    spawn(device_slot());
    while (device_slot().state != Slot::State::idle) {
      if (options_.stop != nullptr && options_.stop->load()) throw Error(ErrorCode::interrupted, "interrupted");
      pump(longest_wait);
    }
    started_ = true;
    return info_;
  }

  bool can_compile() const override {
    return std::any_of(slots_.begin(), slots_.end(),
                       [](const Slot& slot) { return slot.compiles && slot.state == Slot::State::idle; });
  }
  bool can_run() const override { return slots_.front().state == Slot::State::idle; }
  bool can_queue_run() const override {
    const Slot& slot = slots_.front();
    return slot.state == Slot::State::busy && slot.process && slot.task != proof_id && !slot.interleaving && !queued_ &&
           !slot.process->channel().has_unsent();
  }
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
    if (can_queue_run()) {
      try {
        device_slot().process->channel().post(to_message(task));
      } catch (const Error& error) {
        if (error.code() == ErrorCode::bad_input) throw;
        // The worker is gone. What is read from its channel says so, and the next one gets the task.
      }
      queued_ = std::move(task);
      return;
    }
    device_slot().interleaving = false;
    const Nanoseconds deadline = deadline_of(task);
    dispatch(device_slot(), task.id, to_message(task), deadline);
    remember(std::move(task));
  }
  void interleave(InterleaveTask task) override {
    device_slot().interleaving = true;
    // A round of one configuration is one sample of a run, and a whole run with up to 30 of them kept to its deadline.
    const double samples = static_cast<double>(task.configurations.size()) * std::max(1.0, task.rounds / 30.0);
    Nanoseconds deadline = options_.run_deadline * std::max(1.0, samples);
    // Blocks have a fixed length, and end after the run under way.
    if (task.sustained)
      deadline +=
          2 * (task.sustained->probe + task.sustained->settle +
               task.sustained->block * task.sustained->rounds * static_cast<double>(task.configurations.size()));
    dispatch(device_slot(), task.id, to_message(task), deadline);
  }

  std::optional<Completion> wait(Nanoseconds timeout) override {
    const Nanoseconds end = clock_.now() + timeout;
    for (bool looked = false;; looked = true) {
      if (!completions_.empty()) {
        Completion completion = std::move(completions_.front());
        completions_.pop_front();
        return completion;
      }
      // What the last worker left is delivered first, so that it is recorded.
      if (fatal_) throw Error(*fatal_);
      if (std::exchange(became_idle_, false)) return std::nullopt;
      const Nanoseconds left = std::max(Nanoseconds{}, end - clock_.now());
      if ((looked && left.count() <= 0) || !pump(left)) {
        if (completions_.empty() && !fatal_) return std::nullopt;
      }
    }
  }

 private:
  Slot& device_slot() { return slots_.front(); }

  // A run at another size computes a reference of its own first.
  static bool is_fresh(const RunTask& task) { return !task.dimensions.empty() || task.input_salt != 0; }
  Nanoseconds deadline_of(const RunTask& task) const {
    Nanoseconds deadline = options_.run_deadline;
    if (task.deadline.count() > 0) deadline = std::min(deadline, task.deadline);
    return is_fresh(task) ? deadline + options_.startup_deadline : deadline;
  }
  void remember(RunTask task) {
    if (!is_fresh(task)) last_run_ = std::move(task);
  }

  // The worker has ended a run and goes on with the one that waits in its channel.
  void begin_queued(Slot& slot) {
    if (!queued_) return;
    RunTask task = *std::exchange(queued_, std::nullopt);
    slot.state = Slot::State::busy;
    slot.task = task.id;
    slot.begin = look();
    slot.deadline = slot.begin + deadline_of(task);
    remember(std::move(task));
  }

  void spawn(Slot& slot) {
    deference_.reset();  // which a child would inherit
    slot.process.emplace(WorkerProcess::start(options_.executable, environment()));
    if (!overlaps_) deference_.emplace();
    ++slot.generation;
    slot.state = Slot::State::starting;
    slot.phase.clear();
    slot.begin = look();
    slot.deadline = slot.begin + options_.startup_deadline;
    Message hello{{{"type", "hello"},
                   {"role", slot.compiles ? "compile" : "device"},
                   {"device", store::to_json(device_)},
                   {"problem", store::to_json(problem_)},
                   {"cache_folder", options_.use_cache ? (options_.cache_folder / "binaries").string() : std::string()},
                   {"compile_memory", options_.compile_memory.count},
                   {"yields", slot.compiles && overlaps_},
                   {"cache", std::string(measure::to_string(options_.cache))},
                   {"allow_commands", options_.allow_commands}},
                  {}};
    if (options_.confined_to) {
      auto& folders = hello.head["confined_to"] = store::Json::array();
      for (const auto& folder : *options_.confined_to) folders.push_back(folder.string());
    }
    send(slot, hello);
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
    slot.begin = look();
    slot.deadline = slot.begin + deadline;
    send(slot, message);
  }

  void send(Slot& slot, const Message& message) {
    try {
      slot.process->channel().send(message, send_patience_ms);
    } catch (const Error& error) {
      if (error.code() == ErrorCode::bad_input) throw;  // it is too large for a message, whoever is to read it
      on_closed(slot);
    }
  }

  static bool timed(const Slot& slot) { return slot.state == Slot::State::busy || slot.state == Slot::State::starting; }

  // Waits for messages, deaths and deadlines, at most `timeout`; false when a signal interrupted.
  bool pump(Nanoseconds timeout) {
    std::vector<pollfd> items;
    std::vector<Slot*> owners;
    const Nanoseconds now = look();
    Nanoseconds wake = now + timeout;
    for (auto& slot : slots_) {
      if (!slot.process) continue;
      const MessageChannel& channel = slot.process->channel();
      for (const pollfd& news : channel.news()) items.push_back(news);
      items.push_back(channel.has_unsent() ? channel.room() : pollfd{-1, 0, 0});
      owners.push_back(&slot);
      if (timed(slot)) wake = std::min(wake, slot.deadline);
    }
    const Nanoseconds asked = std::clamp(wake - now, Nanoseconds{}, Nanoseconds(60e9));
    const int ready = ::poll(items.data(), items.size(), static_cast<int>(std::ceil(asked.count() / 1e6)));
    last_seen_ = clock_.now();
    // A wait that ended early is no standstill; a clock that went back is.
    const Nanoseconds passed = *last_seen_ - now;
    forgive_standstill(passed.count() < 0 ? passed : std::max(Nanoseconds{}, passed - asked), *last_seen_);
    if (ready < 0 && errno == EINTR) return false;
    std::vector<bool> speaks(owners.size());
    for (std::size_t i = 0; i < owners.size(); ++i) {
      const pollfd* const of = &items[items_each * i];
      if (of[2].revents != 0) {
        try {
          owners[i]->process->channel().flush();
        } catch (const Error&) {  // as in run()
        }
      }
      speaks[i] = of[0].revents != 0 || of[1].revents != 0;
    }
    // What the device answered comes first and alone: the messages of compile workers wait for the next call.
    for (std::size_t i = 0; i < owners.size() && completions_.empty(); ++i) {
      if (!speaks[i]) continue;
      speaks[i] = false;
      read(*owners[i]);
    }
    // Not the time of now: if everything stood still since, the next call forgives that.
    for (std::size_t i = 0; i < owners.size(); ++i) {
      const auto late = [&] { return timed(*owners[i]) && *last_seen_ >= owners[i]->deadline; };
      if (speaks[i] || !late()) continue;
      read(*owners[i]);  // it may have said in passing what it is at
      if (late()) on_deadline(*owners[i]);
    }
    return true;
  }

  // The time, after what stood still since the last look is forgiven: a time that begins now takes no part in that.
  Nanoseconds look() {
    const Nanoseconds now = clock_.now();
    if (last_seen_) forgive_standstill(now - *last_seen_, now);
    last_seen_ = now;
    return now;
  }

  // A suspended machine, a stopped process group, a clock that was set: the time that passed meanwhile is nobody's
  // work, and no deadline counts it.
  void forgive_standstill(Nanoseconds jump, Nanoseconds now) {
    if (jump.count() >= 0 && jump < standstill) return;
    const auto move = [&](Nanoseconds& begin) { begin = std::min(begin + jump, now); };
    for (auto& slot : slots_) {
      const Nanoseconds allowed = slot.deadline - slot.begin;
      move(slot.begin);
      slot.deadline = slot.begin + allowed;
    }
    move(restart_begin_);
  }

  void read(Slot& slot) {
    if (!slot.process) return;
    const std::uint64_t generation = slot.generation;
    // A message may end this process and start the next one, whose channel is not the one that was read.
    const auto same = [&] { return slot.process && slot.generation == generation; };
    bool open = true;
    try {
      open = slot.process->channel().read_available();
      while (same()) {
        auto message = slot.process->channel().next();
        if (!message) break;
        on_message(slot, std::move(*message));
      }
    } catch (const store::Json::exception&) {
      if (same()) on_garbage(slot, "a message without what belongs into it");
    } catch (const Error& error) {
      if (error.code() != ErrorCode::corrupted || !started_) throw;
      if (same()) on_garbage(slot, error.what());
    }
    if (!open && same()) on_closed(slot);
  }

  void on_message(Slot& slot, Message message) {
    const auto type = message.head.at("type").get<std::string>();
    if (type == "log") {
      const auto text = message.head.at("text").get<std::string>();
      // Every worker meets the same full disk.
      if (logged_.insert(text).second)
        log_to(options_.log, static_cast<LogLevel>(message.head.at("level").get<int>()), text);
    } else if (type == "phase") {
      slot.phase = message.head.at("phase").get<std::string>();
    } else if (type == "ready") {
      on_ready(slot, message);
    } else if (type == "error") {
      const ErrorCode code = error_code_from(message.head.at("code").get<std::string>());
      on_failure(slot, code, message.head.at("message").get<std::string>());
    } else if (slot.state != Slot::State::busy) {
      throw Error(ErrorCode::corrupted, "a '" + type + "' that nobody asked for");
    } else if (type == "compiled") {
      finish_task(slot, compile_done_from(std::move(message)));
    } else if (type == "ran") {
      RunDone done = run_done_from(message);
      const bool right = done.result.status == TrialStatus::ok || done.result.status == TrialStatus::censored;
      if (slot.task == proof_id) {
        check_id(slot, done.id);
        if (!right) {
          fail_for_good(device_failed_text() +
                        ", and then also with a configuration that was right before: " + done.result.message);
          return;
        }
        device_failures_ = 0;
        device_is_back(slot);
        return;
      }
      if (right) {
        device_failures_ = 0;
        if (last_run_ && last_run_->id == done.id) right_run_ = std::move(last_run_);
      }
      finish_task(slot, std::move(done));
      begin_queued(slot);
    } else if (type == "interleaved") {
      device_failures_ = 0;
      finish_task(slot, interleave_done_from(message));
    } else {
      throw Error(ErrorCode::corrupted, "a message of unknown type '" + type + "'");
    }
  }

  static void check_id(const Slot& slot, std::uint64_t id) {
    if (id != slot.task) throw Error(ErrorCode::corrupted, "the result of another task");
  }

  template <class Done>
  void finish_task(Slot& slot, Done done) {
    check_id(slot, done.id);
    slot.state = Slot::State::idle;
    completions_.emplace_back(std::move(done));
  }

  void on_ready(Slot& slot, const Message& message) {
    if (slot.state != Slot::State::starting) throw Error(ErrorCode::corrupted, "a worker is ready for the second time");
    if (!slot.compiles) info_ = evaluation_info_from(message);
    slot.state = Slot::State::idle;
    slot.attempts = 0;
    if (slot.compiles || !started_) {
      became_idle_ = started_;
    } else if (device_failures_ >= options_.max_device_failures) {
      prove(slot);
    } else {
      device_is_back(slot);
    }
  }

  // The device works again: the outcome of the run that failed on it may be told.
  void device_is_back(Slot& slot) {
    slot.state = Slot::State::idle;
    restart_time_ += clock_.now() - restart_begin_;
    release_held();
    became_idle_ = true;
    // The task behind the one that failed was lost with the worker.
    if (queued_) run(*std::exchange(queued_, std::nullopt));
  }

  void release_held() {
    if (held_) completions_.push_back(std::move(*held_));
    held_.reset();
  }

  std::string device_failed_text() const {
    return "the device failed " + std::to_string(device_failures_) + " times without a good run in between";
  }

  // Runs what was right before, to tell a bad device from bad configurations.
  void prove(Slot& slot) {
    RunTask task = *right_run_;
    task.id = proof_id;
    task.deadline = {};
    slot.interleaving = false;
    dispatch(slot, proof_id, to_message(task), options_.run_deadline);
  }

  // Ends the session at the next wait().
  void fail_for_good(const std::string& text) {
    device_slot().process.reset();
    device_slot().state = Slot::State::dead;
    queued_.reset();
    release_held();
    fatal_.emplace(ErrorCode::device, text + "; everything measured so far is kept");
  }

  // The worker itself reported that it cannot go on.
  void on_failure(Slot& slot, ErrorCode code, const std::string& text) {
    if (slot.state == Slot::State::starting) {
      start_failed(slot, Error(code, text));
      return;
    }
    task_failed(slot, TrialStatus::device_fault, text);
  }

  // The process is gone without a word.
  void on_closed(Slot& slot) {
    const std::string how = slot.process->end();
    if (slot.state == Slot::State::starting) {
      start_failed(slot,
                   Error(ErrorCode::device, std::string(slot.compiles ? "the compile worker " : "the device worker ") +
                                                how + " while starting on " + device_.id.to_string()));
      return;
    }
    if (slot.phase == out_of_memory_phase) {
      task_failed(slot, TrialStatus::compile_failed,
                  "the compiler ran out of memory: a compile worker may use " + format_bytes(options_.compile_memory) +
                      " (--compile-memory); it was " + how);
      return;
    }
    const bool building = slot.compiles && slot.phase != "first launch";
    task_failed(slot, building ? TrialStatus::compile_failed : TrialStatus::crashed,
                (building ? "the compiler process was " : "the worker process was ") + how);
  }

  // The process talks nonsense: its memory may have been overwritten by a kernel.
  void on_garbage(Slot& slot, const std::string& what) {
    if (slot.state == Slot::State::starting) {
      start_failed(slot, Error(ErrorCode::corrupted, "a worker sent " + what));
      return;
    }
    task_failed(slot, slot.compiles ? TrialStatus::compile_failed : TrialStatus::crashed,
                "the worker process sent something that is no result: " + what);
  }

  void on_deadline(Slot& slot) {
    if (slot.state == Slot::State::starting) {
      const std::string limit = format_duration(options_.startup_deadline);
      start_failed(
          slot,
          Error(ErrorCode::timeout,
                slot.compiles ? "opening the compiler for " + device_.id.to_string() + " took longer than " + limit
                              : "opening " + device_.id.to_string() + " and computing the reference took longer than " +
                                    limit + "; check the device and the [reference], or raise --startup-deadline"));
      return;
    }
    if (slot.compiles) {
      std::string text = "no result within the compile deadline of " + format_duration(options_.compile_deadline);
      if (slot.phase == "first launch")
        text +=
            ", in the first launch (on a CPU the code is generated there, so a kernel that never ends shows here too)";
      task_failed(slot, TrialStatus::compile_timed_out, text);
    } else {
      task_failed(slot, TrialStatus::timed_out,
                  "no result within the run deadline of " + format_duration(slot.deadline - slot.begin));
    }
  }

  // The task of a worker is over and so is the worker: its outcome is recorded, and another process takes its place.
  void task_failed(Slot& slot, TrialStatus status, const std::string& text) {
    slot.process.reset();
    const bool had_task = slot.state == Slot::State::busy;
    slot.state = Slot::State::dead;
    if (slot.compiles) {
      if (had_task) completions_.emplace_back(failed_compilation(slot, status, text));
      start_again(slot);
      return;
    }
    restart_begin_ = look();
    ++device_failures_;
    if (had_task && slot.task == proof_id) {
      fail_for_good(device_failed_text() + ", the last time with a configuration that was right before: " + text);
      return;
    }
    if (had_task) held_ = failed_run(slot, status, text);
    if (device_failures_ >= options_.max_device_failures && !right_run_) {
      fail_for_good(device_failed_text() + ": " + text);
      return;
    }
    start_again(slot);
  }

  Completion failed_compilation(const Slot& slot, TrialStatus status, const std::string& text) const {
    CompileDone done;
    done.id = slot.task;
    done.status = status;
    done.message = text;
    done.wall = clock_.now() - slot.begin;
    return done;
  }

  Completion failed_run(const Slot& slot, TrialStatus status, const std::string& text) const {
    if (slot.interleaving) {
      InterleaveDone done;
      done.id = slot.task;
      done.status = status;
      done.message = text;
      return done;
    }
    RunDone done;
    done.id = slot.task;
    done.result.status = status;
    done.result.message = text;
    done.result.measure = clock_.now() - slot.begin;
    return done;
  }

  // A worker did not come up. At the start of a session that is the user's to know at once; later it may be a passing
  // trouble, and there are results to keep.
  void start_failed(Slot& slot, const Error& error) {
    slot.process.reset();
    slot.state = Slot::State::dead;
    if (!started_) throw error;
    if (++slot.attempts < max_restart_attempts) {
      start_again(slot);
    } else if (!slot.compiles) {
      fail_for_good(std::string("the device worker could not be started again: ") + error.what());
    } else if (std::none_of(slots_.begin(), slots_.end(),
                            [](const Slot& other) { return other.compiles && other.process; })) {
      fail_for_good(std::string("no compile worker could be started again: ") + error.what());
    }
  }

  void start_again(Slot& slot) {
    try {
      spawn(slot);
    } catch (const Error& error) {
      start_failed(slot, error);
    }
  }

  DeviceInfo device_;
  Problem problem_;
  const Clock& clock_;
  WorkerPoolOptions options_;
  EvaluationInfo info_;
  bool overlaps_ = true;
  bool started_ = false;
  std::optional<DeferringThread> deference_;  // where the device's work needs the cores that this thread works on
  std::vector<Slot> slots_;                   // the device's first
  std::deque<Completion> completions_;
  std::optional<Completion> held_;  // of the run that the device failed at, until it is back
  std::optional<Error> fatal_;      // to be thrown by wait()
  bool became_idle_ = false;
  int device_failures_ = 0;
  std::optional<RunTask> last_run_, right_run_;
  std::optional<RunTask> queued_;  // behind the one that the device is busy with
  std::set<std::string> logged_;
  Nanoseconds restart_begin_{}, restart_time_{};
  std::optional<Nanoseconds> last_seen_;  // when this process last looked at the clock
};

}  // namespace

std::unique_ptr<Evaluation> make_worker_pool(DeviceInfo device, Problem problem, const Clock& clock,
                                             WorkerPoolOptions options) {
  return std::make_unique<WorkerPool>(std::move(device), std::move(problem), clock, std::move(options));
}

}  // namespace warpwright::execution
