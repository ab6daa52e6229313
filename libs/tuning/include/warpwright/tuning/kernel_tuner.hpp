// KernelTuner: what the hardware allows. Exact theoretical occupancy of a kernel configuration, what limits it, what
// would raise it, and launch configurations for a workload; for a device that is there, or for an architecture on a
// machine without any.
//
// The calculation is that of <warpwright/model/occupancy.hpp>; this class binds it to one device. Occupancy is a limit,
// not a time: a recommendation is where tuning starts.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <warpwright/model/gpu_properties.hpp>
#include <warpwright/model/occupancy.hpp>
#include <warpwright/model/occupancy_model.hpp>

namespace warpwright {

// What there is to compute.
struct Workload {
  std::uint64_t elements = 0;
  std::uint64_t elements_per_thread = 1;
};

struct RecommendOptions {
  double min_occupancy = 0.5;            // 0..1; configurations below are left out
  int min_block = 32, max_block = 1024;  // threads
  Bytes shared_per_thread{};  // dynamic shared memory that grows with the block, on top of KernelConfig::shared_memory
  // A grid that fills the device once and lets each thread step through the workload, instead of one thread for each
  // elements_per_thread. Needs a device: the number of SMs decides.
  bool grid_stride = false;
  std::size_t max_results = 5;
};

struct Recommendation {
  KernelConfig config;  // block_size, grid_size and shared_memory chosen, the rest as given
  OccupancyInfo occupancy;
  // Share of the threads that have work: the last block of the grid may be part empty.
  double lane_efficiency = 1;
  // Share of the device's thread slots that do useful work from the first block to the last, if all blocks take the
  // same time: occupancy x tail efficiency (where the number of SMs is known) x lane efficiency.
  double score = 0;
};

enum class SweepAxis { block, registers, shared };
std::string_view to_string(SweepAxis axis) noexcept;

struct SweepPoint {
  std::int64_t value = 0;  // threads, registers per thread, or bytes of dynamic shared memory
  OccupancyInfo occupancy;
};

// Immutable, thread-safe.
class KernelTuner {
 public:
  // Throws Error(unsupported) where the device's limits are not known exactly (not NVIDIA's, or newer than the table),
  // saying what is missing.
  static KernelTuner for_device(const DeviceInfo& device);
  // "sm_90", "90", "9.0"; no device is needed. Throws as architecture_properties() does.
  static KernelTuner for_architecture(std::string_view architecture);

  const GpuProperties& properties() const { return gpu_; }

  // These throw Error(bad_input) for what is no question, see warpwright::calculate_occupancy().
  [[gnu::always_inline]] OccupancyInfo calculate_occupancy(const KernelConfig& config) const {
    return model_.calculate(config);
  }
  std::vector<OccupancySuggestion> suggestions(const KernelConfig& config) const {
    return suggest_occupancy(gpu_, config);
  }
  // Empty if the configuration can be launched.
  std::string refusal_reason(const KernelConfig& config) const {
    return warpwright::refusal_reason(gpu_, config, calculate_occupancy(config));
  }

  // Every block size that is a multiple of the warp, best first; empty if none reaches min_occupancy. `kernel` gives
  // registers, static and fixed dynamic shared memory, barriers, launch bounds and cluster; its block and grid are not
  // used. Of a kernel with a required block it is that one, whatever min_block and max_block say; grids are whole
  // clusters. Among scores that agree to a thousandth the block nearest to 256 threads comes first: NVIDIA's guide to
  // good practice advises 128 to 256 to begin with. Throws Error(bad_input) for an empty workload and for options out
  // of range, Error(unsupported) for grid_stride without a device.
  std::vector<Recommendation> recommend(const Workload& workload, const KernelConfig& kernel = {},
                                        const RecommendOptions& options = {}) const;

  // The curve along one axis, all else as in `config`: blocks of whole warps, 1 to 255 registers, dynamic shared memory
  // from 0 to the most a block may have in steps of 1 KiB. The value of `config` itself is among the points. Ascending.
  std::vector<SweepPoint> sweep(const KernelConfig& config, SweepAxis axis) const;

 private:
  explicit KernelTuner(GpuProperties gpu) : gpu_(std::move(gpu)), model_(gpu_) {}
  GpuProperties gpu_;
  OccupancyModel model_;  // of gpu_
};

}  // namespace warpwright
