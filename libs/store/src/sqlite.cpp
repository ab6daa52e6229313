#include "sqlite.hpp"

#include <algorithm>

namespace warpwright::store::detail {
namespace {

// How long a writer waits for the others. Writes take milliseconds; a slow disk under 16 writers was seen to take
// seconds.
constexpr int busy_timeout_ms = 30'000;

}  // namespace

SqliteStatement::SqliteStatement(const SqliteConnection& connection, std::string_view sql) : connection_(&connection) {
  sqlite3_stmt* statement = nullptr;
  const int status =
      sqlite3_prepare_v2(connection.handle(), sql.data(), static_cast<int>(sql.size()), &statement, nullptr);
  statement_.reset(statement);
  check(status);
}

void SqliteStatement::check(int status) const {
  if (status != SQLITE_OK) throw connection_->error(status);
}

SqliteStatement& SqliteStatement::bind(std::string_view text) {
  // A null pointer would bind NULL.
  const char* data = text.data() == nullptr ? "" : text.data();
  check(sqlite3_bind_text64(statement_.get(), next_parameter_++, data, text.size(), SQLITE_TRANSIENT, SQLITE_UTF8));
  return *this;
}

SqliteStatement& SqliteStatement::bind(std::int64_t number) {
  check(sqlite3_bind_int64(statement_.get(), next_parameter_++, number));
  return *this;
}

SqliteStatement& SqliteStatement::bind(double number) {
  check(sqlite3_bind_double(statement_.get(), next_parameter_++, number));
  return *this;
}

SqliteStatement& SqliteStatement::bind_null() {
  check(sqlite3_bind_null(statement_.get(), next_parameter_++));
  return *this;
}

bool SqliteStatement::step() {
  const int status = sqlite3_step(statement_.get());
  if (status == SQLITE_ROW) return true;
  if (status == SQLITE_DONE) return false;
  throw connection_->error(status);
}

void SqliteStatement::reset() {
  sqlite3_reset(statement_.get());
  sqlite3_clear_bindings(statement_.get());
  next_parameter_ = 1;
}

std::string SqliteStatement::text(int column) const {
  const void* data = sqlite3_column_text(statement_.get(), column);
  const int size = sqlite3_column_bytes(statement_.get(), column);
  return data == nullptr ? std::string() : std::string(static_cast<const char*>(data), static_cast<std::size_t>(size));
}

SqliteConnection::SqliteConnection(const std::filesystem::path& file, SqliteAccess access) : file_(file) {
  const int flags = access == SqliteAccess::write ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY;
  sqlite3* handle = nullptr;
  // FULLMUTEX: const members may be called from several threads at once.
  const int status = sqlite3_open_v2(file.c_str(), &handle, flags | SQLITE_OPEN_FULLMUTEX, nullptr);
  handle_.reset(handle);
  if (status != SQLITE_OK) throw error(status);
  sqlite3_extended_result_codes(handle, 1);
  sqlite3_busy_timeout(handle, busy_timeout_ms);
}

SqliteConnection::SqliteConnection(const std::filesystem::path& file, std::string_view bytes) : file_(file) {
  sqlite3* handle = nullptr;
  int status = sqlite3_open_v2(":memory:", &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_FULLMUTEX, nullptr);
  handle_.reset(handle);
  if (status != SQLITE_OK) throw error(status);
  sqlite3_extended_result_codes(handle, 1);
  auto* copy = static_cast<unsigned char*>(sqlite3_malloc64(bytes.size()));
  if (copy == nullptr) throw error(SQLITE_NOMEM);
  std::copy(bytes.begin(), bytes.end(), copy);
  // Bytes 18 and 19 of the header say whether there is a write-ahead log: 2 for yes, and 1 for no, as in memory.
  for (const std::size_t at : {std::size_t{18}, std::size_t{19}})
    if (bytes.size() > at && copy[at] == 2) copy[at] = 1;
  // The connection frees the copy, also where it refuses it.
  const auto size = static_cast<sqlite3_int64>(bytes.size());
  status = sqlite3_deserialize(handle, "main", copy, size, size,
                               SQLITE_DESERIALIZE_FREEONCLOSE | SQLITE_DESERIALIZE_READONLY);
  if (status != SQLITE_OK) throw error(status);
}

void SqliteConnection::execute(const char* sql) const {
  const int status = sqlite3_exec(handle_.get(), sql, nullptr, nullptr, nullptr);
  if (status != SQLITE_OK) throw error(status);
}

std::int64_t SqliteConnection::integer(const char* sql) const {
  SqliteStatement statement(*this, sql);
  return statement.step() ? statement.integer(0) : 0;
}

Error SqliteConnection::error(int status) const {
  const std::string name = "'" + file_.string() + "'";
  const NativeError native{status, handle_ ? sqlite3_errmsg(handle_.get()) : sqlite3_errstr(status)};
  switch (status & 0xFF) {
    case SQLITE_NOTADB:
      return Error(ErrorCode::corrupted, name + " is no profile database: it is not an SQLite file", native);
    case SQLITE_CORRUPT:
      return Error(ErrorCode::corrupted,
                   "the profile database " + name + " is damaged; move it away to start a new one", native);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return Error(ErrorCode::timeout, "the profile database " + name + " is held by another process", native);
    case SQLITE_READONLY:
      return Error(ErrorCode::bad_input, "the profile database " + name + " cannot be written to", native);
    case SQLITE_NOMEM:
      return Error(ErrorCode::out_of_memory, "reading the profile database " + name, native);
    case SQLITE_ERROR:
    case SQLITE_MISUSE:
    case SQLITE_CONSTRAINT:
    case SQLITE_RANGE:
    case SQLITE_MISMATCH:
      return Error(ErrorCode::internal, "the profile database " + name + " refused a statement", native);
    default:
      return Error(ErrorCode::io, "cannot read or write the profile database " + name, native);
  }
}

}  // namespace warpwright::store::detail
