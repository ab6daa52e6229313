#include "cubin.hpp"

#include <algorithm>
#include <cctype>
#include <limits>
#include <map>
#include <unordered_map>

#include <warpwright/base/error.hpp>

#include "elf.hpp"

namespace warpwright::cuda {

namespace {

// Numbers of NVIDIA's use of ELF.
constexpr std::size_t symbol_size = 24;
constexpr std::uint16_t type_relocatable = 1;
constexpr std::uint8_t symbol_function = 2;
constexpr std::uint8_t symbol_other_entry = 0x10;  // st_other: callable from the host
constexpr std::uint16_t section_index_elsewhere = 0xffff;

// Formats of an attribute.
constexpr std::uint8_t format_byte = 0x02;   // one byte of value follows
constexpr std::uint8_t format_short = 0x03;  // two bytes
constexpr std::uint8_t format_sized = 0x04;  // a size of two bytes and that many bytes follow

constexpr std::uint8_t attribute_max_threads = 0x05;
constexpr std::uint8_t attribute_required_block = 0x10;
constexpr std::uint8_t attribute_min_stack_size = 0x12;
// An index, 16 bits of ordinal, 16 of offset, and a word whose upper 14 bits are the size (sm_70 to
// sm_100, 12.9, 13.0).
constexpr std::uint8_t attribute_parameter = 0x17;
constexpr std::uint8_t attribute_register_limit = 0x1b;
constexpr std::uint8_t attribute_register_count = 0x2f;
constexpr std::uint8_t attribute_shared_scratch = 0x32;
constexpr std::uint8_t attribute_blocks_per_cluster = 0x3d;
constexpr std::uint8_t attribute_explicit_cluster = 0x3e;
constexpr std::uint8_t attribute_max_cluster_rank = 0x3f;
constexpr std::uint8_t attribute_barriers = 0x4c;
constexpr std::uint8_t attribute_register_reconfiguration = 0x54;
constexpr std::uint8_t attribute_blocks_are_clusters = 0x5b;

constexpr std::string_view text_prefix = ".text.";
constexpr std::string_view shared_prefix = ".nv.shared.";
constexpr std::string_view info_prefix = ".nv.info.";
constexpr std::string_view relocation_prefix = ".rela.text.";

constexpr std::uint8_t newer_abi = 8;
constexpr int older_barrier_shift = 20;  // of the flags of ".text.NAME"
constexpr std::uint64_t older_barrier_mask = 0x7f;
constexpr std::uint32_t older_flag_variant = 1u << 11;  // of e_flags: "sm_90a"
constexpr int no_register_limit = 255;
// From compute capability 9.0 on the shared memory of a kernel's section includes the part that the driver reserves.
constexpr int first_compute_with_reserve = 90;
constexpr std::uint64_t reserved_shared = 1024;

// Calls visit(attribute, payload) for each attribute of a ".nv.info" section; single bytes and shorts come as a payload
// of one or two bytes, attributes without a value as an empty one.
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
    } else {
      visit(attribute, info.part(at + 2, format == format_byte ? 1 : format == format_short ? 2 : 0));
      at += 4;
    }
  }
}

// An undocumented number as a small count; what does not fit is not believed.
std::optional<int> small(std::uint32_t value) {
  if (value > 0x7fffffffu) return std::nullopt;
  return static_cast<int>(value);
}

// Three sizes of a block or cluster; sizes below 1 or beyond 31 bits are not believed.
std::optional<std::array<std::int64_t, 3>> three_sizes(const View& payload) {
  if (payload.size() < 12) return std::nullopt;
  std::array<std::int64_t, 3> sizes{};
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    const auto size = small(payload.read<std::uint32_t>(4 * i));
    if (!size || *size < 1) return std::nullopt;
    sizes[i] = *size;
  }
  return sizes;
}

// The product, or the largest integer.
int saturated_product(const std::array<std::int64_t, 3>& sizes) {
  constexpr std::int64_t most = std::numeric_limits<int>::max();
  std::int64_t product = 1;
  for (const std::int64_t size : sizes) product = std::min(most, product * size);  // both below 2^31
  return static_cast<int>(product);
}

