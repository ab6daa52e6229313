// Kernels of the reference workloads on a device: what B0 and a seeded sample of the tunable version compute is
// compared with the oracle, at the sizes of the specification and at an odd one, and B0 accepts the baseline. What CUDA
// makes of them is compiled where there is NVRTC, with a GPU or without.
//
// WARPWRIGHT_REQUIRE_DEVICE=opencl|cuda turns the skip for a missing device into a failure.
// WARPWRIGHT_TEST_CONFIGURATIONS=n sets the size of the sample.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <iterator>
#include <memory>
#include <ostream>
#include <string>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include <warpwright/base/clock.hpp>
#include <warpwright/base/rng.hpp>
#include <warpwright/cuda/backend.hpp>
#include <warpwright/measure/kernel_job.hpp>
#include <warpwright/measure/problem_runner.hpp>
#include <warpwright/opencl/backend.hpp>
#include <warpwright/spec/read.hpp>

#include "workloads/common/history.hpp"
#include "workloads/common/matrix.hpp"
#include "workloads/common/random.hpp"
#include "workloads/control/oracle.hpp"
#include "workloads/coupling/oracle.hpp"
#include "workloads/inference/oracle.hpp"
#include "workloads/oscillators/oracle.hpp"
#include "workloads/policy/oracle.hpp"
#include "workloads/quantum/oracle.hpp"
#include "workloads/reservoir/oracle.hpp"
#include "workloads/synchronisation/oracle.hpp"
#include "workloads/transfer_entropy/oracle.hpp"

namespace warpwright::workloads {
namespace {

using Compute = std::function<void(const Configuration& dimensions, HostBuffers& buffers)>;

std::size_t whole(const Configuration& dimensions, const std::string& name) {
  return static_cast<std::size_t>(std::get<std::int64_t>(dimensions.at(name)));
}

// A padded square matrix of floats as the kernels have it, and back; what is in the padding stays where it is.
Matrix matrix_of(const std::vector<std::byte>& bytes, std::size_t n) {
  Matrix matrix(n, n);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < n; ++j) {
      float value = 0.0F;
      std::memcpy(&value, bytes.data() + (i * matrix.stride() + j) * sizeof value, sizeof value);
      matrix(i, j) = static_cast<double>(value);
    }
  }
  return matrix;
}

void store(const Matrix& matrix, std::vector<std::byte>& bytes) {
  for (std::size_t i = 0; i < matrix.rows(); ++i) {
    for (std::size_t j = 0; j < matrix.columns(); ++j) {
      const auto value = static_cast<float>(matrix(i, j));
      std::memcpy(bytes.data() + (i * matrix.stride() + j) * sizeof value, &value, sizeof value);
    }
  }
}

std::vector<double> vector_of(const std::vector<std::byte>& bytes) {
  std::vector<float> floats(bytes.size() / sizeof(float));
  std::memcpy(floats.data(), bytes.data(), floats.size() * sizeof(float));
  return {floats.begin(), floats.end()};
}

void store(const std::vector<double>& values, std::vector<std::byte>& bytes) {
  const std::vector<float> floats(values.begin(), values.end());
  bytes.resize(floats.size() * sizeof(float));
  std::memcpy(bytes.data(), floats.data(), bytes.size());
}

void compute_coupling(const Configuration& dimensions, HostBuffers& buffers) {
  const std::size_t n = whole(dimensions, "n");
  Matrix c = matrix_of(buffers.at("coupling"), n);
  for (std::size_t i = 0; i < n; ++i) c(i, i) = 0.0;  // what the array is filled with is no coupling
  coupling::update(c, matrix_of(buffers.at("flow"), n), std::get<double>(dimensions.at("eta")));
  store(c, buffers.at("coupling"));
}

