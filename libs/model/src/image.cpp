#include <algorithm>
#include <array>
#include <utility>

#include <warpwright/model/image.hpp>

namespace warpwright {

namespace {

constexpr std::array<std::pair<std::string_view, int>, 3> channel_names{{{"r", 1}, {"rg", 2}, {"rgba", 4}}};

struct ChannelType {
  std::string_view name;
  DataType type;
  bool normalized;
};
constexpr std::array channel_types{
    ChannelType{"float32", DataType::float32, false}, ChannelType{"float16", DataType::float16, false},
    ChannelType{"uint8", DataType::uint8, false},     ChannelType{"uint16", DataType::uint16, false},
    ChannelType{"uint32", DataType::uint32, false},   ChannelType{"int8", DataType::int8, false},
    ChannelType{"int16", DataType::int16, false},     ChannelType{"int32", DataType::int32, false},
    ChannelType{"unorm8", DataType::uint8, true},     ChannelType{"unorm16", DataType::uint16, true},
    ChannelType{"snorm8", DataType::int8, true},      ChannelType{"snorm16", DataType::int16, true}};

}  // namespace

std::string to_string(const ImageFormat& format) {
  std::string text;
  for (const auto& [name, channels] : channel_names) {
    if (channels == format.channels) text = name;
  }
  const auto found = std::find_if(channel_types.begin(), channel_types.end(), [&](const ChannelType& type) {
    return type.type == format.type && type.normalized == format.normalized;
  });
  return (text.empty() ? std::to_string(format.channels) : text) + "_" +
         std::string(found == channel_types.end() ? to_string(format.type) : found->name);
}

std::optional<ImageFormat> parse_image_format(std::string_view text) {
  for (const ImageFormat& format : image_formats()) {
    if (to_string(format) == text) return format;
  }
  return std::nullopt;
}

const std::vector<ImageFormat>& image_formats() {
  static const std::vector<ImageFormat> all = [] {
    std::vector<ImageFormat> formats;
    for (const auto& [name, channels] : channel_names) {
      for (const ChannelType& type : channel_types) formats.push_back({channels, type.type, type.normalized});
    }
    return formats;
  }();
  return all;
}

std::string describe(const std::vector<ImageFormat>& formats) {
  std::string text;
  for (const ImageFormat& format : formats) text += (text.empty() ? "" : ", ") + to_string(format);
  return text.empty() ? "none" : text;
}

std::string_view to_string(ImageAddressing addressing) noexcept {
  switch (addressing) {
    case ImageAddressing::none:
      return "none";
    case ImageAddressing::clamp_to_edge:
      return "clamp_to_edge";
    case ImageAddressing::clamp:
      return "clamp";
    case ImageAddressing::repeat:
      return "repeat";
    case ImageAddressing::mirrored_repeat:
      return "mirrored_repeat";
  }
  return "unknown";
}

std::string_view to_string(ImageFilter filter) noexcept { return filter == ImageFilter::linear ? "linear" : "nearest"; }

}  // namespace warpwright
