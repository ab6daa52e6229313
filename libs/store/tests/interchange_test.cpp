#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <warpwright/base/error.hpp>
#include <warpwright/base/files.hpp>
#include <warpwright/store/interchange.hpp>
#include <warpwright/store/json.hpp>

namespace warpwright::store {
namespace {

using ::testing::HasSubstr;

const std::string old_cache = R"({
"device_name": "GPU \"X\"",
"kernel_name": "k",
"problem_size": [
4096,
4096
],
"tune_params_keys": [
"b",
"mode",
"flag"
],
"tune_params": {
"b": [
32,
64
],
"mode": [
"row",
"padded"
],
"flag": [
true,
false
]
},
"objective": "time",
"extra_header": {"x": 1},
"cache": {
"32,row,True": {"b": 32, "mode": "row", "flag": true, "time": 1.5, "times": [1.25, 1.75], "GFLOP/s": 12.5, "compile_time": 100.1, "verification_time": 0, "benchmark_time": 3.3, "strategy_time": 0, "framework_time": 0.7, "timestamp": "2023-12-22 09:54:05"},
"64,row,True": {"b": 64, "mode": "row", "flag": true, "time": "RuntimeFailedConfig", "compile_time": 50, "verification_time": 0, "benchmark_time": 1, "timestamp": "t"},
"64,row,False": {"b": 64, "mode": "row", "flag": false, "time": "CompilationFailedConfig", "compile_time": 5, "timestamp": "t"},
"32,padded,False": {"b": 32, "mode": "padded", "flag": false, "time": 0.1, "big": 9007199254740993, "timestamp": "t"}
}
}
)";

// The document as a value, so that layout does not matter.
nlohmann::json value_of(const std::string& text) { return nlohmann::json::parse(text); }

TEST(KernelTunerCache, ReadsOldFiles) {
  const RecordedSpace space = parse_recorded(old_cache, "x.json");
  EXPECT_EQ(space.kernel, "k");
  EXPECT_EQ(space.device, "GPU \"X\"");
  EXPECT_EQ(space.problem_size, "[4096,4096]");
  ASSERT_EQ(space.parameters.size(), 3u);
  EXPECT_TRUE(space.parameters[0].ordered);
  EXPECT_FALSE(space.parameters[1].ordered);
  EXPECT_FALSE(space.parameters[2].ordered);
  ASSERT_EQ(space.trials.size(), 4u);
  EXPECT_EQ(space.count(TrialStatus::ok), 2u);
  EXPECT_EQ(space.count(TrialStatus::launch_failed), 1u);
  EXPECT_EQ(space.count(TrialStatus::compile_failed), 1u);
  const RecordedTrial& first = space.trials[0];
  EXPECT_EQ(space.configuration(first).describe(), "b=32, mode='row', flag=true");
  EXPECT_EQ(first.objective, 1.5);
  EXPECT_THAT(first.samples, ::testing::ElementsAre(Milliseconds(1.25), Milliseconds(1.75)));
  EXPECT_NEAR(first.costs.total().count(), 104.1, 1e-9);
  ASSERT_EQ(first.other.size(), 1u);
  EXPECT_EQ(first.other[0].name, "GFLOP/s");
  EXPECT_TRUE(space.problems.empty());
}

TEST(KernelTunerCache, RoundTripIsEqualData) {
  const RecordedSpace space = parse_recorded(old_cache, "x.json");
  EXPECT_EQ(value_of(kernel_tuner_cache(space)), value_of(old_cache));
}

TEST(KernelTunerCache, CurrentEncodingOfFailures) {
  const RecordedSpace space = parse_recorded(old_cache, "x.json");
  KernelTunerOptions options;
  options.encoding = KernelTunerOptions::Encoding::current;
  const auto json = value_of(kernel_tuner_cache(space, options));
  EXPECT_EQ(json.at("objective"), nlohmann::json::array({"time"}));
  const auto& failed = json.at("cache").at("64,row,True");
  EXPECT_EQ(failed.at("__error__"), "RuntimeFailedConfig");
  EXPECT_FALSE(failed.contains("time"));
  // Read back and written again it stays.
  const RecordedSpace again = parse_recorded(kernel_tuner_cache(space, options), "x.json");
  EXPECT_EQ(value_of(kernel_tuner_cache(again)), json);
}

