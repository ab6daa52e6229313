#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <exception>
#include <fmt/format.h>
#include <limits>
#include <mutex>
#include <optional>
#include <queue>
#include <thread>
#include <utility>

#include <warpwright/base/error.hpp>
#include <warpwright/base/rng.hpp>
#include <warpwright/validate/load.hpp>

namespace warpwright::validate {
namespace {

constexpr Nanoseconds never{std::numeric_limits<double>::infinity()};
// A sleeping thread is woken late by the timer's slack (50 us by default) and by what else runs; the last part is
// waited for awake.
constexpr Nanoseconds awake{300e3};
// How long a request to stop may go unheard.
constexpr Nanoseconds longest_wait{50e6};

// At which requests a run may end before its end, and which counts of late ones decide then. Known before the run,
// because the tests take too long to be made between two requests.
class Looks {
 public:
  Looks(const Contract& contract, std::uint64_t requests) : late_(contract.limits.size()) {
    for (std::uint64_t look = 1; look < contract.stats.looks; ++look) {
      Look next{requests * look / contract.stats.looks, {}};
      if (next.requests == 0) continue;
      for (const Limit& limit : contract.limits) {
        // One beyond the limit of every single request decides.
        Counts counts{0, 1};
        if (limit.percentile) {
          const LateTest test = contract.test_of(limit);
          counts = {test.most_late_to_pass(next.requests), test.least_late_to_fail(next.requests)};
        }
        next.counts.push_back(counts);
      }
      looks_.push_back(std::move(next));
    }
  }

  bool any() const { return !looks_.empty(); }
  void add(std::size_t limit, bool late) { late_[limit] += late ? 1 : 0; }
  // After `requests` requests, each number in turn: whether they decide.
  bool decided(std::uint64_t requests) {
    if (next_ == looks_.size() || looks_[next_].requests != requests) return false;
    const Look& look = looks_[next_++];
    bool all_pass = true;
    for (std::size_t i = 0; i < late_.size(); ++i) {
      const Counts& counts = look.counts[i];
      if (counts.fail && late_[i] >= *counts.fail) return true;
      all_pass = all_pass && counts.pass && late_[i] <= *counts.pass;
    }
    return all_pass;
  }

 private:
  struct Counts {
    std::optional<std::uint64_t> pass, fail;
  };
  struct Look {
    std::uint64_t requests;
    std::vector<Counts> counts;
  };
  std::vector<Look> looks_;
  std::vector<std::uint64_t> late_;
  std::size_t next_ = 0;
};

// How many requests are unfinished at the time of an arrival. Guarded by the mutex of the run.
class Outstanding {
 public:
  std::uint64_t at(Nanoseconds arrival) {
    while (!ends_.empty() && ends_.top() <= arrival) ends_.pop();
    return running_ + ends_.size();
  }
  void started() { ++running_; }
  void ended(Nanoseconds time) {
    --running_;
    ends_.push(time);
  }

 private:
  std::uint64_t running_ = 0;
  std::priority_queue<Nanoseconds, std::vector<Nanoseconds>, std::greater<>> ends_;
};

// One run under way, shared by its workers.
class LoadRun {
 public:
  LoadRun(const Contract& contract, std::uint64_t repeat, const Service& service, LoadClock& clock,
          const StopAsked& stop_asked)
      : contract_(contract),
        service_(service),
        clock_(clock),
        stop_asked_(stop_asked),
        names_(contract.stages()),
        schedule_(make_schedule(contract, repeat)),
        looks_(contract, schedule_.counted()) {
    whole_ = static_cast<std::size_t>(std::find(names_.begin(), names_.end(), whole_request) - names_.begin());
    for (const Limit& limit : contract.limits) {
      limit_stages_.push_back(
          static_cast<std::size_t>(std::find(names_.begin(), names_.end(), limit.stage) - names_.begin()));
    }
    result_.repeat = repeat;
    result_.seed = derive_seed(contract.seed, repeat);
    result_.load = contract.load.kind;
    for (const std::string& name : names_) result_.stages.push_back({name, {}});
    if (!closed()) {
      for (auto& stage : result_.stages) stage.samples.assign(schedule_.counted(), never);
      result_.lateness.reserve(schedule_.counted());
      states_.assign(schedule_.counted(), State::open);
    }
  }

