#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <chrono>
#include <cmath>
#include <fmt/format.h>
#include <thread>

#include <warpwright/store/json.hpp>
#include <warpwright/store/profile_database.hpp>

#include "database_file.hpp"
#include "json_reader.hpp"
#include "sqlite.hpp"

namespace warpwright::store {
namespace {

using namespace detail;

constexpr int export_schema_version = 1;

// Step i brings a database from schema version i to i + 1, inside one transaction. Append; never change a released
// step.
constexpr std::array migrations{
    R"sql(
CREATE TABLE profiles (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  kernel TEXT NOT NULL,
  source_hash TEXT NOT NULL,
  data_types TEXT NOT NULL,
  backend TEXT NOT NULL,
  device TEXT NOT NULL,
  architecture TEXT NOT NULL,
  device_kind TEXT NOT NULL,
  dimensions TEXT NOT NULL,          -- JSON object, in declared order
  dimension_key TEXT NOT NULL,       -- the same, sorted, for equality
  toolkit TEXT NOT NULL,
  driver TEXT NOT NULL,
  cache_mode TEXT NOT NULL,
  configuration TEXT NOT NULL,       -- JSON object
  median_ns REAL NOT NULL,
  spread_ns REAL NOT NULL,
  samples INTEGER NOT NULL,
  baseline TEXT,                     -- JSON object
  baseline_median_ns REAL,
  evaluations INTEGER NOT NULL,
  strategy TEXT NOT NULL,
  seed INTEGER NOT NULL,             -- the 64 bits of an unsigned number
  verification TEXT NOT NULL,
  created_at TEXT NOT NULL,
  provenance TEXT NOT NULL,
  details TEXT NOT NULL,             -- JSON
  UNIQUE (kernel, source_hash, data_types, backend, device, architecture, dimension_key, toolkit, driver, cache_mode));
CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
)sql",
    R"sql(
ALTER TABLE profiles ADD COLUMN speedup REAL;             -- of the paired ratios, with its interval
ALTER TABLE profiles ADD COLUMN speedup_low REAL;
ALTER TABLE profiles ADD COLUMN speedup_high REAL;
ALTER TABLE profiles ADD COLUMN speedup_confidence REAL;
)sql",
};
constexpr std::int64_t database_version = migrations.size();

// One order for reading and writing.
#define WARPWRIGHT_PROFILE_COLUMNS                                                                                  \
  "kernel, source_hash, data_types, backend, device, architecture, device_kind, dimensions, toolkit, driver, "      \
  "cache_mode, configuration, median_ns, spread_ns, samples, baseline, baseline_median_ns, evaluations, strategy, " \
  "seed, verification, created_at, provenance, details, speedup, speedup_low, speedup_high, speedup_confidence"

constexpr const char* select_profiles = "SELECT id, " WARPWRIGHT_PROFILE_COLUMNS " FROM profiles";

constexpr std::string_view insert_profile =
    "INSERT INTO profiles (" WARPWRIGHT_PROFILE_COLUMNS
    ", dimension_key) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?) "
    "ON CONFLICT (kernel, source_hash, data_types, backend, device, architecture, dimension_key, toolkit, driver, "
    "cache_mode) DO UPDATE SET device_kind = excluded.device_kind, dimensions = excluded.dimensions, "
    "configuration = excluded.configuration, median_ns = excluded.median_ns, spread_ns = excluded.spread_ns, "
    "samples = excluded.samples, baseline = excluded.baseline, baseline_median_ns = excluded.baseline_median_ns, "
    "evaluations = excluded.evaluations, strategy = excluded.strategy, seed = excluded.seed, "
    "verification = excluded.verification, created_at = excluded.created_at, provenance = excluded.provenance, "
    "details = excluded.details, speedup = excluded.speedup, speedup_low = excluded.speedup_low, "
    "speedup_high = excluded.speedup_high, speedup_confidence = excluded.speedup_confidence";

// Names in order, whole numbers as integers whatever their type: equal for dimensions that compare equal.
std::string dimension_key(const Configuration& dimensions) {
  std::vector<Configuration::Entry> entries(dimensions.begin(), dimensions.end());
  std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  for (auto& [name, value] : entries)
    if (const auto integer = as_integer(value)) value = *integer;
  return dump(to_json(Configuration(std::move(entries))));
}

