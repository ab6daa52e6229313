// Where the keys of a specification stand, so that checks that know only the Problem can name file, line and column.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>

#include <warpwright/base/error.hpp>

namespace warpwright::spec::detail {

// Keys are dotted paths ("argument[2].size"). Thread-compatible.
class Locations {
 public:
  static constexpr std::size_t no_offset = static_cast<std::size_t>(-1);

  Locations() = default;
  explicit Locations(std::string file) : file_(std::move(file)) {}

  // `text_column`: the column of the first character of a string's content if offsets in it are columns of the file
  // (one line, no escapes), else 0.
  void add(std::string key, std::size_t line, std::size_t column, std::size_t text_column = 0);
  // The position of `key`, or of the closest enclosing key that is known; `key` itself is always named. With an offset,
  // the column of that character of the string's content where it is known.
  InputPosition at(std::string_view key, std::size_t offset = no_offset) const;

 private:
  struct Place {
    std::size_t line = 0, column = 0, text_column = 0;
  };
  std::string file_;
  std::map<std::string, Place, std::less<>> places_;
};

}  // namespace warpwright::spec::detail
