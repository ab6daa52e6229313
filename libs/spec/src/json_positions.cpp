#include "json_positions.hpp"

#include <algorithm>
#include <utility>
#include <vector>

namespace warpwright::spec::detail {
namespace {

struct Open {
  bool object = false;
  std::size_t index = 0;      // of an array's next item
  std::size_t path_size = 0;  // length of the path of the container itself
};

// The token of a JSON pointer (RFC 6901) for a key. Escapes of the JSON string are left as they are.
void append_token(std::string& path, std::string_view key) {
  path += '/';
  for (const char c : key) {
    if (c == '~') {
      path += "~0";
    } else if (c == '/') {
      path += "~1";
    } else {
      path += c;
    }
  }
}

}  // namespace

std::pair<std::size_t, std::size_t> line_and_column(std::string_view text, std::size_t offset) {
  offset = std::min(offset, text.size());
  std::size_t line = 1, begin = 0;
  for (std::size_t i = 0; i < offset; ++i) {
    if (text[i] == '\n') {
      ++line;
      begin = i + 1;
    }
  }
  return {line, offset - begin + 1};
}

Locations locate_json(std::string_view text, std::string file_name) {
  Locations locations(std::move(file_name));
  std::vector<Open> open;
  std::string path, key;
  std::size_t line = 1, line_begin = 0;
  bool expects_key = false;
  // Called at the first byte of every value, with the path of its container in `path`.
  const auto enter_value = [&](std::size_t at, std::size_t text_column) {
    if (!open.empty()) {
      path.resize(open.back().path_size);
      if (open.back().object) {
        append_token(path, key);
      } else {
        append_token(path, std::to_string(open.back().index++));
      }
    }
    locations.add(path, line, at - line_begin + 1, text_column);
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\n') {
      ++line;
      line_begin = i + 1;
    } else if (c == '{' || c == '[') {
      enter_value(i, 0);
      open.push_back({c == '{', 0, path.size()});
      expects_key = c == '{';
    } else if (c == '}' || c == ']') {
      if (!open.empty()) open.pop_back();
      expects_key = false;
    } else if (c == ',') {
      expects_key = !open.empty() && open.back().object;
    } else if (c == '"') {
      std::size_t end = i + 1;
      bool escaped = false;
      while (end < text.size() && text[end] != '"') {
        escaped = escaped || text[end] == '\\';
        end += text[end] == '\\' ? 2 : 1;
      }
      end = std::min(end, text.size());
      if (expects_key) {
        key = std::string(text.substr(i + 1, end - i - 1));
        expects_key = false;
      } else {
        enter_value(i, escaped ? 0 : i + 1 - line_begin + 1);
      }
      i = end;
    } else if ((c >= '0' && c <= '9') || c == '-' || (c >= 'a' && c <= 'z')) {
      enter_value(i, 0);
      while (i + 1 < text.size() && std::string_view(",]} \t\r\n").find(text[i + 1]) == std::string_view::npos) ++i;
    }
  }
  return locations;
}

}  // namespace warpwright::spec::detail
