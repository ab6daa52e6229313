// Containers of GPU binaries. NVIDIA publishes no format of the fatbin; what is read here was seen in files of nvcc and
// fatbinary 12.6 to 13.5 and agrees with what cuobjdump takes out of them (tests/binaries).
//
//   fatbin   magic, version (16 bits), size of this header (16), size of the entries (64), then entries; several
//   fatbins
//            may follow each other, each aligned to 8 bytes
//   entry    kind (16), version (16), size of this header (32), size of the payload as stored with padding (64),
//            compressed size without padding (32), ..., compute capability at 28 (32), flags at 40 (64), uncompressed
//            size at 56 (64)
//   host     a program or object has fatbins in sections ".nv_fatbin" (linked) and "__nv_relfatbin" (relocatable device
//            code)
//   archive  the common format of ar: 60 bytes of text before each member, names beyond 15 bytes in a member "//"
#include <algorithm>
#include <charconv>
#include <limits>

#include <warpwright/base/error.hpp>
#include <warpwright/cuda/binaries.hpp>

#include "elf.hpp"
#include "library.hpp"

namespace warpwright::cuda {

namespace {

constexpr std::string_view fatbin_magic{"\x50\xed\x55\xba", 4};
constexpr std::string_view archive_magic = "!<arch>\n";
constexpr std::string_view thin_archive_magic = "!<thin>\n";

constexpr std::size_t fatbin_header = 16;
constexpr std::size_t least_entry_header = 64;
constexpr std::uint16_t kind_ptx = 1, kind_elf = 2, kind_lto = 8;
constexpr std::uint64_t flag_lz4 = 0x2000, flag_zstd = 0x8000, flag_variant_a = 0x100000, flag_variant_f = 0x200000;

// A cubin of all kernels of the largest libraries has some 200 MiB; more than this is a damaged number.
constexpr std::uint64_t most_uncompressed = std::uint64_t{1} << 30;
// Both formats reach some thousands on zeros alone; cubins shrink to a third or a tenth.
constexpr std::uint64_t most_ratio = 4096;

[[noreturn]] void damaged(const std::string& what) { throw Error(ErrorCode::corrupted, "damaged container: " + what); }

constexpr std::uint64_t align_up(std::uint64_t value, std::uint64_t unit) { return (value + unit - 1) / unit * unit; }

ContainedBinary read_entry(const View& header, std::string_view payload, const std::string& member) {
  ContainedBinary binary;
  const auto kind = header.read<std::uint16_t>(0);
  binary.kind = kind == kind_elf   ? ContainedBinary::Kind::cubin
                : kind == kind_ptx ? ContainedBinary::Kind::ptx
                : kind == kind_lto ? ContainedBinary::Kind::intermediate
                                   : ContainedBinary::Kind::other;
  binary.member = member;
  const auto flags = header.read<std::uint64_t>(40);
  binary.target = "sm_" + std::to_string(header.read<std::uint32_t>(28)) +
                  ((flags & flag_variant_a) != 0   ? "a"
                   : (flags & flag_variant_f) != 0 ? "f"
                                                   : "");
  binary.compression = (flags & flag_zstd) != 0  ? BinaryCompression::zstd
                       : (flags & flag_lz4) != 0 ? BinaryCompression::lz4
                                                 : BinaryCompression::none;
  if (binary.compression == BinaryCompression::none) {
    binary.stored = payload;
    binary.size = payload.size();
    return binary;
  }
  const auto compressed = header.read<std::uint32_t>(16);
  if (compressed > payload.size()) damaged("a compressed binary is longer than its entry");
  binary.stored = payload.substr(0, compressed);
  binary.size = header.read<std::uint64_t>(56);
  return binary;
}

// The fatbins that follow each other in `bytes`. Linkers pad between them with zeros.
void add_fatbins(std::string_view bytes, const std::string& member, std::vector<ContainedBinary>& found) {
  const View view(bytes);
  std::uint64_t at = 0;
  while (true) {
    at = align_up(at, 8);
    while (at + 8 <= bytes.size() && view.read<std::uint64_t>(at) == 0) at += 8;
    if (at >= bytes.size() || bytes.find_first_not_of('\0', at) == std::string_view::npos) return;
    if (bytes.size() - at < fatbin_header || bytes.substr(at, fatbin_magic.size()) != fatbin_magic)
      damaged("what follows a fatbin is none");
    const std::uint64_t header_size = view.read<std::uint16_t>(at + 6), size = view.read<std::uint64_t>(at + 8);
    if (header_size < fatbin_header || header_size > bytes.size() - at || size > bytes.size() - at - header_size)
      damaged("a fatbin is longer than what holds it");
    const std::uint64_t end = at + header_size + size;
    at += header_size;
    while (end - at >= least_entry_header) {
      const std::uint64_t entry_header = view.read<std::uint32_t>(at + 4), payload = view.read<std::uint64_t>(at + 8);
      if (entry_header < least_entry_header || entry_header > end - at || payload > end - at - entry_header)
        damaged("a binary of a fatbin is longer than the fatbin");
      found.push_back(
          read_entry(View(bytes.substr(at, entry_header)), bytes.substr(at + entry_header, payload), member));
      at += entry_header + payload;
    }
    at = end;
  }
}

void add_host(std::string_view bytes, const std::string& member, std::vector<ContainedBinary>& found) {
  std::vector<std::string_view> fatbins;
  try {
    for (const ElfSection& section : read_elf(bytes).sections)
      if ((section.name == ".nv_fatbin" || section.name == "__nv_relfatbin") && section.type != section_no_bits)
        fatbins.push_back(View(bytes).part(section.offset, section.size).bytes());
  } catch (const Error& error) {
    constexpr std::string_view prefix = "not a cubin: ";
    const std::string& what = error.message();
    damaged(what.starts_with(prefix) ? what.substr(prefix.size()) : what);
  }
  for (const std::string_view fatbin : fatbins) add_fatbins(fatbin, member, found);
}

void add_any(std::string_view bytes, const std::string& member, std::vector<ContainedBinary>& found) {
  switch (file_format(bytes)) {
    case FileFormat::cubin: {
      ContainedBinary& binary = found.emplace_back();
      binary.member = member;
      binary.stored = bytes;
      binary.size = bytes.size();
      break;
    }
    case FileFormat::fatbin:
      add_fatbins(bytes, member, found);
      break;
    case FileFormat::host_program:
      add_host(bytes, member, found);
      break;
    case FileFormat::archive:
    case FileFormat::unknown:
      break;
  }
}

// A decimal number padded with blanks.
std::uint64_t archive_number(std::string_view text) {
  text = text.substr(0, text.find_last_not_of(' ') + 1);
  std::uint64_t value = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (status != std::errc{} || end != text.data() + text.size() || text.empty())
    damaged("a size in the archive is no number");
  return value;
}

void add_archive(std::string_view bytes, std::vector<ContainedBinary>& found) {
  constexpr std::size_t header_size = 60;
  std::string_view long_names;
  std::size_t at = archive_magic.size();
  while (at < bytes.size()) {
    if (bytes.size() - at < header_size) damaged("the archive ends inside a header");
    const std::string_view header = bytes.substr(at, header_size);
    if (header.substr(58, 2) != "`\n") damaged("a header of the archive has no end mark");
    const std::uint64_t size = archive_number(header.substr(48, 10));
    at += header_size;
    if (size > bytes.size() - at) damaged("a member of the archive is longer than the archive");
    const std::string_view content = bytes.substr(at, size);
    std::string_view name = header.substr(0, 16);
    name = name.substr(0, name.find_last_not_of(' ') + 1);
    if (name == "//") {
      long_names = content;
    } else if (name.size() > 1 && name[0] == '/' && name[1] >= '0' && name[1] <= '9') {
      const std::uint64_t offset = archive_number(name.substr(1));
      if (offset >= long_names.size()) damaged("the name of a member lies outside the archive's table of names");
      const std::string_view rest = long_names.substr(offset);
      name = rest.substr(0, rest.find_first_of("/\n"));
    } else if (name != "/" && name != "/SYM64/" && name.ends_with('/')) {
      name.remove_suffix(1);
    }
    if (name != "//" && name != "/" && name != "/SYM64/") add_any(content, std::string(name), found);
    at += size;
    if (at % 2 != 0) ++at;
  }
}

// The two functions that are used of each library; their interfaces have not changed since they exist.
std::string_view uncompress(const ContainedBinary& binary, std::string& storage) {
  const bool zstd = binary.compression == BinaryCompression::zstd;
  if (binary.size > most_uncompressed || binary.size / most_ratio > binary.stored.size())
    damaged("a binary claims " + std::to_string(binary.size) + " bytes, of which " +
            std::to_string(binary.stored.size()) + " are stored");
  std::vector<std::string> reasons;
  const auto library = SharedLibrary::open_first({zstd ? "libzstd.so.1" : "liblz4.so.1"}, reasons);
  if (!library)
    throw Error(ErrorCode::unavailable,
                std::string("its binaries are compressed with ") +
                    (zstd ? "zstd: install the package libzstd1" : "LZ4: install the package liblz4-1") + " (" +
                    reasons.front() + ")");
  storage.resize(binary.size);
  bool whole = false;
  if (zstd) {
    using Decompress = std::size_t (*)(void*, std::size_t, const void*, std::size_t);
    using IsError = unsigned (*)(std::size_t);
    const auto decompress = reinterpret_cast<Decompress>(library->symbol("ZSTD_decompress"));
    const auto is_error = reinterpret_cast<IsError>(library->symbol("ZSTD_isError"));
    if (decompress == nullptr || is_error == nullptr)
      throw Error(ErrorCode::unavailable, library->path().string() + " has no ZSTD_decompress");
    const std::size_t size = decompress(storage.data(), storage.size(), binary.stored.data(), binary.stored.size());
    whole = is_error(size) == 0 && size == storage.size();
  } else {
    using Decompress = int (*)(const char*, char*, int, int);
    const auto decompress = reinterpret_cast<Decompress>(library->symbol("LZ4_decompress_safe"));
    if (decompress == nullptr)
      throw Error(ErrorCode::unavailable, library->path().string() + " has no LZ4_decompress_safe");
    constexpr std::size_t most = std::numeric_limits<int>::max();
    if (binary.stored.size() <= most && storage.size() <= most)
      whole = decompress(binary.stored.data(), storage.data(), static_cast<int>(binary.stored.size()),
                         static_cast<int>(storage.size())) == static_cast<int>(storage.size());
  }
  if (!whole) damaged("a compressed binary does not uncompress to the size that its entry names");
  return storage;
}

}  // namespace

FileFormat file_format(std::string_view bytes) {
  if (bytes.starts_with(elf_magic))
    return elf_machine(bytes) == machine_cuda ? FileFormat::cubin : FileFormat::host_program;
  if (bytes.starts_with(fatbin_magic)) return FileFormat::fatbin;
  if (bytes.starts_with(archive_magic) || bytes.starts_with(thin_archive_magic)) return FileFormat::archive;
  return FileFormat::unknown;
}

std::vector<ContainedBinary> list_binaries(std::string_view container) {
  std::vector<ContainedBinary> found;
  if (container.starts_with(thin_archive_magic))
    throw Error(ErrorCode::unsupported,
                "it is a thin archive, which holds names of object files and not the files; give one of them, or the "
                "linked program");
  if (file_format(container) == FileFormat::archive)
    add_archive(container, found);
  else
    add_any(container, {}, found);
  return found;
}

std::string_view binary_bytes(const ContainedBinary& binary, std::string& storage) {
  return binary.compression == BinaryCompression::none ? binary.stored : uncompress(binary, storage);
}

}  // namespace warpwright::cuda