void check_profile(const TuningProfile& profile) {
  if (profile.key.kernel.empty())
    throw Error(ErrorCode::bad_input,
                "a profile without a kernel name cannot be stored: it would never be found again");
  const double median = profile.median.count();
  if (!std::isfinite(median) || median <= 0)
    throw Error(ErrorCode::bad_input, fmt::format("the profile of '{}' cannot be stored: its median time is {} ns, and "
                                                  "must be a positive number",
                                                  profile.key.kernel, median));
}

void bind_profile(SqliteStatement& statement, const TuningProfile& profile) {
  const ProfileKey& key = profile.key;
  const auto nanoseconds = [](Nanoseconds time) { return time.count(); };
  statement.bind(key.kernel).bind(key.source_hash).bind(key.data_types).bind(key.backend);
  statement.bind(key.device).bind(key.architecture).bind(key.device_kind).bind(dump(to_json(key.dimensions)));
  statement.bind(key.toolkit).bind(key.driver).bind(key.cache_mode).bind(dump(to_json(profile.configuration)));
  statement.bind(nanoseconds(profile.median));
  // NaN is NULL to SQLite.
  statement.bind(std::isnan(profile.spread.count()) ? 0.0 : nanoseconds(profile.spread));
  statement.bind(std::int64_t{profile.samples});
  if (profile.baseline) {
    statement.bind(dump(to_json(*profile.baseline)));
  } else {
    statement.bind_null();
  }
  if (profile.baseline_median) {
    statement.bind(nanoseconds(*profile.baseline_median));
  } else {
    statement.bind_null();
  }
  statement.bind(std::bit_cast<std::int64_t>(profile.evaluations)).bind(profile.strategy);
  statement.bind(std::bit_cast<std::int64_t>(profile.seed)).bind(profile.verification).bind(profile.created_at);
  statement.bind(profile.provenance).bind(dump(parse(profile.details, "the profile's details")));
  if (const auto& speedup = profile.paired_speedup) {
    statement.bind(speedup->median).bind(speedup->interval.low).bind(speedup->interval.high);
    statement.bind(speedup->interval.confidence);
  } else {
    statement.bind_null().bind_null().bind_null().bind_null();
  }
  statement.bind(dimension_key(key.dimensions));
}

TuningProfile row_profile(const SqliteStatement& row, const std::filesystem::path& file) {
  TuningProfile profile;
  int column = 0;
  const auto text = [&] { return row.text(column++); };
  profile.id = row.integer(column++);
  const auto json = [&](std::string_view name) {
    const std::string what = fmt::format("'{}', {} of profile {}", file.string(), name, profile.id);
    return parse(row.text(column++), what);
  };
  const auto configuration = [&](std::string_view name) {
    const std::string what = fmt::format("'{}', {} of profile {}", file.string(), name, profile.id);
    return read_configuration(json(name), Where(what));
  };
  ProfileKey& key = profile.key;
  key.kernel = text();
  key.source_hash = text();
  key.data_types = text();
  key.backend = text();
  key.device = text();
  key.architecture = text();
  key.device_kind = text();
  key.dimensions = configuration("dimensions");
  key.toolkit = text();
  key.driver = text();
  key.cache_mode = text();
  profile.configuration = configuration("configuration");
  profile.median = Nanoseconds{row.number(column++)};
  profile.spread = Nanoseconds{row.number(column++)};
  profile.samples = static_cast<int>(row.integer(column++));
  if (row.is_null(column)) {
    ++column;
  } else {
    profile.baseline = configuration("baseline");
  }
  if (!row.is_null(column)) profile.baseline_median = Nanoseconds{row.number(column)};
  ++column;
  profile.evaluations = std::bit_cast<std::uint64_t>(row.integer(column++));
  profile.strategy = text();
  profile.seed = std::bit_cast<std::uint64_t>(row.integer(column++));
  profile.verification = text();
  profile.created_at = text();
  profile.provenance = text();
  profile.details = text_of(json("details"));
  if (!row.is_null(column)) {
    profile.paired_speedup =
        PairedRatio{row.number(column), {row.number(column + 1), row.number(column + 2), row.number(column + 3)}};
  }
  return profile;
}

std::vector<TuningProfile> read_profiles(SqliteStatement& statement, const std::filesystem::path& file) {
  std::vector<TuningProfile> profiles;
  while (statement.step()) profiles.push_back(row_profile(statement, file));
  return profiles;
}

// ---- opening --------------------------------------------------------------------------------------------------------

