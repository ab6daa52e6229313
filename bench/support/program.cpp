#include "program.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include <warpwright/base/error.hpp>
#include <warpwright/base/files.hpp>

namespace warpwright::bench {

void read_flags(int argc, char** argv, const std::vector<Flag>& flags, std::string_view source) {
  for (int i = 1; i < argc; i += 2) {
    const std::string name = argv[i];
    const auto flag = std::find_if(flags.begin(), flags.end(), [&](const Flag& each) { return each.first == name; });
    if (flag == flags.end())
      throw Error(ErrorCode::bad_input, fmt::format("unknown flag {}; see the head of {}", name, source));
    if (i + 1 == argc)
      throw Error(ErrorCode::bad_input, fmt::format("{} needs a value; see the head of {}", name, source));
    const auto no_number = [&] {
      return Error(ErrorCode::bad_input, fmt::format("{}: '{}' is no number that it can be", name, argv[i + 1]));
    };
    try {
      flag->second(argv[i + 1]);
    } catch (const std::invalid_argument&) {
      throw no_number();
    } catch (const std::out_of_range&) {
      throw no_number();
    }
  }
}

namespace {

template <typename Number, typename Parse>
Number whole(const std::string& value, Parse parse) {
  std::size_t used = 0;
  const Number number = parse(value, &used);
  if (used != value.size()) throw std::invalid_argument(value);
  return number;
}

}  // namespace

std::function<void(const std::string&)> text_to(std::string& target) {
  return [&target](const std::string& value) { target = value; };
}

std::function<void(const std::string&)> number_to(int& target) {
  return [&target](const std::string& value) {
    target = whole<int>(value, [](const std::string& text, std::size_t* used) { return std::stoi(text, used); });
  };
}

std::function<void(const std::string&)> number_to(std::uint64_t& target) {
  return [&target](const std::string& value) {
    if (value.starts_with('-')) throw std::out_of_range(value);
    target = whole<std::uint64_t>(
        value, [](const std::string& text, std::size_t* used) { return std::uint64_t{std::stoull(text, used)}; });
  };
}

std::vector<int> numbers_of(const std::string& list) {
  std::vector<int> numbers;
  std::istringstream words(list);
  for (std::string word; std::getline(words, word, ',');) number_to(numbers.emplace_back())(word);
  if (numbers.empty()) throw std::invalid_argument(list);
  return numbers;
}

std::string processor_name() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);)
    if (line.starts_with("model name")) return line.substr(std::min(line.size(), line.find(':') + 2));
  return "unknown";
}

double load_average() {
  double load = 0;
  std::ifstream("/proc/loadavg") >> load;
  return load;
}

void write_report(const std::filesystem::path& file, const std::string& json) {
  if (!file.empty()) write_file_atomically(file, json + "\n");
}

int run_program(const std::function<int()>& body) {
  try {
    return body();
  } catch (const Error& error) {
    fmt::print(stderr, "error: {}\n", error.what());
    return error.code() == ErrorCode::bad_input || error.code() == ErrorCode::not_found ? 2 : 1;
  } catch (const std::exception& error) {
    fmt::print(stderr, "error: {}\n", error.what());
    return 1;
  }
}

}  // namespace warpwright::bench
