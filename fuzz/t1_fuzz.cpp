#include <warpwright/spec/problem_builder.hpp>
#include <warpwright/spec/read.hpp>

#include "spec_fuzz.hpp"

namespace warpwright::fuzz {

void t1(std::string_view text) {
  static const SpecFolder folder;
  read_and_check([&] { return spec::read_t1(text, folder.path() / "t1.json"); },
                 [](const Problem& problem) {
                   // What remains after the warnings is either a space alone or a problem that passes the checks.
                   if (!problem.launches.empty()) spec::check_problem(problem);
                 });
}

}  // namespace warpwright::fuzz

WARPWRIGHT_FUZZ_ENTRY(t1)
