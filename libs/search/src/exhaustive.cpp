#include <warpwright/search/search_algorithm.hpp>

#include "initial_questions.hpp"

namespace warpwright {
namespace {

class Exhaustive final : public SearchAlgorithm {
 public:
  Exhaustive(const Space& space, const StrategySettings& settings) : size_(space.size()), initial_(space, settings) {}

  std::vector<std::uint64_t> ask(std::size_t count) override {
    std::vector<std::uint64_t> asked;
    initial_.ask(count, asked);
    for (; asked.size() < count && next_ < size_; ++next_) {
      if (!initial_.contains(next_)) asked.push_back(next_);
    }
    return asked;
  }
  void tell(std::uint64_t, const SearchOutcome&) override {}  // no outcome changes the order

 private:
  std::uint64_t size_;
  detail::InitialQuestions initial_;
  std::uint64_t next_ = 0;
};

}  // namespace

std::unique_ptr<SearchAlgorithm> make_exhaustive(const Space& space, const StrategySettings& settings) {
  return std::make_unique<Exhaustive>(space, settings);
}

}  // namespace warpwright
