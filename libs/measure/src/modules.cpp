#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>

#include <warpwright/base/error.hpp>
#include <warpwright/measure/modules.hpp>

namespace warpwright::measure {
namespace {

constexpr std::string_view joined_format = "stages";

// Texts one behind the other, each behind its length in eight bytes.
void append(std::string& image, const std::string& text) {
  for (unsigned shift = 0; shift < 64; shift += 8) image += static_cast<char>(text.size() >> shift & 0xFF);
  image += text;
}

std::string take(const std::string& image, std::size_t& at) {
  std::uint64_t size = 0;
  if (image.size() - at >= 8) {
    for (std::size_t i = 8; i-- > 0;) size = size << 8 | static_cast<unsigned char>(image[at + i]);
    at += 8;
    if (size <= image.size() - at) {
      std::string text = image.substr(at, static_cast<std::size_t>(size));
      at += static_cast<std::size_t>(size);
      return text;
    }
  }
  throw Error(ErrorCode::corrupted, "a binary of several stages ends before the last of them");
}

// The entry of a label of this stage; nullopt for labels of others.
std::optional<std::string> entry_in(const std::string& label, const std::string& stage) {
  // A slash among template arguments divides.
  if (stage.empty()) {
    const bool of_stage = label.find('/') < std::min(label.size(), label.find('<'));
    return of_stage ? std::nullopt : std::optional(label);
  }
  if (!label.starts_with(stage + "/")) return std::nullopt;
  return label.substr(stage.size() + 1);
}

}  // namespace

std::string label_of(std::string_view stage, std::string_view entry) {
  std::string label(stage);
  if (!label.empty()) label += '/';
  return label += entry;
}

Binary join_binaries(std::vector<StageBinary> binaries) {
  Binary joined;
  joined.format = joined_format;
  for (StageBinary& part : binaries) {
    Binary& binary = part.binary;
    if (joined.backend.empty()) {
      joined.backend = binary.backend;
      joined.target = binary.target;
    }
    append(joined.image, part.stage);
    append(joined.image, binary.format);
    append(joined.image, binary.target);
    append(joined.image, binary.image);
    if (!binary.log.empty()) {
      joined.log += (joined.log.empty() ? "" : "\n") + (part.stage.empty() ? "" : "stage '" + part.stage + "':\n");
      joined.log += binary.log;
    }
    for (auto& [entry, symbol] : binary.symbols) joined.symbols[label_of(part.stage, entry)] = std::move(symbol);
    for (auto& [entry, list] : binary.parameters) joined.parameters[label_of(part.stage, entry)] = std::move(list);
    for (KernelResources& resources : binary.resources) {
      resources.entry = label_of(part.stage, resources.entry);
      joined.resources.push_back(std::move(resources));
    }
  }
  return joined;
}

std::vector<StageBinary> split_binary(const Binary& binary) {
  if (binary.format != joined_format) return {{{}, binary}};
  std::vector<StageBinary> parts;
  for (std::size_t at = 0; at < binary.image.size();) {
    StageBinary& part = parts.emplace_back();
    part.stage = take(binary.image, at);
    part.binary.backend = binary.backend;
    part.binary.format = take(binary.image, at);
    part.binary.target = take(binary.image, at);
    part.binary.image = take(binary.image, at);
    for (const auto& [label, symbol] : binary.symbols)
      if (const auto entry = entry_in(label, part.stage)) part.binary.symbols[*entry] = symbol;
    for (const auto& [label, list] : binary.parameters)
      if (const auto entry = entry_in(label, part.stage)) part.binary.parameters[*entry] = list;
    for (const KernelResources& resources : binary.resources) {
      const auto entry = entry_in(resources.entry, part.stage);
      if (!entry) continue;
      part.binary.resources.push_back(resources);
      part.binary.resources.back().entry = *entry;
    }
  }
  return parts;
}

ModuleSet::ModuleSet(device::Context& context, const Binary& binary) {
  if (binary.format != joined_format) {
    parts_.push_back({{}, context.load(binary)});
    return;
  }
  for (const StageBinary& part : split_binary(binary)) {
    try {
      parts_.push_back({part.stage, context.load(part.binary)});
    } catch (Error& error) {
      if (part.stage.empty()) throw;
      throw error.add_context("loading stage '" + part.stage + "'");
    }
  }
}

std::unique_ptr<device::Kernel> ModuleSet::kernel(const std::string& label) {
  if (parts_.size() == 1 && parts_.front().stage.empty()) return parts_.front().module->kernel(label);
  for (const Part& part : parts_) {
    if (const auto entry = entry_in(label, part.stage)) return part.module->kernel(*entry);
  }
  throw Error(ErrorCode::not_found, "no stage of the binary has the kernel '" + label + "'");
}

std::vector<std::unique_ptr<device::Buffer>> ModuleSet::symbols(const std::string& name) {
  std::vector<std::unique_ptr<device::Buffer>> found;
  for (const Part& part : parts_) {
    if (auto symbol = part.module->symbol(name)) found.push_back(std::move(symbol));
  }
  return found;
}

}  // namespace warpwright::measure
