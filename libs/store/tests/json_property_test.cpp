#include <array>
#include <bit>
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <warpwright/store/json.hpp>
#include <warpwright/store/profile_database.hpp>

#include "store_test_support.hpp"

namespace warpwright::store::test {
namespace {

Json through_text(const Json& json) { return Json::parse(json.dump()); }

// Every bit pattern: subnormals, infinities and NaNs included.
rc::Gen<double> any_double() {
  return rc::gen::oneOf(
      rc::gen::map(rc::gen::arbitrary<std::uint64_t>(), [](std::uint64_t bits) { return std::bit_cast<double>(bits); }),
      rc::gen::map(rc::gen::inRange(-1000000, 1000000), [](int number) { return number / 8.0; }),
      rc::gen::arbitrary<double>());
}

// 64 bits however small the test is.
rc::Gen<std::uint64_t> any_number() {
  return rc::gen::map(rc::gen::container<std::vector<std::uint8_t>>(8, rc::gen::arbitrary<std::uint8_t>()),
                      [](const std::vector<std::uint8_t>& bytes) {
                        std::uint64_t number = 0;
                        for (const std::uint8_t byte : bytes) number = number << 8 | byte;
                        return number;
                      });
}

rc::Gen<Value> any_value() {
  return rc::gen::oneOf(
      rc::gen::map(any_number(), [](std::uint64_t n) { return Value{static_cast<std::int64_t>(n)}; }),
      rc::gen::map(any_double(), [](double number) { return Value{number}; }),
      rc::gen::map(rc::gen::arbitrary<bool>(), [](bool truth) { return Value{truth}; }),
      rc::gen::map(rc::gen::arbitrary<std::string>(), [](const std::string& text) { return Value{text}; }));
}

rc::Gen<Configuration> any_configuration() {
  const auto name =
      rc::gen::nonEmpty(rc::gen::container<std::string>(rc::gen::inRange('a', static_cast<char>('z' + 1))));
  return rc::gen::exec([name] {
    std::vector<Configuration::Entry> entries;
    for (const std::string& each : *rc::gen::unique<std::vector<std::string>>(name))
      entries.emplace_back(each, *any_value());
    return Configuration(std::move(entries));
  });
}

Nanoseconds draw_time() { return Nanoseconds{*any_double()}; }

template <class T>
std::optional<T> draw_optional(const rc::Gen<T>& gen) {
  return *rc::gen::arbitrary<bool>() ? std::optional<T>(*gen) : std::nullopt;
}

std::optional<Bytes> draw_bytes() {
  const auto count = draw_optional(any_number());
  return count ? std::optional<Bytes>(Bytes{*count}) : std::nullopt;
}

std::string draw_text() { return *rc::gen::arbitrary<std::string>(); }

KernelResources draw_resources() {
  KernelResources resources;
  resources.entry = draw_text();
  resources.registers_per_thread = draw_optional(rc::gen::arbitrary<int>());
  resources.static_shared = draw_bytes();
  resources.dynamic_shared = draw_bytes();
  resources.local_per_thread = draw_bytes();
  resources.constant = draw_bytes();
  resources.max_threads_per_block = draw_optional(rc::gen::arbitrary<int>());
  resources.barriers = draw_optional(rc::gen::arbitrary<int>());
  resources.spill_stores = draw_bytes();
  resources.spill_loads = draw_bytes();
  const auto sizes = [] {
    const auto size = rc::gen::arbitrary<std::int64_t>();
    return *rc::gen::arbitrary<bool>() ? std::optional(std::array<std::int64_t, 3>{*size, *size, *size}) : std::nullopt;
  };
  resources.required_block = sizes();
  resources.required_cluster = sizes();
  resources.max_cluster_blocks = draw_optional(rc::gen::arbitrary<int>());
  return resources;
}

Trial draw_trial() {
  Trial trial;
  trial.ordinal = *any_number();
  trial.configuration = *any_configuration();
  trial.status = static_cast<TrialStatus>(*rc::gen::inRange(0, trial_status_count));
  for (const double sample : *rc::gen::container<std::vector<double>>(any_double()))
    trial.samples.push_back(Nanoseconds{sample});
  if (*rc::gen::arbitrary<bool>()) trial.median = draw_time();
  if (*rc::gen::arbitrary<bool>()) trial.bound = draw_time();
  if (*rc::gen::arbitrary<bool>()) trial.conditions.sm_clock_mhz = *rc::gen::arbitrary<int>();
  if (*rc::gen::arbitrary<bool>()) trial.conditions.temperature_celsius = *rc::gen::arbitrary<int>();
  if (*rc::gen::arbitrary<bool>()) trial.conditions.throttling = {"power cap", *rc::gen::arbitrary<std::string>()};
  if (*rc::gen::arbitrary<bool>()) trial.conditions.drift = draw_time().count();
  trial.spread = draw_time();
  trial.metrics = {{"GB/s", *any_double()}, {"W", *any_double()}};
  trial.message = draw_text();
  trial.log = draw_text();
  for (int i = *rc::gen::inRange(0, 3); i > 0; --i) trial.resources.push_back(draw_resources());
  for (int i = *rc::gen::inRange(0, 3); i > 0; --i)
    trial.occupancy.push_back(
        {draw_text(), *rc::gen::arbitrary<int>(), *rc::gen::arbitrary<int>(), *rc::gen::inRange(0, 65), {draw_text()}});
  if (*rc::gen::arbitrary<bool>()) {
    trial.mismatch = Mismatch{.argument = draw_text(),
                              .index = *any_number(),
                              .expected = draw_text(),
                              .found = draw_text(),
                              .wrong = *any_number(),
                              .total = *any_number()};
  }
  trial.times = {.compile_wall = draw_time(),
                 .compile_cpu = draw_time(),
                 .copy = draw_time(),
                 .verify = draw_time(),
                 .measure = draw_time()};
  trial.binary_from_cache = *rc::gen::arbitrary<bool>();
  trial.finished_at = draw_text();
  return trial;
}

RC_GTEST_PROP(JsonProperty, ValuesRoundTrip, ()) {
  const Value value = *any_value();
  RC_ASSERT(same(value, value_from_json(through_text(to_json(value)))));
}

RC_GTEST_PROP(JsonProperty, ConfigurationsRoundTrip, ()) {
  const Configuration configuration = *any_configuration();
  RC_ASSERT(same(configuration, configuration_from_json(through_text(to_json(configuration)))));
}

RC_GTEST_PROP(JsonProperty, TrialsRoundTrip, ()) {
  const Trial trial = draw_trial();
  RC_ASSERT(same(trial, trial_from_json(through_text(to_json(trial)))));
}

RC_GTEST_PROP(JsonProperty, ProfilesRoundTrip, ()) {
  TuningProfile profile = full_profile();
  profile.key.dimensions = *any_configuration();
  profile.key.device = draw_text();
  profile.configuration = *any_configuration();
  profile.baseline = draw_optional(any_configuration());
  profile.median = draw_time();
  profile.spread = draw_time();
  profile.seed = *any_number();
  profile.evaluations = *any_number();
  profile.verification = draw_text();
  RC_ASSERT(same(profile, profile_from_json(through_text(to_json(profile)))));
}

// Whatever one value of a document is replaced by, reading it ends in a result or in the one error that says so.
RC_GTEST_PROP(JsonProperty, DamagedTrialsAreCorrupted, ()) {
  const Json flat = to_json(full_trial(1)).flatten();
  auto damaged = flat;
  const auto chosen = *rc::gen::inRange<std::size_t>(0, flat.size());
  std::size_t i = 0;
  for (auto& [path, value] : damaged.items())
    if (i++ == chosen) value = *rc::gen::element<Json>(nullptr, "text", -1, 1e300, true);
  try {
    trial_from_json(damaged.unflatten());
  } catch (const Error& error) {
    RC_ASSERT(error.code() == ErrorCode::corrupted);
    RC_ASSERT(std::string(error.what()).find("trial: key '") == 0);
  }
}

}  // namespace
}  // namespace warpwright::store::test
