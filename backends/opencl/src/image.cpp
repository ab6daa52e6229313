// Images and samplers.
#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <utility>

#include <warpwright/base/error.hpp>
#include <warpwright/device/checks.hpp>

#include "context.hpp"

namespace warpwright::opencl {

namespace {

abi::ImageFormat native_format(const ImageFormat& format) {
  abi::ImageFormat result{};
  result.order = format.channels == 1 ? abi::channels_r : format.channels == 2 ? abi::channels_rg : abi::channels_rgba;
  switch (format.type) {
    case DataType::int8:
      result.type = format.normalized ? abi::channel_snorm_int8 : abi::channel_signed_int8;
      break;
    case DataType::uint8:
      result.type = format.normalized ? abi::channel_unorm_int8 : abi::channel_unsigned_int8;
      break;
    case DataType::int16:
      result.type = format.normalized ? abi::channel_snorm_int16 : abi::channel_signed_int16;
      break;
    case DataType::uint16:
      result.type = format.normalized ? abi::channel_unorm_int16 : abi::channel_unsigned_int16;
      break;
    case DataType::int32:
      result.type = abi::channel_signed_int32;
      break;
    case DataType::uint32:
      result.type = abi::channel_unsigned_int32;
      break;
    case DataType::float16:
      result.type = abi::channel_half_float;
      break;
    default:
      result.type = abi::channel_float;
      break;
  }
  return result;
}

abi::Bitfield flags_of(device::ImageUse use) {
  return use == device::ImageUse::read ? abi::mem_read_only : abi::mem_read_write;
}

abi::Uint native_addressing(ImageAddressing addressing) {
  switch (addressing) {
    case ImageAddressing::none:
      return abi::address_none;
    case ImageAddressing::clamp_to_edge:
      return abi::address_clamp_to_edge;
    case ImageAddressing::clamp:
      return abi::address_clamp;
    case ImageAddressing::repeat:
      return abi::address_repeat;
    case ImageAddressing::mirrored_repeat:
      return abi::address_mirrored_repeat;
  }
  return abi::address_none;
}

constexpr std::array<std::size_t, 3> origin{};

std::array<std::size_t, 3> region_of(const ImageShape& shape) {
  return {static_cast<std::size_t>(shape.width), static_cast<std::size_t>(shape.height), 1};
}

}  // namespace

std::vector<ImageFormat> supported_formats(const ContextState& state, device::ImageUse use) {
  if (!state.found.info.offers_images()) return {};
  const auto query = [&](abi::Uint capacity, abi::ImageFormat* formats, abi::Uint* count) {
    check(state.api->get_supported_image_formats(state.context.get(), flags_of(use), abi::mem_object_image2d, capacity,
                                                 reinterpret_cast<::_cl_image_format*>(formats), count),
          Stage::query, "clGetSupportedImageFormats", "list the formats of images");
  };
  abi::Uint count = 0;
  query(0, nullptr, &count);
  std::vector<abi::ImageFormat> found(count);
  if (count > 0) query(count, found.data(), &count);
  found.resize(std::min<std::size_t>(found.size(), count));
  std::vector<ImageFormat> formats;
  for (const ImageFormat& format : warpwright::image_formats()) {
    const abi::ImageFormat wanted = native_format(format);
    if (std::any_of(found.begin(), found.end(), [&](const abi::ImageFormat& candidate) {
          return candidate.order == wanted.order && candidate.type == wanted.type;
        }))
      formats.push_back(format);
  }
  return formats;
}

std::unique_ptr<device::Image> make_image(const std::shared_ptr<ContextState>& state, const ImageShape& shape,
                                          device::ImageUse use) {
  device::check_image(shape, use, supported_formats(*state, use), state->found.info);
  const abi::ImageFormat format = native_format(shape.format);
  abi::ImageDescription description{};
  description.kind = abi::mem_object_image2d;
  description.width = static_cast<std::size_t>(shape.width);
  description.height = static_cast<std::size_t>(shape.height);
  abi::Int status = abi::success;
  OwnedMem memory(state->api,
                  state->api->create_image(state->context.get(), flags_of(use),
                                           reinterpret_cast<const ::_cl_image_format*>(&format),
                                           reinterpret_cast<const ::_cl_image_desc*>(&description), nullptr, &status));
  if (status != abi::success)
    check(status, Stage::allocate, "clCreateImage",
          fmt::format("make an image of {} x {} pixels of {} ({})", shape.width, shape.height, to_string(shape.format),
                      format_bytes(shape.size())));
  return std::make_unique<DeviceImage>(state, std::move(memory), shape);
}

std::unique_ptr<device::Sampler> make_sampler(const std::shared_ptr<ContextState>& state,
                                              const SamplerSettings& settings) {
  if (!state->found.info.offers_images()) throw Error(ErrorCode::unsupported, device::why_no_images(state->found.info));
  abi::Int status = abi::success;
  OwnedSampler sampler(
      state->api,
      state->api->create_sampler(
          state->context.get(), settings.normalized ? abi::yes : abi::no, native_addressing(settings.addressing),
          settings.filter == ImageFilter::linear ? abi::filter_linear : abi::filter_nearest, &status));
  if (status != abi::success)
    check(status, Stage::allocate, "clCreateSampler",
          fmt::format("make a sampler with addressing {}, filter {} and {} coordinates", to_string(settings.addressing),
                      to_string(settings.filter), settings.normalized ? "normalized" : "pixel"));
  return std::make_unique<DeviceSampler>(state, std::move(sampler));
}

abi::Event enqueue_copy_to_image(const StreamState& stream, const DeviceImage& destination, const DeviceBuffer& source,
                                 Bytes offset) {
  device::check_range("copy to an image, source", offset, destination.shape().size(), source.size());
  const auto region = region_of(destination.shape());
  abi::Event event = nullptr;
  check(stream.api().enqueue_copy_buffer_to_image(stream.queue(), source.handle(), destination.handle(), offset.count,
                                                  origin.data(), region.data(), 0, nullptr, &event),
        Stage::copy, "clEnqueueCopyBufferToImage", "copy to an image");
  return event;
}

abi::Event enqueue_copy_from_image(const StreamState& stream, const DeviceBuffer& destination, Bytes offset,
                                   const DeviceImage& source) {
  device::check_range("copy from an image, destination", offset, source.shape().size(), destination.size());
  const auto region = region_of(source.shape());
  abi::Event event = nullptr;
  check(stream.api().enqueue_copy_image_to_buffer(stream.queue(), source.handle(), destination.handle(), origin.data(),
                                                  region.data(), offset.count, 0, nullptr, &event),
        Stage::copy, "clEnqueueCopyImageToBuffer", "copy from an image");
  return event;
}

}  // namespace warpwright::opencl
