// The file of a profile database before SQLite may touch it. SQLite by itself takes an empty file for a new database,
// writes to whatever it opens (a foreign database with a write-ahead log is checkpointed when it is closed), and cannot
// read a database with a log in a folder that it cannot write to. Private to this library.
#pragma once

#include <filesystem>
#include <functional>

#include "sqlite.hpp"

namespace warpwright::store::detail {

// "WpWr": marks the file as ours, so that another program's database is never touched.
constexpr std::int64_t application_id = 0x57705772;

bool database_file_exists(const std::filesystem::path& file);
// File and folder: the log lies beside the database.
bool can_write_database(const std::filesystem::path& file);

// Throws unless the file is a profile database: Error(bad_input) for an empty one, Error(corrupted) for a foreign one.
// Writes nothing.
void check_is_ours(const std::filesystem::path& file);

// Fills a new file beside `file` with `fill` and gives it its name when it is whole. A file that another process put
// there meanwhile stays.
void create_database_file(const std::filesystem::path& file, const std::function<void(const SqliteConnection&)>& fill);

// Through SQLite where another process may be writing (there is a log), as a copy in memory otherwise.
SqliteConnection open_database_to_read(const std::filesystem::path& file);

}  // namespace warpwright::store::detail
