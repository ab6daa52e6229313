#include <warpwright/model/trial.hpp>

namespace warpwright {

std::string_view to_string(TrialStatus status) noexcept {
  switch (status) {
    case TrialStatus::ok:
      return "ok";
    case TrialStatus::censored:
      return "censored";
    case TrialStatus::pruned:
      return "pruned";
    case TrialStatus::compile_failed:
      return "compile_failed";
    case TrialStatus::compile_timed_out:
      return "compile_timed_out";
    case TrialStatus::resource_exceeded:
      return "resource_exceeded";
    case TrialStatus::launch_failed:
      return "launch_failed";
    case TrialStatus::timed_out:
      return "timed_out";
    case TrialStatus::crashed:
      return "crashed";
    case TrialStatus::device_fault:
      return "device_fault";
    case TrialStatus::wrong_result:
      return "wrong_result";
    case TrialStatus::not_finite:
      return "not_finite";
    case TrialStatus::out_of_bounds:
      return "out_of_bounds";
    case TrialStatus::nondeterministic:
      return "nondeterministic";
  }
  return "unknown";
}

std::optional<TrialStatus> parse_trial_status(std::string_view text) {
  for (int i = 0; i < trial_status_count; ++i) {
    const auto status = static_cast<TrialStatus>(i);
    if (to_string(status) == text) return status;
  }
  return std::nullopt;
}

}  // namespace warpwright
