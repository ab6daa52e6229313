// Aligned columns for people: numbers to the right, words to the left.
#pragma once

#include <cstdio>
#include <string>
#include <vector>

namespace warpwright::app {

enum class Align { left, right };

// Thread-compatible.
class TextTable {
 public:
  struct Column {
    std::string title;
    Align align = Align::left;
  };
  explicit TextTable(std::vector<Column> columns) : columns_(std::move(columns)) {}
  // Missing cells are empty.
  void add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  bool empty() const { return rows_.empty(); }
  // Two spaces between columns, `indent` spaces before each line, no trailing blanks.
  void print(std::FILE* out, int indent = 0) const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace warpwright::app
