#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <memory>
#include <set>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <warpwright/store/profile_database.hpp>

#include "store_test_support.hpp"

namespace warpwright::store::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

TuningProfile profile_for(std::int64_t n, const std::string& created_at = "2026-11-22T18:00:00Z") {
  TuningProfile profile = full_profile();
  profile.key.dimensions = {{"n", n}};
  profile.created_at = created_at;
  return profile;
}

// As another program would write the file.
void run_sql(const std::filesystem::path& file, const char* sql) {
  sqlite3* handle = nullptr;
  ASSERT_EQ(sqlite3_open(file.c_str(), &handle), SQLITE_OK);
  char* message = nullptr;
  EXPECT_EQ(sqlite3_exec(handle, sql, nullptr, nullptr, &message), SQLITE_OK) << message;
  sqlite3_free(message);
  sqlite3_close(handle);
}

std::set<std::string> names_in(const std::filesystem::path& folder) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) names.insert(entry.path().filename().string());
  return names;
}

// "log" and "log-wal" in `folder`: a database whose only content is in its log, as after a kill.
void files_of_a_killed_writer(const TemporaryFolder& folder, const std::string& sql) {
  const auto live = folder / "live";
  sqlite3* handle = nullptr;
  EXPECT_EQ(sqlite3_open(live.c_str(), &handle), SQLITE_OK);
  EXPECT_EQ(sqlite3_exec(handle, ("PRAGMA journal_mode = WAL; " + sql).c_str(), nullptr, nullptr, nullptr), SQLITE_OK);
  std::filesystem::copy_file(live, folder / "log");
  std::filesystem::copy_file(folder / "live-wal", folder / "log-wal");
  sqlite3_close(handle);
  std::filesystem::remove(live);
}

// The superuser may write everywhere; as one of these he is nobody for a while. Other users stay who they are.
class Unprivileged {
 public:
  Unprivileged() { change(65534); }
  ~Unprivileged() { change(0); }
  Unprivileged(const Unprivileged&) = delete;
  Unprivileged& operator=(const Unprivileged&) = delete;

 private:
  static void change(uid_t user) {
    if (::getuid() == 0) {
      ASSERT_EQ(::seteuid(user), 0);
    }
  }
};

TEST(ProfileDatabase, KeepsEveryField) {
  const TemporaryFolder folder;
  const auto file = folder / "profiles.db";
  std::int64_t id = 0;
  {
    ProfileDatabase database(file);
    EXPECT_TRUE(database.list().empty());
    id = database.put(full_profile());
    EXPECT_GT(id, 0);
  }
  const ProfileDatabase database(file);
  const auto read = database.get(id);
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->id, id);
  EXPECT_TRUE(same(*read, full_profile()));
  EXPECT_FALSE(database.get(id + 1).has_value());
}

TEST(ProfileDatabase, KeepsAbsentFieldsAbsent) {
  const TemporaryFolder folder;
  ProfileDatabase database(folder / "profiles.db");
  TuningProfile plain;
  plain.key.kernel = "plain";
  plain.median = Nanoseconds{5};
  const auto read = database.get(database.put(plain));
  ASSERT_TRUE(read.has_value());
  EXPECT_TRUE(same(*read, plain));
  EXPECT_FALSE(read->baseline.has_value());
  EXPECT_FALSE(read->baseline_median.has_value());
}

TEST(ProfileDatabase, ReplacesAnEqualKeyAndKeepsItsId) {
  const TemporaryFolder folder;
  ProfileDatabase database(folder / "profiles.db");
  const std::int64_t id = database.put(profile_for(64));
  TuningProfile again = profile_for(64);
  again.median = Nanoseconds{7};
  again.baseline.reset();
  again.baseline_median.reset();
  EXPECT_EQ(database.put(again), id);
  ASSERT_EQ(database.list().size(), 1u);
  EXPECT_TRUE(same(database.list()[0], again));
}

