#include <string>

#include <warpwright/base/error.hpp>
#include <warpwright/base/hash.hpp>
#include <warpwright/store/binary_cache.hpp>
#include <warpwright/store/json.hpp>

#include "fuzz.hpp"
#include "fuzz_folder.hpp"

namespace warpwright::fuzz {
namespace {

constexpr const char* key = "0123456789abcdef";

void find_entry(const std::string& bytes) {
  static const FuzzFolder folder;
  static const store::BinaryCache cache(folder.path());
  const std::filesystem::path file = folder.path() / (std::string(key) + ".bin1");
  write_file(file, bytes);
  const auto binary = cache.find(key);
  require(binary.has_value() == std::filesystem::exists(file), "what is damaged is removed, and nothing else");
  if (!binary) return;
  require(binary->image.size() <= bytes.size(), "an image is not larger than its entry");
  require(cache.put(key, *binary), "what was found can be kept");
  const auto again = cache.find(key);
  require(again && again->image == binary->image && store::to_json(*again) == store::to_json(*binary),
          "and is found again");
}

void append_number(std::string& bytes, std::uint64_t number, int size) {
  for (int i = 0; i < size; ++i) bytes += static_cast<char>((number >> (8 * i)) & 0xFF);
}

}  // namespace

void binary_cache(std::string_view bytes) {
  find_entry(std::string(bytes));
  // Few invented entries have the right lengths and checksum: the first line as the JSON and the rest as the image.
  const std::size_t line = std::min(bytes.find('\n'), bytes.size());
  const std::string_view json = bytes.substr(0, line);
  const std::string_view image = bytes.substr(std::min(line + 1, bytes.size()));
  std::string entry = "WARPBIN\n";
  append_number(entry, 1, 4);
  append_number(entry, json.size(), 8);
  append_number(entry, image.size(), 8);
  entry += ContentHash{}.add(json).add(image).hex();
  find_entry(entry.append(json).append(image));
}

}  // namespace warpwright::fuzz

WARPWRIGHT_FUZZ_ENTRY(binary_cache)
