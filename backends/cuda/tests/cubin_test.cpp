#include "cubin.hpp"

#include <gtest/gtest.h>

#include <warpwright/base/error.hpp>
#include <warpwright/base/rng.hpp>
#include <warpwright/cuda/backend.hpp>
#include <warpwright/cuda/binaries.hpp>

#include "cubin_builder.hpp"

namespace warpwright::cuda {
namespace {

void expect_corrupted(const std::string& image, const std::string& words) {
  try {
    read_cubin(image);
    FAIL() << "accepted; expected: " << words;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::corrupted);
    EXPECT_NE(std::string(error.what()).find(words), std::string::npos) << error.what();
  }
}

CubinBuilder example() {
  CubinBuilder builder;
  // 256x2x1 threads, and two attributes of formats that are skipped.
  builder.kernels.push_back(
      {"gemm",
       true,
       {0x04, 0x05, 12, 0, 0, 1, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0x03, 0x19, 20, 0, 0x02, 0x4c, 3, 0},
       40,
       1424});
  builder.kernels.push_back({"helper", false});
  builder.kernels.push_back({"_Z5scalePf", true});
  builder.constant_bytes = 400;
  return builder;
}

// The attributes as NVRTC 12.9 and 13.0 write them for (float*, int, float) with __block_size__((16,2,1)).
TEST(Cubin, ReadsParametersAndTheRequiredBlock) {
  CubinBuilder builder;
  builder.kernels.push_back({"k", true, {0x04, 0x17, 12, 0, 0,  0, 0, 0, 2, 0, 12, 0, 0x00, 0xf0, 0x11, 0,
                                         0x04, 0x17, 12, 0, 0,  0, 0, 0, 1, 0, 8,  0, 0x00, 0xf0, 0x11, 0,
                                         0x04, 0x17, 12, 0, 0,  0, 0, 0, 0, 0, 0,  0, 0x00, 0xf5, 0x21, 0,
                                         0x04, 0x10, 12, 0, 16, 0, 0, 0, 2, 0, 0,  0, 1,    0,    0,    0}});
  builder.kernels.push_back({"gap", true, {0x04, 0x17, 12, 0, 0, 0, 0, 0, 1, 0, 8, 0, 0x00, 0xf0, 0x11, 0}});
  builder.kernels.push_back({"none", true});
  const Cubin cubin = read_cubin(builder.build());
  ASSERT_EQ(cubin.kernels.size(), 3u);
  EXPECT_EQ(cubin.kernels[0].parameter_sizes, (std::vector<std::size_t>{8, 4, 4}));
  EXPECT_EQ(cubin.kernels[0].required_block, (std::array<std::int64_t, 3>{16, 2, 1}));
  EXPECT_FALSE(cubin.kernels[1].parameter_sizes) << "a list with a hole is not believed";
  EXPECT_FALSE(cubin.kernels[2].parameter_sizes);
  EXPECT_FALSE(cubin.kernels[2].required_block);
}

TEST(Cubin, ReadsKernelsAndTheirAttributes) {
  const Cubin cubin = read_cubin(example().build());
  ASSERT_EQ(cubin.kernels.size(), 2u);
  EXPECT_EQ(cubin.kernels[0].symbol, "gemm");
  EXPECT_EQ(cubin.kernels[0].registers, 40);
  EXPECT_EQ(cubin.kernels[0].max_threads_per_block, 512);
  EXPECT_EQ(cubin.kernels[1].symbol, "_Z5scalePf");
  EXPECT_FALSE(cubin.kernels[1].registers);
  EXPECT_FALSE(cubin.kernels[1].max_threads_per_block);
  EXPECT_EQ(cubin.constant, Bytes{400});
  EXPECT_EQ(cubin.compute, 90);
  EXPECT_EQ(cubin.kernels[0].static_shared, Bytes{400}) << "the section counts the driver's reserve of 1024 bytes too";
  EXPECT_EQ(cubin.kernels[0].barriers, 3);
  EXPECT_EQ(cubin.kernels[1].static_shared, Bytes{0});
  EXPECT_EQ(cubin.kernels[1].barriers, 0);
}

TEST(Cubin, SharedMemoryBefore90HasNoReserveInIt) {
  CubinBuilder builder = example();
  builder.flags = 0x06005004;  // sm_80
  EXPECT_EQ(read_cubin(builder.build()).kernels[0].static_shared, Bytes{1424});
  EXPECT_EQ(read_cubin(builder.build()).compute, 80);
  builder.flags = 0x00560556;  // sm_86 as CUDA 12 writes it
  builder.abi = 7;
  EXPECT_EQ(read_cubin(builder.build()).compute, 86);
  builder.flags = 0x06005a04;
  builder.abi = 8;
  builder.kernels[0].shared = 100;  // less than the reserve: nothing of its own
  EXPECT_EQ(read_cubin(builder.build()).kernels[0].static_shared, Bytes{0});
}

// CUDA 12 up to sm_90a: 16 barriers in the flags of the code, nothing in an attribute.
TEST(Cubin, BarriersOfTheOlderLayoutAreInTheFlags) {
  CubinBuilder builder;
  builder.flags = 0x005a0d5a;  // sm_90a of 12.6
  builder.abi = 7;
  builder.kernels.push_back({"sixteen", true, {}, 16, 1024});
  builder.kernels[0].code_flags = 0x1000006;
  builder.kernels.push_back({"none", true, {}, 16, 1024});
  const Cubin cubin = read_cubin(builder.build());
  EXPECT_EQ(cubin.compute, 90);
  EXPECT_EQ(cubin.variant, "a");
  EXPECT_EQ(cubin.kernels[0].barriers, 16);
  EXPECT_EQ(cubin.kernels[1].barriers, 0);
  builder.abi = 8;
  builder.flags = 0x06005a04;
  EXPECT_EQ(read_cubin(builder.build()).kernels[0].barriers, 0) << "the newer layout has other flags there";
  builder.flags = 0x005a055a;
  builder.abi = 7;
  EXPECT_EQ(read_cubin(builder.build()).variant, "");
}

TEST(Cubin, TheVariantOfTheNewerLayoutIsInTheNote) {
  CubinBuilder builder;
  builder.kernels.push_back({"k"});
  const auto variant = [&](const std::string& note) {
    builder.tool_note = note;
    return read_cubin(builder.build()).variant;
  };
  EXPECT_EQ(variant(std::string("ptxas\0-arch sm_90a -m 64 ", 24)), "a");
  EXPECT_EQ(variant("-arch sm_90 -m 64"), "");
  EXPECT_EQ(variant("-arch sm_90f"), "f");
  EXPECT_EQ(variant("-arch sm_100a"), "") << "another architecture";
  EXPECT_EQ(variant("file sm_90abc.ptx -arch sm_90"), "");
}

TEST(Cubin, ReadsRequiredBlocksAndClusters) {
  CubinBuilder builder;
  builder.kernels.push_back(
      {"fixed", true, {0x04, 0x10, 12, 0, 128, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0x01, 0x5b, 0, 0,  //
                       0x04, 0x3d, 12, 0, 2,   0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0x01, 0x3e, 0, 0}});
  builder.kernels.push_back({"bounded", true, {0x04, 0x3f, 4,    0, 4,    0,    0, 0, 0x04, 0x05, 12, 0,
                                               0,    8,    0,    0, 1,    0,    0, 0, 1,    0,    0,  0,  //
                                               0x03, 0x1b, 0x80, 0, 0x01, 0x3e, 0, 0}});
  builder.kernels.push_back({"damaged", true, {0x04, 0x10, 12, 0, 0, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0}});
  const Cubin cubin = read_cubin(builder.build());
  const CubinKernel &fixed = cubin.kernels[0], &bounded = cubin.kernels[1];
  EXPECT_EQ(fixed.required_block, (std::array<std::int64_t, 3>{128, 2, 1}));
  EXPECT_EQ(fixed.required_cluster, (std::array<std::int64_t, 3>{2, 1, 1}));
  EXPECT_TRUE(fixed.grid_counts_clusters);
  EXPECT_EQ(bounded.max_threads_per_block, 2048) << "more than a block can have is a bound all the same";
  EXPECT_EQ(bounded.max_cluster_blocks, 4);
  EXPECT_EQ(bounded.register_limit, 128);
  EXPECT_FALSE(bounded.required_cluster);
  EXPECT_FALSE(cubin.kernels[2].required_block) << "no block has 0 threads";
  const CubinDescription description = describe_cubin(builder.build());
  EXPECT_EQ(description.kernels[0].required_block, fixed.required_block);
  EXPECT_FALSE(description.kernels[0].needs_cluster) << "it says which";
  EXPECT_TRUE(description.kernels[1].needs_cluster);
}

TEST(Cubin, TellsDynamicSharedMemoryApart) {
  CubinBuilder builder;
  const auto untold = [&](std::int64_t shared, bool relocations) {
    builder.kernels = {{"k", true, {}, 16, shared}};
    builder.kernels[0].relocations = relocations;
    return read_cubin(builder.build()).kernels[0].untold_shared;
  };
  EXPECT_TRUE(untold(1024, true)) << "it refers to shared memory, and none is its own";
  EXPECT_FALSE(untold(1024, false));
  EXPECT_FALSE(untold(1424, true));
  builder.flags = 0x06005004;  // sm_80
  EXPECT_TRUE(untold(0, false));
  EXPECT_FALSE(untold(-1, false));
  EXPECT_FALSE(untold(400, false));
}

TEST(Cubin, ReadsWhatExplainsItsNeeds) {
  CubinBuilder builder;
  builder.kernels.push_back(
      {"k", true, {0x04, 0x32, 8, 0, 0, 0, 0, 0, 0, 0xa0, 0, 0, 0x01, 0x54, 0, 0}, 168, 1024 + 40960});
  builder.kernels[0].shared_alignment = 1024;
  const CubinDescription description = describe_cubin(builder.build());
  EXPECT_EQ(description.kernels[0].shared_spills, Bytes{40960});
  EXPECT_TRUE(description.kernels[0].reassigns_registers);
  EXPECT_EQ(description.kernels[0].shared_alignment, 1024u);
  builder.kernels[0].shared = 2048;
  EXPECT_EQ(describe_cubin(builder.build()).kernels[0].shared_spills, Bytes{1024}) << "no more than there is";
}

TEST(Cubin, RelocatableObjectsAreRefused) {
  CubinBuilder builder = example();
  builder.type = 1;
  try {
    read_cubin(builder.build());
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::unsupported);
    EXPECT_NE(std::string(error.what()).find("link it first"), std::string::npos) << error.what();
  }
}

