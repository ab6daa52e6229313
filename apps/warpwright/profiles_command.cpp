#include "profiles_command.hpp"

#include <fmt/format.h>
#include <memory>
#include <set>

#include <warpwright/base/error.hpp>
#include <warpwright/base/files.hpp>
#include <warpwright/base/json_nesting.hpp>
#include <warpwright/store/json.hpp>
#include <warpwright/store/profile_database.hpp>

#include "command.hpp"
#include "interval_text.hpp"
#include "text_table.hpp"

namespace warpwright::app {
namespace {

using store::Json;
using store::ProfileDatabase;
using store::TuningProfile;

bool is_there(const std::filesystem::path& file) {
  std::error_code status;
  return std::filesystem::exists(file, status) || status;
}

// nullopt where there is no file. Looking writes nothing.
std::optional<ProfileDatabase> open_to_read(const std::filesystem::path& file) {
  if (!is_there(file)) return std::nullopt;
  return ProfileDatabase::open_read_only(file);
}

std::vector<TuningProfile> read_profiles(const std::filesystem::path& file, const std::string& kernel) {
  const auto database = open_to_read(file);
  return database ? database->list(kernel) : std::vector<TuningProfile>{};
}

// Text that is not UTF-8 comes out with replacement characters, not as an error.
void print_json(const Json& json, std::FILE* out) {
  fmt::print(out, "{}\n", json.dump(2, ' ', false, Json::error_handler_t::replace));
}

Json list_json(const std::vector<TuningProfile>& profiles) {
  Json list = Json::array();
  for (const TuningProfile& profile : profiles) list.push_back(store::to_json(profile));
  return Json{{"schema_version", 1}, {"profiles", std::move(list)}};
}

std::string count_text(std::size_t count) { return count == 1 ? "1 profile" : fmt::format("{} profiles", count); }

// "3.2x"; near 1 with two decimals, where they matter.
std::string speedup_text(const TuningProfile& profile) {
  const auto speedup = profile.speedup();
  if (!speedup) return "";
  return *speedup < 1.995 ? fmt::format("{:.2f}x", *speedup) : fmt::format("{:.1f}x", *speedup);
}

// "3.2x (95 % interval 3.16 to 3.24)".
std::string speedup_with_interval(const TuningProfile& profile) {
  if (!profile.paired_speedup) return speedup_text(profile);
  return fmt::format("{} ({})", speedup_text(profile), interval_text(profile.paired_speedup->interval));
}

// "2026-11-22 18:06" of "2026-11-22T18:06:36Z"; anything else as it is.
std::string minute_text(const std::string& created_at) {
  if (created_at.size() < 16 || created_at[10] != 'T') return created_at;
  return created_at.substr(0, 10) + " " + created_at.substr(11, 5);
}

// "there is no profile of kernel 'gem' in 'x.sqlite'; did you mean 'gemm'?"
std::string no_profiles_of(const std::string& kernel, const std::filesystem::path& file) {
  std::set<std::string> kernels;
  for (const TuningProfile& profile : read_profiles(file, {})) kernels.insert(profile.key.kernel);
  std::string text = fmt::format("there is no profile of kernel '{}' in '{}'", kernel, file.string());
  if (const auto close = closest_match(kernel, {kernels.begin(), kernels.end()}))
    return text + "; did you mean '" + *close + "'?";
  return kernels.empty() ? text + ", which holds none at all"
                         : fmt::format("{}; it has: {}", text, fmt::join(kernels, ", "));
}

[[noreturn]] void throw_unknown(const std::vector<std::int64_t>& ids, const std::vector<std::int64_t>& removed,
                                const std::filesystem::path& file) {
  std::string text = fmt::format("there is no profile {} in '{}'; 'warpwright profiles list' shows the ids",
                                 fmt::join(ids, ", "), file.string());
  if (!removed.empty()) text += fmt::format("; removed: {}", fmt::join(removed, ", "));
  throw Error(ErrorCode::not_found, text);
}

void print_profile(const TuningProfile& profile, std::FILE* out) {
  const store::ProfileKey& key = profile.key;
  const auto line = [&](std::string_view name, const std::string& text) {
    if (!text.empty()) fmt::print(out, "  {:<14} {}\n", name, text);
  };
  const auto with = [](const std::string& text, const std::string& aside) {
    return aside.empty() ? text : text.empty() ? aside : text + " (" + aside + ")";
  };
  fmt::print(out, "profile {}: {}\n", profile.id, key.kernel);
  line("configuration", profile.configuration.describe());
  line("time", fmt::format("median {}, interquartile range {}, {} samples, {} cache", format_duration(profile.median),
                           format_duration(profile.spread), profile.samples,
                           key.cache_mode.empty() ? "unknown" : key.cache_mode));
  if (profile.baseline_median)
    line("baseline",
         with(format_duration(*profile.baseline_median), profile.baseline ? profile.baseline->describe() : ""));
  line("speed-up", speedup_with_interval(profile));
  line("verification", profile.verification);
  line("problem", key.dimensions.describe());
  line("device",
       with(key.device, fmt::format("{}{}{}", key.backend, key.architecture.empty() ? "" : ", ", key.architecture)));
  line("toolkit", key.toolkit);
  line("driver", key.driver);
  line("data types", key.data_types);
  line("source hash", key.source_hash);
  line("found by", fmt::format("{}, seed {}, {} evaluations", profile.strategy.empty() ? "unknown" : profile.strategy,
                               profile.seed, profile.evaluations));
  line("created", with(profile.created_at, profile.provenance == "warpwright" ? "" : profile.provenance));
  const Json details = store::parse(profile.details, "the profile's details");
  if (details.is_object())
    for (const auto& [name, value] : details.items())
      line(name,
           value.is_string() ? value.get<std::string>() : value.dump(-1, ' ', false, Json::error_handler_t::replace));
}

}  // namespace

int profiles_list(const std::filesystem::path& database, const std::string& kernel, bool json, std::FILE* out) {
  const std::vector<TuningProfile> profiles = read_profiles(database, kernel);
  if (json) {
    print_json(list_json(profiles), out);
    return exit_success;
  }
  if (profiles.empty()) {
    fmt::print(out, "{}\n",
               kernel.empty() ? fmt::format("there is no profile in '{}' yet; 'warpwright tune' stores the winner "
                                            "of each session",
                                            database.string())
                              : no_profiles_of(kernel, database));
    return exit_success;
  }
  TextTable table({{"id", Align::right},
                   {"kernel"},
                   {"problem"},
                   {"device"},
                   {"time", Align::right},
                   {"speed-up", Align::right},
                   {"created"},
                   {"configuration"}});
  for (const TuningProfile& profile : profiles)
    table.add({std::to_string(profile.id), profile.key.kernel, profile.key.dimensions.describe(), profile.key.device,
               format_duration(profile.median), speedup_text(profile), minute_text(profile.created_at),
               profile.configuration.describe()});
  table.print(out);
  return exit_success;
}

int profiles_show(const std::filesystem::path& database, std::int64_t id, bool json, std::FILE* out) {
  const auto opened = open_to_read(database);
  const auto profile = opened ? opened->get(id) : std::nullopt;
  if (!profile) throw_unknown({id}, {}, database);
  if (json) {
    print_json(Json{{"schema_version", 1}, {"profile", store::to_json(*profile)}}, out);
  } else {
    print_profile(*profile, out);
  }
  return exit_success;
}

int profiles_export(const std::filesystem::path& database, const std::string& kernel, const std::filesystem::path& file,
                    bool json, std::FILE* out) {
  const std::vector<TuningProfile> profiles = read_profiles(database, kernel);
  if (profiles.empty() && !kernel.empty()) throw Error(ErrorCode::not_found, no_profiles_of(kernel, database));
  const Json exported = list_json(profiles);
  if (file.empty()) {
    print_json(exported, out);
    return exit_success;
  }
  write_file_atomically(file, exported.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
  if (json) {
    print_json(Json{{"schema_version", 1}, {"exported", profiles.size()}, {"file", file.string()}}, out);
  } else {
    fmt::print(out, "exported {} to '{}'\n", count_text(profiles.size()), file.string());
  }
  return exit_success;
}

int profiles_import(const std::filesystem::path& database, const std::filesystem::path& file, bool json,
                    std::FILE* out) {
  InputPosition position;
  position.file = file.string();
  const std::string text = read_file(file);
  if (json_nested_too_deep(text))
    throw Error(ErrorCode::bad_input,
                fmt::format("nested deeper than {} levels; nothing was imported", most_json_levels), position);
  Json profiles;
  try {
    profiles = Json::parse(text);
  } catch (const Json::exception& error) {
    std::string reason = error.what();
    // "[json.exception.parse_error.101] parse error at line 1, column 5: ...": the library's own numbering helps
    // nobody.
    if (const auto at = reason.find("] "); at != std::string::npos) reason.erase(0, at + 2);
    throw Error(ErrorCode::bad_input, "this is not JSON as 'warpwright profiles export' writes it: " + reason,
                position);
  }
  std::size_t imported = 0;
  ProfileDatabase opened(database);
  try {
    imported = opened.import_json(store::JsonText(text));
  } catch (const Error& error) {
    // The user's file is at fault; errors of the database itself name the database.
    if (error.native()) throw;
    throw Error(error.code() == ErrorCode::corrupted ? ErrorCode::bad_input : error.code(),
                error.message() + "; nothing was imported", position);
  }
  const std::size_t present = profiles.at("profiles").size() - imported;
  if (json) {
    print_json(Json{{"schema_version", 1}, {"imported", imported}, {"already_present", present}}, out);
    return exit_success;
  }
  fmt::print(out, "imported {} from '{}' into '{}'", count_text(imported), file.string(), database.string());
  if (present > 0) fmt::print(out, "; {} {} there already, as new or newer", present, present == 1 ? "was" : "were");
  fmt::print(out, "\n");
  return exit_success;
}

int profiles_remove(const std::filesystem::path& database, const std::vector<std::int64_t>& ids, bool json,
                    std::FILE* out) {
  auto opened = is_there(database) ? std::optional(ProfileDatabase(database)) : std::nullopt;
  std::vector<std::int64_t> removed, unknown;
  for (const std::int64_t id : ids) (opened && opened->remove(id) ? removed : unknown).push_back(id);
  if (!unknown.empty()) throw_unknown(unknown, removed, database);
  if (json) {
    print_json(Json{{"schema_version", 1}, {"removed", removed}}, out);
  } else {
    fmt::print(out, "removed {}: {}\n", count_text(removed.size()), fmt::join(removed, ", "));
  }
  return exit_success;
}

// ---- command line ---------------------------------------------------------------------------------------------------

namespace {

struct ProfilesArguments {
  std::string database;
  std::string kernel;
  std::string file;
  std::int64_t id = 0;
  std::vector<std::int64_t> ids;
  bool json = false;
  std::filesystem::path database_file;  // what `database` names, or the user's
};

}  // namespace

void add_profiles_command(CLI::App& app, const Console& console, int& exit_code) {
  CLI::App* command = app.add_subcommand("profiles", "List, show, export, import and remove stored tuning results");
  command->require_subcommand(1);
  const auto add = [&](const char* name, const char* description, auto add_options, auto run) {
    CLI::App* subcommand = command->add_subcommand(name, description);
    auto arguments = std::make_shared<ProfilesArguments>();
    add_options(*subcommand, *arguments);
    subcommand->add_option("--profiles", arguments->database, "Profile database (default: in the user's data folder)")
        ->type_name("FILE");
    subcommand->add_flag("--json", arguments->json, "Print JSON");
    subcommand->callback([arguments, run, console, &exit_code] {
      arguments->database_file =
          arguments->database.empty() ? console.places->profiles_file() : std::filesystem::path(arguments->database);
      exit_code = run(*arguments, console.out);
    });
  };
  const auto add_kernel = [](CLI::App& subcommand, ProfilesArguments& arguments) {
    subcommand.add_option("kernel", arguments.kernel, "Only the profiles of this kernel")->type_name("KERNEL");
  };
  add("list", "One line for each profile", add_kernel, [](const ProfilesArguments& arguments, std::FILE* out) {
    return profiles_list(arguments.database_file, arguments.kernel, arguments.json, out);
  });
  add(
      "show", "Everything known of one profile",
      [](CLI::App& subcommand, ProfilesArguments& arguments) {
        subcommand.add_option("id", arguments.id, "Number of the profile")->required()->type_name("ID");
      },
      [](const ProfilesArguments& arguments, std::FILE* out) {
        return profiles_show(arguments.database_file, arguments.id, arguments.json, out);
      });
  add(
      "export", "Write profiles as JSON, for another machine",
      [&](CLI::App& subcommand, ProfilesArguments& arguments) {
        add_kernel(subcommand, arguments);
        subcommand.add_option("--output", arguments.file, "File to write (default: standard output)")
            ->type_name("FILE");
      },
      [](const ProfilesArguments& arguments, std::FILE* out) {
        return profiles_export(arguments.database_file, arguments.kernel, arguments.file, arguments.json, out);
      });
  add(
      "import", "Add profiles that export wrote; of two with the same key, the newer stays",
      [](CLI::App& subcommand, ProfilesArguments& arguments) {
        subcommand.add_option("file", arguments.file, "File that export wrote")->required()->type_name("FILE");
      },
      [](const ProfilesArguments& arguments, std::FILE* out) {
        const std::filesystem::path database = arguments.database_file;
        if (arguments.database.empty()) {
          std::error_code ignored;  // opening says what is wrong
          std::filesystem::create_directories(database.parent_path(), ignored);
        }
        return profiles_import(database, arguments.file, arguments.json, out);
      });
  add(
      "remove", "Remove profiles",
      [](CLI::App& subcommand, ProfilesArguments& arguments) {
        subcommand.add_option("id", arguments.ids, "Numbers of the profiles")->required()->type_name("ID");
      },
      [](const ProfilesArguments& arguments, std::FILE* out) {
        return profiles_remove(arguments.database_file, arguments.ids, arguments.json, out);
      });
}

}  // namespace warpwright::app
