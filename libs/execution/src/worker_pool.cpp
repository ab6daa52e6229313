#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <poll.h>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <warpwright/base/error.hpp>
#include <warpwright/base/processors.hpp>
#include <warpwright/execution/lanes.hpp>
#include <warpwright/execution/worker.hpp>

#include "device_lane.hpp"
#include "scheduling.hpp"
#include "task_json.hpp"
#include "worker_process.hpp"
#include "worker_slot.hpp"

namespace warpwright::execution {
namespace {

// Attempts to bring a worker back before its device or compiler counts as lost.
constexpr int max_restart_attempts = 3;
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

// Compile workers and lanes. Devices that are no CPUs are measured while compilers work.
class WorkerPool final : public LanePool, private LaneHost {
 public:
  WorkerPool(std::vector<DeviceInfo> devices, Problem problem, const Clock& clock, WorkerPoolOptions options)
      : problem_(std::move(problem)), clock_(clock), options_(std::move(options)) {
    const DeviceInfo& first = devices.at(0);
    overlaps_ = first.kind != DeviceKind::cpu;
    int compilers = options_.compile_workers;
    // On a CPU nothing is measured while compilers work, so they get all cores.
    if (compilers <= 0)
      compilers = std::max(1, available_processors() - (overlaps_ ? static_cast<int>(devices.size()) : 0));
    compilers_.resize(static_cast<std::size_t>(compilers));
    LaneHost& host = *this;
    for (auto& device : devices) lanes_.push_back(std::make_unique<DeviceLane>(std::move(device), options_, host));
    for (const auto& lane : lanes_) slots_.push_back(&lane->worker());
    for (auto& compiler : compilers_) slots_.push_back(&compiler);
  }

  EvaluationInfo start() override {
    // Compilers first: they start up while the device opens.
    for (auto& slot : compilers_) spawn(slot);
    for (const auto& lane : lanes_) spawn(lane->worker());
    while (!std::all_of(lanes_.begin(), lanes_.end(), [](const auto& lane) { return lane->can_run(); })) {
      if (options_.stop != nullptr && options_.stop->load()) throw Error(ErrorCode::interrupted, "interrupted");
      pump(longest_wait);
    }
    started_ = true;
    return lanes_.front()->status().info;
  }

  bool can_compile() const override {
    return std::any_of(compilers_.begin(), compilers_.end(),
                       [](const WorkerSlot& slot) { return slot.state == WorkerSlot::State::idle; });
  }
  bool can_run() const override { return lanes_.front()->can_run(); }
  bool can_queue_run() const override { return lanes_.front()->can_queue_run(); }
  bool compiles_while_running() const override { return overlaps_; }
  Nanoseconds restart_time() const override {
    Nanoseconds sum{};
    for (const auto& lane : lanes_) sum += lane->restart_time();
    return sum;
  }

  void compile(CompileTask task) override {
    const auto slot = std::find_if(compilers_.begin(), compilers_.end(), [](const WorkerSlot& candidate) {
      return candidate.state == WorkerSlot::State::idle;
    });
    if (slot == compilers_.end()) throw Error(ErrorCode::internal, "no idle compile worker");
    give(*slot, task.id, to_message(task), options_.compile_deadline);
  }
  void run(RunTask task) override { lanes_.front()->run(std::move(task)); }
  void interleave(InterleaveTask task) override { lanes_.front()->interleave(std::move(task)); }

  std::size_t lanes() const override { return lanes_.size(); }
  LaneStatus lane(std::size_t index) const override { return lane_at(index).status(); }
  void run_on(std::size_t index, RunTask task) override { lane_at(index).run(std::move(task)); }
  void interleave_on(std::size_t index, InterleaveTask task) override { lane_at(index).interleave(std::move(task)); }
  std::optional<RunTask> take_back(std::size_t index) override { return lane_at(index).take_back(); }

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
  DeviceLane& lane_at(std::size_t index) const {
    if (index >= lanes_.size())
      throw Error(ErrorCode::bad_input, "there is no lane " + std::to_string(index) + ": the pool has " +
                                            std::to_string(lanes_.size()) + ", counted from 0");
    return *lanes_[index];
  }
  // Compile workers serve all lanes, whose devices are alike.
  const DeviceInfo& device_of(const WorkerSlot& slot) const {
    return (slot.lane != nullptr ? slot.lane : lanes_.front().get())->device();
  }

