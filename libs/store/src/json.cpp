#include <array>
#include <cmath>
#include <filesystem>

#include <warpwright/base/json_nesting.hpp>
#include <warpwright/store/json.hpp>

#include "json_reader.hpp"

namespace warpwright::store {
namespace detail {
namespace {

// Length of the UTF-8 sequence at the start of `text`, 0 if it is not one (RFC 3629: no surrogates, no overlong forms).
std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  std::size_t length = 0;
  unsigned char low = 0x80, high = 0xBF;  // bounds of the second byte
  if (lead >= 0xC2 && lead <= 0xDF) {
    length = 2;
  } else if (lead >= 0xE0 && lead <= 0xEF) {
    length = 3;
    if (lead == 0xE0) low = 0xA0;
    if (lead == 0xED) high = 0x9F;
  } else if (lead >= 0xF0 && lead <= 0xF4) {
    length = 4;
    if (lead == 0xF0) low = 0x90;
    if (lead == 0xF4) high = 0x8F;
  }
  if (length == 0 || text.size() < length || byte(1) < low || byte(1) > high) return 0;
  for (std::size_t i = 2; i < length; ++i)
    if (byte(i) < 0x80 || byte(i) > 0xBF) return 0;
  return length;
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

std::string escape_bytes(std::string_view text) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string escaped;
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    if (length == 0) {
      const auto byte = static_cast<unsigned char>(text.front());
      escaped += "\\x";
      escaped += digits[byte >> 4];
      escaped += digits[byte & 0xF];
      text.remove_prefix(1);
      continue;
    }
    if (text.front() == '\\') escaped += '\\';
    escaped += text.substr(0, length);
    text.remove_prefix(length);
  }
  return escaped;
}

std::optional<std::string> unescape_bytes(std::string_view escaped) {
  const auto digit = [](char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
  };
  std::string text;
  for (std::size_t i = 0; i < escaped.size(); ++i) {
    if (escaped[i] != '\\') {
      text += escaped[i];
    } else if (i + 1 < escaped.size() && escaped[i + 1] == '\\') {
      text += '\\';
      ++i;
    } else if (i + 3 < escaped.size() && escaped[i + 1] == 'x' && digit(escaped[i + 2]) >= 0 &&
               digit(escaped[i + 3]) >= 0) {
      text += static_cast<char>(digit(escaped[i + 2]) * 16 + digit(escaped[i + 3]));
      i += 3;
    } else {
      return std::nullopt;
    }
  }
  return text;
}

// "an integer beyond the range" is better than "a number" where a number was expected.
std::string kind_of(const Json& json) {
  switch (json.type()) {
    case Json::value_t::null:
      return "null";
    case Json::value_t::object:
      return "an object";
    case Json::value_t::array:
      return "an array of " + std::to_string(json.size());
    case Json::value_t::string: {
      const std::string& text = json.get_ref<const std::string&>();
      return text.size() <= 40 ? "\"" + text + "\"" : "a string of " + std::to_string(text.size()) + " bytes";
    }
    case Json::value_t::boolean:
    case Json::value_t::number_integer:
    case Json::value_t::number_unsigned:
    case Json::value_t::number_float:
      return json.dump();
    default:
      return "something else";
  }
}

}  // namespace

void Where::append_path(std::string& path) const {
  if (parent_ == nullptr) return;
  parent_->append_path(path);
  if (is_index_) {
    path += "[" + std::to_string(index_) + "]";
  } else {
    if (!path.empty()) path += ".";
    path += name_;
  }
}

std::string Where::describe() const {
  std::string path;
  append_path(path);
  std::string text(root().name_);
  if (!path.empty()) text += ": key '" + path + "'";
  return text;
}

void reject(const Json& json, const Where& where, std::string_view expected) {
  throw Error(ErrorCode::corrupted,
              where.describe() + " must be " + std::string(expected) + ", found " + kind_of(json));
}

Json text_json(std::string_view text) {
  if (is_utf8(text)) return std::string(text);
  return Json{{"bytes", escape_bytes(text)}};
}

std::string read_text(const Json& json, const Where& where) {
  if (json.is_string()) return json.get<std::string>();
  if (json.is_object() && json.size() == 1 && json.contains("bytes") && json["bytes"].is_string())
    if (auto text = unescape_bytes(json["bytes"].get_ref<const std::string&>())) return *std::move(text);
  reject(json, where, "a string");
}

