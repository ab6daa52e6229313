// Verifying one configuration: restored inputs, poisoned outputs, armed guard zones, a run, and a look at what it left.
#include <algorithm>
#include <fmt/format.h>
#include <utility>

#include <warpwright/measure/verify.hpp>

#include "runner_state.hpp"

namespace warpwright::measure {

namespace {

// What of an output is compared to see whether it depends on the guard zones, beginning with its first wrong element.
constexpr Bytes observed_part{64u << 20};
// Looking for what a wrong result depends on takes a few more runs; not where they would take longer than this.
constexpr Nanoseconds patience{5e9};
constexpr double observing_runs = 5;

}  // namespace

void ProblemRunner::State::set_up(std::size_t pass, GuardBytes guards, const std::optional<GuardPlace>& except) {
  buffers->restore_inputs();
  for (std::size_t slot = 0; slot < buffers->count(); ++slot) {
    std::uint8_t poison = pass == 0 ? first_poison(buffers->argument(slot).type) : second_poison;
    for (const ExpectedOutput& output : expected) {
      if (output.slot == slot) poison = output.poisons[std::min(pass, output.poisons.size() - 1)];
    }
    buffers->poison(slot, poison);
  }
  buffers->arm_guards(guards, except);
}

bool ProblemRunner::State::outputs_right(LaunchSequence& sequence, GuardBytes guards, RunResult& result,
                                         PhaseTimer& timer) {
  timer.enter(result.copy);
  if (const auto breach = buffers->check_guards(guards)) {
    result.status = TrialStatus::out_of_bounds;
    result.message =
        breach->before
            ? fmt::format(
                  "wrote before the beginning of '{}': {} of the {} bytes before it changed, the nearest {} bytes "
                  "before "
                  "the first element",
                  breach->argument, breach->changed, guard_size.count, breach->offset)
            : fmt::format(
                  "wrote behind the end of '{}': {} of the {} bytes behind it changed, the first {} bytes past "
                  "the end",
                  breach->argument, breach->changed, guard_size.count, breach->offset);
    return false;
  }
  for (const ExpectedOutput& output : expected) {
    const DataType type = buffers->argument(output.slot).type;
    const std::size_t final_slot = sequence.final_slot(output.slot);
    if (output.on_device) {
      timer.enter(result.verify);
      if (comparer->surely_equal(*output.on_device, buffers->buffer(final_slot), Bytes{output.data.size()}, type,
                                 output.tolerance))
        continue;
    }
    timer.enter(result.copy);
    const auto found = buffers->download(final_slot);
    timer.enter(result.verify);
    Comparison comparison = compare(output.data, found, type, output.tolerance, output.output->argument);
    if (comparison.status == TrialStatus::ok) continue;
    const Mismatch& mismatch = *comparison.mismatch;
    const auto element = found.subspan(mismatch.index * size_of(type), size_of(type));
    const bool unwritten = std::any_of(output.poisons.begin(), output.poisons.end(), [&](std::uint8_t poison) {
      return std::all_of(element.begin(), element.end(), [&](std::byte b) { return b == std::byte{poison}; });
    });
    result.status = comparison.status;
    result.message = fmt::format("output '{}': {} of {} elements are wrong; element {} should be {} and is {}{}",
                                 mismatch.argument, mismatch.wrong, mismatch.total, mismatch.index, mismatch.expected,
                                 mismatch.found, unwritten ? " (it looks as if it was never written)" : "");
    result.mismatch = std::move(comparison.mismatch);
    return false;
  }
  return true;
}

bool ProblemRunner::State::verify(LaunchSequence& sequence, RunResult& result, PhaseTimer& timer) {
  std::size_t passes = 1;
  for (const ExpectedOutput& output : expected) passes = std::max(passes, output.poisons.size());
  for (std::size_t pass = 0; pass < passes; ++pass) {
    timer.enter(result.copy);
    set_up(pass, GuardBytes::first);
    stream->synchronize();
    timer.enter(result.verify);
    stream->record(*run_begin);
    sequence.enqueue();
    stream->record(*run_end);
    stream->synchronize();
    const Nanoseconds run = run_end->elapsed_since(*run_begin);
    if (pass == 0 || run < verified_run) verified_run = run;
    if (!outputs_right(sequence, GuardBytes::first, result, timer)) {
      find_outside_read(sequence, pass, GuardBytes::first, result, timer);
      return false;
    }
  }
  return true;
}

// Of a wrong result: whether the kernel read outside its buffers. Then what it left depends on the bytes in the guard
// zones, while the same bytes give the same result: runs with `guards` and with others in turn tell, in an order that a
// kernel which is right every second or third time does not follow. Buffer by buffer then says which.
void ProblemRunner::State::find_outside_read(LaunchSequence& sequence, std::size_t pass, GuardBytes guards,
                                             RunResult& result, PhaseTimer& timer) {
  if (!result.mismatch || verified_run * observing_runs > patience) return;
  const auto output = std::find_if(expected.begin(), expected.end(), [&](const ExpectedOutput& candidate) {
    return candidate.output->argument == result.mismatch->argument;
  });
  if (output == expected.end()) return;
  const DataType type = buffers->argument(output->slot).type;
  const std::size_t final_slot = sequence.final_slot(output->slot);
  const Bytes begin{result.mismatch->index * size_of(type)};
  const Bytes size = std::min(observed_part, Bytes{output->data.size()} - begin);
  const auto observe = [&](GuardBytes bytes, const std::optional<GuardPlace>& except) {
    timer.enter(result.copy);
    set_up(pass, bytes, except);
    stream->synchronize();
    timer.enter(result.verify);
    sequence.enqueue();
    stream->synchronize();
    timer.enter(result.copy);
    const auto found = buffers->download(final_slot, begin, size);
    return std::vector<std::byte>(found.begin(), found.end());
  };
  const auto difference = [&](const std::vector<std::byte>& one, const std::vector<std::byte>& other) {
    timer.enter(result.verify);
    return compare(one, other, type, output->tolerance, output->output->argument).mismatch;
  };

  const std::vector<std::byte> usual = observe(guards, {});
  const std::vector<std::byte> other = observe(GuardBytes::third, {});
  std::optional<Mismatch> changed = difference(usual, other);
  if (!changed) return;
  for (const GuardBytes bytes : {GuardBytes::third, guards, guards}) {
    if (difference(bytes == guards ? usual : other, observe(bytes, {}))) return;
  }
  std::string place = "outside its buffers";
  // A kernel may read around several buffers; the first that alone makes a difference is named.
  for (std::size_t slot = 0; slot < buffers->count(); ++slot) {
    if (verified_run * static_cast<double>(slot + 1) > patience) break;
    if (!difference(usual, observe(guards, GuardPlace{slot}))) continue;
    const bool behind = difference(usual, observe(guards, GuardPlace{slot, false, true})).has_value();
    place =
        fmt::format("{} '{}'", behind ? "behind the end of" : "before the beginning of", buffers->argument(slot).name);
    break;
  }
  result.status = TrialStatus::out_of_bounds;
  result.message =
      fmt::format("reads {}: element {} of output '{}' is {}, and {} with other bytes there", place,
                  result.mismatch->index + changed->index, changed->argument, changed->expected, changed->found);
  if (changed->index == 0) result.message += "; it should be " + result.mismatch->expected;
}

}  // namespace warpwright::measure
