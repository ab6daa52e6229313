// Every OpenCL call fails once: the error has the right code and the driver's own, nothing leaks, nothing crashes.
#include <filesystem>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <optional>

#include <warpwright/base/error.hpp>

#include "backend.hpp"
#include "error_of.hpp"
#include "fake_opencl.hpp"
#include "include_links.hpp"
#include "program.hpp"

namespace warpwright::opencl {
namespace {

using device::KernelArgument;
using device::LaunchConfig;
using device::ScalarArgument;
using ::testing::HasSubstr;
using ::testing::StartsWith;

const DeviceId device_id{"opencl", {0, 0}};

device::CompileJob job() {
  device::CompileJob result;
  result.source = "the source\n";
  result.file_name = "fake.cl";
  result.entries = {"add"};
  return result;
}

// Everything the backend can do, once or twice.
void use_everything(FakeOpencl& fake) {
  fake.give_images(64, 64);
  auto backend = make_backend(fake.api());
  static_cast<void>(backend->probe());
  auto context = backend->open(device_id);
  const Binary binary = backend->compiler(context->device())->compile(job());
  auto module = context->load(binary);
  auto kernel = module->kernel("add");
  auto buffer = context->allocate(Bytes{64}), other = context->allocate(Bytes{64});
  auto part = context->view(*buffer, Bytes{}, Bytes{32});
  auto pinned = context->allocate_pinned(Bytes{64});
  auto stream = context->create_stream(), second = context->create_stream();
  auto start = context->create_event(), stop = context->create_event();
  stream->record(*start);
  stream->copy_to_device(*buffer, Bytes{}, pinned->bytes());
  stream->fill(*buffer, Bytes{}, Bytes{64}, 1);
  stream->launch(*kernel, LaunchConfig{}, std::vector<KernelArgument>{buffer.get(), ScalarArgument::of(1)});
  LaunchConfig with_local;
  with_local.dynamic_shared = Bytes{128};
  stream->launch(*kernel, with_local, std::vector<KernelArgument>{buffer.get()});
  if (context->device().offers_images()) {  // which a device may keep to itself
    auto image = context->create_image({{4, DataType::uint8, true}, 4, 4}, device::ImageUse::write);
    auto sampler = context->create_sampler({});
    const device::Image* pixels = image.get();
    const device::Sampler* look = sampler.get();
    stream->copy_to_image(*image, *buffer, Bytes{});
    stream->launch(*kernel, LaunchConfig{}, std::vector<KernelArgument>{pixels, look});
    stream->copy_from_image(*buffer, Bytes{}, *image);
  }
  stream->copy_on_device(*other, Bytes{}, *buffer, Bytes{}, Bytes{64});
  stream->copy_to_host(pinned->bytes(), *other, Bytes{});
  stream->record(*stop);
  second->wait(*stop);
  stop->synchronize();
  static_cast<void>(stop->done());
  static_cast<void>(stop->elapsed_since(*start));
  static_cast<void>(stream->idle());
  second->synchronize();
  context->synchronize();
}

TEST(OpenclFailures, NothingLeaksWhenAllIsWell) {
  FakeOpencl fake;
  use_everything(fake);
  EXPECT_EQ(fake.live(), 0u);
  EXPECT_EQ(fake.misuses, 0);
}

struct Expectation {
  const char* function;
  // Codes that the calls of this function may give under CL_OUT_OF_RESOURCES; empty: the backend goes on without it.
  std::vector<ErrorCode> codes;
};

TEST(OpenclFailures, EachCallMayFail) {
  const std::vector<Expectation> expectations{
      // A driver that does not list devices is missing, and devices may keep facts to themselves.
      {"clGetPlatformIDs", {ErrorCode::unavailable}},
      {"clGetDeviceIDs", {ErrorCode::unavailable}},
      {"clGetPlatformInfo", {}},
      {"clGetDeviceInfo", {}},
      {"clCreateContext", {ErrorCode::unavailable}},
      {"clCreateCommandQueue", {ErrorCode::out_of_memory}},
      {"clCreateBuffer", {ErrorCode::out_of_memory}},
      {"clCreateSubBuffer", {ErrorCode::out_of_memory}},
      {"clGetSupportedImageFormats", {ErrorCode::device}},
      {"clCreateImage", {ErrorCode::out_of_memory}},
      {"clCreateSampler", {ErrorCode::out_of_memory}},
      {"clEnqueueCopyBufferToImage", {ErrorCode::device}},
      {"clEnqueueCopyImageToBuffer", {ErrorCode::device}},
      {"clReleaseSampler", {}},
      {"clEnqueueMapBuffer", {ErrorCode::out_of_memory}},
      {"clEnqueueUnmapMemObject", {}},
      {"clCreateProgramWithSource", {ErrorCode::compile}},
      {"clCreateProgramWithBinary", {ErrorCode::out_of_memory}},
      {"clBuildProgram", {ErrorCode::compile, ErrorCode::out_of_memory}},
      {"clGetProgramInfo", {ErrorCode::device}},
      {"clGetProgramBuildInfo", {}},
      {"clCreateKernel", {ErrorCode::out_of_memory}},
      {"clGetKernelInfo", {ErrorCode::device}},
      {"clGetKernelWorkGroupInfo", {}},
      {"clGetKernelArgInfo", {}},
      {"clSetKernelArg", {ErrorCode::launch}},
      {"clEnqueueNDRangeKernel", {ErrorCode::launch}},
      {"clEnqueueWriteBuffer", {ErrorCode::device}},
      {"clEnqueueReadBuffer", {ErrorCode::device}},
      {"clEnqueueCopyBuffer", {ErrorCode::device}},
      {"clEnqueueFillBuffer", {ErrorCode::device}},
      {"clEnqueueMarkerWithWaitList", {ErrorCode::device}},
      {"clEnqueueBarrierWithWaitList", {ErrorCode::device}},
      {"clFlush", {ErrorCode::device}},
      {"clFinish", {ErrorCode::device}},
      {"clWaitForEvents", {ErrorCode::device}},
      {"clGetEventInfo", {ErrorCode::device}},
      {"clGetEventProfilingInfo", {ErrorCode::device}},
      {"clReleaseContext", {}},
      {"clReleaseCommandQueue", {}},
      {"clReleaseMemObject", {}},
      {"clReleaseProgram", {}},
      {"clReleaseKernel", {}},
      {"clReleaseEvent", {}},
  };
  std::size_t functions = 0;
#define WARPWRIGHT_COUNT(member, symbol, type) ++functions;
  WARPWRIGHT_OPENCL_FUNCTIONS(WARPWRIGHT_COUNT)
#undef WARPWRIGHT_COUNT
  EXPECT_EQ(expectations.size(), functions) << "a function of the table is not tested";

  for (const auto& [function, codes] : expectations) {
    int calls = 0;
    {
      FakeOpencl fake;
      use_everything(fake);
      calls = fake.calls(function);
    }
    ASSERT_GT(calls, 0) << function << " is never called";
    bool thrown = false;
    for (int nth = 1; nth <= calls; ++nth) {
      SCOPED_TRACE(std::string(function) + " number " + std::to_string(nth));
      FakeOpencl fake;
      fake.fail(function, nth, abi::out_of_resources);
      try {
        use_everything(fake);
      } catch (const Error& error) {
        thrown = true;
        EXPECT_THAT(codes, ::testing::Contains(error.code())) << error.what();
        EXPECT_THAT(error.what(), HasSubstr("CL_OUT_OF_RESOURCES"));
        if (error.code() != ErrorCode::unavailable || std::string(function) == "clCreateContext") {
          ASSERT_TRUE(error.native().has_value());
          EXPECT_EQ(error.native()->code, -5);
          EXPECT_EQ(error.native()->name, "CL_OUT_OF_RESOURCES");
          EXPECT_THAT(error.what(), HasSubstr(function));
        }
      }
      EXPECT_EQ(fake.live(), 0u) << "objects leak";
      EXPECT_EQ(fake.misuses, 0) << "objects were used or released after they were gone";
    }
    EXPECT_EQ(thrown, !codes.empty()) << function;
  }
}

ErrorCode code_of(abi::Int status, Stage stage) {
  return error_of([&] { check(status, stage, "clSomething", "do something"); }).code();
}

TEST(OpenclErrors, CodesDependOnWhatWasDone) {
  EXPECT_NO_THROW(check(abi::success, Stage::launch, "clSomething"));
  for (const auto status : {abi::out_of_resources, abi::invalid_work_group_size, abi::invalid_work_item_size,
                            abi::invalid_work_dimension, abi::invalid_global_work_size, abi::invalid_kernel_args})
    EXPECT_EQ(code_of(status, Stage::launch), ErrorCode::launch) << status;
  EXPECT_EQ(code_of(abi::invalid_command_queue, Stage::launch), ErrorCode::device);
  for (const auto stage : {Stage::query, Stage::allocate, Stage::launch, Stage::copy, Stage::wait}) {
    EXPECT_EQ(code_of(abi::mem_object_allocation_failure, stage), ErrorCode::out_of_memory);
    EXPECT_EQ(code_of(abi::out_of_host_memory, stage), ErrorCode::out_of_memory);
    EXPECT_EQ(code_of(abi::exec_status_error_for_events_in_wait_list, stage), ErrorCode::device);
    EXPECT_EQ(code_of(abi::nvidia_illegal_access, stage), ErrorCode::device);
  }
  EXPECT_EQ(code_of(abi::invalid_buffer_size, Stage::allocate), ErrorCode::out_of_memory);
  EXPECT_EQ(code_of(abi::invalid_context, Stage::allocate), ErrorCode::device);
  EXPECT_EQ(code_of(abi::build_program_failure, Stage::build), ErrorCode::compile);
  EXPECT_EQ(code_of(abi::compiler_not_available, Stage::build), ErrorCode::unavailable);
  EXPECT_EQ(code_of(abi::invalid_binary, Stage::load), ErrorCode::bad_input);
  EXPECT_EQ(code_of(abi::invalid_arg_size, Stage::argument), ErrorCode::bad_input);
  EXPECT_EQ(code_of(abi::device_not_available, Stage::open), ErrorCode::unavailable);
  const Error error = error_of([] { check(-77, Stage::wait, "clFinish", "wait"); });
  EXPECT_EQ(error.code(), ErrorCode::device);
  EXPECT_THAT(error.what(), HasSubstr("cannot wait: clFinish failed (CL_UNKNOWN_ERROR, code -77)"));
}

// ---- behaviour that needs a driver one can look into
// ------------------------------------------------------------------

class FakeDevice : public ::testing::Test {
 protected:
  void open() {
    backend_ = make_backend(fake_.api());
    context_ = backend_->open(device_id);
    compiler_ = backend_->compiler(context_->device());
    stream_ = context_->create_stream();
    buffer_ = context_->allocate(Bytes{1024});
  }
  void work() { stream_->fill(*buffer_, Bytes{}, Bytes{64}, 1); }