// One frame without its last step, the wrapping of the phases: near pi it would turn a rounding error into 2 pi.
void compute_oscillators(const Configuration& dimensions, HostBuffers& buffers) {
  const std::size_t n = whole(dimensions, "n");
  const auto number = [&](const char* name) { return std::get<double>(dimensions.at(name)); };
  const oscillators::Underdamped parameters{number("time_step"), number("friction"), number("temperature")};
  const oscillators::Force force =
      oscillators::coupling_force(matrix_of(buffers.at("coupling"), n), number("strength"));
  const std::vector<double> torque = oscillators::torques(vector_of(buffers.at("frequencies")), parameters.friction);
  oscillators::State state =
      oscillators::start(vector_of(buffers.at("start_phases")), vector_of(buffers.at("velocities")), force, torque);
  const Draws draws(static_cast<std::uint32_t>(whole(dimensions, "seed")), Stage::oscillators);
  const auto frame = static_cast<std::uint32_t>(whole(dimensions, "frame"));
  std::vector<double> normals(n);
  for (std::size_t m = 0; m < whole(dimensions, "steps"); ++m) {
    draws.normals(frame, static_cast<std::uint32_t>(m), normals);
    oscillators::step(state, force, torque, parameters, normals);
  }
  store(state.phases, buffers["phases"]);
  store(state.velocities, buffers.at("velocities"));
  store(state.heat, buffers["heat"]);
}

// `count` floats from element `first`.
std::vector<double> values_of(const std::vector<std::byte>& bytes, std::size_t first, std::size_t count) {
  std::vector<double> values(count);
  for (std::size_t i = 0; i < count; ++i) {
    float value = 0.0F;
    std::memcpy(&value, bytes.data() + (first + i) * sizeof value, sizeof value);
    values[i] = static_cast<double>(value);
  }
  return values;
}

void store_at(const std::vector<double>& values, std::vector<std::byte>& bytes, std::size_t first) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto value = static_cast<float>(values[i]);
    std::memcpy(bytes.data() + (first + i) * sizeof value, &value, sizeof value);
  }
}

// Elementwise, so that the padding is computed as the rest.
void compute_control(const Configuration& dimensions, HostBuffers& buffers) {
  const auto result = control::apply(
      vector_of(buffers.at("u")), vector_of(buffers.at("target")), vector_of(buffers.at("mean")),
      {.gain = std::get<double>(dimensions.at("gain")), .rate = std::get<double>(dimensions.at("rate"))});
  store(result.output, buffers.at("output"));
  store(result.mean, buffers.at("mean"));
}

// `rows` rows of `columns` floats, padded, from any of the padded matrices.
Matrix matrix_of(const std::vector<std::byte>& bytes, std::size_t rows, std::size_t columns) {
  Matrix matrix(rows, columns);
  for (std::size_t i = 0; i < rows; ++i) {
    const std::vector<double> row = values_of(bytes, i * matrix.stride(), columns);
    std::ranges::copy(row, matrix.row(i).begin());
  }
  return matrix;
}

// By the dense weights, whatever format a configuration reads.
void compute_reservoir(const Configuration& dimensions, HostBuffers& buffers) {
  const std::size_t n = whole(dimensions, "n");
  const std::size_t units = whole(dimensions, "units");
  const auto frame = static_cast<std::uint32_t>(whole(dimensions, "frame"));
  std::vector<double> state = values_of(buffers.at("state"), frame % 2 * units, units);
  std::vector<double> thresholds = vector_of(buffers.at("thresholds"));
  reservoir::step(state, matrix_of(buffers.at("input_weights"), units, n),
                  matrix_of(buffers.at("recurrent_weights"), units, units), vector_of(buffers.at("input")),
                  {.leak = std::get<double>(dimensions.at("leak")),
                   .noise = std::get<double>(dimensions.at("noise")),
                   .input_scale = std::get<double>(dimensions.at("input_scale"))},
                  Draws(static_cast<std::uint32_t>(whole(dimensions, "seed")), Stage::reservoir), frame);
  const std::vector<std::uint8_t> bits = reservoir::encode(state, thresholds);
  store_at(state, buffers.at("state"), (frame + 1) % 2 * units);
  store(thresholds, buffers.at("thresholds"));
  std::memcpy(buffers.at("bits").data() + whole(dimensions, "bit_row") * n, bits.data(), n);
}

