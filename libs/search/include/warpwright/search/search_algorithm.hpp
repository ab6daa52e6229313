// Search strategies as ask/tell objects: they see the space and what they are told, and own no clock, device, thread or
// file, so the same one serves sequential, parallel and replayed tuning.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <warpwright/model/space.hpp>
#include <warpwright/model/trial.hpp>

namespace warpwright {

// What became of one asked configuration. Invalid results are information: no sentinel numbers.
struct SearchOutcome {
  TrialStatus status = TrialStatus::ok;
  std::optional<double> objective;  // to be minimised; present when ok, a lower bound when censored
  Nanoseconds cost{};               // compile, verify and measure time charged to it
};

// Thread-compatible. Same seed, space and outcomes give the same questions, bit for bit, on every platform.
class SearchAlgorithm {
 public:
  virtual ~SearchAlgorithm() = default;
  // Up to `count` indices of the space, none asked before. Fewer (even none) may come while outcomes are outstanding;
  // none with nothing outstanding means the strategy has ended.
  virtual std::vector<std::uint64_t> ask(std::size_t count) = 0;
  // The outcome of an asked index, in any order.
  virtual void tell(std::uint64_t index, const SearchOutcome& outcome) = 0;
};

struct StrategyOption {
  std::string name, description;
  Value default_value;
  // Of an option that is a number; both ends belong to it.
  double minimum = 0, maximum = std::numeric_limits<double>::infinity();
};

struct StrategyInfo {
  std::string name, description;
  std::vector<StrategyOption> options;
  bool uses_seed = false;
};

// What a search may spend. Strategies that adapt to it take their stride from it; keeping it is the driver's job.
struct SearchBudget {
  std::optional<std::uint64_t> evaluations;  // unique configurations
  std::optional<Nanoseconds> cost;           // sum of SearchOutcome::cost
};

struct StrategySettings {
  std::uint64_t seed = 0;
  SearchBudget budget;
  std::map<std::string, Value> options;
  // Asked before anything else, in this order, where they are in the space (the baseline, another device's winner).
  std::vector<std::uint64_t> initial;
};

// Strategies by name. Thread-compatible.
class StrategyRegistry {
 public:
  using Factory = std::function<std::unique_ptr<SearchAlgorithm>(const Space&, const StrategySettings&)>;
  // The strategies shipped with the library.
  static StrategyRegistry with_defaults();
  void add(StrategyInfo info, Factory factory);
  const std::vector<StrategyInfo>& list() const { return infos_; }
  // The space must outlive the strategy. Throws Error(bad_input) for an unknown strategy or option ("did you mean").
  std::unique_ptr<SearchAlgorithm> create(const std::string& name, const Space& space,
                                          const StrategySettings& settings) const;

 private:
  std::vector<StrategyInfo> infos_;
  std::vector<Factory> factories_;
};

// Every index in canonical order.
std::unique_ptr<SearchAlgorithm> make_exhaustive(const Space& space, const StrategySettings& settings = {});
// Uniform without replacement: a seeded Fisher-Yates shuffle of the index range held as a sparse map, so memory grows
// with the number of asked configurations, not with the space.
std::unique_ptr<SearchAlgorithm> make_random(const Space& space, const StrategySettings& settings);
// The default: what did best over recorded spaces (docs/search.md); has no options.
std::unique_ptr<SearchAlgorithm> make_auto(const Space& space, const StrategySettings& settings);
// Bayesian optimisation: see the options in StrategyRegistry.
std::unique_ptr<SearchAlgorithm> make_bayesian(const Space& space, const StrategySettings& settings);
std::unique_ptr<SearchAlgorithm> make_local_search(const Space& space, const StrategySettings& settings);
std::unique_ptr<SearchAlgorithm> make_annealing(const Space& space, const StrategySettings& settings);
std::unique_ptr<SearchAlgorithm> make_tabu(const Space& space, const StrategySettings& settings);
std::unique_ptr<SearchAlgorithm> make_genetic(const Space& space, const StrategySettings& settings);
std::unique_ptr<SearchAlgorithm> make_differential_evolution(const Space& space, const StrategySettings& settings);
std::unique_ptr<SearchAlgorithm> make_particle_swarm(const Space& space, const StrategySettings& settings);
std::unique_ptr<SearchAlgorithm> make_quasi_random(const Space& space, const StrategySettings& settings);
std::unique_ptr<SearchAlgorithm> make_variable_neighbourhood(const Space& space, const StrategySettings& settings);
std::unique_ptr<SearchAlgorithm> make_forest(const Space& space, const StrategySettings& settings);
std::unique_ptr<SearchAlgorithm> make_portfolio(const Space& space, const StrategySettings& settings);

}  // namespace warpwright
