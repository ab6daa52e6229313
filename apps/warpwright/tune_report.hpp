// What `warpwright tune` says at the end, for people and as JSON.
#pragma once

#include <cstdio>
#include <filesystem>
#include <optional>
#include <string>

#include <warpwright/store/json.hpp>
#include <warpwright/tuning/session.hpp>

namespace warpwright::app {

struct TuneReport {
  const Problem& problem;
  const tuning::SessionResult& result;
  measure::CacheMode cache = measure::CacheMode::cold;
  std::optional<std::filesystem::path> session_folder;
  std::optional<std::filesystem::path> profiles_file;
  std::optional<std::int64_t> profile_id;
};

// Schema in docs/json.md.
store::Json tune_json(const TuneReport& report);
void print_tune_report(const TuneReport& report, int rows, std::FILE* out);

}  // namespace warpwright::app
