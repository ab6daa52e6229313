// File helpers with errors that name the file.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include <warpwright/base/error.hpp>

namespace warpwright {

// What a failed system call on a path that somebody named means: not_found for a path that leads nowhere, bad_input for
// one that cannot be used like that (a folder in the place of a file, no permission, a read-only file system, a name
// that is too long), io for all else, which is the machine's trouble (a full or broken disk).
ErrorCode path_error_code(int native) noexcept;

// Whole file as bytes. Throws Error with path_error_code().
std::string read_file(const std::filesystem::path& path);

// Writes to a temporary file beside `path`, then renames: a reader or a crash never sees half a file. A new file has
// the mode that the umask leaves, one that is replaced keeps its mode; a symbolic link stays and what it points to is
// replaced; a device or pipe is written to. Makes no folder: a misspelt path creates nothing. Throws Error with
// path_error_code().
void write_file_atomically(const std::filesystem::path& path, std::string_view bytes);

// A folder for what is run later, as a cache of binaries is. Makes it with mode 0700 (and its parents with the usual
// one) or checks that nobody else could have put things into it. Throws Error(bad_input) for a folder of another owner
// or that its group or others may write to, saying how to mend it; otherwise Error with path_error_code().
void make_private_folder(const std::filesystem::path& folder);

}  // namespace warpwright