  void spawn(WorkerSlot& slot) {
    deference_.reset();  // which a child would inherit
    slot.process.emplace(WorkerProcess::start(options_.executable, environment()));
    if (!overlaps_) deference_.emplace();
    ++slot.generation;
    slot.state = WorkerSlot::State::starting;
    slot.phase.clear();
    slot.begin = look();
    slot.deadline = slot.begin + options_.startup_deadline;
    Message hello{{{"type", "hello"},
                   {"role", slot.compiles() ? "compile" : "device"},
                   {"device", store::to_json(device_of(slot))},
                   {"problem", store::to_json(problem_)},
                   {"cache_folder", options_.use_cache ? (options_.cache_folder / "binaries").string() : std::string()},
                   {"compile_memory", options_.compile_memory.count},
                   {"yields", slot.compiles() && overlaps_},
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

  Nanoseconds now() const override { return clock_.now(); }
  void complete(Completion completion) override { completions_.push_back(std::move(completion)); }
  void lane_changed() override { became_idle_ = true; }
  // With the last lane the session ends, at the next wait().
  void lane_lost(const std::string& why) override {
    became_idle_ = true;
    if (std::all_of(lanes_.begin(), lanes_.end(), [](const auto& lane) { return lane->lost(); }))
      fatal_.emplace(ErrorCode::device, why + "; everything measured so far is kept");
  }

  void give(WorkerSlot& slot, std::uint64_t id, const Message& message, Nanoseconds deadline) override {
    if (slot.state != WorkerSlot::State::idle) throw Error(ErrorCode::internal, "a busy worker was given a task");
    slot.state = WorkerSlot::State::busy;
    slot.task = id;
    slot.phase.clear();
    slot.begin = look();
    slot.deadline = slot.begin + deadline;
    send(slot, message);
  }

  void send(WorkerSlot& slot, const Message& message) {
    try {
      slot.process->channel().send(message, send_patience_ms);
    } catch (const Error& error) {
      if (error.code() == ErrorCode::bad_input) throw;  // it is too large for a message, whoever is to read it
      on_closed(slot);
    }
  }

  // Waits for messages, deaths and deadlines, at most `timeout`; false when a signal interrupted.
  bool pump(Nanoseconds timeout) {
    std::vector<pollfd> items;
    std::vector<WorkerSlot*> owners;
    const Nanoseconds now = look();
    Nanoseconds wake = now + timeout;
    for (WorkerSlot* const slot : slots_) {
      if (!slot->process) continue;
      const MessageChannel& channel = slot->process->channel();
      for (const pollfd& news : channel.news()) items.push_back(news);
      items.push_back(channel.has_unsent() ? channel.room() : pollfd{-1, 0, 0});
      owners.push_back(slot);
      if (slot->timed()) wake = std::min(wake, slot->deadline);
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
    // What devices answered comes first and alone: the messages of compile workers wait for the next call.
    for (std::size_t i = 0; i < owners.size(); ++i) {
      if (!speaks[i] || (owners[i]->compiles() && !completions_.empty())) continue;
      speaks[i] = false;
      read(*owners[i]);
    }
    // Not the time of now: if everything stood still since, the next call forgives that.
    for (std::size_t i = 0; i < owners.size(); ++i) {
      const auto late = [&] { return owners[i]->timed() && *last_seen_ >= owners[i]->deadline; };
      if (speaks[i] || !late()) continue;
      read(*owners[i]);  // it may have said in passing what it is at
      if (late()) on_deadline(*owners[i]);
    }
    return true;
  }

  // The time, after what stood still since the last look is forgiven: a time that begins now takes no part in that.
  Nanoseconds look() override {
    const Nanoseconds now = clock_.now();
    if (last_seen_) forgive_standstill(now - *last_seen_, now);
    last_seen_ = now;
    return now;
  }

  // A suspended machine, a stopped process group, a clock that was set: the time that passed meanwhile is nobody's
  // work, and no deadline counts it.
  void forgive_standstill(Nanoseconds jump, Nanoseconds now) {
    if (jump.count() >= 0 && jump < standstill) return;
    for (auto& slot : compilers_) slot.forgive(jump, now);
    for (const auto& lane : lanes_) lane->forgive(jump, now);
  }

  void read(WorkerSlot& slot) {
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

  void on_message(WorkerSlot& slot, Message message) {
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
    } else if (slot.state != WorkerSlot::State::busy) {
      throw Error(ErrorCode::corrupted, "a '" + type + "' that nobody asked for");
    } else if (slot.compiles() && type == "compiled") {
      CompileDone done = compile_done_from(std::move(message));
      if (done.id != slot.task) throw Error(ErrorCode::corrupted, "the result of another task");
      slot.state = WorkerSlot::State::idle;
      complete(std::move(done));
    } else if (!slot.compiles() && type == "ran") {
      slot.lane->on_ran(run_done_from(message));
    } else if (!slot.compiles() && type == "interleaved") {
      slot.lane->on_interleaved(interleave_done_from(message));
    } else {
      throw Error(ErrorCode::corrupted, "a message of unknown type '" + type + "'");
    }
  }

  void on_ready(WorkerSlot& slot, const Message& message) {
    if (slot.state != WorkerSlot::State::starting)
      throw Error(ErrorCode::corrupted, "a worker is ready for the second time");
    if (slot.compiles()) {
      slot.state = WorkerSlot::State::idle;
      slot.attempts = 0;
      became_idle_ = started_;
    } else {
      slot.lane->on_ready(evaluation_info_from(message), started_);
    }
  }

  // The worker itself reported that it cannot go on.
  void on_failure(WorkerSlot& slot, ErrorCode code, const std::string& text) {
    if (slot.state == WorkerSlot::State::starting) {
      start_failed(slot, Error(code, text));
      return;
    }
    task_failed(slot, TrialStatus::device_fault, text);
  }

  // The process is gone without a word.
  void on_closed(WorkerSlot& slot) {
    const std::string how = slot.process->end();
    if (slot.state == WorkerSlot::State::starting) {
      start_failed(
          slot, Error(ErrorCode::device, std::string(slot.compiles() ? "the compile worker " : "the device worker ") +
                                             how + " while starting on " + device_of(slot).id.to_string()));
      return;
    }
    if (slot.phase == out_of_memory_phase) {
      task_failed(slot, TrialStatus::compile_failed,
                  "the compiler ran out of memory: a compile worker may use " + format_bytes(options_.compile_memory) +
                      " (--compile-memory); it was " + how);
      return;
    }
    const bool building = slot.compiles() && slot.phase != "first launch";
    task_failed(slot, building ? TrialStatus::compile_failed : TrialStatus::crashed,
                (building ? "the compiler process was " : "the worker process was ") + how);
  }

  // The process talks nonsense: its memory may have been overwritten by a kernel.
  void on_garbage(WorkerSlot& slot, const std::string& what) {
    if (slot.state == WorkerSlot::State::starting) {
      start_failed(slot, Error(ErrorCode::corrupted, "a worker sent " + what));
      return;
    }
    task_failed(slot, slot.compiles() ? TrialStatus::compile_failed : TrialStatus::crashed,
                "the worker process sent something that is no result: " + what);
  }

  void on_deadline(WorkerSlot& slot) {
    if (slot.state == WorkerSlot::State::starting) {
      const std::string limit = format_duration(options_.startup_deadline);
      start_failed(
          slot,
          Error(ErrorCode::timeout,
                slot.compiles()
                    ? "opening the compiler for " + device_of(slot).id.to_string() + " took longer than " + limit
                    : "opening " + device_of(slot).id.to_string() + " and computing the reference took longer than " +
                          limit + "; check the device and the [reference], or raise --startup-deadline"));
      return;
    }
    if (slot.compiles()) {
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
  void task_failed(WorkerSlot& slot, TrialStatus status, const std::string& text) {
    if (!slot.compiles()) {
      slot.lane->on_worker_lost(status, text);
      return;
    }
    const bool had_task = slot.state == WorkerSlot::State::busy;
    slot.end();
    if (had_task) {
      CompileDone done;
      done.id = slot.task;
      done.status = status;
      done.message = text;
      done.wall = clock_.now() - slot.begin;
      complete(std::move(done));
    }
    start_again(slot);
  }

  // A worker did not come up. At the start of a session that is the user's to know at once; later it may be a passing
  // trouble, and there are results to keep.
  void start_failed(WorkerSlot& slot, const Error& error) {
    slot.end();
    if (!started_) throw error;
    if (++slot.attempts < max_restart_attempts) {
      start_again(slot);
    } else if (!slot.compiles()) {
      slot.lane->give_up(std::string("the device worker could not be started again: ") + error.what());
    } else if (std::none_of(compilers_.begin(), compilers_.end(),
                            [](const WorkerSlot& other) { return other.process.has_value(); })) {
      for (const auto& lane : lanes_)
        lane->give_up(std::string("no compile worker could be started again: ") + error.what());
    }
  }

  void start_again(WorkerSlot& slot) override {
    try {
      spawn(slot);
    } catch (const Error& error) {
      start_failed(slot, error);
    }
  }

  Problem problem_;
  const Clock& clock_;
  WorkerPoolOptions options_;
  bool overlaps_ = true;
  bool started_ = false;
  std::optional<DeferringThread> deference_;  // where the device's work needs the cores that this thread works on
  std::vector<std::unique_ptr<DeviceLane>> lanes_;
  std::vector<WorkerSlot> compilers_;
  std::vector<WorkerSlot*> slots_;  // of both, the lanes' first
  std::deque<Completion> completions_;
  std::optional<Error> fatal_;  // to be thrown by wait()
  bool became_idle_ = false;
  std::set<std::string> logged_;
  std::optional<Nanoseconds> last_seen_;  // when this process last looked at the clock
};

// Binaries go from any compile worker to any lane.
void check_alike(const std::vector<DeviceInfo>& devices) {
  if (devices.empty()) throw Error(ErrorCode::bad_input, "a pool of workers needs a device; none was given");
  const DeviceInfo& first = devices.front();
  for (const auto& device : devices)
    if (device.id.backend != first.id.backend || device.kind != first.kind || device.name != first.name ||
        device.architecture != first.architecture)
      throw Error(ErrorCode::bad_input, "the devices of a pool must be of one model: " + first.id.to_string() +
                                            " is a " + first.name + ", " + device.id.to_string() + " is a " +
                                            device.name);
}

}  // namespace

std::unique_ptr<Evaluation> make_worker_pool(DeviceInfo device, Problem problem, const Clock& clock,
                                             WorkerPoolOptions options) {
  std::vector<DeviceInfo> devices;
  devices.push_back(std::move(device));
  return make_lane_pool(std::move(devices), std::move(problem), clock, std::move(options));
}

std::unique_ptr<LanePool> make_lane_pool(std::vector<DeviceInfo> devices, Problem problem, const Clock& clock,
                                         WorkerPoolOptions options) {
  check_alike(devices);
  return std::make_unique<WorkerPool>(std::move(devices), std::move(problem), clock, std::move(options));
}

}  // namespace warpwright::execution
