#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <warpwright/base/descriptor.hpp>
#include <warpwright/execution/confinement.hpp>

#include "landlock_abi.hpp"

namespace warpwright::execution {
namespace {

int landlock_version() noexcept {
  const long version = ::syscall(landlock::create_ruleset_call, nullptr, 0, landlock::ask_version);
  return version >= landlock::least_version ? static_cast<int>(version) : 0;
}

void allow_below(const Descriptor& ruleset, const char* folder, std::uint64_t rights) noexcept {
  const Descriptor opened(::open(folder, O_PATH | O_CLOEXEC | O_DIRECTORY));
  if (!opened) return;
  const landlock::PathBeneath rule{rights, opened.value()};
  ::syscall(landlock::add_rule_call, ruleset.value(), landlock::path_beneath, &rule, 0);
}

bool restrict_writing(int version, const std::vector<std::filesystem::path>& writable) noexcept {
  std::uint64_t rights = landlock::write_file | landlock::remove_folder | landlock::remove_file |
                         landlock::make_character | landlock::make_folder | landlock::make_file |
                         landlock::make_socket | landlock::make_fifo | landlock::make_block | landlock::make_symlink |
                         landlock::refer;
  if (version >= 3) rights |= landlock::truncate;
  const landlock::Ruleset wanted{rights};
  const Descriptor ruleset(static_cast<int>(::syscall(landlock::create_ruleset_call, &wanted, sizeof wanted, 0)));
  if (!ruleset) return false;
  for (const auto& folder : writable) allow_below(ruleset, folder.c_str(), rights);
  // Drivers open their devices and share memory in the first, and name their threads in the second.
  allow_below(ruleset, "/dev", rights);
  allow_below(ruleset, "/proc/self", rights);
  return ::syscall(landlock::restrict_self_call, ruleset.value(), 0) == 0;
}

}  // namespace

std::string ConfinementSupport::describe() const {
  std::string text = no_new_privileges ? "no new privileges" : "new privileges are not held back";
  return text + (landlock > 0 ? ", Landlock " + std::to_string(landlock)
                              : ", no Landlock (Linux 5.19 has it, where it is switched on)");
}

ConfinementSupport confinement_support() { return {::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) >= 0, landlock_version()}; }

ConfinementSupport confine_this_thread(const std::vector<std::filesystem::path>& writable) noexcept {
  ConfinementSupport done;
  done.no_new_privileges = ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
  // Without it the kernel refuses Landlock to users.
  const int version = landlock_version();
  if (version > 0 && restrict_writing(version, writable)) done.landlock = version;
  return done;
}

}  // namespace warpwright::execution
