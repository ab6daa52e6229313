#include <utility>

#include <warpwright/base/error.hpp>
#include <warpwright/device/backend.hpp>

namespace warpwright::device {

namespace {

std::string join(const std::vector<std::string>& words) {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

// Rank of a device when the user names none; lower is better, negative is never chosen.
int preference(const DeviceInfo& device) {
  switch (device.kind) {
    case DeviceKind::gpu:
      return device.id.backend == "cuda" ? 0 : 1;
    case DeviceKind::accelerator:
      return 2;
    case DeviceKind::cpu:
      return 3;
    case DeviceKind::simulated:
      return -1;
  }
  return -1;
}

}  // namespace

DeviceInfo find_device(const Backend& backend, const DeviceId& id) {
  const std::vector<DeviceInfo> devices = backend.devices();
  for (const auto& device : devices)
    if (device.id == id) return device;
  if (devices.empty()) {
    const ProbeResult probe = backend.probe();
    std::string message = "device " + id.to_string() + " cannot be used: " +
                          (probe.reason.empty() ? "backend '" + backend.name() + "' has no device" : probe.reason);
    if (!probe.remedy.empty()) message += "; " + probe.remedy;
    throw Error(ErrorCode::unavailable, message);
  }
  std::vector<std::string> known;
  for (const auto& device : devices) known.push_back(device.id.to_string() + " (" + device.name + ")");
  throw Error(ErrorCode::not_found, "there is no device " + id.to_string() + "; there are: " + join(known));
}

void BackendRegistry::add(std::unique_ptr<Backend> backend) {
  for (const auto& known : backends_)
    if (known->name() == backend->name())
      throw Error(ErrorCode::internal, "backend '" + backend->name() + "' was registered twice");
  backends_.push_back(std::move(backend));
}

const Backend& BackendRegistry::find(const std::string& name) const {
  std::vector<std::string> names;
  for (const auto& backend : backends_) {
    names.push_back(backend->name());
    if (names.back() == name) return *backend;
  }
  std::string message = "there is no backend '" + name + "'";
  if (const auto match = closest_match(name, names)) message += "; did you mean '" + *match + "'?";
  message += names.empty() ? "; this program has none" : "; there are: " + join(names);
  throw Error(ErrorCode::not_found, message);
}

DeviceInfo BackendRegistry::describe(const DeviceId& id) const { return find_device(find(id), id); }

std::optional<DeviceInfo> BackendRegistry::best_device() const {
  std::optional<DeviceInfo> best;
  for (const auto& backend : backends_) {
    for (auto& device : backend->devices()) {
      const int rank = preference(device);
      if (rank >= 0 && (!best || rank < preference(*best))) best = std::move(device);
    }
  }
  return best;
}

}  // namespace warpwright::device
