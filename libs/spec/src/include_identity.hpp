// What the compiler will find by itself in the include folders: the includes with angle brackets and those that name a
// macro stay in a source (inlining headers of libraries would break those that include themselves or the next of their
// name), so their contents are hashed. Private to this library.
#pragma once

#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <warpwright/base/hash.hpp>

#include "directives.hpp"

namespace warpwright::spec::detail {

// One thread only.
class IncludeIdentity {
 public:
  explicit IncludeIdentity(const std::vector<std::filesystem::path>& folders) : folders_(folders) {}
  // An include directive that stays in `includer`. What it names is followed through all it includes in turn, branches
  // that are not taken too. One that names a macro may mean any file below the folders.
  void add(const Directive& directive, const std::filesystem::path& includer);
  // Of the contents and names of what was found; nullopt if nothing was. Does not depend on where the folders are.
  // May be called once.
  std::optional<std::string> hash();

 private:
  void add_file(const std::filesystem::path& file, const std::string& name);
  void add_all();
  void add_below(const std::filesystem::path& folder, const std::string& name, std::set<std::filesystem::path>& open);

  const std::vector<std::filesystem::path>& folders_;
  std::set<std::filesystem::path> seen_;
  ContentHash hash_;
  bool any_ = false, all_ = false;
};

}  // namespace warpwright::spec::detail