// "a" of "-arch sm_90a" in the note that holds ptxas's command line, for the architecture of the file itself.
std::string variant_of(std::string_view note, int compute) {
  const std::string target = "sm_" + std::to_string(compute);
  for (auto at = note.find(target); at != std::string_view::npos; at = note.find(target, at + 1)) {
    const auto end = at + target.size();
    if (end >= note.size() || (note[end] != 'a' && note[end] != 'f')) continue;
    if (end + 1 == note.size() || std::isalnum(static_cast<unsigned char>(note[end + 1])) == 0)
      return std::string(1, note[end]);
  }
  return {};
}

void read_attribute(CubinKernel& kernel, std::uint8_t attribute, const View& payload) {
  switch (attribute) {
    case attribute_barriers:
      if (payload.size() == 1) kernel.barriers = payload.read<std::uint8_t>(0);
      break;
    case attribute_max_threads:
      if (const auto sizes = three_sizes(payload)) kernel.max_threads_per_block = saturated_product(*sizes);
      break;
    case attribute_required_block:
      kernel.required_block = three_sizes(payload);
      break;
    case attribute_blocks_per_cluster:
      kernel.required_cluster = three_sizes(payload);
      break;
    case attribute_explicit_cluster:
      kernel.needs_cluster = true;
      break;
    case attribute_max_cluster_rank:
      if (payload.size() >= 4) {
        const auto most = small(payload.read<std::uint32_t>(0));
        if (most && *most >= 1) kernel.max_cluster_blocks = most;
      }
      break;
    case attribute_blocks_are_clusters:
      kernel.grid_counts_clusters = true;
      break;
    case attribute_register_limit:
      if (payload.size() == 2) {
        const int limit = payload.read<std::uint16_t>(0);
        if (limit >= 1 && limit < no_register_limit) kernel.register_limit = limit;
      }
      break;
    case attribute_register_reconfiguration:
      kernel.reassigns_registers = true;
      break;
    case attribute_shared_scratch:
      if (payload.size() >= 8) kernel.shared_spills = Bytes{payload.read<std::uint32_t>(4)};
      break;
    default:
      break;
  }
}

using KernelIndex = std::unordered_map<std::string_view, std::size_t>;

// The kernels' symbols: those of `cubin` by the number of their symbol in `of_symbol`, by name in `of_name`.
void read_symbols(const View& file, const std::vector<ElfSection>& sections, std::size_t table, Cubin& cubin,
                  std::unordered_map<std::uint32_t, std::size_t>& of_symbol, KernelIndex& of_name) {
  const ElfSection& s = sections[table];
  if (s.link >= sections.size()) View::corrupted("its symbol table names no string table");
  if (sections[s.link].type == section_no_bits) View::corrupted("its string table has no bytes");
  const View symbols = file.part(s.offset, s.size);
  const View names = file.part(sections[s.link].offset, sections[s.link].size);
  // Indices of sections that 16 bits do not hold stand in a table of their own.
  const auto wide = std::find_if(sections.begin(), sections.end(), [&](const ElfSection& other) {
    return other.type == section_symbol_indices && other.link == table;
  });
  for (std::uint64_t i = 0; i < s.size / symbol_size; ++i) {
    const View symbol = symbols.part(i * symbol_size, symbol_size);
    const auto type = symbol.read<std::uint8_t>(4) & 0xf;
    const auto other = symbol.read<std::uint8_t>(5);
    if (type != symbol_function || (other & symbol_other_entry) == 0) continue;
    std::uint32_t section = symbol.read<std::uint16_t>(6);
    if (section == section_index_elsewhere && wide != sections.end())
      section = file.part(wide->offset, wide->size).read<std::uint32_t>(i * 4);
    if (section >= sections.size()) continue;
    const std::string_view name = names.text(symbol.read<std::uint32_t>(0));
    const ElfSection& code = sections[section];
    if (!code.name.starts_with(text_prefix) || code.name.substr(text_prefix.size()) != name) continue;
    if (!of_name.emplace(name, cubin.kernels.size()).second) continue;
    of_symbol[static_cast<std::uint32_t>(i)] = cubin.kernels.size();
    cubin.kernels.emplace_back().symbol = name;
  }
}

}  // namespace

