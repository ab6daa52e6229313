// SQLite's C API with owners and exceptions. Private to this library.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <sqlite3.h>
#include <string>
#include <string_view>

#include <warpwright/base/error.hpp>

namespace warpwright::store::detail {

class SqliteConnection;

// A prepared statement of a connection, which must outlive it.
class SqliteStatement {
 public:
  SqliteStatement(const SqliteConnection& connection, std::string_view sql);

  // Parameters count from 1, in the order of the calls.
  SqliteStatement& bind(std::string_view text);
  SqliteStatement& bind(std::int64_t number);
  SqliteStatement& bind(double number);
  SqliteStatement& bind_null();

  // False when there are no more rows.
  bool step();
  // Runs to the end.
  void run() {
    while (step()) {
    }
  }
  // Makes it ready to be bound and run again.
  void reset();

  // Columns count from 0.
  std::string text(int column) const;
  std::int64_t integer(int column) const { return sqlite3_column_int64(statement_.get(), column); }
  double number(int column) const { return sqlite3_column_double(statement_.get(), column); }
  bool is_null(int column) const { return sqlite3_column_type(statement_.get(), column) == SQLITE_NULL; }

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };
  void check(int status) const;

  const SqliteConnection* connection_;
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
  int next_parameter_ = 1;
};

enum class SqliteAccess { read, write };

class SqliteConnection {
 public:
  // The file must be there; an empty one is an empty database. Errors name the file.
  SqliteConnection(const std::filesystem::path& file, SqliteAccess access);
  // A copy in memory of `bytes`, which were read from `file`; cannot be written to, and touches no file.
  SqliteConnection(const std::filesystem::path& file, std::string_view bytes);

  void execute(const char* sql) const;
  // The first column of the first row; 0 without one.
  std::int64_t integer(const char* sql) const;
  std::int64_t changes() const { return sqlite3_changes64(handle_.get()); }
  sqlite3* handle() const { return handle_.get(); }
  const std::filesystem::path& file() const { return file_; }

  // The last failure as ours: corrupted, timeout (another process holds the file), io, or internal.
  Error error(int status) const;

 private:
  struct Close {
    void operator()(sqlite3* handle) const { sqlite3_close_v2(handle); }
  };
  std::filesystem::path file_;
  std::unique_ptr<sqlite3, Close> handle_;
};

// Holds the write lock; rolls back unless committed.
class SqliteTransaction {
 public:
  explicit SqliteTransaction(const SqliteConnection& connection) : connection_(connection) {
    // IMMEDIATE: the busy timeout works when the lock is taken first, not when a reader becomes a writer.
    connection_.execute("BEGIN IMMEDIATE");
  }
  ~SqliteTransaction() {
    if (open_) sqlite3_exec(connection_.handle(), "ROLLBACK", nullptr, nullptr, nullptr);
  }
  SqliteTransaction(const SqliteTransaction&) = delete;
  SqliteTransaction& operator=(const SqliteTransaction&) = delete;
  void commit() {
    connection_.execute("COMMIT");
    open_ = false;
  }

 private:
  const SqliteConnection& connection_;
  bool open_ = true;
};

}  // namespace warpwright::store::detail