Json double_json(double number) {
  if (std::isnan(number)) return "nan";
  if (std::isinf(number)) return number > 0 ? "inf" : "-inf";
  return number;
}

double read_double(const Json& json, const Where& where) {
  if (json.is_number()) return json.get<double>();
  if (json.is_string()) {
    const std::string& text = json.get_ref<const std::string&>();
    if (text == "nan") return std::numeric_limits<double>::quiet_NaN();
    if (text == "inf") return std::numeric_limits<double>::infinity();
    if (text == "-inf") return -std::numeric_limits<double>::infinity();
  }
  reject(json, where, "a number, \"nan\", \"inf\" or \"-inf\"");
}

bool read_bool(const Json& json, const Where& where) {
  if (!json.is_boolean()) reject(json, where, "true or false");
  return json.get<bool>();
}

Value read_value(const Json& json, const Where& where) {
  switch (json.type()) {
    case Json::value_t::boolean:
      return json.get<bool>();
    case Json::value_t::number_float:
      return json.get<double>();
    case Json::value_t::number_integer:
    case Json::value_t::number_unsigned:
      return read_integer<std::int64_t>(json, where);
    case Json::value_t::string:
      return json.get<std::string>();
    case Json::value_t::object:
      if (const auto number = json.find("float"); number != json.end() && json.size() == 1)
        return read_double(*number, Where(where, "float"));
      return read_text(json, where);
    default:
      reject(json, where, "a number, a string, true or false");
  }
}

Configuration read_configuration(const Json& json, const Where& where) {
  if (!json.is_object()) reject(json, where, "an object of parameters");
  std::vector<Configuration::Entry> entries;
  entries.reserve(json.size());
  for (const auto& [name, value] : json.items()) entries.emplace_back(name, read_value(value, Where(where, name)));
  return Configuration(std::move(entries));
}

namespace {

std::array<std::int64_t, 3> read_three(const Json& json, const Where& where) {
  const auto list = read_list(json, where, read_integer<std::int64_t>);
  if (list.size() != 3) reject(json, where, "an array of 3 integers");
  return {list[0], list[1], list[2]};
}

std::array<std::int64_t, 2> read_two(const Json& json, const Where& where) {
  const auto list = read_list(json, where, read_integer<std::int64_t>);
  if (list.size() != 2) reject(json, where, "an array of 2 integers");
  return {list[0], list[1]};
}

}  // namespace

KernelResources read_resources(const Json& json, const Where& where) {
  const ObjectReader object(json, where);
  KernelResources resources;
  resources.entry = object.text("entry");
  resources.registers_per_thread = object.maybe("registers_per_thread", read_integer<int>);
  resources.static_shared = object.maybe("static_shared_bytes", read_bytes);
  resources.dynamic_shared = object.maybe("dynamic_shared_bytes", read_bytes);
  resources.local_per_thread = object.maybe("local_per_thread_bytes", read_bytes);
  resources.constant = object.maybe("constant_bytes", read_bytes);
  resources.max_threads_per_block = object.maybe("max_threads_per_block", read_integer<int>);
  resources.barriers = object.maybe("barriers", read_integer<int>);
  resources.spill_stores = object.maybe("spill_stores_bytes", read_bytes);
  resources.spill_loads = object.maybe("spill_loads_bytes", read_bytes);
  resources.required_block = object.maybe("required_block", read_three);
  resources.required_cluster = object.maybe("required_cluster", read_three);
  resources.max_cluster_blocks = object.maybe("max_cluster_blocks", read_integer<int>);
  return resources;
}

LaunchTime read_launch_time(const Json& json, const Where& where) {
  const ObjectReader object(json, where);
  return {.entry = object.text("entry"),
          .launches = object.integer<std::int64_t>("launches"),
          .time = object.get("time_ns", read_nanoseconds)};
}

LaunchOccupancy read_occupancy(const Json& json, const Where& where) {
  const ObjectReader object(json, where);
  LaunchOccupancy occupancy;
  occupancy.entry = object.text("entry");
  occupancy.blocks_per_sm = object.integer<int>("blocks_per_sm");
  occupancy.active_warps_per_sm = object.integer<int>("active_warps_per_sm");
  occupancy.max_warps_per_sm = object.integer<int>("max_warps_per_sm");
  occupancy.limiting_factors = object.list("limiting_factors", read_text);
  return occupancy;
}

