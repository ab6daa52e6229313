#include <cstdio>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string>

#include <warpwright/base/error.hpp>
#include <warpwright/store/json.hpp>

#include "../command.hpp"
#include "../progress_line.hpp"
#include "../text_table.hpp"
#include "../tune_report.hpp"

namespace warpwright::app {
namespace {

using ::testing::HasSubstr;

// What `print` wrote to a stream.
template <class Print>
std::string printed(Print print) {
  char* data = nullptr;
  std::size_t size = 0;
  std::FILE* stream = ::open_memstream(&data, &size);
  print(stream);
  std::fclose(stream);
  std::string text(data, size);
  std::free(data);
  return text;
}

TEST(TextTable, AlignsAndDropsTrailingBlanks) {
  TextTable table({{"name"}, {"time", Align::right}, {"note"}});
  table.add({"a", "1.5 us", "x"});
  table.add({"longer", "10 us"});
  EXPECT_EQ(printed([&](std::FILE* out) { table.print(out, 2); }),
            "  name      time  note\n"
            "  a       1.5 us  x\n"
            "  longer   10 us\n");
}

TEST(ParseDuration, UnitsAndErrors) {
  EXPECT_EQ(parse_duration("30s", "--f"), Nanoseconds(30e9));
  EXPECT_EQ(parse_duration("1.5h", "--f"), Nanoseconds(5400e9));
  EXPECT_EQ(parse_duration("250ms", "--f"), Nanoseconds(250e6));
  EXPECT_EQ(parse_duration("2m", "--f"), Nanoseconds(120e9));
  for (const char* bad : {"", "s", "-3s", "0", "5 parsecs", "nan", "1e300h"}) {
    try {
      parse_duration(bad, "--time-limit");
      ADD_FAILURE() << bad;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::bad_input);
      EXPECT_THAT(error.what(), HasSubstr("--time-limit"));
    }
  }
}

TEST(ParseAssignment, ValuesAndErrors) {
  EXPECT_EQ(parse_assignment("width=1024", "--problem").second, Value(std::int64_t{1024}));
  EXPECT_EQ(parse_assignment("layout=row", "--problem").second, Value(std::string("row")));
  for (const char* bad : {"width", "=3", "width="}) EXPECT_THROW(parse_assignment(bad, "--problem"), Error) << bad;
}

TEST(ProgressText, HasCountsBestFailuresAndTimeLeft) {
  Trial best;
  best.configuration = {{"block", std::int64_t{64}}};
  best.median = Nanoseconds(2e6);
  tuning::Progress progress;
  progress.evaluations = 37;
  progress.planned = 200;
  progress.best = &best;
  progress.baseline = Nanoseconds(5e6);
  progress.by_status[static_cast<std::size_t>(TrialStatus::ok)] = 34;
  progress.by_status[static_cast<std::size_t>(TrialStatus::wrong_result)] = 2;
  progress.by_status[static_cast<std::size_t>(TrialStatus::compile_failed)] = 1;
  progress.remaining = Nanoseconds(12e9);
  EXPECT_EQ(progress_text(progress),
            "37/200 (18 %), best 2.00 ms (2.50x), 3 failed (1 compile_failed, 2 wrong_result), 12.0 s left; block=64");
}

TEST(ProgressLine, WritesPlainLinesWhereThereIsNoTerminal) {
  char path[] = "/tmp/warpwright-progress-XXXXXX";
  const int descriptor = ::mkstemp(path);
  std::FILE* file = ::fdopen(descriptor, "w+");
  {
    ProgressLine line(file, false);
    tuning::Progress progress;
    progress.evaluations = 1;
    progress.elapsed = Nanoseconds(1e9);
    line.update(progress);
    line.note("a note");
    ProgressLine silent(file, true);
    silent.update(progress);
  }
  std::rewind(file);
  char buffer[256] = {};
  const std::size_t got = std::fread(buffer, 1, sizeof buffer - 1, file);
  std::fclose(file);
  std::remove(path);
  EXPECT_EQ(std::string(buffer, got), "1, none failed\na note\n");
}

store::SessionRecord finished_session() {
  store::SessionRecord result;
  result.kernel = "k";
  result.evaluation.device.id = {"sim", {0}};
  result.evaluation.device.name = "simulated";
  result.strategy = "random";
  result.space_size = 10;
  result.cartesian_size = 12;
  Trial good;
  good.configuration = {{"block", std::int64_t{64}}};
  good.median = Nanoseconds(1e6);
  good.samples = {Nanoseconds(1e6)};
  Trial bad;
  bad.ordinal = 1;
  bad.configuration = {{"block", std::int64_t{32}}};
  bad.status = TrialStatus::wrong_result;
  bad.message = "out[3] is 1, expected 2";
  bad.log = "a long log";
  result.trials = {good, bad};
  result.evaluations = 2;
  result.by_status[0] = 1;
  result.by_status[static_cast<std::size_t>(TrialStatus::wrong_result)] = 1;
  result.baseline = good;
  result.baseline->configuration = {{"block", std::int64_t{1}}};
  result.best = good.configuration;
  result.best_median = Nanoseconds(1e6);
  result.baseline_median = Nanoseconds(3e6);
  result.speedup = 3;
  result.speedup_interval = Interval{2.9, 3.1, 0.95};
  store::Finalist winner;
  winner.configuration = good.configuration;
  winner.samples.assign(12, Nanoseconds(1e6));
  winner.median = Nanoseconds(1e6);
  winner.tie = true;
  winner.speedup = 3;
  store::Finalist slower;
  slower.configuration = {{"block", std::int64_t{128}}};
  slower.samples.assign(12, Nanoseconds(1.2e6));
  slower.median = Nanoseconds(1.2e6);
  slower.ratio = {1.2, {1.19, 1.21, 0.95}};
  slower.speedup = 2.4;
  result.finalists = {winner, slower};
  result.comparison = store::ComparisonMethod{6, 6, "Holm, by a test", 0.05};
  result.stop_reason = "2 evaluations";
  result.verification = "verified against kernel";
  result.times.tuner = Nanoseconds(1e6);
  result.times.total = Nanoseconds(1e9);
  return result;
}

driver::TuneResult kept(const store::SessionRecord& record) {
  driver::TuneResult result;
  result.record = record;
  result.session_folder = "/s";
  result.profiles_file = "/p.sqlite";
  result.profile_id = 4;
  return result;
}

TEST(TuneReport, JsonHasTheDocumentedKeys) {
  const auto result = finished_session();
  const auto json = store::Json::parse(driver::tune_json(kept(result)));
  EXPECT_EQ(json.at("schema_version"), 1);
  EXPECT_EQ(json.at("space").at("size"), 10);
  EXPECT_EQ(json.at("best").at("configuration").at("block"), 64);
  EXPECT_EQ(json.at("best").at("median_ns"), 1e6);
  EXPECT_EQ(json.at("baseline").at("median_ns"), 3e6);
  EXPECT_EQ(json.at("speedup"), 3.0);
  EXPECT_EQ(json.at("speedup_interval"), store::Json({2.9, 3.1}));
  EXPECT_EQ(json.at("speedup_confidence"), 0.95);
  EXPECT_EQ(json.at("final_comparison").at("choosing_rounds"), 6);
  EXPECT_EQ(json.at("final_comparison").at("reported_rounds"), 6);
  EXPECT_THAT(json.at("final_comparison").at("tie_method").get<std::string>(), HasSubstr("Holm"));
  EXPECT_EQ(json.at("final_comparison").at("family_error"), 0.05);
  ASSERT_EQ(json.at("finalists").size(), 2u);
  EXPECT_EQ(json.at("finalists")[0].at("tie"), true);
  EXPECT_EQ(json.at("finalists")[1].at("tie"), false);
  EXPECT_EQ(json.at("finalists")[1].at("speedup"), 2.4);
  EXPECT_EQ(json.at("finalists")[1].at("ratio_interval"), store::Json({1.19, 1.21}));
  EXPECT_EQ(json.at("evaluations"), 2);
  EXPECT_EQ(json.at("resumed_from"), 0);
  EXPECT_EQ(json.at("failures"), store::Json({{"wrong_result", 1}}));
  ASSERT_EQ(json.at("trials").size(), 2u);
  EXPECT_EQ(json.at("trials")[0].at("status"), "ok");
  EXPECT_EQ(json.at("trials")[0].at("samples").size(), 1u);
  EXPECT_TRUE(json.at("trials")[1].at("median_ns").is_null());
  EXPECT_FALSE(json.at("trials")[1].contains("log"));
  for (const char* part : {"total_s", "startup_s", "compile_wait_s", "compile_cpu_s", "copy_s", "verify_s", "measure_s",
                           "tuner_s", "finish_s"})
    EXPECT_TRUE(json.at("time").at(part).is_number()) << part;
  EXPECT_EQ(json.at("tuner_ms_per_evaluation"), 0.5);
  EXPECT_EQ(json.at("profile_id"), 4);
}

TEST(TuneReport, TextNamesWinnerSpeedupTimesAndPlaces) {
  const auto result = finished_session();
  const std::string text = printed([&](std::FILE* out) { print_tune_report(kept(result), 5, out); });
  for (const char* part :
       {"Winner: block=64", "3.00x faster than the baseline (95 % interval 2.90 to 3.10)",
        "6 of each chose the winner, these times are of the other 6", "2.40x", "1 wrong_result",
        "0.500 ms a configuration", "Profile 4 stored in /p.sqlite", "Session kept in /s", "baseline"})
    EXPECT_THAT(text, HasSubstr(part));
}

TEST(TuneReport, WithoutWinnerSaysWhy) {
  auto result = finished_session();
  result.best.reset();
  result.trials.erase(result.trials.begin());
  driver::TuneResult unkept;
  unkept.record = result;
  const std::string text = printed([&](std::FILE* out) { print_tune_report(unkept, 5, out); });
  EXPECT_THAT(text, HasSubstr("No configuration gave a correct result"));
  EXPECT_THAT(text, HasSubstr("out[3] is 1, expected 2"));
  EXPECT_TRUE(store::Json::parse(driver::tune_json(unkept)).at("best").is_null());
}

}  // namespace
}  // namespace warpwright::app
