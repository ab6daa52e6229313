#include "kernel_metadata.hpp"

#include <algorithm>
#include <cstdint>
#include <fmt/format.h>

#include <warpwright/base/error.hpp>
#include <warpwright/base/files.hpp>

namespace warpwright::app {
namespace {

using store::Json;

// The metadata of a library of kernels takes some hundred bytes for each; a larger file is something else.
constexpr std::uintmax_t most_bytes = 16 << 20;
// No block has more; a larger number is no size of shared memory.
constexpr std::uint64_t most_shared = std::uint64_t{1} << 30;

std::optional<Bytes> bytes_in(const Json& json, const std::string& key) {
  const auto found = json.find(key);
  if (found == json.end() || !found->is_number_unsigned()) return std::nullopt;
  const auto count = found->get<std::uint64_t>();
  return count <= most_shared ? std::optional(Bytes{count}) : std::nullopt;
}

}  // namespace

KernelMetadata::KernelMetadata(const std::filesystem::path& binary) {
  const std::string name = binary.filename().string();
  std::vector<std::string> stems = {binary.stem().string()};
  if (const std::string shorter = name.substr(0, name.find('.')); shorter != stems.front()) stems.push_back(shorter);
  for (const std::string& stem : stems) {
    for (const char* extension : {".json", ".meta"}) {
      const std::filesystem::path path = binary.parent_path() / (stem + extension);
      std::error_code status;
      if (path == binary || !std::filesystem::is_regular_file(path, status)) continue;
      const auto leave_out = [&](const char* why) {
        notes_.push_back(fmt::format("'{}' beside the binary is not used: {}", path.filename().string(), why));
      };
      if (std::filesystem::file_size(path, status) > most_bytes || status) {
        leave_out("it is too large for the metadata of kernels");
        continue;
      }
      try {
        Json json = Json::parse(read_file(path));
        if (json.is_object())
          files_.push_back({path.filename().string(), std::move(json)});
        else
          leave_out("it is no JSON object");
      } catch (const Json::exception&) {
        leave_out("it is no JSON");
      } catch (const Error& error) {
        leave_out(error.message().c_str());
      }
    }
  }
}

std::optional<KernelMetadata::Answer> KernelMetadata::dynamic_shared(const std::string& symbol) const {
  for (const File& file : files_) {
    auto bytes = bytes_in(file.json, symbol + "_smem_bytes");
    const auto kernel = file.json.find("name");
    if (!bytes && kernel != file.json.end() && kernel->is_string() && *kernel == symbol)
      bytes = bytes_in(file.json, "shared");
    if (bytes) return Answer{*bytes, file.name};
  }
  return std::nullopt;
}

}  // namespace warpwright::app
