// NVRTC itself, on a machine without a GPU. Skipped with the reason where it is not installed.
#include <cstdlib>
#include <filesystem>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <warpwright/base/error.hpp>
#include <warpwright/base/files.hpp>
#include <warpwright/cuda/backend.hpp>
#include <warpwright/cuda/binaries.hpp>

#include "cubin.hpp"
#include "nvrtc.hpp"
#include "toolkit.hpp"

namespace warpwright::cuda {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

Options options_of_this_machine() {
  Options options;
  for (const char* name : {"CUDA_HOME", "CUDA_PATH"}) {
    if (const char* folder = std::getenv(name); folder != nullptr && *folder != 0) {
      options.toolkit_folders.emplace_back(folder);
    }
  }
  return options;
}

class NvrtcTest : public ::testing::Test {
 protected:
  void SetUp() override {
    options = options_of_this_machine();
    try {
      architectures = nvrtc_architectures(options);
    } catch (const Error& error) {
      ASSERT_EQ(error.code(), ErrorCode::unavailable);
      GTEST_SKIP() << error.what();
    }
    compiler = make_nvrtc_compiler("sm_90a", options);
  }
  bool has_toolkit_headers() const {
    return find_toolkit_headers(options, Nvrtc::load(options)->path()).include.has_value();
  }
  device::CompileJob job(const std::string& source, std::vector<std::string> entries) const {
    device::CompileJob job;
    job.source = source;
    job.file_name = "kernel.cu";
    job.entries = std::move(entries);
    return job;
  }
  Error error_of(const device::CompileJob& wrong) {
    try {
      compiler->compile(wrong);
    } catch (const Error& error) {
      return error;
    }
    ADD_FAILURE() << "compiled";
    return Error(ErrorCode::internal, "compiled");
  }
  static const KernelResources& resources(const Binary& binary, std::string_view entry) {
    for (const auto& one : binary.resources) {
      if (one.entry == entry) return one;
    }
    throw Error(ErrorCode::not_found, "no resources of " + std::string(entry));
  }

