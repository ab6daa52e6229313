// What the compiler does about the answers of NVRTC: a fake one gives those of the releases that are not installed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string>
#include <vector>

#include <warpwright/base/error.hpp>

#include "cubin_builder.hpp"
#include "nvrtc.hpp"

namespace warpwright::cuda {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

using nvrtc_abi::Result;

struct Answer {
  Result result = nvrtc_abi::success;
  std::string log;
};

// One per test; the functions of NVRTC have no place for a pointer of ours.
struct FakeNvrtc {
  std::vector<Answer> answers;                    // of compilations, in order
  std::vector<std::vector<std::string>> options;  // of each compilation
  std::string log, image;
  std::string unpacked_to;
  Answer unpacking;
};
FakeNvrtc* fake = nullptr;

nvrtc_abi::Functions functions(bool bundled_headers) {
  nvrtc_abi::Functions f;
  f.get_error_string = [](Result) { return "FAKE_ERROR"; };
  f.version = [](int* major, int* minor) {
    *major = 13;
    *minor = 5;
    return nvrtc_abi::success;
  };
  f.get_num_supported_archs = [](int* count) {
    *count = 1;
    return nvrtc_abi::success;
  };
  f.get_supported_archs = [](int* architectures) {
    *architectures = 90;
    return nvrtc_abi::success;
  };
  f.create_program = [](nvrtc_abi::ProgramHandle* program, const char*, const char*, int, const char* const*,
                        const char* const*) {
    *program = reinterpret_cast<nvrtc_abi::ProgramHandle>(fake);
    return nvrtc_abi::success;
  };
  f.destroy_program = [](nvrtc_abi::ProgramHandle* program) {
    *program = nullptr;
    return nvrtc_abi::success;
  };
  f.compile_program = [](nvrtc_abi::ProgramHandle, int count, const char* const* options) {
    fake->options.emplace_back(options, options + count);
    const std::size_t number = fake->options.size() - 1;
    if (number >= fake->answers.size()) {
      ADD_FAILURE() << "compiled once too often";
      return nvrtc_abi::internal_error;
    }
    fake->log = fake->answers[number].log;
    return fake->answers[number].result;
  };
  f.get_program_log_size = [](nvrtc_abi::ProgramHandle, std::size_t* size) {
    *size = fake->log.size() + 1;
    return nvrtc_abi::success;
  };
  f.get_program_log = [](nvrtc_abi::ProgramHandle, char* log) {
    std::copy_n(fake->log.c_str(), fake->log.size() + 1, log);
    return nvrtc_abi::success;
  };
  f.get_cubin_size = [](nvrtc_abi::ProgramHandle, std::size_t* size) {
    *size = fake->image.size();
    return nvrtc_abi::success;
  };
  f.get_cubin = [](nvrtc_abi::ProgramHandle, char* cubin) {
    std::copy(fake->image.begin(), fake->image.end(), cubin);
    return nvrtc_abi::success;
  };
  f.add_name_expression = [](nvrtc_abi::ProgramHandle, const char*) { return nvrtc_abi::success; };
  f.get_lowered_name = [](nvrtc_abi::ProgramHandle, const char*, const char**) {
    return nvrtc_abi::name_expression_not_valid;
  };
  if (bundled_headers) {
    f.install_bundled_headers = [](const char* folder, unsigned flags, const char** log) {
      EXPECT_EQ(flags, 0u) << "what is there in the right version stays";
      fake->unpacked_to = folder;
      *log = fake->unpacking.log.c_str();
      return fake->unpacking.result;
    };
  }
  return f;
}

class NvrtcAnswers : public ::testing::Test {
 protected:
  NvrtcAnswers() {
    fake = &nvrtc_;
    CubinBuilder cubin;
    cubin.kernels.push_back({"f"});
    nvrtc_.image = cubin.build();
    options_.use_default_toolkit_folders = false;
    options_.bundled_headers_folder = "/cache";
    job_.source = "the source";
    job_.file_name = "k.cu";
    job_.entries = {"f"};
  }
  ~NvrtcAnswers() override { fake = nullptr; }

  Binary compile(bool bundled_headers = true) {
    return make_compiler(std::make_shared<const Nvrtc>(functions(bundled_headers)), "sm_90", options_)->compile(job_);
  }
  std::string refusal(bool bundled_headers = true) {
    try {
      compile(bundled_headers);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::compile);
      return error.what();
    }
    ADD_FAILURE() << "compiled";
    return {};
  }

  FakeNvrtc nvrtc_;
  Options options_;
  device::CompileJob job_;
};

const Answer without_folders{
    nvrtc_abi::compilation,
    "k.cu(1): catastrophic error: could not open source file \"cuda_fp16.h\" (no directories in "
    "search list)\n"};
const Answer with_folders{nvrtc_abi::compilation,
                          "k.cu(1): catastrophic error: cannot open source file \"cuda_fp16.h\"\n"};
const char* const report =
    "ptxas info    : Compiling entry function 'f' for 'sm_90'\n"
    "ptxas info    : Used 10 registers, used 1 barriers, 80000 bytes smem\n";

