#include <charconv>

#include <warpwright/base/device_id.hpp>
#include <warpwright/base/error.hpp>

namespace warpwright {

DeviceId DeviceId::parse(std::string_view text) {
  const auto fail = [&](const std::string& why) -> Error {
    return Error(ErrorCode::bad_input, "'" + std::string(text) + "' is no device id: " + why +
                                           "; write backend:number, as in 'cuda:0', 'sim:0' or 'opencl:0:0' "
                                           "(platform:device); 'warpwright devices' lists them");
  };
  DeviceId id;
  std::size_t colon = text.find(':');
  id.backend = std::string(text.substr(0, colon));
  if (id.backend.empty()) throw fail("the backend is missing");
  if (colon == std::string_view::npos) throw fail("the number is missing");
  while (colon != std::string_view::npos) {
    const std::size_t begin = colon + 1;
    colon = text.find(':', begin);
    const std::string_view part = text.substr(begin, colon == std::string_view::npos ? colon : colon - begin);
    int number = -1;
    const auto [end, status] = std::from_chars(part.data(), part.data() + part.size(), number);
    if (status != std::errc{} || end != part.data() + part.size() || number < 0)
      throw fail("'" + std::string(part) + "' is no number");
    id.ordinals.push_back(number);
  }
  return id;
}

std::string DeviceId::to_string() const {
  std::string text = backend;
  for (const int ordinal : ordinals) text += ":" + std::to_string(ordinal);
  return text;
}

}  // namespace warpwright
