#include <algorithm>
#include <cmath>

#include <warpwright/base/error.hpp>
#include <warpwright/search/search_algorithm.hpp>

namespace warpwright {
namespace {

std::string join(const std::vector<std::string>& words) {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

bool same_kind(const Value& a, const Value& b) {
  // An integer is welcome where a fraction is expected, not the reverse.
  return a.index() == b.index() || (std::holds_alternative<double>(a) && std::holds_alternative<std::int64_t>(b));
}

std::string kind_name(const Value& value) {
  if (std::holds_alternative<std::int64_t>(value)) return "an integer";
  if (std::holds_alternative<double>(value)) return "a number";
  return std::holds_alternative<bool>(value) ? "true or false" : "a string";
}

void check_options(const StrategyInfo& info, const StrategySettings& settings) {
  std::vector<std::string> known;
  for (const auto& option : info.options) known.push_back(option.name);
  for (const auto& [name, value] : settings.options) {
    const auto option = std::find_if(info.options.begin(), info.options.end(),
                                     [&, wanted = &name](const StrategyOption& o) { return o.name == *wanted; });
    if (option == info.options.end()) {
      std::string message = "strategy '" + info.name + "' has no option '" + name + "'";
      if (known.empty()) throw Error(ErrorCode::bad_input, message + "; it has none at all");
      if (const auto match = closest_match(name, known)) message += "; did you mean '" + *match + "'?";
      throw Error(ErrorCode::bad_input, message + "; its options are " + join(known));
    }
    if (!same_kind(option->default_value, value)) {
      throw Error(ErrorCode::bad_input, "option '" + name + "' of strategy '" + info.name + "' must be " +
                                            kind_name(option->default_value) + " (default " +
                                            to_literal(option->default_value) + "), found " + to_literal(value));
    }
    const auto number = as_number(value);
    if (std::holds_alternative<bool>(value) || std::holds_alternative<std::string>(value) || !number) continue;
    if (!(*number >= option->minimum && *number <= option->maximum)) {
      const auto text = [&](double end) {
        return std::holds_alternative<std::int64_t>(option->default_value)
                   ? std::to_string(static_cast<std::int64_t>(end))
                   : to_string(Value(end));
      };
      std::string range = "at least " + text(option->minimum);
      if (std::isfinite(option->maximum)) range = "from " + text(option->minimum) + " to " + text(option->maximum);
      throw Error(ErrorCode::bad_input, "option '" + name + "' of strategy '" + info.name + "' must be " + range +
                                            " (default " + to_literal(option->default_value) + "), found " +
                                            to_literal(value));
    }
  }
}

}  // namespace

StrategyRegistry StrategyRegistry::with_defaults() {
  StrategyRegistry registry;
  registry.add({"exhaustive", "Every valid configuration, in the order of the space", {}, false}, &make_exhaustive);
  registry.add({"random", "Valid configurations uniformly at random, none twice", {}, true}, &make_random);
  registry.add(
      {"auto", "The default: Bayesian optimisation with the options that did best over recorded spaces", {}, true},
      &make_auto);
  registry.add(
      {"bayesian",
       "Gaussian process on the logarithm of the objective; asks for the best expected improvement per cost",
       {{"initial", "questions of the initial Latin hypercube", std::int64_t{4}, 1},
        {"cost_weight", "exponent of the cost in the improvement per cost; 0 ignores it", 1.0},
        {"length", "correlation length to start from, in parts of a parameter's range", 2.0, 0.001},
        {"active", "observations kept when the model is made anew", std::int64_t{160}, 8},
        {"window", "observations at which that happens", std::int64_t{256}, 9},
        {"pool", "most candidates looked at; smaller spaces are seen as a whole", std::int64_t{12000}, 64},
        {"fitted", "most observations to fit correlation lengths to", std::int64_t{80}, 4},
        {"effort", "candidates times observations squared that a new model predicts", std::int64_t{4000000}, 1}},
       true},
      &make_bayesian);
  registry.add(
      {"local-search",
       "Iterated local search: first improvement in a shuffled neighbourhood, random walks between optima",
       {{"neighbourhood", "hamming, hamming-adjacent, strictly-adjacent, adjacent or closest", std::string("hamming")},
        {"walk", "steps of the walk from a local optimum", std::int64_t{3}, 1},
        {"restart", "probability of a fresh start instead of a walk", 0.2, 0, 1}},
       true},
      &make_local_search);
  registry.add({"annealing",
                "Simulated annealing over Hamming neighbours, cooled by what is spent of the budget",
                {{"start_temperature", "relative worsening accepted with probability 1/e at the start", 0.5, 1e-09},
                 {"end_temperature", "the same at the end of the budget", 0.001, 1e-09},
                 {"patience", "rejections in a row before the walk returns to the best", std::int64_t{100}, 1}},
                true},
               &make_annealing);
  registry.add({"tabu",
                "Tabu search: to the best of some neighbours that were not visited lately",
                {{"tenure", "visits that stay forbidden", std::int64_t{100}},
                 {"width", "neighbours looked at in each step", std::int64_t{8}, 1}},
                true},
               &make_tabu);
  registry.add({"genetic",
                "Genetic algorithm with uniform crossover and repair",
                {{"population", "configurations in a generation", std::int64_t{20}, 2},
                 {"elite", "best that survive", std::int64_t{4}},
                 {"mutation", "probability of a new value, for each parameter", 0.15, 0, 1}},
                true},
               &make_genetic);
  registry.add({"differential-evolution",
                "Differential evolution (best/1/bin) on positions, with repair",
                {{"population", "configurations in a generation", std::int64_t{16}, 4},
                 {"factor", "weight of the difference", 0.7},
                 {"crossover", "probability that a parameter changes", 0.6, 0, 1}},
                true},
               &make_differential_evolution);
  registry.add({"particle-swarm",
                "Particle swarm on positions, with repair",
                {{"particles", "number of particles", std::int64_t{16}, 1},
                 {"inertia", "part of the velocity that stays", 0.5},
                 {"own", "pull of a particle's own best", 2.0},
                 {"common", "pull of the best of all", 1.0}},
                true},
               &make_particle_swarm);
  registry.add(
      {"quasi-random", "Halton points over the positions of the values, with repair; learns nothing", {}, true},
      &make_quasi_random);
  registry.add({"variable-neighbourhood",
                "Neighbourhoods from small to large, guided by the nearest known results",
                {{"nearest", "known results that a prediction is made of", std::int64_t{5}, 1},
                 {"width", "neighbours that are compared for each question", std::int64_t{8}, 1},
                 {"patience", "questions without improvement before a new start", std::int64_t{60}, 1},
                 {"elite", "best results that a new start is made of", std::int64_t{5}, 2},
                 {"temperature", "relative worsening accepted with probability 1/e at the start; falls to 0", 0.1}},
                true},
               &make_variable_neighbourhood);
  registry.add({"forest",
                "A forest of randomised trees as the model; asks for the best expected improvement",
                {{"initial", "questions of the initial Latin hypercube", std::int64_t{8}, 2},
                 {"trees", "trees of the forest", std::int64_t{24}, 2},
                 {"group", "fewest questions asked before the forest is made anew", std::int64_t{4}, 1},
                 {"sample", "random candidates beside the neighbours of the best", std::int64_t{400}, 1}},
                true},
               &make_forest);
  registry.add({"portfolio",
                "Several strategies; a bandit gives the questions to those that find improvements",
                {{"strategies", "names of the strategies, separated by commas",
                  std::string("bayesian,variable-neighbourhood,genetic,local-search")},
                 {"window", "latest questions that count for the credit", std::int64_t{100}, 1},
                 {"exploration", "weight of the bonus for strategies that were tried less", 0.05}},
                true},
               &make_portfolio);
  return registry;
}

void StrategyRegistry::add(StrategyInfo info, Factory factory) {
  const auto same = [&](const StrategyInfo& other) { return other.name == info.name; };
  if (std::any_of(infos_.begin(), infos_.end(), same)) {
    throw Error(ErrorCode::conflict, "a strategy named '" + info.name + "' is registered already");
  }
  infos_.push_back(std::move(info));
  factories_.push_back(std::move(factory));
}

std::unique_ptr<SearchAlgorithm> StrategyRegistry::create(const std::string& name, const Space& space,
                                                          const StrategySettings& settings) const {
  std::vector<std::string> known;
  for (std::size_t i = 0; i < infos_.size(); ++i) {
    known.push_back(infos_[i].name);
    if (infos_[i].name != name) continue;
    check_options(infos_[i], settings);
    return factories_[i](space, settings);
  }
  std::string message = "unknown strategy '" + name + "'";
  if (const auto match = closest_match(name, known)) message += "; did you mean '" + *match + "'?";
  throw Error(ErrorCode::bad_input, message + "; known are " + join(known));
}

}  // namespace warpwright
