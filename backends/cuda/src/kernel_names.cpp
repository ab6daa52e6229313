#include "kernel_names.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cxxabi.h>
#include <memory>

#include <warpwright/base/error.hpp>
#include <warpwright/cuda/binaries.hpp>

namespace warpwright::cuda {

namespace {

constexpr std::size_t most_listed = 20;
// Demangling takes time that grows with the name, and a hostile symbol can be as long as its file.
constexpr std::size_t longest_mangled = 8192;
constexpr std::string_view unnamed = "(anonymous namespace)::";

bool opens(char c) { return c == '(' || c == '<' || c == '[' || c == '{'; }
bool closes(char c) { return c == ')' || c == '>' || c == ']' || c == '}'; }

// Where the parameters begin: the bracket that the last parenthesis closes; npos if there are none.
std::size_t parameters_of(std::string_view signature) {
  const auto end = signature.rfind(')');
  if (end == std::string_view::npos) return end;
  int depth = 0;
  for (std::size_t i = end + 1; i-- > 0;) {
    if (signature[i] == ')') ++depth;
    if (signature[i] == '(' && --depth == 0) return i;
  }
  return std::string_view::npos;
}

// Where the name begins after a return type: behind the last blank that is in no bracket.
std::size_t behind_return_type(std::string_view text) {
  int depth = 0;
  std::size_t begin = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (opens(text[i])) ++depth;
    if (closes(text[i])) --depth;
    if (text[i] == ' ' && depth == 0) begin = i + 1;
  }
  return begin;
}

// Without what people leave out or write otherwise: blanks and unnamed namespaces.
std::string plain(std::string_view text) {
  std::string result;
  for (std::size_t i = 0; i < text.size();) {
    if (text.substr(i, unnamed.size()) == unnamed) {
      i += unnamed.size();
      continue;
    }
    if (text[i] != ' ') result += text[i];
    ++i;
  }
  return result;
}

// "f<4>" of "a::b<int>::f<4>".
std::string_view last_part(std::string_view name) {
  int depth = 0;
  std::size_t begin = 0;
  for (std::size_t i = 0; i + 1 < name.size(); ++i) {
    if (opens(name[i])) ++depth;
    if (closes(name[i])) --depth;
    if (depth == 0 && name[i] == ':' && name[i + 1] == ':') begin = i + 2;
  }
  return name.substr(begin);
}

// "a::b<int>::f" of "a::b<int>::f<4>".
std::string_view without_arguments(std::string_view name) {
  if (name.empty() || name.back() != '>') return name;
  int depth = 0;
  for (std::size_t i = name.size(); i-- > 0;) {
    if (name[i] == '>') ++depth;
    if (name[i] == '<' && --depth == 0) return name.substr(0, i);
  }
  return name;
}

// The ways to write a kernel, the most exact one first.
constexpr std::size_t spelling_count = 6;
std::array<std::string, spelling_count> spellings(const KernelName& kernel) {
  const std::string name = plain(kernel.name);
  return {kernel.symbol,
          plain(kernel.signature),
          name,
          std::string(without_arguments(name)),
          std::string(last_part(name)),
          std::string(without_arguments(last_part(name)))};
}

}  // namespace

KernelName kernel_name(const std::string& symbol) {
  KernelName kernel{symbol, symbol, symbol};
  if (!symbol.starts_with("_Z") || symbol.size() > longest_mangled) return kernel;
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> text(
      ::abi::__cxa_demangle(symbol.c_str(), nullptr, nullptr, &status), &std::free);
  if (status != 0 || text == nullptr) return kernel;
  const std::string_view demangled = text.get();
  const auto parameters = parameters_of(demangled);
  if (parameters == std::string_view::npos) return kernel;
  const auto begin = behind_return_type(demangled.substr(0, parameters));
  kernel.signature = demangled.substr(begin);
  kernel.name = demangled.substr(begin, parameters - begin);
  return kernel;
}

std::size_t resolve_entry(const std::string& entry, const std::vector<KernelName>& kernels, const std::string& where) {
  std::vector<std::array<std::string, spelling_count>> written;
  written.reserve(kernels.size());
  for (const KernelName& kernel : kernels) {
    if (kernel.symbol == entry) return written.size();
    written.push_back(spellings(kernel));
  }
  const std::string wanted = plain(entry);
  std::vector<std::size_t> matches;
  for (std::size_t way = 1; way < spelling_count && matches.empty(); ++way)
    for (std::size_t i = 0; i < written.size(); ++i)
      if (written[i][way] == wanted) matches.push_back(i);
  if (matches.size() == 1) return matches.front();
  if (matches.size() > 1) {
    // What tells them apart: their names, else their parameters, else their symbols.
    const auto distinct = [&](auto&& text) {
      std::vector<std::string> names;
      for (const std::size_t i : matches) names.push_back(text(kernels[i]));
      auto sorted = names;
      std::sort(sorted.begin(), sorted.end());
      if (std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end()) names.clear();
      return names;
    };
    auto names = distinct([](const KernelName& kernel) { return kernel.name; });
    if (names.empty() && where == "the source")
      throw Error(ErrorCode::bad_input,
                  "kernel entry '" + entry + "' is overloaded; declare the one that is meant extern \"C\"");
    if (names.empty()) names = distinct([](const KernelName& kernel) { return kernel.signature; });
    if (names.empty()) names = distinct([](const KernelName& kernel) { return kernel.symbol; });
    throw Error(ErrorCode::bad_input, "kernel entry '" + entry + "' means " + std::to_string(matches.size()) +
                                          " kernels of " + where.substr(where.starts_with("the ") ? 4 : 0) +
                                          ": write which of " + kernel_list(names) + " it is");
  }
  std::vector<std::string> known, words;
  for (std::size_t i = 0; i < kernels.size(); ++i) {
    known.push_back(kernels[i].name);
    for (std::size_t way = 2; way < spelling_count; ++way) words.push_back(written[i][way]);
  }
  std::string message = where + " has no kernel '" + entry + "'";
  if (const auto close = closest_match(wanted, words)) message += "; did you mean '" + *close + "'?";
  message += known.empty() ? std::string("; it has none at all") : "; it has " + kernel_list(known);
  if (where == "the source") message += " (a template needs its arguments, as in 'f<4>')";
  throw Error(ErrorCode::bad_input, message);
}

std::string kernel_list(const std::vector<std::string>& names) {
  std::string text;
  const std::size_t listed = std::min(names.size(), most_listed);
  for (std::size_t i = 0; i < listed; ++i) text += (i == 0 ? "'" : ", '") + names[i] + "'";
  if (names.size() > listed)
    text += " and " + std::to_string(names.size() - listed) + (names.size() == listed + 1 ? " other" : " others");
  return text;
}

}  // namespace warpwright::cuda
