// Several strategies under one bandit (as OpenTuner's, Ansel et al. 2014): each question is given to the strategy with
// the best credit, which is the area under its curve of successes within a sliding window, plus a bonus for those that
// were tried less. A success is a result better than all before. Strategies do not see each other's results; what was
// measured already is answered from memory.
#include <algorithm>
#include <boost/unordered/unordered_flat_map.hpp>
#include <cmath>
#include <deque>

#include <warpwright/base/error.hpp>
#include <warpwright/base/rng.hpp>

#include "initial_questions.hpp"
#include "options.hpp"

namespace warpwright {
namespace {

// Answers from memory to one strategy in a row before another is asked.
constexpr std::size_t most_known = 200;

class Portfolio final : public SearchAlgorithm {
 public:
  Portfolio(const Space& space, const StrategySettings& settings)
      : space_(space),
        window_(std::max<std::uint64_t>(1, detail::integer_option(settings, "window", 100))),
        exploration_(detail::number_option(settings, "exploration", 0.05)),
        initial_count_(settings.initial.size()),
        initial_(space, settings) {
    std::string names = "bayesian,variable-neighbourhood,genetic,local-search";
    if (const auto given = settings.options.find("strategies"); given != settings.options.end())
      names = std::get<std::string>(given->second);
    const StrategyRegistry registry = StrategyRegistry::with_defaults();
    for (std::size_t begin = 0; begin <= names.size();) {
      const std::size_t end = std::min(names.find(',', begin), names.size());
      const std::string name = names.substr(begin, end - begin);
      if (name == "portfolio")
        throw Error(ErrorCode::bad_input, "option 'strategies': a portfolio cannot hold a portfolio");
      StrategySettings own;
      own.seed = derive_seed(settings.seed, arms_.size());
      own.budget = settings.budget;
      own.initial = settings.initial;  // answered from memory: each begins with what is known
      arms_.push_back({registry.create(name, space, own), false, 0});
      begin = end + 1;
    }
  }

  std::vector<std::uint64_t> ask(std::size_t count) override {
    std::vector<std::uint64_t> asked;
    initial_.ask(count, asked);
    for (const std::uint64_t index : asked) questions_.emplace(index, Question{});
    while (asked.size() < count && questions_.size() < space_.size()) {
      const auto next = next_question();
      if (!next) break;
      asked.push_back(*next);
    }
    for (Arm& arm : arms_) arm.waits = false;
    return asked;
  }

  void tell(std::uint64_t index, const SearchOutcome& outcome) override {
    const auto place = questions_.find(index);
    if (place == questions_.end() || place->second.answered) return;
    Question& question = place->second;
    question.answered = true;
    question.outcome = outcome;
    told_.push_back(index);
  }

 private:
  struct Arm {
    std::unique_ptr<SearchAlgorithm> strategy;
    bool waits = false;  // has no question before an answer comes
    std::uint64_t used = 0;
  };
  struct Question {
    std::uint64_t ordinal = 0;
    std::optional<std::size_t> asker;   // whose success it is
    std::vector<std::size_t> awaiting;  // arms that asked it and have no answer
    bool answered = false;
    SearchOutcome outcome;
  };
  struct Use {
    std::size_t arm;
    bool success;
  };

  std::optional<std::uint64_t> next_question() {
    take_answers();
    for (;;) {
      const auto arm = best_arm();
      if (!arm) return std::nullopt;
      // What every strategy begins with is known, too.
      const std::size_t limit = most_known + (arms_[*arm].used == 0 ? initial_count_ : 0);
      for (std::size_t known = 0; known < limit; ++known) {
        const std::vector<std::uint64_t> next = arms_[*arm].strategy->ask(1);
        if (next.empty()) {
          arms_[*arm].waits = true;
          break;
        }
        const auto [place, fresh] = questions_.try_emplace(next.front());
        Question& question = place->second;
        if (fresh) {
          question.ordinal = ++ordinals_;
          question.asker = *arm;
          question.awaiting.push_back(*arm);
          ++arms_[*arm].used;
          return next.front();
        }
        if (question.answered)
          arms_[*arm].strategy->tell(next.front(), question.outcome);
        else
          question.awaiting.push_back(*arm);
      }
      // Known places only: the others have their turn, and this one goes on at the next question.
      arms_[*arm].waits = true;
      if (std::all_of(arms_.begin(), arms_.end(), [](const Arm& other) { return other.waits; })) {
        const bool outstanding =
            std::any_of(questions_.begin(), questions_.end(), [](const auto& entry) { return !entry.second.answered; });
        if (outstanding) return std::nullopt;
        return first_unseen();
      }
    }
  }

  // No strategy has a question though configurations are left: the first that was never asked.
  std::optional<std::uint64_t> first_unseen() {
    while (unseen_ < space_.size() && questions_.contains(unseen_)) ++unseen_;
    if (unseen_ == space_.size()) return std::nullopt;
    questions_[unseen_].ordinal = ++ordinals_;
    return unseen_;
  }

  // In the order of the questions, so that the order of the answers does not matter.
  void take_answers() {
    std::sort(told_.begin(), told_.end(), [&](std::uint64_t a, std::uint64_t b) {
      return std::pair(questions_[a].ordinal, a) < std::pair(questions_[b].ordinal, b);
    });
    for (const std::uint64_t index : told_) {
      Question& question = questions_[index];
      const SearchOutcome& outcome = question.outcome;
      const bool valid = outcome.status == TrialStatus::ok && outcome.objective && std::isfinite(*outcome.objective);
      const bool success = valid && (!best_ || *outcome.objective < *best_);
      if (success) best_ = outcome.objective;
      if (question.asker) {
        uses_.push_back({*question.asker, success});
        if (uses_.size() > window_) uses_.pop_front();
      }
      for (const std::size_t arm : question.awaiting) arms_[arm].strategy->tell(index, outcome);
      question.awaiting.clear();
    }
    if (!told_.empty())
      for (Arm& arm : arms_) arm.waits = false;
    told_.clear();
  }

  std::optional<std::size_t> best_arm() const {
    std::optional<std::size_t> chosen;
    double most = 0;
    for (std::size_t a = 0; a < arms_.size(); ++a) {
      if (arms_[a].waits) continue;
      // Later successes weigh more: the area under the curve of their number.
      double area = 0, uses = 0;
      for (const Use& use : uses_) {
        if (use.arm != a) continue;
        ++uses;
        if (use.success) area += uses;
      }
      const double credit = uses > 0 ? 2 * area / (uses * (uses + 1)) : 0;
      const double bonus = uses > 0 ? std::sqrt(2 * std::log(static_cast<double>(uses_.size()) + 1) / uses) : 1e9;
      const double score = arms_[a].used == 0 ? 1e12 : credit + exploration_ * bonus;
      if (chosen && score <= most) continue;
      chosen = a;
      most = score;
    }
    return chosen;
  }

  const Space& space_;
  std::uint64_t window_;
  double exploration_;
  std::size_t initial_count_;
  detail::InitialQuestions initial_;
  std::vector<Arm> arms_;
  boost::unordered_flat_map<std::uint64_t, Question> questions_;
  std::vector<std::uint64_t> told_;
  std::deque<Use> uses_;
  std::optional<double> best_;
  std::uint64_t ordinals_ = 0, unseen_ = 0;
};

}  // namespace

std::unique_ptr<SearchAlgorithm> make_portfolio(const Space& space, const StrategySettings& settings) {
  return std::make_unique<Portfolio>(space, settings);
}

}  // namespace warpwright