[[noreturn]] void reject_newer(const SqliteConnection& connection, std::int64_t version) {
  std::string writer;
  try {
    SqliteStatement about(connection, "SELECT value FROM about WHERE name = 'written_by'");
    if (about.step()) writer = about.text(0);
  } catch (const Error&) {
    // That version keeps its name elsewhere; its schema number is enough.
  }
  throw Error(ErrorCode::unsupported,
              fmt::format("'{}' was written by {} (schema {}; this version reads up to {}): update Warpwright, or use "
                          "another profile database",
                          connection.file().string(), writer.empty() ? "a newer Warpwright" : writer, version,
                          database_version));
}

void migrate(const SqliteConnection& connection) {
  SqliteTransaction transaction(connection);
  // Read again under the lock: another process may have been faster.
  const std::int64_t version = connection.integer("PRAGMA user_version");
  if (version > database_version) reject_newer(connection, version);
  for (std::int64_t step = version; step < database_version; ++step)
    connection.execute(migrations[static_cast<std::size_t>(step)]);
  connection.execute(fmt::format("PRAGMA application_id = {}", application_id).c_str());
  connection.execute(fmt::format("PRAGMA user_version = {}", database_version).c_str());
  SqliteStatement about(connection, "INSERT OR REPLACE INTO about (name, value) VALUES ('written_by', ?)");
  about.bind("Warpwright " WARPWRIGHT_VERSION).run();
  transaction.commit();
}

// SQLite does not apply its busy timeout to this change of mode, which needs the file for itself for a moment.
void use_write_ahead_log(const SqliteConnection& connection) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{10};
  for (;;) {
    try {
      connection.execute("PRAGMA journal_mode = WAL");
      return;
    } catch (const Error& error) {
      if (error.code() != ErrorCode::timeout || std::chrono::steady_clock::now() > deadline) throw;
      // SQLite does not wait for the lock itself when the journal mode changes.
      std::this_thread::sleep_for(std::chrono::milliseconds{5});
    }
  }
}

void check_version(const SqliteConnection& connection) {
  const std::int64_t version = connection.integer("PRAGMA user_version");
  if (version > database_version) reject_newer(connection, version);
}

// A whole database of this version at `file`, unless another process is faster.
void create(const std::filesystem::path& file) {
  create_database_file(file, [](const SqliteConnection& connection) {
    migrate(connection);
    use_write_ahead_log(connection);
  });
}

SqliteConnection open_to_write(const std::filesystem::path& file) {
  check_is_ours(file);
  SqliteConnection connection(file, SqliteAccess::write);
  check_version(connection);
  use_write_ahead_log(connection);
  if (connection.integer("PRAGMA user_version") < database_version) migrate(connection);
  return connection;
}

SqliteConnection open_to_read(const std::filesystem::path& file) {
  check_is_ours(file);
  SqliteConnection connection = open_database_to_read(file);
  check_version(connection);
  if (connection.integer("PRAGMA user_version") < database_version)
    throw Error(ErrorCode::unsupported,
                "'" + file.string() +
                    "' was made by an older Warpwright and cannot be read as it is; open it once where it can be "
                    "written to, as 'warpwright profiles import' does, which brings it up to date");
  return connection;
}

}  // namespace

struct ProfileDatabase::State {
  State(SqliteConnection opened, bool may_write) : connection(std::move(opened)), writable(may_write) {}
  SqliteConnection connection;
  bool writable;
  std::int64_t own_writes = 0;
};

ProfileDatabase::ProfileDatabase(std::unique_ptr<State> state) : state_(std::move(state)) {}
ProfileDatabase::ProfileDatabase(const std::filesystem::path& file) {
  if (!database_file_exists(file)) create(file);
  const bool writable = can_write_database(file);
  state_ = std::make_unique<State>(writable ? open_to_write(file) : open_to_read(file), writable);
}

ProfileDatabase ProfileDatabase::open_read_only(const std::filesystem::path& file) {
  return ProfileDatabase(std::make_unique<State>(open_to_read(file), false));
}

bool ProfileDatabase::writable() const { return state_->writable; }

ProfileDatabase::~ProfileDatabase() = default;
ProfileDatabase::ProfileDatabase(ProfileDatabase&&) noexcept = default;
ProfileDatabase& ProfileDatabase::operator=(ProfileDatabase&&) noexcept = default;

std::int64_t ProfileDatabase::put(const TuningProfile& profile) {
  check_profile(profile);
  const SqliteConnection& connection = state_->connection;
  SqliteTransaction transaction(connection);
  std::int64_t id = 0;
  {
    SqliteStatement statement(connection, std::string(insert_profile) + " RETURNING id");
    bind_profile(statement, profile);
    if (statement.step()) id = statement.integer(0);
    statement.run();
  }
  transaction.commit();
  ++state_->own_writes;
  return id;
}

