#include <cstdlib>
#include <string>

#include <warpwright/base/descriptor.hpp>
#include <warpwright/base/temporary_folder.hpp>

namespace warpwright {

TemporaryFolder::TemporaryFolder(const std::filesystem::path& parent) {
  std::string name = (parent / "warpwright-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr)
    throw Error(ErrorCode::io, "cannot create a folder in '" + parent.string() + "'", last_native_error());
  path_ = name;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace warpwright