DeviceInfo read_device(const Json& json, const Where& where) {
  constexpr std::array kinds{DeviceKind::gpu, DeviceKind::cpu, DeviceKind::accelerator, DeviceKind::simulated};
  const ObjectReader object(json, where);
  DeviceInfo device;
  device.id = object.get("id", [](const Json& id, const Where& here) {
    const std::string text = read_text(id, here);
    if (text.empty()) return DeviceId{};
    try {
      return DeviceId::parse(text);
    } catch (const Error& error) {
      throw Error(ErrorCode::corrupted, here.describe() + ": " + error.what());
    }
  });
  device.kind =
      object.get("kind", [&](const Json& kind, const Where& here) { return read_enum<DeviceKind>(kind, here, kinds); });
  device.name = object.text("name");
  device.vendor = object.text("vendor");
  device.architecture = object.text("architecture");
  device.driver = object.text("driver");
  device.toolkit = object.text("toolkit");
  device.uuid = object.text("uuid");
  device.pci_bus_id = object.text("pci_bus_id");
  device.multiprocessors = object.integer<int>("multiprocessors");
  device.warp_size = object.integer<int>("warp_size");
  device.max_threads_per_block = object.integer<std::int64_t>("max_threads_per_block");
  device.max_block = object.get("max_block", read_three);
  device.max_grid = object.get("max_grid", read_three);
  device.shared_per_block = object.get("shared_per_block_bytes", read_bytes);
  device.shared_per_block_optin = object.maybe("shared_per_block_optin_bytes", read_bytes);
  device.shared_per_multiprocessor = object.maybe("shared_per_multiprocessor_bytes", read_bytes);
  device.reserved_shared_per_block = object.maybe("reserved_shared_per_block_bytes", read_bytes);
  device.registers_per_block = object.maybe("registers_per_block", read_integer<int>);
  device.registers_per_multiprocessor = object.maybe("registers_per_multiprocessor", read_integer<int>);
  device.max_threads_per_multiprocessor = object.maybe("max_threads_per_multiprocessor", read_integer<int>);
  device.max_blocks_per_multiprocessor = object.maybe("max_blocks_per_multiprocessor", read_integer<int>);
  device.global_memory = object.get("global_memory_bytes", read_bytes);
  device.constant_memory = object.maybe("constant_memory_bytes", read_bytes);
  device.l2_cache = object.maybe("l2_cache_bytes", read_bytes);
  device.l2_cache_source = object.maybe("l2_cache_source", read_text).value_or("");
  device.clock_mhz = object.maybe("clock_mhz", read_integer<int>);
  device.memory_clock_mhz = object.maybe("memory_clock_mhz", read_integer<int>);
  device.memory_bus_bits = object.maybe("memory_bus_bits", read_integer<int>);
  device.copy_engines = object.maybe("copy_engines", read_integer<int>);
  if (const auto image = object.maybe("max_image", read_two)) device.max_image = *image;
  device.supports_cooperative_launch = object.boolean("supports_cooperative_launch");
  device.supports_clusters = object.boolean("supports_clusters");
  device.supports_graphs = object.boolean("supports_graphs");
  device.supports_float64 = object.boolean("supports_float64");
  device.supports_float16 = object.boolean("supports_float16");
  return device;
}