std::optional<TuningProfile> ProfileDatabase::get(std::int64_t id) const {
  SqliteStatement statement(state_->connection, std::string(select_profiles) + " WHERE id = ?");
  statement.bind(id);
  if (!statement.step()) return std::nullopt;
  return row_profile(statement, state_->connection.file());
}

std::vector<TuningProfile> ProfileDatabase::list(const std::string& kernel) const {
  const std::string order = " ORDER BY kernel, device, id";
  if (kernel.empty()) {
    SqliteStatement statement(state_->connection, select_profiles + order);
    return read_profiles(statement, state_->connection.file());
  }
  SqliteStatement statement(state_->connection, select_profiles + (" WHERE kernel = ?" + order));
  statement.bind(kernel);
  return read_profiles(statement, state_->connection.file());
}

bool ProfileDatabase::remove(std::int64_t id) {
  const SqliteConnection& connection = state_->connection;
  SqliteTransaction transaction(connection);
  SqliteStatement statement(connection, "DELETE FROM profiles WHERE id = ?");
  statement.bind(id).run();
  const bool removed = connection.changes() > 0;
  transaction.commit();
  if (removed) ++state_->own_writes;
  return removed;
}

std::vector<ProfileMatch> ProfileDatabase::find_all(const ProfileKey& wanted, MatchPolicy policy) const {
  SqliteStatement statement(
      state_->connection,
      std::string(select_profiles) + " WHERE kernel = ? AND source_hash = ? AND data_types = ? AND backend = ?");
  statement.bind(wanted.kernel).bind(wanted.source_hash).bind(wanted.data_types).bind(wanted.backend);
  return rank_profiles(wanted, read_profiles(statement, state_->connection.file()), policy);
}

std::optional<ProfileMatch> ProfileDatabase::find(const ProfileKey& wanted, MatchPolicy policy) const {
  auto matches = find_all(wanted, policy);
  if (matches.empty()) return std::nullopt;
  return std::move(matches.front());
}

std::size_t ProfileDatabase::count_stale(const ProfileKey& wanted) const {
  SqliteStatement statement(state_->connection, "SELECT count(*) FROM profiles WHERE kernel = ? AND source_hash <> ?");
  statement.bind(wanted.kernel).bind(wanted.source_hash).step();
  return static_cast<std::size_t>(statement.integer(0));
}

std::int64_t ProfileDatabase::version() const {
  // data_version counts the writes of other connections only. Both counters only grow, so no two states share a number.
  return (state_->connection.integer("PRAGMA data_version") << 32) + state_->own_writes;
}

JsonText ProfileDatabase::export_json(const std::string& kernel) const {
  Json object;
  object["schema_version"] = export_schema_version;
  Json profiles = Json::array();
  for (const TuningProfile& profile : list(kernel)) profiles.push_back(to_json(profile));
  object["profiles"] = std::move(profiles);
  return text_of(object);
}

namespace {

TuningProfile read_profile(const Json& json, const Where& where) {
  const ObjectReader object(json, where);
  TuningProfile profile;
  profile.id = object.maybe("id", read_integer<std::int64_t>).value_or(0);
  profile.key = object.get("key", [](const Json& key_json, const Where& here) {
    const ObjectReader reader(key_json, here);
    ProfileKey key;
    key.kernel = reader.text("kernel");
    key.source_hash = reader.text("source_hash");
    key.data_types = reader.text("data_types");
    key.backend = reader.text("backend");
    key.device = reader.text("device");
    key.architecture = reader.text("architecture");
    key.device_kind = reader.text("device_kind");
    key.dimensions = reader.get("dimensions", read_configuration);
    key.toolkit = reader.text("toolkit");
    key.driver = reader.text("driver");
    key.cache_mode = reader.text("cache_mode");
    return key;
  });
  profile.configuration = object.get("configuration", read_configuration);
  profile.median = object.get("median_ns", read_nanoseconds);
  profile.spread = object.get("spread_ns", read_nanoseconds);
  profile.samples = object.integer<int>("samples");
  profile.baseline = object.maybe("baseline", read_configuration);
  profile.baseline_median = object.maybe("baseline_median_ns", read_nanoseconds);
  // A speed-up without an interval is derived from the two medians.
  if (object.find("speedup_interval") != nullptr) {
    const auto interval = object.list("speedup_interval", read_double);
    if (interval.size() != 2)
      reject(json["speedup_interval"], Where(where, "speedup_interval"), "a list of two numbers");
    profile.paired_speedup =
        PairedRatio{object.number("speedup"), {interval[0], interval[1], object.number("speedup_confidence")}};
  }
  profile.evaluations = object.integer<std::uint64_t>("evaluations");
  profile.strategy = object.text("strategy");
  profile.seed = object.integer<std::uint64_t>("seed");
  profile.verification = object.text("verification");
  profile.created_at = object.text("created_at");
  profile.provenance = object.text("provenance");
  if (const Json* details = object.find("details")) profile.details = text_of(*details);
  return profile;
}

// As check_profile(), in the words of a damaged file.
TuningProfile read_storable_profile(const Json& json, const Where& where) {
  TuningProfile profile = read_profile(json, where);
  if (profile.key.kernel.empty()) {
    const Where key(where, "key");
    reject(json["key"]["kernel"], Where(key, "kernel"), "the name of a kernel");
  }
  if (!std::isfinite(profile.median.count()) || profile.median.count() <= 0)
    reject(json["median_ns"], Where(where, "median_ns"), "a positive number");
  return profile;
}

}  // namespace

