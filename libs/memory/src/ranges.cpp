#include <dlfcn.h>

#include <warpwright/memory/ranges.hpp>

namespace warpwright::memory {
namespace {

class Nvtx final : public RangeMarker {
 public:
  using Push = int (*)(const char*);
  using Pop = int (*)();
  Nvtx(Push push_range, Pop pop_range) : push_(push_range), pop_(pop_range) {}
  void push(const char* name) override { push_(name); }
  void pop() override { pop_(); }

 private:
  Push push_;
  Pop pop_;
};

}  // namespace

std::unique_ptr<RangeMarker> nvtx_ranges() {
  void* library = ::dlopen("libnvToolsExt.so.1", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return nullptr;
  const auto push_range = reinterpret_cast<Nvtx::Push>(::dlsym(library, "nvtxRangePushA"));
  const auto pop_range = reinterpret_cast<Nvtx::Pop>(::dlsym(library, "nvtxRangePop"));
  if (push_range == nullptr || pop_range == nullptr) {
    ::dlclose(library);
    return nullptr;
  }
  // The library stays loaded: profilers hook into it.
  return std::make_unique<Nvtx>(push_range, pop_range);
}

}  // namespace warpwright::memory
