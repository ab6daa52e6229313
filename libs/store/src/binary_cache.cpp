#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <fmt/format.h>
#include <mutex>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include <warpwright/base/descriptor.hpp>
#include <warpwright/base/files.hpp>
#include <warpwright/base/hash.hpp>
#include <warpwright/store/binary_cache.hpp>
#include <warpwright/store/json.hpp>

#include "json_reader.hpp"

namespace warpwright::store {
namespace {

using namespace detail;
namespace fs = std::filesystem;

// Entry: magic, version, length of the JSON, length of the image, content hash of JSON and image; then the JSON, then
// the image. Numbers are little-endian.
constexpr std::string_view magic = "WARPBIN\n";
constexpr std::uint32_t format_version = 1;
constexpr std::size_t hash_digits = 32;
constexpr std::size_t header_size = magic.size() + 4 + 8 + 8 + hash_digits;
// The version stands in the name as well, so that programs of two versions sharing a folder do not remove each other's.
constexpr std::string_view extension = ".bin1";
constexpr std::string_view temporary_mark = ".writing-";
// A file still being written after this time belongs to a process that was killed.
constexpr std::time_t abandoned_after_seconds = 3600;
// Other processes add entries that this one does not see: look at the folder again after this many of our own.
constexpr std::uint64_t puts_between_scans = 256;
// To find a name for a temporary file that no thread or killed process has taken.
constexpr unsigned most_attempts = 1000;

template <class T>
void append_number(std::string& bytes, T number) {
  for (std::size_t i = 0; i < sizeof(T); ++i) bytes += static_cast<char>((number >> (8 * i)) & 0xFF);
}

template <class T>
T take_number(std::string_view& bytes) {
  T number = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i)
    number |= static_cast<T>(static_cast<T>(static_cast<unsigned char>(bytes[i])) << (8 * i));
  bytes.remove_prefix(sizeof(T));
  return number;
}

std::string checksum(std::string_view json, std::string_view image) { return ContentHash{}.add(json).add(image).hex(); }

std::string encode(const std::string& key, const Binary& binary) {
  Json object = to_json(binary);
  object["key"] = text_json(key);
  const std::string json = dump(object);
  std::string bytes;
  bytes.reserve(header_size + json.size() + binary.image.size());
  bytes += magic;
  append_number(bytes, format_version);
  append_number(bytes, static_cast<std::uint64_t>(json.size()));
  append_number(bytes, static_cast<std::uint64_t>(binary.image.size()));
  bytes += checksum(json, binary.image);
  bytes += json;
  bytes += binary.image;
  return bytes;
}

std::optional<Binary> decode(const std::string& key, std::string_view bytes) {
  if (bytes.size() < header_size || !bytes.starts_with(magic)) return std::nullopt;
  bytes.remove_prefix(magic.size());
  if (take_number<std::uint32_t>(bytes) != format_version) return std::nullopt;
  const auto json_size = take_number<std::uint64_t>(bytes);
  const auto image_size = take_number<std::uint64_t>(bytes);
  const std::string_view sum = bytes.substr(0, hash_digits);
  bytes.remove_prefix(hash_digits);
  if (json_size > bytes.size() || image_size != bytes.size() - json_size) return std::nullopt;
  const std::string_view json = bytes.substr(0, json_size), image = bytes.substr(json_size);
  if (checksum(json, image) != sum) return std::nullopt;
  try {
    const Json object = parse(json, "cache entry");
    const Where where("cache entry");
    if (ObjectReader(object, where).text("key") != key) return std::nullopt;
    return binary_from_json(object, std::string(image));
  } catch (const Error&) {
    return std::nullopt;
  }
}

fs::path entry_path(const fs::path& folder, const std::string& key) {
  const auto plain = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '_' || c == '-'; };
  // device::cache_key gives 32 hexadecimal digits; anything else must not choose its own path.
  const bool safe = !key.empty() && key.size() <= 64 && std::all_of(key.begin(), key.end(), plain);
  return folder / ((safe ? key : "other-" + content_hash(key)) + std::string(extension));
}

// Sets access and modification time to now. Explicit, because the kernel's own stamps are up to 4 ms coarse and would
// not order two uses in between.
std::array<timespec, 2> now_twice() {
  std::array<timespec, 2> times{};
  ::clock_gettime(CLOCK_REALTIME, &times[0]);
  times[1] = times[0];
  return times;
}
void touch(int descriptor) { static_cast<void>(::futimens(descriptor, now_twice().data())); }
void touch(const char* path) { static_cast<void>(::utimensat(AT_FDCWD, path, now_twice().data(), 0)); }

