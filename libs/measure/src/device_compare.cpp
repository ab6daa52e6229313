#include "device_compare.hpp"

#include <algorithm>
#include <array>
#include <span>
#include <string>

#include <warpwright/base/error.hpp>

#include "helper_kernel.hpp"

namespace warpwright::measure {
namespace {

// CUDA C++ and OpenCL C. RAW is the unsigned type of an element's size; IS_FLOATING says whether its value may differ
// within tolerances. Equal bits pass, as on the host. The tolerance is taken a little tighter than the host takes it,
// because a compiler may contract the expression; what lies between the two is looked at there.
constexpr const char* comparison_source = R"(
#ifdef WARPWRIGHT_HELPER_OPENCL
#pragma OPENCL EXTENSION cl_khr_fp64 : enable
#define KERNEL __kernel void
#define GLOBAL __global
#define FIRST get_global_id(0)
#define STEP get_global_size(0)
#define FLOAT_FROM(bits) as_float(bits)
#define DOUBLE_FROM(bits) as_double(bits)
#define FUNCTION
typedef ulong u64;
typedef uint u32;
typedef ushort u16;
typedef uchar u8;
#else
#define KERNEL extern "C" __global__ void
#define GLOBAL
#define FIRST ((u64)blockIdx.x * blockDim.x + threadIdx.x)
#define STEP ((u64)gridDim.x * blockDim.x)
#define FLOAT_FROM(bits) __uint_as_float(bits)
#define DOUBLE_FROM(bits) __longlong_as_double((long long)(bits))
#define FUNCTION __device__
typedef unsigned long long u64;
typedef unsigned int u32;
typedef unsigned short u16;
typedef unsigned char u8;
#endif

#if KIND == 16
// IEEE binary16; infinities and NaN become NaN, which is looked at on the host.
FUNCTION double value(RAW bits) {
  u32 sign = ((u32)bits & 0x8000u) << 16, exponent = (bits >> 10) & 31u, fraction = bits & 1023u;
  if (exponent == 31u) return (double)FLOAT_FROM(0x7fc00000u);
  if (exponent == 0u) return (sign ? -1.0 : 1.0) * (double)fraction * 5.9604644775390625e-8;
  return (double)FLOAT_FROM(sign | ((exponent + 112u) << 23) | (fraction << 13));
}
#elif KIND == 17
FUNCTION double value(RAW bits) { return (double)FLOAT_FROM((u32)bits << 16); }
#elif KIND == 32
FUNCTION double value(RAW bits) { return (double)FLOAT_FROM(bits); }
#elif KIND == 64
FUNCTION double value(RAW bits) { return DOUBLE_FROM(bits); }
#endif

KERNEL suspicious(GLOBAL const RAW* expected, GLOBAL const RAW* found, GLOBAL u32* flag, u64 elements, double rtol,
                  double atol, double anywhere) {
  u32 mine = 0;
  for (u64 i = FIRST; i < elements; i += STEP) {
    RAW e = expected[i], f = found[i];
    if (e == f) continue;
#if KIND != 0
    double x = value(e), y = value(f);
    double magnitude = x < 0 ? -x : x, other = y < 0 ? -y : y, difference = y < x ? x - y : y - x;
    double allowed = atol + rtol * magnitude;
    if (allowed < anywhere) allowed = anywhere;
    // NaN and infinities make one of the comparisons false.
    if (difference <= allowed * 0.999999999999 && magnitude <= 1.7976931348623157e308 &&
        other <= 1.7976931348623157e308)
      continue;
#endif
    mine = 1;
  }
  // A flag: a sum of wrong elements would be 0 again after 2^32 of them. Whoever stores it stores the same.
  if (mine != 0) *flag = 1;
}
)";

struct Format {
  const char* raw;
  const char* kind;
};

Format format_of(DataType type) {
  switch (type) {
    case DataType::int8:
    case DataType::uint8:
      return {"u8", "0"};
    case DataType::int16:
    case DataType::uint16:
      return {"u16", "0"};
    case DataType::int32:
    case DataType::uint32:
      return {"u32", "0"};
    case DataType::int64:
    case DataType::uint64:
      return {"u64", "0"};
    case DataType::float16:
      return {"u16", "16"};
    case DataType::bfloat16:
      return {"u16", "17"};
    case DataType::float32:
      return {"u32", "32"};
    case DataType::float64:
      return {"u64", "64"};
  }
  throw Error(ErrorCode::internal, "unknown data type");
}

constexpr int comparison_block = 256;
// Blocks per multiprocessor: enough to fill any device of today with 256 threads each.
constexpr int comparison_blocks_per_multiprocessor = 8;

}  // namespace

DeviceComparer::DeviceComparer(device::Context& context, device::Compiler& compiler, device::Stream& stream)
    : context_(context), compiler_(compiler), stream_(stream) {
  if (!context.device().supports_float64)
    throw Error(ErrorCode::unsupported, "the device has no double arithmetic to compare outputs with");
  flag_ = context.allocate(Bytes{sizeof(std::uint32_t)});
}

DeviceComparer::~DeviceComparer() = default;

const device::Kernel& DeviceComparer::kernel(DataType type) {
  Program& program = programs_[type];
  if (!program.kernel) {
    const Format format = format_of(type);
    HelperKernel helper = load_helper_kernel(
        context_, compiler_,
        {"output comparison", "suspicious", comparison_source, "", {{"RAW", format.raw}, {"KIND", format.kind}}});
    program.module = std::move(helper.module);
    program.kernel = std::move(helper.kernel);
  }
  return *program.kernel;
}

bool DeviceComparer::surely_equal(const device::Buffer& expected, const device::Buffer& found, Bytes size,
                                  DataType type, const Tolerance& tolerance) {
  return flag_after(expected, found, size, type, tolerance) == 0;
}

std::uint32_t DeviceComparer::flag_after(const device::Buffer& expected, const device::Buffer& found, Bytes size,
                                         DataType type, const Tolerance& tolerance) {
  const device::Kernel& compare_kernel = kernel(type);
  const std::uint64_t elements = size.count / size_of(type);
  const std::int64_t wanted = static_cast<std::int64_t>((elements + comparison_block - 1) / comparison_block);
  const std::int64_t most =
      std::int64_t{comparison_blocks_per_multiprocessor} * std::max(1, context_.device().multiprocessors);
  device::LaunchConfig config;
  config.block = {comparison_block, 1, 1};
  config.grid = {std::clamp<std::int64_t>(wanted, 1, most), 1, 1};
  const std::array<device::KernelArgument, 7> arguments{&expected,
                                                        &found,
                                                        flag_.get(),
                                                        device::ScalarArgument::of(elements),
                                                        device::ScalarArgument::of(tolerance.rtol),
                                                        device::ScalarArgument::of(tolerance.atol),
                                                        device::ScalarArgument::of(tolerance.anywhere)};
  stream_.fill(*flag_, Bytes{0}, flag_->size(), 0);
  stream_.launch(compare_kernel, config, arguments);
  std::uint32_t suspicious = 0;
  stream_.copy_to_host(std::as_writable_bytes(std::span(&suspicious, 1)), *flag_, Bytes{0});
  stream_.synchronize();
  return suspicious;
}

}  // namespace warpwright::measure
