// What the two fuzzers of specifications share.
#pragma once

#include <warpwright/base/error.hpp>
#include <warpwright/model/problem.hpp>

#include "fuzz.hpp"
#include "fuzz_folder.hpp"

namespace warpwright::fuzz {

// With the files that the corpora name.
class SpecFolder : public FuzzFolder {
 public:
  SpecFolder() {
    write_file(path() / "k.kernel", "#include <warpwright/dialect.h>\nvoid k();\n");
    write_file(path() / "d.npy", "no array");
  }
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
