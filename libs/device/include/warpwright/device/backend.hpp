// A family of devices behind one driver. Backends are registered by an explicit call from the program, never by static
// initialisers, and open their driver at run time.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <warpwright/base/device_id.hpp>
#include <warpwright/device/compiler.hpp>
#include <warpwright/device/context.hpp>
#include <warpwright/device/telemetry.hpp>
#include <warpwright/model/device_info.hpp>

namespace warpwright::device {

// One library or capability a backend needs.
struct Component {
  std::string name;  // "CUDA driver (libcuda.so.1)", "NVRTC"
  bool present = false;
  std::string detail;  // version and path if present, the reason if not
  std::string remedy;  // what to install or set; empty if present
  bool required = true;
};

struct ProbeResult {
  bool usable = false;  // at least one device can be opened
  std::string reason;   // why not, in one line; empty if usable
  std::string remedy;
  std::vector<Component> components;
};

// Thread-safe.
class Backend {
 public:
  virtual ~Backend() = default;
  virtual std::string name() const = 0;  // "cuda"
  // Never throws: a missing or failing driver is an answer.
  virtual ProbeResult probe() const = 0;
  // In ordinal order; empty where not usable.
  virtual std::vector<DeviceInfo> devices() const = 0;
  // Throws Error(not_found) listing the devices there are, Error(unavailable) with the remedy.
  virtual std::unique_ptr<Context> open(const DeviceId& id) const = 0;
  virtual std::unique_ptr<Compiler> compiler(const DeviceInfo& device) const = 0;
  // Null where there is no telemetry.
  virtual std::unique_ptr<Telemetry> telemetry(const DeviceInfo& device) const = 0;
};

// The entry of backend.devices() with this id: what every open() starts with, so that all backends fail alike. Throws
// Error(not_found) listing the devices there are, Error(unavailable) with the remedy where the backend is not usable.
DeviceInfo find_device(const Backend& backend, const DeviceId& id);

// Owns the backends of a program. Thread-compatible.
class BackendRegistry {
 public:
  // Throws Error(internal) if a backend of that name is there already.
  void add(std::unique_ptr<Backend> backend);
  const std::vector<std::unique_ptr<Backend>>& all() const { return backends_; }
  // Throws Error(not_found) naming the backends there are ("did you mean").
  const Backend& find(const std::string& name) const;
  const Backend& find(const DeviceId& id) const { return find(id.backend); }
  // Description of one device; throws as open() does.
  DeviceInfo describe(const DeviceId& id) const;
  // The device to use when none is named: CUDA GPU, other GPU, accelerator, then CPU; never a simulated one. nullopt if
  // there is none.
  std::optional<DeviceInfo> best_device() const;

 private:
  std::vector<std::unique_ptr<Backend>> backends_;
};

}  // namespace warpwright::device
