// What the programs of bench/ share: their flags, the machine they run on, the report, and how they end.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace warpwright::bench {

// A flag and what takes its value.
using Flag = std::pair<std::string_view, std::function<void(const std::string& value)>>;

// Gives each value to its flag. Throws Error(bad_input), which names `source`, the file at whose head the flags are
// listed, for an unknown flag and for one without a value; and one that names the flag for a value that is no number
// where one is wanted (std::invalid_argument or std::out_of_range of what takes it).
void read_flags(int argc, char** argv, const std::vector<Flag>& flags, std::string_view source);

// Values of flags. Throw as std::stoi and the like do.
std::function<void(const std::string&)> text_to(std::string& target);
std::function<void(const std::string&)> number_to(int& target);
std::function<void(const std::string&)> number_to(std::uint64_t& target);
// "1,2,4"; an empty list is refused.
std::vector<int> numbers_of(const std::string& list);

// The processor's name as /proc/cpuinfo has it, or "unknown".
std::string processor_name();
// Runnable processes over the last minute: more than the machine has cores means that others took cache and clock.
double load_average();

// Writes a report; an empty `file` means that none is wanted. Throws Error that names the file.
void write_report(const std::filesystem::path& file, const std::string& json);

// Runs a program and gives its exit code: what `body` returns, or after an error, which is printed, 2 where what the
// user gave is wrong (bad_input, not_found) and 1 for everything else.
int run_program(const std::function<int()>& body);

}  // namespace warpwright::bench
