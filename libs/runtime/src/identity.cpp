#include <algorithm>

#include <warpwright/base/error.hpp>
#include <warpwright/base/hash.hpp>
#include <warpwright/runtime/identity.hpp>
#include <warpwright/store/json.hpp>

namespace warpwright::runtime {

std::string source_hash(const Problem& problem, const std::string& backend) {
  ContentHash hash;
  const auto add_source = [&](const std::string& stage) {
    const SourceText* source = problem.find_source(stage, backend);
    if (source == nullptr)
      throw Error(ErrorCode::bad_input, (stage.empty() ? "kernel '" + problem.name : "stage '" + stage) +
                                            "' has no source for the '" + backend + "' backend");
    hash.add(source->text);
  };
  const auto runs_own = [&](const Launch& launch) { return launch.stage.empty(); };
  // Stages may bring all the source there is.
  if (problem.stages.empty() || std::any_of(problem.launches.begin(), problem.launches.end(), runs_own)) add_source({});
  const auto options = problem.options.find(backend);
  if (options != problem.options.end())
    for (const auto& option : options->second) hash.add(option);
  hash.add("defines");
  for (const auto& [name, expression] : problem.defines) hash.add(name).add(expression.text());
  hash.add("launches");
  for (const auto& launch : problem.launches) hash.add(launch.entry);
  for (const Stage& stage : problem.stages) {
    hash.add("stage").add(stage.name);
    add_source(stage.name);
    if (const auto own = stage.options.find(backend); own != stage.options.end())
      for (const auto& option : own->second) hash.add(option);
    for (const auto& [name, expression] : stage.defines) hash.add(name).add(expression.text());
  }
  if (!problem.stages.empty())
    for (const auto& launch : problem.launches) hash.add(launch.stage);
  return hash.hex();
}

std::string problem_hash(const Problem& problem, const std::string& backend) {
  Problem plain = problem;
  // A callable has no content to hash; its constraints' names stand for it, and the reference does not change a time.
  if (std::holds_alternative<ReferenceCallback>(plain.reference)) plain.reference = std::monostate{};
  plain.file.clear();
  plain.include_folders.clear();
  plain.warnings.clear();
  plain.device_dimensions.clear();
  const auto forget_place = [](Launch& launch) { launch.position = launch.args_position = {}; };
  for (Launch& launch : plain.launches) forget_place(launch);
  if (auto* reference = std::get_if<ReferenceKernel>(&plain.reference))
    for (Launch& launch : reference->launches) forget_place(launch);
  ContentHash hash;
  hash.add(source_hash(problem, backend)).add(store::to_json(plain).dump());
  for (const auto& constraint : problem.constraints) hash.add(constraint.text);
  return hash.hex();
}

store::ProfileKey profile_key(const Problem& problem, const DeviceInfo& device, measure::CacheMode cache) {
  store::ProfileKey key;
  key.kernel = problem.name;
  key.source_hash = source_hash(problem, device.id.backend);
  key.data_types = problem.data_types();
  key.backend = device.id.backend;
  key.device = device.name;
  key.architecture = device.architecture;
  key.device_kind = std::string(to_string(device.kind));
  key.dimensions = problem.dimensions;
  key.toolkit = device.toolkit;
  key.driver = device.driver;
  key.cache_mode = std::string(measure::to_string(cache));
  return key;
}

}  // namespace warpwright::runtime
