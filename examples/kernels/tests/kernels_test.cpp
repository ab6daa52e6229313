// Every example specification reads, has the space that examples/kernels/README.md states, and computes on a real
// device what its CPU reference computes, in its baseline and in a seeded sample of its space, at sizes that fill no
// block.
//
// WARPWRIGHT_REQUIRE_DEVICE=opencl|cuda turns the skip for a missing device into a failure.
// WARPWRIGHT_TEST_CONFIGURATIONS=n sets the size of the sample.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <map>
#include <memory>
#include <ostream>
#include <string>
#include <tuple>
#include <vector>

#include <warpwright/base/clock.hpp>
#include <warpwright/base/error.hpp>
#include <warpwright/base/rng.hpp>
#include <warpwright/cuda/backend.hpp>
#include <warpwright/examples/reference_callbacks.hpp>
#include <warpwright/measure/kernel_job.hpp>
#include <warpwright/measure/problem_runner.hpp>
#include <warpwright/opencl/backend.hpp>
#include <warpwright/spec/read.hpp>

namespace warpwright {
namespace {

struct Example {
  const char* name;
  std::uint64_t space_size;  // with the specification's own dimensions
  Configuration odd_size;    // small, and no multiple of any block
};

void PrintTo(const Example& example, std::ostream* out) { *out << example.name; }

const std::vector<Example>& examples_with_sizes() {
  using std::int64_t;
  static const std::vector<Example> all = {
      {"vector_add", 324, {{"n", int64_t{20011}}}},
      {"reduction", 2310, {{"n", int64_t{100003}}}},
      {"transpose", 1510, {{"width", int64_t{131}}, {"height", int64_t{277}}}},
      {"convolution", 3684, {{"width", int64_t{201}}, {"height", int64_t{77}}, {"filter", int64_t{5}}}},
      {"gemm", 66840, {{"m", int64_t{131}}, {"n", int64_t{97}}, {"k", int64_t{75}}}},
      {"nbody", 510, {{"n", int64_t{517}}}},
      {"stencil", 1054, {{"width", int64_t{133}}, {"height", int64_t{71}}, {"steps", int64_t{3}}}},
      {"histogram", 2700, {{"n", int64_t{50021}}}},
      {"point_in_polygon", 408, {{"n", int64_t{2003}}, {"vertices", int64_t{61}}}},
  };
  return all;
}

std::filesystem::path specification(const std::string& folder, const std::string& name) {
  return std::filesystem::path(WARPWRIGHT_EXAMPLE_KERNELS) / folder / (name + ".toml");
}

// ---- without a device
// -------------------------------------------------------------------------------------------------

TEST(ExampleSpecifications, CoverTheNineKernels) {
  std::vector<std::string> names;
  for (const Example& example : examples_with_sizes()) names.emplace_back(example.name);
  EXPECT_EQ(names, examples::kernel_names());
}

class EachSpecification : public testing::TestWithParam<Example> {};

TEST_P(EachSpecification, ReadsWithTheDocumentedSpace) {
  const Example& example = GetParam();
  const Problem problem = spec::read(specification(example.name, example.name));
  EXPECT_EQ(problem.name, example.name);
  EXPECT_THAT(problem.warnings, testing::IsEmpty());
  const std::unique_ptr<Space> space = problem.build_space();
  EXPECT_EQ(space->size(), example.space_size);
  EXPECT_GE(space->size(), 50U);
  EXPECT_LE(space->size(), 100000U);
  EXPECT_TRUE(space->contains(problem.baseline_configuration()));
  EXPECT_TRUE(space->contains(space->defaults()));
  EXPECT_FALSE(problem.verify_sizes.empty());
  EXPECT_FALSE(problem.metrics.empty());
}

// No block beyond 1024 threads, no dynamic shared memory beyond 96 KiB anywhere in the space: any GPU takes it.
TEST_P(EachSpecification, StaysWithinTheLimitsItStates) {
  const Problem problem = spec::read(specification(GetParam().name, GetParam().name));
  const std::unique_ptr<Space> space = problem.build_space();
  const std::uint64_t step = std::max<std::uint64_t>(1, space->size() / 997);
  for (std::uint64_t index = 0; index < space->size(); index += step) {
    const Scope scope = problem.scope(space->at(index));
    for (const Launch& launch : problem.launches) {
      const LaunchGeometry geometry = evaluate_geometry(launch, scope);
      ASSERT_LE(geometry.threads_per_block(), 1024) << space->at(index).describe();
      ASSERT_LE(geometry.dynamic_shared.count, 98304U) << space->at(index).describe();
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Example, EachSpecification, testing::ValuesIn(examples_with_sizes()),
                         [](const auto& instance) { return std::string(instance.param.name); });

TEST(ExampleSpecifications, FaultyOnesHaveOneConfigurationPerFault) {
  const Problem faulty = spec::read(specification("faulty", "faulty"));
  EXPECT_EQ(faulty.build_space()->size(), 27U + 7U);
  const Problem fatal = spec::read(specification("faulty", "fatal"));
  EXPECT_EQ(fatal.build_space()->size(), 27U + 3U);
}

TEST(ExampleReferences, UnknownKernelIsAnErrorThatListsTheKnown) {
  try {
    examples::reference_callback("gem");
    FAIL() << "no error for an unknown kernel";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::not_found);
    EXPECT_THAT(error.message(), testing::AllOf(testing::HasSubstr("'gem'"), testing::HasSubstr("convolution")));
  }
}

TEST(ExampleReferences, MissingBufferIsAnErrorThatNamesIt) {
  HostBuffers buffers;
  try {
    examples::reference_callback("vector_add").compute({}, buffers);
    FAIL() << "no error for a missing buffer";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::bad_input);
    EXPECT_THAT(error.message(), testing::HasSubstr("'a'"));
  }
}

template <class T>
std::vector<std::byte> bytes_of(const std::vector<T>& values) {
  std::vector<std::byte> bytes(values.size() * sizeof(T));
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

template <class T>
std::vector<T> values_of(const std::vector<std::byte>& bytes) {
  std::vector<T> values(bytes.size() / sizeof(T));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

// The references judge the kernels; these cases, small enough to check by hand, judge the references.
TEST(ExampleReferences, AgreeWithResultsWorkedOutByHand) {
  using std::int64_t;
  HostBuffers transposed{{"in", bytes_of<float>({1, 2, 3, 4, 5, 6})}, {"out", {}}};
  examples::reference_callback("transpose").compute({{"width", int64_t{3}}, {"height", int64_t{2}}}, transposed);
  EXPECT_THAT(values_of<float>(transposed["out"]), testing::ElementsAre(1, 4, 2, 5, 3, 6));

  HostBuffers product{{"a", bytes_of<float>({1, 2, 3, 4})}, {"b", bytes_of<float>({5, 6, 7, 8})}, {"c", {}}};
  examples::reference_callback("gemm").compute({{"m", int64_t{2}}, {"n", int64_t{2}}, {"k", int64_t{2}}}, product);
  EXPECT_THAT(values_of<float>(product["c"]), testing::ElementsAre(28.5F, 33, 64.5F, 75));

  HostBuffers filtered{
      {"in", bytes_of<float>({1, 2, 3, 4, 5, 6})}, {"weights", bytes_of<float>({1, 10, 100, 1000})}, {"out", {}}};
  examples::reference_callback("convolution")
      .compute({{"width", int64_t{2}}, {"height", int64_t{1}}, {"filter", int64_t{2}}}, filtered);
  EXPECT_THAT(values_of<float>(filtered["out"]), testing::ElementsAre(5421, 6532));

  HostBuffers spread{{"in", bytes_of<float>({8, 0, 0})}, {"out", {}}};
  examples::reference_callback("stencil").compute(
      {{"width", int64_t{3}}, {"height", int64_t{1}}, {"steps", int64_t{1}}, {"centre", 0.5}, {"neighbour", 0.125}},
      spread);
  EXPECT_THAT(values_of<float>(spread["out"]), testing::ElementsAre(7, 1, 0));

  // A square from (1, 1) to (3, 3): inside, outside, on its left edge (inside), on its right edge (outside).
  HostBuffers points{{"where", bytes_of<std::int32_t>({2, 2, 4, 2, 1, 2, 3, 2})},
                     {"polygon", bytes_of<std::int32_t>({1, 1, 3, 1, 3, 3, 1, 3})},
                     {"inside", {}}};
  examples::reference_callback("point_in_polygon").compute({}, points);
  EXPECT_THAT(values_of<std::int32_t>(points["inside"]), testing::ElementsAre(1, 0, 1, 0));

  // Two bodies at distance 2; softened by 12 the distance is 4: each is drawn by half of 2 * mass / 64.
  HostBuffers bodies{{"positions", bytes_of<float>({0, 0, 0, 4, 2, 0, 0, 8})}, {"accelerations", {}}};
  examples::reference_callback("nbody").compute({{"softening", 12.0}}, bodies);
  EXPECT_THAT(values_of<float>(bodies["accelerations"]), testing::ElementsAre(0.125F, 0, 0, 0, -0.0625F, 0, 0, 0));

  HostBuffers bytes{{"data", bytes_of<std::uint8_t>({7, 255, 7})}, {"counts", {}}};
  examples::reference_callback("histogram").compute({}, bytes);
  const std::vector<std::uint32_t> counts = values_of<std::uint32_t>(bytes["counts"]);
  ASSERT_EQ(counts.size(), 256U);
  EXPECT_EQ(counts[7], 2U);
  EXPECT_EQ(counts[255], 1U);
  EXPECT_EQ(counts[0], 0U);
}

// ---- on a device
// --------------------------------------------------------------------------------------------------------

struct OpenedDevice {
  std::unique_ptr<device::Backend> backend;
  DeviceInfo info;
  std::unique_ptr<device::Context> context;
  std::unique_ptr<device::Compiler> compiler;
};

std::uint64_t sample_size(std::uint64_t fallback) {
  const char* text = std::getenv("WARPWRIGHT_TEST_CONFIGURATIONS");
  return text == nullptr ? fallback : std::strtoull(text, nullptr, 10);
}

class OnDevice : public testing::Test {
 protected:
  // Leaves device_ empty, and the test skipped or failed, if there is no such device.
  void open(const std::string& backend_name) {
    auto backend = backend_name == "cuda" ? cuda::make_backend() : opencl::make_backend();
    const device::ProbeResult probe = backend->probe();
    if (!probe.usable) {
      const char* required = std::getenv("WARPWRIGHT_REQUIRE_DEVICE");
      if (required != nullptr && backend_name == required) FAIL() << "required device: " << probe.reason;
      GTEST_SKIP() << probe.reason;
    }
    device_.info = backend->devices().front();
    device_.context = backend->open(device_.info.id);
    device_.compiler = backend->compiler(device_.info);
    device_.backend = std::move(backend);
  }

  measure::RunResult run(measure::ProblemRunner& runner, const Configuration& configuration) {
    const Binary binary = device_.compiler->compile(measure::kernel_job(runner.problem(), configuration, device_.info));
    measure::TimingOptions once;
    once.warmup = 0;
    once.min_samples = 1;
    once.max_samples = 1;
    return runner.run(configuration, binary, once);
  }

  // Why the device cannot take this configuration; empty if it can.
  std::string refusal(const Problem& problem, const Configuration& configuration) const {
    const Scope scope = problem.scope(configuration);
    for (const Launch& launch : problem.launches) {
      if (const auto reason = exceeds_limits(evaluate_geometry(launch, scope), device_.info)) return *reason;
    }
    return {};
  }

  OpenedDevice device_;
  SteadyClock clock_;
};

class KernelOnDevice : public OnDevice, public testing::WithParamInterface<std::tuple<const char*, Example>> {
 protected:
  void SetUp() override { open(std::get<0>(GetParam())); }
  const Example& example() const { return std::get<1>(GetParam()); }
  Problem problem(const Configuration& size) const {
    return spec::read(specification(example().name, example().name)).for_device(device_.info, size);
  }
};

TEST_P(KernelOnDevice, BaselineAndSampleMatchTheCpuReference) {
  Problem judged = problem(example().odd_size);
  judged.reference = examples::reference_callback(example().name);
  measure::ProblemRunner runner(*device_.context, *device_.compiler, judged, clock_);
  runner.compute_reference();

  EXPECT_EQ(run(runner, judged.baseline_configuration()).status, TrialStatus::ok);
  const std::unique_ptr<Space> space = judged.build_space();
  const bool on_gpu = device_.info.kind == DeviceKind::gpu;
  const std::uint64_t wanted = std::min(sample_size(on_gpu ? 40 : 4), space->size());
  Rng rng(derive_seed(20240611, space->size()));
  std::uint64_t ran = 0;
  for (std::uint64_t i = 0; i < wanted; ++i) {
    const Configuration configuration = space->at(rng.below(space->size()));
    if (!refusal(judged, configuration).empty()) continue;
    const measure::RunResult result = run(runner, configuration);
    // Registers are known only after compiling, and the driver may refuse such a launch; a result must be right.
    if (result.status == TrialStatus::resource_exceeded && on_gpu) continue;
    ++ran;
    EXPECT_EQ(result.status, TrialStatus::ok) << configuration.describe() << ": " << result.message;
  }
  // Through OpenCL a GPU has no opt-in to more local memory, which rules out about half of some spaces.
  EXPECT_GE(4 * ran, wanted) << "the device refused most of the sample";
}

TEST_P(KernelOnDevice, ReferenceKernelAcceptsTheBaseline) {
  const Problem own = problem(example().odd_size);
  measure::ProblemRunner runner(*device_.context, *device_.compiler, own, clock_);
  runner.compute_reference();
  ASSERT_TRUE(runner.has_reference());
  const measure::RunResult result = run(runner, own.baseline_configuration());
  EXPECT_EQ(result.status, TrialStatus::ok) << result.message;
}

TEST_P(KernelOnDevice, VerificationSizesMatchTheCpuReference) {
  for (const Configuration& size : problem({}).verify_sizes) {
    Problem judged = problem(size);
    judged.reference = examples::reference_callback(example().name);
    measure::ProblemRunner runner(*device_.context, *device_.compiler, judged, clock_);
    runner.compute_reference();
    const measure::RunResult result = run(runner, judged.baseline_configuration());
    EXPECT_EQ(result.status, TrialStatus::ok) << size.describe() << ": " << result.message;
  }
}

std::string kernel_test_name(const testing::TestParamInfo<std::tuple<const char*, Example>>& instance) {
  return std::get<1>(instance.param).name;
}

INSTANTIATE_TEST_SUITE_P(OpenCl, KernelOnDevice,
                         testing::Combine(testing::Values("opencl"), testing::ValuesIn(examples_with_sizes())),
                         kernel_test_name);
INSTANTIATE_TEST_SUITE_P(Cuda, KernelOnDevice,
                         testing::Combine(testing::Values("cuda"), testing::ValuesIn(examples_with_sizes())),
                         kernel_test_name);

class FaultyOnDevice : public OnDevice, public testing::WithParamInterface<const char*> {
 protected:
  void SetUp() override { open(GetParam()); }
};

TEST_P(FaultyOnDevice, EachFaultHasItsStatus) {
  const Problem problem =
      spec::read(specification("faulty", "faulty")).for_device(device_.info, {{"n", std::int64_t{10007}}});
  measure::ProblemRunner runner(*device_.context, *device_.compiler, problem, clock_);
  runner.compute_reference();
  const auto with = [](const std::string& bug) {
    return Configuration{
        {"bug", bug}, {"block_x", std::int64_t{128}}, {"items", std::int64_t{1}}, {"work", std::int64_t{1}}};
  };
  const std::map<std::string, TrialStatus> expected = {{"none", TrialStatus::ok},
                                                       {"wrong_result", TrialStatus::wrong_result},
                                                       {"nan_output", TrialStatus::not_finite},
                                                       {"out_of_bounds", TrialStatus::out_of_bounds}};
  for (const auto& [bug, status] : expected) {
    const measure::RunResult result = run(runner, with(bug));
    EXPECT_EQ(result.status, status) << bug << ": " << result.message;
  }
  // What an unwritten element holds is the poison's choice: a NaN or a wrong number.
  EXPECT_THAT(run(runner, with("partial_write")).status,
              testing::AnyOf(TrialStatus::wrong_result, TrialStatus::not_finite));
  EXPECT_NE(refusal(problem, with("resource_excess")), "");
  try {
    run(runner, with("compile_error"));
    FAIL() << "the compiler accepted nonsense";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::compile);
  }
}

INSTANTIATE_TEST_SUITE_P(OpenCl, FaultyOnDevice, testing::Values("opencl"),
                         [](const auto&) { return std::string("faulty"); });
INSTANTIATE_TEST_SUITE_P(Cuda, FaultyOnDevice, testing::Values("cuda"),
                         [](const auto&) { return std::string("faulty"); });

}  // namespace
}  // namespace warpwright
