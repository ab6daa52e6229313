#include "second_verification.hpp"

#include <cstdint>
#include <fmt/format.h>
#include <optional>
#include <utility>

#include <warpwright/base/rng.hpp>

namespace warpwright::tuning {

// Checks the winner on fresh inputs, here and at the specification's other sizes; the reason if it is wrong.
std::optional<std::string> SecondVerification::run(SessionResult& result) {
  if (!result.evaluation.has_reference) return std::nullopt;
  const std::string first = "verified against " + result.evaluation.reference;
  if (std::holds_alternative<ReferenceNpy>(problem_.reference)) {
    result.verification = first + "; re-verified: no (fixed reference)";
    return std::nullopt;
  }
  std::vector<Configuration> sizes{Configuration{}};
  sizes.insert(sizes.end(), problem_.verify_sizes.begin(), problem_.verify_sizes.end());
  result.verified_sizes.clear();
  std::size_t checked = 0;
  std::string skipped;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    const std::uint64_t id = first_extra_id + 2 + i;
    CompileDone compiled =
        evaluator_.compile_now({id, *result.best, sizes[i]}, TimeAccount::Part::finish, options_.stop);
    measure::RunResult outcome;
    outcome.status = compiled.status;
    outcome.message = compiled.message;
    if (compiled.status == TrialStatus::ok) {
      RunTask task{id,
                   *result.best,
                   std::move(compiled.binary),
                   options_.timing,
                   sizes[i],
                   derive_seed(result.seed, 100 + i) | 1};
      task.timing.warmup = 0;
      task.timing.min_samples = task.timing.max_samples = 1;
      outcome = evaluator_.run_now(std::move(task), TimeAccount::Part::finish, options_.stop).result;
    }
    const std::string where = sizes[i].empty() ? "fresh inputs" : "size " + sizes[i].describe();
    if (outcome.status == TrialStatus::ok) {
      ++checked;
      if (!sizes[i].empty()) {
        Configuration size = problem_.dimensions;
        for (const auto& [name, value] : sizes[i]) size.set(name, value);
        result.verified_sizes.push_back(std::move(size));
      }
    } else if (outcome.status == TrialStatus::pruned) {
      skipped += "; not launchable at " + where + ": " + outcome.message;
    } else {
      return fmt::format("{} at {}: {}", to_string(outcome.status), where, outcome.message);
    }
  }
  result.reverified = checked > 0;
  result.verification = fmt::format(
      "{}; re-verified: {}{}", first,
      checked == 0   ? "no"
      : checked == 1 ? "yes, on fresh inputs"
                     : fmt::format("yes, on fresh inputs and {} other size{}", checked - 1, checked == 2 ? "" : "s"),
      skipped);
  return std::nullopt;
}

}  // namespace warpwright::tuning