Trial read_trial(const Json& json, const Where& where) {
  const ObjectReader object(json, where);
  Trial trial;
  trial.ordinal = object.integer<std::uint64_t>("ordinal");
  trial.configuration = object.get("configuration", read_configuration);
  trial.status = object.get("status", [](const Json& status, const Where& here) {
    if (status.is_string())
      if (const auto parsed = parse_trial_status(status.get_ref<const std::string&>())) return *parsed;
    reject(status, here, "a trial status such as \"ok\" or \"compile_failed\"");
  });
  trial.samples = object.list("samples", read_nanoseconds);
  trial.median = object.maybe("median_ns", read_nanoseconds);
  trial.bound = object.maybe("bound_ns", read_nanoseconds);
  trial.spread = object.get("spread_ns", read_nanoseconds);
  for (auto& [name, value] : object.entries("metrics", read_double)) trial.metrics.emplace(name, value);
  trial.message = object.text("message");
  trial.log = object.maybe("log", read_text).value_or("");
  trial.resources = object.list("resources", read_resources);
  trial.occupancy = object.maybe_list("occupancy", read_occupancy);
  trial.launch_times = object.maybe_list("launch_times", read_launch_time);
  trial.mismatch = object.maybe("mismatch", [](const Json& mismatch_json, const Where& here) {
    const ObjectReader reader(mismatch_json, here);
    Mismatch mismatch;
    mismatch.argument = reader.text("argument");
    mismatch.index = reader.integer<std::uint64_t>("index");
    mismatch.expected = reader.text("expected");
    mismatch.found = reader.text("found");
    mismatch.wrong = reader.integer<std::uint64_t>("wrong");
    mismatch.total = reader.integer<std::uint64_t>("total");
    return mismatch;
  });
  if (auto conditions = object.maybe("conditions", [](const Json& conditions_json, const Where& here) {
        const ObjectReader reader(conditions_json, here);
        Conditions found;
        found.sm_clock_mhz = reader.maybe("sm_clock_mhz", read_integer<int>);
        found.temperature_celsius = reader.maybe("temperature_celsius", read_integer<int>);
        if (reader.maybe("throttling", [](const Json&, const Where&) { return true; }))
          found.throttling = reader.list("throttling", read_text);
        found.drift = reader.maybe("drift", read_double);
        found.flushed_cache = reader.maybe("flushed_cache_bytes", read_bytes);
        found.flushed_cache_source = reader.maybe("flushed_cache_source", read_text).value_or("");
        found.marks = reader.maybe_list("marks", read_text);
        found.impossible = reader.maybe("impossible", read_text).value_or("");
        return found;
      }))
    trial.conditions = std::move(*conditions);
  trial.times = object.get("times", [](const Json& times_json, const Where& here) {
    const ObjectReader reader(times_json, here);
    TrialTimes times;
    times.compile_wall = reader.get("compile_wall_ns", read_nanoseconds);
    times.compile_cpu = reader.get("compile_cpu_ns", read_nanoseconds);
    times.copy = reader.get("copy_ns", read_nanoseconds);
    times.verify = reader.get("verify_ns", read_nanoseconds);
    times.measure = reader.get("measure_ns", read_nanoseconds);
    return times;
  });
  trial.binary_from_cache = object.boolean("binary_from_cache");
  trial.since_start = object.maybe("since_start_ns", read_nanoseconds);
  trial.finished_at = object.text("finished_at");
  return trial;
}

std::string dump(const Json& json, int indent) { return json.dump(indent, ' ', false, Json::error_handler_t::replace); }

Json parse(std::string_view text, std::string_view what) {
  if (json_nested_too_deep(text))
    throw Error(ErrorCode::corrupted,
                std::string(what) + " is nested deeper than " + std::to_string(most_json_levels) + " levels");
  try {
    return Json::parse(text);
  } catch (const Json::parse_error& error) {
    std::string reason = error.what();
    // "[json.exception.parse_error.101] parse error at line 1, column 5: syntax error while ..."
    if (const auto at = reason.find("] "); at != std::string::npos) reason.erase(0, at + 2);
    throw Error(ErrorCode::corrupted, std::string(what) + " is not valid JSON: " + reason);
  } catch (const Json::exception& error) {
    throw Error(ErrorCode::corrupted, std::string(what) + " is not valid JSON: " + error.what());
  }
}

EvaluationInfo read_evaluation_info(const Json& json, const Where& where) {
  const ObjectReader object(json, where);
  EvaluationInfo info;
  info.device = object.get("device", read_device);
  info.compiler = object.text("compiler");
  info.target = object.text("target");
  info.reference = object.text("reference");
  info.has_reference = object.boolean("has_reference");
  info.reference_outputs = object.list("reference_outputs", [](const Json& output, const Where& here) {
    const ObjectReader reader(output, here);
    return ReferenceOutput{reader.text("argument"), reader.integer<std::uint64_t>("elements"),
                           reader.integer<std::uint64_t>("nan"), reader.integer<std::uint64_t>("passing_zero"),
                           reader.number("largest")};
  });
  if (object.find("unverified") != nullptr) info.unverified = object.text("unverified");
  return info;
}

}  // namespace detail

JsonText text_of(const Json& json) { return JsonText(detail::dump(json)); }

