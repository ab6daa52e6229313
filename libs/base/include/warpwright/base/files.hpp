// File helpers with errors that name the file.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace warpwright {

// Whole file as bytes. Throws Error(not_found) or Error(io).
std::string read_file(const std::filesystem::path& path);

// Writes to a temporary file beside `path`, then renames: a reader or a crash never sees half a file. Creates parent
// folders. Throws Error(io).
void write_file_atomically(const std::filesystem::path& path, std::string_view bytes);

}  // namespace warpwright
