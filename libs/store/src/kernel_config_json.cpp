#include <warpwright/store/kernel_config_json.hpp>

namespace warpwright::store {

Json kernel_config_json(const KernelConfig& config) {
  const auto sizes = [](const Dim3& dim) { return Json{dim.x, dim.y, dim.z}; };
  Json json{{"block", sizes(config.block_size)}};
  if (config.grid_size) json["grid"] = sizes(*config.grid_size);
  json["shared_memory"] = config.shared_memory.count;
  if (!(config.cluster_size == Dim3{1})) json["cluster"] = sizes(config.cluster_size);
  return json;
}

std::optional<KernelConfig> kernel_config_of(const Json& details) {
  try {
    const auto sizes = [](const Json& json) {
      return Dim3{json.at(0).get<std::int64_t>(), json.at(1).get<std::int64_t>(), json.at(2).get<std::int64_t>()};
    };
    const Json& json = details.at(kernel_config_key);
    KernelConfig config;
    config.block_size = sizes(json.at("block"));
    if (json.contains("grid")) config.grid_size = sizes(json.at("grid"));
    config.shared_memory = Bytes{json.at("shared_memory").get<std::uint64_t>()};
    if (json.contains("cluster")) config.cluster_size = sizes(json.at("cluster"));
    return config;
  } catch (const Json::exception&) {
    return std::nullopt;  // of the general form, or written by something else
  }
}

}  // namespace warpwright::store
