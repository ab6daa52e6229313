#include <string>

#include <warpwright/base/error.hpp>
#include <warpwright/spec/source.hpp>

#include "fuzz.hpp"
#include "fuzz_folder.hpp"

namespace warpwright::fuzz {
namespace {

// Headers of every kind beside the text; one of them only found through an include folder.
class HeaderFolder : public FuzzFolder {
 public:
  HeaderFolder() {
    std::filesystem::create_directory(path() / "inc");
    const auto write = [&](const char* name, const char* text) { write_file(path() / name, text); };
    write("plain.h", "int plain;\n");
    write("once.h", "#pragma once\n#include \"plain.h\"\nint once;\n");
    write("guarded.h", "#ifndef G\n#define G\n#include \"guarded.h\"\nint guarded;\n#endif\n");
    write("loop.h", "#include \"loop.h\"\n");
    write("open.h", "/* not closed");
    write("raw.h", "R\"(\n#include \"plain.h\"\n)\"\n");
    write("inc/far.h", "#include \"near.h\"\n#include \"plain.h\"\n");
    write("inc/near.h", "\\\n#include \"once.h\"");
  }
};

std::optional<SourceText> inlined(std::string_view text) {
  static const HeaderFolder folder;
  try {
    return spec::inline_source(text, folder.path() / "text.kernel", {folder.path() / "inc"});
  } catch (const Error& error) {
    require(error.code() == ErrorCode::bad_input, "what cannot be inlined is bad_input");
    require(!error.message().empty(), "and it is said why");
    return std::nullopt;
  }
}

}  // namespace

void source(std::string_view text) {
  const auto first = inlined(text);
  const auto second = inlined(text);
  require(first.has_value() == second.has_value(), "the same text is accepted or refused alike");
  if (!first) return;
  require(first->text == second->text, "and has one identity");
  constexpr std::string_view in_folder = "warpwright-fuzz-";
  require(text.find(in_folder) != std::string_view::npos || first->text.find(in_folder) == std::string::npos,
          "in which no folder is named");
  if (text.find('\r') != std::string_view::npos) return;
  std::string with_returns;
  for (const char c : text) with_returns += c == '\n' ? std::string("\r\n") : std::string(1, c);
  const auto third = inlined(with_returns);
  require(third && third->text == first->text, "whatever ends its lines");
}

}  // namespace warpwright::fuzz

WARPWRIGHT_FUZZ_ENTRY(source)