Json parse(const JsonText& text, std::string_view what) { return detail::parse(text.text(), what); }

namespace {

using namespace detail;

// Absent optionals are left out: an absent key and null read the same.
template <class T>
void add(Json& object, const char* key, const std::optional<T>& value) {
  if (!value) return;
  if constexpr (std::is_same_v<T, Bytes>) {
    object[key] = value->count;
  } else {
    object[key] = *value;
  }
}

}  // namespace

Json to_json(const Value& value) {
  if (const auto* text = std::get_if<std::string>(&value)) return text_json(*text);
  if (const auto* number = std::get_if<double>(&value)) {
    // A bare "nan" would read back as a string parameter.
    if (!std::isfinite(*number)) return Json{{"float", double_json(*number)}};
    return *number;
  }
  if (const auto* integer = std::get_if<std::int64_t>(&value)) return *integer;
  return std::get<bool>(value);
}

Value value_from_json(const Json& json) { return read_value(json, Where("value")); }

Json to_json(const Configuration& configuration) {
  Json object = Json::object();
  for (const auto& [name, value] : configuration) object[name] = to_json(value);
  return object;
}

Configuration configuration_from_json(const Json& json) { return read_configuration(json, Where("configuration")); }

Json to_json(const KernelResources& resources) {
  Json object;
  object["entry"] = text_json(resources.entry);
  add(object, "registers_per_thread", resources.registers_per_thread);
  add(object, "static_shared_bytes", resources.static_shared);
  add(object, "dynamic_shared_bytes", resources.dynamic_shared);
  add(object, "local_per_thread_bytes", resources.local_per_thread);
  add(object, "constant_bytes", resources.constant);
  add(object, "max_threads_per_block", resources.max_threads_per_block);
  add(object, "barriers", resources.barriers);
  add(object, "spill_stores_bytes", resources.spill_stores);
  add(object, "spill_loads_bytes", resources.spill_loads);
  add(object, "required_block", resources.required_block);
  add(object, "required_cluster", resources.required_cluster);
  add(object, "max_cluster_blocks", resources.max_cluster_blocks);
  return object;
}

namespace {

Json occupancy_json(const LaunchOccupancy& launch) {
  Json factors = Json::array();
  for (const auto& factor : launch.limiting_factors) factors.push_back(text_json(factor));
  return Json{{"entry", text_json(launch.entry)},
              {"occupancy", launch.occupancy()},
              {"blocks_per_sm", launch.blocks_per_sm},
              {"active_warps_per_sm", launch.active_warps_per_sm},
              {"max_warps_per_sm", launch.max_warps_per_sm},
              {"limiting_factors", std::move(factors)}};
}

}  // namespace

Json to_json(const ReferenceOutput& output) {
  return {{"argument", text_json(output.argument)},
          {"elements", output.elements},
          {"nan", output.nan},
          {"passing_zero", output.passing_zero},
          {"largest", double_json(output.largest)}};
}

Json to_json(const EvaluationInfo& info) {
  Json object{{"device", to_json(info.device)},
              {"compiler", text_json(info.compiler)},
              {"target", text_json(info.target)},
              {"reference", text_json(info.reference)},
              {"has_reference", info.has_reference}};
  Json& outputs = object["reference_outputs"] = Json::array();
  for (const ReferenceOutput& output : info.reference_outputs) outputs.push_back(to_json(output));
  if (!info.unverified.empty()) object["unverified"] = text_json(info.unverified);
  return object;
}

EvaluationInfo evaluation_info_from_json(const Json& json) { return read_evaluation_info(json, Where("evaluation")); }

KernelResources resources_from_json(const Json& json) { return read_resources(json, Where("resources")); }

