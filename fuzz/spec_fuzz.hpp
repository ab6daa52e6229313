// What the two fuzzers of specifications share.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>

#include <warpwright/base/error.hpp>
#include <warpwright/base/files.hpp>
#include <warpwright/model/problem.hpp>

#include "fuzz.hpp"

namespace warpwright::fuzz {

// A folder of its own with the files that the corpora name; removed at exit.
class FuzzFolder {
 public:
  FuzzFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "warpwright-fuzz-XXXXXX").string();
    if (!mkdtemp(pattern.data())) throw std::runtime_error("cannot make a temporary folder");
    path_ = pattern;
    write_file_atomically(path_ / "k.kernel", "#include <warpwright/dialect.h>\nvoid k();\n");
    write_file_atomically(path_ / "d.npy", "no array");
  }
  ~FuzzFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  FuzzFolder(const FuzzFolder&) = delete;
  FuzzFolder& operator=(const FuzzFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// Runs the reader; an accepted problem is handed to `check`.
template <typename Read, typename Check>
void read_and_check(const Read& read, const Check& check) {
  Problem problem;
  try {
    problem = read();
  } catch (const Error& error) {
    require(error.code() == ErrorCode::bad_input, "mistakes in a specification are bad_input");
    require(!error.message().empty(), "they are explained");
    return;
  }
  check(problem);
  double combinations = 1;
  for (const auto& parameter : problem.parameters) combinations *= static_cast<double>(parameter.values.size());
  if (combinations > 4096) return;
  try {
    const auto space = problem.build_space();
    require(space->size() >= 1, "an empty space is an error");
    const auto last = space->at(space->size() - 1);
    require(space->index_of(last) == space->size() - 1, "index_of is the inverse of at");
  } catch (const Error& error) {
    require(error.code() == ErrorCode::bad_input, "unsatisfiable constraints are bad_input");
  }
}

}  // namespace warpwright::fuzz
