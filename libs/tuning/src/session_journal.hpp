// The journal of a session: what its header holds, whether an older one may be continued, and what is kept from it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <warpwright/model/problem.hpp>
#include <warpwright/model/space.hpp>
#include <warpwright/store/journal.hpp>
#include <warpwright/tuning/session.hpp>

namespace warpwright::tuning {

// The name of the strategy to use: that of the session to resume, unless another one is asked for; of "auto", for a new
// session, exhaustive search where the budget covers the space.
std::string session_strategy(const Space& space, const SessionOptions& options);

struct SessionJournal {
  std::optional<store::Journal> journal;  // none where the session has no folder
  // Of a resumed session: trials of the space by ordinal; no configuration and no ordinal twice.
  std::vector<Trial> kept;
  std::optional<Trial> baseline;
  std::vector<std::string> warnings;
};

// Throws as Journal::create() and Journal::resume() do.
SessionJournal open_session_journal(const Problem& problem, const Space& space, const EvaluationInfo& evaluation,
                                    const std::string& strategy, const SessionOptions& options);

}  // namespace warpwright::tuning
