#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <numeric>
#include <vector>

#include <warpwright/devices/devices.hpp>

#include "error_of.hpp"

namespace warpwright::devices {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

TEST(Devices, AllBackendsAreThere) {
  const device::BackendRegistry backends = all_backends();
  for (const char* name : {"cuda", "opencl", "sim"}) EXPECT_EQ(backends.find(name).name(), name);
}

TEST(Devices, AnOpenDeviceGivesBackWhatItGot) {
  OpenDevice first = open_device("sim:0");
  OpenDevice device = std::move(first);
  EXPECT_EQ(device.info().id.to_string(), "sim:0");
  EXPECT_EQ(device.backend().name(), "sim");
  std::vector<int> values(1000), back(500), tail(1001);
  std::iota(values.begin(), values.end(), 1);
  const auto buffer = device.upload<int>(values);
  EXPECT_EQ(buffer->size(), Bytes{4000});
  const std::vector<int> copy = values;
  std::fill(values.begin(), values.end(), 0);  // not needed any more
  device.download<int>(*buffer, back);
  EXPECT_TRUE(std::equal(back.begin(), back.end(), copy.begin()));
  EXPECT_THAT(refusal([&] { device.download<int>(*buffer, tail); }), HasSubstr("4004 bytes were asked of a buffer"));
  EXPECT_EQ(device.allocate<double>(3)->size(), Bytes{24});
  EXPECT_THAT(refusal([&] { device.allocate<int>(0); }), HasSubstr("0 elements"));
  EXPECT_EQ(error_of([&] { device.allocate<int>(~std::size_t{0} / 2); }).code(), ErrorCode::out_of_memory);
  EXPECT_EQ(&device.stream(), &device.stream());
}

TEST(Devices, WhatIsNotThereIsTold) {
  EXPECT_EQ(error_of([] { open_device("sim:7"); }).code(), ErrorCode::not_found);
  EXPECT_EQ(error_of([] { open_device("cuba:0"); }).code(), ErrorCode::not_found);
  EXPECT_EQ(error_of([] { open_device("nonsense"); }).code(), ErrorCode::bad_input);
}

// The best device of this machine, or what is missing for one; never a simulated one.
TEST(Devices, TheBestDeviceIsReal) {
  if (const auto best = all_backends().best_device()) {
    OpenDevice device = open_best_device();
    EXPECT_EQ(device.info().id, best->id);
    EXPECT_NE(device.info().kind, DeviceKind::simulated);
    const std::vector<float> values{1, 2, 3};
    std::vector<float> back(3);
    device.download<float>(*device.upload<float>(values), back);
    EXPECT_EQ(back, values);
  } else {
    EXPECT_THAT(message_of(ErrorCode::unavailable, [] { open_best_device(); }),
                AllOf(HasSubstr("no device to compute on"), HasSubstr("cuda: "), HasSubstr("opencl: ")));
  }
}

}  // namespace
}  // namespace warpwright::devices
