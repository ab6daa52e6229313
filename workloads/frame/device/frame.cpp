#include "workloads/frame/device/frame.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <deque>
#include <fmt/format.h>
#include <limits>
#include <utility>

#include <warpwright/base/error.hpp>
#include <warpwright/memory/host_memory.hpp>
#include <warpwright/memory/pinned_memory_pool.hpp>

#include "workloads/common/sizes.hpp"
#include "workloads/frame/device/plan.hpp"

namespace warpwright::workloads {
namespace {

// Kernels count elements of matrices with 32-bit integers.
constexpr std::uint64_t most_elements = std::numeric_limits<std::int32_t>::max();
// Where r_a and r_b are in the summary.
constexpr std::size_t order_a_index = 7, order_b_index = 8;

std::size_t element_size(DataType type) { return size_of(type); }

void require_finite(std::span<const float> x) {
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (!std::isfinite(x[i]))
      throw Error(ErrorCode::bad_input,
                  fmt::format("x[{}] is {}: the input of a frame must be finite numbers", i, x[i]));
  }
}

// Two blocks of one class: both are small.
memory::PoolConfig pool_of(std::uint64_t largest) {
  memory::PoolConfig config;
  const std::uint64_t block = (largest + memory::page_size - 1) / memory::page_size * memory::page_size;
  config.classes = {{Bytes{block}, 2}};
  config.budget = Bytes{2 * block};
  return config;
}

}  // namespace

std::vector<std::string> summary_names(std::size_t policies) {
  std::vector<std::string> names{"order",      "mean_phase", "potential", "kinetic",     "heat", "entropy_production",
                                 "rho",        "order_a",    "order_b",   "information", "norm", "mean_coupling",
                                 "output_rms", "policy"};
  for (std::size_t p = 0; p < policies && names.size() < summary_size; ++p) names.push_back(fmt::format("value_{}", p));
  return names;
}

std::vector<double> FrameArray::values() const {
  std::vector<double> result(data.size() / element_size(type));
  const auto convert = [&]<class T>(T) {
    for (std::size_t i = 0; i < result.size(); ++i) {
      T value{};
      std::memcpy(&value, data.data() + i * sizeof(T), sizeof(T));
      result[i] = static_cast<double>(value);
    }
  };
  switch (type) {
    case DataType::uint8:
      convert(std::uint8_t{});
      break;
    case DataType::int32:
      convert(std::int32_t{});
      break;
    case DataType::float64:
      convert(double{});
      break;
    default:
      convert(float{});
  }
  return result;
}

FrameInput example_inputs(const frame::Model& model) {
  return [n = model.sizes.oscillators, seed = model.settings.seed](std::uint32_t frame) {
    return frame::example_input(n, seed, frame);
  };
}

FrameInput recorded_inputs(std::vector<float> values, std::size_t n, const std::string& source) {
  if (values.empty() || n == 0 || values.size() % n != 0)
    throw Error(ErrorCode::bad_input,
                fmt::format("{} has {} values, which are not frames of n = {} values each", source, values.size(), n));
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (!std::isfinite(values[i]))
      throw Error(ErrorCode::bad_input,
                  fmt::format("{}: value {} of frame {} is {}: the input of a frame must be finite "
                              "numbers",
                              source, i % n, i / n, values[i]));
  }
  return [values = std::move(values), n](std::uint32_t frame) {
    const std::size_t begin = frame % (values.size() / n) * n;
    return std::vector<float>(values.begin() + static_cast<std::ptrdiff_t>(begin),
                              values.begin() + static_cast<std::ptrdiff_t>(begin + n));
  };
}

FrameMemory frame_memory(const Sizes& sizes) {
  const std::uint64_t n = sizes.oscillators;
  const std::uint64_t ld = leading_dimension(n);
  const std::uint64_t units = sizes.reservoir_units;
  const std::uint64_t of_units = leading_dimension(units);
  constexpr std::uint64_t word = sizeof(float);
  // Raw and corrected flow, C, and C^s of S5; weights dense and, at 6 bytes an element and up to a quarter of the
  // elements, sparse.
  const std::uint64_t matrices = 4 * word * n * ld;
  const std::uint64_t weights = (word + 2) * units * (ld + of_units);
  const std::uint64_t vectors = 64 * word * ld + 8 * word * units + sizes.history * n;
  // The oracle's weights as they are drawn, three of 8 bytes.
  return {Bytes{matrices + weights + vectors}, Bytes{24 * units * (ld + of_units)}};
}

