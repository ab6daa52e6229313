// Directives of a kernel source: a scanner for comments, literals and directives, not a preprocessor. Private to this
// library.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace warpwright::spec::detail {

// Line ends become '\n' and a byte order mark goes, so that the identity of a kernel does not depend on how a checkout
// writes text files.
std::string normalised(std::string_view bytes);

// What a physical line holds, as the preprocessor sees it.
struct Directive {
  std::size_t line = 0;            // from 1
  std::size_t begin = 0, end = 0;  // in the text: from the '#', or the start of its line if only blanks precede it,
                                   // to the end of the line without the newline
  std::size_t after = 0;           // where the rest of the line begins after an include's closing delimiter
  std::string word;                // "include", "pragma", "ifndef", ...
  std::string argument;            // first word after it; for includes the name without delimiters
  char delimiter = 0;              // of an include '"' or '<'; 0 if it names a macro
  bool includes() const { return word == "include" || word == "include_next" || word == "import"; }
};

struct Directives {
  std::vector<Directive> found;
  // Of what is neither comment nor directive (needed to recognise include guards); 0 if there is nothing.
  std::size_t first_code_line = 0, last_code_line = 0;
};

// Finds the directives of a text, whose lines end with '\n': skips comments (also those that a backslash continues),
// string and character literals, raw strings and C++14 digit separators.
Directives scan_directives(std::string_view text);

}  // namespace warpwright::spec::detail