TEST(KernelTunerCache, StatusesWithoutAWordComeBack) {
  RecordedSpace space = parse_recorded(old_cache, "x.json");
  for (int s = 1; s < trial_status_count; ++s) {
    space.trials[1].status = static_cast<TrialStatus>(s);
    space.trials[1].message = "line 1\n\"quoted\"";
    const RecordedSpace again = parse_recorded(kernel_tuner_cache(space), "x.json");
    EXPECT_EQ(again.trials[1].status, space.trials[1].status) << to_string(space.trials[1].status);
    EXPECT_EQ(again.trials[1].message, space.trials[1].message);
    const RecordedSpace t4 = parse_recorded(t4_results(space), "x.json");
    EXPECT_EQ(t4.trials[1].status, space.trials[1].status) << to_string(space.trials[1].status);
  }
}

TEST(KernelTunerCache, KilledRuns) {
  const std::size_t last = old_cache.find("\"32,padded");
  // Cut off at every byte of the last entry: the three before are there.
  for (std::size_t end = last; end + 4 < old_cache.size(); ++end) {
    const RecordedSpace space = parse_recorded(old_cache.substr(0, end), "x.json");
    ASSERT_GE(space.trials.size(), 3u) << end;
    ASSERT_EQ(space.problems.size(), 1u) << end;
    EXPECT_THAT(space.problems[0].reason, HasSubstr("without its closing braces"));
  }
}

TEST(KernelTunerCache, OfRowsWithOneKeyTheLastCounts) {
  const std::string text = R"({"device_name": "d", "kernel_name": "k", "problem_size": 1, "objective": ["time"],
"tune_params_keys": ["b"], "tune_params": {"b": [1, 2]}, "cache": {
"1": {"b": 1, "time": 5.0, "times": [5.0]},
"2": {"b": 2, "time": 3.0},
"1": {"b": 1, "time": 4.0, "times": [4.0]},
"1": {"b": 7, "time": 1.0}
}})";
  const RecordedSpace space = parse_recorded(text, "x.json");
  ASSERT_EQ(space.trials.size(), 2u);
  EXPECT_EQ(space.trials[0].objective, 4.0);
  EXPECT_EQ(space.trials[0].samples, std::vector<Milliseconds>{Milliseconds(4.0)});
  EXPECT_EQ(space.trials[1].objective, 3.0);
  ASSERT_EQ(space.problems.size(), 2u);
  EXPECT_THAT(space.problems[0].reason, HasSubstr("the last counts"));
  EXPECT_THAT(space.problems[1].reason, HasSubstr("not in its list"));
}

std::string t4_with(const std::string& timeunit, const std::string& objective, const std::string& unit) {
  std::string metadata = timeunit.empty() ? "" : R"(, "metadata": {"timeunit": ")" + timeunit + "\"}";
  return R"({"schema_version": "1.0.0", "results": [{"configuration": {"b": 1}, "objectives": [")" + objective +
         R"("], "times": {"compilation": 2000, "runtimes": [1500, 2500]}, "invalidity": "correct", "measurements": [{"name": ")" +
         objective + R"(", "value": 2000, "unit": ")" + unit + R"("}, {"name": "power", "value": 70, "unit": "W"}]}])" +
         metadata + "}";
}

TEST(T4, UnitsOfTimeAreHonoured) {
  const auto read = [](const std::string& timeunit, const std::string& objective, const std::string& unit) {
    return parse_recorded(t4_with(timeunit, objective, unit), "x.json");
  };
  // The unit of the objective decides for it, and that of the file for everything else.
  for (const char* unit : {"Microseconds", "us", "microsecond", "\xc2\xb5s"}) {
    const RecordedSpace space = read("", "time", unit);
    EXPECT_DOUBLE_EQ(space.trials[0].objective.value(), 2.0) << unit;
    EXPECT_EQ(space.trials[0].samples[0], Milliseconds(1500));
    EXPECT_TRUE(space.problems.empty());
  }
  EXPECT_DOUBLE_EQ(read("", "time", "s").trials[0].objective.value(), 2e6);
  EXPECT_DOUBLE_EQ(read("", "time", "ns").trials[0].objective.value(), 2e-3);
  EXPECT_DOUBLE_EQ(read("", "time", "miliseconds").trials[0].objective.value(), 2000.0);
  EXPECT_DOUBLE_EQ(read("", "time", "").trials[0].objective.value(), 2000.0);
  for (const char* unit : {"microseconds", "Microseconds", "us"}) {
    const RecordedSpace space = read(unit, "time", "");
    EXPECT_DOUBLE_EQ(space.trials[0].objective.value(), 2.0) << unit;
    EXPECT_DOUBLE_EQ(space.trials[0].samples[1].count(), 2.5);
    EXPECT_DOUBLE_EQ(space.trials[0].costs.compile.value().count(), 2.0);
  }
  EXPECT_DOUBLE_EQ(read("s", "time", "ms").trials[0].objective.value(), 2000.0);
  EXPECT_DOUBLE_EQ(read("s", "time", "ms").trials[0].costs.compile.value().count(), 2e6);
}