void require_frame_fits(std::size_t n, std::size_t batch, Bytes device_memory) {
  if (batch != 1)
    throw Error(ErrorCode::bad_input,
                fmt::format("the batch of a frame must be 1, not {}: instances of a batch are not offered yet", batch));
  if (n < 9)
    throw Error(ErrorCode::bad_input,
                fmt::format("n must be at least 9, not {}: a frame has one sensor for each nine windows", n));
  const auto fits = [&](std::size_t size) {
    const Sizes sizes = scaled_sizes(size, 1);
    if (sizes.reservoir_units > std::numeric_limits<std::uint16_t>::max()) return false;
    const std::uint64_t elements = sizes.reservoir_units * leading_dimension(sizes.reservoir_units);
    return elements <= most_elements &&
           (device_memory.count == 0 || frame_memory(sizes).device.count <= device_memory.count);
  };
  if (n <= std::numeric_limits<std::uint16_t>::max() && fits(n)) return;
  std::size_t low = 8;
  std::size_t high = std::min<std::size_t>(n, std::numeric_limits<std::uint16_t>::max());
  while (high - low > 1) {
    const std::size_t middle = (low + high) / 2;
    (fits(middle) ? low : high) = middle;
  }
  const double bytes = 4.0 * 4.0 * static_cast<double>(n) * static_cast<double>(n);
  throw Error(
      ErrorCode::bad_input,
      fmt::format("a frame of n = {} does not fit{}: its matrices alone take {:.1f} GB; at most {} is possible{}", n,
                  device_memory.count == 0 ? "" : " in the " + format_bytes(device_memory) + " of this device",
                  bytes / 1e9, low, device_memory.count == 0 ? ", as kernels count elements in 32 bits" : ""));
}

struct Frame::Parts {
  Parts(const device::Backend& backend, device::Context& opened, const store::ProfileDatabase& profiles,
        const Sizes& sizes, FrameOptions given)
      : context(opened),
        options(std::move(given)),
        model(frame::make_model(sizes, options.settings)),
        stream(opened.create_stream()),
        plan(backend, opened, profiles, model, options),
        source(memory::registered_memory(opened)),
        pool(*source, pool_of(std::max(plan.up_size(), plan.down_size()))),
        up(pool.acquire(Bytes{plan.up_size()})),
        down(pool.acquire(Bytes{plan.down_size()})) {
    names.push_back("upload");
    for (const PlannedStage& stage : plan.stages()) names.push_back(stage.name);
    names.push_back("download");
    for (std::size_t i = 0; i <= names.size(); ++i) events.push_back(context.create_event());
    std::memset(up.data(), 0, plan.up_size());
    tell_of_choices();
    plan.warm_up(*stream);
    if (options.graph && context.device().supports_graphs) record();
  }

  void tell_of_choices() const {
    std::string untuned;
    for (const StageChoice& choice : plan.choices()) {
      if (!choice.selection.tuned) untuned += (untuned.empty() ? "" : ", ") + choice.stage;
      for (const auto& rejected : choice.selection.rejected)
        log_to(options.log, LogLevel::warning,
               fmt::format("stage {}: profile {} cannot be used here: {}", choice.stage, rejected.id,
                           rejected.reason.substr(0, rejected.reason.find('\n'))));
    }
    if (!untuned.empty())
      log_to(options.log, LogLevel::info,
             fmt::format("no profile for {}: default configurations run; 'warpwright tune' on the specifications in {} "
                         "finds better ones",
                         untuned, options.specifications.string()));
  }

