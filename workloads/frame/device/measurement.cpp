#include "workloads/frame/device/measurement.hpp"

#include <algorithm>
#include <numeric>

#include <warpwright/base/error.hpp>
#include <warpwright/base/histogram.hpp>

namespace warpwright::workloads {
namespace {

// Frames that are measured stage by stage: their means are off by a percent then.
constexpr std::uint64_t most_staged_frames = 200;

}  // namespace

FrameTimes measure_frames(Frame& frame, const FrameInput& input, std::uint64_t frames, std::uint64_t warm_up,
                          const Clock& clock, const std::atomic<bool>* stop) {
  if (frames == 0) throw Error(ErrorCode::bad_input, "at least one frame must be measured, not 0");
  const auto stopped = [&] { return stop != nullptr && stop->load(); };
  std::uint32_t number = frame.state().frame;
  const auto next_input = [&] { return input(number++); };
  for (std::uint64_t f = 0; f < warm_up && !stopped(); ++f) frame.run(next_input());

  FrameTimes times;
  std::vector<Nanoseconds> latencies;
  latencies.reserve(frames);
  FrameOutput output;
  for (std::uint64_t f = 0; f < frames && (f == 0 || !stopped()); ++f) {
    const std::vector<float> x = next_input();
    const Nanoseconds begin = clock.now();
    output = frame.run(x);
    latencies.push_back(clock.now() - begin);
    times.flow_frames += output.coupling_age == std::size_t{0};
  }
  times.last_frame = output.frame;
  times.summary.assign(output.summary.begin(), output.summary.end());
  times.coupling_age = output.coupling_age;

  times.frames = latencies.size();
  const Nanoseconds sum = std::accumulate(latencies.begin(), latencies.end(), Nanoseconds{});
  times.mean = sum / static_cast<double>(latencies.size());
  times.frames_per_second = static_cast<double>(latencies.size()) / (sum.count() / 1e9);
  std::sort(latencies.begin(), latencies.end());
  const auto at = [&](double percent) { return latencies[Percentile::percent(percent).rank(latencies.size()) - 1]; };
  times.p50 = at(50);
  times.p99 = at(99);
  times.p999 = at(99.9);
  times.max = latencies.back();

  for (const std::string& stage : frame.stages()) times.stages.push_back({stage, {}});
  frame.time_stages(next_input());  // warms what this way of running has of its own
  const std::uint64_t staged = std::min(frames, most_staged_frames);
  for (; times.staged_frames < staged && (times.staged_frames == 0 || !stopped()); ++times.staged_frames) {
    const std::vector<Nanoseconds> each = frame.time_stages(next_input());
    for (std::size_t i = 0; i < each.size(); ++i) times.stages[i].mean += each[i];
  }
  for (StageTime& stage : times.stages) {
    stage.mean = stage.mean / static_cast<double>(times.staged_frames);
    times.stages_sum += stage.mean;
  }
  return times;
}

}  // namespace warpwright::workloads