std::size_t ProfileDatabase::import_json(const JsonText& text) {
  constexpr std::string_view what = "profiles to import";
  const Json json = parse(text, what);
  const Where where(what);
  const ObjectReader object(json, where);
  const int version = object.integer<int>("schema_version");
  if (version < 1) reject(json["schema_version"], Where(where, "schema_version"), "1");
  if (version > export_schema_version)
    throw Error(
        ErrorCode::unsupported,
        fmt::format("these profiles were exported by a newer Warpwright (schema_version {}; this one reads up to "
                    "{}): update Warpwright",
                    version, export_schema_version));
  const std::vector<TuningProfile> profiles = object.list("profiles", read_storable_profile);
  const SqliteConnection& connection = state_->connection;
  SqliteTransaction transaction(connection);
  std::size_t imported = 0;
  {
    SqliteStatement statement(connection, std::string(insert_profile) + " WHERE excluded.created_at > created_at");
    for (const TuningProfile& profile : profiles) {
      bind_profile(statement, profile);
      statement.run();
      imported += static_cast<std::size_t>(connection.changes());
      statement.reset();
    }
  }
  transaction.commit();
  if (imported > 0) ++state_->own_writes;
  return imported;
}

Json to_json(const TuningProfile& profile) {
  Json key;
  key["kernel"] = text_json(profile.key.kernel);
  key["source_hash"] = text_json(profile.key.source_hash);
  key["data_types"] = text_json(profile.key.data_types);
  key["backend"] = text_json(profile.key.backend);
  key["device"] = text_json(profile.key.device);
  key["architecture"] = text_json(profile.key.architecture);
  key["device_kind"] = text_json(profile.key.device_kind);
  key["dimensions"] = to_json(profile.key.dimensions);
  key["toolkit"] = text_json(profile.key.toolkit);
  key["driver"] = text_json(profile.key.driver);
  key["cache_mode"] = text_json(profile.key.cache_mode);
  Json object;
  if (profile.id != 0) object["id"] = profile.id;
  object["key"] = std::move(key);
  object["configuration"] = to_json(profile.configuration);
  object["median_ns"] = double_json(profile.median.count());
  object["spread_ns"] = double_json(profile.spread.count());
  object["samples"] = profile.samples;
  if (profile.baseline) object["baseline"] = to_json(*profile.baseline);
  if (profile.baseline_median) object["baseline_median_ns"] = double_json(profile.baseline_median->count());
  if (const auto speedup = profile.speedup()) object["speedup"] = double_json(*speedup);
  if (const auto& paired = profile.paired_speedup) {
    object["speedup_interval"] = {double_json(paired->interval.low), double_json(paired->interval.high)};
    object["speedup_confidence"] = double_json(paired->interval.confidence);
  }
  object["evaluations"] = profile.evaluations;
  object["strategy"] = text_json(profile.strategy);
  object["seed"] = profile.seed;
  object["verification"] = text_json(profile.verification);
  object["created_at"] = text_json(profile.created_at);
  object["provenance"] = text_json(profile.provenance);
  object["details"] = parse(profile.details, "the profile's details");
  return object;
}

TuningProfile profile_from_json(const Json& json) { return read_profile(json, Where("profile")); }

}  // namespace warpwright::store
