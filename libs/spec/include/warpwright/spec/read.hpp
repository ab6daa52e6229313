// Readers of specifications. Every mistake is one Error(bad_input) with file, line, key, what was found and what would
// be right, with a "did you mean" where a word is misspelt.
#pragma once

#include <filesystem>
#include <string_view>

#include <warpwright/model/problem.hpp>

namespace warpwright::spec {

// Chooses by content: TOML (schema = 1) or T1 JSON. Relative paths in the file are relative to its folder.
Problem read(const std::filesystem::path& file);

// `text` as if read from `file` (which need not exist; sources are looked for beside it).
Problem read_toml(std::string_view text, const std::filesystem::path& file);
Problem read_t1(std::string_view text, const std::filesystem::path& file);

}  // namespace warpwright::spec
