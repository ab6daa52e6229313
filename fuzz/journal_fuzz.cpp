#include <string>
#include <vector>

#include <warpwright/base/error.hpp>
#include <warpwright/base/files.hpp>
#include <warpwright/base/json_nesting.hpp>
#include <warpwright/store/journal.hpp>
#include <warpwright/store/json.hpp>

#include "fuzz.hpp"
#include "fuzz_folder.hpp"

namespace warpwright::fuzz {
namespace {

using store::Journal;
using store::Json;

// What is accepted can be continued, and then holds the same trials.
void read_journal(const std::string& text) {
  static const FuzzFolder folder;
  const std::filesystem::path file = folder.path() / Journal::file_name;
  write_file(file, text);
  std::optional<store::JournalContents> contents;
  try {
    contents = Journal::read(folder.path());
  } catch (const Error& error) {
    require(error.code() == ErrorCode::corrupted || error.code() == ErrorCode::unsupported ||
                (error.code() == ErrorCode::conflict && error.message().find("second header") != std::string::npos),
            "what is no journal is corrupted or unsupported, and two in one file are a conflict");
    require(!error.message().empty(), "and it is said why");
  }
  require(read_file(file) == text, "reading changes nothing");
  if (!contents) return;
  require(store::parse(store::read_notes(folder.path()), "the notes").is_object(), "notes have names");
  {
    auto [journal, resumed] = Journal::resume(folder.path(), contents->header);
    require(resumed.trials.size() == contents->trials.size(), "nothing is lost by going on");
    require(resumed.damage == contents->damage, "damage is told again");
    journal.append_note("fuzz", store::JsonText("true"));
  }
  const auto again = Journal::read(folder.path());
  require(!again.torn_last_line, "what was torn is gone");
  require(again.damage == contents->damage, "the appended line is whole");
  require(again.trials.size() == contents->trials.size(), "all trials are still there");
  for (std::size_t i = 0; i < again.trials.size(); ++i)
    require(store::to_json(again.trials[i]) == store::to_json(contents->trials[i]), "and the same");
}

}  // namespace

void journal(std::string_view text) {
  read_journal(std::string(text));
  // Few invented lines have the right checksum: the same lines with theirs.
  std::string signed_lines;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line = text.substr(begin, end - begin);
    begin = end + 1;
    if (json_nested_too_deep(line)) continue;
    Json record = Json::parse(line.begin(), line.end(), nullptr, false);
    if (record.is_discarded() || !record.is_object() || record.empty()) continue;
    record.erase("check");
    if (!record.empty()) signed_lines += store::journal_line(store::text_of(record));
  }
  read_journal(signed_lines);
}

}  // namespace warpwright::fuzz

WARPWRIGHT_FUZZ_ENTRY(journal)
