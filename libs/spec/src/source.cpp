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

#include "directives.hpp"
#include "include_identity.hpp"
#include "words.hpp"

namespace warpwright::spec {

namespace detail {
// Generated from the header at build time.
std::string_view dialect_bytes();
}  // namespace detail

namespace {

using detail::Directive;

constexpr int max_depth = 64;
// Guards against headers that include each other twice per level without guards: 2^n copies.
constexpr std::size_t max_text = std::size_t{64} << 20;
constexpr std::string_view dialect_name = "warpwright/dialect.h";

// #pragma once, or the classic #ifndef X / #define X ... #endif around everything: then a second inclusion is empty.
bool is_guarded(const detail::Directives& scanned) {
  const std::vector<Directive>& directives = scanned.found;
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
  return (scanned.first_code_line == 0 || scanned.first_code_line > directives.front().line) &&
         scanned.last_code_line < directives.back().line;
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
  explicit Inliner(const std::vector<std::filesystem::path>& include_folders)
      : include_folders_(include_folders), left_(include_folders) {}

  std::string run(std::string_view bytes, const std::filesystem::path& file) {
    inline_text(bytes, file, file.filename().string());
    // What the compiler will include by itself belongs to the kernel as much as what was inlined.
    if (const auto identity = left_.hash()) append("// include folders: " + *identity + "\n");
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
    const std::string text = detail::normalised(bytes);
    const detail::Directives scanned = detail::scan_directives(text);
    const std::vector<Directive>& directives = scanned.found;
    const bool once = std::any_of(directives.begin(), directives.end(), [](const Directive& directive) {
      return directive.word == "pragma" && directive.argument == "once";
    });
    const std::filesystem::path identity = identity_of(file);
    const bool guarded = is_guarded(scanned);
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
      } else if (directive.includes()) {
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
    const bool can_be_inlined = directive.word == "include" && directive.delimiter != 0;
    const bool dialect = can_be_inlined && directive.argument == dialect_name;
    if (can_be_inlined && !dialect && directive.delimiter == '"') found = find(directive.argument, file);
    if (!dialect && !found) {
      left_.add(directive, file);
      return;
    }
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
  detail::IncludeIdentity left_;  // of the includes that stay for the compiler
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
