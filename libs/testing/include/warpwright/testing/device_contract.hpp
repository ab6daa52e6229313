// The contract of every backend, as one parameterised GoogleTest suite: what <warpwright/device/context.hpp> promises,
// asked of a real device. One test body serves all backends, so that code written against one runs on the others.
//
// Use: include this header in ONE source of a test program linked with GoogleTest, and there
//
//   namespace warpwright::test {
//   INSTANTIATE_TEST_SUITE_P(Mine, DeviceContract, ::testing::Values(my_case()), contract_name);
//   }
//
// A case whose backend is not usable is skipped with probe().reason; with WARPWRIGHT_REQUIRE_DEVICE=<backend> in the
// environment it fails instead. Kernel sources for CUDA and OpenCL are in contract/sources.hpp.
#pragma once

// IWYU pragma: begin_exports
#include <warpwright/testing/contract/fixture.hpp>
#include <warpwright/testing/contract/images.hpp>
#include <warpwright/testing/contract/launches.hpp>
#include <warpwright/testing/contract/memory.hpp>
#include <warpwright/testing/contract/programs.hpp>
#include <warpwright/testing/contract/sources.hpp>
#include <warpwright/testing/contract/streams.hpp>
// IWYU pragma: end_exports
