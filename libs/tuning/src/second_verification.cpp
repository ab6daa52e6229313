#include "second_verification.hpp"

#include <fmt/format.h>
#include <tuple>
#include <utility>

#include <warpwright/base/error.hpp>
#include <warpwright/base/rng.hpp>
#include <warpwright/measure/kernel_job.hpp>

namespace warpwright::tuning {
namespace {

std::string where(const Configuration& dimensions) {
  return dimensions.empty() ? "fresh inputs" : "size " + dimensions.describe();
}

// Whether another size compiles to the same binary: where no definition or option depends on it.
bool compiles_alike(const Problem& problem, const Problem& other, const Configuration& configuration,
                    const DeviceInfo& device) {
  const auto everything = [](const measure::StageJob& stage) {
    const device::CompileJob& job = stage.job;
    return std::tie(stage.stage, job.source, job.file_name, job.defines, job.options, job.include_folders, job.entries);
  };
  try {
    const auto own = measure::kernel_jobs(problem, configuration, device);
    const auto there = measure::kernel_jobs(other, configuration, device);
    return std::equal(own.begin(), own.end(), there.begin(), there.end(),
                      [&](const auto& a, const auto& b) { return everything(a) == everything(b); });
  } catch (const Error&) {
    return false;  // whoever compiles it meets the same error, as an outcome of the configuration
  }
}

}  // namespace

void Verified::fail(TrialStatus what, const std::string& at, const std::string& why) {
  status = what;
  message = fmt::format("second verification at {}: {}", at, why);
}

void record_failure(Trial& trial, const Verified& failed) {
  trial.status = failed.status;
  trial.message = failed.message;
  trial.mismatch = failed.mismatch;
  forget_times(trial);
  trial.finished_at = utc_now();
}

bool SecondVerification::possible() const {
  return info_.has_reference && !std::holds_alternative<ReferenceNpy>(problem_.reference);
}

std::vector<SecondVerification::Size> SecondVerification::sizes() const {
  std::vector<Size> all(1);
  for (std::size_t i = 0; i < problem_.verify_sizes.size(); ++i) {
    InputPosition position{{}, 0, 0, fmt::format("verify.sizes[{}]", i)};
    if (i < problem_.verify_positions.size()) position = problem_.verify_positions[i];
    all.push_back({0, problem_.verify_sizes[i], std::move(position)});
  }
  for (std::size_t i = 0; i < all.size(); ++i) all[i].salt = derive_seed(seed_, 100 + i) | 1;
  return all;
}

execution::RunTask SecondVerification::task_at(const Size& size) const {
  execution::RunTask task;
  task.dimensions = size.dimensions;
  task.input_salt = size.salt;
  task.timing.warmup = 0;
  task.timing.min_samples = task.timing.max_samples = 1;
  return task;
}

void SecondVerification::compute_reference(Size size, int attempts, Then then) {
  // A process that is lost says nothing about the reference unless it is lost again with it.
  constexpr int most_attempts = 3;
  execution::RunTask task = task_at(size);
  task.reference_only = true;
  const auto computed = [=, this](TaskBatch::Results results) {
    const auto& done = std::get<execution::RunDone>(results.front());
    if (!done.reference_failure && done.result.status == TrialStatus::ok) return then();
    if (!done.reference_failure && done.result.status == TrialStatus::crashed && attempts + 1 < most_attempts)
      return compute_reference(size, attempts + 1, then);
    const std::string reason = done.reference_failure
                                   ? *done.reference_failure
                                   : fmt::format("{}: {}", to_string(done.result.status), done.result.message);
    throw Error(
        ErrorCode::bad_input,
        size.dimensions.empty()
            ? "the reference fails with fresh inputs: " + reason
            : fmt::format("the reference fails at {}, so nothing can be verified there: {}; mend the reference or "
                          "take the size out",
                          size.dimensions.describe(), reason),
        size.position);
  };
  batch_.begin({std::move(task)}, part_, computed);
}

void SecondVerification::check_references(Then then) { check_next(sizes(), std::move(then)); }

void SecondVerification::check_next(std::vector<Size> left, Then then) {
  std::erase_if(left, [](const Size& size) { return size.dimensions.empty(); });
  if (left.empty() || !possible()) return then();
  Size size = left.front();
  left.erase(left.begin());
  compute_reference(std::move(size), 0, [=, this] { check_next(left, then); });
}

void SecondVerification::run(std::vector<Verified>& candidates, Then then) {
  run_next(possible() ? sizes() : std::vector<Size>{}, candidates, std::move(then));
}

void SecondVerification::run_next(std::vector<Size> left, std::vector<Verified>& candidates, Then then) {
  Candidates right;
  for (Verified& candidate : candidates)
    if (candidate.status == TrialStatus::ok) right.push_back(&candidate);
  if (left.empty() || right.empty()) return then();
  const Size size = left.front();
  left.erase(left.begin());
  compute_reference(size, 0, [=, this, &candidates] {
    run_at(size, right, [=, this, &candidates] { run_next(left, candidates, then); });
  });
}

void SecondVerification::run_at(Size size, Candidates candidates, Then then) {
  const Problem other = problem_.with_dimensions(size.dimensions);
  std::vector<Task> to_compile;
  std::vector<std::size_t> compiled_at(candidates.size());
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    const Configuration& configuration = candidates[i]->configuration;
    if (compiles_alike(problem_, other, configuration, info_.device)) continue;
    to_compile.push_back(execution::CompileTask{0, configuration, size.dimensions});
    compiled_at[i] = to_compile.size();
  }
  const auto compiled = [=, this, dimensions = other.dimensions](TaskBatch::Results binaries) {
    std::vector<Task> runs;
    Candidates running;
    for (std::size_t i = 0; i < candidates.size(); ++i) {
      Verified& candidate = *candidates[i];
      auto* done = compiled_at[i] > 0 ? &std::get<execution::CompileDone>(binaries[compiled_at[i] - 1]) : nullptr;
      if (done != nullptr && done->status != TrialStatus::ok) {
        candidate.fail(done->status, where(size.dimensions), done->message);
        continue;
      }
      execution::RunTask task = task_at(size);
      task.configuration = candidate.configuration;
      task.binary = done != nullptr ? std::move(done->binary) : *candidate.binary;
      runs.emplace_back(std::move(task));
      running.push_back(&candidate);
    }
    const auto ran = [=, this](TaskBatch::Results results) {
      for (std::size_t i = 0; i < running.size(); ++i)
        judge(size, dimensions, *running[i], std::get<execution::RunDone>(std::move(results[i])));
      then();
    };
    batch_.begin(std::move(runs), part_, ran);
  };
  batch_.begin(std::move(to_compile), part_, compiled);
}

