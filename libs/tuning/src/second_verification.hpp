// A check of a configuration apart from the one of the search: on fresh inputs, and at the other sizes that the
// specification names in [verify].
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <warpwright/model/problem.hpp>
#include <warpwright/tuning/session.hpp>

#include "evaluator.hpp"

namespace warpwright::tuning {

// Thread-compatible; holds references to what it is given. Time is charged to the part `finish`.
class SecondVerification {
 public:
  SecondVerification(const Problem& problem, const SessionOptions& options, Evaluator& evaluator)
      : problem_(problem), options_(options), evaluator_(evaluator) {}

  // Checks result.best and says in result.verification and result.reverified how; the reason if it is wrong. Throws
  // Error(interrupted) when the session is told to stop.
  std::optional<std::string> run(SessionResult& result);

 private:
  const Problem& problem_;
  const SessionOptions& options_;
  Evaluator& evaluator_;
};

}  // namespace warpwright::tuning
