// What `warpwright profiles list|show|export|import|remove` do, apart from their flags. Each prints its result to
// `out`, as text for people or as JSON with "schema_version", and returns the exit code. Errors name the database and
// what to do. A database that does not exist is an empty one, and only import creates it.
#pragma once

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

namespace warpwright::app {

// All profiles, or those of one kernel. JSON: as export writes it.
int profiles_list(const std::filesystem::path& database, const std::string& kernel, bool json, std::FILE* out);

// JSON: {"schema_version": 1, "profile": {...}}. Throws Error(not_found) naming the id and how to list.
int profiles_show(const std::filesystem::path& database, std::int64_t id, bool json, std::FILE* out);

// Writes JSON that profiles_import() reads: to `file`, or to `out` where `file` is empty. Throws Error(not_found) for a
// kernel without profiles.
int profiles_export(const std::filesystem::path& database, const std::string& kernel, const std::filesystem::path& file,
                    bool json, std::FILE* out);

// Throws Error(bad_input) naming the file, the profile and the key; then nothing was imported.
int profiles_import(const std::filesystem::path& database, const std::filesystem::path& file, bool json,
                    std::FILE* out);

// Throws Error(not_found) naming the ids there are none of; the others are removed all the same, and the message says
// so.
int profiles_remove(const std::filesystem::path& database, const std::vector<std::int64_t>& ids, bool json,
                    std::FILE* out);

}  // namespace warpwright::app
