#include "locations.hpp"

#include <utility>

namespace warpwright::spec::detail {

void Locations::add(std::string key, std::size_t line, std::size_t column, std::size_t text_column) {
  places_.insert_or_assign(std::move(key), Place{line, column, text_column});
}

InputPosition Locations::at(std::string_view key, std::size_t offset) const {
  InputPosition position;
  position.file = file_;
  position.key = std::string(key);
  std::string_view known = key;
  while (!known.empty()) {
    if (const auto place = places_.find(known); place != places_.end()) {
      position.line = place->second.line;
      position.column = place->second.column;
      if (known == key && offset != no_offset && place->second.text_column != 0) {
        position.column = place->second.text_column + offset;
      }
      // Inside the enclosing table the line is right to show, the column of the table's start would mislead.
      if (known != key) position.column = 0;
      return position;
    }
    const auto cut = known.find_last_of(".[/");
    known = cut == std::string_view::npos ? std::string_view{} : known.substr(0, cut);
  }
  return position;
}

}  // namespace warpwright::spec::detail
