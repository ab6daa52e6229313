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
    std::uint8_t poison = pass == 0 ? first_poison(buffers->type(slot)) : second_poison;
    for (const ExpectedOutput& output : expected) {
      if (output.slot == slot) poison = output.poisons[std::min(pass, output.poisons.size() - 1)];
    }
    buffers->poison(slot, poison);
  }
  buffers->arm_guards(guards, except);
}

ProblemRunner::State::OutputRange ProblemRunner::State::range_of(const Output& output, std::size_t slot,
                                                                 const Scope& scope) const {
  const Bytes size = buffers->size(slot);
  if (output.whole()) return {Bytes{}, size};
  const auto width = static_cast<std::uint64_t>(std::max(buffers->argument(slot).components, 1));
  const std::uint64_t element = width * size_of(buffers->type(slot));
  const std::uint64_t elements = size.count / element;
  const std::string what = "of output '" + output.argument + "'";
  const auto number = [&](const std::optional<Expression>& expression, std::int64_t least, const std::string& name) {
    return static_cast<std::uint64_t>(scope.integer_at_least(*expression, least, name + " " + what));
  };
  const std::uint64_t first = output.first ? number(output.first, 0, "first") : 0;
  const std::uint64_t rest = first < elements ? elements - first : 0;
  const std::uint64_t count = output.count ? number(output.count, 1, "count") : rest;
  if (count == 0 || count > rest) {
    throw Error(ErrorCode::bad_input,
                fmt::format("{} elements {} are compared from element {}, and its buffer has {} elements ({})",
                            output.count ? fmt::format("{}", count) : "the", what, first, elements,
                            buffers->argument(slot).size->text()),
                output.position);
  }
  return {Bytes{first * element}, Bytes{count * element}};
}

std::vector<std::byte> ProblemRunner::State::judged(const Output& output, std::span<const std::byte> range,
                                                    DataType type) const {
  if (output.by_sum) return sum_of(range, type);
  return {range.begin(), range.end()};
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
    const DataType type = buffers->type(output.slot);
    const std::size_t final_slot = sequence.final_slot(output.slot);
    const OutputRange range = range_of(*output.output, output.slot, sequence.scope());
    if (output.on_device && type == output.type) {
      timer.enter(result.verify);
      if (comparer->surely_equal(*output.on_device, buffers->contents(final_slot), Bytes{output.data.size()}, type,
                                 output.tolerance))
        continue;
    }
    timer.enter(result.copy);
    const auto found = buffers->download(final_slot, range.begin, range.size);
    timer.enter(result.verify);
    const bool by_sum = output.output->by_sum;
    std::vector<std::byte> sum, other;
    if (by_sum) sum = sum_of(found, type);
    // Configurations of another element type are held to the expected values as that type has them.
    const bool convert = !by_sum && type != output.type;
    if (convert) other = converted(output.data, output.type, type);
    Comparison comparison =
        compare(convert ? std::span<const std::byte>(other) : std::span<const std::byte>(output.data),
                by_sum ? std::span<const std::byte>(sum) : found, by_sum ? sum_type(type) : type, output.tolerance,
                output.output->argument);
    if (comparison.status == TrialStatus::ok) continue;
    Mismatch& mismatch = *comparison.mismatch;
    const auto unwritten = [&](std::size_t index) {
      const auto element = found.subspan(index * size_of(type), size_of(type));
      return std::any_of(output.poisons.begin(), output.poisons.end(), [&](std::uint8_t poison) {
        return std::all_of(element.begin(), element.end(), [&](std::byte b) { return b == std::byte{poison}; });
      });
    };
    result.status = comparison.status;
    if (by_sum) {
      const std::size_t elements = found.size() / size_of(type);
      std::size_t untouched = 0;
      for (std::size_t i = 0; i < elements; ++i) untouched += unwritten(i) ? 1 : 0;
      result.message = fmt::format(
          "output '{}': the sum of its {} elements should be {} and is {}{}", mismatch.argument, elements,
          mismatch.expected, mismatch.found,
          untouched == 0 ? std::string() : fmt::format(" ({} of them look as if they were never written)", untouched));
    } else {
      const bool never = unwritten(mismatch.index);
      mismatch.index += range.begin.count / size_of(type);
      result.message = fmt::format("output '{}': {} of {} elements are wrong; element {} should be {} and is {}{}",
                                   mismatch.argument, mismatch.wrong, mismatch.total, mismatch.index, mismatch.expected,
                                   mismatch.found, never ? " (it looks as if it was never written)" : "");
    }
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
  const DataType type = buffers->type(output->slot);
  const std::size_t final_slot = sequence.final_slot(output->slot);
  const OutputRange range = range_of(*output->output, output->slot, sequence.scope());
  const bool by_sum = output->output->by_sum;
  const Bytes begin = by_sum ? range.begin : Bytes{result.mismatch->index * size_of(type)};
  const Bytes size = std::min(observed_part, range.begin + range.size - begin);
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
    if (buffers->argument(slot).image) continue;
    if (!difference(usual, observe(guards, GuardPlace{slot}))) continue;
    const bool behind = difference(usual, observe(guards, GuardPlace{slot, false, true})).has_value();
    place =
        fmt::format("{} '{}'", behind ? "behind the end of" : "before the beginning of", buffers->argument(slot).name);
    break;
  }
  result.status = TrialStatus::out_of_bounds;
  result.message =
      fmt::format("reads {}: element {} of output '{}' is {}, and {} with other bytes there", place,
                  begin.count / size_of(type) + changed->index, changed->argument, changed->expected, changed->found);
  if (changed->index == 0 && !by_sum) result.message += "; it should be " + result.mismatch->expected;
}

}  // namespace warpwright::measure
