// Two-dimensional images and samplers as plain data. OpenCL kernels read images through hardware that filters, converts
// and handles borders; what is stored in them is dense pixels all the same.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <warpwright/base/units.hpp>
#include <warpwright/model/data_type.hpp>

namespace warpwright {

// What a pixel is made of.
struct ImageFormat {
  int channels = 4;                   // 1 (r), 2 (rg) or 4 (rgba)
  DataType type = DataType::float32;  // of a channel as it is stored: a float or an integer of 8 to 32 bits
  // An integer of 8 or 16 bits that kernels read and write as a float: 0 to 1 (unorm), -1 to 1 (snorm).
  bool normalized = false;

  Bytes pixel_size() const { return Bytes{size_of(type)} * static_cast<std::uint64_t>(channels); }
  auto operator<=>(const ImageFormat&) const = default;
};
// "rgba_unorm8", "r_float32".
std::string to_string(const ImageFormat& format);
std::optional<ImageFormat> parse_image_format(std::string_view text);
// All that parse_image_format() knows.
const std::vector<ImageFormat>& image_formats();
// Their names separated by ", ".
std::string describe(const std::vector<ImageFormat>& formats);

struct ImageShape {
  ImageFormat format;
  std::int64_t width = 1, height = 1;  // pixels

  // Of the pixels, row behind row without gaps.
  Bytes size() const {
    return format.pixel_size() * (static_cast<std::uint64_t>(width) * static_cast<std::uint64_t>(height));
  }
  bool operator==(const ImageShape&) const = default;
};

// What a kernel reads outside an image.
enum class ImageAddressing {
  none,           // undefined: the kernel does not
  clamp_to_edge,  // the nearest pixel
  clamp,          // the border colour
  repeat,         // the image again; normalised coordinates only
  mirrored_repeat
};
std::string_view to_string(ImageAddressing addressing) noexcept;

enum class ImageFilter { nearest, linear };
std::string_view to_string(ImageFilter filter) noexcept;

// How a kernel reads images through a sampler argument.
struct SamplerSettings {
  ImageAddressing addressing = ImageAddressing::clamp_to_edge;
  ImageFilter filter = ImageFilter::nearest;
  bool normalized = false;  // coordinates from 0 to 1 across the image, and not pixels

  bool operator==(const SamplerSettings&) const = default;
};

}  // namespace warpwright