TEST_F(NvrtcAnswers, BothTextsAboutAMissingHeaderAreExplained) {
  nvrtc_.answers = {without_folders};
  EXPECT_THAT(refusal(false), AllOf(HasSubstr("'cuda_fp16.h' was looked for nowhere: there is no include folder"),
                                    HasSubstr("The headers of a CUDA toolkit were not found"),
                                    HasSubstr("Install the toolkit's headers")));
  nvrtc_.options.clear();
  nvrtc_.answers = {with_folders};
  job_.include_folders = {"/warpwright/one"};
  EXPECT_THAT(refusal(false), AllOf(HasSubstr("'cuda_fp16.h' was looked for in:\n  /warpwright/one"),
                                    HasSubstr("Install the toolkit's headers")));
}

TEST_F(NvrtcAnswers, HeadersThatNvrtcBringsAreUnpackedWhenOneIsMissing) {
  nvrtc_.answers = {without_folders, {}};
  EXPECT_EQ(compile().resources.size(), 1u);
  EXPECT_EQ(nvrtc_.unpacked_to, "/cache/nvrtc-13.5-headers");
  ASSERT_EQ(nvrtc_.options.size(), 2u);
  EXPECT_THAT(nvrtc_.options[0], Not(Contains("-I/cache/nvrtc-13.5-headers")));
  EXPECT_THAT(nvrtc_.options[1], Contains("-I/cache/nvrtc-13.5-headers"));
}

TEST_F(NvrtcAnswers, UnpackedHeadersServeTheNextCompilationAtOnce) {
  nvrtc_.answers = {without_folders, {}, {}};
  const auto compiler = make_compiler(std::make_shared<const Nvrtc>(functions(true)), "sm_90", options_);
  compiler->compile(job_);
  nvrtc_.unpacked_to.clear();
  compiler->compile(job_);
  EXPECT_THAT(nvrtc_.unpacked_to, IsEmpty());
  EXPECT_THAT(nvrtc_.options.at(2), Contains("-I/cache/nvrtc-13.5-headers"));
}

TEST_F(NvrtcAnswers, NothingIsUnpackedWithoutNeedOrPlace) {
  nvrtc_.answers = {{}};
  compile();
  EXPECT_THAT(nvrtc_.unpacked_to, IsEmpty());
  nvrtc_.options.clear();
  nvrtc_.answers = {{nvrtc_abi::compilation, "k.cu(1): error: identifier \"x\" is undefined\n"}};
  refusal();
  EXPECT_THAT(nvrtc_.unpacked_to, IsEmpty());
  nvrtc_.options.clear();
  nvrtc_.answers = {without_folders};
  options_.bundled_headers_folder.clear();
  EXPECT_THAT(refusal(), HasSubstr("Install the toolkit's headers"));
  EXPECT_THAT(nvrtc_.unpacked_to, IsEmpty());
}

TEST_F(NvrtcAnswers, AFailedUnpackingIsTold) {
  nvrtc_.answers = {without_folders};
  nvrtc_.unpacking = {nvrtc_abi::builtin_operation_failure, "no space left"};
  EXPECT_THAT(refusal(), AllOf(HasSubstr("NVRTC 13.5"), HasSubstr("cannot be unpacked to /cache/nvrtc-13.5-headers"),
                               HasSubstr("no space left"), HasSubstr("Install the toolkit's headers")));
}

// With its report, ptxas leaves out why it refused a kernel.
TEST_F(NvrtcAnswers, ARefusalOfPtxasSurvivesItsReport) {
  nvrtc_.answers = {{nvrtc_abi::compilation, report},
                    {nvrtc_abi::compilation,
                     "ptxas error   : Entry function 'f' uses too much shared data (0x13880 bytes, 0xc000 max)\n"}};
  job_.options = {"-Xptxas=-v", "-O2"};
  EXPECT_THAT(refusal(), AllOf(HasSubstr("uses too much shared data (0x13880 bytes, 0xc000 max)"),
                               HasSubstr("80000 bytes smem"), HasSubstr("above 49152 use dynamic shared memory")));
  ASSERT_EQ(nvrtc_.options.size(), 2u);
  EXPECT_THAT(nvrtc_.options[0], Contains("--ptxas-options=-v"));
  EXPECT_THAT(nvrtc_.options[1],
              AllOf(Not(Contains("--ptxas-options=-v")), Not(Contains("-Xptxas=-v")), Contains("-O2")));
}

TEST_F(NvrtcAnswers, ARefusalThatSaysWhyIsNotRepeated) {
  nvrtc_.answers = {{nvrtc_abi::compilation, "ptxas fatal   : Ptx assembly aborted due to errors\n"}};
  EXPECT_THAT(refusal(), HasSubstr("aborted due to errors"));
  EXPECT_EQ(nvrtc_.options.size(), 1u);
}

TEST_F(NvrtcAnswers, ANameInTheReportIsNoError) {
  nvrtc_.answers = {{nvrtc_abi::compilation, "ptxas info    : Compiling entry function 'sum_of_errors' for 'sm_90'\n"},
                    {nvrtc_abi::compilation, "ptxas error   : the reason\n"}};
  EXPECT_THAT(refusal(), HasSubstr("the reason"));
}

TEST_F(NvrtcAnswers, ARefusalThatStaysSilentIsExplainedFromTheReport) {
  nvrtc_.answers = {{nvrtc_abi::compilation, report}, {nvrtc_abi::compilation, ""}};
  EXPECT_THAT(refusal(), HasSubstr("kernel 'f' declares 80000 bytes of static shared memory"));
}

}  // namespace
}  // namespace warpwright::cuda
