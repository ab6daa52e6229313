#include <warpwright/base/error.hpp>
#include <warpwright/base/json_nesting.hpp>
#include <warpwright/store/json.hpp>
#include <warpwright/store/profile_database.hpp>

#include "fuzz.hpp"
#include "fuzz_folder.hpp"

namespace warpwright::fuzz {

void profiles(std::string_view text) {
  using store::Json;
  static const FuzzFolder folder;
  static store::ProfileDatabase database(folder.path() / "profiles.sqlite");
  if (json_nested_too_deep(text)) return;  // refused before it is read
  const Json json = Json::parse(text.begin(), text.end(), nullptr, false);
  if (json.is_discarded()) return;
  std::size_t imported = 0;
  try {
    imported = database.import_json(store::text_of(json));
  } catch (const Error& error) {
    require(error.code() == ErrorCode::corrupted || error.code() == ErrorCode::unsupported,
            "mistakes in exported profiles are corrupted or unsupported");
    require(!error.message().empty(), "they are explained");
    require(database.list().empty(), "all or nothing is imported");
    return;
  }
  const auto stored = database.list();
  require(stored.size() <= imported, "no more is stored than was imported");
  for (const auto& profile : stored) {
    const Json written = to_json(profile);
    require(to_json(store::profile_from_json(written)) == written, "a profile survives writing and reading");
  }
  require(database.import_json(database.export_json()) == 0, "what was exported is known");
  for (const auto& profile : stored) require(database.remove(profile.id), "what is listed can be removed");
}

}  // namespace warpwright::fuzz

WARPWRIGHT_FUZZ_ENTRY(profiles)