TEST(T4, AnObjectiveWithAUnitOfTimeIsATime) {
  const RecordedSpace space = parse_recorded(t4_with("", "kernel_duration", "us"), "x.json");
  EXPECT_TRUE(space.objective_is_time());
  EXPECT_TRUE(space.minimise);
  EXPECT_EQ(space.objective, "kernel_duration");
  EXPECT_DOUBLE_EQ(space.trials[0].objective.value(), 2.0);
  // Written and read again it is the same.
  const RecordedSpace again = parse_recorded(t4_results(space), "y.json");
  EXPECT_TRUE(again.objective_is_time());
  EXPECT_DOUBLE_EQ(again.trials[0].objective.value(), 2.0);
  const RecordedSpace power = parse_recorded(t4_with("", "energy", "J"), "x.json");
  EXPECT_FALSE(power.objective_is_time());
  EXPECT_DOUBLE_EQ(power.trials[0].objective.value(), 2000.0);
}

TEST(T4, UnitsThatAreNoneAreReported) {
  const RecordedSpace space = parse_recorded(t4_with("", "time", "cycles"), "x.json");
  ASSERT_EQ(space.problems.size(), 1u);
  EXPECT_THAT(space.problems[0].reason, HasSubstr("'cycles'"));
  EXPECT_THAT(parse_recorded(t4_with("fortnights", "time", "ms"), "x.json").problems.at(0).reason,
              HasSubstr("'fortnights'"));
}

TEST(KernelTunerCache, BadRowsAreNamedAndTheRestIsKept) {
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string text = old_cache;
    text.replace(text.find(from), from.size(), to);
    return parse_recorded(text, "x.json");
  };
  const auto only_problem = [](const RecordedSpace& space) {
    EXPECT_EQ(space.problems.size(), 1u);
    return space.problems.empty() ? RecordedProblem{} : space.problems[0];
  };
  auto problem = only_problem(
      with("{\"b\": 64, \"mode\": \"row\", \"flag\": true", "{\"b\": 65, \"mode\": \"row\", \"flag\": true"));
  EXPECT_THAT(problem.reason, HasSubstr("value 65 of 'b' is not in its list"));
  EXPECT_EQ(problem.line, 31u);
  problem = only_problem(with("\"time\": 1.5", "\"time\": \"soon\""));
  EXPECT_THAT(problem.reason, HasSubstr("neither a number nor a failure"));
  problem = only_problem(with("{\"b\": 32, \"mode\": \"row\"", "{\"mode\": \"row\""));
  EXPECT_THAT(problem.reason, HasSubstr("parameter 'b' is missing"));
  problem = only_problem(
      with("{\"b\": 64, \"mode\": \"row\", \"flag\": false", "{\"b\": 64, \"mode\": \"row\", \"flag\": true"));
  EXPECT_THAT(problem.reason, HasSubstr("comes again"));
  problem = only_problem(with("\"time\": 1.5, ", ""));
  EXPECT_THAT(problem.reason, HasSubstr("'time' is missing"));
  // A line that is no JSON costs that line alone.
  const RecordedSpace space = with("\"compile_time\": 50,", "\"compile_time\": ,");
  EXPECT_EQ(space.trials.size(), 3u);
  EXPECT_EQ(only_problem(space).line, 31u);
}

TEST(KernelTunerCache, NotFiniteNumbersAreReadAndNeverWrittenBare) {
  std::string text = old_cache;
  text.replace(text.find("1.25"), 4, "NaN");
  text.replace(text.find("12.5"), 4, "-Infinity");
  text.replace(text.find("\"time\": 0.1"), 11, "\"time\": NaN");
  const RecordedSpace space = parse_recorded(text, "x.json");
  EXPECT_TRUE(std::isnan(space.trials[0].samples[0].count()));
  EXPECT_EQ(space.trials[3].status, TrialStatus::not_finite);
  EXPECT_NO_THROW(value_of(kernel_tuner_cache(space)));
}

