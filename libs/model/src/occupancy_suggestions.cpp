// What would raise occupancy: searched with the forward calculation, so that a suggestion is true by construction.
#include <algorithm>
#include <cmath>
#include <limits>

#include <warpwright/model/occupancy_model.hpp>

namespace warpwright {
namespace {

using What = OccupancyChange::What;

// A search asks dozens of questions: the rules are made once.
struct Device {
  const GpuProperties& gpu;
  OccupancyRules rules{gpu};
};

std::int64_t shared_of(const KernelConfig& config) {
  return static_cast<std::int64_t>(config.static_shared_memory.count + config.shared_memory.count);
}

// Dynamic memory is cut first: it is a launch argument, static memory is in the source.
void set_shared(KernelConfig& config, std::int64_t bytes) {
  const auto fixed = static_cast<std::int64_t>(config.static_shared_memory.count);
  config.static_shared_memory = Bytes{static_cast<std::uint64_t>(std::min(fixed, bytes))};
  config.shared_memory = Bytes{static_cast<std::uint64_t>(std::max<std::int64_t>(0, bytes - fixed))};
}

// The largest value in [0, high] for which `fits` holds, or -1; `fits` holds below some value and fails above it.
template <class Fits>
std::int64_t largest(std::int64_t high, Fits&& fits) {
  if (high < 0 || !fits(std::int64_t{0})) return -1;
  std::int64_t low = 0;
  while (low < high) {
    const std::int64_t middle = low + (high - low + 1) / 2;
    if (fits(middle))
      low = middle;
    else
      high = middle - 1;
  }
  return low;
}

// Blocks that one resource alone allows with `change` made to the configuration; absent limits allow any number.
template <class Change>
int blocks_with(const Device& device, KernelConfig config, OccupancyResource resource, Change&& change) {
  change(config);
  return device.rules.calculate(config).limits.of(resource).value_or(std::numeric_limits<int>::max());
}

OccupancySuggestion finish(const Device& device, const OccupancyInfo& before, OccupancySuggestion suggestion) {
  suggestion.occupancy_before = before.occupancy;
  suggestion.occupancy_after = device.rules.calculate(suggestion.config).occupancy;
  return suggestion;
}

bool helps(const OccupancySuggestion& suggestion) {
  return !suggestion.changes.empty() && suggestion.occupancy_after > suggestion.occupancy_before;
}

// The least cuts of registers, shared memory and barriers with which `blocks` blocks fit; nullopt if no cut does it.
std::optional<OccupancySuggestion> cut_to(const Device& device, const KernelConfig& config, int blocks) {
  OccupancySuggestion suggestion;
  suggestion.config = config;
  KernelConfig& changed = suggestion.config;
  const auto enough = [&](OccupancyResource resource, auto&& change) {
    return blocks_with(device, config, resource, change) >= blocks;
  };

  if (config.registers_per_thread > 0) {
    const std::int64_t registers = largest(config.registers_per_thread, [&](std::int64_t count) {
      return enough(OccupancyResource::registers,
                    [&](KernelConfig& c) { c.registers_per_thread = static_cast<int>(count); });
    });
    if (registers < 1) return std::nullopt;
    changed.registers_per_thread = static_cast<int>(registers);
    if (registers != config.registers_per_thread)
      suggestion.changes.push_back({What::registers_per_thread, config.registers_per_thread, registers});
  }
  const std::int64_t now = shared_of(config);
  const std::int64_t shared = largest(now, [&](std::int64_t bytes) {
    return enough(OccupancyResource::shared_memory, [&](KernelConfig& c) { set_shared(c, bytes); });
  });
  if (shared < 0) return std::nullopt;
  if (shared != now) {
    set_shared(changed, shared);
    suggestion.changes.push_back({What::shared_memory, now, shared});
  }
  const std::int64_t barriers = largest(config.barriers, [&](std::int64_t count) {
    return enough(OccupancyResource::barriers, [&](KernelConfig& c) { c.barriers = static_cast<int>(count); });
  });
  if (barriers < 0) return std::nullopt;
  if (barriers != config.barriers) {
    changed.barriers = static_cast<int>(barriers);
    suggestion.changes.push_back({What::barriers, config.barriers, barriers});
  }
  if (device.rules.calculate(changed).blocks_per_sm < blocks) return std::nullopt;
  return suggestion;
}

void add_cut(const Device& device, const KernelConfig& config, const OccupancyInfo& info,
             std::vector<OccupancySuggestion>& suggestions) {
  auto cut = cut_to(device, config, info.blocks_per_sm + 1);
  if (!cut) return;
  auto done = finish(device, info, *std::move(cut));
  if (helps(done)) suggestions.push_back(std::move(done));
}

// The nearest block size, in warps, that gives more.
void add_block_size(const Device& device, const KernelConfig& config, const OccupancyInfo& info,
                    std::vector<OccupancySuggestion>& suggestions) {
  const std::int64_t threads = config.block_size.count();
  const int most_warps = device.gpu.max_threads_per_block / device.gpu.warp_size;
  const int now = std::min(info.warps_per_block, most_warps + 1);
  for (int distance = 1; distance <= most_warps; ++distance) {
    OccupancySuggestion best;
    for (const int warps : {now - distance, now + distance}) {
      if (warps < 1 || warps > most_warps) continue;
      OccupancySuggestion suggestion;
      suggestion.config = config;
      suggestion.config.block_size = Dim3{static_cast<std::int64_t>(warps) * device.gpu.warp_size};
      suggestion.config.grid_size.reset();
      suggestion.changes = {{What::block_size, threads, suggestion.config.block_size.x}};
      suggestion = finish(device, info, std::move(suggestion));
      if (helps(suggestion) && suggestion.occupancy_after > best.occupancy_after) best = std::move(suggestion);
    }
    if (best.changes.empty()) continue;
    suggestions.push_back(std::move(best));
    return;
  }
}

void add_settings(const Device& device, const KernelConfig& config, const OccupancyInfo& info,
                  std::vector<OccupancySuggestion>& suggestions) {
  if (config.carveout_percent && device.gpu.carveout_count > 0) {
    // The smallest carve-out with the most occupancy leaves the most cache.
    OccupancySuggestion best;
    for (int percent = *config.carveout_percent + 1; percent <= 100; ++percent) {
      OccupancySuggestion suggestion;
      suggestion.config = config;
      suggestion.config.carveout_percent = percent;
      suggestion.changes = {{What::carveout_percent, *config.carveout_percent, percent}};
      suggestion = finish(device, info, std::move(suggestion));
      if (helps(suggestion) && suggestion.occupancy_after > best.occupancy_after) best = std::move(suggestion);
    }
    if (!best.changes.empty()) suggestions.push_back(std::move(best));
  }
  OccupancySuggestion opt_in;
  opt_in.config = config;
  opt_in.config.shared_opt_in = true;
  opt_in.config.max_dynamic_shared = config.shared_memory;
  const std::int64_t before = config.shared_opt_in && config.max_dynamic_shared
                                  ? static_cast<std::int64_t>(config.max_dynamic_shared->count)
                                  : -1;
  opt_in.changes = {{What::max_dynamic_shared, before, static_cast<std::int64_t>(config.shared_memory.count)}};
  opt_in = finish(device, info, std::move(opt_in));
  if (helps(opt_in)) suggestions.push_back(std::move(opt_in));
}

// "62.5 %", "75 %".
std::string percent(double fraction) {
  const auto tenths = static_cast<std::int64_t>(std::llround(fraction * 1000));
  std::string text = std::to_string(tenths / 10);
  if (tenths % 10 != 0) text += "." + std::to_string(tenths % 10);
  return text + " %";
}

std::string counted(std::int64_t count, const char* word) {
  return std::to_string(count) + " " + word + (count == 1 ? "" : "s");
}

std::string describe_change(const OccupancyChange& change) {
  switch (change.what) {
    case What::registers_per_thread:
      return counted(change.from - change.to, "register") + " fewer per thread";
    case What::shared_memory:
      return counted(change.from - change.to, "byte") + " of shared memory fewer per block";
    case What::barriers:
      return counted(change.from - change.to, "barrier") + " fewer per block";
    case What::block_size:
      return "blocks of " + std::to_string(change.to) + " threads instead of " + std::to_string(change.from);
    case What::carveout_percent:
      return "a carve-out of " + std::to_string(change.to) + " % instead of " + std::to_string(change.from) + " %";
    case What::max_dynamic_shared:
      return "opting in to " + std::to_string(change.to) + " bytes of dynamic shared memory";
  }
  return {};
}

}  // namespace

std::string OccupancySuggestion::describe() const {
  std::string text;
  for (std::size_t i = 0; i < changes.size(); ++i)
    text += (i == 0 ? "" : i + 1 == changes.size() ? " and " : ", ") + describe_change(changes[i]);
  return text + ": " + percent(occupancy_before) + " -> " + percent(occupancy_after);
}

std::vector<OccupancySuggestion> suggest_occupancy(const GpuProperties& gpu, const KernelConfig& config) {
  std::vector<OccupancySuggestion> suggestions;
  const Device device{gpu};
  const OccupancyInfo info = device.rules.calculate(config);
  if (info.active_warps_per_sm == info.max_warps_per_sm) return suggestions;
  if (info.refusal != LaunchRefusal::block_too_large && info.refusal != LaunchRefusal::launch_bounds &&
      info.refusal != LaunchRefusal::block_shape)
    add_cut(device, config, info, suggestions);
  add_block_size(device, config, info, suggestions);
  add_settings(device, config, info, suggestions);
  return suggestions;
}

}  // namespace warpwright
