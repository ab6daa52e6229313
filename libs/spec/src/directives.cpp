#include "directives.hpp"

#include <algorithm>
#include <utility>

namespace warpwright::spec::detail {
namespace {

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\v' || c == '\f'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_word(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '_'; }

class DirectiveScanner {
 public:
  explicit DirectiveScanner(std::string_view text) : text_(text) {}

  Directives scan() {
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
    return {std::move(found_), first_code_line_, last_code_line_};
  }

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
    const bool names_file = at_ < text_.size() && (text_[at_] == '"' || text_[at_] == '<');
    if (found.includes() && names_file) {
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

}  // namespace

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

Directives scan_directives(std::string_view text) { return DirectiveScanner(text).scan(); }

}  // namespace warpwright::spec::detail
