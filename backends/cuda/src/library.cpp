#include "library.hpp"

#include <dlfcn.h>
#include <link.h>
#include <utility>

namespace warpwright::cuda {

std::optional<SharedLibrary> SharedLibrary::open(const std::string& name, std::string& reason) {
  void* handle = ::dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (handle == nullptr) {
    const char* text = ::dlerror();
    reason = text != nullptr ? text : name + ": the loader gives no reason";
    return std::nullopt;
  }
  std::filesystem::path path = name;
  link_map* map = nullptr;
  if (::dlinfo(handle, RTLD_DI_LINKMAP, &map) == 0 && map != nullptr && map->l_name != nullptr && map->l_name[0] != 0) {
    path = map->l_name;
  }
  return SharedLibrary(handle, std::move(path));
}

std::optional<SharedLibrary> SharedLibrary::open_first(const std::vector<std::string>& names,
                                                       std::vector<std::string>& reasons) {
  for (const auto& name : names) {
    std::string reason;
    if (auto library = open(name, reason)) return library;
    reasons.push_back(std::move(reason));
  }
  return std::nullopt;
}

SharedLibrary::SharedLibrary(SharedLibrary&& other) noexcept
    : handle_(std::exchange(other.handle_, nullptr)), path_(std::move(other.path_)) {}

SharedLibrary& SharedLibrary::operator=(SharedLibrary&& other) noexcept {
  std::swap(handle_, other.handle_);
  std::swap(path_, other.path_);
  return *this;
}

SharedLibrary::~SharedLibrary() {
  if (handle_ != nullptr) ::dlclose(handle_);
}

void* SharedLibrary::symbol(const char* name) const { return ::dlsym(handle_, name); }

}  // namespace warpwright::cuda