  void record() {
    const auto record_one = [&](FlowMode mode) { return context.record_graph(*stream, [&] { enqueue(mode); }); };
    without_flow = record_one(FlowMode::none);
    with_flow = record_one(FlowMode::usual);
    for (const PlannedStage& stage : plan.stages())
      stage_graphs.push_back(context.record_graph(*stream, [&] { stage.enqueue(*stream, FlowMode::usual); }));
  }

  void enqueue_upload() {
    stream->copy_to_device(plan.buffers().at("up"), Bytes{0}, std::span(up.data(), plan.up_size()));
  }
  void enqueue_download() {
    stream->copy_to_host(std::span(down.data(), plan.down_size()), plan.buffers().at("down"), Bytes{0});
  }
  static bool runs(const PlannedStage& stage, FlowMode mode) { return mode != FlowMode::none || !stage.of_flow; }
  void enqueue(FlowMode mode) {
    enqueue_upload();
    for (const PlannedStage& stage : plan.stages())
      if (runs(stage, mode)) stage.enqueue(*stream, mode);
    enqueue_download();
  }

  std::span<float> input() { return {reinterpret_cast<float*>(up.data() + plan.x_offset()), model.sizes.oscillators}; }

  void take(std::span<const float> x) {
    if (x.size() != model.sizes.oscillators)
      throw Error(ErrorCode::bad_input, fmt::format("the input x of a frame has {} values, one for each window, not {}",
                                                    model.sizes.oscillators, x.size()));
    require_finite(x);
    std::memcpy(up.data() + plan.x_offset(), x.data(), x.size_bytes());
  }

  // The clock of the next frame, and what S2 and S3 do in it.
  FlowMode begin() {
    const std::int32_t clock[2] = {static_cast<std::int32_t>(number),
                                   static_cast<std::int32_t>(number % model.sizes.history)};
    std::memcpy(up.data(), clock, sizeof clock);
    if (filled + 1 < model.sizes.history) return FlowMode::none;
    if (!age) return FlowMode::first;
    return *age + 1 >= model.settings.flow_period ? FlowMode::usual : FlowMode::none;
  }

  FrameOutput end(FlowMode mode) {
    filled = std::min(filled + 1, model.sizes.history);
    if (mode != FlowMode::none)
      age = 0;
    else if (age)
      ++*age;
    FrameOutput result;
    result.frame = number++;
    result.output = {reinterpret_cast<const float*>(down.data()), model.sizes.oscillators};
    result.summary = {reinterpret_cast<const float*>(down.data() + plan.summary_offset()), summary_size};
    result.coupling_age = age;
    order_a[series % frame::proxy_frames] = result.summary[order_a_index];
    order_b[series % frame::proxy_frames] = result.summary[order_b_index];
    ++series;
    return result;
  }

  FrameOutput run() {
    const FlowMode mode = begin();
    if (with_flow && mode != FlowMode::first)
      stream->launch(mode == FlowMode::usual ? *with_flow : *without_flow);
    else
      enqueue(mode);
    stream->synchronize();
    return end(mode);
  }

  std::vector<double> series_of(const std::array<float, frame::proxy_frames>& ring) const {
    const std::size_t count = std::min(series, frame::proxy_frames);
    std::vector<double> values;
    for (std::size_t i = series - count; i < series; ++i)
      values.push_back(static_cast<double>(ring[i % frame::proxy_frames]));
    return values;
  }

  device::Context& context;
  FrameOptions options;
  frame::Model model;
  std::unique_ptr<device::Stream> stream;
  FramePlan plan;
  std::unique_ptr<memory::HostMemory> source;
  memory::PinnedMemoryPool pool;
  memory::PinnedBlock up, down;
  std::unique_ptr<device::Graph> without_flow, with_flow;
  std::vector<std::unique_ptr<device::Graph>> stage_graphs;
  std::vector<std::unique_ptr<device::Event>> events;
  std::vector<std::string> names;
  // The next frame's number, rows of the ring buffer that are written, frames since C was made of flow.
  std::uint32_t number = 0;
  std::size_t filled = 0;
  std::optional<std::size_t> age;
  // r_a and r_b of the last frames, and how many there have been.
  std::array<float, frame::proxy_frames> order_a{}, order_b{};
  std::size_t series = 0;
};

