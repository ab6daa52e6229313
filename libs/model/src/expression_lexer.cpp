#include "expression_lexer.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include <warpwright/base/error.hpp>

#include "expression_tree.hpp"

namespace warpwright::detail {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_name_start(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_name_part(char c) { return is_name_start(c) || is_digit(c); }
int digit_value(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'z') return c - 'a' + 10;
  if (c >= 'A' && c <= 'Z') return c - 'A' + 10;
  return 99;
}

class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) {}

  std::vector<Token> run() {
    std::vector<Token> tokens;
    while (true) {
      while (at_ < text_.size() && std::string_view(" \t\r\n\f\v").find(text_[at_]) != std::string_view::npos) ++at_;
      Token token = next();
      token.end = static_cast<std::uint32_t>(at_);
      token.text = text_.substr(token.begin, token.end - token.begin);
      tokens.push_back(std::move(token));
      if (tokens.back().kind == Token::Kind::end) return tokens;
    }
  }

 private:
  char peek(std::size_t ahead = 0) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0'; }
  [[noreturn]] void fail(std::size_t offset, const std::string& what) const { throw_syntax_error(text_, offset, what); }

  Token next() {
    Token token;
    token.begin = static_cast<std::uint32_t>(at_);
    if (at_ == text_.size()) return token;
    const char c = peek();
    if (is_digit(c) || (c == '.' && is_digit(peek(1)))) {
      number(token);
    } else if (is_name_start(c)) {
      token.kind = Token::Kind::name;
      while (is_name_part(peek())) ++at_;
      if (peek() == '\'' || peek() == '"') {
        fail(token.begin, "string prefixes such as '" + std::string(text_.substr(token.begin, at_ - token.begin)) +
                              "' are not part of the language; write a plain quoted string");
      }
    } else if (c == '\'' || c == '"') {
      string(token);
    } else {
      symbol(token);
    }
    return token;
  }

  void number(Token& token) {
    if (peek() == '0' && (digit_value(peek(1)) == 33 || digit_value(peek(1)) == 24 || digit_value(peek(1)) == 11)) {
      const int base = digit_value(peek(1)) == 33 ? 16 : digit_value(peek(1)) == 24 ? 8 : 2;  // 0x, 0o, 0b
      at_ += 2;
      integer(token, base);
      return;
    }
    std::size_t end = at_;
    const auto digits = [&] {
      while (end < text_.size() && (is_digit(text_[end]) || text_[end] == '_')) ++end;
    };
    bool real = false;
    digits();
    if (end < text_.size() && text_[end] == '.') {
      real = true;
      ++end;
      digits();
    }
    if (end < text_.size() && (text_[end] == 'e' || text_[end] == 'E')) {
      std::size_t exponent = end + 1;
      if (exponent < text_.size() && (text_[exponent] == '+' || text_[exponent] == '-')) ++exponent;
      if (exponent < text_.size() && is_digit(text_[exponent])) {
        real = true;
        end = exponent;
        digits();
      }
    }
    if (!real) {
      integer(token, 10);
      return;
    }
    std::string plain(text_.substr(at_, end - at_));
    check_underscores(plain);
    plain.erase(std::remove(plain.begin(), plain.end(), '_'), plain.end());
    const auto result = std::from_chars(plain.data(), plain.data() + plain.size(), token.real);
    if (result.ec != std::errc() || result.ptr != plain.data() + plain.size()) {
      fail(token.begin, "the number '" + excerpt(plain, 40) + "' is outside the range of 64-bit floating point");
    }
    token.kind = Token::Kind::real;
    at_ = end;
    check_number_end(token);
  }

  void integer(Token& token, int base) {
    token.kind = Token::Kind::integer;
    const std::size_t first = at_;
    bool overflow = false;
    while (digit_value(peek()) < base || peek() == '_') {
      if (peek() != '_') {
        overflow |= __builtin_mul_overflow(token.integer, static_cast<std::uint64_t>(base), &token.integer);
        overflow |=
            __builtin_add_overflow(token.integer, static_cast<std::uint64_t>(digit_value(peek())), &token.integer);
      }
      ++at_;
    }
    const std::string_view digits = text_.substr(first, at_ - first);
    if (digits.empty())
      fail(token.begin, "digits are missing after '" + std::string(text_.substr(token.begin, 2)) + "'");
    check_underscores(base == 10 ? digits : digits.substr(digits.front() == '_' ? 1 : 0));
    if (overflow || token.integer > std::uint64_t{1} << 63) {
      fail(token.begin, "the integer " + excerpt(digits, 40) + " does not fit in 64 bits");
    }
    if (base == 10 && digits.size() > 1 && digits.front() == '0' && token.integer != 0) {
      fail(token.begin, "leading zeros are not allowed in an integer; write " + std::to_string(token.integer) +
                            ", or 0o" + excerpt(digits.substr(1), 40) + " for an octal number");
    }
    check_number_end(token);
  }

  void check_underscores(std::string_view digits) const {
    for (std::size_t i = 0; i < digits.size(); ++i) {
      if (digits[i] == '_' && (i == 0 || i + 1 == digits.size() || !is_name_part(digits[i - 1]) ||
                               digits[i - 1] == '_' || digit_value(digits[i + 1]) > 15)) {
        fail(at_, "underscores may only stand between digits");
      }
    }
  }

  void check_number_end(const Token& token) const {
    if (!is_name_part(peek())) return;
    // "2if x else y" is legal Python, but more often it is a slip such as 10u or 1.0f.
    fail(at_, "'" + std::string(1, peek()) + "' cannot follow the number " +
                  excerpt(text_.substr(token.begin, at_ - token.begin), 40) +
                  "; numbers have no suffix, and names do not begin with a digit");
  }

  void string(Token& token) {
    token.kind = Token::Kind::string;
    const char quote = text_[at_++];
    while (true) {
      if (at_ >= text_.size() || text_[at_] == '\n') {
        fail(token.begin, std::string("the string that begins here has no closing ") + quote);
      }
      const char c = text_[at_++];
      if (c == quote) return;
      if (c != '\\') {
        token.string += c;
        continue;
      }
      const char escaped = peek();
      ++at_;
      switch (escaped) {
        case 'n':
          token.string += '\n';
          break;
        case 't':
          token.string += '\t';
          break;
        case 'r':
          token.string += '\r';
          break;
        case '\\':
        case '\'':
        case '"':
          token.string += escaped;
          break;
        default:
          fail(at_ - 2, "unknown escape in a string; known are \\n \\t \\r \\\\ \\' \\\"");
      }
    }
  }

  void symbol(Token& token) {
    token.kind = Token::Kind::symbol;
    static constexpr std::array<std::string_view, 9> two{"**", "//", "<<", ">>", "<=", ">=", "==", "!=", ":="};
    const std::string_view rest = text_.substr(at_);
    for (const auto wrong : {"&&", "||", "<>"}) {
      if (rest.starts_with(wrong)) {
        const std::string_view right = wrong == std::string_view("&&")   ? "and"
                                       : wrong == std::string_view("||") ? "or"
                                                                         : "!=";
        fail(at_, "'" + std::string(wrong) + "' is not an operator here; write '" + std::string(right) + "'");
      }
    }
    for (const auto candidate : two) {
      if (rest.starts_with(candidate)) {
        if (candidate == ":=" || (rest.size() > 2 && rest[2] == '=' && candidate != "==" && candidate != "!=" &&
                                  candidate != "<=" && candidate != ">=")) {
          fail(at_, "an expression cannot assign; write '==' to compare");
        }
        at_ += 2;
        return;
      }
    }
    const char c = rest.front();
    if (c == '!') fail(at_, "'!' is not an operator here; write 'not'");
    if (c == '=') fail(at_, "a single '=' assigns, which an expression cannot do; write '==' to compare");
    if (c == '?') fail(at_, "'?' is not an operator here; write 'x if condition else y'");
    if (std::string_view("+-*/%&|^~<>()[],:.").find(c) == std::string_view::npos) {
      const auto byte = static_cast<unsigned char>(c);
      if (byte >= 0x20 && byte < 0x7F) fail(at_, std::string("unexpected character '") + c + "'");
      fail(at_, "unexpected character (byte " + std::to_string(byte) + "); names and operators are plain ASCII");
    }
    if (rest.size() > 1 && rest[1] == '=' && std::string_view("+-*/%&|^~").find(c) != std::string_view::npos) {
      fail(at_, "an expression cannot assign; write '==' to compare");
    }
    ++at_;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace

std::vector<Token> tokenize(std::string_view text) { return Lexer(text).run(); }

void throw_syntax_error(std::string_view text, std::size_t offset, const std::string& what) {
  InputPosition position;
  position.column = offset + 1;
  throw Error(ErrorCode::bad_input,
              "expression '" + excerpt(text) + "', column " + std::to_string(offset + 1) + ": " + what, position);
}

std::string cut(std::string_view text, std::size_t limit) {
  if (text.size() <= limit) return std::string(text);
  std::size_t end = limit - 3;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0u) == 0x80u) --end;  // not inside a UTF-8 character
  return std::string(text.substr(0, end)) + "...";
}

std::string excerpt(std::string_view text, std::size_t limit) {
  std::string result = cut(text, limit);
  for (char& c : result) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7F) c = c == '\n' || c == '\t' || c == '\r' ? ' ' : '?';
  }
  return result;
}

}  // namespace warpwright::detail