  Options options;
  std::vector<std::string> architectures;
  std::unique_ptr<device::Compiler> compiler;
};

const char* const add_source =
    "extern \"C\" __global__ void add(float* c, const float* a, const float* b, int n) {\n"
    "  const int i = blockIdx.x * blockDim.x + threadIdx.x;\n"
    "  if (i < n) c[i] = a[i] + b[i];\n"
    "}\n";

TEST_F(NvrtcTest, CompilesForEveryArchitectureItKnows) {
  EXPECT_THAT(architectures, Contains("sm_90"));
  for (const auto& architecture : architectures) {
    const auto one = make_nvrtc_compiler(architecture, options);
    EXPECT_EQ(one->target(), architecture);
    EXPECT_FALSE(one->needs_device());
    EXPECT_THAT(one->version(), ::testing::StartsWith("NVRTC 1"));
    const auto binary = one->compile(job(add_source, {"add"}));
    EXPECT_EQ(binary.backend, "cuda");
    EXPECT_EQ(binary.format, "cubin");
    EXPECT_EQ(binary.target, architecture);
    EXPECT_EQ(binary.symbols.at("add"), "add");
    ASSERT_EQ(binary.resources.size(), 1u);
    EXPECT_GT(binary.resources[0].registers_per_thread.value_or(0), 3) << architecture;
    EXPECT_EQ(binary.resources[0].static_shared, Bytes{0});
    EXPECT_EQ(binary.resources[0].local_per_thread, Bytes{0});
  }
  EXPECT_EQ(make_nvrtc_compiler("90a", options)->target(), "sm_90a");
  EXPECT_EQ(make_nvrtc_compiler("80", options)->target(), "sm_80");
}

// What the file tells equals what the compiler's log tells, for every architecture: the reader relies on undocumented
// attributes, and on the driver's reserve being counted in the shared memory of some architectures.
TEST_F(NvrtcTest, TheBinaryTellsWhatTheLogTells) {
  const char* source = R"(
extern "C" __global__ void empty() {}
extern "C" __global__ void __launch_bounds__(192) bounded(float* a) {
  __shared__ float tile[100];
  tile[threadIdx.x % 100] = a[threadIdx.x];
  __syncthreads();
  a[threadIdx.x] = tile[(threadIdx.x + 1) % 100];
}
extern "C" __global__ void barriers(float* a) {
  __shared__ double tile[333];
  tile[threadIdx.x % 333] = a[threadIdx.x];
  asm volatile("bar.sync 3, 64;");
  a[threadIdx.x] = tile[(threadIdx.x + 1) % 333];
  asm volatile("bar.sync 11, 64;");
}
extern "C" __global__ void dynamic(float* a) {
  extern __shared__ float more[];
  more[threadIdx.x] = a[threadIdx.x];
  __syncthreads();
  a[threadIdx.x] = more[threadIdx.x ^ 1];
}
extern "C" __global__ void spills(float* a, int n) {
  float x[48];
  for (int i = 0; i < 48; ++i) x[i] = a[i * 1024 + threadIdx.x];
  for (int k = 0; k < n; ++k) {
#pragma unroll
    for (int i = 0; i < 48; ++i) x[i] = x[(i + 7) % 48] * x[(i + 3) % 48] + a[k];
  }
  for (int i = 0; i < 48; ++i) a[i * 1024 + threadIdx.x] = x[i];
}
)";
  const std::vector<std::string> entries = {"empty", "bounded", "barriers", "dynamic", "spills"};
  for (const auto& architecture : architectures) {
    SCOPED_TRACE(architecture);
    auto few_registers = job(source, entries);
    few_registers.options = {"-maxrregcount=32"};  // so that one of them spills
    const auto binary = make_nvrtc_compiler(architecture, options)->compile(few_registers);
    const CubinDescription file = describe_cubin(binary.image);
    EXPECT_EQ(file.architecture, architecture);
    const auto reports = parse_ptxas_log(binary.log);
    ASSERT_EQ(reports.size(), entries.size());
    ASSERT_EQ(file.kernels.size(), entries.size());
    for (const auto& report : reports) {
      SCOPED_TRACE(report.symbol);
      const auto kernel = std::find_if(file.kernels.begin(), file.kernels.end(),
                                       [&](const KernelResources& one) { return one.entry == report.symbol; });
      ASSERT_NE(kernel, file.kernels.end());
      EXPECT_EQ(kernel->registers_per_thread, report.registers);
      EXPECT_EQ(kernel->static_shared, report.static_shared);
      EXPECT_EQ(kernel->barriers, report.barriers);
      EXPECT_FALSE(kernel->spill_stores) << "only the log tells";
      const KernelResources& both = resources(binary, report.symbol);
      EXPECT_EQ(both.registers_per_thread, report.registers);
      EXPECT_EQ(both.static_shared, report.static_shared);
      EXPECT_EQ(both.barriers, report.barriers);
      EXPECT_EQ(both.spill_stores, report.spill_stores);
      EXPECT_EQ(both.spill_loads, report.spill_loads);
    }
    EXPECT_EQ(resources(binary, "bounded").static_shared, Bytes{400});
    EXPECT_EQ(resources(binary, "bounded").max_threads_per_block, 192);
    EXPECT_GE(resources(binary, "barriers").static_shared, Bytes{333 * 8}) << "rounded up to its alignment";
    EXPECT_LT(resources(binary, "barriers").static_shared, Bytes{333 * 8 + 16});
    EXPECT_EQ(resources(binary, "barriers").barriers, 12);
    EXPECT_EQ(resources(binary, "dynamic").static_shared, Bytes{0});
    EXPECT_GT(resources(binary, "spills").spill_stores.value_or(Bytes{0}).count, 0u);
    EXPECT_LE(resources(binary, "spills").registers_per_thread.value_or(255), 32);
  }
}

