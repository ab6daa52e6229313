// A shared library opened at run time.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace warpwright::cuda {

// Move-only. The library stays mapped for the rest of the process: driver libraries start threads and register exit
// handlers, so that unmapping them is not safe.
class SharedLibrary {
 public:
  // nullopt if the loader refuses; `reason` is then what it said.
  static std::optional<SharedLibrary> open(const std::string& name, std::string& reason);
  // The first of `names` that opens. `reasons` gets one line for each that did not.
  static std::optional<SharedLibrary> open_first(const std::vector<std::string>& names,
                                                 std::vector<std::string>& reasons);

  SharedLibrary(SharedLibrary&& other) noexcept;
  SharedLibrary& operator=(SharedLibrary&& other) noexcept;
  ~SharedLibrary();

  // Null if there is none.
  void* symbol(const char* name) const;
  // As found by the loader; the name it was opened by if the loader does not tell.
  const std::filesystem::path& path() const { return path_; }

 private:
  SharedLibrary(void* handle, std::filesystem::path path) : handle_(handle), path_(std::move(path)) {}

  void* handle_ = nullptr;
  std::filesystem::path path_;
};

}  // namespace warpwright::cuda