void SecondVerification::judge(const Size& size, const Configuration& dimensions, Verified& candidate,
                               execution::RunDone done) const {
  if (done.reference_failure) {
    // It was computed a moment ago; the process that held it was lost meanwhile.
    throw Error(ErrorCode::bad_input,
                fmt::format("the reference failed at {} after it had been right: {}", where(size.dimensions),
                            *done.reference_failure),
                size.position);
  }
  if (done.result.status == TrialStatus::ok) {
    ++candidate.checked;
    if (!size.dimensions.empty()) candidate.sizes.push_back(dimensions);
  } else if (done.result.status == TrialStatus::pruned) {
    candidate.not_launched += fmt::format("; not launchable at {}: {}", where(size.dimensions), done.result.message);
  } else {
    candidate.fail(done.result.status, where(size.dimensions), done.result.message);
    candidate.mismatch = std::move(done.result.mismatch);
  }
}

std::string SecondVerification::describe(const Verified& candidate) const {
  if (!info_.has_reference)
    return info_.unverified.empty() ? "not verified: the specification has no [reference]"
                                    : "not verified: " + info_.unverified;
  const std::string first = "verified against " + info_.reference;
  if (!possible()) return first + "; re-verified: no (fixed reference)";
  const std::size_t others = candidate.checked == 0 ? 0 : candidate.checked - 1;
  return fmt::format("{}; re-verified: {}{}", first,
                     candidate.checked == 0 ? "no"
                     : others == 0
                         ? "yes, on fresh inputs"
                         : fmt::format("yes, on fresh inputs and {} other size{}", others, others == 1 ? "" : "s"),
                     candidate.not_launched);
}

}  // namespace warpwright::tuning
