#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <warpwright/base/error.hpp>
#include <warpwright/base/files.hpp>
#include <warpwright/base/hash.hpp>
#include <warpwright/spec/source.hpp>

#include "words.hpp"

namespace warpwright::spec {

namespace detail {
// Generated from the header at build time.
std::string_view dialect_bytes();
}  // namespace detail

namespace {

constexpr int max_depth = 64;
// Guards against headers that include each other twice per level without guards: 2^n copies.
constexpr std::size_t max_text = std::size_t{64} << 20;
constexpr std::string_view dialect_name = "warpwright/dialect.h";

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\v' || c == '\f'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_word(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '_'; }

// Line ends become '\n' and a byte order mark goes, so that the identity of a kernel does not depend on how a checkout
// writes text files.
std::string normalised(std::string_view bytes) {
  if (bytes.substr(0, 3) == "\xEF\xBB\xBF") bytes.remove_prefix(3);
  std::string text;
  text.reserve(bytes.size() + 1);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (bytes[i] == '\r' && i + 1 < bytes.size() && bytes[i + 1] == '\n') continue;
    text += bytes[i];
  }
  if (!text.empty() && text.back() != '\n') text += '\n';
  return text;
}

// What a physical line holds, as the preprocessor sees it.
struct Directive {
  std::size_t line = 0;            // from 1
  std::size_t begin = 0, end = 0;  // in the text: from the '#', or the start of its line if only blanks precede it,
                                   // to the end of the line without the newline
  std::size_t after = 0;           // where the rest of the line begins after an include's closing delimiter
  std::string word;                // "include", "pragma", "ifndef", ...
  std::string argument;            // first word after it; for includes the name without delimiters
  char delimiter = 0;              // '"' or '<' for includes
};

// Finds the directives of a text: skips comments (also those that a backslash continues), string and character
// literals, raw strings and C++14 digit separators.
class DirectiveScanner {
 public:
  explicit DirectiveScanner(std::string_view text) : text_(text) {}