void compute_synchronisation(const Configuration& dimensions, HostBuffers& buffers) {
  const std::size_t n = whole(dimensions, "n");
  const std::size_t ld = leading_dimension(n);
  const Matrix c = matrix_of(buffers.at("coupling"), n);
  const synchronisation::Frequencies frequencies{values_of(buffers.at("omega"), 0, n),
                                                 values_of(buffers.at("omega"), ld, n)};
  const synchronisation::Settings settings{.within = std::get<double>(dimensions.at("within")),
                                           .across = std::get<double>(dimensions.at("across")),
                                           .step = std::get<double>(dimensions.at("step")),
                                           .steps = static_cast<int>(whole(dimensions, "steps"))};
  const Matrix channel = synchronisation::symmetric_channel(n, std::get<double>(dimensions.at("error")));
  std::ranges::fill(buffers.at("phases_after"), std::byte{0});  // the padding
  for (std::size_t instance = 0; instance < whole(dimensions, "batch"); ++instance) {
    const std::size_t al = 2 * instance * ld;
    const auto after = synchronisation::frame(
        c, frequencies, {values_of(buffers.at("phases"), al, n), values_of(buffers.at("phases"), al + ld, n)},
        settings);
    store_at(after.al, buffers.at("phases_after"), al);
    store_at(after.be, buffers.at("phases_after"), al + ld);
    const auto order = synchronisation::order(after);
    store_at(std::vector<double>{order.rho, order.r_a, order.r_b}, buffers.at("order"), 3 * instance);
    const auto source = synchronisation::source_from_magnitudes(values_of(buffers.at("mean"), instance * ld, n));
    store_at(std::vector<double>{synchronisation::mutual_information(channel, source)}, buffers.at("information"),
             instance);
  }
}

// Real and imaginary part of each amplitude.
std::vector<double> parts_of(const quantum::State& psi) {
  std::vector<double> parts;
  for (const quantum::Amplitude& amplitude : psi) parts.insert(parts.end(), {amplitude.real(), amplitude.imag()});
  return parts;
}

void compute_wave(const Configuration& dimensions, HostBuffers& buffers) {
  const auto number = [&](const char* name) { return std::get<double>(dimensions.at(name)); };
  const quantum::State psi = quantum::propagate(
      matrix_of(buffers.at("coupling"), whole(dimensions, "n")), quantum::prepare(vector_of(buffers.at("theta"))),
      {.hopping = number("hopping"), .dt = number("dt"), .terms = static_cast<int>(whole(dimensions, "terms"))});
  store(parts_of(psi), buffers.at("psi"));
  store(quantum::probabilities(psi), buffers.at("probability"));
  store(quantum::phases(psi), buffers.at("phase"));
}

void compute_circuit(const Configuration& dimensions, HostBuffers& buffers) {
  const std::size_t n = whole(dimensions, "n");
  const quantum::Circuit circuit{.qubits = static_cast<int>(whole(dimensions, "qubits")),
                                 .layers = static_cast<int>(whole(dimensions, "layers"))};
  for (std::size_t instance = 0; instance < whole(dimensions, "batch"); ++instance) {
    const quantum::State psi = quantum::run_circuit(values_of(buffers.at("theta"), instance * n, n), circuit);
    store_at(parts_of(psi), buffers.at("psi"), instance * 2 * psi.size());
    store_at(quantum::probabilities(psi), buffers.at("probability"), instance * psi.size());
  }
}

