#include <warpwright/spec/problem_builder.hpp>
#include <warpwright/spec/read.hpp>

#include "spec_fuzz.hpp"

namespace warpwright::fuzz {

void toml(std::string_view text) {
  static const SpecFolder folder;
  read_and_check([&] { return spec::read_toml(text, folder.path() / "spec.toml"); },
                 [](const Problem& problem) { spec::check_problem(problem); });
}

}  // namespace warpwright::fuzz

WARPWRIGHT_FUZZ_ENTRY(toml)
