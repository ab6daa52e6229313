// The report of `ptxas -v`. One kernel of it looks like
//   ptxas info    : Compiling entry function 'f' for 'sm_90a'
//   ptxas info    : Function properties for f
//   ptxas         .     368 bytes stack frame, 640 bytes spill stores, 828 bytes spill loads
//   ptxas info    : Used 32 registers, used 1 barriers, 368 bytes cumulative stack size, 400 bytes smem, 364 bytes
//   cmem[0]
// with "Function properties" of other, not inlined functions in between. Older versions leave out the barriers and the
// cumulative stack size where they are 0, and write the properties without the "ptxas" in front.
#include <charconv>
#include <sstream>
#include <string_view>

#include <warpwright/cuda/backend.hpp>

namespace warpwright::cuda {

namespace {

// The number that ends before `position`, skipping blanks: "... 640" of "640 bytes spill stores".
std::optional<std::uint64_t> number_before(std::string_view line, std::size_t position) {
  while (position > 0 && line[position - 1] == ' ') --position;
  std::size_t first = position;
  while (first > 0 && line[first - 1] >= '0' && line[first - 1] <= '9') --first;
  std::uint64_t value = 0;
  const auto parsed = std::from_chars(line.data() + first, line.data() + position, value);
  if (first == position || parsed.ec != std::errc{}) return std::nullopt;
  return value;
}

std::optional<std::uint64_t> number_of(std::string_view line, std::string_view unit) {
  const auto position = line.find(unit);
  if (position == std::string_view::npos) return std::nullopt;
  return number_before(line, position);
}

std::optional<Bytes> bytes_of(std::string_view line, std::string_view unit) {
  const auto number = number_of(line, unit);
  return number ? std::optional(Bytes{*number}) : std::nullopt;
}

std::optional<int> count_of(std::string_view line, std::string_view unit) {
  const auto number = number_of(line, unit);
  return number && *number <= 1'000'000 ? std::optional(static_cast<int>(*number)) : std::nullopt;
}

std::string_view after(std::string_view line, std::string_view text) {
  const auto position = line.find(text);
  return position == std::string_view::npos ? std::string_view{} : line.substr(position + text.size());
}

}  // namespace

std::vector<PtxasReport> parse_ptxas_log(const std::string& log) {
  std::vector<PtxasReport> reports;
  std::string properties_of;
  std::istringstream lines(log);
  for (std::string text; std::getline(lines, text);) {
    const std::string_view line = text;
    if (const auto rest = after(line, "Compiling entry function '"); !rest.empty()) {
      reports.emplace_back().symbol = rest.substr(0, rest.find('\''));
      properties_of.clear();
    } else if (const auto function = after(line, "Function properties for "); !function.empty()) {
      properties_of = function;
    } else if (reports.empty()) {
      continue;
    } else if (line.find(" bytes stack frame") != std::string_view::npos) {
      PtxasReport& report = reports.back();
      if (properties_of != report.symbol) continue;
      report.stack = bytes_of(line, " bytes stack frame");
      report.spill_stores = bytes_of(line, " bytes spill stores");
      report.spill_loads = bytes_of(line, " bytes spill loads");
    } else if (line.find(": Used ") != std::string_view::npos) {
      PtxasReport& report = reports.back();
      report.registers = count_of(line, " registers");
      report.barriers = count_of(line, " barriers").value_or(0);
      report.static_shared = bytes_of(line, " bytes smem").value_or(Bytes{0});
      // Includes the frames of called functions, which the frame of the kernel itself does not.
      if (const auto cumulative = bytes_of(line, " bytes cumulative stack size")) report.stack = cumulative;
    }
  }
  return reports;
}

}  // namespace warpwright::cuda
