#include "cubin.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <map>

#include <warpwright/base/error.hpp>

namespace warpwright::cuda {

namespace {

// Numbers of the ELF specification, and of NVIDIA's use of it.
constexpr std::size_t header_size = 64;
constexpr std::size_t section_header_size = 64;
constexpr std::size_t symbol_size = 24;
constexpr std::uint16_t machine_cuda = 190;
constexpr std::uint32_t section_symbol_table = 2;
constexpr std::uint32_t section_no_bits = 8;
constexpr std::uint8_t symbol_function = 2;
constexpr std::uint8_t symbol_other_entry = 0x10;  // st_other: callable from the host

constexpr std::uint8_t format_sized = 0x04;  // a size of two bytes and that many bytes follow
constexpr std::uint8_t format_byte = 0x02;   // one byte of value follows
constexpr std::uint8_t attribute_max_threads = 0x05;
constexpr std::uint8_t attribute_required_block = 0x10;
// An index, 16 bits of ordinal, 16 of offset, and a word whose upper 14 bits are the size (sm_70 to
// sm_100, 12.9, 13.0).
constexpr std::uint8_t attribute_parameter = 0x17;
constexpr std::uint8_t attribute_min_stack_size = 0x12;
constexpr std::uint8_t attribute_register_count = 0x2f;
constexpr std::uint8_t attribute_barriers = 0x4c;

constexpr std::string_view shared_prefix = ".nv.shared.";
constexpr std::uint8_t newer_abi = 8;  // from CUDA 13 on; e_flags has another layout
// From compute capability 9.0 on the shared memory of a kernel's section includes the part that the driver reserves.
constexpr int first_compute_with_reserve = 90;
constexpr std::uint64_t reserved_shared = 1024;

[[noreturn]] void corrupted(const std::string& what) { throw Error(ErrorCode::corrupted, "not a cubin: " + what); }

// Little-endian reads with bounds.
class View {
 public:
  explicit View(std::string_view bytes) : bytes_(bytes) {}

  std::size_t size() const { return bytes_.size(); }
  template <class T>
  T read(std::uint64_t offset) const {
    if (offset > bytes_.size() || sizeof(T) > bytes_.size() - offset) corrupted("it ends inside a structure");
    T value{};
    for (std::size_t i = 0; i < sizeof(T); ++i) {
      value = static_cast<T>(value |
                             static_cast<T>(static_cast<T>(static_cast<std::uint8_t>(bytes_[offset + i])) << (8 * i)));
    }
    return value;
  }
  View part(std::uint64_t offset, std::uint64_t size) const {
    if (offset > bytes_.size() || size > bytes_.size() - offset) corrupted("a section lies outside the file");
    return View(bytes_.substr(offset, size));
  }
  // The NUL-terminated string at `offset`.
  std::string_view text(std::uint64_t offset) const {
    if (offset >= bytes_.size()) corrupted("a name lies outside its string table");
    const auto end = bytes_.find('\0', offset);
    if (end == std::string_view::npos) corrupted("a name has no end");
    return bytes_.substr(offset, end - offset);
  }

