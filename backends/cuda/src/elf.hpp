// The sections of a little-endian ELF64 file, with every header and name checked against its size: cubins, and host
// programs that hold GPU binaries.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace warpwright::cuda {

inline constexpr std::uint16_t machine_cuda = 190;  // e_machine of what runs on NVIDIA's devices

// Little-endian reads with bounds; a read outside throws what `corrupted` throws.
class View {
 public:
  explicit View(std::string_view bytes) : bytes_(bytes) {}

  std::size_t size() const { return bytes_.size(); }
  std::string_view bytes() const { return bytes_; }
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
  std::string_view text(std::uint64_t offset) const;

  // Throws Error(corrupted) saying that the file is no GPU binary, and why.
  [[noreturn]] static void corrupted(const std::string& what);

 private:
  std::string_view bytes_;
};

inline constexpr std::string_view elf_magic{
    "\x7f"
    "ELF",
    4};
// Numbers of the ELF specification.
inline constexpr std::uint32_t section_symbol_table = 2, section_no_bits = 8, section_symbol_indices = 18;

struct ElfSection {
  std::string_view name;
  std::uint32_t type = 0;
  std::uint64_t flags = 0, offset = 0, size = 0, alignment = 0;
  std::uint32_t link = 0;
};

struct ElfFile {
  std::uint16_t type = 0, machine = 0;  // 1: relocatable
  std::uint8_t abi = 0;
  std::uint32_t flags = 0;
  // Whoever reads the bytes of one checks that they lie inside the file: relocatable objects of nvcc have debug
  // sections that claim more than the file has.
  std::vector<ElfSection> sections;
};

// Also files with more than 65,279 sections, whose count stands in the first section. Throws Error(corrupted).
ElfFile read_elf(std::string_view image);

// The machine of an ELF file of any kind (190 is CUDA); 0 where the bytes are too short or no ELF.
std::uint16_t elf_machine(std::string_view bytes);

}  // namespace warpwright::cuda
