// Evaluators that must not compile, each with the error that says why; tests/support/check_refused.py compiles this
// file with and without REFUSED.
#include <chrono>

#include <warpwright/tuning/performance_tuner.hpp>

using namespace warpwright;

void run(PerformanceTuner& tuner, const SearchSpace& simple, const ConfigurationSpace& general) {
  const auto right = [](const auto&) { return std::chrono::milliseconds(1); };
  tuner.run_tuning_session("right", simple, right);
  tuner.run_tuning_session("right", simple, [](const KernelConfig&) { return Throughput{1}; }, {});
  tuner.run_tuning_session("right", general, [](const Configuration&) { return Nanoseconds{1}; });
#ifdef REFUSED
  // refused: an evaluator returns a time (any std::chrono::duration
  tuner.run_tuning_session("double", simple, [](const KernelConfig&) { return 1.5; });
  // refused: warpwright::Throughput{per_second}, or EvaluatorResult::failed(status, message); a plain number
  tuner.run_tuning_session("double", general, [](const Configuration&) { return 1.5; });
  // refused: an evaluator returns a time (any std::chrono::duration
  tuner.run_tuning_session("nothing", simple, [](const KernelConfig&) {});
  // refused: an evaluator is called with a const KernelConfig& where the space is a SearchSpace
  tuner.run_tuning_session("argument", simple, [](const Configuration&) { return Nanoseconds{1}; });
#endif
}
