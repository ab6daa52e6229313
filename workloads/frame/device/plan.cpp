#include "workloads/frame/device/plan.hpp"

#include <algorithm>
#include <cstdint>
#include <utility>

#include <warpwright/base/error.hpp>
#include <warpwright/spec/read.hpp>

#include "workloads/common/sizes.hpp"
#include "workloads/inference/oracle.hpp"
#include "workloads/policy/oracle.hpp"

namespace warpwright::workloads {
namespace {

std::int64_t integer(std::size_t value) { return static_cast<std::int64_t>(value); }

std::uint64_t pages(std::uint64_t bytes) {
  const std::uint64_t page = device::view_alignment.count;
  return (bytes + page - 1) / page * page;
}

// The columns in which S1's sparse rows have one weight: the longest stretch whose rows are long enough. Rows of the
// kernel are ceil(columns / (4 spacing)) vectors of 4.
std::size_t spacing_for(const frame::Model& model) {
  const auto width = [](std::size_t columns, std::size_t spacing) {
    return (columns + 4 * spacing - 1) / (4 * spacing) * 4;
  };
  std::size_t spacing = 10;
  while (spacing > 1 && (width(model.sizes.oscillators, spacing) < longest_row(model.input_weights) ||
                         width(model.sizes.reservoir_units, spacing) < longest_row(model.recurrent))) {
    --spacing;
  }
  return spacing;
}

PlannedArray vector_of(const std::string& name, const std::string& buffer, std::size_t count,
                       DataType type = DataType::float32) {
  return {name, buffer, type, {count}, 0, {}};
}

PlannedArray matrix_of(const std::string& name, const std::string& buffer, std::size_t n) {
  return {name, buffer, DataType::float32, {n, n}, leading_dimension(n), {}};
}

}  // namespace

FramePlan::FramePlan(const device::Backend& backend, device::Context& context, const store::ProfileDatabase& profiles,
                     const frame::Model& model, const FrameOptions& options)
    : backend_(backend),
      context_(context),
      profiles_(profiles),
      model_(model),
      options_(options),
      buffers_(context),
      glue_(backend, context, options.specifications / "frame" / "glue.kernel") {
  spacing_ = spacing_for(model);
  const auto width = [&](std::size_t columns) { return (columns + 4 * spacing_ - 1) / (4 * spacing_) * 4; };
  input_width_ = width(model.sizes.oscillators);
  recurrent_width_ = width(model.sizes.reservoir_units);
  allocate();
  upload_constants();
  add_encoding();
  add_flow();
  add_motion();
  add_belief();
  add_bridge();
}

void FramePlan::allocate() {
  const Sizes& sizes = model_.sizes;
  const std::uint64_t n = sizes.oscillators;
  const std::uint64_t ld = leading_dimension(n);
  const std::uint64_t units = sizes.reservoir_units;
  constexpr std::uint64_t word = sizeof(float);

  up_size_ = x_offset() + word * n;
  summary_offset_ = pages(word * ld);
  down_size_ = summary_offset_ + word * summary_size;
  buffers_.add("up", x_offset() + pages(word * ld));
  buffers_.add_view("clock", "up", 0, 2 * word);
  buffers_.add_view("x", "up", x_offset(), word * ld);
  buffers_.add("down", summary_offset_ + pages(word * summary_size));
  buffers_.add_view("output", "down", 0, word * ld);
  buffers_.add_view("summary", "down", summary_offset_, word * summary_size);

  buffers_.add("units", 2 * units * word);  // of even and of odd frames
  buffers_.add("thresholds", n * word);
  buffers_.add("ring", sizes.history * n);
  buffers_.add("input_dense", units * ld * word);
  buffers_.add("recurrent_dense", units * leading_dimension(units) * word);
  buffers_.add("input_values", units * input_width_ * word);
  buffers_.add("input_columns", units * input_width_ * sizeof(std::uint16_t));
  buffers_.add("recurrent_values", units * recurrent_width_ * word);
  buffers_.add("recurrent_columns", units * recurrent_width_ * sizeof(std::uint16_t));
  for (const char* name : {"flow_raw", "flow", "coupling"}) buffers_.add(name, n * ld * word);
  // al and be of S8: what it takes, and what it leaves, of which al is theta of the next frame.
  buffers_.add("bridge", 2 * ld * word);
  buffers_.add("phases", 2 * ld * word);
  for (const char* name :
       {"velocities", "frequencies", "heat", "probabilities", "wave_phases", "mean", "variance", "control", "target"})
    buffers_.add(name, ld * word);
  buffers_.add("wave", 2 * ld * word);
  buffers_.add("sensors", sizes.observations * ld * word);  // J
  buffers_.add("outcome", 2 * word);
  buffers_.add("observation", sizes.observations * word);
  buffers_.add("bridge_frequencies", 2 * ld * word);
  buffers_.add("order", 3 * word);
  buffers_.add("information", word);
  buffers_.add("bridge_waves", 2 * ld * word);
  buffers_.add("row_sums", 2 * n * word);
  buffers_.add("modes", sizes.modes * word);
  for (const char* name : {"gains", "windows", "adaptive"}) buffers_.add(name, model_.policy.policies.size() * word);
  buffers_.add("values", std::max<std::uint64_t>(model_.policy.policies.size(), 1) * word);
  buffers_.add("chosen", sizeof(std::int32_t));
}

void FramePlan::upload_constants() {
  const auto floats = [](const std::vector<double>& values) {
    return std::vector<float>(values.begin(), values.end());
  };
  const std::uint64_t ld = leading_dimension(model_.sizes.oscillators);
  const Matrix sensors = inference::observation_matrix(model_.inference);
  buffers_.upload("sensors", std::vector<float>(sensors.storage().begin(), sensors.storage().end()));
  buffers_.upload("input_dense", dense_rows(model_.input_weights));
  buffers_.upload("recurrent_dense", dense_rows(model_.recurrent));
  const SparseRows input = sparse_rows(model_.input_weights, input_width_);
  buffers_.upload("input_values", input.values);
  buffers_.upload("input_columns", input.columns);
  const SparseRows recurrent = sparse_rows(model_.recurrent, recurrent_width_);
  buffers_.upload("recurrent_values", recurrent.values);
  buffers_.upload("recurrent_columns", recurrent.columns);
  std::vector<float> gains;
  std::vector<std::int32_t> windows;
  std::vector<std::int32_t> adaptive;
  for (const policy::Policy& each : model_.policy.policies) {
    gains.push_back(static_cast<float>(each.gain));
    windows.push_back(static_cast<std::int32_t>(each.windows));
    adaptive.push_back(each.mode == policy::Sensing::adaptive ? 1 : 0);
  }
  buffers_.upload("gains", gains);
  buffers_.upload("windows", windows);
  buffers_.upload("adaptive", adaptive);
  buffers_.upload("frequencies", floats(model_.frequencies));
  buffers_.upload("bridge_frequencies", floats(model_.bridge.a));
  buffers_.upload("bridge_frequencies", floats(model_.bridge.b), ld * sizeof(float));
}

std::unique_ptr<runtime::TunedKernel> FramePlan::read(const std::string& folder) {
  const std::filesystem::path file = options_.specifications / folder / (folder + ".toml");
  runtime::TunedKernelOptions options;
  options.match = options_.match;
  // What a frame works on is in the cache from the frame before.
  options.cache_mode = measure::CacheMode::warm;
  options.binary_cache = options_.binary_cache;
  // A frame keeps what it was made with: its graphs hold the kernels.
  options.profile_check = Nanoseconds{1e18};
  return std::make_unique<runtime::TunedKernel>(spec::read(file), backend_, context_, profiles_, std::move(options));
}

void FramePlan::add(PlannedStage stage, const std::string& folder, const Configuration& dimensions,
                    const Names& arguments) {
  kernels_.push_back(read(folder));
  runtime::TunedKernel* kernel = kernels_.back().get();
  std::map<std::string, device::Buffer*> buffers;
  for (const auto& [argument, buffer] : arguments) buffers[argument] = &buffers_.at(buffer);
  try {
    choices_.push_back({stage.name, folder, kernel->select(dimensions)});
  } catch (Error& error) {
    throw error.add_context("preparing stage " + stage.name + " of the frame");
  }
  if (!stage.enqueue) {
    stage.enqueue = [kernel, dimensions, buffers](device::Stream& stream, FlowMode) {
      kernel->launch(stream, dimensions, buffers);
    };
  }
  stages_.push_back(std::move(stage));
}

void FramePlan::add_encoding() {
  const Sizes& sizes = model_.sizes;
  const std::size_t units = sizes.reservoir_units;
  PlannedStage stage{"S1", {}, false, {}};
  stage.arrays = {vector_of("units", "units", units), vector_of("bits", "ring", sizes.oscillators, DataType::uint8),
                  vector_of("thresholds", "thresholds", sizes.oscillators)};
  stage.arrays[0].offset = [units](std::uint32_t frame) { return (frame + 1) % 2 * units * sizeof(float); };
  stage.arrays[1].offset = [sizes](std::uint32_t frame) { return frame % sizes.history * sizes.oscillators; };
  add(std::move(stage), "reservoir",
      {{"n", integer(sizes.oscillators)},
       {"units", integer(units)},
       {"spacing", integer(spacing_)},
       {"leak", model_.reservoir.leak},
       {"noise", model_.reservoir.noise},
       {"input_scale", model_.reservoir.input_scale},
       {"frames", integer(sizes.history)},
       {"seed", integer(model_.settings.seed)}},
      {{"input", "x"},
       {"state", "units"},
       {"thresholds", "thresholds"},
       {"bits", "ring"},
       {"input_weights", "input_dense"},
       {"recurrent_weights", "recurrent_dense"},
       {"input_values", "input_values"},
       {"input_columns", "input_columns"},
       {"recurrent_values", "recurrent_values"},
       {"recurrent_columns", "recurrent_columns"},
       {"clock", "clock"}});
}

void FramePlan::add_flow() {
  const Sizes& sizes = model_.sizes;
  const std::size_t n = sizes.oscillators;
  add({"S2", {}, true, {matrix_of("raw", "flow_raw", n), matrix_of("corrected", "flow", n)}}, "transfer_entropy",
      {{"n", integer(n)},
       {"bins", integer(sizes.bins)},
       {"frames", integer(sizes.history)},
       {"lag", integer(frame::flow_lag)}},
      {{"symbols", "ring"}, {"raw", "flow_raw"}, {"corrected", "flow"}, {"clock", "clock"}});

  // The first flow is taken as a whole: the same kernel at a rate of 1.
  const Configuration usual{{"n", integer(n)}, {"eta", model_.settings.coupling_rate}};
  const Configuration first{{"n", integer(n)}, {"eta", 1.0}};
  PlannedStage stage{"S3", {}, true, {matrix_of("coupling", "coupling", n)}};
  const std::size_t at = kernels_.size();
  const std::map<std::string, device::Buffer*> buffers{{"flow", &buffers_.at("flow")},
                                                       {"coupling", &buffers_.at("coupling")}};
  stage.enqueue = [this, at, usual, first, buffers](device::Stream& stream, FlowMode mode) {
    kernels_[at]->launch(stream, mode == FlowMode::first ? first : usual, buffers);
  };
  add(std::move(stage), "coupling", usual, {});
}

void FramePlan::add_motion() {
  const Sizes& sizes = model_.sizes;
  const std::size_t n = sizes.oscillators;
  add({"S4",
       {},
       false,
       {vector_of("phases", "bridge", n), vector_of("velocities", "velocities", n), vector_of("heat", "heat", n)}},
      "oscillators",
      {{"n", integer(n)},
       {"steps", integer(model_.steps)},
       {"strength", model_.settings.strength},
       {"friction", model_.oscillators.friction},
       {"temperature", model_.oscillators.temperature},
       {"time_step", model_.oscillators.time_step},
       {"seed", integer(model_.settings.seed)}},
      {{"coupling", "coupling"},
       {"start_phases", "phases"},
       {"velocities", "velocities"},
       {"frequencies", "frequencies"},
       {"phases", "bridge"},
       {"heat", "heat"},
       {"clock", "clock"}});
  add({"S5", {}, false, {vector_of("probabilities", "probabilities", n), vector_of("phases", "wave_phases", n)}},
      "quantum", {{"n", integer(n)}, {"hopping", model_.propagation.hopping}, {"dt", model_.propagation.dt}},
      {{"coupling", "coupling"},
       {"theta", "bridge"},
       {"psi", "wave"},
       {"probability", "probabilities"},
       {"phase", "wave_phases"}});
}

void FramePlan::add_belief() {
  const Sizes& sizes = model_.sizes;
  const std::size_t n = sizes.oscillators;
  const inference::Model& belief = model_.inference;
  const inference::Settings& settings = model_.settings.inference;
  add({"S6A",
       {},
       false,
       {vector_of("observation", "observation", sizes.observations), vector_of("mean", "mean", n),
        vector_of("variance", "variance", n), vector_of("outcome", "outcome", 2)}},
      "inference",
      {{"n", integer(n)},
       {"m", integer(sizes.observations)},
       {"iterations", std::int64_t{settings.iterations}},
       {"tolerance", settings.tolerance},
       {"offset", belief.offset},
       {"observation_precision", belief.observation_precision},
       {"prior_mean", belief.prior_mean},
       {"prior_precision", belief.prior_precision},
       {"kappa", settings.kappa}},
      {{"probabilities", "probabilities"},
       {"matrix", "sensors"},
       {"observation", "observation"},
       {"mean", "mean"},
       {"variance", "variance"},
       {"outcome", "outcome"}});
  add({"S6B",
       {},
       false,
       {vector_of("values", "values", model_.policy.policies.size()), vector_of("chosen", "chosen", 1, DataType::int32),
        vector_of("control", "control", n), vector_of("modes", "modes", sizes.modes)}},
      "policy",
      {{"n", integer(n)},
       {"m", integer(sizes.observations)},
       {"mode_count", integer(sizes.modes)},
       {"policies", integer(model_.policy.policies.size())},
       {"horizon", integer(sizes.horizon)},
       {"sub_steps", std::int64_t{0}},  // the exact step
       {"noisy", std::int64_t{0}},
       {"duration", model_.policy.duration},
       {"mode_rate", model_.policy.mode_rate},
       {"mode_variance", model_.policy.mode_variance},
       {"relaxation", model_.policy.relaxation},
       {"diffusion", model_.policy.diffusion},
       {"offset", belief.offset},
       {"observation_precision", belief.observation_precision},
       {"preference_precision", model_.policy.preference_precision},
       {"preferred", model_.policy.preferred},
       {"seed", integer(model_.settings.seed)}},
      {{"coupling", "coupling"},
       {"matrix", "sensors"},
       {"mean", "mean"},
       {"variance", "variance"},
       {"gains", "gains"},
       {"windows", "windows"},
       {"adaptive", "adaptive"},
       {"modes", "modes"},
       {"clock", "clock"},
       {"values", "values"},
       {"chosen", "chosen"},
       {"control", "control"}});
  add({"S7", {}, false, {vector_of("output", "output", n), vector_of("mean", "mean", n)}}, "control",
      {{"n", integer(n)}}, {{"u", "control"}, {"target", "target"}, {"mean", "mean"}, {"output", "output"}});
}

void FramePlan::add_bridge() {
  const std::size_t n = model_.sizes.oscillators;
  const Configuration dimensions{{"n", integer(n)},
                                 {"steps", integer(static_cast<std::size_t>(model_.synchronisation.steps))},
                                 {"within", model_.synchronisation.within},
                                 {"across", model_.synchronisation.across},
                                 {"step", model_.synchronisation.step}};
  const std::map<std::string, device::Buffer*> buffers{
      {"coupling", &buffers_.at("coupling")},      {"omega", &buffers_.at("bridge_frequencies")},
      {"phases", &buffers_.at("bridge")},          {"mean", &buffers_.at("mean")},
      {"phases_after", &buffers_.at("phases")},    {"order", &buffers_.at("order")},
      {"information", &buffers_.at("information")}};
  PlannedStage stage{"S8",
                     {},
                     false,
                     {vector_of("al", "phases", n), vector_of("be", "phases", n), vector_of("order", "order", 3),
                      vector_of("information", "information", 1)}};
  const std::uint64_t half = leading_dimension(n) * sizeof(float);
  stage.arrays[1].offset = [half](std::uint32_t) { return half; };
  const std::size_t at = kernels_.size();
  stage.enqueue = [this, at, dimensions, buffers](device::Stream& stream, FlowMode) {
    glue_.bridge(stream, buffers_, model_);
    kernels_[at]->launch(stream, dimensions, buffers);
  };
  add(std::move(stage), "synchronisation", dimensions, {});

  PlannedStage summary{"summary", {}, false, {vector_of("summary", "summary", summary_size)}};
  summary.enqueue = [this](device::Stream& stream, FlowMode) { glue_.summarise(stream, buffers_, model_); };
  stages_.push_back(std::move(summary));
}

void FramePlan::warm_up(device::Stream& stream) {
  for (const FlowMode mode : {FlowMode::first, FlowMode::usual}) {
    for (const PlannedStage& stage : stages_) {
      if (mode == FlowMode::first && !stage.of_flow) continue;
      try {
        stage.enqueue(stream, mode);
        stream.synchronize();
      } catch (Error& error) {
        throw error.add_context("running stage " + stage.name + " of the frame for the first time");
      }
    }
  }
}

}  // namespace warpwright::workloads