TEST(Cubin, MoreSectionsThanSixteenBitsCount) {
  CubinBuilder builder = example();
  builder.extra_sections = 70000;
  const std::string image = builder.build();
  const Cubin cubin = read_cubin(image);
  ASSERT_EQ(cubin.kernels.size(), 2u);
  EXPECT_EQ(cubin.kernels[0].registers, 40);
  EXPECT_EQ(cubin.kernels[0].static_shared, Bytes{400});
  std::string hostile = image;
  std::uint64_t at = 0;
  for (std::size_t i = 0; i < 8; ++i) at |= std::uint64_t{static_cast<std::uint8_t>(image[40 + i])} << (8 * i);
  CubinBuilder::put(hostile, at + 32, ~std::uint64_t{0} / 64);
  expect_corrupted(hostile, "sections, which its size cannot hold");
  CubinBuilder::put(hostile, at + 32, std::uint64_t{1} << 62);  // 64 times that is 0 in 64 bits
  expect_corrupted(hostile, "sections, which its size cannot hold");
}

TEST(Cubin, DescriptionNamesArchitectureAndResources) {
  const CubinDescription description = describe_cubin(example().build());
  EXPECT_EQ(description.architecture, "sm_90");
  ASSERT_EQ(description.kernels.size(), 2u);
  EXPECT_EQ(description.kernels[0].entry, "gemm");
  EXPECT_EQ(description.kernels[0].registers_per_thread, 40);
  EXPECT_EQ(description.kernels[0].static_shared, Bytes{400});
  EXPECT_EQ(description.kernels[0].barriers, 3);
  EXPECT_EQ(description.kernels[0].max_threads_per_block, 512);
  EXPECT_FALSE(description.kernels[0].spill_stores);
  EXPECT_THROW(describe_cubin("no cubin"), Error);
  EXPECT_EQ(find_kernel(description, "scale").entry, "_Z5scalePf");
  EXPECT_EQ(&find_kernel(description, "gemm"), &description.kernels[0]);
  try {
    find_kernel(description, "gem");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::bad_input);
    EXPECT_NE(
        std::string(error.what()).find("the binary has no kernel 'gem'; did you mean 'gemm'?; it has 'gemm', 'scale'"),
        std::string::npos)
        << error.what();
  }
}

