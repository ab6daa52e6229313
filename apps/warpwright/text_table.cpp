#include "text_table.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace warpwright::app {
namespace {

// Terminal columns of UTF-8 text, one per code point: enough for the words we print.
std::size_t width_of(const std::string& text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

}  // namespace

void TextTable::print(std::FILE* out, int indent) const {
  std::vector<std::size_t> widths;
  for (const auto& column : columns_) widths.push_back(width_of(column.title));
  for (const auto& row : rows_)
    for (std::size_t i = 0; i < row.size() && i < widths.size(); ++i) widths[i] = std::max(widths[i], width_of(row[i]));
  const auto print_row = [&](const auto& cell) {
    std::string line(static_cast<std::size_t>(indent), ' ');
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      const std::string text = cell(i);
      const std::string padding(widths[i] - width_of(text), ' ');
      if (i > 0) line += "  ";
      line += columns_[i].align == Align::right ? padding + text : text + padding;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    fmt::print(out, "{}\n", line);
  };
  print_row([&](std::size_t i) { return columns_[i].title; });
  for (const auto& row : rows_) print_row([&](std::size_t i) { return i < row.size() ? row[i] : std::string(); });
}

}  // namespace warpwright::app
