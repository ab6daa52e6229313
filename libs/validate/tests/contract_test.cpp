#include <filesystem>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string>

#include <warpwright/base/error.hpp>
#include <warpwright/base/files.hpp>
#include <warpwright/base/temporary_folder.hpp>
#include <warpwright/validate/contract.hpp>

namespace warpwright::validate {
namespace {

const std::string published = R"(version = 1
name = "pipeline-A"
seed = 42
load = {kind = "poisson", rate_hz = 200, max_outstanding = 0}
run = {warmup_s = 30, min_duration_s = 600, min_requests = 33097, max_duration_s = 1800, repeats = 3}
clock = "scheduled"
stage = [{id = "h2d", p50_us = 80, p99_us = 150}, {id = "kernel", p50_us = 400, p99_us = 700, p999_us = 900},
  {id = "e2e", p50_us = 900, p99_us = 1500, p999_us = 2500, max_us = 20000}]
stats = {confidence = 0.99, tolerance = 0.0, look = "fixed-n", histogram = {min_ns = 100, max_s = 60, digits = 3}}
validity = {errors_max = 0, late_issue_p99_us = 50}
)";

TEST(Contract, ReadsEveryKey) {
  const Contract contract = parse_contract(published, "a.toml");
  EXPECT_EQ(contract.name, "pipeline-A");
  EXPECT_EQ(contract.seed, 42u);
  EXPECT_EQ(contract.load.kind, LoadKind::poisson);
  EXPECT_EQ(contract.load.rate_hz, 200);
  EXPECT_EQ(contract.load.workers, 1u);
  EXPECT_EQ(contract.run.warmup, Seconds{30});
  EXPECT_EQ(contract.run.min_duration, Seconds{600});
  EXPECT_EQ(contract.run.max_duration, Seconds{1800});
  EXPECT_EQ(contract.run.min_requests, 33097u);
  EXPECT_EQ(contract.run.repeats, 3u);
  EXPECT_THAT(contract.stages(), testing::ElementsAre("h2d", "kernel", "e2e"));
  ASSERT_EQ(contract.limits.size(), 9u);
  EXPECT_EQ(contract.limits[4].name(), "kernel p99.9");
  EXPECT_EQ(contract.limits[4].limit, Nanoseconds{900e3});
  EXPECT_EQ(contract.limits[8].name(), "e2e max");
  EXPECT_EQ(contract.stats.confidence, 0.99);
  EXPECT_EQ(contract.stats.looks, 1u);
  EXPECT_EQ(contract.stats.histogram.low, Nanoseconds{100});
  EXPECT_EQ(contract.validity.late_issue_p99, Nanoseconds{50e3});
  EXPECT_EQ(contract.validity.stage_sum_gap, std::nullopt);
  EXPECT_NO_THROW(check_contract(contract));
}

TEST(Contract, CorrectsFailuresForAllLimitsAndRepeatsAndPassesForNone) {
  const Contract contract = parse_contract(published, "a.toml");
  const LateTest test = contract.test_of(contract.limits[7]);
  EXPECT_EQ(test.percentile().name(), "p99.9");
  EXPECT_EQ(test.options().limits, 8u * 3);
  EXPECT_EQ(test.most_late_to_pass(33097), 20u);
  EXPECT_THROW(contract.test_of(contract.limits[8]), Error);
}

TEST(Contract, HasDefaultsForAllButLoadLengthAndLimits) {
  const Contract contract = parse_contract(
      "version = 1\nname = 'a'\nload = {kind = 'closed', workers = 4}\nrun = {min_requests = 500}\n"
      "stage = [{id = 'e2e', p99_us = 0.5}]\nstats = {look = 'spend', looks = 2, confidence = 0.95}\n"
      "validity = {stage_sum_gap = 0.05}\n",
      "a.toml");
  EXPECT_EQ(contract.seed, 1u);
  EXPECT_EQ(contract.load.workers, 4u);
  EXPECT_EQ(contract.run.repeats, 3u);
  EXPECT_EQ(contract.limits[0].limit, Nanoseconds{500});
  EXPECT_EQ(contract.stats.looks, 2u);
  EXPECT_NEAR(contract.test_of(contract.limits[0]).options().confidence, 0.975, 1e-12);
  EXPECT_EQ(contract.validity.stage_sum_gap, 0.05);
}

TEST(Contract, ReadsATraceBesideIt) {
  const TemporaryFolder folder(std::filesystem::temp_directory_path());
  std::string trace = "# seconds\r\n";
  for (int i = 0; i < 60; ++i) trace += std::to_string(i / 10) + "." + std::to_string(i % 10) + "\n";
  write_file_atomically(folder.path() / "arrivals.txt", trace);
  write_file_atomically(folder.path() / "a.toml",
                        "version = 1\nname = 'a'\nload = {kind = 'trace', file = 'arrivals.txt'}\n"
                        "run = {min_requests = 50, warmup_s = 1, repeats = 1}\nstage = [{id = 'e2e', p90_us = 10}]\n");
  const Contract contract = read_contract(folder.path() / "a.toml");
  ASSERT_EQ(contract.load.trace.size(), 60u);
  EXPECT_NEAR(contract.load.trace[15].count(), 1.5e9, 1);
}

TEST(Contract, MadeInCppIsCheckedAsOneFromAFile) {
  Contract contract = parse_contract(published, "a.toml");
  contract.run.min_requests = 4602;
  try {
    check_contract(contract);
    ADD_FAILURE() << "was accepted";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("key 'run.min_requests'"));
    EXPECT_THAT(error.what(), testing::HasSubstr("at least 4603"));
  }
  contract = parse_contract(published, "a.toml");
  contract.limits.clear();
  EXPECT_THROW(check_contract(contract), Error);
  contract = parse_contract(published, "a.toml");
  std::swap(contract.limits[0], contract.limits[1]);
  EXPECT_THROW(check_contract(contract), Error) << "p99 before p50";
  contract = parse_contract(published, "a.toml");
  std::swap(contract.limits[0], contract.limits[3]);
  EXPECT_THROW(check_contract(contract), Error) << "limits of a stage apart";
  contract = parse_contract(published, "a.toml");
  contract.limits[0].percentile = Percentile::percent(100);
  EXPECT_THROW(check_contract(contract), Error);
}

TEST(Contract, OfTheWorkloadsAreReadAndCanPass) {
  const std::filesystem::path folder = WARPWRIGHT_CONTRACTS_FOLDER;
  std::size_t found = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    SCOPED_TRACE(entry.path().string());
    const Contract contract = read_contract(entry.path());
    EXPECT_EQ(contract.name + ".toml", entry.path().filename().string());
    EXPECT_GE(contract.run.repeats, 3u);
    EXPECT_NE(contract.load.kind, LoadKind::closed);
    for (const Limit& limit : contract.limits) {
      EXPECT_GE(contract.test_of(limit).most_late_to_pass(contract.run.min_requests), 5u)
          << limit.name() << ": one hiccup of the host decides nothing";
    }
    ++found;
  }
  EXPECT_EQ(found, 7u);
}

}  // namespace
}  // namespace warpwright::validate
