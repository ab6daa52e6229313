#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string>

#include <warpwright/base/error.hpp>
#include <warpwright/base/files.hpp>
#include <warpwright/base/temporary_folder.hpp>
#include <warpwright/store/json.hpp>
#include <warpwright/store/session_record.hpp>

namespace warpwright::store {
namespace {

using ::testing::HasSubstr;

Trial trial(std::uint64_t ordinal, std::int64_t block, double median) {
  Trial trial;
  trial.ordinal = ordinal;
  trial.configuration = {{"block", block}};
  trial.samples = {Nanoseconds(median), Nanoseconds(median * 1.5)};
  trial.median = Nanoseconds(median);
  trial.finished_at = "2026-01-02T03:04:05Z";
  trial.since_start = Nanoseconds(1.25e8 * static_cast<double>(ordinal + 1));
  return trial;
}

// Every field has a value of its own, so that one that is forgotten shows.
SessionRecord full_record() {
  SessionRecord record;
  record.kernel = "k";
  record.specification = "/a/k.toml";
  record.dimensions = {{"n", std::int64_t{1000}}, {"alpha", 2.5}};
  Parameter block;
  block.name = "block";
  block.values = {std::int64_t{32}, std::int64_t{64}};
  block.default_value = std::int64_t{32};
  block.role = ParameterRole::block;
  record.parameters = {block};
  record.metrics = {"GB/s", "GFLOP/s"};
  record.objective = {"GB/s", false};
  record.cache_mode = "cold";
  record.strategy = "random";
  record.seed = 18446744073709551615ULL;
  record.space_size = 2;
  record.cartesian_size = 4;
  record.evaluation.device.name = "card";
  record.evaluation.device.id = {"sim", {0}};
  record.evaluation.compiler = "c 1";
  record.evaluation.target = "t";
  record.evaluation.reference = "kernel (independent)";
  record.evaluation.has_reference = true;
  record.evaluation.reference_outputs = {{"y", 10, 1, 2, 3.5}};
  record.evaluation.unverified = "why";
  record.version = "1.2.3";
  record.host = {"node", "a processor", "x86_64", "Linux 6", 7};
  record.began_at = "2026-01-02T03:04:00Z";
  record.finished_at = "2026-01-02T03:05:00Z";
  record.trials = {trial(0, 32, 2000), trial(1, 64, 1000)};
  record.evaluations = 2;
  record.resumed_from = 1;
  record.by_status[0] = 2;
  record.baseline = trial(0, 32, 2100);
  record.best = record.trials[1].configuration;
  record.best_median = Nanoseconds(990.125);
  record.best_spread = Nanoseconds(3);
  record.baseline_median = Nanoseconds(1980.25);
  record.baseline_metrics = {{"GB/s", 4}};
  record.baseline_samples = {Nanoseconds(1980), Nanoseconds(1981)};
  record.speedup = 2;
  record.speedup_interval = Interval{1.9, 2.1, 0.9};
  record.comparison = ComparisonMethod{1, 1, "by a test", 0.05};
  record.power_limited = true;
  record.clock = ClockState::sustained;
  Finalist winner;
  winner.configuration = *record.best;
  winner.samples = {Nanoseconds(990), Nanoseconds(991)};
  winner.median = Nanoseconds(990.125);
  winner.spread = Nanoseconds(3);
  winner.ratio = {1.01, {0.99, 1.03, 0.9}};
  winner.tie = true;
  winner.speedup = 2;
  winner.boost = Nanoseconds(800);
  winner.sustained = Nanoseconds(990.125);
  winner.boost_samples = {Nanoseconds(799), Nanoseconds(801)};
  winner.metrics = {{"GB/s", 8}};
  record.finalists = {winner};
  record.ties = {*record.best};
  record.verification = "verified";
  record.reverified = true;
  record.verified_sizes = {Configuration{{"n", std::int64_t{999}}}};
  record.stop_reason = "space exhausted";
  record.times = {Nanoseconds(9e9), Nanoseconds(1e9), Nanoseconds(2e9), Nanoseconds(3e9), Nanoseconds(4e9),
                  Nanoseconds(5e9), Nanoseconds(6e9), Nanoseconds(7e9), Nanoseconds(8e9)};
  record.warnings = {"a warning"};
  return record;
}

JournalHeader header() {
  JournalHeader header;
  header.kernel = "k";
  header.device = "card";
  header.device_id = "sim:0";
  header.cache_mode = "cold";
  header.strategy = "random";
  header.seed = 7;
  header.dimensions = {{"n", std::int64_t{1000}}};
  header.details = JsonText(R"({"specification":"/a/k.toml","version":"1.2.3"})");
  return header;
}

void write_journal(const std::filesystem::path& folder, const std::vector<Trial>& trials) {
  Journal journal = Journal::create(folder, header());
  for (const Trial& each : trials) journal.append(each);
}

TEST(SessionRecord, ReadsBackAsItWasWritten) {
  const SessionRecord record = full_record();
  const Json written = to_json(record);
  SessionRecord read = session_record_from_json(written);
  // Trials and their counts stand in the journal.
  read.trials = record.trials;
  read.by_status = record.by_status;
  EXPECT_EQ(to_json(read).dump(1), written.dump(1));
  EXPECT_EQ(read.baseline->median, record.baseline->median);
  EXPECT_EQ(read.baseline_median, record.baseline_median);
  EXPECT_EQ(read.parameters.front().values, record.parameters.front().values);
  EXPECT_EQ(read.host, record.host);
  EXPECT_EQ(read.seed, record.seed);
  EXPECT_EQ(read.finalists.front().boost_samples, record.finalists.front().boost_samples);
  EXPECT_EQ(read.times.finish, record.times.finish);
}

TEST(SessionRecord, WithoutOutcomeReadsBackToo) {
  SessionRecord record;
  record.kernel = "k";
  const Json written = to_json(record);
  for (const char* key : {"best", "baseline", "speedup", "speedup_interval", "final_comparison"})
    EXPECT_TRUE(written.at(key).is_null()) << key;
  EXPECT_EQ(to_json(session_record_from_json(written)).dump(), written.dump());
}

TEST(SessionRecord, NamesTheKeyThatIsWrong) {
  Json json = to_json(full_record());
  json["finalists"][0]["median_ns"] = "soon";
  try {
    session_record_from_json(json);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::corrupted);
    EXPECT_THAT(error.what(), HasSubstr("finalists[0].median_ns"));
  }
  json = to_json(full_record());
  json["schema_version"] = 99;
  EXPECT_THROW(session_record_from_json(json), Error);
  // Keys of later versions of the same schema are skipped.
  json = to_json(full_record());
  json["news"] = 1;
  EXPECT_NO_THROW(session_record_from_json(json));
}

TEST(ReadSession, PutsRecordAndTrialsTogether) {
  const TemporaryFolder folder(std::filesystem::temp_directory_path());
  const SessionRecord record = full_record();
  write_journal(folder.path() / "s", {record.trials[1], record.trials[0]});
  write_session_record(folder.path() / "s", record);
  const SessionRecord read = read_session(folder.path() / "s");
  EXPECT_TRUE(read.complete);
  ASSERT_EQ(read.trials.size(), 2U);
  EXPECT_EQ(read.trials[0].ordinal, 0U);  // by ordinal, however they ended
  EXPECT_EQ(read.trials[1].since_start, Nanoseconds(2.5e8));
  EXPECT_EQ(read.by_status[0], 2U);
  EXPECT_EQ(read.best, record.best);
}

TEST(ReadSession, HasWhatTheJournalTellsWhereThereIsNoRecord) {
  const TemporaryFolder folder(std::filesystem::temp_directory_path());
  write_journal(folder.path() / "s", {trial(0, 32, 2000)});
  const SessionRecord read = read_session(folder.path() / "s");
  EXPECT_FALSE(read.complete);
  EXPECT_EQ(read.kernel, "k");
  EXPECT_EQ(read.evaluation.device.id.to_string(), "sim:0");
  EXPECT_EQ(read.specification, "/a/k.toml");
  EXPECT_EQ(read.evaluations, 1U);
  EXPECT_FALSE(read.best);
}

TEST(ReadSession, ARecordOfBeforeTheSessionWentOnSaysNothing) {
  const TemporaryFolder folder(std::filesystem::temp_directory_path());
  const SessionRecord record = full_record();
  write_journal(folder.path() / "s", {record.trials[0], record.trials[1], trial(2, 128, 500)});
  write_session_record(folder.path() / "s", record);
  const SessionRecord read = read_session(folder.path() / "s");
  EXPECT_FALSE(read.complete);
  EXPECT_EQ(read.evaluations, 3U);
  EXPECT_TRUE(read.finalists.empty());
}

TEST(ReadSession, NamesADamagedFile) {
  const TemporaryFolder folder(std::filesystem::temp_directory_path());
  write_journal(folder.path() / "s", {trial(0, 32, 2000)});
  const auto file = folder.path() / "s" / SessionRecord::file_name;
  std::ofstream(file) << "{\"schema_version\": 1, \"kernel\": ";
  try {
    read_session(folder.path() / "s");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::corrupted);
    EXPECT_THAT(error.what(), HasSubstr(file.string()));
  }
}

}  // namespace
}  // namespace warpwright::store