TEST(KernelTunerCache, ErrorsSayWhatIsExpected) {
  const auto message = [](const std::string& text) -> std::string {
    try {
      parse_recorded(text, "file.json");
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::bad_input);
      return error.what();
    }
    return "no error";
  };
  EXPECT_THAT(message(""), HasSubstr("not a recorded space"));
  EXPECT_THAT(message("[1]"), HasSubstr("not a recorded space"));
  EXPECT_THAT(message("{}"), HasSubstr("key 'tune_params' is missing"));
  EXPECT_THAT(message(R"({"tune_params": {"a": 3}, "cache": {}})"), HasSubstr("'tune_params.a' must be a list"));
  EXPECT_THAT(message(R"({"tune_params": {"a": [[1]]}, "cache": {}})"), HasSubstr("which is no value"));
  EXPECT_THAT(message(R"({"tune_params": {"a": [1]}, "cache": {}})"), HasSubstr("no usable configuration"));
  EXPECT_THAT(message(R"({"results": []})"), HasSubstr("holds no result"));
  EXPECT_THAT(message(R"({"results": [{}]})"), HasSubstr("results[0]: 'configuration' is missing"));
  EXPECT_THAT(message(R"({"results": [{}]})"), HasSubstr("file.json"));
}

TEST(KernelTunerCache, RatesAreMaximised) {
  std::string text = old_cache;
  text.replace(text.find("\"objective\": \"time\""), 19, "\"objective\": [\"GFLOP/s\"]");
  const RecordedSpace space = parse_recorded(text, "x.json");
  EXPECT_FALSE(space.minimise);
  EXPECT_EQ(space.trials[0].objective, 12.5);
}

TEST(T4, RoundTripWithMetadata) {
  const RecordedSpace space = parse_recorded(old_cache, "x.json");
  const std::string text = t4_results(space);
  const auto json = value_of(text);
  EXPECT_EQ(json.at("schema_version"), "1.0.0");
  EXPECT_EQ(json.at("results").size(), 4u);
  EXPECT_EQ(json.at("results")[0].at("invalidity"), "correct");
  EXPECT_EQ(json.at("results")[0].at("times").at("compilation"), 100.1);
  EXPECT_EQ(json.at("results")[1].at("invalidity"), "runtime");
  RecordedSpace again = parse_recorded(text, "x.json");
  apply_t4_metadata(again, t4_metadata(space, "x.json"), "x_metadata.json");
  EXPECT_EQ(again.kernel, space.kernel);
  EXPECT_EQ(again.device, space.device);
  KernelTunerOptions options;
  options.encoding = KernelTunerOptions::Encoding::current;
  auto direct = value_of(kernel_tuner_cache(space, options)), around = value_of(kernel_tuner_cache(again, options));
  direct.erase("extra_header");  // results have no place for it
  around.erase("metadata");
  EXPECT_EQ(around, direct);
  EXPECT_EQ(value_of(t4_results(again)), json);
}

TEST(T4, TheErrorFieldOfKernelTunerIsNoMetric) {
  const RecordedSpace space = parse_recorded(R"({"results": [
      {"configuration": {"a": 1}, "times": {}, "invalidity": "correct", "objectives": ["time"],
       "measurements": [{"name": "time", "value": 1.5, "unit": ""}, {"name": "GFLOP/s", "value": 9.0, "unit": ""}]},
      {"configuration": {"a": 2}, "times": {}, "invalidity": "compile", "correctness": 1,
       "measurements": [{"name": "__error__", "value": "", "unit": ""}]}]})",
                                             "x.json");
  ASSERT_EQ(space.trials.size(), 2u);
  EXPECT_EQ(space.trials[0].other.size(), 1u);
  EXPECT_TRUE(space.trials[1].other.empty());
  EXPECT_EQ(space.trials[1].status, TrialStatus::compile_failed);
  EXPECT_THAT(kernel_tuner_cache(space), testing::Not(HasSubstr("measured_")));
  EXPECT_THAT(t4_results(space), testing::Not(HasSubstr("__error__")));
}

TEST(T4, ErrorsInMetadata) {
  RecordedSpace space = parse_recorded(old_cache, "x.json");
  EXPECT_THROW(apply_t4_metadata(space, "[]", "m.json"), Error);
  const auto other = parse_recorded(R"({"tune_params": {"z": [1]}, "cache": {"1": {"z": 1, "time": 2}}})", "y");
  EXPECT_THROW(apply_t4_metadata(space, t4_metadata(other, "y.json"), "m.json"), Error);
}