Cubin read_cubin(std::string_view image) {
  const ElfFile elf = read_elf(image);
  if (elf.machine != machine_cuda)
    View::corrupted("it is made for machine " + std::to_string(elf.machine) + ", not for CUDA (190)");
  if (elf.type == type_relocatable)
    throw Error(ErrorCode::unsupported,
                "it is a relocatable object (made with -dc or -rdc=true): its registers and stack do not count the "
                "functions that it calls; link it first, with nvcc -dlink or nvlink");
  const View file(image);
  const bool newer = elf.abi >= newer_abi;
  Cubin cubin;
  cubin.compute = static_cast<int>(newer ? (elf.flags >> 8) & 0xff : elf.flags & 0xff);
  if (!newer && (elf.flags & older_flag_variant) != 0) cubin.variant = "a";

  std::unordered_map<std::uint32_t, std::size_t> kernel_of_symbol;
  KernelIndex kernel_of_name;
  for (std::size_t i = 0; i < elf.sections.size(); ++i)
    if (elf.sections[i].type == section_symbol_table)
      read_symbols(file, elf.sections, i, cubin, kernel_of_symbol, kernel_of_name);

  const auto kernel_after = [&](const ElfSection& s, std::string_view prefix) -> CubinKernel* {
    if (!s.name.starts_with(prefix)) return nullptr;
    const auto found = kernel_of_name.find(s.name.substr(prefix.size()));
    return found == kernel_of_name.end() ? nullptr : &cubin.kernels[found->second];
  };
  const std::uint64_t reserved = cubin.compute >= first_compute_with_reserve ? reserved_shared : 0;
  for (const ElfSection& s : elf.sections) {
    // Bank 3 holds the program's own __constant__ variables; the other banks belong to the compiler and the driver.
    if (s.name == ".nv.constant3") cubin.constant = Bytes{s.size};
    if (CubinKernel* kernel = kernel_after(s, shared_prefix)) {
      kernel->static_shared = Bytes{s.size < reserved ? 0 : s.size - reserved};
      kernel->shared_alignment = s.alignment;
      // Without a reserve the section itself says that shared memory is referred to.
      if (reserved == 0 && s.size == 0) kernel->untold_shared = true;
    } else if (CubinKernel* code = kernel_after(s, text_prefix); code != nullptr && !newer) {
      code->barriers = static_cast<int>((s.flags >> older_barrier_shift) & older_barrier_mask);
    } else if (CubinKernel* relocated = kernel_after(s, relocation_prefix); relocated != nullptr && reserved != 0) {
      relocated->untold_shared = true;  // until its own shared memory is known
    }
    if (s.type == section_no_bits) continue;
    const View bytes = file.part(s.offset, s.size);
    if (s.name == ".note.nv.tkinfo") {
      if (cubin.variant.empty()) cubin.variant = variant_of(bytes.bytes(), cubin.compute);
    } else if (s.name == ".nv.info") {
      for_each_attribute(bytes, [&](std::uint8_t attribute, const View& payload) {
        if (payload.size() < 8) return;
        const auto kernel = kernel_of_symbol.find(payload.read<std::uint32_t>(0));
        if (kernel == kernel_of_symbol.end()) return;
        const auto value = small(payload.read<std::uint32_t>(4));
        if (attribute == attribute_register_count) cubin.kernels[kernel->second].registers = value;
        if (attribute == attribute_min_stack_size && value)
          cubin.kernels[kernel->second].stack = Bytes{static_cast<std::uint64_t>(*value)};
      });
    } else if (CubinKernel* kernel = kernel_after(s, info_prefix)) {
      std::map<std::uint16_t, std::size_t> parameters;  // ordinal -> size
      for_each_attribute(bytes, [&](std::uint8_t attribute, const View& payload) {
        if (attribute == attribute_parameter && payload.size() >= 12)
          parameters[payload.read<std::uint16_t>(4)] = payload.read<std::uint32_t>(8) >> 18;
        read_attribute(*kernel, attribute, payload);
      });
      if (parameters.empty() || parameters.rbegin()->first != parameters.size() - 1) continue;
      auto& sizes = kernel->parameter_sizes.emplace();
      for (const auto& [ordinal, size] : parameters) sizes.push_back(size);
    }
  }
  for (CubinKernel& kernel : cubin.kernels) {
    if (kernel.static_shared.count > 0) kernel.untold_shared = false;
    kernel.shared_spills = std::min(kernel.shared_spills, kernel.static_shared);
  }
  return cubin;
}

}  // namespace warpwright::cuda