void compute_transfer_entropy(const Configuration& dimensions, HostBuffers& buffers) {
  const std::size_t n = whole(dimensions, "n");
  const std::size_t frames = whole(dimensions, "frames");
  const std::vector<std::byte>& symbols = buffers.at("symbols");
  History history(frames, n);
  for (std::size_t t = 0; t < frames; ++t) {
    const std::size_t row = (whole(dimensions, "oldest") + t) % frames;
    std::vector<std::uint8_t> frame(n);
    std::memcpy(frame.data(), symbols.data() + row * n, n);
    history.push(frame);
  }
  const transfer_entropy::Flow flow =
      transfer_entropy::all_pairs(history, whole(dimensions, "bins"), whole(dimensions, "lag"));
  store(flow.raw, buffers.at("raw"));
  store(flow.corrected, buffers.at("corrected"));
}

// `count` whole numbers of 32 bits.
std::vector<std::int32_t> integers_of(const std::vector<std::byte>& bytes) {
  std::vector<std::int32_t> values(bytes.size() / sizeof(std::int32_t));
  std::memcpy(values.data(), bytes.data(), values.size() * sizeof(std::int32_t));
  return values;
}

inference::Model model_of(const Configuration& dimensions) {
  const auto number = [&](const char* name) { return std::get<double>(dimensions.at(name)); };
  inference::Model model;
  model.windows = whole(dimensions, "n");
  model.sensors = whole(dimensions, "m");
  model.offset = number("offset");
  model.observation_precision = number("observation_precision");
  if (dimensions.find("prior_mean") != nullptr) {
    model.prior_mean = number("prior_mean");
    model.prior_precision = number("prior_precision");
  }
  return model;
}

// With J of the oracle, whatever the buffer holds. All iterations, or until F changes by less than the tolerance.
void compute_inference(const Configuration& dimensions, HostBuffers& buffers) {
  const inference::Model model = model_of(dimensions);
  const std::vector<double> observation = inference::observe(vector_of(buffers.at("probabilities")), model.sensors);
  const inference::Result result = inference::infer(model, observation,
                                                    {.kappa = std::get<double>(dimensions.at("kappa")),
                                                     .tolerance = std::get<double>(dimensions.at("tolerance")),
                                                     .iterations = static_cast<int>(whole(dimensions, "iterations"))});
  store(observation, buffers["observation"]);
  store(result.mean, buffers["mean"]);
  store(result.variance, buffers["variance"]);
  store(std::vector<double>{result.free_energies.back(), static_cast<double>(result.iterations)}, buffers["outcome"]);
}

void compute_policy(const Configuration& dimensions, HostBuffers& buffers) {
  const auto number = [&](const char* name) { return std::get<double>(dimensions.at(name)); };
  policy::Settings settings;
  settings.policies.clear();
  const std::vector<double> gains = vector_of(buffers.at("gains"));
  const std::vector<std::int32_t> windows = integers_of(buffers.at("windows"));
  const std::vector<std::int32_t> adaptive = integers_of(buffers.at("adaptive"));
  for (std::size_t p = 0; p < gains.size(); ++p) {
    settings.policies.push_back({gains[p], static_cast<std::size_t>(windows[p]),
                                 adaptive[p] != 0 ? policy::Sensing::adaptive : policy::Sensing::uniform});
  }
  settings.horizon = whole(dimensions, "horizon");
  settings.duration = number("duration");
  const std::size_t sub_steps = whole(dimensions, "sub_steps");
  settings.evolution = sub_steps == 0                    ? policy::Evolution::exact
                       : whole(dimensions, "noisy") != 0 ? policy::Evolution::sampled
                                                         : policy::Evolution::sub_stepped;
  settings.sub_steps = std::max<std::size_t>(sub_steps, 1);
  settings.modes = whole(dimensions, "mode_count");
  settings.mode_rate = number("mode_rate");
  settings.mode_variance = number("mode_variance");
  settings.relaxation = number("relaxation");
  settings.diffusion = number("diffusion");
  settings.preference_precision = number("preference_precision");
  settings.preferred = number("preferred");
  const policy::Choice choice =
      policy::choose(model_of(dimensions), matrix_of(buffers.at("coupling"), whole(dimensions, "n")),
                     vector_of(buffers.at("mean")), vector_of(buffers.at("variance")), vector_of(buffers.at("modes")),
                     Draws(static_cast<std::uint32_t>(whole(dimensions, "seed")), Stage::inference),
                     static_cast<std::uint32_t>(whole(dimensions, "frame")), settings);
  std::vector<double> values;
  for (const policy::Outcome& outcome : choice.outcomes) values.push_back(outcome.value);
  store(values, buffers["values"]);
  const auto chosen = static_cast<std::int32_t>(choice.chosen);
  buffers["chosen"].resize(sizeof chosen);
  std::memcpy(buffers.at("chosen").data(), &chosen, sizeof chosen);
  store(choice.control, buffers["control"]);
  store(choice.modes, buffers.at("modes"));
}

