// A check of configurations apart from the one of the search: on fresh inputs, and at the other sizes that the
// specification names in [verify]. What is to win or to be measured against must have passed it, so it comes before
// anything is timed. Size by size, so that the reference of a size is computed once.
#pragma once

#include <cstdint>
#include <functional>
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

  // It was not right at fresh inputs or another size.
  void fail(TrialStatus what, const std::string& at, const std::string& why);
};

// Gives the trial of a configuration the outcome that it had here. Its times go, for a time belongs to a correct result
// only.
void record_failure(Trial& trial, const Verified& failed);

// Thread-compatible; holds references to what it is given. Its tasks are a batch, which throws Error(bad_input) that
// names the size, and where it stands, at which the reference itself fails.
class SecondVerification {
 public:
  using Then = std::function<void()>;

  SecondVerification(const Problem& problem, const EvaluationInfo& info, std::uint64_t seed, TaskBatch& batch,
                     TimeAccount::Part part)
      : problem_(problem), info_(info), seed_(seed), batch_(batch), part_(part) {}

  // Whether there is a reference that can be computed again.
  bool possible() const;

  // Computes the reference at each size of [verify], so that a size at which it fails is told before anything is
  // measured.
  void check_references(Then then);

  // Checks the candidates, which must stay where they are until `then`. Does nothing where it is not possible().
  void run(std::vector<Verified>& candidates, Then then);

  // How a candidate that passed was verified, in words.
  std::string describe(const Verified& candidate) const;

 private:
  struct Size {
    std::uint64_t salt = 0;
    Configuration dimensions;  // none: fresh inputs at the problem's own size
    InputPosition position;    // in the specification
  };
  using Candidates = std::vector<Verified*>;
  std::vector<Size> sizes() const;
  execution::RunTask task_at(const Size& size) const;
  // One after the other, from the sizes that are left.
  void check_next(std::vector<Size> left, Then then);
  void run_next(std::vector<Size> left, std::vector<Verified>& candidates, Then then);
  void compute_reference(Size size, int attempts, Then then);
  void run_at(Size size, Candidates candidates, Then then);
  void judge(const Size& size, const Configuration& dimensions, Verified& candidate, execution::RunDone done) const;

  const Problem& problem_;
  const EvaluationInfo& info_;
  std::uint64_t seed_;
  TaskBatch& batch_;
  TimeAccount::Part part_;
};

}  // namespace warpwright::tuning