TEST_F(NvrtcTest, RefusesOtherArchitecturesAndListsTheKnown) {
  for (const char* architecture : {"sm_61", "sm_86a", "sm_999"}) {
    if (std::find(architectures.begin(), architectures.end(), architecture) != architectures.end()) continue;
    try {
      make_nvrtc_compiler(architecture, options);
      ADD_FAILURE() << architecture;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::unsupported);
      EXPECT_THAT(error.what(), AllOf(HasSubstr(architecture), HasSubstr("sm_80, "), HasSubstr("sm_90a")));
    }
  }
  for (const char* nonsense : {"", "sm_", "hopper", "compute_90", "sm_90x", "sm_90aa"}) {
    try {
      make_nvrtc_compiler(nonsense, options);
      ADD_FAILURE() << nonsense;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::bad_input) << nonsense;
    }
  }
  DeviceInfo device;
  device.name = "Tesla K80";
  device.architecture = "sm_37";
  try {
    make_backend(options)->compiler(device);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::unsupported);
    EXPECT_THAT(error.what(), AllOf(HasSubstr("Tesla K80 (sm_37)"), HasSubstr("install an older CUDA toolkit")));
  }
  device.architecture = "gfx90a";
  EXPECT_THROW(make_backend(options)->compiler(device), Error);
  device.architecture = "sm_90";
  EXPECT_EQ(make_backend(options)->compiler(device)->target(), "sm_90a");
}

TEST_F(NvrtcTest, ResourcesAreThoseOfKnownKernels) {
  const char* source = R"(
__constant__ float coefficients[100];
extern "C" __global__ void __launch_bounds__(128) shared_kernel(float* a) {
  __shared__ float tile[100];
  tile[threadIdx.x % 100] = a[threadIdx.x];
  __syncthreads();
  a[threadIdx.x] = tile[99 - threadIdx.x % 100] * coefficients[threadIdx.x % 100];
}
extern "C" __global__ void __launch_bounds__(1024, 2) spilling(float* a, int n) {
  float r[64];
  for (int i = 0; i < 64; i++) r[i] = a[i * 1024 + threadIdx.x];
  for (int k = 0; k < n; k++) {
    float s = 0;
    for (int i = 0; i < 64; i++) s += r[i] * r[(i + 1) % 64];
    for (int i = 0; i < 64; i++) r[i] = r[i] * s + r[(i * 7) % 64];
  }
  for (int i = 0; i < 64; i++) a[i * 1024 + threadIdx.x] = r[i];
}
extern "C" __global__ void indexed(int* a, int k) {
  int r[100];
  for (int i = 0; i < 100; i++) r[i] = a[i];
  a[0] = r[k];
}
extern "C" __global__ void barriers(int* a) {
  asm volatile("bar.sync 3, 64;");
  a[threadIdx.x] = 1;
}
)";
  const auto binary = compiler->compile(job(source, {"shared_kernel", "spilling", "indexed", "barriers"}));
  ASSERT_EQ(binary.resources.size(), 4u);
  const auto& shared = resources(binary, "shared_kernel");
  EXPECT_EQ(shared.static_shared, Bytes{400});
  EXPECT_EQ(shared.constant, Bytes{400});
  EXPECT_EQ(shared.max_threads_per_block, 128);
  EXPECT_EQ(shared.local_per_thread, Bytes{0});
  const auto& spilling = resources(binary, "spilling");
  EXPECT_EQ(spilling.registers_per_thread, 32) << "65536 registers / 2048 threads";
  EXPECT_GT(spilling.local_per_thread->count, 100u);
  EXPECT_EQ(spilling.max_threads_per_block, 1024);
  const auto& indexed = resources(binary, "indexed");
  EXPECT_EQ(indexed.local_per_thread, Bytes{400});
  EXPECT_FALSE(indexed.max_threads_per_block);

  const auto reports = parse_ptxas_log(binary.log);
  ASSERT_EQ(reports.size(), 4u);
  const Cubin cubin = read_cubin(binary.image);
  ASSERT_EQ(cubin.kernels.size(), 4u);
  for (const auto& report : reports) {
    if (report.symbol == "spilling") {
      EXPECT_GT(report.spill_stores->count, 0u);
      EXPECT_GT(report.spill_loads->count, 0u);
    } else {
      EXPECT_EQ(report.spill_stores, Bytes{0}) << report.symbol;
    }
    const int barriers = report.symbol == "barriers" ? 4 : report.symbol == "shared_kernel" ? 1 : 0;
    EXPECT_EQ(report.barriers, barriers) << report.symbol;
    // What the undocumented attributes of the binary say agrees with the documented report.
    const auto kernel = std::find_if(cubin.kernels.begin(), cubin.kernels.end(),
                                     [&](const CubinKernel& k) { return k.symbol == report.symbol; });
    ASSERT_NE(kernel, cubin.kernels.end());
    EXPECT_EQ(kernel->registers, report.registers) << report.symbol;
    EXPECT_EQ(kernel->stack, report.stack) << report.symbol;
  }
}

