// An OpenCL of our own for tests: one platform and device, objects that are counted, and calls that fail on demand.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "api.hpp"

namespace warpwright::opencl {

// One at a time; the table's functions find it through a pointer. Not thread-safe.
class FakeOpencl {
 public:
  FakeOpencl();
  ~FakeOpencl();
  FakeOpencl(const FakeOpencl&) = delete;
  FakeOpencl& operator=(const FakeOpencl&) = delete;

  // Of the fakes made from now on.
  static inline std::string cuda_library;

  std::shared_ptr<const Api> api() const { return api_; }

  // The `nth` call (from 1) of a function, by its OpenCL name, returns `status` and does nothing.
  void fail(const std::string& function, int nth, abi::Int status);
  int calls(const std::string& function) const;
  void forget_calls() { calls_.clear(); }

  // What clGetDeviceInfo answers, as bytes; keys that are absent are CL_INVALID_VALUE.
  std::map<abi::Uint, std::string> device_info;
  template <class T>
  void set(abi::Uint name, const T& value) {
    device_info[name] = std::string(reinterpret_cast<const char*>(&value), sizeof(value));
  }
  void give_images(std::size_t width, std::size_t height) {
    set(abi::device_image_support, abi::yes);
    set(abi::device_image2d_max_width, width);
    set(abi::device_image2d_max_height, height);
  }
  void set_text(abi::Uint name, const std::string& text) { device_info[name] = text + '\0'; }

  abi::Uint platforms = 1, devices = 1;
  std::string build_log;
  std::string kernels = "add;scale";  // of every program
  abi::Uint parameters = 2;           // of every kernel
  // Address space and type name of every kernel's parameters; those that are missing are not told.
  std::vector<std::pair<abi::Uint, std::string>> parameter_types;
  // The access qualifiers of parameters by position; those that are absent have none.
  std::map<abi::Uint, abi::Uint> access;
  std::array<std::size_t, 3> required_block{};  // of every kernel; 0: any
  abi::Ulong local_memory = 0;                  // static, of every kernel

  // A command starts `gap` after the one before it was given, and takes `duration`. Its status is `status`.
  abi::Ulong gap = 1000, duration = 500;
  abi::Int status = abi::complete;

  // Those of clGetSupportedImageFormats; the device has images where device_image_support says so.
  std::vector<abi::ImageFormat> image_formats{{abi::channels_rgba, abi::channel_unorm_int8},
                                              {abi::channels_r, abi::channel_float},
                                              {0x10B6, abi::channel_unorm_int8}};  // CL_BGRA

  // What was asked last.
  abi::ImageFormat image_format{};
  abi::ImageDescription image{};
  abi::Bitfield image_flags = 0;
  std::array<abi::Uint, 3> sampler{};  // normalized, addressing, filter
  std::string source, options;
  std::size_t pattern_size = 0;
  std::vector<std::size_t> global, local;

  // Objects that were made and not released.
  std::size_t live() const { return objects_.size(); }
  // Uses or releases of objects that are not there.
  int misuses = 0;

  enum class Kind { context, queue, memory, sampler, program, kernel, event };
  struct Object {
    Kind kind;
    abi::Ulong start = 0, end = 0;
    abi::Int status = abi::complete;
    std::vector<char> bytes;
  };

  // For the functions of the table.
  static FakeOpencl& current();
  // The status of this call: abi::success unless it is to fail.
  abi::Int enter(const char* function);
  void* create(Kind kind);
  Object* find(void* handle, Kind kind);
  void release(void* handle, Kind kind);
  // The event of a command that was just given.
  void command(abi::Event* event);

 private:
  std::shared_ptr<const Api> api_;
  std::map<void*, std::unique_ptr<Object>> objects_;
  std::map<std::string, int> calls_;
  struct Failure {
    int nth;
    abi::Int status;
  };
  std::map<std::string, Failure> failures_;
  abi::Ulong clock_ = 0;
};

}  // namespace warpwright::opencl