struct Workload {
  const char* name;  // of the specification, NAME.toml
  std::uint64_t space_size;
  Configuration odd_size;
  Compute oracle;
  const char* stage = nullptr;  // the folder, where it has another name
  const char* variant = "";     // behind the name in those of tests: another odd size

  std::string label() const { return std::string(name) + variant; }
  std::filesystem::path specification() const {
    return std::filesystem::path(WARPWRIGHT_WORKLOADS) / (stage != nullptr ? stage : name) /
           (std::string(name) + ".toml");
  }
};

void PrintTo(const Workload& workload, std::ostream* out) { *out << workload.label(); }

const std::vector<Workload>& workloads_with_kernels() {
  static const std::vector<Workload> all = {
      {"circuit",
       120,
       {{"n", std::int64_t{77}}, {"qubits", std::int64_t{7}}, {"layers", std::int64_t{3}}, {"batch", std::int64_t{2}}},
       compute_circuit,
       "quantum"},
      {"control", 144, {{"n", std::int64_t{77}}, {"batch", std::int64_t{3}}}, compute_control},
      {"coupling", 900, {{"n", std::int64_t{77}}}, compute_coupling},
      {"inference",
       1090,
       {{"n", std::int64_t{77}}, {"m", std::int64_t{8}}, {"iterations", std::int64_t{12}}},
       compute_inference},
      // Sensors that share windows, one of them at an end.
      {"inference",
       1090,
       {{"n", std::int64_t{53}}, {"m", std::int64_t{37}}, {"iterations", std::int64_t{12}}, {"prior_mean", 0.25}},
       compute_inference,
       nullptr,
       "_overlapping"},
      {"policy",
       8775,
       {{"n", std::int64_t{77}},
        {"m", std::int64_t{8}},
        {"mode_count", std::int64_t{13}},
        {"sub_steps", std::int64_t{7}}},
       compute_policy},
      {"policy",
       8775,
       {{"n", std::int64_t{77}},
        {"m", std::int64_t{61}},
        {"horizon", std::int64_t{4}},
        {"sub_steps", std::int64_t{5}},
        {"noisy", std::int64_t{1}},
        {"frame", std::int64_t{9}}},
       compute_policy,
       nullptr,
       "_sampled"},
      {"oscillators", 1920, {{"n", std::int64_t{77}}, {"steps", std::int64_t{4}}}, compute_oscillators},
      {"quantum", 1176, {{"n", std::int64_t{77}}, {"dt", -0.02}, {"terms", std::int64_t{13}}}, compute_wave},
      {"reservoir",
       1376,
       {{"n", std::int64_t{77}}, {"units", std::int64_t{101}}, {"frame", std::int64_t{3}}},
       compute_reservoir},
      {"synchronisation", 8984, {{"n", std::int64_t{77}}, {"batch", std::int64_t{2}}}, compute_synchronisation},
      {"transfer_entropy",
       300,
       {{"n", std::int64_t{45}}, {"frames", std::int64_t{77}}, {"oldest", std::int64_t{5}}},
       compute_transfer_entropy},
  };
  return all;
}

