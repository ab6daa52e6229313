// A CUDA driver in host memory, behind the same function table as the real one. It checks how it is used (the right
// context current, only live handles, no leak), enforces the limits of launches, and fails any call on request.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "cuda_abi.hpp"

namespace warpwright::cuda {

// One at a time: the table holds plain functions, which find the fake through a global.
class FakeDriver {
 public:
  FakeDriver();
  ~FakeDriver();
  FakeDriver(const FakeDriver&) = delete;
  FakeDriver& operator=(const FakeDriver&) = delete;

  abi::Functions functions() const;

  // --- what the fake is told ---
  // The call with this number (from 0) fails with `result`; negative: none.
  int failing_call = -1;
  // Every call of this function fails with failure, if not empty.
  std::string failing_function;
  abi::Result failure = abi::success;
  // After the failure every call gives the same, as after a device fault.
  bool sticky = false;

  int device_count = 2;
  std::map<abi::DeviceAttribute, int> attributes;
  int function_max_threads = 256;
  int function_registers = 40;
  int function_static_shared = 1000;
  std::vector<std::size_t> parameter_sizes = {8, 4};
  std::set<std::string> kernels = {"gemm", "_Z5scalePf"};
  bool event_ready = true;
  bool jit_log = false;

  // --- what it saw ---
  int calls = 0;
  std::vector<std::string> names;      // of every call
  std::vector<std::string> misuses;    // dead handles, wrong context; must stay empty
  std::set<const void*> live;          // all handles that were not given back
  std::map<std::string, int> created;  // by kind
  int retained = 0;                    // primary contexts
  int permitted_dynamic_shared = 0;    // as set by cuFuncSetAttribute
  int permissions = 0;                 // how often it was set
  bool large_clusters = false;
  int ordering_events = 0;           // events created without timing
  std::set<const void*> registered;  // host memory of the program's that is pinned
  struct Launch {
    std::string function;
    unsigned grid[3], block[3], shared;
    bool cooperative = false;
    unsigned cluster[3] = {1, 1, 1};
    std::vector<std::vector<unsigned char>> arguments;
  };
  std::vector<Launch> launches;
  bool capturing = false;

  // --- for the functions of the table ---
  // Counts the call; the result to fail with, or success. `needs_context`: a live context must be current.
  abi::Result enter(const char* name, bool needs_context = true);
  void* create(const std::string& kind, std::size_t size = 1);
  void destroy(const std::string& kind, void* handle);
  bool alive(const void* handle, const char* what);
  abi::Result launch(const char* name, const abi::LaunchConfiguration& configuration, abi::FunctionHandle function,
                     void** parameters);
  // Whether [pointer, pointer+size) lies in one live allocation.
  bool device_range(abi::DevicePointer pointer, std::size_t size);

  std::map<const void*, std::string> kind_of;
  std::map<const void*, std::vector<unsigned char>> storage;
  std::set<std::string> function_names;
  bool failed = false;

  static FakeDriver* instance;
};

}  // namespace warpwright::cuda
