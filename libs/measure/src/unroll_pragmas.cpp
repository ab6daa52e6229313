#include "unroll_pragmas.hpp"

#include <cctype>

namespace warpwright::measure {
namespace {

// Reads over one line; each step says whether the line goes on as asked.
class LineReader {
 public:
  explicit LineReader(std::string_view line) : line_(line) {}

  bool sign(char wanted) {
    blanks();
    if (at_ >= line_.size() || line_[at_] != wanted) return false;
    ++at_;
    return true;
  }
  bool word(std::string_view wanted) {
    blanks();
    if (line_.substr(at_, wanted.size()) != wanted) return false;
    const std::size_t end = at_ + wanted.size();
    if (end < line_.size() && (std::isalnum(static_cast<unsigned char>(line_[end])) != 0 || line_[end] == '_'))
      return false;
    at_ = end;
    return true;
  }
  bool at_end() {
    blanks();
    return at_ >= line_.size() || line_.substr(at_, 2) == "//" || line_.substr(at_, 2) == "/*";
  }
  std::size_t position() const { return at_; }

 private:
  void blanks() {
    while (at_ < line_.size() && std::isspace(static_cast<unsigned char>(line_[at_])) != 0) ++at_;
  }

  std::string_view line_;
  std::size_t at_ = 0;
};

// How many characters of the line the pragma takes; 0 if there is none.
std::size_t pragma_length(std::string_view line, std::string_view name) {
  LineReader reader(line);
  if (!reader.sign('#') || !reader.word("pragma") || !reader.word("unroll")) return 0;
  const bool parenthesis = reader.sign('(');
  if (!reader.word(name) || (parenthesis && !reader.sign(')'))) return 0;
  const std::size_t length = reader.position();
  return reader.at_end() ? length : 0;
}

}  // namespace

std::string without_unroll_pragmas(std::string_view source, std::string_view name) {
  std::string result;
  result.reserve(source.size());
  while (!source.empty()) {
    const std::size_t end = source.find('\n');
    const std::string_view line = source.substr(0, end);
    result += line.substr(pragma_length(line, name));
    if (end == std::string_view::npos) break;
    result += '\n';
    source.remove_prefix(end + 1);
  }
  return result;
}

}  // namespace warpwright::measure