TEST(Cubin, SaysWhatIsWrong) {
  expect_corrupted("", "no ELF header");
  expect_corrupted(
      "//\n// Generated by NVIDIA NVVM Compiler\n.version 9.0\n.target sm_90a\n.address_size 64\n padding...",
      "no ELF header");
  CubinBuilder x86 = example();
  x86.machine = 62;
  expect_corrupted(x86.build(), "machine 62");
  std::string image = example().build();
  image[4] = 1;
  expect_corrupted(image, "ELF64");
  image = example().build();
  CubinBuilder::put(image, 40, ~std::uint64_t{0} - 10);
  expect_corrupted(image, "outside the file");
  image = example().build();
  CubinBuilder::put(image, 62, std::uint16_t{999});
  expect_corrupted(image, "no section names");
  image = example().build();
  CubinBuilder::put(image, 58, std::uint16_t{40});
  expect_corrupted(image, "40 bytes");
}

// Shared memory in what nvcc -dc writes: a section without bytes that has a type of NVIDIA's own, where a large array
// reaches beyond the file.
TEST(Cubin, SectionsBeyondTheFileMatterWhereTheyAreRead) {
  std::string image = example().build();
  const auto number = [&](std::size_t at, std::size_t bytes) {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < bytes; ++i) value |= std::uint64_t{static_cast<std::uint8_t>(image[at + i])} << (8 * i);
    return value;
  };
  const std::size_t names = number(62, 2), section = names == 1 ? 2 : 1;
  CubinBuilder::put(image, number(40, 8) + 64 * section + 32, static_cast<std::uint64_t>(image.size()));
  expect_corrupted(image, "outside the file");
  CubinBuilder::put(image, 16, std::uint16_t{1});
  try {
    read_cubin(image);
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::unsupported) << error.what();
  }
}

