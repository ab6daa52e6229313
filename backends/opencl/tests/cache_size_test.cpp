#include "cache_size.hpp"

#include <gtest/gtest.h>

#include "device_query.hpp"
#include "fake_opencl.hpp"

namespace warpwright::opencl {
namespace {

constexpr std::uint64_t mebibyte = 1 << 20;
const std::string no_library = "/nowhere/libcuda.so.1";

DeviceInfo gpu(const std::string& architecture, const std::string& bus = "0000:3b:00.0") {
  DeviceInfo info;
  info.kind = DeviceKind::gpu;
  info.architecture = architecture;
  info.pci_bus_id = bus;
  return info;
}

struct Found {
  std::uint64_t mebibytes;
  std::string source;
  bool operator==(const Found&) const = default;
};
std::ostream& operator<<(std::ostream& out, const Found& found) {
  return out << found.mebibytes << " MiB from '" << found.source << "'";
}
Found found(DeviceInfo info, Bytes reported, const std::string& library) {
  find_cache_size(info, reported, library);
  return {info.l2_cache.value_or(Bytes{}).count / mebibyte, info.l2_cache_source};
}

TEST(CacheSize, OfAnNvidiaCardComesFromItsCudaDriver) {
  // 4.12 MiB is what NVIDIA's OpenCL says about an H200.
  const Bytes reported{4325376};
  EXPECT_EQ(found(gpu("sm_90"), reported, FAKE_CARD_LIBRARY), (Found{60, "CUDA driver"}));
  EXPECT_EQ(found(gpu("sm_86", "0000:99:00.0"), reported, FAKE_CARD_LIBRARY), (Found{6, "table"})) << "another card";
  EXPECT_EQ(found(gpu("sm_90"), reported, no_library), (Found{60, "table"}));
  EXPECT_EQ(found(gpu("sm_90", ""), reported, FAKE_CARD_LIBRARY), (Found{60, "table"}));
  EXPECT_EQ(found(gpu("sm_999"), reported, no_library), (Found{0, ""})) << "left to be measured";
}

TEST(CacheSize, TheCudaDriverAlsoTellsTheMemory) {
  DeviceInfo info = gpu("sm_90");
  find_cache_size(info, Bytes{}, FAKE_CARD_LIBRARY);
  EXPECT_EQ(info.memory_clock_mhz, 3201);
  EXPECT_EQ(info.memory_bus_bits, 6144);
}

TEST(CacheSize, AmdsAnswerIsNotBelieved) {
  const Bytes one_l1{16 << 10};
  EXPECT_EQ(found(gpu("gfx90a:sramecc+:xnack-"), one_l1, no_library), (Found{8, "table"}));
  EXPECT_EQ(found(gpu("gfx942"), one_l1, no_library), (Found{256, "table"}));
  EXPECT_EQ(found(gpu("gfx9999"), one_l1, no_library), (Found{0, ""}));
}

TEST(CacheSize, OthersAreBelieved) {
  DeviceInfo cpu = gpu("OpenCL 1.2 PoCL");
  cpu.kind = DeviceKind::cpu;
  EXPECT_EQ(found(cpu, Bytes{32 * mebibyte}, no_library), (Found{32, "OpenCL"}));
  EXPECT_EQ(found(gpu("OpenCL 3.0 NEO"), Bytes{16 * mebibyte}, no_library), (Found{16, "OpenCL"}));
  EXPECT_EQ(found(gpu("OpenCL 3.0 NEO"), Bytes{}, no_library), (Found{0, ""}));
}

TEST(CacheSize, IsFilledInByTheEnumeration) {
  FakeOpencl::cuda_library = FAKE_CARD_LIBRARY;
  FakeOpencl fake;
  FakeOpencl::cuda_library.clear();
  fake.set_text(abi::device_extensions, "cl_nv_device_attribute_query");
  fake.set(abi::device_compute_capability_major_nv, abi::Uint{9});
  fake.set(abi::device_compute_capability_minor_nv, abi::Uint{0});
  fake.set(abi::device_pci_bus_id_nv, abi::Uint{0x3b});
  fake.set(abi::device_pci_slot_id_nv, abi::Uint{0});
  fake.set(abi::device_global_mem_cache_size, abi::Ulong{4325376});
  const Enumeration enumeration = enumerate(*fake.api());
  ASSERT_EQ(enumeration.devices.size(), 1u);
  EXPECT_EQ(enumeration.devices[0].info.l2_cache, Bytes{60 * mebibyte});
  EXPECT_EQ(enumeration.devices[0].info.l2_cache_source, "CUDA driver");
}

}  // namespace
}  // namespace warpwright::opencl