// Once each, whatever odd sizes it is tested with.
std::vector<Workload> workloads_without_variants() {
  std::vector<Workload> result;
  std::ranges::copy_if(workloads_with_kernels(), std::back_inserter(result),
                       [](const Workload& workload) { return std::string(workload.variant).empty(); });
  return result;
}

std::vector<Workload> workloads_called(const std::string& name) {
  std::vector<Workload> result;
  std::ranges::copy_if(workloads_with_kernels(), std::back_inserter(result),
                       [&](const Workload& workload) { return workload.name == name; });
  return result;
}

// Those whose kernels put phases into (-pi, pi].
std::vector<Workload> workloads_that_wrap() { return workloads_called("synchronisation"); }

Problem read_problem(const Workload& workload) { return spec::read(workload.specification()); }

// Random configurations, `wanted` or more: every word that a parameter may be (an algorithm, say) is in one of them.
std::vector<Configuration> sample(const Problem& problem, const Space& space, std::uint64_t wanted) {
  Rng rng(derive_seed(20240612, space.size()));
  const auto draw = [&] { return space.at(rng.below(space.size())); };
  std::vector<Configuration> drawn;
  for (const Parameter& parameter : problem.parameters) {
    for (const Value& value : parameter.values) {
      if (!std::holds_alternative<std::string>(value)) continue;
      const auto has_it = [&](const Configuration& configuration) { return configuration.at(parameter.name) == value; };
      if (std::any_of(drawn.begin(), drawn.end(), has_it)) continue;
      Configuration configuration = draw();
      for (int attempt = 0; attempt < 1000 && !has_it(configuration); ++attempt) configuration = draw();
      drawn.push_back(std::move(configuration));
    }
  }
  while (drawn.size() < wanted) drawn.push_back(draw());
  return drawn;
}

class EachWorkload : public testing::TestWithParam<Workload> {};

TEST_P(EachWorkload, ReadsWithItsSpace) {
  const Problem problem = read_problem(GetParam());
  EXPECT_THAT(problem.warnings, testing::IsEmpty());
  const std::unique_ptr<Space> space = problem.build_space();
  EXPECT_EQ(space->size(), GetParam().space_size);
  EXPECT_TRUE(space->contains(problem.baseline_configuration()));
  EXPECT_FALSE(problem.verify_sizes.empty());
}

INSTANTIATE_TEST_SUITE_P(Specification, EachWorkload, testing::ValuesIn(workloads_without_variants()),
                         [](const auto& instance) { return instance.param.label(); });

// What CUDA makes of B0, the baseline and a sample, on machines without a GPU: NVRTC needs none.
class WorkloadForHopper : public testing::TestWithParam<Workload> {};

TEST_P(WorkloadForHopper, IsCompiledByNvrtc) {
  std::unique_ptr<device::Compiler> compiler;
  try {
    compiler = cuda::make_nvrtc_compiler("sm_90");
  } catch (const Error& error) {
    GTEST_SKIP() << error.what();
  }
  DeviceInfo info;
  info.id.backend = "cuda";
  info.kind = DeviceKind::gpu;
  info.name = "sm_90";
  info.supports_cooperative_launch = true;
  info.supports_clusters = true;
  const Problem problem = read_problem(GetParam()).for_device(info, {});
  const std::unique_ptr<Space> space = problem.build_space();
  std::vector<Configuration> configurations = sample(problem, *space, 6);
  configurations.push_back(problem.baseline_configuration());
  for (const Configuration& configuration : configurations) {
    const Binary binary = compiler->compile(measure::kernel_job(problem, configuration, info));
    EXPECT_THAT(binary.resources, testing::Not(testing::IsEmpty())) << configuration.describe();
  }
  (void)compiler->compile(measure::reference_job(problem, info));
}

INSTANTIATE_TEST_SUITE_P(Nvrtc, WorkloadForHopper, testing::ValuesIn(workloads_without_variants()),
                         [](const auto& instance) { return instance.param.label(); });