Json to_json(const DeviceInfo& device) {
  Json object;
  object["id"] = device.id.backend.empty() ? Json("") : text_json(device.id.to_string());
  object["kind"] = to_string(device.kind);
  object["name"] = text_json(device.name);
  object["vendor"] = text_json(device.vendor);
  object["architecture"] = text_json(device.architecture);
  object["driver"] = text_json(device.driver);
  object["toolkit"] = text_json(device.toolkit);
  object["uuid"] = text_json(device.uuid);
  object["pci_bus_id"] = text_json(device.pci_bus_id);
  object["multiprocessors"] = device.multiprocessors;
  object["warp_size"] = device.warp_size;
  object["max_threads_per_block"] = device.max_threads_per_block;
  object["max_block"] = device.max_block;
  object["max_grid"] = device.max_grid;
  object["shared_per_block_bytes"] = device.shared_per_block.count;
  add(object, "shared_per_block_optin_bytes", device.shared_per_block_optin);
  add(object, "shared_per_multiprocessor_bytes", device.shared_per_multiprocessor);
  add(object, "reserved_shared_per_block_bytes", device.reserved_shared_per_block);
  add(object, "registers_per_block", device.registers_per_block);
  add(object, "registers_per_multiprocessor", device.registers_per_multiprocessor);
  add(object, "max_threads_per_multiprocessor", device.max_threads_per_multiprocessor);
  add(object, "max_blocks_per_multiprocessor", device.max_blocks_per_multiprocessor);
  object["global_memory_bytes"] = device.global_memory.count;
  add(object, "constant_memory_bytes", device.constant_memory);
  add(object, "l2_cache_bytes", device.l2_cache);
  if (!device.l2_cache_source.empty()) object["l2_cache_source"] = text_json(device.l2_cache_source);
  add(object, "clock_mhz", device.clock_mhz);
  add(object, "memory_clock_mhz", device.memory_clock_mhz);
  add(object, "memory_bus_bits", device.memory_bus_bits);
  add(object, "copy_engines", device.copy_engines);
  if (device.offers_images()) object["max_image"] = device.max_image;
  object["supports_cooperative_launch"] = device.supports_cooperative_launch;
  object["supports_clusters"] = device.supports_clusters;
  object["supports_graphs"] = device.supports_graphs;
  object["supports_float64"] = device.supports_float64;
  object["supports_float16"] = device.supports_float16;
  return object;
}

DeviceInfo device_from_json(const Json& json) { return read_device(json, Where("device")); }

Json to_json(const Trial& trial) {
  Json object;
  object["ordinal"] = trial.ordinal;
  object["configuration"] = to_json(trial.configuration);
  object["status"] = to_string(trial.status);
  object["median_ns"] = trial.median ? double_json(trial.median->count()) : Json();
  if (trial.bound) object["bound_ns"] = double_json(trial.bound->count());
  object["spread_ns"] = double_json(trial.spread.count());
  Json& samples = object["samples"] = Json::array();
  for (const Nanoseconds sample : trial.samples) samples.push_back(double_json(sample.count()));
  Json& metrics = object["metrics"] = Json::object();
  for (const auto& [name, value] : trial.metrics) metrics[name] = double_json(value);
  object["message"] = text_json(trial.message);
  if (!trial.log.empty()) object["log"] = text_json(trial.log);
  Json& resources = object["resources"] = Json::array();
  for (const KernelResources& entry : trial.resources) resources.push_back(to_json(entry));
  Json& occupancy = object["occupancy"] = Json::array();
  for (const LaunchOccupancy& launch : trial.occupancy) occupancy.push_back(occupancy_json(launch));
  if (!trial.launch_times.empty()) {
    Json& times = object["launch_times"] = Json::array();
    for (const LaunchTime& launch : trial.launch_times)
      times.push_back(Json{{"entry", text_json(launch.entry)},
                           {"launches", launch.launches},
                           {"time_ns", double_json(launch.time.count())}});
  }
  Json& mismatch = object["mismatch"];
  if (trial.mismatch) {
    mismatch["argument"] = text_json(trial.mismatch->argument);
    mismatch["index"] = trial.mismatch->index;
    mismatch["expected"] = text_json(trial.mismatch->expected);
    mismatch["found"] = text_json(trial.mismatch->found);
    mismatch["wrong"] = trial.mismatch->wrong;
    mismatch["total"] = trial.mismatch->total;
  }
  Json conditions = Json::object();
  if (trial.conditions.sm_clock_mhz) conditions["sm_clock_mhz"] = *trial.conditions.sm_clock_mhz;
  if (trial.conditions.temperature_celsius) conditions["temperature_celsius"] = *trial.conditions.temperature_celsius;
  for (const std::string& word : trial.conditions.throttling) conditions["throttling"].push_back(text_json(word));
  if (trial.conditions.drift) conditions["drift"] = double_json(*trial.conditions.drift);
  add(conditions, "flushed_cache_bytes", trial.conditions.flushed_cache);
  if (!trial.conditions.flushed_cache_source.empty())
    conditions["flushed_cache_source"] = text_json(trial.conditions.flushed_cache_source);
  for (const std::string& word : trial.conditions.marks) conditions["marks"].push_back(text_json(word));
  if (!trial.conditions.impossible.empty()) conditions["impossible"] = text_json(trial.conditions.impossible);
  if (!conditions.empty()) object["conditions"] = std::move(conditions);
  Json& times = object["times"];
  times["compile_wall_ns"] = double_json(trial.times.compile_wall.count());
  times["compile_cpu_ns"] = double_json(trial.times.compile_cpu.count());
  times["copy_ns"] = double_json(trial.times.copy.count());
  times["verify_ns"] = double_json(trial.times.verify.count());
  times["measure_ns"] = double_json(trial.times.measure.count());
  object["binary_from_cache"] = trial.binary_from_cache;
  if (trial.since_start) object["since_start_ns"] = double_json(trial.since_start->count());
  object["finished_at"] = text_json(trial.finished_at);
  return object;
}

