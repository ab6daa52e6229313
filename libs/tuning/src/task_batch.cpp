#include "task_batch.hpp"

#include <warpwright/base/error.hpp>

namespace warpwright::tuning {

Room room_of(const execution::Evaluation& evaluation) {
  return {evaluation.can_compile(), evaluation.can_run(), evaluation.can_queue_run()};
}

void give(execution::Evaluation& evaluation, Task task) {
  if (auto* compile = std::get_if<execution::CompileTask>(&task))
    evaluation.compile(std::move(*compile));
  else if (auto* run = std::get_if<execution::RunTask>(&task))
    evaluation.run(std::move(*run));
  else
    evaluation.interleave(std::move(std::get<execution::InterleaveTask>(task)));
}

void TaskBatch::begin(std::vector<Task> tasks, TimeAccount::Part part, Then then) {
  if (tasks.empty()) {
    then({});
    return;
  }
  first_ += tasks_.size();
  tasks_ = std::move(tasks);
  results_.assign(tasks_.size(), {});
  given_ = ended_ = 0;
  then_ = std::move(then);
  before_ = account_.enter(part);
}

std::optional<Task> TaskBatch::next(const Room& room) {
  if (!busy() || given_ == tasks_.size()) return std::nullopt;
  Task& task = tasks_[given_];
  if (!(std::holds_alternative<execution::CompileTask>(task) ? room.compile : room.run)) return std::nullopt;
  std::visit([&](auto& any) { any.id = first_ + given_; }, task);
  ++given_;
  return std::move(task);
}

void TaskBatch::take(execution::Completion completion) {
  if (const auto* compiled = std::get_if<execution::CompileDone>(&completion))
    account_.times().compile_cpu += compiled->cpu;
  const std::uint64_t id = std::visit([](const auto& done) { return done.id; }, completion);
  if (!busy() || id < first_ || id >= first_ + given_) return;
  results_[id - first_] = std::move(completion);
  if (++ended_ < results_.size()) return;
  account_.enter(before_);
  const Then then = std::exchange(then_, nullptr);
  then(std::move(results_));
}

void drive(TaskBatch& batch, execution::Evaluation& evaluation, const std::atomic<bool>* stop) {
  while (batch.busy()) {
    while (auto task = batch.next(room_of(evaluation))) give(evaluation, *std::move(task));
    if (auto completion = evaluation.wait(poll_interval))
      batch.take(*std::move(completion));
    else if (stop != nullptr && stop->load())
      throw Error(ErrorCode::interrupted, "interrupted");
  }
}

}  // namespace warpwright::tuning
