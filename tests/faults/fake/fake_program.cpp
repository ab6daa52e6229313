#include "fake_program.hpp"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <new>

#include "fault_state.hpp"

namespace warpwright::faults {
namespace {

bool is_word(char c) { return c == '_' || std::isalnum(static_cast<unsigned char>(c)) != 0; }

std::string_view take_line(std::string_view& text) {
  const std::size_t end = text.find('\n');
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return line;
}

template <class T>
T value_of(const std::array<std::byte, 16>& argument) {
  T value{};
  std::memcpy(&value, argument.data(), sizeof(T));
  return value;
}

// As much as an address space limit lets through, in pieces that are never touched.
template <class Allocate>
void use_up_memory(Allocate&& allocate) {
  constexpr std::size_t piece = std::size_t{64} << 20, most = 4096;
  for (std::size_t i = 0; i < most; ++i)
    if (allocate(piece) == nullptr) return;
}

}  // namespace

std::string Program::serialise() const {
  std::string text;
  for (const auto& entry : entries) text += "entry " + entry + "\n";
  for (const auto& [name, value] : defines) text += "define " + name + " " + value + "\n";
  return text;
}

std::optional<Program> Program::parse(std::string_view text) {
  Program program;
  while (!text.empty()) {
    const std::string_view line = take_line(text);
    if (line.starts_with("entry ")) {
      program.entries.emplace_back(line.substr(6));
    } else if (line.starts_with("define ")) {
      const std::size_t space = line.find(' ', 7);
      if (space == std::string_view::npos) return std::nullopt;
      program.defines.emplace(line.substr(7, space - 7), line.substr(space + 1));
    } else {
      return std::nullopt;
    }
  }
  return program;
}

std::string Program::kind() const {
  const auto chosen = defines.find("kind");
  if (chosen == defines.end()) return "none";
  for (const auto& [name, value] : defines)
    if (name.starts_with("kind_") && value == chosen->second) return name.substr(5);
  return "none";
}

int Program::number(const std::string& name, int otherwise) const {
  const auto found = defines.find(name);
  return found == defines.end() ? otherwise : std::atoi(found->second.c_str());
}

Program scan_source(std::string_view source) {
  Program program;
  std::string_view rest = source;
  while (!rest.empty()) {
    const std::string_view line = take_line(rest);
    if (!line.starts_with("#define ")) break;
    const std::size_t name_end = line.find(' ', 8);
    if (name_end != std::string_view::npos)
      program.defines.emplace(line.substr(8, name_end - 8), line.substr(name_end + 1));
  }
  rest = source;
  while (!rest.empty()) {
    std::string_view line = take_line(rest);
    // The second is what the comparison of outputs on the device declares its kernel with.
    for (const std::string_view marker : {"WW_KERNEL ", "KERNEL "}) {
      if (!line.starts_with(marker)) continue;
      line.remove_prefix(marker.size());
      std::size_t end = 0;
      while (end < line.size() && is_word(line[end])) ++end;
      if (end < line.size() && line[end] == '(') program.entries.emplace_back(line.substr(0, end));
      break;
    }
  }
  return program;
}

CompileOutcome compile(const Program& program) {
  const std::string kind = program.kind();
  CompileOutcome outcome;
  const bool cover =
      std::find(program.entries.begin(), program.entries.end(), "warpwright_cover") != program.entries.end();
  if (cover && std::getenv("FAKE_REFUSES_COVERS") != nullptr) {
    outcome.result = CompileOutcome::refused;
    outcome.log = "the fake compiler was asked to refuse covers\n";
  } else if (kind == "compile_error") {
    outcome.result = CompileOutcome::refused;
    outcome.log = "all_kinds.kernel(1): error: the fake compiler was asked to refuse this\n";
  } else if (kind == "compile_bomb") {
    hang();
  } else if (kind == "compile_crash") {
    std::signal(SIGSEGV, SIG_DFL);
    std::raise(SIGSEGV);
  } else if (kind == "compile_memory") {
    // A compiler that notices, and says so.
    std::vector<void*> pieces;
    use_up_memory([&](std::size_t size) {
      void* piece = std::malloc(size);
      if (piece != nullptr) pieces.push_back(piece);
      return piece;
    });
    for (void* piece : pieces) std::free(piece);
    outcome.result = CompileOutcome::out_of_memory;
  } else if (kind == "compile_memory_abort") {
    // A compiler whose allocation failure nobody catches: what std::bad_alloc across a C interface ends in.
    // Kept for all to see: an optimiser leaves out an allocation that nobody looks at.
    [[maybe_unused]] static void* volatile kept = nullptr;
    [&]() noexcept {
      use_up_memory([](std::size_t size) {
        void* const piece = ::operator new(size);
        kept = piece;
        return piece;
      });
    }();
    outcome.result = CompileOutcome::refused;
    outcome.log = "there was more memory than the fake compiler could use\n";
  } else if (kind == "compile_memory_crash") {
    // A compiler that does not look at what malloc gives.
    use_up_memory([](std::size_t size) {
      auto* piece = static_cast<volatile char*>(std::malloc(size));
      *piece = 1;
      return const_cast<char*>(piece);
    });
    outcome.result = CompileOutcome::refused;
    outcome.log = "there was more memory than the fake compiler could use\n";
  }
  return outcome;
}

std::optional<std::vector<std::size_t>> parameter_sizes(const std::string& entry) {
  if (entry == "all_kinds") return std::vector<std::size_t>{8, 8, 8, 4};
  if (entry == "all_kinds_naive") return std::vector<std::size_t>{8, 8, 4};
  if (entry == "suspicious") return std::vector<std::size_t>{8, 8, 8, 8, 8, 8, 8};
  if (entry == "warpwright_read_cache") return std::vector<std::size_t>{8, 8, 8};
  if (entry == "warpwright_cover") return std::vector<std::size_t>{8, 4, 4};
  return std::nullopt;
}

namespace {

// Whether an element may differ by more than the tolerances: the comparison of outputs, for floats.
RunOutcome find_suspicious(const Launch& launch) {
  const auto* expected = value_of<const float*>(launch.arguments.at(0));
  const auto* found = value_of<const float*>(launch.arguments.at(1));
  auto* flag = value_of<std::uint32_t*>(launch.arguments.at(2));
  const auto elements = value_of<std::uint64_t>(launch.arguments.at(3));
  const auto rtol = value_of<double>(launch.arguments.at(4)), atol = value_of<double>(launch.arguments.at(5));
  const auto anywhere = value_of<double>(launch.arguments.at(6));
  for (std::uint64_t i = 0; i < elements; ++i) {
    const double wanted = static_cast<double>(expected[i]), got = static_cast<double>(found[i]);
    if (!(std::fabs(got - wanted) <= std::max(atol + rtol * std::fabs(wanted), anywhere))) *flag = 1;
  }
  return {5'000, RunOutcome::ok};
}

}  // namespace

RunOutcome run(const Program& program, const Launch& launch) {
  if (launch.entry == "suspicious") return find_suspicious(launch);
  if (launch.entry == "warpwright_read_cache") return {5'000, RunOutcome::ok};
  if (launch.entry == "warpwright_cover")
    return {12.0 * value_of<std::uint32_t>(launch.arguments.at(2)), RunOutcome::ok};
  const auto* x = value_of<const float*>(launch.arguments.at(0));
  auto* y = value_of<float*>(launch.arguments.at(1));
  RunOutcome outcome;
  if (launch.entry == "all_kinds_naive") {
    const int n = value_of<int>(launch.arguments.at(2));
    for (int i = 0; i < n; ++i) y[i] = 2.0f * x[i] + 1.0f;
    outcome.nanoseconds = 500'000;
    return outcome;
  }
  const std::string kind = program.kind();
  auto* count = value_of<int*>(launch.arguments.at(2));
  const int n = value_of<int>(launch.arguments.at(3));
  const int items = program.number("items", 1);
  const double block = static_cast<double>(launch.block[0]);
  // Best at 128 threads and 2 items, by more than any tie.
  outcome.nanoseconds = 100'000 * (1 + 0.07 * std::fabs(std::log2(block / 128)) + 0.11 * std::fabs(items - 2));
  const auto covered = static_cast<std::int64_t>(launch.grid[0] * launch.block[0]) * items;
  // Wrong ones are fast, so that believing them would show.
  if (kind == "short")
    outcome.nanoseconds = 1'000;
  else if (kind != "none")
    outcome.nanoseconds = 10'000;
  if (kind == "abort") std::abort();
  if (kind == "endless_loop") outcome.result = RunOutcome::endless;
  if (kind == "illegal_address") outcome.result = RunOutcome::fault;
  if (outcome.result != RunOutcome::ok) return outcome;
  for (int i = 0; i < n && i < covered; ++i) y[i] = 2.0f * x[i] + 1.0f;
  if (kind == "wrong_result") y[n / 3] += 0.01f;
  if (kind == "not_finite") y[n / 2] = std::numeric_limits<float>::quiet_NaN();
  if (kind == "out_of_bounds") y[n] = 1.0f;
  if (kind == "nondeterministic") {
    if (count[0] > 0) y[n / 2] += 1.0f;
    ++count[0];
  }
  return outcome;
}

}  // namespace warpwright::faults
