#include "database_file.hpp"

#include <array>
#include <cstdio>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <warpwright/base/descriptor.hpp>
#include <warpwright/base/files.hpp>

namespace warpwright::store::detail {
namespace {

namespace fs = std::filesystem;

// Of SQLite's file format: the header's text, and where it keeps two big-endian numbers.
constexpr std::string_view sqlite_magic("SQLite format 3\0", 16);
constexpr std::size_t header_size = 100, user_version_at = 60, application_id_at = 68;
// Of attempts to copy a file that other processes keep changing.
constexpr int most_copies = 20;

std::uint32_t big_endian(std::string_view bytes, std::size_t at) {
  std::uint32_t number = 0;
  for (std::size_t i = 0; i < 4; ++i) number = (number << 8) | static_cast<unsigned char>(bytes[at + i]);
  return number;
}

fs::path log_of(const fs::path& file) { return file.string() + "-wal"; }
fs::path index_of(const fs::path& file) { return file.string() + "-shm"; }

bool has_log(const fs::path& file) {
  struct stat status {};
  return ::stat(log_of(file).c_str(), &status) == 0 && status.st_size > 0;
}

Error path_error(const std::string& what, const fs::path& file) {
  return Error(path_error_code(errno), what + " '" + file.string() + "'", last_native_error());
}

std::string read_header(const fs::path& file) {
  const Descriptor descriptor(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!descriptor) throw path_error("cannot open the profile database", file);
  struct stat status {};
  if (::fstat(descriptor.value(), &status) == 0 && !S_ISREG(status.st_mode))
    throw Error(ErrorCode::bad_input, "'" + file.string() + "' is no profile database: it is no regular file");
  std::array<char, header_size> bytes{};
  const ssize_t got = ::pread(descriptor.value(), bytes.data(), bytes.size(), 0);
  if (got < 0) throw path_error("cannot read the profile database", file);
  return {bytes.data(), static_cast<std::size_t>(got)};
}

bool same_state(const struct stat& a, const struct stat& b) {
  return a.st_ino == b.st_ino && a.st_size == b.st_size && a.st_mtim.tv_sec == b.st_mtim.tv_sec &&
         a.st_mtim.tv_nsec == b.st_mtim.tv_nsec;
}

[[noreturn]] void throw_foreign(const fs::path& file) {
  throw Error(ErrorCode::corrupted, "'" + file.string() +
                                        "' is no profile database: it is an SQLite file of another program, and was "
                                        "left as it is");
}

// Through SQLite, which joins the log; that needs the log's index, a file that it must make or be able to read.
SqliteConnection open_with_log(const fs::path& file) {
  SqliteConnection connection(file, SqliteAccess::read);
  try {
    connection.integer("SELECT count(*) FROM sqlite_master");
  } catch (const Error& error) {
    const int primary = error.native() ? error.native()->code & 0xFF : 0;
    if (primary != SQLITE_CANTOPEN && primary != SQLITE_READONLY) throw;
    throw Error(ErrorCode::bad_input,
                "the profile database '" + file.string() +
                    "' cannot be read here: its last writer has left a log beside it, and reading that needs '" +
                    index_of(file).string() +
                    "', which cannot be made; copy the database with its '-wal' file to a folder that can be written "
                    "to",
                *error.native());
  }
  return connection;
}

}  // namespace

bool database_file_exists(const fs::path& file) {
  struct stat status {};
  if (::stat(file.c_str(), &status) == 0) return true;
  if (errno == ENOENT) return false;
  throw path_error("cannot open the profile database", file);
}

bool can_write_database(const fs::path& file) {
  const fs::path folder = file.has_parent_path() ? file.parent_path() : fs::path(".");
  const auto may = [](const fs::path& path, int what) {
    return ::faccessat(AT_FDCWD, path.c_str(), what, AT_EACCESS) == 0;
  };
  return may(file, R_OK | W_OK) && may(folder, W_OK | X_OK);
}

void check_is_ours(const fs::path& file) {
  const std::string header = read_header(file);
  if (header.empty())
    throw Error(ErrorCode::bad_input, "'" + file.string() +
                                          "' is no profile database: it is empty, and was left as it is; remove it, or "
                                          "name another file");
  if (header.size() < header_size || !header.starts_with(sqlite_magic))
    throw Error(ErrorCode::corrupted, "'" + file.string() + "' is no profile database: it is not an SQLite file");
  const std::uint32_t id = big_endian(header, application_id_at);
  if (id == application_id) return;
  // The mark may be in a log that was not copied into the file before its writer was killed.
  if (id != 0 || big_endian(header, user_version_at) != 0 || !has_log(file)) throw_foreign(file);
  if (open_with_log(file).integer("PRAGMA application_id") != application_id) throw_foreign(file);
}

void create_database_file(const fs::path& file, const std::function<void(const SqliteConnection&)>& fill) {
  const fs::path folder = file.has_parent_path() ? file.parent_path() : fs::path(".");
  if (::access(folder.c_str(), F_OK) != 0)
    throw Error(
        path_error_code(errno),
        "cannot create the profile database '" + file.string() + "': there is no folder '" + folder.string() + "'",
        last_native_error());
  // Made empty first, so that no two writers fill one file, with the mode that the umask leaves.
  std::string name;
  for (unsigned attempt = 0;; ++attempt) {
    name = file.string() + ".new-" + std::to_string(::getpid()) + "-" + std::to_string(attempt);
    const Descriptor placed(::open(name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
    if (placed) break;
    if (errno != EEXIST || attempt == 1000) throw path_error("cannot create the profile database", file);
  }
  const auto clean = [&] {
    for (const char* end : {"", "-wal", "-shm", "-journal"}) ::unlink((name + end).c_str());
  };
  try {
    fill(SqliteConnection(name, SqliteAccess::write));
  } catch (const Error& error) {
    clean();
    throw Error(error.code(), "cannot create the profile database '" + file.string() + "': " + error.message(),
                error.native().value_or(NativeError{}));
  }
  int status = ::link(name.c_str(), file.c_str());
  // Some file systems have no second names.
  if (status != 0 && errno != EEXIST) status = ::renameat2(AT_FDCWD, name.c_str(), AT_FDCWD, file.c_str(), 1);
  const bool there = status == 0 || errno == EEXIST;
  if (!there) {
    const Error error = path_error("cannot create the profile database", file);
    clean();
    throw error;
  }
  clean();
  // The new name survives a power failure; some file systems cannot promise that.
  const Descriptor entry(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (entry) static_cast<void>(::fsync(entry.value()));
}

SqliteConnection open_database_to_read(const fs::path& file) {
  for (int attempt = 0; attempt < most_copies && !has_log(file); ++attempt) {
    struct stat before {
    }, after{};
    const bool known = ::stat(file.c_str(), &before) == 0;
    const std::string bytes = read_file(file);
    if (known && ::stat(file.c_str(), &after) == 0 && same_state(before, after) && !has_log(file))
      return {file, std::string_view(bytes)};
  }
  return open_with_log(file);
}

}  // namespace warpwright::store::detail