 private:
  std::string_view bytes_;
};

struct Section {
  std::string_view name;
  std::uint32_t type = 0;
  std::uint64_t offset = 0, size = 0;
  std::uint32_t link = 0;
};

std::vector<Section> read_sections(const View& file) {
  const auto table = file.read<std::uint64_t>(40);
  const auto entry_size = file.read<std::uint16_t>(58);
  const std::size_t count = file.read<std::uint16_t>(60);
  const auto names_index = file.read<std::uint16_t>(62);
  if (entry_size != section_header_size) corrupted("its section headers have " + std::to_string(entry_size) + " bytes");
  if (names_index >= count) corrupted("it has no section names");
  const View headers = file.part(table, count * section_header_size);
  const auto header = [&](std::size_t index) { return headers.part(index * section_header_size, section_header_size); };
  const View names_header = header(names_index);
  const View names = file.part(names_header.read<std::uint64_t>(24), names_header.read<std::uint64_t>(32));

  std::vector<Section> sections(count);
  for (std::size_t i = 0; i < count; ++i) {
    const View h = header(i);
    Section& s = sections[i];
    s.name = names.text(h.read<std::uint32_t>(0));
    s.type = h.read<std::uint32_t>(4);
    s.offset = h.read<std::uint64_t>(24);
    s.size = h.read<std::uint64_t>(32);
    s.link = h.read<std::uint32_t>(40);
    if (s.type != section_no_bits) file.part(s.offset, s.size);
  }
  return sections;
}

// Calls visit(attribute, payload) for each attribute of a ".nv.info" section; single bytes come as a payload of one
// byte.
template <class Visitor>
void for_each_attribute(const View& info, Visitor&& visit) {
  std::uint64_t at = 0;
  while (at + 4 <= info.size()) {
    const auto format = info.read<std::uint8_t>(at);
    const auto attribute = info.read<std::uint8_t>(at + 1);
    if (format == format_sized) {
      const auto size = info.read<std::uint16_t>(at + 2);
      visit(attribute, info.part(at + 4, size));
      at += 4u + size;
    } else if (format == format_byte) {
      visit(attribute, info.part(at + 2, 1));
      at += 4;
    } else {
      at += 4;
    }
  }
}

bool starts_with(std::string_view text, std::string_view prefix) { return text.substr(0, prefix.size()) == prefix; }

// An undocumented number as a small count; what does not fit is not believed.
std::optional<int> small(std::uint32_t value) {
  if (value > 0x7fffffffu) return std::nullopt;
  return static_cast<int>(value);
}

}  // namespace

Cubin read_cubin(std::string_view image) {
  const View file(image);
  if (image.size() < header_size || image.substr(0, 4) !=
                                        "\x7f"
                                        "ELF")
    corrupted("it has no ELF header");
  if (image[4] != 2 || image[5] != 1) corrupted("it is not little-endian ELF64");
  if (file.read<std::uint16_t>(18) != machine_cuda) {
    corrupted("it is made for machine " + std::to_string(file.read<std::uint16_t>(18)) + ", not for CUDA (190)");
  }
  // Not used here, but by the driver.
  file.part(file.read<std::uint64_t>(32), std::uint64_t{file.read<std::uint16_t>(54)} * file.read<std::uint16_t>(56));
  const std::vector<Section> sections = read_sections(file);

  Cubin cubin;
  const auto flags = file.read<std::uint32_t>(48);
  cubin.compute = static_cast<int>(file.read<std::uint8_t>(8) >= newer_abi ? (flags >> 8) & 0xff : flags & 0xff);
  std::map<std::uint32_t, std::size_t> kernel_of_symbol;  // symbol index -> kernel
  std::map<std::string_view, std::size_t> kernel_of_name;
  for (const Section& s : sections) {
    if (s.type != section_symbol_table) continue;
    if (s.link >= sections.size()) corrupted("its symbol table names no string table");
    const View symbols = file.part(s.offset, s.size);
    const View names = file.part(sections[s.link].offset, sections[s.link].size);
    for (std::uint64_t i = 0; (i + 1) * symbol_size <= s.size; ++i) {
      const View symbol = symbols.part(i * symbol_size, symbol_size);
      const auto type = symbol.read<std::uint8_t>(4) & 0xf;
      const auto other = symbol.read<std::uint8_t>(5);
      const auto section = symbol.read<std::uint16_t>(6);
      if (type != symbol_function || (other & symbol_other_entry) == 0 || section >= sections.size()) continue;
      const std::string_view name = names.text(symbol.read<std::uint32_t>(0));
      if (sections[section].name != ".text." + std::string(name)) continue;
      if (kernel_of_name.contains(name)) continue;
      kernel_of_symbol[static_cast<std::uint32_t>(i)] = cubin.kernels.size();
      kernel_of_name[name] = cubin.kernels.size();
      cubin.kernels.emplace_back().symbol = name;
    }
  }

  for (const Section& s : sections) {
    // Bank 3 holds the program's own __constant__ variables; the other banks belong to the compiler and the driver.
    if (s.name == ".nv.constant3") cubin.constant = Bytes{s.size};
    if (starts_with(s.name, shared_prefix)) {
      const auto kernel = kernel_of_name.find(s.name.substr(shared_prefix.size()));
      if (kernel != kernel_of_name.end()) {
        const std::uint64_t reserved = cubin.compute >= first_compute_with_reserve ? reserved_shared : 0;
        cubin.kernels[kernel->second].static_shared = Bytes{s.size < reserved ? 0 : s.size - reserved};
      }
    }
    if (!starts_with(s.name, ".nv.info") || s.type == section_no_bits) continue;
    const View info = file.part(s.offset, s.size);
    if (s.name == ".nv.info") {
      for_each_attribute(info, [&](std::uint8_t attribute, const View& payload) {
        if (payload.size() < 8) return;
        const auto kernel = kernel_of_symbol.find(payload.read<std::uint32_t>(0));
        if (kernel == kernel_of_symbol.end()) return;
        const auto value = small(payload.read<std::uint32_t>(4));
        if (attribute == attribute_register_count) cubin.kernels[kernel->second].registers = value;
        if (attribute == attribute_min_stack_size && value) {
          cubin.kernels[kernel->second].stack = Bytes{static_cast<std::uint64_t>(*value)};
        }
      });
      continue;
    }
    const auto kernel = kernel_of_name.find(s.name.substr(std::string_view(".nv.info.").size()));
    if (kernel == kernel_of_name.end()) continue;
    std::map<std::uint16_t, std::size_t> parameters;  // ordinal -> size
    for_each_attribute(info, [&](std::uint8_t attribute, const View& payload) {
      CubinKernel& k = cubin.kernels[kernel->second];
      if (attribute == attribute_parameter && payload.size() >= 12)
        parameters[payload.read<std::uint16_t>(4)] = payload.read<std::uint32_t>(8) >> 18;
      if (attribute == attribute_required_block && payload.size() >= 12) {
        std::array<std::int64_t, 3> block{};
        for (std::uint64_t i = 0; i < 3; ++i) block[i] = payload.read<std::uint32_t>(4 * i);
        if (std::all_of(block.begin(), block.end(), [](std::int64_t n) { return n >= 1 && n <= 1024; }))
          k.required_block = block;
      }
      if (attribute == attribute_barriers && payload.size() == 1) k.barriers = payload.read<std::uint8_t>(0);
      if (attribute == attribute_max_threads && payload.size() >= 12) {
        std::uint64_t threads = 1;
        for (std::uint64_t i = 0; i < 3; ++i) {
          // A block has at most 1024 threads; a larger factor is no launch bound.
          const auto n = payload.read<std::uint32_t>(4 * i);
          if (n == 0 || n > 1024) return;
          threads *= n;
        }
        k.max_threads_per_block = static_cast<int>(threads);
      }
    });
    if (parameters.empty() || parameters.rbegin()->first != parameters.size() - 1) continue;
    auto& sizes = cubin.kernels[kernel->second].parameter_sizes.emplace();
    for (const auto& [ordinal, size] : parameters) sizes.push_back(size);
  }
  return cubin;
}

}  // namespace warpwright::cuda