class WorkloadOnDevice : public testing::TestWithParam<std::tuple<const char*, Workload>> {
 protected:
  void SetUp() override {
    const std::string wanted = std::get<0>(GetParam());
    backend_ = wanted == "cuda" ? cuda::make_backend() : opencl::make_backend();
    const device::ProbeResult probe = backend_->probe();
    if (!probe.usable) {
      const char* required = std::getenv("WARPWRIGHT_REQUIRE_DEVICE");
      if (required != nullptr && wanted == required) FAIL() << "required device: " << probe.reason;
      GTEST_SKIP() << probe.reason;
    }
    info_ = backend_->devices().front();
    context_ = backend_->open(info_.id);
    compiler_ = backend_->compiler(info_);
  }

  const Workload& workload() const { return std::get<1>(GetParam()); }
  Problem problem(const Configuration& size) const { return read_problem(workload()).for_device(info_, size); }

  measure::RunResult run(measure::ProblemRunner& runner, const Configuration& configuration) {
    const Binary binary = compiler_->compile(measure::kernel_job(runner.problem(), configuration, info_));
    measure::TimingOptions once;
    once.warmup = 0;
    once.min_samples = 1;
    once.max_samples = 1;
    return runner.run(configuration, binary, once);
  }

  bool fits(const Problem& problem, const Configuration& configuration) const {
    const Scope scope = problem.scope(configuration);
    return std::none_of(problem.launches.begin(), problem.launches.end(), [&](const Launch& launch) {
      return exceeds_limits(evaluate_geometry(launch, scope), info_).has_value();
    });
  }

  std::unique_ptr<device::Backend> backend_;
  DeviceInfo info_;
  std::unique_ptr<device::Context> context_;
  std::unique_ptr<device::Compiler> compiler_;
  SteadyClock clock_;
};

TEST_P(WorkloadOnDevice, BaselineAndSampleMatchTheOracle) {
  Problem judged = problem(workload().odd_size);
  judged.reference = ReferenceCallback{workload().oracle};
  measure::ProblemRunner runner(*context_, *compiler_, judged, clock_);
  runner.compute_reference();
  const measure::RunResult baseline = run(runner, judged.baseline_configuration());
  EXPECT_EQ(baseline.status, TrialStatus::ok) << baseline.message;

  const std::unique_ptr<Space> space = judged.build_space();
  const bool on_gpu = info_.kind == DeviceKind::gpu;
  const char* text = std::getenv("WARPWRIGHT_TEST_CONFIGURATIONS");
  const std::uint64_t wanted = text != nullptr ? std::strtoull(text, nullptr, 10) : on_gpu ? 40 : 6;
  std::uint64_t ran = 0;
  const std::vector<Configuration> configurations = sample(judged, *space, wanted);
  for (const Configuration& configuration : configurations) {
    if (!fits(judged, configuration)) continue;
    const measure::RunResult result = run(runner, configuration);
    // Registers are known only after compiling, and the driver may refuse such a launch; a result must be right.
    if (result.status == TrialStatus::resource_exceeded && on_gpu) continue;
    ++ran;
    EXPECT_EQ(result.status, TrialStatus::ok) << configuration.describe() << ": " << result.message;
  }
  EXPECT_GE(4 * ran, configurations.size()) << "the device refused most of the sample";
}

TEST_P(WorkloadOnDevice, VerificationSizesMatchTheOracle) {
  for (const Configuration& size : problem({}).verify_sizes) {
    Problem judged = problem(size);
    judged.reference = ReferenceCallback{workload().oracle};
    measure::ProblemRunner runner(*context_, *compiler_, judged, clock_);
    runner.compute_reference();
    const measure::RunResult result = run(runner, judged.baseline_configuration());
    EXPECT_EQ(result.status, TrialStatus::ok) << size.describe() << ": " << result.message;
  }
}

class PhasesOnDevice : public WorkloadOnDevice {};

