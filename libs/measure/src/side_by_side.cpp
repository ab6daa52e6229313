// Several configurations on the device in turns: interleaved samples, and blocks at the power limit.
#include <numeric>

#include <warpwright/base/rng.hpp>

#include "runner_state.hpp"

namespace warpwright::measure {
namespace {

// The candidates' modules, loaded together. They are unloaded after the stream has come to rest, also when a launch is
// refused.
template <class State>
struct Lineup {
  Lineup(State& state_used, const std::vector<ProblemRunner::Candidate>& candidates_used, bool with_reference_used)
      : state(state_used), with_reference(with_reference_used) {
    for (const ProblemRunner::Candidate& candidate : candidates_used) configurations.push_back(candidate.configuration);
    for (const ProblemRunner::Candidate& candidate : candidates_used) binaries.push_back(candidate.binary);
    if (with_reference) configurations.push_back(state.problem.baseline_configuration());
  }
  ~Lineup() { state.drain(); }
  Lineup(const Lineup&) = delete;
  Lineup& operator=(const Lineup&) = delete;

  // Apart from the constructor, so that what was enqueued is waited for when one of them fails.
  void load() {
    for (std::size_t i = 0; i < configurations.size(); ++i) {
      state.buffers->fit(configurations[i]);
      sequences.push_back(std::make_unique<LaunchSequence>(i < binaries.size()
                                                               ? state.make_sequence(configurations[i], *binaries[i])
                                                               : state.make_reference_sequence()));
    }
    if (state.buffers->runs_change_inputs()) before = [this] { state.buffers->restore_changed_inputs(); };
    state.buffers->restore_inputs();
  }

  // Gives the buffers the sizes of this candidate; says whether its launches have other arguments now.
  bool make_room(std::size_t i) {
    const std::uint64_t generation = state.buffers->generation();
    state.buffers->fit(configurations[i]);
    if (state.buffers->generation() != generation) state.buffers->restore_inputs();
    return sequences[i]->rebind_if_changed();
  }

  State& state;
  const bool with_reference;  // takes part as the last one, at the sizes of the baseline
  std::vector<Configuration> configurations;
  std::vector<const Binary*> binaries;
  std::vector<std::unique_ptr<LaunchSequence>> sequences;
  std::function<void()> before;  // each run; empty where runs leave the inputs as they are
};

}  // namespace

ProblemRunner::Interleaved ProblemRunner::run_interleaved(const std::vector<Candidate>& candidates, int rounds,
                                                          CacheMode cache, std::uint64_t seed, bool with_reference) {
  State& state = *state_;
  CacheFlusher* const flusher = state.flusher_for(cache);
  Lineup lineup(state, candidates, with_reference);
  lineup.load();
  std::vector<WorkTimer> timers;
  timers.reserve(candidates.size());
  for (const auto& sequence : lineup.sequences)
    timers.emplace_back(
        state.context, *state.stream, flusher, lineup.before, [&sequence = *sequence] { sequence.enqueue(); },
        state.clock, WorkTimer::Options{cache, state.compares_with_host(), state.cover_kernel()});
  const auto sample = [&](std::size_t i, bool warm_up) {
    if (lineup.make_room(i)) timers[i].work_changed();
    if (warm_up) timers[i].warm_up();
    return without_zeros({timers[i].sample()}).front();
  };

  Interleaved result;
  result.samples.resize(timers.size());
  std::vector<std::size_t> order(timers.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  Rng rng(seed);
  for (int round = 0; round < rounds; ++round) {
    for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[rng.below(i)]);
    for (const std::size_t i : order) result.samples[i].push_back(sample(i, round == 0 || cache == CacheMode::warm));
  }
  for (const WorkTimer& timer : timers) result.marks.push_back(timer.marks());
  return result;
}

SustainedTimes ProblemRunner::run_sustained(const std::vector<Candidate>& candidates,
                                            const std::vector<Nanoseconds>& estimates, CacheMode cache,
                                            const std::function<std::optional<bool>()>& power_limited,
                                            const SustainedOptions& options) {
  State& state = *state_;
  Lineup lineup(state, candidates, false);
  lineup.load();
  std::vector<SustainedWork> works;
  for (std::size_t i = 0; i < candidates.size(); ++i)
    works.push_back({[&lineup, i] { lineup.make_room(i); }, lineup.before,
                     [&sequence = *lineup.sequences[i]] { sequence.enqueue(); }, estimates.at(i)});
  CacheFlusher* flusher = state.flusher_for(cache);
  // A flush between short runs would leave the device little to draw power with.
  if (flusher != nullptr && !estimates.empty() && flusher->duration() > estimates.front() * largest_flush_share)
    flusher = nullptr;
  return measure::run_sustained(state.context, *state.stream, flusher, works, power_limited, options, state.clock);
}

}  // namespace warpwright::measure
