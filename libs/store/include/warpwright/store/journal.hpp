// The trial journal of a session: one JSON line per finished trial after a header line, appended as it ends.
// SIGKILL loses nothing finished (each line is one write() to an O_APPEND descriptor); power loss at most a second
// (fdatasync from a background thread at most once a second). A torn last line is dropped on reading. Each line ends
// with a checksum, so that a flipped bit does not become a measurement: a damaged line is left out and reported, the
// others stay; a damaged header is an Error(corrupted). Lines are JSON objects with a "type": "header", "trial" (the
// trial's own keys beside it) or "note", and "check"; readers skip types they do not know. One writer at a time, by an
// advisory flock() that ends with the process; readers need no lock.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <warpwright/base/log.hpp>
#include <warpwright/model/trial.hpp>
#include <warpwright/store/json_text.hpp>

namespace warpwright::store {

struct JournalHeader {
  int schema = 2;
  std::string kernel;
  std::string problem_hash;  // of everything that decides a measurement: source, options, space, data, dimensions
  // Parts of that, to say what differs; empty in journals that were begun before these were recorded, as are the others
  // up to `sampling`.
  std::string source_hash;
  Configuration dimensions;
  std::string device;  // name
  std::string device_id;
  std::string cache_mode;
  std::string toolkit;  // version of the compiler
  std::string driver;
  JsonText sampling;  // how times were taken: an object
  std::string strategy;
  std::uint64_t seed = 0;
  JsonText details;  // specification file, versions, command line, started_at: an object, for people
};

struct JournalContents {
  JournalHeader header;
  // In the order they ended, one for each configuration: a later record of the same configuration takes the place of
  // the earlier one, as that of a finalist that failed the second verification does.
  std::vector<Trial> trials;
  bool torn_last_line = false;      // a line was cut off by a crash and dropped
  std::vector<std::string> damage;  // lines that are not as they were written: file, line and what is wrong with each
};

// The line that stands for `record` (an object that is not empty, on one line) in a journal, with its checksum and the
// newline.
std::string journal_line(const JsonText& record);

// What keeps a session of `journal` from being continued as `now`, each with both values: kernel, source, dimensions or
// else problem, device, cache mode, compiler, strategy, seed, in this order; empty if it may be. The device's id and
// the details may differ; so may driver and sampling (header_warnings()).
std::vector<std::string> header_differences(const JournalHeader& journal, const JournalHeader& now);
// What differs and does not keep it from being continued, each with both values: driver, sampling.
std::vector<std::string> header_warnings(const JournalHeader& journal, const JournalHeader& now);

// Thread-safe, except moves and destruction.
class Journal {
 public:
  static constexpr const char* file_name = "journal.jsonl";

  // A new session in `folder` (created if absent). Throws Error(conflict) if the folder already has a journal with
  // a header (what a crash left before the header was whole is replaced), Error(io) if it cannot be written.
  static Journal create(const std::filesystem::path& folder, const JournalHeader& header);
  // Continues a session: drops a torn last line from the file first. Throws Error(conflict) if another live process (or
  // another Journal of this one) has it open, or if the header differs from `expected` (see header_differences), naming
  // what differs with both values; Error(not_found) if there is no journal; Error(unsupported) for a newer schema.
  static std::pair<Journal, JournalContents> resume(const std::filesystem::path& folder, const JournalHeader& expected);
  // The header of a session to resume(); nullopt if a crash cut it off, so that nothing was recorded. Throws like
  // resume(), but does not look whether somebody has it open.
  static std::optional<JournalHeader> header(const std::filesystem::path& folder);
  // Never changes the file; safe while another process appends. Throws like resume().
  static JournalContents read(const std::filesystem::path& folder);

  Journal(Journal&&) noexcept;
  Journal& operator=(Journal&&) noexcept;
  ~Journal();

  // When it returns, the record survives this process. Throws Error(io): disk full and the like; the file is left
  // without a partial line and later appends may succeed. A failed background fdatasync is reported here too, from then
  // on.
  void append(const Trial& trial);
  // A named record beside the trials (the session's final summary). Readers that do not know it skip it.
  void append_note(const std::string& name, const JsonText& value);
  // Waits until everything appended is on the disk.
  void flush();

 private:
  struct State;
  explicit Journal(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// The notes of a journal by name (last one wins), an object; empty if there are none. Throws like Journal::read().
JsonText read_notes(const std::filesystem::path& folder);

}  // namespace warpwright::store
