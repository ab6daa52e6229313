// Checks that every backend makes before it calls its driver, in one place so that the same mistake gives the same
// error everywhere. Functions only; thread-safe.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <warpwright/base/units.hpp>
#include <warpwright/device/context.hpp>

namespace warpwright::device {

// Throws Error(bad_input) unless [offset, offset + size) lies within a buffer of `capacity`; `what` names the operation
// ("copy to device").
void check_range(std::string_view what, Bytes offset, Bytes size, Bytes capacity);

// Throws Error(bad_input) unless [offset, offset + size) lies within a buffer of `capacity` and begins on
// view_alignment.
void check_view(Bytes offset, Bytes size, Bytes capacity);

// check_range() of both ends, and Error(bad_input) if they are ranges of one buffer that overlap.
void check_device_copy(const Buffer& destination, Bytes destination_offset, const Buffer& source, Bytes source_offset,
                       Bytes size);

// Throws Error(launch) naming the kernel and the dimension if a block, grid or cluster dimension is not positive, the
// block has more threads than `device` allows, or a feature is asked for that `device` lacks (then Error(unsupported)).
void check_geometry(std::string_view kernel, const LaunchConfig& config, const DeviceInfo& device);

// Throws Error(bad_input) unless the shape has pixels, Error(unsupported) unless `device` offers images that large and
// `formats`, those that it has for `use`, contain the shape's.
void check_image(const ImageShape& shape, ImageUse use, const std::vector<ImageFormat>& formats,
                 const DeviceInfo& device);

// "the backend cuda does not offer them" and so on: why `device` has no images or samplers.
std::string why_no_images(const DeviceInfo& device);

}  // namespace warpwright::device