  std::vector<Directive> scan() {
    bool line_start = true;
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '\n') {
        newline();
        line_start = true;
      } else if (skip_continuation() || is_space(c)) {
        if (is_space(c)) ++at_;
      } else if (skip_comment()) {
      } else if (c == '#' && line_start) {
        directive();
        line_start = false;
      } else {
        line_start = false;
        code_ = true;
        token();
      }
    }
    return std::move(found_);
  }

  // Something other than comments and directives follows or precedes them (needed to recognise include guards).
  std::size_t last_code_line() const { return last_code_line_; }
  std::size_t first_code_line() const { return first_code_line_; }

 private:
  bool ahead(std::string_view word) const { return text_.compare(at_, word.size(), word) == 0; }

  void newline() {
    if (code_) {
      if (first_code_line_ == 0) first_code_line_ = line_;
      last_code_line_ = line_;
    }
    code_ = false;
    ++at_;
    ++line_;
    line_begin_ = at_;
  }

  bool skip_continuation() {
    if (!ahead("\\\n")) return false;
    ++at_;
    const bool code = code_;
    newline();
    code_ = code;
    return true;
  }

  bool skip_comment() {
    if (ahead("//")) {
      while (at_ < text_.size() && text_[at_] != '\n') {
        if (!skip_continuation()) ++at_;
      }
      return true;
    }
    if (!ahead("/*")) return false;
    at_ += 2;
    while (at_ < text_.size() && !ahead("*/")) {
      if (text_[at_] == '\n') {
        newline();
      } else {
        ++at_;
      }
    }
    at_ = std::min(at_ + 2, text_.size());
    return true;
  }

  void raw_string() {  // at the quote of R"delimiter( ... )delimiter"
    const std::size_t open = text_.find('(', at_);
    if (open == std::string_view::npos || open - at_ > 17) {
      ++at_;
      return;
    }
    const std::string close = ")" + std::string(text_.substr(at_ + 1, open - at_ - 1)) + "\"";
    const std::size_t end = std::min(text_.find(close, open), text_.size());
    while (at_ < end) {
      if (text_[at_] == '\n') {
        newline();
        code_ = true;
      } else {
        ++at_;
      }
    }
    at_ = std::min(at_ + close.size(), text_.size());
  }

  void literal(char quote) {
    ++at_;
    while (at_ < text_.size() && text_[at_] != '\n') {
      if (skip_continuation()) continue;
      if (text_[at_] == '\\' && at_ + 1 < text_.size() && text_[at_ + 1] != '\n') {
        at_ += 2;
      } else if (text_[at_++] == quote) {
        return;
      }
    }
  }

  void token() {
    const char c = text_[at_];
    if (c == '"' || c == '\'') {
      literal(c);
    } else if (is_word(c)) {
      const std::size_t start = at_;
      const bool number = is_digit(c);
      while (at_ < text_.size() && (is_word(text_[at_]) || (number && (text_[at_] == '.' || text_[at_] == '\''))))
        ++at_;
      const std::string_view word = text_.substr(start, at_ - start);
      const bool raw = word == "R" || word == "LR" || word == "uR" || word == "UR" || word == "u8R";
      if (raw && at_ < text_.size() && text_[at_] == '"') raw_string();
    } else {
      ++at_;
    }
  }

  void skip_blanks() {
    while (at_ < text_.size() && (is_space(text_[at_]) || ahead("/*"))) {
      const std::size_t line = line_;
      if (is_space(text_[at_])) {
        ++at_;
      } else {
        skip_comment();
      }
      if (line_ != line) return;
    }
  }

  std::string word() {
    const std::size_t start = at_;
    while (at_ < text_.size() && is_word(text_[at_])) ++at_;
    return std::string(text_.substr(start, at_ - start));
  }

  void directive() {
    Directive found;
    found.line = line_;
    const std::string_view before = text_.substr(line_begin_, at_ - line_begin_);
    found.begin = std::all_of(before.begin(), before.end(), is_space) ? line_begin_ : at_;
    found.end = std::min(text_.find('\n', at_), text_.size());
    ++at_;
    skip_blanks();
    if (line_ != found.line) return;
    found.word = word();
    skip_blanks();
    if (line_ != found.line) return;
    if (found.word == "include") {
      if (at_ >= text_.size() || (text_[at_] != '"' && text_[at_] != '<')) return;
      found.delimiter = text_[at_];
      const std::size_t close = text_.find(found.delimiter == '<' ? '>' : '"', at_ + 1);
      if (close == std::string_view::npos || close > found.end) return;
      found.argument = std::string(text_.substr(at_ + 1, close - at_ - 1));
      found.after = close + 1;
      at_ = found.after;
    } else {
      found.argument = word();
    }
    found_.push_back(std::move(found));
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t line_ = 1;
  std::size_t line_begin_ = 0;
  bool code_ = false;
  std::size_t first_code_line_ = 0, last_code_line_ = 0;
  std::vector<Directive> found_;
};

// #pragma once, or the classic #ifndef X / #define X ... #endif around everything: then a second inclusion is empty.
bool is_guarded(const std::vector<Directive>& directives, const DirectiveScanner& scanner) {
  for (const auto& directive : directives) {
    if (directive.word == "pragma" && directive.argument == "once") return true;
  }
  if (directives.size() < 3 || directives[0].word != "ifndef" || directives[1].word != "define" ||
      directives[0].argument != directives[1].argument || directives.back().word != "endif") {
    return false;
  }
  int depth = 0;
  for (std::size_t i = 0; i < directives.size(); ++i) {
    const std::string& word = directives[i].word;
    if (word == "if" || word == "ifdef" || word == "ifndef") ++depth;
    if (word == "endif" && --depth == 0 && i + 1 != directives.size()) return false;
    if (depth == 1 && (word == "else" || word == "elif")) return false;
  }
  return (scanner.first_code_line() == 0 || scanner.first_code_line() > directives.front().line) &&
         scanner.last_code_line() < directives.back().line;
}

std::string line_directive(std::size_t line, const std::string& name) {
  std::string text = "#line " + std::to_string(line) + " \"";
  for (const char c : name) {
    if (c == '"' || c == '\\') text += '\\';
    text += c;
  }
  return text + "\"\n";
}

class Inliner {
 public:
  explicit Inliner(const std::vector<std::filesystem::path>& include_folders) : include_folders_(include_folders) {}

  std::string run(std::string_view bytes, const std::filesystem::path& file) {
    inline_text(bytes, file, file.filename().string());
    return std::move(out_);
  }

  static std::string read(const std::filesystem::path& file) {
    std::error_code ignored;
    if (std::filesystem::exists(file, ignored) && !std::filesystem::is_regular_file(file, ignored)) {
      throw Error(ErrorCode::bad_input, "'" + file.string() + "' is not a regular file");
    }
    return read_file(file);
  }

