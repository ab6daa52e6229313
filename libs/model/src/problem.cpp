#include <algorithm>
#include <limits>

#include <warpwright/model/problem.hpp>

namespace warpwright {

std::string_view to_string(Access access) noexcept {
  switch (access) {
    case Access::in:
      return "in";
    case Access::out:
      return "out";
    case Access::inout:
      return "inout";
    case Access::constant:
      return "constant";
    case Access::scalar:
      return "scalar";
    case Access::scratch:
      return "scratch";
    case Access::local:
      return "local";
  }
  return "unknown";
}

std::string_view to_string(FillOrder order) noexcept {
  switch (order) {
    case FillOrder::none:
      return "none";
    case FillOrder::ascending:
      return "ascending";
    case FillOrder::descending:
      return "descending";
  }
  return "unknown";
}

std::vector<std::string> formula_names(const FillFormula& fill) {
  if (fill.row_length) return {"index", "row", "column"};
  return {"index"};
}

Fill resolved(const Fill& fill, const Scope& scope, std::string_view what) {
  Fill result = fill;
  const auto value = [&](const Expression& bound) { return scope.number(bound, what); };
  if (auto* constant = std::get_if<FillConstant>(&result); constant && !constant->bounds.empty()) {
    *constant = {value(constant->bounds.at(0)), {}};
  } else if (auto* uniform = std::get_if<FillUniform>(&result); uniform && !uniform->bounds.empty()) {
    *uniform = {value(uniform->bounds.at(0)), value(uniform->bounds.at(1)), uniform->seed, {}, uniform->order};
  } else if (auto* normal = std::get_if<FillNormal>(&result); normal && !normal->bounds.empty()) {
    *normal = {value(normal->bounds.at(0)), value(normal->bounds.at(1)), normal->seed, {}, normal->order};
  } else if (auto* iota = std::get_if<FillIota>(&result); iota && !iota->bounds.empty()) {
    *iota = {value(iota->bounds.at(0)), value(iota->bounds.at(1)), {}};
  } else if (auto* formula = std::get_if<FillFormula>(&result)) {
    Scope first = scope;
    for (const std::string& name : formula_names(*formula)) {
      if (scope.find(name) == nullptr) first.set(name, std::int64_t{0});
    }
    first.number(formula->formula, what);  // names that are not known, and what is no number, show themselves here
    formula->known.clear();
    for (const std::string& name : formula->formula.names()) {
      if (const ExpressionValue* dimension = scope.find(name)) formula->known.emplace_back(name, dimension->scalar());
    }
    if (formula->row_length)
      formula->elements_per_row = scope.integer_at_least(*formula->row_length, 1, "row_length of " + std::string(what));
  }
  return result;
}

Expression image_pixels(const Expression& width, const Expression& height) {
  return Expression::parse("(" + width.text() + ") * (" + height.text() + ")");
}

DataType Argument::type_in(const Scope& scope) const {
  if (type_parameter.empty()) return type;
  const ExpressionValue* found = scope.find(type_parameter);
  const auto* text = found == nullptr ? nullptr : std::get_if<std::string>(found);
  const auto chosen = text == nullptr ? std::nullopt : parse_data_type(*text);
  if (!chosen) {
    throw Error(ErrorCode::bad_input,
                "the element type of argument '" + name + "' is the value of '" + type_parameter + "', which is " +
                    (found == nullptr ? std::string("not given") : found->describe()) +
                    " and no element type; they are called float32, int8 and so on",
                position);
  }
  return *chosen;
}

StructLayout layout_of(const std::vector<StructField>& fields) {
  StructLayout layout;
  std::int64_t largest = 1;
  for (const StructField& field : fields) {
    // A vector of three takes the room of four in OpenCL. CUDA's float3 does not, so a field of three is refused where
    // specifications are checked.
    const auto size = static_cast<std::int64_t>(size_of(field.type)) * std::max(field.components, 1);
    const std::int64_t alignment = size;  // vectors of 2, 4, ... are aligned to their size
    largest = std::max(largest, alignment);
    std::int64_t offset = (layout.size + alignment - 1) / alignment * alignment;
    if (field.offset) {
      const std::string which = field.name.empty() ? "a field" : "field '" + field.name + "'";
      if (*field.offset < layout.size || *field.offset % alignment != 0 || *field.offset > (std::int64_t{1} << 20)) {
        throw Error(ErrorCode::bad_input, "the offset " + std::to_string(*field.offset) + " of " + which +
                                              " must be a multiple of " + std::to_string(alignment) + " and at least " +
                                              std::to_string(offset));
      }
      offset = *field.offset;
    }
    layout.offsets.push_back(offset);
    layout.size = offset + size;
  }
  layout.size = (layout.size + largest - 1) / largest * largest;
  return layout;
}

const SourceText* KernelSource::find(const std::string& backend) const {
  const auto own = by_backend.find(backend);
  if (own != by_backend.end()) return &own->second;
  return dialect ? &*dialect : nullptr;
}

namespace {

// "unknown X 'name'; did you mean 'y'? known are a, b"
std::string unknown_name(const std::string& what, const std::string& name, const std::vector<std::string>& known) {
  std::string message = "unknown " + what + " '" + name + "'";
  if (const auto match = closest_match(name, known)) message += "; did you mean '" + *match + "'?";
  if (known.empty()) return message + "; there are none";
  message += "; known are";
  for (std::size_t i = 0; i < known.size(); ++i) message += (i > 0 ? ", " : " ") + known[i];
  return message;
}

std::string kind_of(const Value& value) {
  if (std::holds_alternative<std::int64_t>(value)) return "an integer";
  if (std::holds_alternative<double>(value)) return "a float";
  return std::holds_alternative<bool>(value) ? "a boolean" : "a string";
}

// `value` as the type of `declared`; nullopt where that cannot hold it.
std::optional<Value> as_declared(const Value& declared, const Value& value) {
  if (declared.index() == value.index()) return value;
  const bool text = std::holds_alternative<std::string>(declared) || std::holds_alternative<std::string>(value);
  const bool truth = std::holds_alternative<bool>(value);
  if (text) return std::nullopt;
  if (std::holds_alternative<double>(declared)) return truth ? std::nullopt : std::optional<Value>(*as_number(value));
  const auto integer = as_integer(value);
  if (!integer) return std::nullopt;
  if (std::holds_alternative<std::int64_t>(declared)) return truth ? std::nullopt : std::optional<Value>(*integer);
  return *integer == 0 || *integer == 1 ? std::optional<Value>(*integer == 1) : std::nullopt;
}

void override_dimensions(Configuration& dimensions, const Configuration& overrides, const std::string& origin) {
  std::vector<std::string> known;
  for (const auto& [name, value] : dimensions) known.push_back(name);
  for (const auto& [name, value] : overrides) {
    const Value* current = dimensions.find(name);
    if (current == nullptr) throw Error(ErrorCode::bad_input, origin + unknown_name("problem dimension", name, known));
    std::optional<Value> typed = as_declared(*current, value);
    if (!typed) {
      throw Error(ErrorCode::bad_input, origin + "problem dimension '" + name + "' is " + kind_of(*current) + " (" +
                                            to_literal(*current) + "), found " + to_literal(value));
    }
    dimensions.set(name, *std::move(typed));
  }
}

}  // namespace

const Argument* Problem::find_argument(std::string_view argument_name) const {
  const auto found =
      std::find_if(arguments.begin(), arguments.end(), [&](const Argument& a) { return a.name == argument_name; });
  return found == arguments.end() ? nullptr : &*found;
}

const Stage* Problem::find_stage(std::string_view stage_name) const {
  if (stage_name.empty()) return nullptr;
  const auto found = std::find_if(stages.begin(), stages.end(), [&](const Stage& s) { return s.name == stage_name; });
  return found == stages.end() ? nullptr : &*found;
}

const SourceText* Problem::find_source(std::string_view stage_name, const std::string& backend) const {
  const Stage* stage = find_stage(stage_name);
  const bool own = stage != nullptr && (stage->source.dialect || !stage->source.by_backend.empty());
  return (own ? stage->source : source).find(backend);
}

Configuration Problem::baseline_configuration() const {
  Configuration result;
  std::vector<std::string> known;
  for (const auto& parameter : parameters) {
    known.push_back(parameter.name);
    if (parameter.values.empty() && !parameter.default_value) {
      throw Error(ErrorCode::bad_input, "parameter '" + parameter.name + "' has no values", parameter.position);
    }
    result.set(parameter.name, parameter.default_value ? *parameter.default_value : parameter.values.front());
  }
  if (!baseline) return result;
  for (const auto& [parameter_name, value] : *baseline) {
    const auto parameter =
        std::find_if(parameters.begin(), parameters.end(),
                     [&, wanted = &parameter_name](const Parameter& p) { return p.name == *wanted; });
    if (parameter == parameters.end()) {
      throw Error(ErrorCode::bad_input, "baseline: " + unknown_name("parameter", parameter_name, known));
    }
    // As the parameter writes it: 1 and 1.0 are the same value, but not the same text in a definition.
    const auto declared = std::find_if(parameter->values.begin(), parameter->values.end(),
                                       [&, wanted = &value](const Value& v) { return python_equal(v, *wanted); });
    result.set(parameter_name, declared == parameter->values.end() ? value : *declared);
  }
  return result;
}

Scope Problem::scope(const Configuration& configuration) const {
  Scope result;
  for (const auto& [dimension, value] : dimensions) result.set(dimension, value);
  for (const auto& [parameter, value] : configuration) result.set(parameter, value);
  return result;
}

Problem Problem::for_device(const DeviceInfo& device, const Configuration& overrides) const {
  Problem result = *this;
  const std::string kind(to_string(device.kind));
  for (const std::string& device_class : {kind, device.id.backend, device.id.backend + "-" + kind}) {
    const auto found = device_dimensions.find(device_class);
    if (found != device_dimensions.end()) {
      override_dimensions(result.dimensions, found->second, "problem sizes of device class '" + device_class + "': ");
    }
  }
  override_dimensions(result.dimensions, overrides, "");
  result.device_dimensions.clear();
  return result;
}

Problem Problem::with_dimensions(const Configuration& overrides) const {
  Problem result = *this;
  override_dimensions(result.dimensions, overrides, "");
  return result;
}

std::unique_ptr<Space> Problem::build_space() const {
  SpaceOptions space_options;
  for (const auto& [dimension, value] : dimensions) space_options.constants.emplace_back(dimension, value);
  return warpwright::build_space(parameters, constraints, space_options);
}

std::string Problem::data_types() const {
  std::string text;
  for (const auto& argument : arguments) {
    if (!text.empty()) text += ",";
    if (argument.sampler) {
      text += "sampler";
      continue;
    }
    if (argument.image) {
      text += "image:" + to_string(argument.image_format());
      continue;
    }
    if (!argument.fields.empty()) {
      text += "struct";
      for (const StructField& field : argument.fields) {
        text += (&field == &argument.fields.front() ? "{" : ",") + std::string(to_string(field.type));
        if (field.components != 1) text += "x" + std::to_string(field.components);
      }
      text += "}";
      continue;
    }
    text += argument.type_parameter.empty() ? std::string(to_string(argument.type)) : argument.type_parameter;
    if (argument.components != 1) text += "x" + std::to_string(argument.components);
  }
  return text;
}

std::int64_t LaunchGeometry::threads_per_block() const {
  std::int64_t threads = 1;
  for (const std::int64_t extent : block) {
    if (__builtin_mul_overflow(threads, extent, &threads)) return std::numeric_limits<std::int64_t>::max();
  }
  return threads;
}

namespace {

template <class Visit>
void for_each_shape(const Launch& launch, Visit visit) {
  for (const auto* expressions : {&launch.block, &launch.grid, &launch.cluster}) {
    for (const Expression& expression : *expressions) visit(expression);
  }
  if (launch.shared) visit(*launch.shared);
}

}  // namespace

bool changes_with_repeat(const Launch& launch, const Scope& scope) {
  if (!launch.repeat || scope.find(repeat_variable) != nullptr) return false;
  bool found = false;
  for_each_shape(launch, [&](const Expression& expression) {
    const auto& names = expression.names();
    found = found || std::find(names.begin(), names.end(), repeat_variable) != names.end();
  });
  return found;
}

Scope with_repeat(const Scope& scope, std::int64_t repeat) {
  Scope result = scope;
  if (result.find(repeat_variable) == nullptr) result.set(repeat_variable, Value(repeat));
  return result;
}

std::int64_t repeats_of(const Launch& launch, const Scope& scope) {
  const std::string where = " of launch '" + launch.entry + "'";
  if (launch.when) {
    try {
      if (!launch.when->evaluate(scope.lookup()).truthy()) return 0;
    } catch (const Error& error) {
      if (error.code() != ErrorCode::bad_input) throw;
      throw Error(ErrorCode::bad_input, "when" + where + ": " + error.message(), launch.position);
    }
  }
  return launch.repeat ? scope.integer_at_least(*launch.repeat, 0, "repeat" + where) : 1;
}

LaunchGeometry evaluate_geometry(const Launch& launch, const Scope& outer, std::int64_t repeat) {
  const std::string where = " of launch '" + launch.entry + "'";
  LaunchGeometry geometry;
  geometry.repeat = repeats_of(launch, outer);
  if (geometry.repeat == 0) return geometry;
  const bool changes = changes_with_repeat(launch, outer);
  const Scope own = changes ? with_repeat(outer, repeat) : Scope();
  const Scope& scope = changes ? own : outer;
  const auto extents = [&](const std::vector<Expression>& expressions, const std::string& what, bool required) {
    if ((required && expressions.empty()) || expressions.size() > 3) {
      throw Error(ErrorCode::bad_input,
                  what + where + " needs 1 to 3 expressions, found " + std::to_string(expressions.size()),
                  launch.position);
    }
    std::array<std::int64_t, 3> result{1, 1, 1};
    for (std::size_t i = 0; i < expressions.size(); ++i) {
      result[i] = scope.integer_at_least(expressions[i], 1, what + "[" + std::to_string(i) + "]" + where);
    }
    return result;
  };
  geometry.block = extents(launch.block, "block", true);
  geometry.grid = extents(launch.grid, "grid", true);
  geometry.cluster = extents(launch.cluster, "cluster", false);
  if (launch.shared) {
    geometry.dynamic_shared =
        Bytes(static_cast<std::uint64_t>(scope.integer_at_least(*launch.shared, 0, "shared" + where)));
  }
  geometry.cooperative = launch.cooperative;
  return geometry;
}

std::optional<std::string> exceeds_limits(const LaunchGeometry& geometry, const DeviceInfo& device) {
  static constexpr std::array<const char*, 3> axes{"x", "y", "z"};
  // A limit of 0 is one the driver does not tell.
  const std::int64_t threads = geometry.threads_per_block();
  if (device.max_threads_per_block > 0 && threads > device.max_threads_per_block) {
    return "block has " + std::to_string(threads) + " threads, the device allows " +
           std::to_string(device.max_threads_per_block);
  }
  for (std::size_t i = 0; i < 3; ++i) {
    if (device.max_block[i] > 0 && geometry.block[i] > device.max_block[i]) {
      return "block has " + std::to_string(geometry.block[i]) + " threads in " + axes[i] + ", the device allows " +
             std::to_string(device.max_block[i]);
    }
    if (device.max_grid[i] > 0 && geometry.grid[i] > device.max_grid[i]) {
      return "grid has " + std::to_string(geometry.grid[i]) + " blocks in " + axes[i] + ", the device allows " +
             std::to_string(device.max_grid[i]);
    }
  }
  const Bytes limit = device.shared_limit();
  if (limit.count > 0 && geometry.dynamic_shared > limit) {
    return "block needs " + std::to_string(geometry.dynamic_shared.count) +
           " bytes of dynamic shared memory, the device allows " + std::to_string(limit.count);
  }
  if (geometry.cluster != std::array<std::int64_t, 3>{1, 1, 1}) {
    if (!device.supports_clusters) return "the launch uses clusters of blocks, the device has none";
    for (std::size_t i = 0; i < 3; ++i) {
      if (geometry.grid[i] % geometry.cluster[i] != 0) {
        return "grid has " + std::to_string(geometry.grid[i]) + " blocks in " + axes[i] +
               ", not a multiple of the cluster's " + std::to_string(geometry.cluster[i]);
      }
    }
  }
  if (geometry.cooperative && !device.supports_cooperative_launch)
    return "the launch is cooperative, which the device does not support";
  return std::nullopt;
}

}  // namespace warpwright
