#include "elf.hpp"

#include <warpwright/base/error.hpp>

namespace warpwright::cuda {

namespace {

constexpr std::size_t header_size = 64;
constexpr std::size_t section_header_size = 64;
constexpr std::uint16_t index_in_first_section = 0xffff;  // of the section of names, where 16 bits do not hold it

}  // namespace

void View::corrupted(const std::string& what) { throw Error(ErrorCode::corrupted, "not a cubin: " + what); }

std::string_view View::text(std::uint64_t offset) const {
  if (offset >= bytes_.size()) corrupted("a name lies outside its string table");
  const auto end = bytes_.find('\0', offset);
  if (end == std::string_view::npos) corrupted("a name has no end");
  return bytes_.substr(offset, end - offset);
}

std::uint16_t elf_machine(std::string_view bytes) {
  constexpr std::size_t at = 18;
  return bytes.size() < at + 2 || !bytes.starts_with(elf_magic) ? std::uint16_t{0}
                                                                : View(bytes).read<std::uint16_t>(at);
}

ElfFile read_elf(std::string_view image) {
  const View file(image);
  if (image.size() < header_size || !image.starts_with(elf_magic)) View::corrupted("it has no ELF header");
  if (image[4] != 2 || image[5] != 1) View::corrupted("it is not little-endian ELF64");
  ElfFile elf;
  elf.abi = file.read<std::uint8_t>(8);
  elf.type = file.read<std::uint16_t>(16);
  elf.machine = file.read<std::uint16_t>(18);
  elf.flags = file.read<std::uint32_t>(48);
  // Not used here, but by the driver.
  file.part(file.read<std::uint64_t>(32), std::uint64_t{file.read<std::uint16_t>(54)} * file.read<std::uint16_t>(56));

  const auto table = file.read<std::uint64_t>(40);
  const auto entry_size = file.read<std::uint16_t>(58);
  std::uint64_t count = file.read<std::uint16_t>(60);
  std::uint32_t names_index = file.read<std::uint16_t>(62);
  if (count == 0 && table == 0) View::corrupted("it has no sections");
  if (entry_size != section_header_size)
    View::corrupted("its section headers have " + std::to_string(entry_size) + " bytes");
  if (count == 0 || names_index == index_in_first_section) {
    const View first = file.part(table, section_header_size);
    if (count == 0) count = first.read<std::uint64_t>(32);
    if (names_index == index_in_first_section) names_index = first.read<std::uint32_t>(40);
  }
  if (count > image.size() / section_header_size)
    View::corrupted("it claims " + std::to_string(count) + " sections, which its size cannot hold");
  if (names_index >= count) View::corrupted("it has no section names");
  const View headers = file.part(table, count * section_header_size);
  const auto header = [&](std::uint64_t index) {
    return headers.part(index * section_header_size, section_header_size);
  };
  const View names_header = header(names_index);
  const View names = file.part(names_header.read<std::uint64_t>(24), names_header.read<std::uint64_t>(32));
  elf.sections.resize(count);
  for (std::uint64_t i = 0; i < count; ++i) {
    const View h = header(i);
    ElfSection& s = elf.sections[i];
    s.name = names.text(h.read<std::uint32_t>(0));
    s.type = h.read<std::uint32_t>(4);
    s.flags = h.read<std::uint64_t>(8);
    s.offset = h.read<std::uint64_t>(24);
    s.size = h.read<std::uint64_t>(32);
    s.link = h.read<std::uint32_t>(40);
    s.alignment = h.read<std::uint64_t>(48);
    // The first section's size is the number of sections of a large file.
    if (i == 0) s.size = 0;
  }
  return elf;
}

}  // namespace warpwright::cuda
