#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <limits>

#include <warpwright/store/json.hpp>

#include "store_test_support.hpp"

namespace warpwright::store::test {
namespace {

using ::testing::HasSubstr;

// Through text, as files and sockets carry it; the strict dump() throws for text that is not UTF-8.
Json through_text(const Json& json) { return Json::parse(json.dump()); }

TEST(ValueJson, KeepsTheType) {
  for (const Value& value : {Value{std::int64_t{1}}, Value{1.0}, Value{true}, Value{std::string("1")}})
    EXPECT_TRUE(same(value, value_from_json(through_text(to_json(value))))) << to_literal(value);
  EXPECT_EQ(to_json(Value{1.0}).dump(), "1.0");
  EXPECT_EQ(to_json(Value{std::int64_t{1}}).dump(), "1");
  EXPECT_EQ(to_json(Value{true}).dump(), "true");
}

TEST(ValueJson, KeepsIntegersBeyondTwoToThe53) {
  for (const std::int64_t number : {std::int64_t{9007199254740993}, std::numeric_limits<std::int64_t>::max(),
                                    std::numeric_limits<std::int64_t>::min(), std::int64_t{-9007199254740993}}) {
    EXPECT_EQ(to_json(Value{number}).dump(), std::to_string(number));
    EXPECT_TRUE(same(Value{number}, value_from_json(through_text(to_json(Value{number})))));
  }
}

TEST(ValueJson, WritesDoublesShort) {
  EXPECT_EQ(to_json(Value{0.1}).dump(), "0.1");
  EXPECT_EQ(to_json(Value{1e300}).dump(), "1e+300");
  EXPECT_EQ(to_json(Value{-0.0}).dump(), "-0.0");
  EXPECT_EQ(to_json(Value{1e15}).dump(), "1e+15");
  for (const double number : {5e-324, 1e15, 1e16, 123456789012345680.0, -0.0, 2.2250738585072014e-308})
    EXPECT_TRUE(same(Value{number}, value_from_json(through_text(to_json(Value{number}))))) << number;
}

TEST(ValueJson, NonFiniteDoublesAreNotStringParameters) {
  const double infinity = std::numeric_limits<double>::infinity();
  for (const double number : {std::nan(""), infinity, -infinity})
    EXPECT_TRUE(same(Value{number}, value_from_json(through_text(to_json(Value{number}))))) << number;
  for (const char* text : {"nan", "inf", "-inf"})
    EXPECT_TRUE(same(Value{std::string(text)}, value_from_json(through_text(to_json(Value{std::string(text)})))));
  EXPECT_EQ(to_json(Value{std::nan("")}).dump(), R"({"float":"nan"})");
}

TEST(ValueJson, RejectsWhatIsNoValue) {
  EXPECT_THAT(error_of(ErrorCode::corrupted, [] { value_from_json(Json::array()); }), HasSubstr("found an array of 0"));
  EXPECT_THAT(error_of(ErrorCode::corrupted, [] { value_from_json(Json(nullptr)); }), HasSubstr("found null"));
  EXPECT_THAT(error_of(ErrorCode::corrupted, [] { value_from_json(Json(18446744073709551615ULL)); }),
              HasSubstr("an integer from -9223372036854775808 to 9223372036854775807, found 18446744073709551615"));
  EXPECT_THAT(error_of(ErrorCode::corrupted, [] { value_from_json(Json{{"bytes", "\\q"}}); }), HasSubstr("a string"));
}

TEST(ConfigurationJson, KeepsOrder) {
  const Configuration configuration{{"zeta", std::int64_t{1}}, {"alpha", 2.0}};
  EXPECT_EQ(to_json(configuration).dump(), R"({"zeta":1,"alpha":2.0})");
  EXPECT_TRUE(same(configuration, configuration_from_json(through_text(to_json(configuration)))));
  EXPECT_EQ(to_json(Configuration{}).dump(), "{}");
  EXPECT_TRUE(configuration_from_json(Json::object()).empty());
}

TEST(ConfigurationJson, NamesTheParameter) {
  EXPECT_THAT(error_of(ErrorCode::corrupted,
                       [] {
                         configuration_from_json(Json{{"block_x", nullptr}});
                       }),
              HasSubstr("configuration: key 'block_x' must be"));
  EXPECT_THAT(error_of(ErrorCode::corrupted, [] { configuration_from_json(Json("x")); }), HasSubstr("found \"x\""));
}

TEST(DeviceJson, RoundTripsEveryField) {
  const Json json = to_json(full_device());
  EXPECT_EQ(json.size(), 34u) << "a field was added to one side only";
  const DeviceInfo device = device_from_json(through_text(json));
  EXPECT_EQ(to_json(device), json);
  EXPECT_EQ(device.id, full_device().id);
  EXPECT_EQ(device.max_grid, full_device().max_grid);
  EXPECT_EQ(device.reserved_shared_per_block, Bytes{1024});
}

TEST(DeviceJson, UnknownStaysUnknown) {
  const DeviceInfo device = device_from_json(through_text(to_json(DeviceInfo{})));
  EXPECT_EQ(device.id, DeviceId{});
  EXPECT_FALSE(device.shared_per_block_optin.has_value());
  EXPECT_FALSE(device.copy_engines.has_value());
  EXPECT_EQ(to_json(device), to_json(DeviceInfo{}));
}

TEST(DeviceJson, NamesTheKey) {
  Json json = to_json(full_device());
  json["max_grid"] = {1, 2};
  EXPECT_THAT(error_of(ErrorCode::corrupted, [&] { device_from_json(json); }),
              HasSubstr("device: key 'max_grid' must be an array of 3 integers, found an array of 2"));
  json = to_json(full_device());
  json["kind"] = "toaster";
  EXPECT_THAT(error_of(ErrorCode::corrupted, [&] { device_from_json(json); }),
              HasSubstr("key 'kind' must be one of gpu, cpu, accelerator, simulated, found \"toaster\""));
  json = to_json(full_device());
  json["id"] = "cuda";
  EXPECT_THAT(error_of(ErrorCode::corrupted, [&] { device_from_json(json); }), HasSubstr("key 'id': "));
  json = to_json(full_device());
  json["clock_mhz"] = 3000000000U;
  EXPECT_THAT(error_of(ErrorCode::corrupted, [&] { device_from_json(json); }), HasSubstr("key 'clock_mhz' must be"));
}

TEST(ResourcesJson, RoundTrips) {
  EXPECT_TRUE(same(full_resources(), resources_from_json(through_text(to_json(full_resources())))));
  EXPECT_TRUE(same(KernelResources{}, resources_from_json(through_text(to_json(KernelResources{})))));
}

TEST(TrialJson, RoundTripsEveryField) {
  const Trial trial = full_trial(std::numeric_limits<std::uint64_t>::max());
  EXPECT_TRUE(same(trial, trial_from_json(through_text(to_json(trial)))));
  EXPECT_TRUE(same(Trial{}, trial_from_json(through_text(to_json(Trial{})))));
}

TEST(TrialJson, HasTheDocumentedKeys) {
  std::vector<std::string> keys;
  const Json json = to_json(full_trial(3));
  for (const auto& [key, value] : json.items()) keys.push_back(key);
  EXPECT_THAT(keys, ::testing::ElementsAre("ordinal", "configuration", "status", "median_ns", "spread_ns", "samples",
                                           "metrics", "message", "log", "resources", "occupancy", "mismatch", "times",
                                           "binary_from_cache", "finished_at"));
  EXPECT_EQ(json["metrics"]["occupancy"], "nan");
  EXPECT_EQ(json["times"]["verify_ns"], 2.25);
  const Json empty = to_json(Trial{});
  EXPECT_FALSE(empty.contains("log"));
  EXPECT_TRUE(empty["median_ns"].is_null());
  EXPECT_TRUE(empty["mismatch"].is_null());
}

TEST(TrialJson, AnOlderJournalHasNoOccupancy) {
  Json json = to_json(full_trial(0));
  EXPECT_EQ(json["occupancy"][0]["occupancy"], 12.0 / 64);
  json.erase("occupancy");
  EXPECT_TRUE(trial_from_json(json).occupancy.empty());
  json = to_json(full_trial(0));
  json["occupancy"][0].erase("blocks_per_sm");
  EXPECT_THAT(error_of(ErrorCode::corrupted, [&] { trial_from_json(json); }),
              HasSubstr("key 'occupancy[0].blocks_per_sm' is missing"));
}

TEST(TrialJson, EveryStatus) {
  for (int i = 0; i < trial_status_count; ++i) {
    Trial trial;
    trial.status = static_cast<TrialStatus>(i);
    EXPECT_EQ(trial_from_json(through_text(to_json(trial))).status, trial.status);
  }
}

TEST(TrialJson, NamesMissingAndWrongKeys) {
  // Every key that is always written is needed, and its absence is named; journals of version 0.1 have no occupancy.
  const Json whole = to_json(Trial{});
  for (const auto& [key, value] : whole.items()) {
    if (value.is_null() || key == "occupancy") continue;
    Json json = whole;
    json.erase(key);
    EXPECT_THAT(error_of(ErrorCode::corrupted, [&] { trial_from_json(json); }),
                HasSubstr("trial: key '" + key + "' is missing"));
  }
  Json json = to_json(full_trial(0));
  json["samples"][1] = "soon";
  EXPECT_THAT(error_of(ErrorCode::corrupted, [&] { trial_from_json(json); }),
              HasSubstr("trial: key 'samples[1]' must be a number, \"nan\", \"inf\" or \"-inf\", found \"soon\""));
  json = to_json(full_trial(0));
  json["times"].erase("verify_ns");
  EXPECT_THAT(error_of(ErrorCode::corrupted, [&] { trial_from_json(json); }),
              HasSubstr("trial: key 'times.verify_ns' is missing"));
  json = to_json(full_trial(0));
  json["status"] = "fine";
  EXPECT_THAT(error_of(ErrorCode::corrupted, [&] { trial_from_json(json); }), HasSubstr("key 'status' must be"));
  json = to_json(full_trial(0));
  json["resources"][0]["registers_per_thread"] = 1.5;
  EXPECT_THAT(error_of(ErrorCode::corrupted, [&] { trial_from_json(json); }),
              HasSubstr("key 'resources[0].registers_per_thread' must be an integer"));
  json = to_json(full_trial(0));
  json["binary_from_cache"] = 1;
  EXPECT_THAT(error_of(ErrorCode::corrupted, [&] { trial_from_json(json); }), HasSubstr("true or false, found 1"));
  json = to_json(full_trial(0));
  json["ordinal"] = -1;
  EXPECT_THAT(error_of(ErrorCode::corrupted, [&] { trial_from_json(json); }), HasSubstr("key 'ordinal'"));
}

TEST(TrialJson, SkipsUnknownKeys) {
  Json json = to_json(full_trial(5));
  json["power_w"] = 300;
  EXPECT_TRUE(same(full_trial(5), trial_from_json(json)));
}

TEST(BinaryJson, RoundTripsBesideItsImage) {
  Binary binary;
  binary.backend = "cuda";
  binary.target = "sm_90a";
  binary.format = "cubin";
  binary.image = std::string("\0\xFF\x80image", 8);
  binary.symbols = {{"gemm<4, true>", "_Z4gemmILi4ELb1EEvv"}};
  binary.log = "ptxas info \xFF";
  binary.resources = {full_resources()};
  const Json json = to_json(binary);
  EXPECT_FALSE(json.contains("image"));
  const Binary read = binary_from_json(through_text(json), binary.image);
  EXPECT_EQ(read.image, binary.image);
  EXPECT_EQ(read.symbols, binary.symbols);
  EXPECT_EQ(read.log, binary.log);
  EXPECT_EQ(to_json(read), json);
}

std::vector<std::string> texts(const std::vector<Expression>& expressions) {
  std::vector<std::string> result;
  for (const Expression& expression : expressions) result.push_back(expression.text());
  return result;
}

std::string text(const std::optional<Expression>& expression) { return expression ? expression->text() : "(none)"; }

void expect_same(const KernelSource& a, const KernelSource& b) {
  const auto same_text = [](const SourceText& x, const SourceText& y) { return x.file == y.file && x.text == y.text; };
  ASSERT_EQ(a.dialect.has_value(), b.dialect.has_value());
  if (a.dialect) {
    EXPECT_TRUE(same_text(*a.dialect, *b.dialect));
  }
  EXPECT_TRUE(
      std::equal(a.by_backend.begin(), a.by_backend.end(), b.by_backend.begin(), b.by_backend.end(),
                 [&](const auto& x, const auto& y) { return x.first == y.first && same_text(x.second, y.second); }));
}

void expect_same(const Launch& a, const Launch& b) {
  EXPECT_EQ(a.entry, b.entry);
  EXPECT_EQ(texts(a.block), texts(b.block));
  EXPECT_EQ(texts(a.grid), texts(b.grid));
  EXPECT_EQ(text(a.shared), text(b.shared));
  EXPECT_EQ(a.args, b.args);
  EXPECT_EQ(text(a.repeat), text(b.repeat));
  EXPECT_EQ(a.swap, b.swap);
  EXPECT_EQ(a.cooperative, b.cooperative);
  EXPECT_EQ(texts(a.cluster), texts(b.cluster));
}

TEST(ProblemJson, RoundTripsEveryField) {
  const Problem before = full_problem();
  const Problem after = problem_from_json(through_text(to_json(before)));
  EXPECT_EQ(after.name, before.name);
  EXPECT_EQ(after.file, before.file);
  expect_same(after.source, before.source);
  EXPECT_EQ(after.options, before.options);
  EXPECT_EQ(after.include_folders, before.include_folders);
  ASSERT_EQ(after.defines.size(), before.defines.size());
  for (std::size_t i = 0; i < after.defines.size(); ++i) {
    EXPECT_EQ(after.defines[i].first, before.defines[i].first);
    EXPECT_EQ(after.defines[i].second.text(), before.defines[i].second.text());
  }
  EXPECT_TRUE(same(after.dimensions, before.dimensions));
  EXPECT_EQ(after.device_dimensions, before.device_dimensions);
  ASSERT_EQ(after.parameters.size(), before.parameters.size());
  for (std::size_t i = 0; i < after.parameters.size(); ++i) {
    const Parameter &a = after.parameters[i], &b = before.parameters[i];
    EXPECT_EQ(a.name, b.name);
    EXPECT_EQ(a.values, b.values);
    EXPECT_EQ(a.default_value, b.default_value);
    EXPECT_EQ(a.role, b.role);
    EXPECT_EQ(a.ordered, b.ordered);
  }
  ASSERT_EQ(after.constraints.size(), 1u) << "the C++ constraint stays behind";
  EXPECT_EQ(after.constraints[0].text, "block_x * tile <= 1024");
  EXPECT_EQ(text(after.constraints[0].expression), "block_x * tile <= 1024");
  ASSERT_EQ(after.arguments.size(), before.arguments.size());
  for (std::size_t i = 0; i < after.arguments.size(); ++i) {
    const Argument &a = after.arguments[i], &b = before.arguments[i];
    EXPECT_EQ(a.name, b.name);
    EXPECT_EQ(a.type, b.type);
    EXPECT_EQ(a.components, b.components);
    EXPECT_EQ(a.access, b.access);
    EXPECT_EQ(text(a.size), text(b.size));
    EXPECT_EQ(text(a.value), text(b.value));
    EXPECT_EQ(a.fill.index(), b.fill.index());
    EXPECT_EQ(a.symbol, b.symbol);
  }
  const auto& uniform = std::get<FillUniform>(after.arguments[0].fill);
  EXPECT_EQ(uniform.low, -1);
  EXPECT_EQ(uniform.high, 1.5);
  EXPECT_EQ(uniform.seed, 18446744073709551615ULL);
  EXPECT_EQ(std::get<FillNpy>(after.arguments[1].fill).file, "coeff.npy");
  const auto& normal = std::get<FillNormal>(after.arguments[2].fill);
  EXPECT_EQ(normal.mean, 0.1);
  EXPECT_EQ(normal.deviation, 2);
  EXPECT_EQ(normal.seed, 3u);
  EXPECT_EQ(std::get<FillIota>(after.arguments[3].fill).start, -3);
  EXPECT_EQ(std::get<FillIota>(after.arguments[3].fill).step, 0.25);
  EXPECT_TRUE(std::isnan(std::get<FillConstant>(after.arguments[4].fill).value));
  ASSERT_EQ(after.launches.size(), before.launches.size());
  for (std::size_t i = 0; i < after.launches.size(); ++i) expect_same(after.launches[i], before.launches[i]);
  ASSERT_EQ(after.outputs.size(), 1u);
  EXPECT_EQ(after.outputs[0].argument, "out");
  EXPECT_EQ(after.outputs[0].rtol, 1e-5);
  EXPECT_EQ(after.outputs[0].atol, 1e-6);
  const auto& reference = std::get<ReferenceKernel>(after.reference);
  expect_same(reference.source, before.source);
  ASSERT_EQ(reference.launches.size(), 1u);
  expect_same(reference.launches[0], before.launches[1]);
  EXPECT_EQ(after.baseline, before.baseline);
  EXPECT_EQ(after.objective.metric, "GFLOP/s");
  EXPECT_FALSE(after.objective.minimise);
  ASSERT_EQ(after.metrics.size(), 1u);
  EXPECT_EQ(after.metrics[0].name, "GFLOP/s");
  EXPECT_EQ(after.metrics[0].expression.text(), "9 * width / time_ns");
  EXPECT_EQ(after.verify_sizes, before.verify_sizes);
  EXPECT_EQ(after.warnings, before.warnings);
  EXPECT_EQ(to_json(after), to_json(before));
}

TEST(ProblemJson, AnEmptyProblemRoundTrips) {
  const Problem after = problem_from_json(through_text(to_json(Problem{})));
  EXPECT_TRUE(std::holds_alternative<std::monostate>(after.reference));
  EXPECT_FALSE(after.baseline.has_value());
  EXPECT_FALSE(after.source.dialect.has_value());
}

TEST(ProblemJson, EveryKindOfReference) {
  Problem problem;
  problem.reference = ReferenceNpy{.files = {{"out", "expected.npy"}}};
  EXPECT_EQ(std::get<ReferenceNpy>(problem_from_json(through_text(to_json(problem))).reference).files.at("out"),
            "expected.npy");
  problem.reference = ReferenceConfiguration{.configuration = {{"x", 1.0}}};
  EXPECT_EQ(std::get<ReferenceConfiguration>(problem_from_json(through_text(to_json(problem))).reference).configuration,
            (Configuration{{"x", 1.0}}));
  problem.reference = ReferenceCommand{.command = {"python3", "check.py", "--size", "8"}};
  EXPECT_EQ(std::get<ReferenceCommand>(problem_from_json(through_text(to_json(problem))).reference).command.size(), 4u);
  problem.reference = ReferenceCallback{.compute = [](const Configuration&, HostBuffers&) {}};
  EXPECT_THAT(error_of(ErrorCode::unsupported, [&] { to_json(problem); }), HasSubstr("callback"));
}

TEST(ProblemJson, ConstantsReParseToTheirValue) {
  for (const Value& value :
       {Value{std::int64_t{-7}}, Value{1.0}, Value{-0.5}, Value{1e-300}, Value{true}, Value{false},
        Value{std::string("it's \"quoted\"\\")}, Value{std::numeric_limits<std::int64_t>::max()}}) {
    Problem problem;
    problem.defines = {{"X", Expression::constant(value)}};
    const Problem after = problem_from_json(through_text(to_json(problem)));
    const auto none = [](std::string_view) -> const ExpressionValue* { return nullptr; };
    EXPECT_TRUE(same(after.defines[0].second.evaluate(none).scalar(), value)) << to_literal(value);
  }
}

TEST(ProblemJson, NamesWhatIsWrong) {
  Json json = to_json(full_problem());
  json["arguments"][2]["fill"]["kind"] = "noise";
  EXPECT_THAT(error_of(ErrorCode::corrupted, [&] { problem_from_json(json); }),
              HasSubstr("problem: key 'arguments[2].fill.kind' must be one of constant, uniform"));
  json = to_json(full_problem());
  json["launches"][0]["grid"][0] = "width +";
  EXPECT_THAT(error_of(ErrorCode::corrupted, [&] { problem_from_json(json); }),
              HasSubstr("problem: key 'launches[0].grid[0]': "));
  json = to_json(full_problem());
  json["arguments"][0]["type"] = "float12";
  EXPECT_THAT(error_of(ErrorCode::corrupted, [&] { problem_from_json(json); }),
              HasSubstr("problem: key 'arguments[0].type'"));
  json = to_json(full_problem());
  json["reference"]["kind"] = "oracle";
  EXPECT_THAT(error_of(ErrorCode::corrupted, [&] { problem_from_json(json); }), HasSubstr("key 'reference.kind'"));
  const Json whole = to_json(full_problem());
  for (const auto& [key, value] : whole.items()) {
    if (key == "baseline") continue;
    Json damaged = whole;
    damaged.erase(key);
    EXPECT_THAT(error_of(ErrorCode::corrupted, [&] { problem_from_json(damaged); }),
                HasSubstr("problem: key '" + key + "' is missing"));
  }
}

}  // namespace
}  // namespace warpwright::store::test
