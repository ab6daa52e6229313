// A TOML file as a plain tree that remembers the order of keys and where everything stands. toml++ sorts tables by key,
// but the order of parameters is part of their meaning (it fixes the canonical index); and keeping its headers in one
// translation unit keeps the build fast.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <warpwright/model/value.hpp>

#include "locations.hpp"

namespace warpwright::spec::detail {

struct Node;
struct Member;

struct Node {
  enum class Kind { table, array, string, integer, real, boolean, date };
  Kind kind = Kind::table;
  std::vector<Member> members;  // table, in the order of the file
  std::vector<Node> items;      // array
  std::string text;             // string; for dates empty
  std::int64_t integer = 0;
  double real = 0;
  bool boolean = false;
  std::size_t line = 0, column = 0;

  const Member* find(std::string_view key) const;
  bool is(Kind other) const { return kind == other; }
  // "the integer 5", "the string \"row\"", "an array", "a table": for messages.
  std::string describe() const;
};

struct Member {
  std::string key;
  Node value;
  std::size_t line = 0, column = 0;  // of the key
};

struct Document {
  std::filesystem::path file;
  std::string file_name;  // as errors show it
  Node root;
  Locations locations;
};

// Throws Error(bad_input) with line and column when `text` is not TOML.
Document parse_toml(std::string_view text, const std::filesystem::path& file);

// "problem.width", "metrics.\"GFLOP/s\"": appends a key, quoted where TOML needs it.
std::string join_key(std::string_view path, std::string_view key);
std::string join_index(std::string_view path, std::size_t index);

}  // namespace warpwright::spec::detail
