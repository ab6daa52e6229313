// The "compiler" and the "kernels" of the fakes: a compiled program is the list of its entries and the definitions it
// was compiled with; an entry is known by name and runs on host memory. The sources are real ones
// (tests/faults/*.kernel), so the same specification runs on the fakes, on PoCL and on a GPU.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace warpwright::faults {

struct Program {
  std::vector<std::string> entries;
  std::map<std::string, std::string> defines;

  std::string serialise() const;
  static std::optional<Program> parse(std::string_view text);
  // The word of the parameter `kind`: what is to go wrong; "none" if the program has no such parameter.
  std::string kind() const;
  int number(const std::string& name, int otherwise) const;
};

// Entries are what WW_KERNEL declares; definitions are those at the head of the source, up to #line.
Program scan_source(std::string_view source);

// What the parameter `kind` asks of a compiler. Does not return from "compile_bomb" and "compile_crash".
struct CompileOutcome {
  enum { ok, refused, out_of_memory } result = ok;
  std::string log;
};
CompileOutcome compile(const Program& program);

// Sizes of an entry's parameters in bytes; nullopt for an entry the fakes do not know.
std::optional<std::vector<std::size_t>> parameter_sizes(const std::string& entry);

struct Launch {
  std::string entry;
  std::array<std::uint64_t, 3> grid{1, 1, 1}, block{1, 1, 1};
  std::vector<std::array<std::byte, 16>> arguments;  // device addresses are host addresses
};

struct RunOutcome {
  double nanoseconds = 0;
  enum { ok, fault, endless } result = ok;
};
// Runs it. Aborts the process for the kind "abort".
RunOutcome run(const Program& program, const Launch& launch);

}  // namespace warpwright::faults