TEST(ProfileDatabase, EveryPartOfTheKeyCounts) {
  const TemporaryFolder folder;
  ProfileDatabase database(folder / "profiles.db");
  database.put(profile_for(64));
  std::size_t count = 1;
  for (const auto field : {&ProfileKey::kernel, &ProfileKey::source_hash, &ProfileKey::data_types, &ProfileKey::backend,
                           &ProfileKey::device, &ProfileKey::architecture, &ProfileKey::toolkit, &ProfileKey::driver,
                           &ProfileKey::cache_mode}) {
    TuningProfile other = profile_for(64);
    other.key.*field += "'";
    database.put(other);
    EXPECT_EQ(database.list().size(), ++count);
  }
  database.put(profile_for(65));
  EXPECT_EQ(database.list().size(), ++count);
  TuningProfile same_key = profile_for(64);
  same_key.key.device_kind = "unknown";
  database.put(same_key);
  EXPECT_EQ(database.list().size(), count) << "the kind follows from the device";
}

TEST(ProfileDatabase, DimensionsAreEqualInAnyOrder) {
  const TemporaryFolder folder;
  ProfileDatabase database(folder / "profiles.db");
  TuningProfile first = full_profile();
  first.key.dimensions = {{"x", std::int64_t{1}}, {"y", std::int64_t{2}}};
  TuningProfile second = first;
  second.key.dimensions = {{"y", 2.0}, {"x", std::int64_t{1}}};
  EXPECT_EQ(database.put(first), database.put(second));
  second.key.dimensions = {{"y", std::int64_t{1}}, {"x", std::int64_t{2}}};
  database.put(second);
  EXPECT_EQ(database.list().size(), 2u);
}