  FakeOpencl fake_;
  std::unique_ptr<device::Backend> backend_;
  std::unique_ptr<device::Context> context_;
  std::unique_ptr<device::Compiler> compiler_;
  std::unique_ptr<device::Stream> stream_;
  std::unique_ptr<device::Buffer> buffer_;
};

TEST_F(FakeDevice, ElapsedTimeIsFromTheFirstStartToTheLastEnd) {
  open();
  auto start = context_->create_event(), stop = context_->create_event(), late = context_->create_event();
  work();
  stream_->record(*start);
  // Each command starts 1000 after the one before ended and takes 500.
  work();
  work();
  stream_->record(*stop);
  work();
  stream_->record(*late);
  EXPECT_EQ(stop->elapsed_since(*start), Nanoseconds{500 + 1000 + 500});
  EXPECT_EQ(late->elapsed_since(*stop), Nanoseconds{500});
  EXPECT_EQ(stop->elapsed_since(*stop), Nanoseconds{0});
}

TEST_F(FakeDevice, ElapsedTimeOfNothingIsNothing) {
  open();
  auto start = context_->create_event(), stop = context_->create_event();
  stream_->record(*start);
  stream_->record(*stop);
  work();  // the first work after both
  EXPECT_EQ(stop->elapsed_since(*start), Nanoseconds{0});
}

TEST_F(FakeDevice, ElapsedTimeOfTheFirstWorkOfAStream) {
  open();
  auto start = context_->create_event(), stop = context_->create_event();
  stream_->record(*start);
  work();
  stream_->record(*stop);
  EXPECT_EQ(stop->elapsed_since(*start), Nanoseconds{500});
}

TEST_F(FakeDevice, WaitingIsNoWork) {
  open();
  auto start = context_->create_event(), stop = context_->create_event(), other = context_->create_event();
  auto second = context_->create_stream();
  second->record(*other);
  work();
  stream_->record(*start);
  stream_->wait(*other);
  work();
  stream_->record(*stop);
  EXPECT_EQ(stop->elapsed_since(*start), Nanoseconds{500});
}

TEST_F(FakeDevice, ElapsedTimeAcrossStreamsFallsBackToTheEndBefore) {
  open();
  auto start = context_->create_event(), stop = context_->create_event();
  auto second = context_->create_stream();
  work();  // ends at 1500
  stream_->record(*start);
  second->fill(*buffer_, Bytes{}, Bytes{64}, 1);  // ends at 3000
  second->record(*stop);
  work();  // starts at 4000, after `stop`
  EXPECT_EQ(stop->elapsed_since(*start), Nanoseconds{1500});
}

TEST_F(FakeDevice, UnfinishedEventsHaveNoTime) {
  open();
  auto start = context_->create_event(), stop = context_->create_event();
  stream_->record(*start);
  fake_.status = 1;  // CL_RUNNING
  work();
  stream_->record(*stop);
  EXPECT_FALSE(stop->done());
  EXPECT_FALSE(stream_->idle());
  EXPECT_EQ(error_of([&] { static_cast<void>(stop->elapsed_since(*start)); }).code(), ErrorCode::conflict);
  EXPECT_GT(fake_.calls("clFlush"), 1) << "nobody told the driver to begin";
}

TEST_F(FakeDevice, AFailedCommandIsSeenWhenWaiting) {
  open();
  auto start = context_->create_event(), stop = context_->create_event();
  stream_->record(*start);
  fake_.status = abi::nvidia_illegal_access;
  work();
  stream_->record(*stop);
  fake_.status = abi::complete;
  work();  // later commands look fine
  EXPECT_TRUE(stop->done()) << "it ended, badly";
  const Error error = error_of([&] { static_cast<void>(stop->elapsed_since(*start)); });
  EXPECT_EQ(error.code(), ErrorCode::device);
  EXPECT_EQ(error_of([&] { stream_->synchronize(); }).code(), ErrorCode::device);
}

// A link in a folder that others can write to could lead to other headers.
TEST(IncludeLinks, AreMadeInAFolderOfThisUserAlone) {
  const auto place = std::filesystem::temp_directory_path() / "warpwright-links-test";
  std::filesystem::remove_all(place);
  IncludeLinks links(place);
  EXPECT_EQ(links.plain("/usr/include"), "/usr/include");
  EXPECT_FALSE(std::filesystem::exists(place));
  const std::string link = links.plain("/a b/\"c\"");
  EXPECT_EQ(std::filesystem::read_symlink(link), "/a b/\"c\"");
  EXPECT_EQ(link.find_first_of(" \"'\\"), std::string::npos);
  EXPECT_EQ(links.plain("/a b/\"c\""), link);
  EXPECT_EQ(IncludeLinks(place).plain("/a b/\"c\""), link) << "another process compiles with it, too";
  EXPECT_EQ(links.with_folders("in " + link + "/h.h:1"), "in /a b/\"c\"/h.h:1");

  std::filesystem::remove(link);
  std::filesystem::create_symlink("/elsewhere", link);
  EXPECT_EQ(error_of([&] { IncludeLinks(place).plain("/a b/\"c\""); }).code(), ErrorCode::io);
  std::filesystem::permissions(place, std::filesystem::perms::all);
  const Error error = error_of([&] { IncludeLinks(place).plain("/another b"); });
  EXPECT_EQ(error.code(), ErrorCode::io);
  EXPECT_THAT(error.what(), HasSubstr("'/another b' has blanks"));
  std::filesystem::remove_all(place);
}

TEST_F(FakeDevice, CommandsThatEndedAreForgotten) {
  open();
  const std::size_t before = fake_.live();
  for (int i = 0; i < 10000; ++i) work();
  EXPECT_LT(fake_.live(), before + 200);
  stream_->synchronize();
  EXPECT_LE(fake_.live(), before + 1);
}

TEST_F(FakeDevice, CompileOptionsAndSource) {
  open();
  device::CompileJob full = job();
  full.file_name = "dir/a \"b\".cl";
  full.defines = {{"A", "1"}, {"T", "unsigned int"}, {"M", "x +\ny"}};
  full.include_folders = {"/plain", "/with space"};
  full.options = {"-cl-fast-relaxed-math"};
  compiler_->compile(full);
  EXPECT_THAT(
      fake_.options,
      testing::MatchesRegex("-cl-std=CL1\\.2 -cl-kernel-arg-info -I /plain -I /tmp/warpwright-include-[0-9]+/[0-9a-f]+ "
                            "-cl-fast-relaxed-math"));
  EXPECT_EQ(fake_.source,
            "#define A 1\n#define T unsigned int\n#define M x +\\\ny\n#line 1 \"dir/a \\\"b\\\".cl\"\nthe source\n");
  full.options = {"-cl-std=CL3.0"};
  full.include_folders.clear();
  full.file_name.clear();
  full.defines.clear();
  const Binary binary = compiler_->compile(full);
  EXPECT_EQ(fake_.options, "-cl-kernel-arg-info -cl-std=CL3.0");
  EXPECT_EQ(fake_.source, "#line 1\nthe source\n");
  EXPECT_EQ(binary.image, "code");
  EXPECT_EQ(binary.format, "clbin");
  EXPECT_TRUE(compiler_->needs_device());
  EXPECT_EQ(compiler_->version(), "OpenCL C 1.2 OpenCL 3.0 Fake 1.0, driver 1.0");
}

TEST_F(FakeDevice, ABuildFailureIsTheLog) {
  open();
  fake_.build_log = "fake.cl:3: error: no\n\n";
  fake_.fail("clBuildProgram", 1, abi::build_program_failure);
  Error error = error_of([&] { compiler_->compile(job()); });
  EXPECT_EQ(error.code(), ErrorCode::compile);
  EXPECT_EQ(error.message(), "fake.cl:3: error: no");
  EXPECT_EQ(error.native()->name, "CL_BUILD_PROGRAM_FAILURE");
  fake_.build_log.clear();
  fake_.fail("clBuildProgram", 2, abi::invalid_build_options);
  error = error_of([&] { compiler_->compile(job()); });
  EXPECT_EQ(error.code(), ErrorCode::compile);
  EXPECT_THAT(error.message(), HasSubstr("compile fake.cl with options '-cl-std=CL1.2 -cl-kernel-arg-info'"));
  EXPECT_THAT(error.message(), HasSubstr("no log"));
  fake_.fail("clBuildProgram", 3, abi::compiler_not_available);
  EXPECT_EQ(error_of([&] { compiler_->compile(job()); }).code(), ErrorCode::unavailable);
}

TEST_F(FakeDevice, LaunchesPassGeometryAndCheckArguments) {
  open();
  auto module = context_->load(compiler_->compile(job()));
  auto kernel = module->kernel("add");
  LaunchConfig config;
  config.block = {8, 4, 1};
  config.grid = {3, 2, 1};
  const std::vector<KernelArgument> two{buffer_.get(), ScalarArgument::of(1)}, one{buffer_.get()};
  stream_->launch(*kernel, config, two);
  EXPECT_EQ(fake_.global, (std::vector<std::size_t>{24, 8}));
  EXPECT_EQ(fake_.local, (std::vector<std::size_t>{8, 4}));
  Error error = error_of([&] { stream_->launch(*kernel, config, one); });
  EXPECT_EQ(error.code(), ErrorCode::bad_input);
  EXPECT_THAT(error.what(), HasSubstr("dynamic shared memory is 0"));
  config.dynamic_shared = Bytes{16};
  stream_->launch(*kernel, config, one);
  error = error_of([&] { stream_->launch(*kernel, config, two); });
  EXPECT_EQ(error.code(), ErrorCode::bad_input);
  config.dynamic_shared = Bytes{(48 << 10) + 1};
  EXPECT_EQ(error_of([&] { stream_->launch(*kernel, config, one); }).code(), ErrorCode::launch);
  config.dynamic_shared = Bytes{};
  config.grid = {std::int64_t{1} << 62, 1, 1};
  EXPECT_EQ(error_of([&] { stream_->launch(*kernel, config, two); }).code(), ErrorCode::launch);
  fake_.fail("clEnqueueNDRangeKernel", fake_.calls("clEnqueueNDRangeKernel") + 1, abi::invalid_work_group_size);
  config.grid = {1, 1, 1};
  error = error_of([&] { stream_->launch(*kernel, config, two); });
  EXPECT_THAT(error.what(), HasSubstr("block (8,4,1) and grid (1,1,1) (its blocks may have 256 threads)"));
  EXPECT_EQ(error.native()->name, "CL_INVALID_WORK_GROUP_SIZE");
  error = error_of([&] { static_cast<void>(module->kernel("ad")); });
  EXPECT_EQ(error.code(), ErrorCode::not_found);
  EXPECT_THAT(error.what(), HasSubstr("did you mean 'add'?; it has: add, scale"));
}

TEST_F(FakeDevice, ParametersAreThoseTheCompilerTold) {
  using Kind = KernelParameter::Kind;
  fake_.parameters = 5;
  fake_.parameter_types = {{abi::kernel_arg_address_global, "float*"},
                           {abi::kernel_arg_address_constant, "uint4*"},
                           {abi::kernel_arg_address_private, "unsigned int"},
                           {abi::kernel_arg_address_private, "pair"},
                           {abi::kernel_arg_address_local, "float*"}};
  open();
  const Binary binary = compiler_->compile(job());
  // A program made from the binary does not tell them again.
  fake_.parameter_types.clear();
  const auto kernel = context_->load(binary)->kernel("add");
  const auto parameters = kernel->parameters();
  ASSERT_TRUE(parameters);
  ASSERT_EQ(parameters->size(), 5u);
  EXPECT_EQ((*parameters)[0].kind, Kind::buffer);
  EXPECT_EQ((*parameters)[0].type, DataType::float32);
  EXPECT_EQ((*parameters)[0].text, "float*");
  EXPECT_EQ((*parameters)[1].kind, Kind::buffer);
  EXPECT_EQ((*parameters)[1].type, DataType::uint32);
  EXPECT_EQ((*parameters)[1].components, 4);
  EXPECT_EQ((*parameters)[1].text, "__constant uint4*");
  EXPECT_EQ((*parameters)[2].kind, Kind::scalar);
  EXPECT_EQ((*parameters)[2].type, DataType::uint32);
  EXPECT_EQ((*parameters)[2].size, Bytes{4});
  EXPECT_EQ((*parameters)[3].kind, Kind::scalar);
  EXPECT_FALSE((*parameters)[3].type || (*parameters)[3].size);
  EXPECT_EQ((*parameters)[4].kind, Kind::local);
  // Without the compiler's word their number is known.
  const auto untold = context_->load(compiler_->compile(job()))->kernel("add")->parameters();
  ASSERT_TRUE(untold);
  EXPECT_EQ(untold->size(), 5u);
  EXPECT_EQ(untold->front().kind, Kind::unknown);
}

TEST_F(FakeDevice, ParametersThatAreImagesAndSamplers) {
  using Kind = KernelParameter::Kind;
  fake_.parameters = 5;
  fake_.parameter_types = {{abi::kernel_arg_address_global, "image2d_t"},
                           {abi::kernel_arg_address_private, "sampler_t"},
                           {abi::kernel_arg_address_global, "image2d_t"},
                           {abi::kernel_arg_address_global, "image3d_t"},
                           {abi::kernel_arg_address_global, "image2d_t"}};
  fake_.access = {{0, abi::kernel_arg_access_read_only},
                  {2, abi::kernel_arg_access_write_only},
                  {3, abi::kernel_arg_access_read_only},
                  {4, abi::kernel_arg_access_read_write}};
  open();
  const auto parameters = context_->load(compiler_->compile(job()))->kernel("add")->parameters();
  ASSERT_TRUE(parameters);
  std::vector<Kind> kinds;
  std::vector<bool> writable;
  for (const auto& parameter : *parameters) {
    kinds.push_back(parameter.kind);
    writable.push_back(parameter.writable);
  }
  EXPECT_THAT(kinds, ::testing::ElementsAre(Kind::image, Kind::sampler, Kind::image, Kind::other, Kind::image));
  EXPECT_THAT(writable, ::testing::ElementsAre(false, false, true, false, true));
  EXPECT_EQ((*parameters)[0].text, "read_only image2d_t");
  EXPECT_EQ((*parameters)[1].text, "sampler_t");
  EXPECT_EQ((*parameters)[2].text, "write_only image2d_t");
  EXPECT_EQ((*parameters)[4].text, "read_write image2d_t");
}

TEST_F(FakeDevice, ImagesAreThoseOfTheDevice) {
  open();
  EXPECT_FALSE(context_->device().offers_images());
  EXPECT_TRUE(context_->image_formats(device::ImageUse::read).empty());
  const ImageFormat bytes{4, DataType::uint8, true};
  Error error = error_of([&] { static_cast<void>(context_->create_image({bytes, 2, 2}, device::ImageUse::read)); });
  EXPECT_EQ(error.code(), ErrorCode::unsupported);
  EXPECT_THAT(error.what(), HasSubstr("device opencl:0:0 (Fake GPU) has no images"));
  error = error_of([&] { static_cast<void>(context_->create_sampler({})); });
  EXPECT_THAT(error.what(), HasSubstr("device opencl:0:0 (Fake GPU) has no images"));

  fake_.give_images(640, 480);
  open();
  EXPECT_EQ(context_->device().max_image, (std::array<std::int64_t, 2>{640, 480}));
  // In the order of the model; what it cannot tell is left out.
  EXPECT_THAT(context_->image_formats(device::ImageUse::read),
              ::testing::ElementsAre(ImageFormat{1, DataType::float32, false}, bytes));
  auto image = context_->create_image({{1, DataType::float32, false}, 640, 3}, device::ImageUse::read);
  EXPECT_EQ(fake_.image_flags, abi::mem_read_only);
  EXPECT_EQ(fake_.image_format.order, abi::channels_r);
  EXPECT_EQ(fake_.image_format.type, abi::channel_float);
  EXPECT_EQ(fake_.image.kind, abi::mem_object_image2d);
  EXPECT_EQ(fake_.image.width, 640u);
  EXPECT_EQ(fake_.image.height, 3u);
  EXPECT_EQ(fake_.image.row_pitch + fake_.image.slice_pitch + fake_.image.depth, 0u);
  static_cast<void>(context_->create_image({bytes, 1, 1}, device::ImageUse::write));
  EXPECT_EQ(fake_.image_flags, abi::mem_read_write);
  error = error_of([&] { static_cast<void>(context_->create_image({bytes, 641, 1}, device::ImageUse::read)); });
  EXPECT_THAT(error.what(), HasSubstr("an image of 641 x 1 pixels is too large: device opencl:0:0 allows 640 x 480"));
  error = error_of([&] {
    static_cast<void>(context_->create_image({{2, DataType::float32, false}, 1, 1}, device::ImageUse::write));
  });
  EXPECT_THAT(error.what(),
              HasSubstr("device opencl:0:0 has no images of format rg_float32 that kernels write; it has: "
                        "r_float32, rgba_unorm8"));
  for (const abi::Int status : {abi::image_format_not_supported, abi::invalid_image_size}) {
    fake_.forget_calls();
    fake_.fail("clCreateImage", 1, status);
    error = error_of([&] { static_cast<void>(context_->create_image({bytes, 2, 2}, device::ImageUse::read)); });
    EXPECT_EQ(error.code(), ErrorCode::unsupported);
    EXPECT_THAT(error.what(), HasSubstr("make an image of 2 x 2 pixels of rgba_unorm8 (16 B)"));
  }
  auto sampler = context_->create_sampler({ImageAddressing::mirrored_repeat, ImageFilter::linear, true});
  EXPECT_EQ(fake_.sampler, (std::array<abi::Uint, 3>{abi::yes, abi::address_mirrored_repeat, abi::filter_linear}));
}

TEST_F(FakeDevice, RequiredBlocksAreAsked) {
  open();
  EXPECT_FALSE(context_->load(compiler_->compile(job()))->kernel("add")->required_block());
  fake_.required_block = {16, 2, 1};
  EXPECT_EQ(context_->load(compiler_->compile(job()))->kernel("add")->required_block(),
            (std::array<std::int64_t, 3>{16, 2, 1}));
}

TEST_F(FakeDevice, FillsUseTheWidestPatternThatFits) {
  open();
  for (const auto& [offset, size, width] :
       {std::tuple{0, 64, 16}, {16, 32, 16}, {4, 16, 4}, {16, 12, 4}, {1, 16, 1}, {0, 3, 1}}) {
    stream_->fill(*buffer_, Bytes{static_cast<std::uint64_t>(offset)}, Bytes{static_cast<std::uint64_t>(size)}, 7);
    EXPECT_EQ(fake_.pattern_size, static_cast<std::size_t>(width)) << offset << " " << size;
  }
}

TEST_F(FakeDevice, AnAllocationAboveTheLimitOfOneBufferSaysSo) {
  open();
  fake_.fail("clCreateBuffer", fake_.calls("clCreateBuffer") + 1, abi::invalid_buffer_size);
  const Error error = error_of([&] { static_cast<void>(context_->allocate(Bytes{1 << 29})); });
  EXPECT_EQ(error.code(), ErrorCode::out_of_memory);
  EXPECT_THAT(error.what(), HasSubstr("one buffer may have 256 MiB at most"));
}

TEST_F(FakeDevice, NvidiaAttributesAreRead) {
  fake_.set_text(abi::device_extensions, "cl_nv_device_attribute_query cl_nv_compiler_options cl_khr_device_uuid");
  fake_.set(abi::device_compute_capability_major_nv, abi::Uint{9});
  fake_.set(abi::device_compute_capability_minor_nv, abi::Uint{0});
  fake_.set(abi::device_registers_per_block_nv, abi::Uint{65536});
  fake_.set(abi::device_warp_size_nv, abi::Uint{32});
  fake_.set(abi::device_attribute_async_engine_count_nv, abi::Uint{3});
  fake_.set(abi::device_pci_bus_id_nv, abi::Uint{0x3b});
  fake_.set(abi::device_pci_slot_id_nv, abi::Uint{8});
  fake_.set(abi::device_uuid_khr, std::array<unsigned char, 16>{0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef});
  open();
  const DeviceInfo info = context_->device();
  EXPECT_EQ(info.architecture, "sm_90");
  EXPECT_EQ(info.registers_per_block, 65536);
  EXPECT_EQ(info.warp_size, 32);
  EXPECT_EQ(info.copy_engines, 3);
  EXPECT_EQ(info.pci_bus_id, "0000:3b:01.0");
  EXPECT_EQ(info.uuid, "01234567-89ab-cdef-0000-000000000000");
  EXPECT_EQ(compiler_->target(), "Fake GPU (sm_90)");
  EXPECT_FALSE(info.supports_float64);
  fake_.build_log =
      "ptxas info    : Compiling entry function 'add' for 'sm_90'\nptxas info    : Used 12 registers, 376 bytes "
      "cmem[0]\n";
  const Binary binary = compiler_->compile(job());
  EXPECT_THAT(fake_.options, HasSubstr("-cl-nv-verbose"));
  ASSERT_EQ(binary.resources.size(), 1u);
  EXPECT_EQ(binary.resources[0].registers_per_thread, 12);
  EXPECT_EQ(context_->load(binary)->kernel("add")->resources().registers_per_thread, 12);
}

TEST_F(FakeDevice, AmdAttributesAreRead) {
  fake_.set_text(abi::device_extensions, "cl_khr_fp16 cl_amd_device_attribute_query cl_khr_pci_bus_info");
  fake_.set_text(abi::device_name, "gfx90a");
  fake_.set_text(abi::device_board_name_amd, "AMD Instinct MI210");
  fake_.set(abi::device_wavefront_width_amd, abi::Uint{64});
  fake_.set(abi::device_global_free_memory_amd, std::array<std::size_t, 2>{1024, 512});
  fake_.set(abi::device_pci_bus_info_khr, abi::PciBusInfo{1, 0x2a, 3, 4});
  open();
  const DeviceInfo info = context_->device();
  EXPECT_EQ(info.name, "AMD Instinct MI210");
  EXPECT_EQ(info.architecture, "gfx90a");
  EXPECT_EQ(info.warp_size, 64);
  EXPECT_EQ(info.pci_bus_id, "0001:2a:03.4");
  EXPECT_TRUE(info.supports_float16);
  const auto use = context_->memory_use();
  ASSERT_TRUE(use.has_value());
  EXPECT_EQ(use->free, Bytes{1 << 20});
  EXPECT_EQ(use->total, Bytes{1 << 30});
}

TEST_F(FakeDevice, AcceleratorsAndUnavailableDevices) {
  fake_.set(abi::device_type, abi::device_type_accelerator);
  fake_.platforms = 2;
  backend_ = make_backend(fake_.api());
  ASSERT_EQ(backend_->devices().size(), 2u);
  EXPECT_EQ(backend_->devices()[1].id.to_string(), "opencl:1:0");
  EXPECT_EQ(backend_->devices()[0].kind, DeviceKind::accelerator);
  fake_.set(abi::device_available, abi::no);
  EXPECT_TRUE(backend_->devices().empty());
}

TEST_F(FakeDevice, ProbeSaysWhatIsMissing) {
  backend_ = make_backend(fake_.api());
  EXPECT_TRUE(backend_->probe().usable);
  fake_.devices = 0;
  device::ProbeResult probe = backend_->probe();
  EXPECT_FALSE(probe.usable);
  EXPECT_THAT(probe.reason, StartsWith("OpenCL device"));
  EXPECT_THAT(probe.remedy, HasSubstr("pocl-opencl-icd"));
  fake_.platforms = 0;
  probe = backend_->probe();
  EXPECT_THAT(probe.reason, HasSubstr("no OpenCL driver is installed"));
  const Error error = error_of([&] { static_cast<void>(backend_->open(device_id)); });
  EXPECT_EQ(error.code(), ErrorCode::unavailable);
  EXPECT_THAT(error.what(), HasSubstr("pocl-opencl-icd"));
  fake_.platforms = fake_.devices = 1;
  fake_.fail("clGetPlatformIDs", fake_.calls("clGetPlatformIDs") + 1, abi::out_of_host_memory);
  EXPECT_THAT(backend_->probe().reason, HasSubstr("clGetPlatformIDs failed (CL_OUT_OF_HOST_MEMORY, code -6)"));
  // One platform of two fails: the other is used, and the failure is mentioned.
  fake_.platforms = 2;
  fake_.fail("clGetDeviceIDs", fake_.calls("clGetDeviceIDs") + 1, abi::out_of_resources);
  probe = backend_->probe();
  EXPECT_TRUE(probe.usable);
  EXPECT_THAT(probe.components[2].detail, HasSubstr("clGetDeviceIDs of platform 0 (Fake) failed"));
}

TEST_F(FakeDevice, PoclsConstantIsNoResourceOfAKernel) {
  const auto private_memory = [&] {
    backend_ = make_backend(fake_.api());
    auto context = backend_->open(device_id);
    const Binary binary = backend_->compiler(context->device())->compile(job());
    EXPECT_EQ(context->load(binary)->kernel("add")->resources().local_per_thread,
              binary.resources.at(0).local_per_thread);
    return binary.resources.at(0).local_per_thread;
  };
  EXPECT_EQ(private_memory(), Bytes{16});
  fake_.set_text(abi::device_version, "OpenCL 3.0 PoCL HSTR: pthread-x86_64-pc-linux-gnu-skylake");
  EXPECT_EQ(private_memory(), std::nullopt);
}

TEST_F(FakeDevice, ProbeSaysThatPoclCannotLink) {
  Options options;
  options.program_folders = {"/no/such/folder", testing::TempDir()};
  const std::filesystem::path linker = std::filesystem::path(testing::TempDir()) / "ld";
  std::filesystem::remove(linker);
  EXPECT_EQ(make_backend(fake_.api(), options)->probe().components.size(), 3u) << "another driver's linker is its own";
  fake_.set_text(abi::device_version, "OpenCL 3.0 PoCL HSTR: pthread-x86_64-pc-linux-gnu-skylake");
  EXPECT_EQ(make_backend(fake_.api())->probe().components.size(), 3u) << "nobody said where programs lie";
  device::ProbeResult probe = make_backend(fake_.api(), options)->probe();
  EXPECT_TRUE(probe.usable);
  ASSERT_EQ(probe.components.size(), 4u);
  EXPECT_FALSE(probe.components[3].present);
  EXPECT_THAT(probe.components[3].name, HasSubstr("linker of PoCL"));
  EXPECT_THAT(probe.components[3].remedy, HasSubstr("binutils"));
  std::filesystem::copy_file("/proc/self/exe", linker);
  probe = make_backend(fake_.api(), options)->probe();
  EXPECT_TRUE(probe.components.at(3).present);
  EXPECT_EQ(probe.components.at(3).detail, linker.string());
  std::filesystem::remove(linker);
}

TEST(PtxasReport, RegistersByKernel) {
  const auto registers = parse_ptxas_registers(
      "ptxas info    : 0 bytes gmem\n"
      "ptxas info    : Compiling entry function 'one' for 'sm_90'\n"
      "ptxas info    : Function properties for one\n"
      "    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads\n"
      "ptxas info    : Used 8 registers, used 1 barriers\n"
      "ptxas info    : Compiling entry function 'two' for 'sm_90'\n"
      "ptxas info    : Used 255 registers");
  EXPECT_EQ(registers, (std::map<std::string, int>{{"one", 8}, {"two", 255}}));
  EXPECT_TRUE(parse_ptxas_registers("").empty());
  EXPECT_TRUE(parse_ptxas_registers(": Used 8 registers\nCompiling entry function 'x\n: Used").empty());
}

}  // namespace
}  // namespace warpwright::opencl
