// Containers made here byte by byte; tests/binaries reads those of NVIDIA's own tools.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <warpwright/base/error.hpp>
#include <warpwright/base/rng.hpp>
#include <warpwright/cuda/binaries.hpp>

#include "cubin_builder.hpp"

namespace warpwright::cuda {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

std::string cubin(const std::string& kernel, std::uint32_t flags = 0x06005a04) {
  CubinBuilder builder;
  builder.flags = flags;
  builder.kernels.push_back({kernel, true, {}, 20, 1024});
  std::string image = builder.build();
  image.resize((image.size() + 7) / 8 * 8);
  return image;
}

struct Entry {
  std::uint16_t kind = 2;
  std::uint32_t compute = 90;
  std::uint64_t flags = 0x11;
  std::string payload;
  std::uint32_t compressed = 0;
  std::uint64_t uncompressed = 0;
};

std::string fatbin(const std::vector<Entry>& entries) {
  std::string content;
  for (const auto& entry : entries) {
    std::string header(64, '\0');
    CubinBuilder::put(header, 0, entry.kind);
    CubinBuilder::put(header, 2, std::uint16_t{0x101});
    CubinBuilder::put(header, 4, std::uint32_t{64});
    CubinBuilder::put(header, 8, static_cast<std::uint64_t>(entry.payload.size()));
    CubinBuilder::put(header, 16, entry.compressed);
    CubinBuilder::put(header, 28, entry.compute);
    CubinBuilder::put(header, 40, entry.flags);
    CubinBuilder::put(header, 56, entry.uncompressed);
    content += header + entry.payload;
  }
  std::string bytes(16, '\0');
  bytes.replace(0, 4, "\x50\xed\x55\xba");
  CubinBuilder::put(bytes, 4, std::uint16_t{1});
  CubinBuilder::put(bytes, 6, std::uint16_t{16});
  CubinBuilder::put(bytes, 8, static_cast<std::uint64_t>(content.size()));
  return bytes + content;
}

// A program of the host with one section of fatbins.
std::string host(const std::string& section, const std::string& content) {
  std::string image(64, '\0');
  image.replace(0, 7,
                "\x7f"
                "ELF\x02\x01\x01");
  CubinBuilder::put(image, 16, std::uint16_t{3});
  CubinBuilder::put(image, 18, std::uint16_t{62});
  const std::string names = std::string(1, '\0') + section + '\0' + ".shstrtab" + '\0';
  std::string headers(192, '\0');
  CubinBuilder::put(headers, 64, std::uint32_t{1});
  CubinBuilder::put(headers, 68, std::uint32_t{1});
  CubinBuilder::put(headers, 88, std::uint64_t{64});
  CubinBuilder::put(headers, 96, static_cast<std::uint64_t>(content.size()));
  CubinBuilder::put(headers, 128, static_cast<std::uint32_t>(section.size() + 2));
  CubinBuilder::put(headers, 132, std::uint32_t{3});
  CubinBuilder::put(headers, 152, static_cast<std::uint64_t>(64 + content.size()));
  CubinBuilder::put(headers, 160, static_cast<std::uint64_t>(names.size()));
  CubinBuilder::put(image, 40, static_cast<std::uint64_t>(64 + content.size() + names.size()));
  CubinBuilder::put(image, 58, std::uint16_t{64});
  CubinBuilder::put(image, 60, std::uint16_t{3});
  CubinBuilder::put(image, 62, std::uint16_t{2});
  return image + content + names + headers;
}

std::string archive(const std::vector<std::pair<std::string, std::string>>& members) {
  std::string names, bytes = "!<arch>\n";
  const auto add = [&](std::string name, const std::string& content) {
    name.resize(16, ' ');
    std::string size = std::to_string(content.size());
    size.resize(10, ' ');
    bytes += name + "0           0     0     644     " + size + "`\n" + content;
    if (content.size() % 2 != 0) bytes += '\n';
  };
  for (const auto& [name, content] : members) names += name + "/\n";
  add("/", std::string(7, 's'));
  add("//", names);
  std::size_t at = 0;
  for (const auto& [name, content] : members) {
    if (name.size() < 16) {
      add(name + "/", content);
    } else {
      add("/" + std::to_string(at), content);
    }
    at += name.size() + 2;
  }
  return bytes;
}

std::vector<std::string> kernels_of(const std::string& container) {
  std::vector<std::string> names;
  for (const auto& binary : list_binaries(container)) {
    std::string storage;
    if (binary.kind != ContainedBinary::Kind::cubin) continue;
    for (const auto& kernel : describe_cubin(binary_bytes(binary, storage)).kernels)
      names.push_back(binary.member + (binary.member.empty() ? "" : ":") + kernel.entry);
  }
  return names;
}

void expect_damaged(const std::string& container, const std::string& words) {
  try {
    for (const auto& binary : list_binaries(container)) {
      std::string storage;
      binary_bytes(binary, storage);
    }
    ADD_FAILURE() << "accepted; expected: " << words;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::corrupted) << error.what();
    EXPECT_THAT(error.message(), HasSubstr(words));
  }
}

TEST(Binaries, FatbinsListTheirEntries) {
  const std::string file = fatbin({{2, 90, 0x100011, cubin("a")},
                                   {1, 90, 0x8011, std::string(64, 'p'), 40, 900},
                                   {2, 100, 0x1200011, cubin("b", 0x06006402)}});
  EXPECT_EQ(file_format(file), FileFormat::fatbin);
  const auto found = list_binaries(file);
  ASSERT_EQ(found.size(), 3u);
  EXPECT_EQ(found[0].target, "sm_90a");
  EXPECT_EQ(found[0].compression, BinaryCompression::none);
  EXPECT_EQ(found[1].kind, ContainedBinary::Kind::ptx);
  EXPECT_EQ(found[1].compression, BinaryCompression::zstd);
  EXPECT_EQ(found[1].stored.size(), 40u);
  EXPECT_EQ(found[1].size, 900u);
  EXPECT_EQ(found[2].target, "sm_100f");
  EXPECT_THAT(kernels_of(file), testing::ElementsAre("a", "b"));
}

