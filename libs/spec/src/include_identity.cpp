#include "include_identity.hpp"

#include <algorithm>
#include <system_error>
#include <utility>

#include <warpwright/base/error.hpp>
#include <warpwright/base/files.hpp>

namespace warpwright::spec::detail {
namespace {

namespace fs = std::filesystem;

// No compiler takes a source that is larger.
constexpr std::uintmax_t largest_header = std::uintmax_t{64} << 20;

bool is_file(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

fs::path place_of(const fs::path& path) {
  std::error_code error;
  fs::path place = fs::weakly_canonical(path, error);
  return error ? path : place;
}

}  // namespace

void IncludeIdentity::add(const Directive& directive, const std::filesystem::path& includer) {
  if (folders_.empty()) return;
  if (directive.delimiter == 0) {
    if (!directive.argument.empty()) add_all();
    return;
  }
  if (directive.delimiter == '"') {
    if (const fs::path own = includer.parent_path() / directive.argument; is_file(own)) {
      add_file(own, directive.argument);
      if (directive.word != "include_next") return;
    }
  }
  for (const auto& folder : folders_) {
    if (!is_file(folder / directive.argument)) continue;
    add_file(folder / directive.argument, directive.argument);
    if (directive.word != "include_next") return;
  }
}

void IncludeIdentity::add_file(const std::filesystem::path& file, const std::string& name) {
  hash_.add(name);
  any_ = true;
  if (!seen_.insert(place_of(file)).second) return;
  std::error_code error;
  const std::uintmax_t size = fs::file_size(file, error);
  if (error || size > largest_header) return;
  std::string text;
  try {
    text = normalised(read_file(file));
  } catch (const Error&) {  // the compiler cannot read it either, and says so
    return;
  }
  hash_.add(text);
  for (const Directive& directive : scan_directives(text).found)
    if (directive.includes()) add(directive, file);
}

void IncludeIdentity::add_all() {
  if (std::exchange(all_, true)) return;
  for (const auto& folder : folders_) {
    std::set<fs::path> open;
    add_below(folder, {}, open);
  }
}

void IncludeIdentity::add_below(const std::filesystem::path& folder, const std::string& name,
                                std::set<std::filesystem::path>& open) {
  if (!open.insert(place_of(folder)).second) return;  // a link upwards
  std::error_code error;
  std::vector<fs::path> entries;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error))
    entries.push_back(entry->path());
  std::sort(entries.begin(), entries.end());
  for (const fs::path& entry : entries) {
    const std::string entry_name = name + "/" + entry.filename().string();
    std::error_code ignored;
    if (is_file(entry))
      add_file(entry, entry_name);
    else if (fs::is_directory(entry, ignored))
      add_below(entry, entry_name, open);
  }
}

std::optional<std::string> IncludeIdentity::hash() {
  if (!any_) return std::nullopt;
  return hash_.hex();
}

}  // namespace warpwright::spec::detail
