// What compilers of kernels in Python write beside a cubin, and no binary tells: the dynamic shared memory of its
// launches.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <warpwright/base/units.hpp>
#include <warpwright/store/json.hpp>

namespace warpwright::app {

// The files beside one binary: Triton's NAME.json ("name" and "shared") and Warp's NAME.meta ("KERNEL_smem_bytes"), of
// the binary's own name, with or without what follows its first dot. Immutable, thread-safe.
class KernelMetadata {
 public:
  // Reads what there is; files that cannot be used are named in notes(). Never throws on their content.
  explicit KernelMetadata(const std::filesystem::path& binary);

  struct Answer {
    Bytes dynamic_shared{};
    std::string file;  // name, without its folder
  };
  // nullopt where no file tells of the kernel with this symbol.
  std::optional<Answer> dynamic_shared(const std::string& symbol) const;
  // Why files beside the binary are not used.
  const std::vector<std::string>& notes() const { return notes_; }

 private:
  struct File {
    std::string name;
    store::Json json;
  };
  std::vector<File> files_;
  std::vector<std::string> notes_;
};

}  // namespace warpwright::app
