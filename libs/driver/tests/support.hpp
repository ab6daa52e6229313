// What the tests of this library share: a specification for the simulated device, and a program's surroundings.
#pragma once

#include <filesystem>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include <warpwright/base/files.hpp>
#include <warpwright/base/temporary_folder.hpp>
#include <warpwright/device/backend.hpp>
#include <warpwright/driver/tune.hpp>
#include <warpwright/sim/backend.hpp>

namespace warpwright::driver {

inline device::BackendRegistry simulated_backends() {
  device::BackendRegistry backends;
  backends.add(sim::make_backend());
  return backends;
}

// Times without noise: the best is x = 16, y = 2, at 10 us.
inline constexpr const char* simulated_specification = R"toml(
schema = 1
[kernel]
name = "steps"
source = { sim = "steps.sim.toml" }
[problem]
n = 256
[parameters.x]
values = [4, 8, 16, 32]
[parameters.y]
values = [1, 2, 3]
[[argument]]
name = "c"
type = "float32"
size = "n"
access = "out"
[[argument]]
name = "a"
type = "float32"
size = "n"
init = { uniform = [-1.0, 1.0], seed = 1 }
access = "in"
[[argument]]
name = "b"
type = "float32"
size = "n"
init = { uniform = [-1.0, 1.0], seed = 2 }
access = "in"
[[launch]]
entry = "vector_add"
block = ["x"]
grid = ["ceil_div(n, x)"]
args = ["c", "a", "b", "n"]
[[output]]
argument = "c"
[reference]
kernel = { sim = "steps.sim.toml" }
[[reference.launch]]
entry = "vector_add"
block = ["4"]
grid = ["ceil_div(n, 4)"]
args = ["c", "a", "b", "n"]
)toml";

inline constexpr const char* simulated_kernel = R"toml(
[kernels.vector_add]
cost_ns = "10000 + 1000 * abs(x - 16) + 5000 * abs(y - 2)"
elements = "n"
)toml";

// A user with a home of its own, who keeps what he is told.
class Surrounded {
 public:
  explicit Surrounded(OptionNames names = {})
      : home(std::filesystem::temp_directory_path()),
        backends(simulated_backends()),
        places(Variables(std::map<std::string, std::string>{{"HOME", home.path().string()}}), std::move(names)) {
    specification = (home.path() / "steps.toml").string();
    write_file_atomically(specification, simulated_specification);
    write_file_atomically(home.path() / "steps.sim.toml", simulated_kernel);
  }

  // Lends everything; messages go to `messages`.
  Surroundings lend() {
    Surroundings around{backends, places, {}, nullptr, {}, {}};
    around.log = [this](LogLevel level, std::string_view text) {
      if (level == LogLevel::debug) return;
      const std::lock_guard lock(mutex_);
      messages.emplace_back(text);
    };
    return around;
  }

  TemporaryFolder home;
  device::BackendRegistry backends;
  Places places;
  std::string specification;
  std::vector<std::string> messages;

 private:
  std::mutex mutex_;
};

}  // namespace warpwright::driver
