#include <memory>

#include "command.hpp"
#include "paths.hpp"
#include "profiles_command.hpp"

namespace warpwright::app {
namespace {

struct ProfilesArguments {
  std::string database;
  std::string kernel;
  std::string file;
  std::vector<std::int64_t> ids;
  bool json = false;
  std::filesystem::path path() const {
    return database.empty() ? default_profiles_file() : std::filesystem::absolute(database);
  }
};

}  // namespace

void add_profiles_command(CLI::App& app, const Console& console, int& exit_code) {
  CLI::App* group = app.add_subcommand("profiles", "List, show, move and remove stored tuning results");
  group->require_subcommand(1);
  auto arguments = std::make_shared<ProfilesArguments>();
  const auto add = [&](const char* name, const char* description, auto run) {
    CLI::App* command = group->add_subcommand(name, description);
    command->add_option("--profiles", arguments->database, "Profile database (default: in the user's data folder)")
        ->type_name("FILE");
    command->add_flag("--json", arguments->json, "Print JSON");
    command->callback([=, &exit_code] { exit_code = run(*arguments, console); });
    return command;
  };
  add("list", "List the profiles, or those of one kernel", [](const ProfilesArguments& given, const Console& to) {
    return profiles_list(given.path(), given.kernel, given.json, to.out);
  })->add_option("kernel", arguments->kernel, "Name of the kernel");
  add("show", "Show one profile",
      [](const ProfilesArguments& given, const Console& to) {
        return profiles_show(given.path(), given.ids.front(), given.json, to.out);
      })
      ->add_option("id", arguments->ids, "Number of the profile")
      ->required()
      ->expected(1);
  CLI::App* exporting = add("export", "Write profiles as JSON", [](const ProfilesArguments& given, const Console& to) {
    return profiles_export(given.path(), given.kernel, given.file, given.json, to.out);
  });
  exporting->add_option("kernel", arguments->kernel, "Name of the kernel (default: all)");
  exporting->add_option("--output", arguments->file, "File to write (default: standard output)")->type_name("FILE");
  add("import", "Read profiles that export wrote",
      [](const ProfilesArguments& given, const Console& to) {
        return profiles_import(given.path(), given.file, given.json, to.out);
      })
      ->add_option("file", arguments->file, "File to read")
      ->required();
  add("remove", "Remove profiles",
      [](const ProfilesArguments& given, const Console& to) {
        return profiles_remove(given.path(), given.ids, given.json, to.out);
      })
      ->add_option("id", arguments->ids, "Numbers of the profiles")
      ->required();
}

}  // namespace warpwright::app
