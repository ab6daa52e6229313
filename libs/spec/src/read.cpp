#include <string>
#include <system_error>

#include <warpwright/base/error.hpp>
#include <warpwright/base/files.hpp>
#include <warpwright/spec/read.hpp>

namespace warpwright::spec {

Problem read(const std::filesystem::path& file) {
  std::error_code ignored;
  if (std::filesystem::exists(file, ignored) && !std::filesystem::is_regular_file(file, ignored)) {
    const bool folder = std::filesystem::is_directory(file, ignored);
    throw Error(ErrorCode::bad_input, "'" + file.string() + "' is " + (folder ? "a folder" : "not a regular file") +
                                          "; give the specification itself, a TOML or T1 JSON file");
  }
  const std::string bytes = read_file(file);
  std::string_view text = bytes;
  if (text.substr(0, 3) == "\xEF\xBB\xBF") text.remove_prefix(3);
  const auto first = text.find_first_not_of(" \t\r\n");
  // No TOML document starts with a brace, and every T1 document does.
  const bool json = (first != std::string_view::npos && text[first] == '{') || file.extension() == ".json";
  return json ? read_t1(text, file) : read_toml(text, file);
}

}  // namespace warpwright::spec
