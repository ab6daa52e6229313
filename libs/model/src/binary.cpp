#include <warpwright/model/binary.hpp>

namespace warpwright {

std::string_view to_string(KernelParameter::Kind kind) noexcept {
  switch (kind) {
    case KernelParameter::Kind::unknown:
      return "unknown";
    case KernelParameter::Kind::buffer:
      return "buffer";
    case KernelParameter::Kind::local:
      return "local";
    case KernelParameter::Kind::scalar:
      return "scalar";
    case KernelParameter::Kind::image:
      return "image";
    case KernelParameter::Kind::sampler:
      return "sampler";
    case KernelParameter::Kind::other:
      return "other";
  }
  return "unknown";
}

}  // namespace warpwright