  LatencyRun run() {
    start_ = clock_.now();
    if (contract_.load.workers == 1) {
      work();
    } else {
      std::vector<std::jthread> threads;
      for (std::uint64_t i = 0; i < contract_.load.workers; ++i) {
        threads.emplace_back([this] {
          try {
            work();
          } catch (...) {
            const std::lock_guard lock(mutex_);
            if (!broken_) broken_ = std::current_exception();
            ended_ = true;
          }
        });
      }
    }
    if (broken_) std::rethrow_exception(broken_);
    finish();
    return std::move(result_);
  }

 private:
  enum class State : char { open, done };
  using Times = std::vector<Nanoseconds>;

  bool closed() const { return contract_.load.kind == LoadKind::closed; }

  bool stopped() {
    if (!ended_ && stop_asked_ && stop_asked_()) stopped_ = ended_ = true;
    return ended_;
  }

  void work() { closed() ? work_closed() : work_open(); }

  void work_open() {
    Nanoseconds free = start_;
    while (!stopped()) {
      const std::uint64_t number = next_++;
      if (number >= schedule_.arrivals.size()) return;
      const Nanoseconds due = start_ + schedule_.arrivals[number];
      if (std::max(due, clock_.now()) - start_ > contract_.run.max_duration) {
        not_served(number, result_.unserved);
        continue;
      }
      while (clock_.now() < due) {
        if (stopped()) return;
        clock_.wait_until(std::min(due, clock_.now() + longest_wait));
      }
      if (is_dropped(due)) {
        not_served(number, result_.dropped);
        continue;
      }
      const Nanoseconds issued = clock_.now();
      const Nanoseconds lateness = issued - std::max(due, free);
      Times times(names_.size(), never);
      const bool succeeded = serve(number, times);
      const Nanoseconds done = clock_.now();
      free = done;
      const std::lock_guard lock(mutex_);
      if (contract_.load.max_outstanding != 0) outstanding_.ended(done);
      if (number < schedule_.warmup) continue;
      if (!succeeded) ++result_.failed;
      result_.lateness.push_back(lateness);
      if (succeeded) check_stages(times, done - issued);
      times[whole_] = succeeded ? done - due : never;
      const std::uint64_t counted = number - schedule_.warmup;
      for (std::size_t i = 0; i < times.size(); ++i) result_.stages[i].samples[counted] = times[i];
      close(counted);
    }
  }

  void work_closed() {
    Nanoseconds free = start_;
    while (!stopped()) {
      const Nanoseconds issued = clock_.now();
      if (issued - start_ > contract_.run.max_duration) return;
      Times times(names_.size(), never);
      const bool succeeded = serve(next_++, times);
      const Nanoseconds done = clock_.now();
      const Nanoseconds lateness = issued - std::exchange(free, done);
      const std::lock_guard lock(mutex_);
      if (ended_ || issued - start_ < contract_.run.warmup) continue;
      if (!succeeded) ++result_.failed;
      result_.lateness.push_back(lateness);
      if (succeeded) check_stages(times, done - issued);
      times[whole_] = succeeded ? done - issued : never;
      for (std::size_t i = 0; i < times.size(); ++i) result_.stages[i].samples.push_back(times[i]);
      if (result_.requests() >= contract_.run.min_requests &&
          done - start_ >= contract_.run.warmup + contract_.run.min_duration) {
        enough_ = ended_ = true;
      }
    }
  }

  bool is_dropped(Nanoseconds due) {
    if (contract_.load.max_outstanding == 0) return false;
    const std::lock_guard lock(mutex_);
    if (outstanding_.at(due) >= contract_.load.max_outstanding) return true;
    outstanding_.started();
    return false;
  }

  // False if the request failed, whose stages are all infinite then.
  bool serve(std::uint64_t number, Times& times) {
    std::string failure;
    try {
      Request request(number, names_, times);
      if (service_(request)) return true;
    } catch (const std::exception& error) {
      failure = error.what();
    }
    std::fill(times.begin(), times.end(), never);
    const std::lock_guard lock(mutex_);
    if (result_.first_failure.empty()) result_.first_failure = failure;
    return false;
  }

  void not_served(std::uint64_t number, std::uint64_t& counter) {
    const std::lock_guard lock(mutex_);
    if (number < schedule_.warmup) return;
    ++counter;
    close(number - schedule_.warmup);
  }

  void check_stages(const Times& times, Nanoseconds took) {
    Nanoseconds sum{0};
    for (std::size_t i = 0; i < times.size(); ++i) {
      if (i != whole_) sum += times[i];
    }
    if (!std::isfinite(sum.count())) {
      ++result_.without_stage;
    } else if (contract_.validity.stage_sum_gap && times.size() > 1) {
      const Nanoseconds gap{std::abs((sum - took).count())};
      if (gap > took * *contract_.validity.stage_sum_gap) ++result_.stage_sum_off;
    }
  }