 private:
  std::optional<std::filesystem::path> find(const std::string& name, const std::filesystem::path& includer) const {
    std::error_code ignored;
    const std::filesystem::path own = includer.parent_path() / name;
    if (std::filesystem::is_regular_file(own, ignored)) return own;
    for (const auto& folder : include_folders_) {
      if (std::filesystem::is_regular_file(folder / name, ignored)) return folder / name;
    }
    return std::nullopt;
  }

  void inline_text(std::string_view bytes, const std::filesystem::path& file, const std::string& name) {
    const std::string text = normalised(bytes);
    DirectiveScanner scanner(text);
    const std::vector<Directive> directives = scanner.scan();
    const bool once = std::any_of(directives.begin(), directives.end(), [](const Directive& directive) {
      return directive.word == "pragma" && directive.argument == "once";
    });
    const std::filesystem::path identity = identity_of(file);
    const bool guarded = is_guarded(directives, scanner);
    for (const auto& open : stack_) {
      if (open == identity && guarded) return;  // its guard is defined already: nothing would be left of it
    }
    if (stack_.size() >= max_depth) {
      throw Error(
          ErrorCode::bad_input,
          "'" + file.string() + "' is included " + std::to_string(max_depth) +
              " levels deep: the files include each other in a circle without an include guard; add #pragma once");
    }
    stack_.push_back(identity);
    // Not the name of the file: equal texts under two names are one header, and the text must not depend on the place.
    const std::string guard = "WARPWRIGHT_ONCE_" + content_hash(text);
    if (once) append("#ifndef " + guard + "\n#define " + guard + "\n");
    append(line_directive(1, name));
    std::size_t copied = 0;
    for (const auto& directive : directives) {
      if (directive.word == "pragma" && directive.argument == "once") {
        append(std::string_view(text).substr(copied, directive.begin - copied));
        copied = directive.end;
      } else if (directive.word == "include") {
        expand(directive, text, copied, file, name);
      }
    }
    append(std::string_view(text).substr(copied));
    if (once) append("#endif\n");
    stack_.pop_back();
  }

  void expand(const Directive& directive, const std::string& text, std::size_t& copied,
              const std::filesystem::path& file, const std::string& name) {
    std::optional<std::filesystem::path> found;
    const bool dialect = directive.argument == dialect_name;
    if (!dialect && directive.delimiter == '"') found = find(directive.argument, file);
    if (!dialect && !found) return;
    append(std::string_view(text).substr(copied, directive.begin - copied));
    if (!out_.empty() && out_.back() != '\n') append("\n");  // a comment ends on this line
    if (dialect) {
      inline_text(dialect_header(), std::filesystem::path("<warpwright>") / "dialect.h", "dialect.h");
    } else {
      try {
        inline_text(read(*found), *found, found->filename().string());
      } catch (Error& error) {
        if (stack_.size() > max_depth / 2) throw;  // a circle: sixty lines of the same would not help
        throw error.add_context("reading " + file.filename().string() + ":" + std::to_string(directive.line));
      }
    }
    // What follows the include on its line (a comment, perhaps of several lines) stays on that line.
    append(line_directive(directive.line, name));
    copied = directive.after;
  }

  static std::filesystem::path identity_of(const std::filesystem::path& file) {
    std::error_code error;
    std::filesystem::path identity = std::filesystem::weakly_canonical(file, error);
    return error ? file : identity;
  }

  void append(std::string_view text) {
    if (out_.size() + text.size() > max_text) {
      throw Error(ErrorCode::bad_input,
                  "the source is larger than 64 MiB with its includes; add #pragma once to headers "
                  "that are included more than once");
    }
    out_ += text;
  }

  const std::vector<std::filesystem::path>& include_folders_;
  std::string out_;
  std::vector<std::filesystem::path> stack_;  // the files that are open
};

}  // namespace

SourceText load_source(const std::filesystem::path& file, const std::vector<std::filesystem::path>& include_folders) {
  return inline_source(Inliner::read(file), file, include_folders);
}

SourceText inline_source(std::string_view text, const std::filesystem::path& name,
                         const std::vector<std::filesystem::path>& include_folders) {
  SourceText source;
  source.file = name;
  source.text = Inliner(include_folders).run(text, name);
  return source;
}

std::string_view dialect_header() { return detail::dialect_bytes(); }

}  // namespace warpwright::spec