TEST(T4, MetadataLiesBesideTheResults) {
  EXPECT_EQ(metadata_path("a/x.json"), "a/x_metadata.json");
  EXPECT_EQ(metadata_path("a/x.json.gz"), "a/x_metadata.json");
}

TEST(Gzip, RoundTripAndDamage) {
  std::string text(100000, 'a');
  for (std::size_t i = 0; i < text.size(); i += 7) text[i] = static_cast<char>(i % 251);
  const std::string packed = gzip(text);
  EXPECT_TRUE(is_gzip(packed));
  EXPECT_LT(packed.size(), text.size());
  EXPECT_EQ(gunzip(packed, "x"), text);
  EXPECT_EQ(gunzip(packed + packed, "x"), text + text);
  EXPECT_THROW(gunzip(packed.substr(0, packed.size() / 2), "x"), Error);
  EXPECT_THROW(gunzip("\x1f\x8b\x08garbage", "x"), Error);
  EXPECT_THROW(gunzip(packed, "x", 1000), Error);
}

TEST(RecordedFromJournal, TrialsBecomeRows) {
  JournalContents journal;
  journal.header.kernel = "k";
  journal.header.device = "d";
  journal.header.details = JsonText(R"({"problem":{"width":64,"height":32}})");
  Trial ok;
  ok.configuration = {{"b", std::int64_t{64}}};
  ok.samples = {Nanoseconds(2e6), Nanoseconds(3e6)};
  ok.median = Nanoseconds(2.5e6);
  ok.metrics["GB/s"] = 7;
  ok.times.compile_wall = Nanoseconds(4e6);
  Trial failed;
  failed.ordinal = 1;
  failed.configuration = {{"b", std::int64_t{32}}};
  failed.status = TrialStatus::wrong_result;
  failed.message = "differs";
  journal.trials = {ok, failed, ok};
  const RecordedSpace space = recorded_from_journal(journal, {});
  EXPECT_EQ(space.problem_size, "[64,32]");
  EXPECT_EQ(space.parameters[0].values, (std::vector<Value>{std::int64_t{32}, std::int64_t{64}}));
  ASSERT_EQ(space.trials.size(), 2u);
  EXPECT_EQ(space.trials[0].objective, 2.5);
  EXPECT_EQ(space.trials[0].costs.compile, Milliseconds(4));
  EXPECT_EQ(space.trials[1].status, TrialStatus::wrong_result);
  EXPECT_EQ(space.problems.size(), 1u);  // the one that is there twice
  const RecordedSpace rate = recorded_from_journal(journal, {}, "GB/s", false);
  EXPECT_EQ(rate.trials[0].objective, 7);
  EXPECT_THROW(recorded_from_journal({}, {}), Error);
}

// The hub's files, where they lie beside the project.
TEST(RecordedSpaces, CountsOfTheHub) {
  const char* set = std::getenv("WARPWRIGHT_RECORDED_SPACES");
  const std::filesystem::path folder =
      set != nullptr ? std::filesystem::path(set)
                     : std::filesystem::path(WARPWRIGHT_SOURCE_FOLDER) / "../shared/data/recorded-spaces";
  if (!std::filesystem::exists(folder))
    GTEST_SKIP() << "no recorded spaces in " << folder << "; set WARPWRIGHT_RECORDED_SPACES";
  const RecordedSpace convolution = read_recorded(folder / "convolution/A100.json.gz");
  EXPECT_EQ(convolution.trials.size(), 4362u);
  EXPECT_EQ(convolution.count(TrialStatus::ok), 4201u);
  EXPECT_EQ(convolution.count(TrialStatus::launch_failed), 155u);
  EXPECT_EQ(convolution.count(TrialStatus::compile_failed), 6u);
  EXPECT_TRUE(convolution.problems.empty());
  EXPECT_EQ(convolution.trials[0].samples.size(), 32u);
  const RecordedSpace amd = read_recorded(folder / "dedispersion/MI250X.json.gz");
  EXPECT_EQ(amd.device, "MI250X");  // the file's device_name is empty
  EXPECT_EQ(amd.trials.size(), 11130u);
  const RecordedSpace t4 = read_recorded(folder / "convolution/A100_T4.json.gz");
  EXPECT_EQ(t4.trials.size(), 4362u);
  EXPECT_EQ(t4.count(TrialStatus::ok), 4201u);
  EXPECT_EQ(parse_recorded(kernel_tuner_cache(convolution), "x").trials.size(), 4362u);
}

}  // namespace
}  // namespace warpwright::store
