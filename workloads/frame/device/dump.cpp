#include "workloads/frame/device/dump.hpp"

#include <cstring>
#include <fmt/format.h>
#include <span>
#include <system_error>

#include <warpwright/base/error.hpp>
#include <warpwright/base/files.hpp>
#include <warpwright/measure/inputs.hpp>
#include <warpwright/store/json.hpp>

namespace warpwright::workloads {
namespace {

FrameArray array_of(const std::string& stage, const std::string& name, std::span<const double> values,
                    std::vector<std::uint64_t> shape = {}) {
  const std::vector<float> floats(values.begin(), values.end());
  FrameArray array{stage, name, DataType::float32, std::move(shape), {}};
  if (array.shape.empty()) array.shape = {floats.size()};
  array.data.resize(floats.size() * sizeof(float));
  std::memcpy(array.data.data(), floats.data(), array.data.size());
  return array;
}

// What a frame begins with.
std::vector<FrameArray> arrays_of(const frame::State& state) {
  std::vector<FrameArray> arrays{
      array_of("state", "units", state.units), array_of("state", "thresholds", state.thresholds),
      array_of("state", "phases", state.phases), array_of("state", "velocities", state.velocities),
      array_of("state", "modes", state.modes)};
  std::vector<double> coupling;
  for (std::size_t i = 0; i < state.coupling.rows(); ++i) {
    const auto row = state.coupling.row(i);
    coupling.insert(coupling.end(), row.begin(), row.end());
  }
  arrays.push_back(array_of("state", "coupling", coupling, {state.coupling.rows(), state.coupling.columns()}));
  const std::size_t series = state.history.series();
  FrameArray ring{"state", "history", DataType::uint8, {state.history.size(), series}, {}};
  for (std::size_t t = 0; t < state.history.size(); ++t)
    for (std::size_t j = 0; j < series; ++j) ring.data.push_back(static_cast<std::byte>(state.history.at(t, j)));
  if (!ring.data.empty()) arrays.push_back(std::move(ring));
  return arrays;
}

}  // namespace

FrameVerdict dump_frame(Frame& frame, const FrameInput& input, const std::filesystem::path& folder) {
  std::error_code status;
  std::filesystem::create_directories(folder, status);
  if (status)
    throw Error(ErrorCode::io, fmt::format("cannot make the folder '{}': {}", folder.string(), status.message()));
  const frame::State before = frame.state();
  const frame::Model& model = frame.model();
  const std::vector<float> x = input(before.frame);
  std::vector<FrameArray> arrays = arrays_of(before);
  arrays.push_back(array_of("input", "x", std::vector<double>(x.begin(), x.end())));
  FrameVerdict verdict;
  compare_frame(frame, x, verdict, &arrays);

  store::Json list = store::Json::array();
  for (const FrameArray& array : arrays) {
    const std::string file = fmt::format("{}-{}.npy", array.stage, array.name);
    measure::write_npy(folder / file, {array.type, array.shape, array.data});
    list.push_back({{"stage", array.stage},
                    {"name", array.name},
                    {"file", file},
                    {"type", to_string(array.type)},
                    {"shape", array.shape}});
  }
  store::Json summary = store::Json::array();
  for (const std::string& name : summary_names(model.policy.policies.size())) summary.push_back(name);
  const store::Json manifest{{"schema_version", 1},
                             {"frame", before.frame},
                             {"n", model.sizes.oscillators},
                             {"seed", model.settings.seed},
                             {"flow_period", model.settings.flow_period},
                             {"verified", verdict.passed()},
                             {"summary", summary},
                             {"arrays", list}};
  write_file_atomically(folder / "manifest.json", manifest.dump(2) + "\n");
  return verdict;
}

}  // namespace warpwright::workloads
