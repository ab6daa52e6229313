#include <algorithm>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string>

#include <warpwright/base/error.hpp>
#include <warpwright/base/files.hpp>
#include <warpwright/spec/source.hpp>

#include "temp_folder.hpp"

namespace warpwright::spec_tests {
namespace {

using testing::HasSubstr;
using testing::Not;

class Source : public testing::Test {
 protected:
  std::string load(const std::string& name, const std::vector<std::filesystem::path>& folders = {}) const {
    return spec::load_source(folder.path() / name, folders).text;
  }
  static std::size_t count(const std::string& text, const std::string& part) {
    std::size_t found = 0;
    for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
    return found;
  }
  TempFolder folder;
};

TEST_F(Source, InlinesQuotedIncludesWithLineDirectives) {
  folder.write("a.kernel", "int first;\n#include \"sub/b.h\"\nint last;\n");
  folder.write("sub/b.h", "#include \"c.h\"\nint b;\n");
  folder.write("sub/c.h", "int c;\n");
  EXPECT_EQ(load("a.kernel"),
            "#line 1 \"a.kernel\"\n"
            "int first;\n"
            "#line 1 \"b.h\"\n"
            "#line 1 \"c.h\"\n"
            "int c;\n"
            "#line 1 \"b.h\"\n"
            "\n"
            "int b;\n"
            "#line 2 \"a.kernel\"\n"
            "\n"
            "int last;\n");
  EXPECT_EQ(spec::load_source(folder.path() / "a.kernel").file, folder.path() / "a.kernel");
}

TEST_F(Source, TheTextDoesNotDependOnThePlaceOfTheCheckoutOrItsLineEnds) {
  const TempFolder other;
  folder.write("a.kernel", "#include \"b.h\"\nint a;\n");
  folder.write("b.h", "#pragma once\nint b;\n");
  other.write("a.kernel", "\xEF\xBB\xBF#include \"b.h\"\r\nint a;");
  other.write("b.h", "#pragma once\r\nint b;\r\n");
  EXPECT_EQ(load("a.kernel"), spec::load_source(other.path() / "a.kernel").text);
}

TEST_F(Source, LooksBesideTheIncluderThenInTheFoldersAndLeavesTheRestToTheCompiler) {
  folder.write(
      "a.kernel",
      "#include \"near.h\"\n#include \"far.h\"\n#include \"none.h\"\n#include <cuda_fp16.h>\n#include <near.h>\n");
  folder.write("near.h", "int near_beside;\n");
  folder.write("include/near.h", "int near_in_folder;\n");
  folder.write("include/far.h", "int far_in_folder;\n");
  const std::string text = load("a.kernel", {folder.path() / "include"});
  EXPECT_THAT(text, HasSubstr("near_beside"));
  EXPECT_THAT(text, Not(HasSubstr("near_in_folder")));
  EXPECT_THAT(text, HasSubstr("far_in_folder"));
  EXPECT_THAT(text, HasSubstr("#include \"none.h\"\n"));
  EXPECT_THAT(text, HasSubstr("#include <cuda_fp16.h>\n"));
  EXPECT_THAT(text, HasSubstr("#include <near.h>\n"));
}

// Whatever the compiler includes from the folders by itself, however it is named there: an edit is another kernel.
TEST_F(Source, WhatIsLeftToTheCompilerInTheFoldersIsPartOfTheText) {
  for (const std::string include :
       {"#include <h.h>", "#define HEADER <h.h>\n#include HEADER", "#include HEADER", "#include_next <h.h>",
        "#include <near.h>", "#include <sub/up.h>", "#if 0\n#include <h.h>\n#endif", "#include \"quoted.h\""}) {
    SCOPED_TRACE(include);
    folder.write("a.kernel", include + "\nint a;\n");
    folder.write("in c/h.h", "int before;\n");
    folder.write("in c/near.h", "#include \"h.h\"\n");
    folder.write("in c/sub/up.h", "#include \"../h.h\"\n");
    folder.write("in c/quoted.h", "#include <h.h>\n");
    const std::string before = load("a.kernel", {folder.path() / "in c"});
    EXPECT_EQ(load("a.kernel", {folder.path() / "in c"}), before);
    folder.write("in c/h.h", "int after;\n");
    const std::string after = load("a.kernel", {folder.path() / "in c"});
    EXPECT_NE(after, before);
    // Only the comment at the end differs, and no line is moved.
    EXPECT_THAT(after, HasSubstr("\n// include folders: "));
    EXPECT_EQ(after.substr(0, after.rfind("//")), before.substr(0, before.rfind("//")));
    // Another place is no other kernel.
    const TempFolder other;
    other.write("a.kernel", include + "\nint a;\n");
    for (const char* name : {"near.h", "sub/up.h", "quoted.h"})
      other.write(std::string("elsewhere/") + name, read_file(folder.path() / "in c" / name));
    other.write("elsewhere/h.h", "int after;\n");
    EXPECT_EQ(spec::load_source(other.path() / "a.kernel", {other.path() / "elsewhere"}).text, after);
  }
}

TEST_F(Source, WhatNoIncludeNamesIsNoPartOfTheText) {
  folder.write("a.kernel", "#include <cuda_fp16.h>\n#include\nint a;\n");
  folder.write("include/h.h", "int before;\n");
  const std::string text = load("a.kernel", {folder.path() / "include"});
  EXPECT_THAT(text, Not(HasSubstr("include folders")));
  // Files that include each other are read once, and a link to the folder above is followed once.
  folder.write("a.kernel", "#include HEADER\n");
  folder.write("include/x.h", "#include <y.h>\n");
  folder.write("include/y.h", "#include <x.h>\n#include HEADER\n");
  std::filesystem::create_directory_symlink("..", folder.path() / "include" / "up");
  EXPECT_THAT(load("a.kernel", {folder.path() / "include"}), HasSubstr("include folders"));
}

TEST_F(Source, InlinesTheDialectHeaderHoweverItIsWritten) {
  ASSERT_FALSE(spec::dialect_header().empty());
  EXPECT_THAT(std::string(spec::dialect_header()), HasSubstr("WW_KERNEL"));
  folder.write("a.kernel", "#include <warpwright/dialect.h>\n");
  folder.write("b.kernel", "#  include /* the */ \"warpwright/dialect.h\" // dialect\n");
  for (const char* name : {"a.kernel", "b.kernel"}) {
    const std::string text = load(name);
    EXPECT_THAT(text, HasSubstr("#line 1 \"dialect.h\""));
    EXPECT_THAT(text, HasSubstr("#define WW_KERNEL"));
    EXPECT_THAT(text, Not(HasSubstr("include <warpwright")));
  }
}

TEST_F(Source, IgnoresIncludesInCommentsAndLiterals) {
  folder.write("b.h", "int wrong;\n");
  folder.write("a.kernel",
               "// #include \"b.h\"\n"
               "/* text\n#include \"b.h\"\n*/\n"
               "// continued \\\n#include \"b.h\"\n"
               "const char* a = \"\\\"/*\";\n"
               "char quote = '\"'; /*\n#include \"b.h\"\n*/ int million = 1'000'000;\n"
               "const char* raw = R\"x(\n#include \"b.h\"\n)x\";\n"
               "int not_at_start; #include \"b.h\"\n"
               "const char* joined = \"\\\n#include \\\"b.h\\\"\";\n");
  EXPECT_THAT(load("a.kernel"), Not(HasSubstr("wrong")));
}

TEST_F(Source, FindsIncludesAfterWhatOnlyLooksLikeACommentOrLiteral) {
  folder.write("b.h", "int right;\n");
  for (const std::string before :
       {"const char* a = \"/*\";", "int x = 1'000; int y = '\\'';", "char c = '\"';", "int a; // \"", "/* ' \" */",
        "#error don't", "const char* r = R\"(\")\";", "int n = 0x1'f;", "int q = 4 / 2;"}) {
    folder.write("a.kernel", before + "\n#include \"b.h\"\n");
    EXPECT_THAT(load("a.kernel"), HasSubstr("int right;")) << before;
  }
}

TEST_F(Source, ACommentAroundAnIncludeStaysWhole) {
  folder.write("b.h", "int b;\n");
  folder.write("a.kernel", "/* one\n two */ #include \"b.h\" /* three\n four */ int a;\n");
  EXPECT_EQ(load("a.kernel"),
            "#line 1 \"a.kernel\"\n"
            "/* one\n two */ \n"
            "#line 1 \"b.h\"\n"
            "int b;\n"
            "#line 2 \"a.kernel\"\n"
            " /* three\n four */ int a;\n");
}

TEST_F(Source, PragmaOnceBecomesAGuardOfTheContent) {
  folder.write("a.kernel", "#include \"b.h\"\n#include \"copy_of_b.h\"\n#include \"c.h\"\n");
  folder.write("b.h", "#pragma once\nint b;\n");
  folder.write("copy_of_b.h", "#pragma once\nint b;\n");
  folder.write("c.h", "# pragma once\nint c;\n");
  const std::string text = load("a.kernel");
  EXPECT_THAT(text, Not(HasSubstr("pragma")));
  EXPECT_EQ(count(text, "#ifndef WARPWRIGHT_ONCE_"), 3u);
  EXPECT_EQ(count(text, "#endif"), 3u);
  const auto guard = text.substr(text.find("WARPWRIGHT_ONCE_"), 48);
  EXPECT_EQ(count(text, guard), 4u) << "equal contents share the guard";
  EXPECT_THAT(text, HasSubstr("#line 1 \"b.h\"\n\nint b;"));  // the pragma's line is kept empty: numbers stay right
}

TEST_F(Source, CirclesWithAGuardEndByThemselves) {
  folder.write("once.h", "#pragma once\n#include \"once.h\"\nint once;\n");
  folder.write("classic.h",
               "// A guard as of old.\n#ifndef CLASSIC_H\n#define CLASSIC_H\n#include \"back.h\"\nint classic;\n#endif "
               " // CLASSIC_H\n");
  folder.write("back.h", "#include \"classic.h\"\nint back;\n");
  folder.write("a.kernel", "#include \"once.h\"\n#include \"classic.h\"\n");
  const std::string text = load("a.kernel");
  EXPECT_EQ(count(text, "int once;"), 1u);
  EXPECT_EQ(count(text, "int classic;"), 1u);
  EXPECT_EQ(count(text, "int back;"), 1u);
}

TEST_F(Source, CirclesWithoutAGuardAreAnError) {
  folder.write("a.kernel", "#include \"b.h\"\n");
  folder.write("b.h", "#include \"c.h\"\n");
  folder.write("c.h", "#include \"b.h\"\n");
  const std::string message = error_of([&] { load("a.kernel"); });
  EXPECT_THAT(message, HasSubstr("circle"));
  EXPECT_THAT(message, HasSubstr("#pragma once"));
  EXPECT_LT(message.size(), 400u);
  // Code outside the #ifndef: no guard.
  folder.write("half.h", "#ifndef HALF\n#define HALF\n#endif\n#include \"half.h\"\n");
  EXPECT_THAT(error_of([&] { load("half.h"); }), HasSubstr("circle"));
}

TEST_F(Source, DoublingIncludesAreBounded) {
  // Each level includes the next twice: 2^40 copies.
  for (int level = 0; level < 40; ++level) {
    const std::string next = "#include \"l" + std::to_string(level + 1) + ".h\"\n";
    folder.write("l" + std::to_string(level) + ".h", next + next + std::string(500000, ' ') + "\n");
  }
  folder.write("l40.h", std::string(500000, ' ') + "\n");
  EXPECT_THAT(error_of([&] { load("l0.h"); }), HasSubstr("64 MiB"));
}

TEST_F(Source, MissingAndUnreadableFilesAreNamed) {
  EXPECT_THAT(error_of([&] { load("absent.kernel"); }), HasSubstr("absent.kernel"));
  EXPECT_THAT(error_of([&] { spec::load_source("/dev/zero"); }), HasSubstr("not a regular file"));
  folder.write("a.kernel", "int a;\n#include \"\"\n#include \"b.h\n#include\n#");
  EXPECT_THAT(load("a.kernel"), HasSubstr("#include \"b.h\n"));
}

TEST_F(Source, ATextIsInlinedLikeAFile) {
  folder.write("b.h", "int b;\n");
  const SourceText source = spec::inline_source("#include \"b.h\"\n", folder.path() / "generated");
  EXPECT_EQ(source.text, "#line 1 \"generated\"\n#line 1 \"b.h\"\nint b;\n#line 1 \"generated\"\n\n");
  EXPECT_EQ(spec::inline_source("", "empty").text, "#line 1 \"empty\"\n");
}

}  // namespace
}  // namespace warpwright::spec_tests
