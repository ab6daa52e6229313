#include "trial_schedule.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace warpwright::tuning {
namespace {

// Binaries compiled ahead of the device beyond this wait in vain.
constexpr std::size_t max_compiled_ahead = 32;
// How many times over the configurations under way keep the device busy until one more could be compiled, and how many
// there are beyond that. More would be chosen without the results of those that wait.
constexpr double supply_margin = 2;
constexpr std::size_t least_under_way = 3;
// Where the device is the CPU, compiling and measuring alternate. Compiled in batches, configurations keep every core
// busy in the compiling phase; small batches let the strategy hear of results soon.
constexpr std::size_t alternating_batch = 8;
// Behind a run that took longer nothing is queued: an end of the session waits for what the device was given, and there
// is nothing to gain.
constexpr Nanoseconds longest_to_queue_behind{1e9};

}  // namespace

void RecentMean::add(Nanoseconds time) {
  constexpr int window = 16;
  count_ = std::min(count_ + 1, window);
  mean_ += (time - mean_) / static_cast<double>(count_);
}

// Whether one more is to be compiled while so many wait for the device and so many are being compiled.
bool TrialSchedule::wants_binaries(std::size_t ready, std::size_t compiling) const {
  if (sharing_ == Sharing::alternating) return runs_.empty() && ready < alternating_batch;
  return ready < max_compiled_ahead && ready + compiling < under_way_for_device();
}

std::size_t TrialSchedule::under_way_for_device() const {
  constexpr std::size_t any = std::numeric_limits<std::size_t>::max();
  if (!device_time_.known() || !compile_time_.known() || device_time_.mean().count() <= 0) return any;
  const double runs = supply_margin * (compile_time_.mean() / device_time_.mean());
  return runs < 1e6 ? least_under_way + static_cast<std::size_t>(std::ceil(runs)) : any;
}

bool TrialSchedule::wants_run(const Room& room) const {
  if (closed_ || ready_.empty()) return false;
  if (sharing_ == Sharing::alternating && compiling_ > 0) return false;
  return runs_.empty() ? room.run : room.queue_run && last_run_time_ < longest_to_queue_behind;
}

void TrialSchedule::keep(std::uint64_t ordinal) {
  ordinals_.take(ordinal);
  ++asked_;
}

std::uint64_t TrialSchedule::ask() {
  ++asked_;
  return ordinals_.next();
}

void TrialSchedule::compile(Item item) {
  ++compiling_;
  const std::uint64_t ordinal = item.trial.ordinal;
  items_.emplace(ordinal, std::move(item));
}

void TrialSchedule::make_ready(Item item) {
  ready_.push_back(item.trial.ordinal);
  items_.emplace(item.trial.ordinal, std::move(item));
}

TrialSchedule::Item* TrialSchedule::compiled(std::uint64_t ordinal, Nanoseconds wall) {
  --compiling_;
  const auto found = items_.find(ordinal);
  if (found == items_.end()) return nullptr;
  compile_time_.add(wall);
  return &found->second;
}

TrialSchedule::Item& TrialSchedule::run() {
  const std::uint64_t ordinal = ready_.front();
  ready_.pop_front();
  runs_.push_back(ordinal);
  return items_.at(ordinal);
}

TrialSchedule::Item* TrialSchedule::ran(std::uint64_t ordinal, Nanoseconds time) {
  last_run_time_ = time;
  device_time_.add(time);
  std::erase(runs_, ordinal);
  const auto found = items_.find(ordinal);
  return found == items_.end() ? nullptr : &found->second;
}

TrialSchedule::Item TrialSchedule::remove(std::uint64_t ordinal) { return std::move(items_.extract(ordinal).mapped()); }

void TrialSchedule::drop() {
  items_.clear();
  ready_.clear();
}

}  // namespace warpwright::tuning
