// What a session came to, for people and as JSON: at the end of `warpwright tune` and in `warpwright show`.
#pragma once

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <optional>

#include <warpwright/store/json.hpp>
#include <warpwright/store/session_record.hpp>

namespace warpwright::app {

struct TuneReport {
  const store::SessionRecord& record;
  std::optional<std::filesystem::path> session_folder;
  std::optional<std::filesystem::path> profiles_file;
  std::optional<std::int64_t> profile_id;
};

// Schema in docs/json.md.
store::Json tune_json(const TuneReport& report);
void print_tune_report(const TuneReport& report, int rows, std::FILE* out);

// Its parts that `show` has too: the table of finalists with the winner below it, and where the time went.
void print_outcome(const store::SessionRecord& record, int rows, std::FILE* out);
void print_times(const store::SessionRecord& record, std::FILE* out);

}  // namespace warpwright::app
