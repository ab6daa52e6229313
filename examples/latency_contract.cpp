// Holds a function of this program to a latency contract: latency_contract CONTRACT
// The function stands for a service: it sorts numbers, and says of each request how long its two stages took.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <vector>

#include <warpwright/base/rng.hpp>
#include <warpwright/validate/verdict.hpp>

namespace {

using warpwright::Nanoseconds;
namespace validate = warpwright::validate;

class Sorter {
 public:
  explicit Sorter(const warpwright::Clock& clock) : clock_(clock), numbers_(20'000) {}

  // False says that the request failed.
  bool answer(validate::Request& request) {
    const Nanoseconds begin = clock_.now();
    warpwright::Rng rng(request.number());
    for (auto& number : numbers_) number = rng.next();
    const Nanoseconds filled = clock_.now();
    std::sort(numbers_.begin(), numbers_.end());
    request.stage("fill", filled - begin);
    request.stage("sort", clock_.now() - filled);
    return std::is_sorted(numbers_.begin(), numbers_.end());
  }

 private:
  const warpwright::Clock& clock_;
  std::vector<std::uint64_t> numbers_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s CONTRACT\n", argv[0]);
    return 2;
  }
  try {
    const validate::Contract contract = validate::read_contract(argv[1]);
    validate::SteadyLoadClock clock;
    Sorter sorter(clock);
    const validate::Verdict verdict = validate::validate(
        contract, [&](validate::Request& request) { return sorter.answer(request); }, clock);
    std::printf("%s", validate::to_text(verdict).c_str());
    return validate::exit_code(verdict.outcome);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 2;
  }
}