TEST(ProfileDatabase, RefusesWhatCannotBeAResult) {
  const TemporaryFolder folder;
  ProfileDatabase database(folder / "profiles.db");
  TuningProfile nameless = full_profile();
  nameless.key.kernel.clear();
  error_of(ErrorCode::bad_input, [&] { database.put(nameless); });
  for (const double median :
       {0.0, -1.0, std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    TuningProfile timeless = full_profile();
    timeless.median = Nanoseconds{median};
    EXPECT_THAT(error_of(ErrorCode::bad_input, [&] { database.put(timeless); }), HasSubstr("'gemm'"));
  }
  EXPECT_TRUE(database.list().empty());
}

TEST(ProfileDatabase, ListsByKernel) {
  const TemporaryFolder folder;
  ProfileDatabase database(folder / "profiles.db");
  TuningProfile other = full_profile();
  other.key.kernel = "axpy";
  database.put(profile_for(1));
  database.put(other);
  database.put(profile_for(2));
  ASSERT_EQ(database.list().size(), 3u);
  EXPECT_EQ(database.list()[0].key.kernel, "axpy");
  EXPECT_EQ(database.list("gemm").size(), 2u);
  EXPECT_TRUE(database.list("' OR 1=1 --").empty());
}

TEST(ProfileDatabase, RemovesOnce) {
  const TemporaryFolder folder;
  ProfileDatabase database(folder / "profiles.db");
  const std::int64_t id = database.put(profile_for(1));
  EXPECT_TRUE(database.remove(id));
  EXPECT_FALSE(database.remove(id));
  EXPECT_TRUE(database.list().empty());
  EXPECT_GT(database.put(profile_for(1)), id) << "ids are not used twice";
}

TEST(ProfileDatabase, FindsTheNearest) {
  const TemporaryFolder folder;
  ProfileDatabase database(folder / "profiles.db");
  database.put(profile_for(100));
  const std::int64_t large = database.put(profile_for(4000));
  const auto match = database.find(profile_for(4096).key, MatchPolicy::device);
  ASSERT_TRUE(match.has_value());
  EXPECT_EQ(match->profile.id, large);
  EXPECT_EQ(match->quality, "size 4000 for 4096 (distance 0.034)");
  EXPECT_FALSE(database.find(profile_for(4096).key, MatchPolicy::exact).has_value());
}

// An edit of the source, an include or a flag changes the hash: nothing is found, and the caller can say why.
TEST(ProfileDatabase, ChangedSourceMissesAndIsCounted) {
  const TemporaryFolder folder;
  ProfileDatabase database(folder / "profiles.db");
  database.put(profile_for(64));
  database.put(profile_for(128));
  ProfileKey edited = profile_for(64).key;
  EXPECT_EQ(database.count_stale(edited), 0u);
  edited.source_hash = "fedcba9876543210fedcba9876543210";
  EXPECT_FALSE(database.find(edited, MatchPolicy::nearest).has_value());
  EXPECT_EQ(database.count_stale(edited), 2u);
}

// A new driver neither loses the old profile nor goes unnoticed; tuning again keeps both.
TEST(ProfileDatabase, ANewDriverWarnsAndKeepsBoth) {
  const TemporaryFolder folder;
  ProfileDatabase database(folder / "profiles.db");
  database.put(profile_for(64));
  TuningProfile updated = profile_for(64);
  updated.key.driver = "590.2";
  const auto before = database.find(updated.key, MatchPolicy::exact);
  ASSERT_TRUE(before.has_value());
  EXPECT_EQ(before->warnings.size(), 1u);
  const std::int64_t id = database.put(updated);
  const auto after = database.find(updated.key, MatchPolicy::exact);
  ASSERT_TRUE(after.has_value());
  EXPECT_EQ(after->profile.id, id);
  EXPECT_TRUE(after->warnings.empty());
  EXPECT_EQ(database.list().size(), 2u);
}

TEST(ProfileDatabase, VersionTellsOfEveryWrite) {
  const TemporaryFolder folder;
  ProfileDatabase ours(folder / "profiles.db"), theirs(folder / "profiles.db");
  std::set<std::int64_t> seen = {ours.version()};
  EXPECT_EQ(ours.version(), *seen.begin());
  const std::int64_t id = ours.put(profile_for(1));
  EXPECT_TRUE(seen.insert(ours.version()).second);
  theirs.put(profile_for(2));
  EXPECT_TRUE(seen.insert(ours.version()).second);
  ours.remove(id);
  EXPECT_TRUE(seen.insert(ours.version()).second);
  theirs.import_json(text_of({{"schema_version", 1}, {"profiles", {to_json(profile_for(3))}}}));
  EXPECT_TRUE(seen.insert(ours.version()).second);
  ours.list();
  EXPECT_FALSE(seen.insert(ours.version()).second) << "reading changes nothing";
}

TEST(ProfileDatabase, ForeignFilesAreNamedAndLeftAlone) {
  const TemporaryFolder folder;
  const auto text = folder / "notes.txt";
  for (const std::string& content : {std::string("short"), std::string(5000, 'x')}) {
    write_text_file(text, content);
    EXPECT_THAT(error_of(ErrorCode::corrupted, [&] { ProfileDatabase{text}; }), HasSubstr(text.string()));
    EXPECT_EQ(read_text_file(text), content);
  }
  const auto other = folder / "browser.db";
  run_sql(other, "CREATE TABLE cookies (name TEXT)");
  const std::string before = read_text_file(other);
  EXPECT_THAT(error_of(ErrorCode::corrupted, [&] { ProfileDatabase{other}; }),
              AllOf(HasSubstr(other.string()), HasSubstr("another program")));
  EXPECT_EQ(read_text_file(other), before);
}

TEST(ProfileDatabase, DamageIsNamed) {
  const TemporaryFolder folder;
  const auto file = folder / "profiles.db";
  {
    ProfileDatabase database(file);
    for (int i = 1; i < 200; ++i) database.put(profile_for(i));
  }
  std::string bytes = read_text_file(file);
  for (std::size_t i = 4096 + 8; i < bytes.size(); ++i) bytes[i] = static_cast<char>(bytes[i] ^ 0x5A);
  write_text_file(file, bytes);
  EXPECT_THAT(error_of(ErrorCode::corrupted, [&] { ProfileDatabase(file).list(); }), HasSubstr(file.string()));
}

TEST(ProfileDatabase, DamagedColumnsNameTheProfile) {
  const TemporaryFolder folder;
  const auto file = folder / "profiles.db";
  { ProfileDatabase(file).put(full_profile()); }
  run_sql(file, "UPDATE profiles SET configuration = '{\"block_x\": [1]}'");
  EXPECT_THAT(error_of(ErrorCode::corrupted, [&] { ProfileDatabase(file).list(); }),
              AllOf(HasSubstr(file.string()), HasSubstr("configuration of profile 1"), HasSubstr("block_x")));
  run_sql(file, "UPDATE profiles SET configuration = '{'");
  EXPECT_THAT(error_of(ErrorCode::corrupted, [&] { ProfileDatabase(file).list(); }), HasSubstr("not valid JSON"));
}

// A file as the first schema had it gets what came later, and what it held stays.
TEST(ProfileDatabase, AnOlderSchemaIsBroughtUpToDate) {
  const TemporaryFolder folder;
  const auto file = folder / "profiles.db";
  TuningProfile old = full_profile();
  old.paired_speedup.reset();
  { ProfileDatabase(file).put(old); }
  run_sql(file,
          "ALTER TABLE profiles DROP COLUMN speedup; ALTER TABLE profiles DROP COLUMN speedup_low;"
          "ALTER TABLE profiles DROP COLUMN speedup_high; ALTER TABLE profiles DROP COLUMN speedup_confidence;"
          "PRAGMA user_version = 1");
  ProfileDatabase database(file);
  ASSERT_EQ(database.list().size(), 1u);
  EXPECT_TRUE(same(database.list().front(), old));
  EXPECT_NEAR(*database.list().front().speedup(), 4000.4 / 1250.125, 1e-9) << "by the medians, as before";
  database.put(full_profile());
  EXPECT_TRUE(same(database.list().front(), full_profile()));
  EXPECT_EQ(database.list().front().speedup(), 3.2);
}

TEST(ProfileDatabase, ANewerSchemaSaysWhoWroteIt) {
  const TemporaryFolder folder;
  const auto file = folder / "profiles.db";
  { ProfileDatabase(file).put(full_profile()); }
  run_sql(file, "PRAGMA user_version = 7; UPDATE about SET value = 'Warpwright 9.1' WHERE name = 'written_by'");
  EXPECT_THAT(
      error_of(ErrorCode::unsupported, [&] { ProfileDatabase{file}; }),
      AllOf(HasSubstr(file.string()), HasSubstr("Warpwright 9.1"), HasSubstr("schema 7"), HasSubstr("up to 2")));
  run_sql(file, "DROP TABLE about");
  EXPECT_THAT(error_of(ErrorCode::unsupported, [&] { ProfileDatabase{file}; }), HasSubstr("a newer Warpwright"));
}

TEST(ProfileDatabase, AnEmptyFileIsNoDatabaseAndStaysEmpty) {
  const TemporaryFolder folder;
  const auto file = folder / "profiles.db";
  write_text_file(file, "");
  for (const bool reads : {false, true}) {
    const auto open = [&] { reads ? ProfileDatabase::open_read_only(file) : ProfileDatabase(file); };
    EXPECT_THAT(error_of(ErrorCode::bad_input, open), AllOf(HasSubstr(file.string()), HasSubstr("it is empty")));
  }
  EXPECT_EQ(read_text_file(file), "");
  EXPECT_EQ(names_in(folder.path()), std::set<std::string>{"profiles.db"});
  const auto marked = folder / "marked.db";
  run_sql(marked, "PRAGMA application_id = 0x57705772");
  EXPECT_GT(ProfileDatabase(marked).put(full_profile()), 0);
}

// Closing the last connection to a database with a log copies the log into the file: opening alone would write.
TEST(ProfileDatabase, AForeignDatabaseWithALogIsLeftAlone) {
  const TemporaryFolder folder;
  const auto file = folder / "browser.db";
  files_of_a_killed_writer(folder, "CREATE TABLE cookies (name TEXT)");
  std::filesystem::rename(folder / "log", file);
  std::filesystem::rename(folder / "log-wal", folder / "browser.db-wal");
  const std::string before = read_text_file(file), log = read_text_file(folder / "browser.db-wal");
  ASSERT_FALSE(log.empty());
  for (const bool reads : {false, true}) {
    const auto open = [&] { reads ? ProfileDatabase::open_read_only(file) : ProfileDatabase(file); };
    EXPECT_THAT(error_of(ErrorCode::corrupted, open), HasSubstr("another program"));
    EXPECT_EQ(read_text_file(file), before);
    EXPECT_EQ(read_text_file(folder / "browser.db-wal"), log);
  }
}

TEST(ProfileDatabase, AnUnusablePathIsNamedAndCreatesNothing) {
  const TemporaryFolder folder;
  write_text_file(folder / "plain", "x");
  error_of(ErrorCode::not_found, [&] { ProfileDatabase{folder / "plain" / "profiles.db"}; });
  EXPECT_THAT(error_of(ErrorCode::bad_input, [&] { ProfileDatabase{folder.path()}; }),
              HasSubstr(folder.path().string()));
  EXPECT_THAT(error_of(ErrorCode::not_found, [&] { ProfileDatabase{folder / "misspelt" / "profiles.db"}; }),
              HasSubstr("there is no folder '" + (folder / "misspelt").string()));
  error_of(ErrorCode::not_found, [&] { ProfileDatabase::open_read_only(folder / "absent.db"); });
  EXPECT_EQ(names_in(folder.path()), std::set<std::string>{"plain"});
}

TEST(ProfileDatabase, ReadingOnlyWritesNothing) {
  const TemporaryFolder folder;
  const auto file = folder / "profiles.db";
  const std::int64_t id = ProfileDatabase(file).put(full_profile());
  const std::string before = read_text_file(file);
  {
    ProfileDatabase database = ProfileDatabase::open_read_only(file);
    EXPECT_FALSE(database.writable());
    ASSERT_EQ(database.list().size(), 1u);
    EXPECT_TRUE(same(database.list()[0], full_profile()));
    EXPECT_TRUE(database.find(full_profile().key, MatchPolicy::exact).has_value());
    EXPECT_THAT(error_of(ErrorCode::bad_input, [&] { database.put(full_profile()); }),
                AllOf(HasSubstr(file.string()), HasSubstr("cannot be written")));
    error_of(ErrorCode::bad_input, [&] { database.remove(id); });
    EXPECT_EQ(names_in(folder.path()), std::set<std::string>{"profiles.db"});
  }
  EXPECT_EQ(read_text_file(file), before);
  EXPECT_EQ(names_in(folder.path()), std::set<std::string>{"profiles.db"});
}

TEST(ProfileDatabase, ReadingOnlySeesWhatAnOpenWriterHasInItsLog) {
  const TemporaryFolder folder;
  const auto file = folder / "profiles.db";
  ProfileDatabase writer(file);
  writer.put(profile_for(1));
  ASSERT_TRUE(std::filesystem::exists(folder / "profiles.db-wal"));
  const ProfileDatabase reader = ProfileDatabase::open_read_only(file);
  EXPECT_EQ(reader.list().size(), 1u);
  writer.put(profile_for(2));
  EXPECT_EQ(reader.list().size(), 2u);
}

// Another user's database, or one on a read-only disk: neither the file nor its folder can be written to, so the files
// of a write-ahead log cannot be made.
TEST(ProfileDatabase, IsReadWhereNothingCanBeWritten) {
  const TemporaryFolder folder;
  const auto file = folder / "profiles.db";
  { ProfileDatabase(file).put(full_profile()); }
  std::filesystem::permissions(folder.path(), std::filesystem::perms(0555));
  std::filesystem::permissions(file, std::filesystem::perms(0444));
  {
    const Unprivileged user;
    ProfileDatabase database(file);
    EXPECT_FALSE(database.writable());
    EXPECT_EQ(database.list().size(), 1u);
    EXPECT_TRUE(database.find(full_profile().key, MatchPolicy::exact).has_value());
    EXPECT_THAT(error_of(ErrorCode::bad_input, [&] { database.put(full_profile()); }), HasSubstr("cannot be written"));
    EXPECT_EQ(ProfileDatabase::open_read_only(file).list().size(), 1u);
  }
  EXPECT_EQ(names_in(folder.path()), std::set<std::string>{"profiles.db"});
  // With the log of a writer that was killed, and without a way to read that.
  std::filesystem::permissions(folder.path(), std::filesystem::perms(0755));
  std::filesystem::permissions(file, std::filesystem::perms(0644));
  files_of_a_killed_writer(folder, "PRAGMA application_id = 0x57705772");
  std::filesystem::permissions(folder.path(), std::filesystem::perms(0555));
  {
    const Unprivileged user;
    EXPECT_THAT(error_of(ErrorCode::bad_input, [&] { ProfileDatabase{folder / "log"}; }),
                AllOf(HasSubstr((folder / "log").string()), HasSubstr("-wal")));
  }
  std::filesystem::permissions(folder.path(), std::filesystem::perms(0755));
}

TEST(ProfileDatabase, ANewFileHasTheModeThatTheUmaskLeaves) {
  const TemporaryFolder folder;
  const mode_t before = ::umask(027);
  { ProfileDatabase{folder / "profiles.db"}; }
  ::umask(before);
  EXPECT_EQ(static_cast<unsigned>(std::filesystem::status(folder / "profiles.db").permissions()), 0640u);
  EXPECT_EQ(names_in(folder.path()), std::set<std::string>{"profiles.db"});
}

// ---- export and import ----------------------------------------------------------------------------------------------

TEST(ProfileDatabase, ExportThenImportLosesNothing) {
  const TemporaryFolder folder;
  ProfileDatabase source(folder / "source.db"), target(folder / "target.db");
  TuningProfile other = full_profile();
  other.key.kernel = "axpy";
  source.put(full_profile());
  source.put(other);
  const Json exported = parse(source.export_json(), "the export");
  EXPECT_EQ(exported["schema_version"], 1);
  EXPECT_EQ(exported["profiles"].size(), 2u);
  EXPECT_EQ(parse(source.export_json("axpy"), "the export")["profiles"].size(), 1u);
  const Json sent = Json::parse(exported.dump(2));
  EXPECT_EQ(target.import_json(text_of(sent)), 2u);
  EXPECT_TRUE(same(target.list("gemm").at(0), full_profile()));
  EXPECT_TRUE(same(target.list("axpy").at(0), other));
  EXPECT_EQ(target.import_json(text_of(sent)), 0u) << "nothing is new the second time";
  EXPECT_EQ(ProfileDatabase(folder / "empty.db").export_json().text(), R"({"schema_version":1,"profiles":[]})");
}

TEST(ProfileDatabase, TheNewerProfileWins) {
  const TemporaryFolder folder;
  ProfileDatabase database(folder / "profiles.db");
  TuningProfile stored = profile_for(1, "2026-06-01T00:00:00Z");
  const std::int64_t id = database.put(stored);
  const auto import = [&](const std::string& created_at, double median) {
    TuningProfile profile = profile_for(1, created_at);
    profile.median = Nanoseconds{median};
    return database.import_json(text_of({{"schema_version", 1}, {"profiles", {to_json(profile)}}}));
  };
  EXPECT_EQ(import("2026-05-31T23:59:59Z", 1), 0u);
  EXPECT_EQ(import("2026-06-01T00:00:00Z", 2), 0u);
  EXPECT_TRUE(same(database.get(id).value(), stored));
  EXPECT_EQ(import("2026-06-01T00:00:01Z", 3), 1u);
  EXPECT_EQ(database.get(id).value().median, Nanoseconds{3});
}

TEST(ProfileDatabase, DamagedImportsNameProfileAndKeyAndChangeNothing) {
  const TemporaryFolder folder;
  ProfileDatabase database(folder / "profiles.db");
  const Json whole = {{"schema_version", 1},
                      {"profiles", {to_json(profile_for(1)), to_json(profile_for(2)), to_json(profile_for(3))}}};
  struct Case {
    void (*damage)(Json&);
    const char* message;
  };
  const Case cases[] = {
      {[](Json& json) { json["profiles"][2].erase("median_ns"); }, "key 'profiles[2].median_ns' is missing"},
      {[](Json& json) { json["profiles"][1]["key"].erase("kernel"); }, "key 'profiles[1].key.kernel' is missing"},
      {[](Json& json) { json["profiles"][1]["key"]["kernel"] = ""; },
       "key 'profiles[1].key.kernel' must be the name of a kernel, found \"\""},
      {[](Json& json) { json["profiles"][0]["median_ns"] = -3; },
       "key 'profiles[0].median_ns' must be a positive number, found -3"},
      {[](Json& json) { json["profiles"][0]["configuration"]["block_x"] = Json::array({1}); },
       "key 'profiles[0].configuration.block_x' must be"},
      {[](Json& json) { json["profiles"][1] = "gone"; }, "key 'profiles[1]' must be an object, found \"gone\""},
      {[](Json& json) { json["profiles"] = 3; }, "key 'profiles' must be an array, found 3"},
      {[](Json& json) { json.erase("profiles"); }, "key 'profiles' is missing"},
      {[](Json& json) { json.erase("schema_version"); }, "key 'schema_version' is missing"},
      {[](Json& json) { json["schema_version"] = 0; }, "key 'schema_version' must be 1"},
      {[](Json& json) { json = Json::array(); }, "must be an object"},
  };
  for (const Case& each : cases) {
    Json json = whole;
    each.damage(json);
    EXPECT_THAT(error_of(ErrorCode::corrupted, [&] { database.import_json(text_of(json)); }), HasSubstr(each.message));
    EXPECT_TRUE(database.list().empty()) << each.message;
  }
  Json newer = whole;
  newer["schema_version"] = 2;
  EXPECT_THAT(error_of(ErrorCode::unsupported, [&] { database.import_json(text_of(newer)); }),
              HasSubstr("schema_version 2"));
  EXPECT_EQ(database.import_json(text_of(whole)), 3u);
}

// ---- several processes ----------------------------------------------------------------------------------------------

TEST(ProfileDatabase, ManyProcessesLoseNothing) {
  const TemporaryFolder folder;
  const auto file = folder / "profiles.db";
  constexpr int processes = 8, each = 25;
  {
    std::vector<std::unique_ptr<Child>> children;
    for (int i = 0; i < processes; ++i)
      children.push_back(std::make_unique<Child>(
          std::vector<std::string>{"put", file.string(), std::to_string(i), std::to_string(each)}));
    for (const auto& child : children) EXPECT_EQ(child->wait(), 0);
  }
  const ProfileDatabase database(file);
  std::set<std::string> found;
  for (const TuningProfile& profile : database.list("shared"))
    found.insert(profile.key.device + " " + profile.key.dimensions.describe());
  EXPECT_EQ(found.size(), static_cast<std::size_t>(processes * each));
}

// The stored result answers in a new process.
TEST(ProfileDatabase, AnotherProcessFindsTheWinner) {
  const TemporaryFolder folder;
  const auto file = folder / "profiles.db";
  { ProfileDatabase(file).put(full_profile()); }
  Child child({"show", file.string(), to_json(full_profile()).dump()});
  EXPECT_EQ(child.read_line(), "exact");
  EXPECT_EQ(child.read_line(), full_profile().configuration.describe());
  EXPECT_EQ(child.wait(), 0);
}

}  // namespace
}  // namespace warpwright::store::test