TEST_F(NvrtcTest, FunctionsThatAreNotInlinedDoNotDisturbTheReport) {
  const char* source = R"(
__noinline__ float helper(float x, int n) { float r[40]; for (int i = 0; i < 40; i++) r[i] = x * i; return r[n]; }
extern "C" __global__ void caller(float* a, int n) { a[0] = helper(a[1], n) + helper(a[2], n); }
)";
  const auto binary = compiler->compile(job(source, {"caller"}));
  EXPECT_GE(resources(binary, "caller").local_per_thread->count, 160u);
  EXPECT_EQ(read_cubin(binary.image).kernels.size(), 1u);
}

TEST_F(NvrtcTest, DefinesAndOptionsArrive) {
  auto defined =
      job("extern \"C\" __global__ void f(TYPE* a) { __shared__ TYPE t[COUNT + EMPTY 0]; t[threadIdx.x] = a[0]; "
          "__syncthreads(); a[threadIdx.x] = t[1]; }",
          {"f"});
  defined.defines = {{"TYPE", "unsigned int"}, {"COUNT", "(3 * 8)"}, {"EMPTY", ""}};
  EXPECT_EQ(compiler->compile(defined).resources.at(0).static_shared, Bytes{96});

  // Names that the compiler's built-in header uses for its own.
  auto common = job("extern \"C\" __global__ void f(int* a) { a[0] = kind + count + x; }", {"f"});
  common.defines = {{"kind", "1"}, {"count", "2"}, {"x", "3"}};
  EXPECT_NO_THROW(compiler->compile(common));
  common.source = "\nint wrong = ;\n" + common.source;
  EXPECT_NE(std::string(error_of(common).what()).find("(2)"), std::string::npos) << "lines are counted in the source";

  auto standard =
      job("template <int N> concept Even = N % 2 == 0;\n"
          "extern \"C\" __global__ void f(int* a) { a[0] = Even<4>; }",
          {"f"});
  EXPECT_EQ(error_of(standard).code(), ErrorCode::compile) << "C++17 unless asked for";
  standard.options = {"--std=c++20", "-lineinfo"};
  EXPECT_NO_THROW(compiler->compile(standard));

  auto limited = job(add_source, {"add"});
  limited.options = {"--maxrregcount=24"};
  EXPECT_LE(compiler->compile(limited).resources.at(0).registers_per_thread, 24);

  // Another request to ptxas does not cost the report.
  limited.options = {"--maxrregcount=24", "--ptxas-options=-O1"};
  EXPECT_EQ(parse_ptxas_log(compiler->compile(limited).log).size(), 1u);

  limited.options = {"--gpu-architecture=sm_80"};
  const Error architecture = error_of(limited);
  EXPECT_EQ(architecture.code(), ErrorCode::bad_input);
  EXPECT_THAT(architecture.what(), HasSubstr("--gpu-architecture=sm_80"));
  limited.options = {"--no-such-option"};
  const Error unknown = error_of(limited);
  EXPECT_EQ(unknown.code(), ErrorCode::compile);
  EXPECT_THAT(unknown.what(), HasSubstr("--no-such-option"));
  limited.options = {"-dlto"};
  EXPECT_THAT(error_of(limited).what(), HasSubstr("-dlto"));
}

