#include "../profiles_command.hpp"

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string>

#include <warpwright/base/error.hpp>
#include <warpwright/base/files.hpp>
#include <warpwright/store/json.hpp>
#include <warpwright/store/profile_database.hpp>

#include "../command.hpp"

namespace warpwright::app {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class ProfilesCommand : public ::testing::Test {
 protected:
  ProfilesCommand() {
    std::string pattern = (std::filesystem::temp_directory_path() / "warpwright-profiles-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("cannot create a temporary folder");
    folder_ = pattern;
    file_ = folder_ / "profiles.sqlite";
  }
  ~ProfilesCommand() override {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

  // Standard output of a command that must succeed.
  template <class Command>
  static std::string output_of(Command command) {
    char* data = nullptr;
    std::size_t size = 0;
    std::FILE* stream = ::open_memstream(&data, &size);
    EXPECT_EQ(command(stream), exit_success);
    std::fclose(stream);
    std::string text(data, size);
    std::free(data);
    return text;
  }

  template <class Command>
  static std::string error_of(ErrorCode code, Command command) {
    try {
      command(stdout);
      ADD_FAILURE() << "no error was thrown";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code) << error.what();
      return error.what();
    }
    return {};
  }

  static store::TuningProfile profile(const std::string& kernel, std::int64_t n, double median_us) {
    store::TuningProfile result;
    result.key.kernel = kernel;
    result.key.source_hash = "0123456789abcdef0123456789abcdef";
    result.key.backend = "cuda";
    result.key.device = "Widget 9000";
    result.key.architecture = "sm_90";
    result.key.dimensions = {{"n", n}};
    result.key.toolkit = "NVRTC 13.0";
    result.key.driver = "580.1";
    result.key.cache_mode = "cold";
    result.configuration = {{"block_x", std::int64_t{128}}, {"layout", std::string("row")}};
    result.median = Nanoseconds{median_us * 1000};
    result.spread = Nanoseconds{10};
    result.samples = 31;
    result.strategy = "random";
    result.seed = 42;
    result.evaluations = 200;
    result.created_at = "2026-11-22T18:06:36Z";
    return result;
  }

  // Ids 1 (axpy), 2 and 3 (gemm).
  void fill() {
    store::ProfileDatabase database(file_);
    store::TuningProfile axpy = profile("axpy", 1000000, 12.5);
    axpy.baseline = Configuration{{"block_x", std::int64_t{32}}};
    axpy.baseline_median = Nanoseconds{40000};
    axpy.paired_speedup = PairedRatio{3.2, {3.16, 3.24, 0.95}};
    axpy.verification = "reference kernel; re-verified at 2 sizes";
    axpy.details = store::text_of({{"note", "first"}, {"power_w", 300}});
    database.put(axpy);
    database.put(profile("gemm", 2048, 1500));
    store::TuningProfile close = profile("gemm", 64, 3);
    close.baseline_median = Nanoseconds{3120};
    database.put(close);
  }

  std::filesystem::path folder_, file_;
};

TEST_F(ProfilesCommand, ListIsAnAlignedTable) {
  fill();
  EXPECT_EQ(output_of([&](std::FILE* out) { return profiles_list(file_, "", false, out); }),
            "id  kernel  problem    device          time  speed-up  created           configuration\n"
            " 1  axpy    n=1000000  Widget 9000  12.5 us      3.2x  2026-11-22 18:06  block_x=128, layout='row'\n"
            " 2  gemm    n=2048     Widget 9000  1.50 ms            2026-11-22 18:06  block_x=128, layout='row'\n"
            " 3  gemm    n=64       Widget 9000  3.00 us     1.04x  2026-11-22 18:06  block_x=128, layout='row'\n");
  EXPECT_THAT(output_of([&](std::FILE* out) { return profiles_list(file_, "gemm", false, out); }),
              AllOf(HasSubstr("gemm"), Not(HasSubstr("axpy"))));
}

TEST_F(ProfilesCommand, ListAsJson) {
  fill();
  const auto json =
      store::Json::parse(output_of([&](std::FILE* out) { return profiles_list(file_, "gemm", true, out); }));
  EXPECT_EQ(json.at("schema_version"), 1);
  ASSERT_EQ(json.at("profiles").size(), 2u);
  EXPECT_EQ(json.at("profiles")[0].at("id"), 2);
  EXPECT_EQ(json.at("profiles")[0].at("configuration").at("block_x"), 128);
  EXPECT_EQ(json.at("profiles")[0].at("median_ns"), 1.5e6);
}

TEST_F(ProfilesCommand, ListOfNothingSaysSoAndCreatesNothing) {
  EXPECT_THAT(output_of([&](std::FILE* out) { return profiles_list(file_, "", false, out); }),
              AllOf(HasSubstr(file_.string()), HasSubstr("no profile"), HasSubstr("warpwright tune")));
  EXPECT_EQ(store::Json::parse(output_of([&](std::FILE* out) { return profiles_list(file_, "x", true, out); })),
            store::Json::parse(R"({"schema_version": 1, "profiles": []})"));
  EXPECT_FALSE(std::filesystem::exists(file_));
  fill();
  EXPECT_THAT(output_of([&](std::FILE* out) { return profiles_list(file_, "gem", false, out); }),
              HasSubstr("did you mean 'gemm'?"));
  EXPECT_THAT(output_of([&](std::FILE* out) { return profiles_list(file_, "stencil", false, out); }),
              HasSubstr("it has: axpy, gemm"));
}

TEST_F(ProfilesCommand, ShowSaysEverything) {
  fill();
  const std::string text = output_of([&](std::FILE* out) { return profiles_show(file_, 1, false, out); });
  for (const char* part : {"profile 1: axpy\n", "block_x=128, layout='row'",
                           "median 12.5 us, interquartile range 10.0 ns, 31 samples, cold cache",
                           "40.0 us (block_x=32)", "3.2x (95 % interval 3.16 to 3.24)", "re-verified at 2 sizes",
                           "n=1000000", "Widget 9000 (cuda, sm_90)", "NVRTC 13.0", "580.1", "0123456789abcdef",
                           "random, seed 42, 200 evaluations", "2026-11-22T18:06:36Z", "first", "300"})
    EXPECT_THAT(text, HasSubstr(part));
  EXPECT_THAT(output_of([&](std::FILE* out) { return profiles_show(file_, 2, false, out); }),
              AllOf(Not(HasSubstr("baseline")), Not(HasSubstr("speed-up"))));
  const auto json = store::Json::parse(output_of([&](std::FILE* out) { return profiles_show(file_, 1, true, out); }));
  EXPECT_EQ(json.at("schema_version"), 1);
  EXPECT_EQ(json.at("profile").at("id"), 1);
  EXPECT_EQ(json.at("profile").at("speedup"), 3.2);
  EXPECT_EQ(json.at("profile").at("speedup_interval"), store::Json({3.16, 3.24}));
  EXPECT_EQ(json.at("profile").at("speedup_confidence"), 0.95);
}

TEST_F(ProfilesCommand, UnknownIdsAreNamedWithTheWayToListThem) {
  fill();
  const auto message =
      AllOf(HasSubstr("no profile 7"), HasSubstr(file_.string()), HasSubstr("warpwright profiles list"));
  EXPECT_THAT(error_of(ErrorCode::not_found, [&](std::FILE* out) { profiles_show(file_, 7, false, out); }), message);
  EXPECT_THAT(error_of(ErrorCode::not_found, [&](std::FILE* out) { profiles_remove(file_, {7}, false, out); }),
              message);
  EXPECT_THAT(error_of(ErrorCode::not_found, [&](std::FILE* out) { profiles_show(folder_ / "none", 7, false, out); }),
              HasSubstr("no profile 7"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "none"));
}

TEST_F(ProfilesCommand, RemoveRemoves) {
  fill();
  EXPECT_EQ(output_of([&](std::FILE* out) { return profiles_remove(file_, {1}, false, out); }),
            "removed 1 profile: 1\n");
  EXPECT_EQ(store::Json::parse(output_of([&](std::FILE* out) { return profiles_remove(file_, {3}, true, out); })),
            store::Json::parse(R"({"schema_version": 1, "removed": [3]})"));
  EXPECT_EQ(store::ProfileDatabase(file_).list().size(), 1u);
  EXPECT_THAT(error_of(ErrorCode::not_found,
                       [&](std::FILE* out) {
                         profiles_remove(file_, {1, 2, 3}, false, out);
                       }),
              AllOf(HasSubstr("no profile 1, 3"), HasSubstr("removed: 2")));
  EXPECT_TRUE(store::ProfileDatabase(file_).list().empty());
}

TEST_F(ProfilesCommand, ExportThenImport) {
  fill();
  const auto exported = folder_ / "profiles.json", other = folder_ / "other.sqlite";
  EXPECT_EQ(output_of([&](std::FILE* out) { return profiles_export(file_, "", exported, false, out); }),
            "exported 3 profiles to '" + exported.string() + "'\n");
  EXPECT_EQ(output_of([&](std::FILE* out) { return profiles_export(file_, "", "", false, out); }), read_file(exported));
  EXPECT_EQ(output_of([&](std::FILE* out) { return profiles_import(other, exported, false, out); }),
            "imported 3 profiles from '" + exported.string() + "' into '" + other.string() + "'\n");
  EXPECT_EQ(store::ProfileDatabase(other).export_json(), store::ProfileDatabase(file_).export_json());
  EXPECT_THAT(output_of([&](std::FILE* out) { return profiles_import(other, exported, false, out); }),
              AllOf(HasSubstr("imported 0 profiles"), HasSubstr("3 were there already")));
  EXPECT_EQ(store::Json::parse(output_of([&](std::FILE* out) { return profiles_import(other, exported, true, out); })),
            store::Json::parse(R"({"schema_version": 1, "imported": 0, "already_present": 3})"));
  EXPECT_EQ(store::Json::parse(output_of([&](std::FILE* out) {
              return profiles_export(file_, "axpy", exported, true, out);
            })).at("exported"),
            1);
}

TEST_F(ProfilesCommand, ExportOfAnUnknownKernelIsAnError) {
  fill();
  const auto exported = folder_ / "profiles.json";
  EXPECT_THAT(
      error_of(ErrorCode::not_found, [&](std::FILE* out) { profiles_export(file_, "gemn", exported, false, out); }),
      HasSubstr("did you mean 'gemm'?"));
  EXPECT_FALSE(std::filesystem::exists(exported));
}

TEST_F(ProfilesCommand, ADamagedImportNamesFileProfileAndKey) {
  fill();
  store::Json json = store::parse(store::ProfileDatabase(file_).export_json(), "the export");
  json["profiles"][2].erase("seed");
  const auto damaged = folder_ / "damaged.json", other = folder_ / "other.sqlite";
  write_file_atomically(damaged, json.dump());
  EXPECT_THAT(error_of(ErrorCode::bad_input, [&](std::FILE* out) { profiles_import(other, damaged, false, out); }),
              AllOf(HasSubstr(damaged.string()), HasSubstr("key 'profiles[2].seed' is missing"),
                    HasSubstr("nothing was imported")));
  EXPECT_TRUE(store::ProfileDatabase(other).list().empty());
  write_file_atomically(damaged, "{\"schema_version\": 1,");
  EXPECT_THAT(error_of(ErrorCode::bad_input, [&](std::FILE* out) { profiles_import(other, damaged, false, out); }),
              AllOf(HasSubstr(damaged.string()), HasSubstr("not JSON")));
  write_file_atomically(damaged, R"({"schema_version": 5, "profiles": []})");
  EXPECT_THAT(error_of(ErrorCode::unsupported, [&](std::FILE* out) { profiles_import(other, damaged, false, out); }),
              AllOf(HasSubstr(damaged.string()), HasSubstr("newer")));
  error_of(ErrorCode::not_found, [&](std::FILE* out) { profiles_import(other, folder_ / "none.json", false, out); });
}

TEST_F(ProfilesCommand, TheCommandLineReachesEachOfThem) {
  fill();
  const auto run = [&](const std::string& line) {
    return output_of([&](std::FILE* out) {
      CLI::App app("", "warpwright");
      int exit_code = exit_failure;
      Console console;
      console.out = out;
      add_profiles_command(app, console, exit_code);
      app.parse(line);
      return exit_code;
    });
  };
  const std::string database = " --profiles " + file_.string(), other = " --profiles " + (folder_ / "other").string();
  EXPECT_THAT(run("profiles list gemm" + database), HasSubstr("n=2048"));
  EXPECT_THAT(run("profiles show 1" + database), HasSubstr("profile 1: axpy"));
  EXPECT_THAT(run("profiles export --output " + (folder_ / "p.json").string() + database), HasSubstr("exported 3"));
  EXPECT_THAT(run("profiles import " + (folder_ / "p.json").string() + other), HasSubstr("imported 3 profiles"));
  EXPECT_THAT(run("profiles remove 1 2 --json" + database), HasSubstr("\"removed\""));
  EXPECT_EQ(store::ProfileDatabase(file_).list().size(), 1u);
}

}  // namespace
}  // namespace warpwright::app
