// Values with every field filled, comparisons field by field, and child processes, for the tests of this library.
#pragma once

#include <filesystem>
#include <string>
#include <sys/types.h>
#include <vector>

#include <warpwright/store/journal.hpp>
#include <warpwright/store/json.hpp>
#include <warpwright/store/profile_database.hpp>

namespace warpwright::store::test {

// Removed with everything in it when the test ends.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const char* name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

// The helper program, started with posix_spawn; what it prints is read through a pipe. Killed if still running.
class Child {
 public:
  explicit Child(std::vector<std::string> arguments);
  ~Child();
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  // The next line it printed, without the newline; empty at the end of its output.
  std::string read_line();
  void kill();
  // Its exit status, or 128 + the signal that ended it.
  int wait();

 private:
  pid_t pid_ = -1;
  int output_ = -1;
  std::string buffer_;
};

std::string read_text_file(const std::filesystem::path& file);
void write_text_file(const std::filesystem::path& file, const std::string& text);

Trial full_trial(std::uint64_t ordinal);
DeviceInfo full_device();
KernelResources full_resources();
Problem full_problem();
JournalHeader sample_header();
TuningProfile full_profile();
ProfileKey sample_key(Configuration dimensions);

// NaNs are the same; -0.0 and 0.0 are not.
bool same(double a, double b);
bool same(const Value& a, const Value& b);
bool same(const Configuration& a, const Configuration& b);
bool same(const KernelResources& a, const KernelResources& b);
bool same(const Trial& a, const Trial& b);
bool same(const TuningProfile& a, const TuningProfile& b);  // but for the id

// The message of the Error that `call` throws; fails the test if it throws none, or one of another code.
template <class Call>
std::string error_of(ErrorCode code, Call call);

void report_missing_error(const std::string& what);

template <class Call>
std::string error_of(ErrorCode code, Call call) {
  try {
    call();
  } catch (const Error& error) {
    if (error.code() != code)
      report_missing_error("expected " + std::string(to_string(code)) + ", got " +
                           std::string(to_string(error.code())) + ": " + error.what());
    return error.what();
  }
  report_missing_error("no error was thrown, expected " + std::string(to_string(code)));
  return {};
}

}  // namespace warpwright::store::test
