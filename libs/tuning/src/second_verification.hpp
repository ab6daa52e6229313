// A check of configurations apart from the one of the search: on fresh inputs, and at the other sizes that the
// specification names in [verify]. What is to win or to be measured against must have passed it, so it comes before
// anything is timed. Size by size, so that the reference of a size is computed once.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <warpwright/execution/evaluation.hpp>
#include <warpwright/model/problem.hpp>

#include "evaluator.hpp"

namespace warpwright::tuning {

// A configuration to check, and what was found.
struct Verified {
  Configuration configuration;
  const Binary* binary = nullptr;        // at the problem's own size; not owned
  TrialStatus status = TrialStatus::ok;  // what it was where it failed first
  std::string message;                   // and why, with the size
  std::optional<Mismatch> mismatch;
  std::size_t checked = 0;           // how often it was right: on fresh inputs and at other sizes
  std::vector<Configuration> sizes;  // other problem sizes at which it was right, all dimensions
  std::string not_launched;          // sizes that the device does not allow it, in words; no failure
};

// Gives the trial of a configuration the outcome that it had here. Its times go, for a time belongs to a correct result
// only.
void record_failure(Trial& trial, const Verified& failed);

// Thread-compatible; holds references to what it is given. Every member waits; all but check_references throw
// Error(interrupted) when told to stop, and Error(bad_input) that names the size, and where it stands, at which the
// reference itself fails.
class SecondVerification {
 public:
  SecondVerification(const Problem& problem, const EvaluationInfo& info, std::uint64_t seed, Evaluator& evaluator,
                     TimeAccount::Part part, const std::atomic<bool>* stop)
      : problem_(problem), info_(info), seed_(seed), evaluator_(evaluator), part_(part), stop_(stop) {}

  // Whether there is a reference that can be computed again.
  bool possible() const;

  // Computes the reference at each size of [verify], so that a size at which it fails is told before anything is
  // measured.
  void check_references();

  // Does nothing where it is not possible().
  void run(std::vector<Verified>& candidates);

  // How a candidate that passed was verified, in words.
  std::string describe(const Verified& candidate) const;

 private:
  struct Size {
    std::uint64_t salt = 0;
    Configuration dimensions;  // none: fresh inputs at the problem's own size
    InputPosition position;    // in the specification
  };
  std::vector<Size> sizes() const;
  execution::RunTask task_at(const Size& size) const;
  void compute_reference(const Size& size);
  void run_at(const Size& size, std::vector<Verified*> candidates);

  const Problem& problem_;
  const EvaluationInfo& info_;
  std::uint64_t seed_;
  Evaluator& evaluator_;
  TimeAccount::Part part_;
  const std::atomic<bool>* stop_;
};

}  // namespace warpwright::tuning