Frame::Frame(const device::Backend& backend, device::Context& context, const store::ProfileDatabase& profiles,
             const Sizes& sizes, FrameOptions options) {
  const auto use = context.memory_use();
  require_frame_fits(sizes.oscillators, sizes.batch, use ? use->free : context.device().global_memory);
  parts_ = std::make_unique<Parts>(backend, context, profiles, sizes, std::move(options));
  set_state(frame::initial_state(parts_->model));
}

Frame::~Frame() = default;

const frame::Model& Frame::model() const { return parts_->model; }
const std::vector<StageChoice>& Frame::choices() const { return parts_->plan.choices(); }
bool Frame::uses_graph() const { return parts_->with_flow != nullptr; }
Bytes Frame::uploaded_per_frame() const { return Bytes{parts_->plan.up_size()}; }
Bytes Frame::downloaded_per_frame() const { return Bytes{parts_->plan.down_size()}; }
Bytes Frame::device_memory() const { return parts_->plan.buffers().total(); }
std::span<float> Frame::input() { return parts_->input(); }
const std::vector<std::string>& Frame::stages() const { return parts_->names; }

FrameOutput Frame::run(std::span<const float> x) {
  parts_->take(x);
  return parts_->run();
}

FrameOutput Frame::run() {
  require_finite(parts_->input());
  return parts_->run();
}

FrameOutput Frame::run_by_stage(std::span<const float> x, const std::function<void(const std::string&)>& after) {
  Parts& parts = *parts_;
  parts.take(x);
  const FlowMode mode = parts.begin();
  parts.enqueue_upload();
  for (const PlannedStage& stage : parts.plan.stages()) {
    if (!Parts::runs(stage, mode)) continue;
    stage.enqueue(*parts.stream, mode);
    parts.stream->synchronize();
    if (after) after(stage.name);
  }
  parts.enqueue_download();
  parts.stream->synchronize();
  return parts.end(mode);
}

std::vector<Nanoseconds> Frame::time_stages(std::span<const float> x) {
  Parts& parts = *parts_;
  parts.take(x);
  const FlowMode mode = parts.begin();
  device::Stream& stream = *parts.stream;
  stream.record(*parts.events[0]);
  parts.enqueue_upload();
  stream.record(*parts.events[1]);
  for (std::size_t i = 0; i < parts.plan.stages().size(); ++i) {
    const PlannedStage& stage = parts.plan.stages()[i];
    if (Parts::runs(stage, mode)) {
      if (!parts.stage_graphs.empty() && mode != FlowMode::first)
        stream.launch(*parts.stage_graphs[i]);
      else
        stage.enqueue(stream, mode);
    }
    stream.record(*parts.events[i + 2]);
  }
  parts.enqueue_download();
  stream.record(*parts.events.back());
  stream.synchronize();
  std::vector<Nanoseconds> times;
  for (std::size_t i = 0; i + 1 < parts.events.size(); ++i)
    times.push_back(parts.events[i + 1]->elapsed_since(*parts.events[i]));
  // Two events with nothing between them are not at one time.
  for (std::size_t i = 0; i < parts.plan.stages().size(); ++i)
    if (!Parts::runs(parts.plan.stages()[i], mode)) times[i + 1] = Nanoseconds{};
  parts.end(mode);
  return times;
}

std::vector<FrameArray> Frame::fetch(const std::string& stage) {
  Parts& parts = *parts_;
  const auto& stages = parts.plan.stages();
  const auto found = std::find_if(stages.begin(), stages.end(), [&](const auto& s) { return s.name == stage; });
  if (found == stages.end()) throw Error(ErrorCode::not_found, "the frame has no stage '" + stage + "'");
  std::vector<FrameArray> result;
  for (const PlannedArray& planned : found->arrays) {
    FrameArray array{stage, planned.name, planned.type, planned.shape, {}};
    const std::size_t element = element_size(planned.type);
    const std::size_t columns = planned.shape.back();
    const std::size_t rows = planned.shape.size() == 2 ? planned.shape.front() : 1;
    const std::size_t stride = planned.row_length == 0 ? columns : planned.row_length;
    std::vector<std::byte> padded(rows * stride * element);
    parts.plan.buffers().download(planned.buffer, padded, planned.offset ? planned.offset(parts.number) : 0);
    array.data.resize(rows * columns * element);
    for (std::size_t i = 0; i < rows; ++i)
      std::memcpy(array.data.data() + i * columns * element, padded.data() + i * stride * element, columns * element);
    result.push_back(std::move(array));
  }
  return result;
}

