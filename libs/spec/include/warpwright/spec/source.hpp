// Loading kernel sources.
#pragma once

#include <filesystem>
#include <string_view>
#include <vector>

#include <warpwright/model/problem.hpp>

namespace warpwright::spec {

// Reads `file` and inlines every `#include "x"` that is found beside the including file or in `include_folders`, and
// <warpwright/dialect.h>, with #line directives, so that the text alone is the identity of the kernel: it holds file
// names without folders and '\n' as line end, so it does not depend on where and how it was checked out. Method: a
// scanner for comments, literals and directives, not a preprocessor; an include in a branch that is not taken is
// inlined too and stays dead. `#pragma once` (as a guard named after the content) and include guards work. Other
// includes stay for the compiler: those in angle brackets, those of a macro, those that are not found (cuda_fp16.h).
// What it will find of them in `include_folders`, and what that includes there, is hashed into a comment at the end of
// the text; an include of a macro may mean any file below these folders. Throws Error(not_found / io) and
// Error(bad_input) for include cycles without a guard (depth 64) and for more than 64 MiB.
SourceText load_source(const std::filesystem::path& file,
                       const std::vector<std::filesystem::path>& include_folders = {});

// The same for a text that is in no file; quoted includes are looked for beside `name` (which need not exist) and in
// `include_folders`.
SourceText inline_source(std::string_view text, const std::filesystem::path& name,
                         const std::vector<std::filesystem::path>& include_folders = {});

// The text of <warpwright/dialect.h>, compiled into the library.
std::string_view dialect_header();

}  // namespace warpwright::spec
