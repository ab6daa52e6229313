// Tasks outside of a search, and what is to be done with their results: the code that wants them says so and returns,
// and goes on in a function when all of them have ended. So nothing here waits, and whoever drives a session is the
// only one who does.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include <warpwright/base/clock.hpp>
#include <warpwright/execution/evaluation.hpp>

#include "time_account.hpp"
#include "trial_schedule.hpp"

namespace warpwright::tuning {

// Longest wait between looks at the stop flag and the time limit.
inline constexpr Nanoseconds poll_interval{200e6};
// Task ids outside the search lie above those of trials, which are ordinals.
inline constexpr std::uint64_t first_extra_id = std::uint64_t{1} << 62;

using Task = std::variant<execution::CompileTask, execution::RunTask, execution::InterleaveTask>;

Room room_of(const execution::Evaluation& evaluation);
void give(execution::Evaluation& evaluation, Task task);

// Thread-compatible; holds a reference to the account.
class TaskBatch {
 public:
  using Results = std::vector<execution::Completion>;
  using Then = std::function<void(Results)>;

  explicit TaskBatch(TimeAccount& account) : account_(account) {}

  // To be called when it is not busy. The tasks get ids of their own and are given in their order; `then` gets the
  // results in that order, at once where there are no tasks, and may begin the next batch. Until then time belongs to
  // `part`.
  void begin(std::vector<Task> tasks, TimeAccount::Part part, Then then);
  bool busy() const { return then_ != nullptr; }
  // The next task, if there is room for it.
  std::optional<Task> next(const Room& room);
  // What ended; what is of no task of this batch (the search gave it up) is dropped. Throws what `then` throws.
  void take(execution::Completion completion);

 private:
  TimeAccount& account_;
  TimeAccount::Part before_ = TimeAccount::Part::startup;
  std::vector<Task> tasks_;
  Results results_;
  Then then_;
  std::uint64_t first_ = first_extra_id;
  std::size_t given_ = 0, ended_ = 0;
};

// Waits until the batch and all that it begins has ended. Throws Error(interrupted) when `stop` is set and nothing
// ends.
void drive(TaskBatch& batch, execution::Evaluation& evaluation, const std::atomic<bool>* stop);

}  // namespace warpwright::tuning
