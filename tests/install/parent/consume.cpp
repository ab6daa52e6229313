// Types, exceptions and data of the libraries, from another binary than theirs where they are shared.
#include <cstdio>
#include <cstring>
#include <filesystem>

#include <warpwright/base/error.hpp>
#include <warpwright/spec/read.hpp>
#include <warpwright/store/profile_database.hpp>

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const warpwright::Problem problem = warpwright::spec::read(argv[1]);
  std::filesystem::remove(argv[2]);
  warpwright::store::ProfileDatabase profiles(argv[2]);
  warpwright::store::TuningProfile profile;
  profile.key.kernel = problem.name;
  profile.median = warpwright::Nanoseconds{1.5};
  profile.details = warpwright::store::JsonText(R"({"note":"kept"})");
  const auto id = profiles.put(profile);
  try {
    profiles.put({});
  } catch (const warpwright::Error& error) {
    if (error.code() != warpwright::ErrorCode::bad_input) return 3;
    std::printf("%s: %s\n", problem.name.c_str(), profiles.get(id)->details.text().c_str());
    return 0;
  }
  return 4;
}