Trial trial_from_json(const Json& json) { return read_trial(json, Where("trial")); }

namespace {

Json kernel_parameter_json(const KernelParameter& parameter) {
  Json object{{"kind", to_string(parameter.kind)}, {"text", text_json(parameter.text)}};
  if (parameter.type) object["type"] = to_string(*parameter.type);
  object["components"] = parameter.components;
  if (parameter.size) object["size_bytes"] = parameter.size->count;
  if (parameter.writable) object["writable"] = true;
  return object;
}

KernelParameter read_kernel_parameter(const Json& json, const Where& where) {
  using Kind = KernelParameter::Kind;
  constexpr std::array all_kinds{Kind::unknown, Kind::buffer,  Kind::local, Kind::scalar,
                                 Kind::image,   Kind::sampler, Kind::other};
  const ObjectReader object(json, where);
  KernelParameter parameter;
  parameter.kind =
      object.get("kind", [&](const Json& kind, const Where& here) { return read_enum<Kind>(kind, here, all_kinds); });
  parameter.text = object.text("text");
  parameter.type = object.maybe("type", [](const Json& type, const Where& here) {
    if (type.is_string())
      if (const auto parsed = parse_data_type(type.get_ref<const std::string&>())) return *parsed;
    reject(type, here, "a data type such as \"float32\"");
  });
  parameter.components = object.integer<int>("components");
  parameter.size = object.maybe("size_bytes", read_bytes);
  parameter.writable = object.find("writable") != nullptr && object.boolean("writable");
  return parameter;
}

}  // namespace

Json to_json(const Binary& binary) {
  Json object;
  object["backend"] = text_json(binary.backend);
  object["target"] = text_json(binary.target);
  object["format"] = text_json(binary.format);
  Json& symbols = object["symbols"] = Json::object();
  for (const auto& [entry, symbol] : binary.symbols) symbols[entry] = text_json(symbol);
  object["log"] = text_json(binary.log);
  Json& resources = object["resources"] = Json::array();
  for (const KernelResources& entry : binary.resources) resources.push_back(to_json(entry));
  Json& parameters = object["parameters"] = Json::object();
  for (const auto& [entry, list] : binary.parameters) {
    Json& of_entry = parameters[entry] = Json::array();
    for (const KernelParameter& parameter : list) of_entry.push_back(kernel_parameter_json(parameter));
  }
  return object;
}

Binary binary_from_json(const Json& json, std::string image) {
  const Where where("binary");
  const ObjectReader object(json, where);
  Binary binary;
  binary.backend = object.text("backend");
  binary.target = object.text("target");
  binary.format = object.text("format");
  binary.image = std::move(image);
  for (auto& [entry, symbol] : object.entries("symbols", read_text)) binary.symbols.emplace(entry, std::move(symbol));
  binary.log = object.text("log");
  binary.resources = object.list("resources", read_resources);
  if (object.find("parameters") == nullptr) return binary;
  const auto read_parameters = [](const Json& list, const Where& here) {
    return read_list(list, here, read_kernel_parameter);
  };
  for (auto& [entry, list] : object.entries("parameters", read_parameters))
    binary.parameters.emplace(entry, std::move(list));
  return binary;
}

}  // namespace warpwright::store
