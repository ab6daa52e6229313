// A fault of the device. A program of its own, because nothing works in a process after one.
#include <gmock/gmock.h>

#include "gpu.hpp"

namespace warpwright::cuda {
namespace {

using ::testing::HasSubstr;

class CudaGpuFault : public GpuTest {};

TEST_F(CudaGpuFault, AnIllegalAddressIsADeviceErrorAndDestructorsSurvive) {
  const auto module = context->load(
      compile("extern \"C\" __global__ void fault(int* a, long long offset) { a[offset] = 1; }", {"fault"}));
  const auto kernel = module->kernel("fault");
  auto buffer = context->allocate(Bytes{64});
  auto pinned = context->allocate_pinned(Bytes{64});
  auto event = context->create_event();
  const device::KernelArgument arguments[] = {buffer.get(), device::ScalarArgument::of(std::int64_t{1} << 44)};
  stream->launch(*kernel, geometry(1, 1), arguments);
  const Error error = error_of([&] { stream->synchronize(); });
  EXPECT_EQ(error.code(), ErrorCode::device) << error.what();
  ASSERT_TRUE(error.native().has_value());
  EXPECT_EQ(error.native()->name, "CUDA_ERROR_ILLEGAL_ADDRESS");
  EXPECT_THAT(error.what(), HasSubstr("the device failed"));
  // Everything that follows fails in the same way, whatever it is.
  EXPECT_EQ(error_of([&] { context->allocate(Bytes{64}); }).code(), ErrorCode::device);
  EXPECT_EQ(error_of([&] { stream->launch(*kernel, geometry(1, 1), arguments); }).code(), ErrorCode::device);
  EXPECT_EQ(error_of([&] { context->synchronize(); }).code(), ErrorCode::device);
}

}  // namespace
}  // namespace warpwright::cuda