TEST_F(NvrtcTest, TemplatesAndPlainCxxNamesAreResolved) {
  const char* source = R"(
template <int N, bool Add> __global__ void scale(float* a) { a[threadIdx.x] = Add ? a[threadIdx.x] + N : N; }
namespace deep { __global__ void inner(float* a) { a[0] = 1; } }
__global__ void plain(float* a, int n) { a[n] = 2; }
extern "C" __global__ void c_name(float* a) { a[0] = 3; }
)";
  const auto binary =
      compiler->compile(job(source, {"scale<4, true>", "scale<8,false>", "deep::inner", "plain", "c_name"}));
  EXPECT_EQ(binary.symbols.at("scale<4, true>"), "_Z5scaleILi4ELb1EEvPf");
  EXPECT_EQ(binary.symbols.at("scale<8,false>"), "_Z5scaleILi8ELb0EEvPf");
  EXPECT_EQ(binary.symbols.at("deep::inner"), "_ZN4deep5innerEPf");
  EXPECT_EQ(binary.symbols.at("plain"), "_Z5plainPfi");
  EXPECT_EQ(binary.symbols.at("c_name"), "c_name");
  EXPECT_EQ(binary.resources.size(), 5u);
  EXPECT_EQ(compiler->compile(job(source, {})).resources.size(), 3u) << "without a wish, what is there";
}

TEST_F(NvrtcTest, UnknownEntriesListTheKnown) {
  const char* source = R"(
extern "C" __global__ void convolve(float* a) { a[0] = 1; }
__global__ void twice(float* a) { a[0] = 1; }
__global__ void twice(double* a) { a[0] = 1; }
__device__ float variable;
)";
  const Error unknown = error_of(job(source, {"convole"}));
  EXPECT_EQ(unknown.code(), ErrorCode::bad_input);
  EXPECT_THAT(unknown.what(),
              AllOf(HasSubstr("no kernel 'convole'"), HasSubstr("did you mean 'convolve'"), HasSubstr("'twice'")));
  const Error overloaded = error_of(job(source, {"twice"}));
  EXPECT_EQ(overloaded.code(), ErrorCode::bad_input);
  EXPECT_THAT(overloaded.what(), HasSubstr("overloaded"));
  const Error expression = error_of(job(source, {"nothing<4>"}));
  EXPECT_EQ(expression.code(), ErrorCode::compile);
  EXPECT_THAT(expression.what(), AllOf(HasSubstr("kernel entries asked for"), HasSubstr("'nothing<4>'")));
  EXPECT_EQ(error_of(job("__device__ int f() { return 1; }", {"f"})).code(), ErrorCode::bad_input);
}

TEST_F(NvrtcTest, CompileErrorsCarryTheLogWithFileAndLine) {
  const Error error = error_of(job("\n\nextern \"C\" __global__ void f(float* a) { a[0] = missing(); }", {"f"}));
  EXPECT_EQ(error.code(), ErrorCode::compile);
  EXPECT_THAT(error.message(), AllOf(HasSubstr("kernel.cu(3): error"), HasSubstr("missing")));
  EXPECT_EQ(error.native()->code, 6);
}

TEST_F(NvrtcTest, TooMuchStaticSharedMemoryIsExplained) {
  // For sm_80; targets with an "a" take more.
  compiler = make_nvrtc_compiler("sm_80", options);
  const Error error =
      error_of(job("extern \"C\" __global__ void big(float* a) { __shared__ float t[20000];\n"
                   "t[threadIdx.x] = a[threadIdx.x]; __syncthreads(); a[threadIdx.x] = t[99 - threadIdx.x]; }",
                   {"big"}));
  EXPECT_EQ(error.code(), ErrorCode::compile);
  EXPECT_THAT(error.what(), HasSubstr("big"));
  EXPECT_THAT(error.what(), ::testing::AnyOf(HasSubstr("80000 bytes"), HasSubstr("0x13880 bytes")));
}

