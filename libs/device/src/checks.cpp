#include <algorithm>
#include <fmt/format.h>

#include <warpwright/base/error.hpp>
#include <warpwright/device/checks.hpp>

namespace warpwright::device {

std::unique_ptr<Event> Context::create_ordering_event() { return create_event(); }

std::unique_ptr<PinnedBuffer> Context::pin_host_memory(std::span<std::byte>) {
  throw Error(ErrorCode::unsupported, "device " + device().id.to_string() +
                                          " cannot pin memory that the program allocated; use allocate_pinned()");
}

std::string_view to_string(ImageUse use) noexcept { return use == ImageUse::read ? "read" : "write"; }

void Stream::copy_to_image(Image&, const Buffer&, Bytes) {
  throw Error(ErrorCode::unsupported, "images are for OpenCL, and the backend of this stream does not offer them");
}

void Stream::copy_from_image(Buffer&, Bytes, const Image&) {
  throw Error(ErrorCode::unsupported, "images are for OpenCL, and the backend of this stream does not offer them");
}

std::vector<ImageFormat> Context::image_formats(ImageUse) const { return {}; }

std::unique_ptr<Image> Context::create_image(const ImageShape& shape, ImageUse use) {
  check_image(shape, use, image_formats(use), device());
  throw Error(ErrorCode::unsupported, why_no_images(device()));
}

std::unique_ptr<Sampler> Context::create_sampler(const SamplerSettings&) {
  throw Error(ErrorCode::unsupported, why_no_images(device()));
}

std::string why_no_images(const DeviceInfo& device) {
  if (device.id.backend == "opencl")
    return fmt::format("device {} ({}) has no images", device.id.to_string(), device.name);
  return fmt::format("images and samplers are for OpenCL, and the backend {} does not offer them", device.id.backend);
}

void check_image(const ImageShape& shape, ImageUse use, const std::vector<ImageFormat>& formats,
                 const DeviceInfo& device) {
  if (!device.offers_images()) throw Error(ErrorCode::unsupported, why_no_images(device));
  const std::string image = fmt::format("an image of {} x {} pixels", shape.width, shape.height);
  if (shape.width < 1 || shape.height < 1)
    throw Error(ErrorCode::bad_input, image + " is none: both must be at least 1");
  if (shape.width > device.max_image[0] || shape.height > device.max_image[1])
    throw Error(ErrorCode::unsupported, fmt::format("{} is too large: device {} allows {} x {}", image,
                                                    device.id.to_string(), device.max_image[0], device.max_image[1]));
  if (std::find(formats.begin(), formats.end(), shape.format) == formats.end())
    throw Error(ErrorCode::unsupported,
                fmt::format("device {} has no images of format {} that kernels {}; it has: {}", device.id.to_string(),
                            to_string(shape.format), to_string(use), describe(formats)));
}

void check_range(std::string_view what, Bytes offset, Bytes size, Bytes capacity) {
  // Not offset + size > capacity, which may wrap.
  if (offset <= capacity && size <= capacity - offset) return;
  throw Error(ErrorCode::bad_input, fmt::format("{}: {} bytes at offset {} reach past the end of a buffer of {} bytes",
                                                what, size.count, offset.count, capacity.count));
}

void check_view(Bytes offset, Bytes size, Bytes capacity) {
  check_range("view", offset, size, capacity);
  if (size.count == 0) throw Error(ErrorCode::bad_input, "a view of a buffer must have at least one byte");
  if (offset.count % view_alignment.count != 0)
    throw Error(ErrorCode::bad_input, fmt::format("a view must begin at a multiple of {} bytes, not at {}",
                                                  view_alignment.count, offset.count));
}

void check_device_copy(const Buffer& destination, Bytes destination_offset, const Buffer& source, Bytes source_offset,
                       Bytes size) {
  check_range("copy on device, destination", destination_offset, size, destination.size());
  check_range("copy on device, source", source_offset, size, source.size());
  if (&destination != &source || size.count == 0) return;
  if (destination_offset < source_offset + size && source_offset < destination_offset + size)
    throw Error(ErrorCode::bad_input,
                fmt::format("copy on device: {} bytes from offset {} to offset {} of the same buffer overlap",
                            size.count, source_offset.count, destination_offset.count));
}

void check_geometry(std::string_view kernel, const LaunchConfig& config, const DeviceInfo& device) {
  const auto refuse = [&](const std::string& why) {
    return Error(ErrorCode::launch,
                 fmt::format("kernel '{}' with block ({},{},{}) and grid ({},{},{}): {}", kernel, config.block[0],
                             config.block[1], config.block[2], config.grid[0], config.grid[1], config.grid[2], why));
  };
  bool clustered = false;
  for (std::size_t d = 0; d < 3; ++d) {
    const char axis = "xyz"[d];
    if (config.block[d] <= 0) throw refuse(fmt::format("block {} must be at least 1", axis));
    if (config.grid[d] <= 0) throw refuse(fmt::format("grid {} must be at least 1", axis));
    if (config.cluster[d] <= 0) throw refuse(fmt::format("cluster {} must be at least 1", axis));
    if (device.max_block[d] > 0 && config.block[d] > device.max_block[d])
      throw refuse(fmt::format("the device allows {} threads in {}", device.max_block[d], axis));
    if (device.max_grid[d] > 0 && config.grid[d] > device.max_grid[d])
      throw refuse(fmt::format("the device allows {} blocks in {}", device.max_grid[d], axis));
    clustered = clustered || config.cluster[d] > 1;
  }
  if (device.max_threads_per_block > 0) {
    // Dimension by dimension, so that the product cannot overflow.
    std::int64_t room = device.max_threads_per_block;
    for (const std::int64_t extent : config.block) room /= extent;
    if (room == 0) throw refuse(fmt::format("the device allows {} threads per block", device.max_threads_per_block));
  }
  const auto lacking = [&](const char* feature) {
    return Error(ErrorCode::unsupported, fmt::format("kernel '{}': device {} ({}) has no {}", kernel,
                                                     device.id.to_string(), device.name, feature));
  };
  if (config.cooperative && !device.supports_cooperative_launch) throw lacking("cooperative launch");
  if (clustered && !device.supports_clusters) throw lacking("thread block clusters");
}

}  // namespace warpwright::device
