#include <algorithm>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <fcntl.h>
#include <fmt/format.h>
#include <mutex>
#include <stop_token>
#include <sys/file.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>
#include <unordered_map>

#include <warpwright/base/descriptor.hpp>
#include <warpwright/base/files.hpp>
#include <warpwright/base/hash.hpp>
#include <warpwright/store/journal.hpp>

#include "json_reader.hpp"

namespace warpwright::store {
namespace {

using namespace detail;

// 2: each line ends with a checksum. Lines of schema 1 have none and are believed when they parse.
constexpr int journal_version = 2;
// Every journal starts with these bytes: what tells the torn header of a crash from a file that is not ours.
constexpr std::string_view header_prefix = R"({"type":"header","schema":)";

// The last key of a line: 16 digits of the hash of what stands before it.
constexpr std::string_view check_key = R"(,"check":")";
constexpr std::size_t check_digits = 16;
constexpr std::size_t check_size = check_key.size() + check_digits + 2;  // with the quote and the brace at the end

std::string check_of(std::string_view text) { return content_hash(text).substr(0, check_digits); }

// Throws Error(corrupted) unless the line is as it was written.
void check_line(std::string_view line, bool must_have_one) {
  const std::size_t body = line.size() < check_size ? 0 : line.size() - check_size;
  const std::string_view tail = line.substr(body);
  const bool has_one = tail.size() == check_size && tail.starts_with(check_key) && tail.ends_with("\"}");
  if (!has_one) {
    if (must_have_one) throw Error(ErrorCode::corrupted, "the line has no checksum");
    return;
  }
  if (tail.substr(check_key.size(), check_digits) != check_of(line.substr(0, body)))
    throw Error(ErrorCode::corrupted, "the line's checksum does not fit what it says");
}

InputPosition at_line(const std::filesystem::path& file, std::size_t line) {
  InputPosition position;
  position.file = file.string();
  position.line = line;
  return position;
}

Json header_json(const JournalHeader& header) {
  Json object;
  object["type"] = "header";
  object["schema"] = header.schema;
  object["kernel"] = text_json(header.kernel);
  object["problem_hash"] = text_json(header.problem_hash);
  object["source_hash"] = text_json(header.source_hash);
  object["dimensions"] = to_json(header.dimensions);
  object["device"] = text_json(header.device);
  object["device_id"] = text_json(header.device_id);
  object["cache_mode"] = text_json(header.cache_mode);
  object["toolkit"] = text_json(header.toolkit);
  object["driver"] = text_json(header.driver);
  object["sampling"] = parse(header.sampling, "the header's sampling");
  object["strategy"] = text_json(header.strategy);
  object["seed"] = header.seed;
  object["details"] = parse(header.details, "the header's details");
  return object;
}

JournalHeader read_header(const Json& json, const std::filesystem::path& file) {
  const Where where("journal header");
  const ObjectReader object(json, where);
  JournalHeader header;
  header.schema = object.integer<int>("schema");
  if (header.schema > journal_version)
    throw Error(
        ErrorCode::unsupported,
        fmt::format("'{}' was written by a newer Warpwright (journal schema {}; this one reads up to {}): update "
                    "Warpwright, or start the session in another folder",
                    file.string(), header.schema, journal_version));
  header.kernel = object.text("kernel");
  header.problem_hash = object.text("problem_hash");
  header.source_hash = object.maybe("source_hash", read_text).value_or("");
  header.dimensions = object.maybe("dimensions", read_configuration).value_or(Configuration{});
  header.device = object.text("device");
  header.device_id = object.text("device_id");
  header.cache_mode = object.maybe("cache_mode", read_text).value_or("");
  header.toolkit = object.maybe("toolkit", read_text).value_or("");
  header.driver = object.maybe("driver", read_text).value_or("");
  if (const Json* sampling = object.find("sampling")) header.sampling = text_of(*sampling);
  header.strategy = object.text("strategy");
  header.seed = object.integer<std::uint64_t>("seed");
  if (const Json* details = object.find("details")) header.details = text_of(*details);
  return header;
}

struct Parsed {
  std::optional<JournalContents> contents;  // absent if the header itself was cut off
  Json notes = Json::object();
  std::size_t whole_bytes = 0;  // length of the file without a torn last line
};

Parsed parse_journal(std::string_view bytes, const std::filesystem::path& file) {
  Parsed parsed;
  const std::size_t last_newline = bytes.rfind('\n');
  parsed.whole_bytes = last_newline == std::string_view::npos ? 0 : last_newline + 1;
  const bool torn = parsed.whole_bytes != bytes.size();
  if (parsed.whole_bytes == 0) {
    const std::size_t common = std::min(bytes.size(), header_prefix.size());
    if (bytes.substr(0, common) != header_prefix.substr(0, common))
      throw Error(ErrorCode::corrupted, "this is no journal of Warpwright: its header line is missing",
                  at_line(file, 1));
    return parsed;
  }
  bytes = bytes.substr(0, parsed.whole_bytes);
  std::size_t line = 0;
  std::unordered_map<std::string, std::size_t> places;  // of the trials, by configuration
  while (!bytes.empty()) {
    ++line;
    const std::size_t end = bytes.find('\n');
    const std::string_view text = bytes.substr(0, end);
    bytes.remove_prefix(end + 1);
    try {
      check_line(text, line > 1 && parsed.contents->header.schema > 1);
      const Json json = parse(text, "the line");
      const Where where("record");
      const ObjectReader object(json, where);
      const std::string type = object.text("type");
      if (line == 1) {
        if (type != "header") reject(json["type"], Where(where, "type"), "\"header\" in the first line");
        parsed.contents.emplace();
        parsed.contents->header = read_header(json, file);
        // A schema that says so and a line without a checksum do not go together.
        check_line(text, parsed.contents->header.schema != 1);
        parsed.contents->torn_last_line = torn;
      } else if (type == "header") {
        throw Error(ErrorCode::conflict, "a second header: two journals were joined; cut the file before this line",
                    at_line(file, line));
      } else if (type == "trial") {
        Trial trial = read_trial(json, Where("trial"));
        auto& trials = parsed.contents->trials;
        const auto [known, is_new] = places.emplace(trial.configuration.describe(), trials.size());
        if (is_new || !(trials[known->second].configuration == trial.configuration)) {
          trials.push_back(std::move(trial));
        } else {
          trial.ordinal = trials[known->second].ordinal;
          trials[known->second] = std::move(trial);
        }
      } else if (type == "note") {
        const std::string name = object.text("name");
        parsed.notes[name] = object.get("value", [](const Json& value, const Where&) { return value; });
      }
    } catch (const Error& error) {
      if (error.code() != ErrorCode::corrupted) throw;
      if (line == 1) throw Error(ErrorCode::corrupted, error.message(), at_line(file, line));
      // Each line stands for itself: the others are as good as before.
      parsed.contents->damage.push_back(at_line(file, line).describe() + ": " + error.message() +
                                        "; this line is left out");
    }
  }
  return parsed;
}

std::filesystem::path journal_path(const std::filesystem::path& folder) { return folder / Journal::file_name; }

Descriptor open_journal(const std::filesystem::path& file, int extra_flags) {
  Descriptor descriptor(::open(file.c_str(), O_RDWR | O_APPEND | O_CLOEXEC | extra_flags, 0644));
  if (descriptor) {
    struct stat status {};
    if (::fstat(descriptor.value(), &status) == 0 && !S_ISREG(status.st_mode))
      throw Error(ErrorCode::bad_input, "'" + file.string() + "' is no regular file");
    return descriptor;
  }
  if (errno == ENOENT && (extra_flags & O_CREAT) == 0)
    throw Error(ErrorCode::not_found, "there is no session to resume: '" + file.string() + "' does not exist");
  throw Error(path_error_code(errno), "cannot open '" + file.string() + "'", last_native_error());
}

void lock_journal(const Descriptor& descriptor, const std::filesystem::path& file) {
  while (::flock(descriptor.value(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EINTR) continue;
    if (errno == EWOULDBLOCK)
      throw Error(ErrorCode::conflict, "the session in '" + file.parent_path().string() +
                                           "' is in use by another run; wait for it to end, stop it, or use another "
                                           "session folder");
    throw Error(errno == ENOSYS || errno == EOPNOTSUPP ? ErrorCode::unsupported : ErrorCode::io,
                "cannot lock '" + file.string() +
                    "'; a session folder needs a file system with file locks, as local disks and NFS 4 have",
                last_native_error());
  }
}

// Makes the file's directory entry durable. Some file systems cannot; the data itself is synced apart.
void sync_folder(const std::filesystem::path& folder) {
  const Descriptor descriptor(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (descriptor) static_cast<void>(::fsync(descriptor.value()));
}

std::string difference(std::string_view what, std::string_view before, std::string_view now) {
  return fmt::format("{} (session: {}; now: {})", what, before, now);
}

std::string quoted(const std::string& text) { return "'" + text + "'"; }

// What makes another problem of it, as exactly as the headers tell.
void add_problem_differences(const JournalHeader& journal, const JournalHeader& now, std::vector<std::string>& found) {
  const std::size_t before = found.size();
  if (!journal.source_hash.empty() && journal.source_hash != now.source_hash)
    found.emplace_back(
        "the source changed (the kernel, what it includes, its options or definitions; of a recorded device, the "
        "recording)");
  for (const auto& [name, value] : journal.dimensions) {
    const Value* other = now.dimensions.find(name);
    if (other != nullptr && !(*other == value))
      found.push_back(difference("problem dimension " + quoted(name), to_literal(value), to_literal(*other)));
  }
  if (found.size() > before) return;
  found.push_back(journal.source_hash.empty()
                      ? difference("problem", journal.problem_hash, now.problem_hash)
                      : "problem (its parameters, constraints, arguments, launches, outputs, reference or metrics)");
}

void check_header(const JournalHeader& journal, const JournalHeader& expected, const std::filesystem::path& file) {
  std::string differences;
  for (const std::string& text : header_differences(journal, expected))
    differences += (differences.empty() ? "" : ", ") + text;
  if (!differences.empty())
    throw Error(ErrorCode::conflict,
                "the session in '" + file.parent_path().string() +
                    "' was started with something else and cannot be continued; what differs: " + differences);
}

}  // namespace

std::string journal_line(const JsonText& record) {
  std::string line = record.text();
  line.pop_back();
  const std::string check = check_of(line);
  line += check_key;
  line += check;
  line += "\"}\n";
  return line;
}

std::vector<std::string> header_differences(const JournalHeader& journal, const JournalHeader& now) {
  std::vector<std::string> found;
  // What an older journal did not record is not held against it.
  const auto compare = [&](std::string_view what, const std::string& before, const std::string& after) {
    if (!before.empty() && before != after) found.push_back(difference(what, quoted(before), quoted(after)));
  };
  if (journal.kernel != now.kernel) found.push_back(difference("kernel", quoted(journal.kernel), quoted(now.kernel)));
  if (journal.problem_hash != now.problem_hash) add_problem_differences(journal, now, found);
  if (journal.device != now.device) found.push_back(difference("device", quoted(journal.device), quoted(now.device)));
  compare("cache mode", journal.cache_mode, now.cache_mode);
  compare("compiler", journal.toolkit, now.toolkit);
  if (journal.strategy != now.strategy) found.push_back(difference("strategy", journal.strategy, now.strategy));
  if (journal.seed != now.seed)
    found.push_back(difference("seed", std::to_string(journal.seed), std::to_string(now.seed)));
  return found;
}

std::vector<std::string> header_warnings(const JournalHeader& journal, const JournalHeader& now) {
  std::vector<std::string> found;
  if (!journal.driver.empty() && journal.driver != now.driver)
    found.push_back(difference("driver", quoted(journal.driver), quoted(now.driver)));
  const Json then = parse(journal.sampling, "the journal's sampling");
  const Json sampling = parse(now.sampling, "this session's sampling");
  if (!then.is_object() || !sampling.is_object()) return found;
  for (const auto& [name, value] : sampling.items()) {
    const auto before = then.find(name);
    if (before != then.end() && *before != value) found.push_back(difference(name, before->dump(), value.dump()));
  }
  return found;
}

// The open file and the thread that brings it to the disk. Appending and syncing overlap: the mutex is not held during
// fdatasync, so a slow disk does not hold up the session.
struct Journal::State {
  State(Descriptor descriptor, std::filesystem::path journal_file, std::uint64_t size)
      : file(std::move(journal_file)), fd(std::move(descriptor)), whole(size), synced(0) {
    syncer = std::jthread([this](const std::stop_token& stop) { run(stop); });
  }

  void append(const Json& record) {
    const std::string line = journal_line(text_of(record));
    {
      const std::lock_guard lock(mutex);
      if (sync_error != 0) throw sync_failed();
      drop_partial();
      write_line(line);
    }
    wake.notify_one();
  }

  void flush() {
    std::unique_lock lock(mutex);
    sync(lock);
    if (sync_error != 0) throw sync_failed();
  }

 private:
  void run(const std::stop_token& stop) {
    std::unique_lock lock(mutex);
    for (;;) {
      wake.wait(lock, stop, [&] { return synced < whole && sync_error == 0; });
      sync(lock);
      if (stop.stop_requested()) return;
      // At most once a second: the next record waits for this pause to end.
      pause.wait_for(lock, stop, std::chrono::seconds{1}, [] { return false; });
    }
  }

  // Called and returns with the lock held.
  void sync(std::unique_lock<std::mutex>& lock) {
    if (synced >= whole || sync_error != 0) return;
    const std::uint64_t target = whole;
    lock.unlock();
    const int failed = ::fdatasync(fd.value()) == 0 ? 0 : errno;
    lock.lock();
    if (failed == 0) {
      synced = std::max(synced, target);
    } else {
      // The kernel drops the pages it could not write, so a later success would prove nothing: the error stays.
      sync_error = failed;
    }
  }

  // Removes what a failed write left behind.
  void drop_partial() {
    if (!partial) return;
    while (::ftruncate(fd.value(), static_cast<off_t>(whole)) != 0) {
      if (errno == EINTR) continue;
      throw Error(ErrorCode::io, "cannot remove a partial line from '" + file.string() + "'", last_native_error());
    }
    partial = false;
  }

  void write_line(std::string_view line) {
    if (const WriteOutcome outcome = write_all(fd.value(), line); !outcome) {
      const NativeError native = native_error(outcome.error);
      std::string message = "cannot append to '" + file.string() + "'; what was recorded before is kept";
      if (native.code == ENOSPC || native.code == EDQUOT) message += "; free some space, then resume the session";
      partial = outcome.written > 0;
      try {
        drop_partial();
      } catch (const Error&) {
        message += "; a partial line remains and will be dropped when the session is resumed";
      }
      throw Error(ErrorCode::io, std::move(message), native);
    }
    whole += line.size();
  }

  Error sync_failed() const {
    return Error(ErrorCode::io, "records appended to '" + file.string() + "' may not have reached the disk",
                 native_error(sync_error));
  }

  std::filesystem::path file;
  Descriptor fd;
  std::mutex mutex;
  std::condition_variable_any wake, pause;
  std::uint64_t whole;   // length of the file up to the last whole record
  std::uint64_t synced;  // how much of it is known to be on the disk
  bool partial = false;  // bytes beyond `whole` are in the file
  int sync_error = 0;
  std::jthread syncer;  // last: uses all of the above, and is stopped and joined first
};

Journal::Journal(std::unique_ptr<State> state) : state_(std::move(state)) {}
Journal::Journal(Journal&&) noexcept = default;
Journal& Journal::operator=(Journal&&) noexcept = default;
Journal::~Journal() = default;

Journal Journal::create(const std::filesystem::path& folder, const JournalHeader& header) {
  std::error_code status;
  std::filesystem::create_directories(folder, status);
  if (status)
    throw Error(path_error_code(status.value()), "cannot create the session folder '" + folder.string() + "'",
                native_error(status.value()));
  const std::filesystem::path file = journal_path(folder);
  Descriptor descriptor = open_journal(file, O_CREAT);
  lock_journal(descriptor, file);
  // Read after locking: another process may have written its header in between.
  const std::string bytes = read_file(file);
  const bool foreign = !std::string_view(bytes).starts_with(header_prefix.substr(0, bytes.size()));
  if (foreign || bytes.find('\n') != std::string::npos)
    throw Error(ErrorCode::conflict,
                "'" + folder.string() + "' already holds a session; resume it, or use another session folder");
  if (!bytes.empty() && ::ftruncate(descriptor.value(), 0) != 0)
    throw Error(ErrorCode::io, "cannot restart '" + file.string() + "'", last_native_error());
  auto state = std::make_unique<State>(std::move(descriptor), file, 0);
  state->append(header_json(header));
  state->flush();
  sync_folder(folder);
  return Journal(std::move(state));
}

std::pair<Journal, JournalContents> Journal::resume(const std::filesystem::path& folder,
                                                    const JournalHeader& expected) {
  const std::filesystem::path file = journal_path(folder);
  Descriptor descriptor = open_journal(file, 0);
  lock_journal(descriptor, file);
  const std::string bytes = read_file(file);
  Parsed parsed = parse_journal(bytes, file);
  if (parsed.contents) check_header(parsed.contents->header, expected, file);
  if (parsed.whole_bytes != bytes.size() &&
      ::ftruncate(descriptor.value(), static_cast<off_t>(parsed.whole_bytes)) != 0)
    throw Error(ErrorCode::io, "cannot drop the torn last line of '" + file.string() + "'", last_native_error());
  auto state = std::make_unique<State>(std::move(descriptor), file, parsed.whole_bytes);
  if (!parsed.contents) {
    // Killed while the header was being written: nothing was measured.
    state->append(header_json(expected));
    parsed.contents = JournalContents{.header = expected, .trials = {}, .torn_last_line = !bytes.empty(), .damage = {}};
  }
  return {Journal(std::move(state)), *std::move(parsed.contents)};
}

std::optional<JournalHeader> Journal::header(const std::filesystem::path& folder) {
  const std::filesystem::path file = journal_path(folder);
  static_cast<void>(open_journal(file, 0));  // for its errors
  Parsed parsed = parse_journal(read_file(file), file);
  if (!parsed.contents) return std::nullopt;
  return std::move(parsed.contents->header);
}

JournalContents Journal::read(const std::filesystem::path& folder) {
  const std::filesystem::path file = journal_path(folder);
  Parsed parsed = parse_journal(read_file(file), file);
  if (!parsed.contents)
    throw Error(ErrorCode::corrupted, "the header line was cut off; nothing was recorded", at_line(file, 1));
  return *std::move(parsed.contents);
}

void Journal::append(const Trial& trial) {
  Json record = {{"type", "trial"}};
  record.update(to_json(trial));
  state_->append(record);
}

void Journal::append_note(const std::string& name, const JsonText& value) {
  state_->append(Json{{"type", "note"}, {"name", text_json(name)}, {"value", parse(value, "the note '" + name + "'")}});
}

void Journal::flush() { state_->flush(); }

JsonText read_notes(const std::filesystem::path& folder) {
  const std::filesystem::path file = journal_path(folder);
  return text_of(parse_journal(read_file(file), file).notes);
}

}  // namespace warpwright::store