// Phases all round the circle: those that pass pi are wrapped.
TEST_P(PhasesOnDevice, AreWrapped) {
  Problem judged = problem(workload().odd_size);
  const auto phases = std::find_if(judged.arguments.begin(), judged.arguments.end(),
                                   [](const Argument& argument) { return argument.name == "phases"; });
  ASSERT_NE(phases, judged.arguments.end());
  phases->fill = FillUniform{-3.14159, 3.14159, 85};
  judged.reference = ReferenceCallback{workload().oracle};
  measure::ProblemRunner runner(*context_, *compiler_, judged, clock_);
  runner.compute_reference();
  const measure::RunResult result = run(runner, judged.baseline_configuration());
  EXPECT_EQ(result.status, TrialStatus::ok) << result.message;
}

class InferenceOnDevice : public WorkloadOnDevice {};

// With a tolerance all iterations in one launch end where those of the oracle do.
TEST_P(InferenceOnDevice, StopsWhereTheFreeEnergyDoes) {
  Configuration size = workload().odd_size;
  size.set("tolerance", 1e-4);
  size.set("iterations", std::int64_t{100});
  Problem judged = problem(size);
  judged.reference = ReferenceCallback{workload().oracle};
  measure::ProblemRunner runner(*context_, *compiler_, judged, clock_);
  runner.compute_reference();
  Configuration configuration = judged.baseline_configuration();
  configuration.set("execution", std::string("one_block"));
  configuration.set("launch_iterations", std::int64_t{0});
  for (const char* form : {"dense", "computed", "local"}) {
    configuration.set("algorithm", std::string(form));
    if (!judged.build_space()->contains(configuration)) continue;  // `local` needs sensors that share no window
    const measure::RunResult result = run(runner, configuration);
    EXPECT_EQ(result.status, TrialStatus::ok) << form << ": " << result.message;
  }
}

// What B0 computes reaches the report as the reference of the tuned kernel, so both are right if one is.
TEST_P(WorkloadOnDevice, NaiveKernelAcceptsTheBaseline) {
  const Problem own = problem(workload().odd_size);
  measure::ProblemRunner runner(*context_, *compiler_, own, clock_);
  runner.compute_reference();
  ASSERT_TRUE(runner.has_reference());
  const measure::RunResult result = run(runner, own.baseline_configuration());
  EXPECT_EQ(result.status, TrialStatus::ok) << result.message;
}

std::string device_test_name(const testing::TestParamInfo<std::tuple<const char*, Workload>>& instance) {
  return std::get<1>(instance.param).label();
}

INSTANTIATE_TEST_SUITE_P(OpenCl, WorkloadOnDevice,
                         testing::Combine(testing::Values("opencl"), testing::ValuesIn(workloads_with_kernels())),
                         device_test_name);
INSTANTIATE_TEST_SUITE_P(OpenCl, PhasesOnDevice,
                         testing::Combine(testing::Values("opencl"), testing::ValuesIn(workloads_that_wrap())),
                         device_test_name);
INSTANTIATE_TEST_SUITE_P(Cuda, PhasesOnDevice,
                         testing::Combine(testing::Values("cuda"), testing::ValuesIn(workloads_that_wrap())),
                         device_test_name);
INSTANTIATE_TEST_SUITE_P(OpenCl, InferenceOnDevice,
                         testing::Combine(testing::Values("opencl"), testing::ValuesIn(workloads_called("inference"))),
                         device_test_name);
INSTANTIATE_TEST_SUITE_P(Cuda, InferenceOnDevice,
                         testing::Combine(testing::Values("cuda"), testing::ValuesIn(workloads_called("inference"))),
                         device_test_name);
INSTANTIATE_TEST_SUITE_P(Cuda, WorkloadOnDevice,
                         testing::Combine(testing::Values("cuda"), testing::ValuesIn(workloads_with_kernels())),
                         device_test_name);

}  // namespace
}  // namespace warpwright::workloads
