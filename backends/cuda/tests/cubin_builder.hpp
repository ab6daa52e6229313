// Builds small images with the layout of a cubin, so that tests need no compiler.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

namespace warpwright::cuda {

struct CubinBuilder {
  struct Kernel {
    std::string name;
    bool entry = true;                    // callable from the host
    std::vector<std::uint8_t> info = {};  // contents of ".nv.info.NAME"
    int registers = -1;                   // attribute of ".nv.info", if not negative
    std::int64_t shared = -1;             // size of ".nv.shared.NAME", which has no bytes, if not negative
    std::uint64_t shared_alignment = 16;
    std::uint32_t code_flags = 6;  // of ".text.NAME"
    bool relocations = false;      // an empty ".rela.text.NAME"
  };
  std::vector<Kernel> kernels;
  std::uint64_t constant_bytes = 0;
  std::uint16_t machine = 190;
  std::uint32_t flags = 0x06005a04;  // sm_90 as CUDA 13 writes it
  std::uint8_t abi = 8;
  std::uint16_t type = 2;
  std::string tool_note;           // text of ".note.nv.tkinfo"
  std::size_t extra_sections = 0;  // empty ones before the kernels'

  std::string build() const {
    struct Section {
      std::string name;
      std::uint32_t type, link;
      std::string bytes;
      std::uint64_t size = 0;  // of a section without bytes
      std::uint64_t flags = 0, alignment = 1;
    };
    std::vector<Section> sections = {
        {"", 0, 0, ""}, {".shstrtab", 3, 0, ""}, {".strtab", 3, 0, ""}, {".symtab", 2, 2, ""}};
    std::string strings(1, '\0'), symbols(24, '\0'), info, indices(4, '\0');
    // Names of extra sections are empty: they lie at the first byte of the table.
    for (std::size_t i = 0; i < extra_sections; ++i) sections.push_back({"", 1, 0, ""});
    for (const auto& kernel : kernels) {
      std::string symbol(24, '\0');
      put(symbol, 0, static_cast<std::uint32_t>(strings.size()));
      symbol[4] = 0x12;  // global function
      symbol[5] = static_cast<char>(kernel.entry ? 0x10 : 0);
      const bool wide = sections.size() >= 0xff00;
      put(symbol, 6, static_cast<std::uint16_t>(wide ? 0xffff : sections.size()));
      indices.resize(indices.size() + 4);
      put(indices, indices.size() - 4, static_cast<std::uint32_t>(wide ? sections.size() : 0));
      if (kernel.registers >= 0) {
        std::string attribute(12, '\0');
        attribute[0] = 0x04;
        attribute[1] = 0x2f;
        attribute[2] = 8;
        put(attribute, 4, static_cast<std::uint32_t>(symbols.size() / 24));
        put(attribute, 8, static_cast<std::uint32_t>(kernel.registers));
        info += attribute;
      }
      symbols += symbol;
      strings += kernel.name;
      strings += '\0';
      sections.push_back({".text." + kernel.name, 1, 0, std::string(128, '\x7'), 0, kernel.code_flags});
      if (kernel.relocations) sections.push_back({".rela.text." + kernel.name, 4, 0, ""});
      if (kernel.shared >= 0)
        sections.push_back({".nv.shared." + kernel.name, 8, 0, "", static_cast<std::uint64_t>(kernel.shared), 3,
                            kernel.shared_alignment});
      if (!kernel.info.empty()) {
        sections.push_back(
            {".nv.info." + kernel.name, 0x70000000, 0, std::string(kernel.info.begin(), kernel.info.end()), 0});
      }
    }
    if (!info.empty()) sections.push_back({".nv.info", 0x70000000, 0, info, 0});
    if (constant_bytes != 0) sections.push_back({".nv.constant3", 1, 0, std::string(constant_bytes, '\0'), 0});
    if (!tool_note.empty()) sections.push_back({".note.nv.tkinfo", 7, 0, tool_note});
    if (extra_sections > 0) sections.push_back({".symtab_shndx", 18, 3, indices});
    sections[2].bytes = strings;
    sections[3].bytes = symbols;
    for (const auto& section : sections)
      if (!section.name.empty() || &section == sections.data()) sections[1].bytes += section.name + '\0';

    std::string image(64, '\0');
    std::memcpy(image.data(),
                "\x7f"
                "ELF\x02\x01\x01",
                7);
    put(image, 16, type);
    put(image, 18, machine);
    image[8] = static_cast<char>(abi);
    put(image, 48, flags);
    std::string headers;
    std::uint32_t name = 0;
    for (const auto& section : sections) {
      std::string header(64, '\0');
      put(header, 0, section.name.empty() ? std::uint32_t{0} : name);
      if (!section.name.empty() || &section == sections.data())
        name += static_cast<std::uint32_t>(section.name.size() + 1);
      put(header, 4, section.type);
      put(header, 24, static_cast<std::uint64_t>(image.size()));
      put(header, 32, static_cast<std::uint64_t>(section.type == 8 ? section.size : section.bytes.size()));
      put(header, 8, section.flags);
      put(header, 40, section.link);
      put(header, 48, section.alignment);
      headers += header;
      image += section.bytes;
    }
    put(image, 40, static_cast<std::uint64_t>(image.size()));
    put(image, 58, std::uint16_t{64});
    // A count beyond 16 bits stands in the first section.
    const bool many = sections.size() >= 0xff00;
    put(image, 60, static_cast<std::uint16_t>(many ? 0 : sections.size()));
    put(image, 62, static_cast<std::uint16_t>(many ? 0xffff : 1));
    if (many) {
      put(headers, 32, static_cast<std::uint64_t>(sections.size()));
      put(headers, 40, std::uint32_t{1});
    }
    return image + headers;
  }

  template <class T>
  static void put(std::string& bytes, std::size_t offset, T value) {
    for (std::size_t i = 0; i < sizeof(T); ++i) bytes[offset + i] = static_cast<char>(value >> (8 * i));
  }
};

}  // namespace warpwright::cuda