frame::State Frame::state() {
  Parts& parts = *parts_;
  const FrameBuffers& buffers = parts.plan.buffers();
  const Sizes& sizes = parts.model.sizes;
  const std::size_t n = sizes.oscillators;
  const auto doubles = [&](const char* name, std::size_t count, std::uint64_t offset = 0) {
    const std::vector<float> values = buffers.download<float>(name, count, offset);
    return std::vector<double>(values.begin(), values.end());
  };
  frame::State state(sizes);
  state.frame = parts.number;
  state.units = doubles("units", sizes.reservoir_units, parts.number % 2 * sizes.reservoir_units * sizeof(float));
  state.thresholds = doubles("thresholds", n);
  const auto ring = buffers.download<std::uint8_t>("ring", sizes.history * n);
  for (std::size_t t = parts.number - parts.filled; t < parts.number; ++t)
    state.history.push(std::span(ring).subspan(t % sizes.history * n, n));
  state.coupling = Matrix(n, n);
  const std::vector<double> coupling = doubles("coupling", n * leading_dimension(n));
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < n; ++j) state.coupling(i, j) = coupling[i * leading_dimension(n) + j];
  state.coupled = parts.age.has_value();
  state.coupling_age = parts.age.value_or(0);
  state.phases = doubles("phases", n);
  state.velocities = doubles("velocities", n);
  state.modes = doubles("modes", sizes.modes);
  state.order_a = parts.series_of(parts.order_a);
  state.order_b = parts.series_of(parts.order_b);
  return state;
}

void Frame::set_state(const frame::State& state) {
  Parts& parts = *parts_;
  FrameBuffers& buffers = parts.plan.buffers();
  const Sizes& sizes = parts.model.sizes;
  const std::size_t n = sizes.oscillators;
  if (state.units.size() != sizes.reservoir_units || state.thresholds.size() != n || state.history.series() != n ||
      state.history.frames() != sizes.history || state.coupling.rows() != n || state.coupling.columns() != n ||
      state.phases.size() != n || state.velocities.size() != n || state.modes.size() != sizes.modes ||
      state.frame < state.history.size())
    throw Error(ErrorCode::bad_input, fmt::format("the state is not that of a frame of n = {}", n));
  const auto floats = [](std::span<const double> values) { return std::vector<float>(values.begin(), values.end()); };
  parts.number = state.frame;
  parts.filled = state.history.size();
  parts.age = state.coupled ? std::optional(state.coupling_age) : std::nullopt;
  buffers.upload("units", floats(state.units), state.frame % 2 * sizes.reservoir_units * sizeof(float));
  buffers.upload("thresholds", floats(state.thresholds));
  std::vector<std::uint8_t> ring(sizes.history * n, 0);
  for (std::size_t t = 0; t < parts.filled; ++t) {
    const std::size_t row = (state.frame - parts.filled + t) % sizes.history;
    for (std::size_t j = 0; j < n; ++j) ring[row * n + j] = state.history.at(t, j);
  }
  buffers.upload("ring", ring);
  buffers.upload("coupling", floats(state.coupling.storage()));
  buffers.upload("phases", floats(state.phases));
  buffers.upload("velocities", floats(state.velocities));
  buffers.upload("modes", floats(state.modes));
  parts.series = 0;
  for (std::size_t i = 0; i < state.order_a.size() && i < state.order_b.size(); ++i) {
    parts.order_a[parts.series % frame::proxy_frames] = static_cast<float>(state.order_a[i]);
    parts.order_b[parts.series % frame::proxy_frames] = static_cast<float>(state.order_b[i]);
    ++parts.series;
  }
}

}  // namespace warpwright::workloads
