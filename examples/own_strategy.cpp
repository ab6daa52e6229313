// A search strategy of one's own, registered beside the shipped ones and compared with random search on a made-up
// kernel: coordinate descent, which tries every value of one parameter after the other.
#include <cstdio>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <warpwright/base/rng.hpp>
#include <warpwright/search/search_algorithm.hpp>

using namespace warpwright;

class CoordinateDescent final : public SearchAlgorithm {
 public:
  CoordinateDescent(const Space& space, const StrategySettings& settings) : space_(space), rng_(settings.seed) {}

  std::vector<std::uint64_t> ask(std::size_t count) override {
    std::vector<std::uint64_t> questions;
    while (questions.size() < count && asked_.size() < space_.size()) {
      if (queue_.empty() && outstanding_ == 0) refill();
      if (queue_.empty()) break;
      if (asked_.insert(queue_.back()).second) questions.push_back(queue_.back()), ++outstanding_;
      queue_.pop_back();
    }
    return questions;
  }

  void tell(std::uint64_t index, const SearchOutcome& outcome) override {
    --outstanding_;
    if (outcome.objective && *outcome.objective < best_time_) best_time_ = *outcome.objective, best_ = index;
  }

 private:
  void refill() {
    Choice choice = space_.choice_at(best_ ? *best_ : space_.draw(rng_));
    const std::size_t p = parameter_++ % choice.size();
    for (choice[p] = 0; choice[p] < space_.parameters()[p].values.size(); ++choice[p])
      if (const auto index = space_.find_choice(choice)) queue_.push_back(*index);
    if (parameter_ % (2 * choice.size()) == 0) queue_.push_back(space_.draw(rng_));  // nothing moves any more
  }

  const Space& space_;
  Rng rng_;
  std::set<std::uint64_t> asked_;
  std::vector<std::uint64_t> queue_;
  std::optional<std::uint64_t> best_;
  double best_time_ = 1e300;
  std::size_t outstanding_ = 0, parameter_ = 0;
};

// The time of a kernel that does not exist, in milliseconds.
double time_of(const Configuration& c) {
  const auto x = static_cast<double>(*as_integer(c.at("block_x"))),
             tile = static_cast<double>(*as_integer(c.at("tile")));
  return 1 + (x - 96) * (x - 96) / 4096 + (tile - 3) * (tile - 3) / 4 +
         (c.at("layout") == Value(std::string("row")) ? 0.5 : 0);
}

int main() {
  std::vector<Parameter> parameters(3);
  parameters[0].name = "block_x";
  for (std::int64_t v = 32; v <= 512; v += 32) parameters[0].values.emplace_back(v);
  parameters[1].name = "tile";
  for (std::int64_t v = 1; v <= 8; ++v) parameters[1].values.emplace_back(v);
  parameters[2].name = "layout";
  parameters[2].values = {std::string("row"), std::string("padded")};
  const auto space = build_space(parameters, {Constraint::parse("block_x * tile <= 1024")});

  StrategyRegistry strategies = StrategyRegistry::with_defaults();
  strategies.add({"coordinate-descent", "Every value of one parameter after the other", {}, true},
                 [](const Space& s, const StrategySettings& settings) {
                   return std::make_unique<CoordinateDescent>(s, settings);
                 });
  double found[2] = {};
  const char* const names[2] = {"coordinate-descent", "random"};
  for (int i = 0; i < 2; ++i) {
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
      StrategySettings settings;
      settings.seed = seed;
      const auto strategy = strategies.create(names[i], *space, settings);
      double best = 1e300;
      for (int evaluation = 0; evaluation < 40; ++evaluation) {
        const auto question = strategy->ask(1);
        if (question.empty()) break;
        const double time = time_of(space->at(question[0]));
        strategy->tell(question[0], {TrialStatus::ok, time, Nanoseconds(time * 1e6)});
        best = best < time ? best : time;
      }
      found[i] += best / 20;
    }
    std::printf("%-20s mean of the best times after 40 of %llu configurations: %.3f ms\n", names[i],
                static_cast<unsigned long long>(space->size()), found[i]);
  }
  return found[0] < found[1] ? 0 : 1;
}