TEST_F(NvrtcTest, ToolkitHeadersAreFound) {
  if (!has_toolkit_headers()) GTEST_SKIP() << "the headers of the CUDA toolkit are not installed";
  const auto binary =
      compiler->compile(job("#include <cuda_fp16.h>\n"
                            "extern \"C\" __global__ void f(half2* a) { a[0] = __hadd2(a[1], a[2]); }",
                            {"f"}));
  EXPECT_EQ(binary.resources.size(), 1u);
}

TEST_F(NvrtcTest, HeadersThatItBringsServeWhereThereIsNoToolkit) {
  Options alone = options;
  alone.nvrtc_library = Nvrtc::load(options)->path();
  alone.toolkit_folders.clear();
  alone.use_default_toolkit_folders = false;
  const auto nvrtc = Nvrtc::load(alone);
  if (!nvrtc->has_bundled_headers()) GTEST_SKIP() << "NVRTC " << nvrtc->version_text() << " brings no headers";
  if (find_toolkit_headers(alone, nvrtc->path()).include) GTEST_SKIP() << "its toolkit has headers";
  alone.bundled_headers_folder = std::filesystem::path(::testing::TempDir()) / "warpwright headers";
  compiler = make_nvrtc_compiler("sm_90a", alone);
  const auto with_header =
      job("#include <cuda_fp16.h>\n"
          "extern \"C\" __global__ void f(half2* a) { a[0] = __hadd2(a[1], a[2]); }",
          {"f"});
  EXPECT_EQ(compiler->compile(with_header).resources.size(), 1u);
  EXPECT_TRUE(std::filesystem::is_directory(alone.bundled_headers_folder));
  std::filesystem::remove_all(alone.bundled_headers_folder);
}

TEST_F(NvrtcTest, MissingIncludesSayWhereTheyWereLookedFor) {
  auto wrong = job("#include \"no_such_header.hpp\"\nextern \"C\" __global__ void f() {}", {"f"});
  wrong.include_folders = {"/warpwright/one", "/warpwright/two"};
  const Error error = error_of(wrong);
  EXPECT_EQ(error.code(), ErrorCode::compile);
  EXPECT_THAT(error.what(), AllOf(HasSubstr("'no_such_header.hpp' was looked for in"), HasSubstr("/warpwright/one"),
                                  HasSubstr("/warpwright/two")));
  EXPECT_THAT(error.what(), HasSubstr(has_toolkit_headers() ? "(CUDA toolkit)" : "CUDA toolkit were not found"));
}

TEST_F(NvrtcTest, IncludeFoldersAreUsed) {
  const auto folder = std::filesystem::path(::testing::TempDir()) / "warpwright include folder";
  std::filesystem::create_directories(folder);
  write_file_atomically(folder / "size.hpp", "#define SIZE 24\n");
  auto with =
      job("#include \"size.hpp\"\nextern \"C\" __global__ void f(int* a) { __shared__ int t[SIZE]; "
          "t[threadIdx.x] = a[0]; __syncthreads(); a[0] = t[1]; }",
          {"f"});
  with.include_folders = {folder};
  EXPECT_EQ(compiler->compile(with).resources.at(0).static_shared, Bytes{96});
  std::filesystem::remove_all(folder);
}

TEST_F(NvrtcTest, RealBinariesSurviveDamageOfTheReader) {
  const std::string image = compiler->compile(job(add_source, {"add"})).image;
  EXPECT_EQ(read_cubin(image).kernels.size(), 1u);
  for (std::size_t size = 0; size < image.size(); size += 97) {
    const std::string cut = image.substr(0, size);
    EXPECT_THROW(read_cubin(cut), Error) << size;
  }
}

TEST_F(NvrtcTest, WarningsAreKeptInTheLog) {
  const auto binary =
      compiler->compile(job("extern \"C\" __global__ void f(int* a) { int unused_variable; a[0] = 1; }", {"f"}));
  EXPECT_THAT(binary.log, AllOf(HasSubstr("unused_variable"), Not(HasSubstr(std::string(1, '\0')))));
}

}  // namespace
}  // namespace warpwright::cuda