TEST(Cubin, EveryTruncationIsRefused) {
  const std::string image = example().build();
  for (std::size_t size = 0; size < image.size(); ++size) {
    EXPECT_THROW(read_cubin(std::string_view(image).substr(0, size)), Error) << size;
  }
}

// Damaged bytes either parse or give Error(corrupted); under the address sanitizer this also shows that nothing outside
// is read. The string is copied to its exact size for that.
TEST(Cubin, DamageNeverReadsOutside) {
  const std::string good = example().build();
  Rng rng(1);
  int refused = 0;
  for (int round = 0; round < 20000; ++round) {
    std::vector<char> bytes(good.begin(), good.end());
    const auto changes = 1 + rng.below(6);
    for (std::uint64_t i = 0; i < changes; ++i) bytes[rng.below(bytes.size())] = static_cast<char>(rng.next());
    try {
      read_cubin(std::string_view(bytes.data(), bytes.size()));
    } catch (const Error& error) {
      ASSERT_EQ(error.code(), ErrorCode::corrupted);
      ++refused;
    }
  }
  EXPECT_GT(refused, 100);
  EXPECT_LT(refused, 20000);
}

TEST(PtxasLog, ReadsWhatIsReported) {
  const std::string log =
      "ptxas info    : 4 bytes gmem\n"
      "ptxas info    : Compiling entry function 'callr' for 'sm_90a'\n"
      "ptxas info    : Function properties for callr\n"
      "ptxas         .     160 bytes stack frame, 8 bytes spill stores, 12 bytes spill loads\n"
      "ptxas info    : Used 28 registers, used 2 barriers, 176 bytes cumulative stack size, 400 bytes smem, 364 bytes "
      "cmem[0]\n"
      "ptxas info    : Compile time = 6.771 ms\n"
      "ptxas info    : Function properties for _Z3foofi\n"
      "ptxas         .     999 bytes stack frame, 999 bytes spill stores, 999 bytes spill loads\n"
      "ptxas info    : Compiling entry function 'old' for 'sm_70'\n"
      "ptxas info    : Function properties for old\n"
      "    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads\n"
      "ptxas info    : Used 10 registers, 8 bytes cmem[0]\n";
  const auto reports = parse_ptxas_log(log);
  ASSERT_EQ(reports.size(), 2u);
  EXPECT_EQ(reports[0].symbol, "callr");
  EXPECT_EQ(reports[0].registers, 28);
  EXPECT_EQ(reports[0].barriers, 2);
  EXPECT_EQ(reports[0].stack, Bytes{176});
  EXPECT_EQ(reports[0].spill_stores, Bytes{8});
  EXPECT_EQ(reports[0].spill_loads, Bytes{12});
  EXPECT_EQ(reports[0].static_shared, Bytes{400});
  EXPECT_EQ(reports[1].symbol, "old");
  EXPECT_EQ(reports[1].registers, 10);
  EXPECT_EQ(reports[1].barriers, 0);
  EXPECT_EQ(reports[1].stack, Bytes{0});
  EXPECT_EQ(reports[1].static_shared, Bytes{0});
}

TEST(PtxasLog, SkipsWhatItDoesNotKnow) {
  EXPECT_TRUE(parse_ptxas_log("").empty());
  EXPECT_TRUE(parse_ptxas_log("k.cu(1): error: identifier \"g\" is undefined\nptxas info : Used registers\n").empty());
  const auto reports = parse_ptxas_log(
      "Compiling entry function 'unterminated\n: Used 99999999999999999999999 registers, used x barriers\n"
      " bytes stack frame\n");
  ASSERT_EQ(reports.size(), 1u);
  EXPECT_FALSE(reports[0].registers);
  EXPECT_FALSE(reports[0].stack);
}

}  // namespace
}  // namespace warpwright::cuda