TEST(Binaries, ProgramsAndArchivesGatherAllImages) {
  // Two translation units, padded as linkers do.
  const std::string two =
      fatbin({{2, 90, 0x11, cubin("a")}}) + std::string(24, '\0') + fatbin({{2, 90, 0x11, cubin("b")}});
  EXPECT_EQ(file_format(host(".nv_fatbin", two)), FileFormat::host_program);
  EXPECT_THAT(kernels_of(host(".nv_fatbin", two)), testing::ElementsAre("a", "b"));
  EXPECT_THAT(kernels_of(host("__nv_relfatbin", two)), testing::ElementsAre("a", "b"));
  EXPECT_THAT(kernels_of(host(".text", two)), IsEmpty());
  const std::string library = archive({{"one.o", host(".nv_fatbin", fatbin({{2, 90, 0x11, cubin("a")}}))},
                                       {"a_name_of_more_than_15_bytes.o", host(".nv_fatbin", two)},
                                       {"kernel.cubin", cubin("c")},
                                       {"readme", "text"}});
  EXPECT_EQ(file_format(library), FileFormat::archive);
  EXPECT_THAT(kernels_of(library), testing::ElementsAre("one.o:a", "a_name_of_more_than_15_bytes.o:a",
                                                        "a_name_of_more_than_15_bytes.o:b", "kernel.cubin:c"));
  EXPECT_THAT(kernels_of(cubin("d")), testing::ElementsAre("d"));
  EXPECT_THAT(list_binaries("no container"), IsEmpty());
  try {
    list_binaries("!<thin>\nxyz");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::unsupported);
    EXPECT_THAT(error.message(), HasSubstr("thin archive"));
  }
}

TEST(Binaries, HostileSizesAreRefused) {
  std::string file = fatbin({{2, 90, 0x11, cubin("a")}});
  const auto damage = [&](std::size_t at, auto value) {
    std::string copy = file;
    CubinBuilder::put(copy, at, value);
    return copy;
  };
  constexpr std::uint64_t huge = ~std::uint64_t{0} - 7;
  expect_damaged(damage(8, huge), "longer than what holds it");
  expect_damaged(damage(6, std::uint16_t{8}), "longer than what holds it");
  expect_damaged(damage(16 + 8, huge), "longer than the fatbin");
  expect_damaged(damage(16 + 4, std::uint32_t{0}), "longer than the fatbin");
  expect_damaged(file + "trailing bytes", "what follows a fatbin is none");
  // A compressed entry that claims more than it can hold, or more than there is memory for.
  const auto compressed = [](std::uint32_t stored, std::uint64_t size) {
    return fatbin({{2, 90, 0x8011, std::string(64, 'z'), stored, size}});
  };
  expect_damaged(compressed(65, 100), "longer than its entry");
  expect_damaged(compressed(64, std::uint64_t{1} << 40), "claims 1099511627776 bytes");
  expect_damaged(compressed(64, 64 * 8192), "claims");
  expect_damaged(archive({{"a.o", "x"}}).substr(0, 100), "archive");
  expect_damaged("!<arch>\n" + std::string(60, '9'), "no end mark");
  std::string beyond = host(".nv_fatbin", fatbin({{2, 90, 0x11, cubin("a")}}));
  const std::size_t size_of_section = beyond.size() - 192 + 64 + 32;
  for (const std::uint64_t size : {static_cast<std::uint64_t>(beyond.size()), ~std::uint64_t{0}}) {
    CubinBuilder::put(beyond, size_of_section, size);
    expect_damaged(beyond, "outside the file");
  }
}

// Magic numbers of the two formats, and bytes that are neither.
TEST(Binaries, DamagedCompressionIsRefused) {
  for (const std::uint64_t flag : {0x8000u, 0x2000u}) {
    std::string payload = "\x28\xb5\x2f\xfd" + std::string(60, '\x55');
    const auto found = list_binaries(fatbin({{2, 90, 0x11 | flag, payload, 64, 4000}}));
    ASSERT_EQ(found.size(), 1u);
    std::string storage;
    try {
      binary_bytes(found[0], storage);
      FAIL();
    } catch (const Error& error) {
      if (error.code() == ErrorCode::unavailable) {
        EXPECT_THAT(error.message(), HasSubstr("install the package"));
      } else {
        EXPECT_EQ(error.code(), ErrorCode::corrupted);
      }
    }
  }
}

TEST(Binaries, DamageNeverReadsOutside) {
  const std::string good =
      archive({{"one.o", host(".nv_fatbin",
                              fatbin({{2, 90, 0x11, cubin("a")}, {2, 80, 0x8011, std::string(64, 'q'), 50, 90}}))}});
  Rng rng(3);
  int refused = 0;
  for (int round = 0; round < 5000; ++round) {
    std::vector<char> bytes(good.begin(), good.end());
    for (std::uint64_t i = 0; i < 1 + rng.below(5); ++i) bytes[rng.below(bytes.size())] = static_cast<char>(rng.next());
    try {
      kernels_of(std::string(bytes.data(), bytes.size()));
    } catch (const Error& error) {
      ASSERT_TRUE(error.code() == ErrorCode::corrupted || error.code() == ErrorCode::unsupported ||
                  error.code() == ErrorCode::unavailable)
          << error.what();
      ++refused;
    }
  }
  EXPECT_GT(refused, 100);
}

}  // namespace
}  // namespace warpwright::cuda