  // A request has its result. Looks are taken at the requests in their order, however they ended.
  void close(std::uint64_t counted) {
    states_[counted] = State::done;
    while (!ended_ && prefix_ < states_.size() && states_[prefix_] == State::done) {
      if (looks_.any()) {
        for (std::size_t i = 0; i < limit_stages_.size(); ++i) {
          looks_.add(i, result_.stages[limit_stages_[i]].samples[prefix_] > contract_.limits[i].limit);
        }
      }
      ++prefix_;
      if (looks_.decided(prefix_)) enough_ = ended_ = true;
    }
  }

  void finish() {
    result_.elapsed = clock_.now() - start_;
    if (closed()) {
      result_.complete = enough_;
      return;
    }
    // Where a look decided or the run was stopped, what lies behind the requests that all have a result is no part of
    // it.
    for (auto& stage : result_.stages) stage.samples.resize(prefix_);
    result_.complete = enough_ || (!stopped_ && prefix_ == schedule_.counted());
  }

  const Contract& contract_;
  const Service& service_;
  LoadClock& clock_;
  const StopAsked& stop_asked_;
  const std::vector<std::string> names_;
  std::size_t whole_ = 0;
  std::vector<std::size_t> limit_stages_;
  const Schedule schedule_;
  Nanoseconds start_{0};

  std::atomic<std::uint64_t> next_ = 0;
  std::atomic<bool> ended_ = false, stopped_ = false;
  std::mutex mutex_;  // guards what follows
  LatencyRun result_;
  Looks looks_;
  Outstanding outstanding_;
  std::vector<State> states_;
  std::uint64_t prefix_ = 0;
  bool enough_ = false;
  std::exception_ptr broken_;
};

}  // namespace

Nanoseconds SteadyLoadClock::now() const { return SteadyClock().now(); }

void SteadyLoadClock::wait_until(Nanoseconds time) {
  const Nanoseconds left = time - now();
  if (left > awake) std::this_thread::sleep_for(left - awake);
  while (now() < time) {
  }
}

void Request::stage(std::string_view name, Nanoseconds time) {
  const auto found = std::find(stages_->begin(), stages_->end(), name);
  if (found == stages_->end() || name == whole_request) {
    throw Error(ErrorCode::bad_input, fmt::format("'{}' is no stage of the contract that a service reports", name));
  }
  if (!(time.count() >= 0) || !std::isfinite(time.count())) {
    throw Error(ErrorCode::bad_input, fmt::format("{} ns is no time of stage '{}'", time.count(), name));
  }
  Nanoseconds& sum = (*times_)[static_cast<std::size_t>(found - stages_->begin())];
  sum = std::isfinite(sum.count()) ? sum + time : time;
}

Schedule make_schedule(const Contract& contract, std::uint64_t repeat) {
  Schedule schedule;
  const Load& load = contract.load;
  const Nanoseconds warmup = contract.run.warmup, enough = warmup + contract.run.min_duration;
  if (load.kind == LoadKind::closed) return schedule;
  if (load.kind == LoadKind::trace) {
    schedule.arrivals = load.trace;
  } else {
    if (!(load.rate_hz > 0)) throw Error(ErrorCode::bad_input, "a schedule has a rate of more than 0 per second");
    Rng rng(derive_seed(contract.seed, repeat));
    const double gap = 1e9 / load.rate_hz;
    Nanoseconds at{0};
    std::uint64_t counted = 0;
    while (schedule.arrivals.empty() || counted < contract.run.min_requests || schedule.arrivals.back() < enough) {
      const auto number = static_cast<double>(schedule.arrivals.size());
      // Equal gaps are multiplied, not added up, so that no error grows over the run.
      at = load.kind == LoadKind::constant ? Nanoseconds{number * gap}
                                           : at + Nanoseconds{-std::log1p(-rng.uniform()) * gap};
      schedule.arrivals.push_back(at);
      if (at >= warmup) ++counted;
    }
  }
  const auto first = std::lower_bound(schedule.arrivals.begin(), schedule.arrivals.end(), warmup);
  schedule.warmup = static_cast<std::uint64_t>(first - schedule.arrivals.begin());
  return schedule;
}

LatencyRun run_load(const Contract& contract, std::uint64_t repeat, const Service& service, LoadClock& clock,
                    const StopAsked& stop_asked) {
  return LoadRun(contract, repeat, service, clock, stop_asked).run();
}

}  // namespace warpwright::validate