bool write_entry(const fs::path& path, std::string_view bytes) {
  // Not mkstemp(): the umask decides who may read the file.
  std::string temporary;
  Descriptor file;
  for (unsigned attempt = 0; !file; ++attempt) {
    temporary = fmt::format("{}{}{}-{}", path.string(), temporary_mark, ::getpid(), attempt);
    file = Descriptor(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
    if (!file && (errno != EEXIST || attempt == most_attempts)) return false;
  }
  bool written = static_cast<bool>(write_all(file.value(), bytes));
  // No fsync: an entry that a power loss damages fails its checksum and is compiled again.
  if (written) {
    touch(file.value());
    written = ::rename(temporary.c_str(), path.c_str()) == 0;
  }
  if (!written) ::unlink(temporary.c_str());
  return written;
}

struct Entry {
  std::string path;
  std::uint64_t size = 0;
  timespec used{};
};

// Entries of the folder of any version; removes what killed processes left half-written.
std::vector<Entry> scan(const fs::path& folder) {
  std::vector<Entry> entries;
  const std::time_t now = std::time(nullptr);
  std::error_code status;
  for (fs::directory_iterator it(folder, status), end; !status && it != end; it.increment(status)) {
    const std::string& path = it->path().native();
    const std::string name = it->path().filename().native();
    const bool temporary = name.find(temporary_mark) != std::string::npos;
    if (!temporary && name.find(".bin") == std::string::npos) continue;
    struct stat file {};
    if (::stat(path.c_str(), &file) != 0 || !S_ISREG(file.st_mode)) continue;  // removed meanwhile, or not ours
    if (temporary) {
      if (now - file.st_mtim.tv_sec > abandoned_after_seconds) ::unlink(path.c_str());
    } else {
      entries.push_back({path, static_cast<std::uint64_t>(file.st_size), file.st_mtim});
    }
  }
  return entries;
}

std::uint64_t total_size(const std::vector<Entry>& entries) {
  std::uint64_t total = 0;
  for (const Entry& entry : entries) total += entry.size;
  return total;
}

}  // namespace

struct BinaryCache::State {
  std::mutex mutex;
  // Size of the folder as far as this process knows; exact after each scan.
  std::uint64_t known_size = 0;
  std::uint64_t puts_since_scan = puts_between_scans;  // the first put scans
};

BinaryCache::BinaryCache(fs::path folder, Bytes limit)
    : folder_(std::move(folder)), limit_(limit), state_(std::make_shared<State>()) {
  make_private_folder(folder_);
}

std::optional<Binary> BinaryCache::find(const std::string& key) const {
  const fs::path path = entry_path(folder_, key);
  std::string bytes;
  try {
    bytes = read_file(path);
  } catch (const Error&) {
    return std::nullopt;
  }
  auto binary = decode(key, bytes);
  if (binary) {
    touch(path.c_str());
  } else {
    ::unlink(path.c_str());
  }
  return binary;
}

bool BinaryCache::put(const std::string& key, const Binary& binary) const {
  const std::string bytes = encode(key, binary);
  if (bytes.size() > limit_.count || !write_entry(entry_path(folder_, key), bytes)) return false;
  const std::lock_guard lock(state_->mutex);
  state_->known_size += bytes.size();
  ++state_->puts_since_scan;
  if (state_->known_size <= limit_.count && state_->puts_since_scan < puts_between_scans) return true;
  std::vector<Entry> entries = scan(folder_);
  state_->puts_since_scan = 0;
  state_->known_size = total_size(entries);
  if (state_->known_size <= limit_.count) return true;
  // Down to nine tenths, so that a full cache is not scanned at each put.
  const std::uint64_t goal = limit_.count - limit_.count / 10;
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::pair(a.used.tv_sec, a.used.tv_nsec) < std::pair(b.used.tv_sec, b.used.tv_nsec);
  });
  for (std::size_t i = 0; i + 1 < entries.size() && state_->known_size > goal; ++i) {  // the newest stays
    if (::unlink(entries[i].path.c_str()) != 0 && errno != ENOENT) continue;
    state_->known_size -= entries[i].size;
  }
  return true;
}

}  // namespace warpwright::store
