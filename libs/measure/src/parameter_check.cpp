#include "parameter_check.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace warpwright::measure {
namespace {

using Kind = KernelParameter::Kind;

std::string describe(const PassedArgument& argument) {
  if (argument.image != PassedImage::none) return fmt::format("'{}' (image)", argument.name);
  if (argument.sampler) return fmt::format("'{}' (sampler)", argument.name);
  if (argument.local) return fmt::format("'{}' ({} bytes of __local memory)", argument.name, argument.size.count);
  if (argument.structure) return fmt::format("'{}' (structure of {} bytes)", argument.name, argument.size.count);
  const std::string type = argument.components > 1 ? fmt::format("{}x{}", to_string(argument.type), argument.components)
                                                   : std::string(to_string(argument.type));
  return fmt::format("'{}' ({}{})", argument.name, argument.buffer ? "buffer of " : "", type);
}

std::string describe(const KernelParameter& parameter) {
  if (!parameter.text.empty()) return "'" + parameter.text + "'";
  if (parameter.size) return fmt::format("{} bytes", parameter.size->count);
  return "not told";
}

template <class List>
std::string describe_all(const List& list) {
  std::string text;
  for (const auto& item : list) text += (text.empty() ? "" : ", ") + describe(item);
  return text.empty() ? "none" : text;
}

// Integers of one width are passed alike whatever their sign; 16-bit floats may be taken as their bits.
bool alike(DataType passed, DataType declared) {
  if (passed == declared) return true;
  if (size_of(passed) != size_of(declared)) return false;
  if (!is_floating(passed) && !is_floating(declared)) return true;
  return size_of(passed) == 2;
}

std::string cure(const PassedArgument& argument, const KernelParameter& parameter) {
  if (argument.dimension && parameter.type)
    return fmt::format(
        "; a dimension is passed as it is written (1000: int32, 0.5: float32): for another type declare an "
        "[[argument]] "
        "with access = \"scalar\", type = \"{}\" and value = \"{}\" under another name, and pass that",
        to_string(*parameter.type), argument.name);
  return "; correct the order of args, the type of the argument, or the kernel";
}

// Of images and samplers: nullopt also where there is none.
std::optional<std::string> image_mismatch(const PassedArgument& argument, const KernelParameter& parameter) {
  if (parameter.kind == Kind::unknown) return std::nullopt;
  const bool image = argument.image != PassedImage::none;
  if (image != (parameter.kind == Kind::image))
    return image ? "; an image is passed to image2d_t only: correct the order of args, declare the argument with type "
                   "and size (a buffer), or correct the kernel"
                 : "; it takes an image: correct the order of args, or declare the argument with image = { width = "
                   "\"...\", height = \"...\", format = \"rgba_unorm8\" }";
  if (argument.sampler != (parameter.kind == Kind::sampler))
    return argument.sampler ? "; a sampler is passed to sampler_t only: correct the order of args, or the kernel"
                            : "; it takes a sampler: correct the order of args, or declare the argument with sampler = "
                              "{ filter = \"nearest\" }";
  if (argument.image == PassedImage::read && parameter.writable)
    return "; the kernel writes it, and the image has access = \"in\": give it access = \"out\", \"inout\" or "
           "\"scratch\", or declare the parameter read_only";
  return std::nullopt;
}

// Why `argument` is not `parameter`; nullopt if nothing is known against it.
std::optional<std::string> pair_mismatch(const PassedArgument& argument, const KernelParameter& parameter) {
  if (parameter.kind == Kind::local)
    return argument.local
               ? std::nullopt
               : std::optional<std::string>(
                     "; its __local memory is passed behind the last argument with `shared`: move the parameter to the "
                     "end, or put the bytes in this place of args, { local = \"...\" }");
  if (argument.local) {
    if (parameter.kind == Kind::unknown) return std::nullopt;
    return "; __local memory is passed to __local pointers only: correct the order of args, or the kernel";
  }
  if (parameter.kind == Kind::other)
    return "; of images only two-dimensional ones (image2d_t) can be passed, and pipes and queues cannot";
  if (const auto why = image_mismatch(argument, parameter)) return why;
  if (argument.image != PassedImage::none || argument.sampler) return std::nullopt;
  if (parameter.kind == Kind::buffer && !argument.buffer) return cure(argument, parameter);
  if (parameter.kind == Kind::scalar && argument.buffer) return cure(argument, parameter);
  if (argument.structure) {
    if (parameter.type || (parameter.size && *parameter.size != argument.size)) return cure(argument, parameter);
    return std::nullopt;
  }
  if (parameter.type && !alike(argument.type, *parameter.type)) return cure(argument, parameter);
  // Elements of buffers may be grouped into vectors as the kernel likes.
  if (!parameter.size) return std::nullopt;
  const Bytes size = argument.buffer ? Bytes{sizeof(void*)} : argument.size;
  if (size != *parameter.size) return cure(argument, parameter);
  return std::nullopt;
}

}  // namespace

std::optional<std::string> parameter_mismatch(const std::vector<KernelParameter>& parameters,
                                              const std::vector<PassedArgument>& passed, Bytes local,
                                              const std::string& kernel) {
  const std::size_t given = passed.size() + (local.count > 0 ? 1 : 0);
  const std::size_t compared = std::min(passed.size(), parameters.size());
  for (std::size_t i = 0; i < compared; ++i) {
    // What is too few or too many is the better word, but for a parameter that no argument can fill.
    if (given != parameters.size() && parameters[i].kind != Kind::local) continue;
    if (given != parameters.size() && i + 1 == parameters.size()) continue;
    if (const auto why = pair_mismatch(passed[i], parameters[i]))
      return fmt::format("argument {} is passed as parameter {} of kernel '{}', which is {}{}", describe(passed[i]),
                         i + 1, kernel, describe(parameters[i]), *why);
  }
  if (given != parameters.size()) {
    std::string text =
        fmt::format("kernel '{}' takes {} parameter{} ({}); the launch passes {} argument{} ({})", kernel,
                    parameters.size(), parameters.size() == 1 ? "" : "s", describe_all(parameters), passed.size(),
                    passed.size() == 1 ? "" : "s", describe_all(passed));
    if (local.count > 0) text += fmt::format(" and {} bytes of __local memory (`shared`)", local.count);
    if (local.count == 0 && given + 1 == parameters.size() && parameters.back().kind == Kind::local)
      text += "; give the size of its __local memory with `shared`";
    return text;
  }
  if (local.count > 0 && parameters.back().kind != Kind::local && parameters.back().kind != Kind::unknown)
    return fmt::format(
        "{} bytes of __local memory (`shared`) are passed as the last parameter of kernel '{}', which is "
        "{}; add a __local pointer at the end, or leave `shared` out",
        local.count, kernel, describe(parameters.back()));
  return std::nullopt;
}

}  // namespace warpwright::measure
