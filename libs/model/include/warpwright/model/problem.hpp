// A tuning problem: what to compile, what to launch on which data, how to tell right from wrong, and against what the
// result is compared. One value, whatever it was read from (TOML, T1 JSON) or built with (ProblemBuilder of spec).
#pragma once

#include <array>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <warpwright/base/error.hpp>
#include <warpwright/model/configuration.hpp>
#include <warpwright/model/data_type.hpp>
#include <warpwright/model/device_info.hpp>
#include <warpwright/model/expression.hpp>
#include <warpwright/model/image.hpp>
#include <warpwright/model/space.hpp>

namespace warpwright {

// ---- data -----------------------------------------------------------------------------------------------------------

enum class Access {
  in,        // read-only buffer; verified to be unchanged in effect by restoring it before each verification
  out,       // written; poisoned before each verification
  inout,     // read and written; restored before each verification
  constant,  // a __constant__ symbol (CUDA) or __constant pointer argument (OpenCL)
  scalar,    // passed by value
  // Device memory of the configuration's own that lives between its launches: neither input nor output. Poisoned before
  // each verification; set to its fill before every run where Argument::restored says so.
  scratch,
  local  // OpenCL: a pointer to __local memory of each block, of `size` elements
};
std::string_view to_string(Access access) noexcept;

// Random data put in order.
enum class FillOrder { none, ascending, descending };
std::string_view to_string(FillOrder order) noexcept;

// `bounds`, if not empty, are expressions over problem dimensions for the numbers of a fill, in their order; resolved()
// puts their values in place.
struct FillConstant {
  double value = 0;
  std::vector<Expression> bounds = {};
};
struct FillUniform {
  double low = 0, high = 1;
  std::uint64_t seed = 0;
  std::vector<Expression> bounds = {};
  FillOrder order = FillOrder::none;
};
struct FillNormal {
  double mean = 0, deviation = 1;
  std::uint64_t seed = 0;
  std::vector<Expression> bounds = {};
  FillOrder order = FillOrder::none;
};
struct FillIota {
  double start = 0, step = 1;
  std::vector<Expression> bounds = {};
};
// Each element is the value of an expression over the problem dimensions and the element's place (see formula_names;
// a dimension of such a name hides it). For data with a structure: permutations, row offsets, a sparse matrix in two
// formats.
struct FillFormula {
  Expression formula;
  // Elements from one row to the next, over the dimensions: then `row` and `column` have a meaning.
  std::optional<Expression> row_length = std::nullopt;
  // Put here by resolved(): the dimensions that the formula names, and the value of row_length (0: there is none).
  std::vector<std::pair<std::string, Value>> known = {};
  std::int64_t elements_per_row = 0;
};
// What a formula may name beside dimensions: "index", the number of the element from 0, and with rows "row" and
// "column".
std::vector<std::string> formula_names(const FillFormula& fill);
struct FillNpy {
  std::filesystem::path file;
};
// The bytes of the elements and nothing else, little-endian.
struct FillRaw {
  std::filesystem::path file;
};
using Fill = std::variant<FillConstant, FillUniform, FillNormal, FillIota, FillFormula, FillNpy, FillRaw>;
// `fill` with the values of its bounds, and none left; of a formula with the dimensions that it names. Throws
// Error(bad_input) naming `what` for a bound, or the first element of a formula, that has no number.
Fill resolved(const Fill& fill, const Scope& scope, std::string_view what);

// A member of a structure that is passed by value.
struct StructField {
  std::string name;  // for messages; may be empty
  DataType type = DataType::float32;
  int components = 1;
  // A number for every component, or a list of as many.
  Expression value;
  // Bytes from the beginning; default: behind the field before, aligned as C aligns it.
  std::optional<std::int64_t> offset;
};

// What makes an argument an image: `type` and `components` are those of its channels as they are stored, `size` is
// image_pixels().
struct ImageArgument {
  Expression width, height;  // pixels
  bool normalized = false;   // as in ImageFormat
};
// The number of pixels: width * height.
Expression image_pixels(const Expression& width, const Expression& height);

struct Argument {
  std::string name;
  DataType type = DataType::float32;
  int components = 1;  // 4 for float32x4
  Access access = Access::in;
  std::optional<Expression> size;   // elements (of `components` scalars each); buffers only
  std::optional<Expression> value;  // scalars only
  Fill fill = FillConstant{};
  // Name of the __constant__ symbol that gets the data; empty: there is none. A launch that names the argument passes
  // it as a pointer as well.
  std::string symbol;
  InputPosition position;
  // Scratch only: whether its fill is put back before every run.
  bool restored = false;
  // Scalars only: a structure passed by value. `type`, `components` and `value` mean nothing then.
  std::vector<StructField> fields;
  // Name of the parameter whose value is the element type ("float16"); empty: it is `type` in every configuration.
  std::string type_parameter;
  // A two-dimensional image (OpenCL); access in, out, inout or scratch.
  std::optional<ImageArgument> image = std::nullopt;
  // A sampler (OpenCL), passed by value: access scalar. `type`, `components` and `value` mean nothing then.
  std::optional<SamplerSettings> sampler = std::nullopt;

  // Whether it lies in device memory: a buffer, or an image.
  bool is_buffer() const { return access != Access::scalar && access != Access::local; }
  // Of an image.
  ImageFormat image_format() const { return {components, type, image.has_value() && image->normalized}; }
  // The element type of a configuration. Throws Error(bad_input) where the parameter's value is no type.
  DataType type_in(const Scope& scope) const;
};

// Where the fields of a structure lie, as C lays them out but for given offsets: bytes from its beginning, and its
// size.
struct StructLayout {
  std::vector<std::int64_t> offsets;
  std::int64_t size = 0;
};
// Throws Error(bad_input) for an offset that is negative, overlaps the field before or breaks its alignment.
StructLayout layout_of(const std::vector<StructField>& fields);

// ---- code -----------------------------------------------------------------------------------------------------------

// Source of one language, all quoted includes already inlined (spec::load_source), so that its hash is its identity and
// it compiles on any machine. Angle includes stay for the compiler.
struct SourceText {
  std::filesystem::path file;  // for messages and #line
  std::string text;
};

// Either one source for every backend (`dialect`), or one per backend name.
struct KernelSource {
  std::optional<SourceText> dialect;
  std::map<std::string, SourceText> by_backend;  // "cuda", "opencl", "sim"
  // Null if there is none for that backend.
  const SourceText* find(const std::string& backend) const;
};

// A part of a problem with a source of its own. What it leaves out is the problem's.
struct Stage {
  std::string name;
  KernelSource source;  // empty: the problem's
  // Behind the problem's own.
  std::map<std::string, std::vector<std::string>> options;
  std::vector<std::pair<std::string, Expression>> defines;
  // The parameters that reach this source as definitions, options or template arguments; nullopt: all of them.
  std::optional<std::vector<std::string>> parameters;
  InputPosition position;
};

// The number of a repeat, from 0, in the expressions of a launch and of the scalars that it passes. A dimension or
// parameter of that name hides it.
inline constexpr std::string_view repeat_variable = "repeat";

// Expressions of block, grid, cluster and shared may name the number of the repeat.
struct Launch {
  std::string entry;
  std::vector<Expression> block;     // 1 to 3, threads
  std::vector<Expression> grid;      // 1 to 3, blocks
  std::optional<Expression> shared;  // dynamic shared memory, bytes
  std::vector<std::string> args;     // argument or problem-dimension names, in order
  std::optional<Expression> repeat;  // default 1; 0: the configuration leaves the launch out
  std::vector<std::string> swap;     // two buffer names exchanged between repeats; empty = none
  bool cooperative = false;
  std::vector<Expression> cluster;  // empty = none
  InputPosition position;
  InputPosition args_position;  // of `args`, or of the launch that leaves them out
  // Configurations of which this is false leave the launch out. None of its other expressions is evaluated then.
  std::optional<Expression> when;
  std::string stage;  // name of the stage whose source has the entry; empty: the problem's own source
};

// ---- right and wrong ------------------------------------------------------------------------------------------------

struct Output {
  std::string argument;
  double rtol = 0;  // |found - expected| <= atol + rtol * |expected|
  double atol = 0;
  InputPosition position;
  // Right also within so many units in the last place of its type: steps between neighbouring values of the type.
  std::uint32_t ulp = 0;
  // Right also where |found - expected| <= normwise * the largest finite magnitude of the expected output.
  double normwise = 0;
  // What of the buffer is compared: `count` elements (of the argument's components each) from `first`. Default: all.
  // Expressions over dimensions; `count` may name parameters where the sum is compared.
  std::optional<Expression> first = std::nullopt, count = std::nullopt;
  // Whether the sum of the elements is compared and not each of them: in double for floats, modulo 2^64 for integers.
  bool by_sum = false;

  bool whole() const { return !first && !count; }
};

// Another kernel, on the same device. Its launches default to the problem's own with every `entry` replaced.
// Geometry is evaluated with the baseline configuration.
struct ReferenceKernel {
  KernelSource source;
  std::vector<Launch> launches;
};
struct ReferenceNpy {
  std::map<std::string, std::filesystem::path> files;
};  // by output argument
struct ReferenceConfiguration {
  Configuration configuration;
};  // weak: not independent
struct ReferenceCommand {
  std::vector<std::string> command;
};  // only with --allow-commands
// Host data by argument name (raw bytes), inputs as the device saw them; fills in the outputs. In-process only.
using HostBuffers = std::map<std::string, std::vector<std::byte>>;
struct ReferenceCallback {
  std::function<void(const Configuration& dimensions, HostBuffers& buffers)> compute;
};
using Reference = std::variant<std::monostate, ReferenceKernel, ReferenceNpy, ReferenceConfiguration, ReferenceCommand,
                               ReferenceCallback>;

struct Metric {
  std::string name;       // "GFLOP/s"
  Expression expression;  // over dimensions, parameters and time_ns
};

struct Objective {
  std::string metric = "time";  // or the name of a Metric
  bool minimise = true;
};

// ---- the problem ----------------------------------------------------------------------------------------------------

struct Problem {
  std::string name;            // of the kernel; key of its profiles
  std::filesystem::path file;  // of the specification; empty for built problems
  KernelSource source;
  std::map<std::string, std::vector<std::string>> options;  // compiler options by backend name
  std::vector<std::filesystem::path> include_folders;
  // Extra -D definitions, evaluated over dimensions and parameters.
  std::vector<std::pair<std::string, Expression>> defines;

  Configuration dimensions;  // problem sizes and constants, with defaults of the device's class applied
  std::map<std::string, Configuration> device_dimensions;  // "opencl-cpu", "cuda", ...: overrides by device class

  std::vector<Parameter> parameters;
  std::vector<Constraint> constraints;
  std::vector<Argument> arguments;
  // Empty for problems of one source.
  std::vector<Stage> stages;
  // All launches in the order in which they run, whatever their stages.
  std::vector<Launch> launches;
  std::vector<Output> outputs;
  Reference reference;
  std::optional<Configuration> baseline;  // default: the parameters' defaults
  Objective objective;
  std::vector<Metric> metrics;
  std::vector<Configuration> verify_sizes;      // dimension overrides at which the winner is checked again
  std::vector<InputPosition> verify_positions;  // of each of them; may be shorter: no position is known of the others

  // Warnings of the reader that a person should see once (ignored T1 fields, defaults outside the list, ...).
  std::vector<std::string> warnings;
  // Why the kernel cannot be run, where only its space could be read (T1 files whose kernel part is not understood).
  // Empty: it can.
  std::vector<std::string> obstacles;

  const Argument* find_argument(std::string_view argument_name) const;
  // Null if there is none, also for the empty name.
  const Stage* find_stage(std::string_view stage_name) const;
  // The source that `launch` takes its entry from; null if there is none for that backend.
  const SourceText* find_source(std::string_view stage_name, const std::string& backend) const;
  // The baseline, complete: declared values over the parameters' defaults, in parameter order. Throws Error(bad_input)
  // for a declared value of an unknown parameter.
  Configuration baseline_configuration() const;
  // Dimensions, then `configuration`: what every expression of this problem may name.
  Scope scope(const Configuration& configuration) const;
  // This problem with the dimensions of the device's class ("<backend>-<kind>", then "<backend>", then "<kind>"; most
  // specific wins), then `overrides` applied as with_dimensions() does. The result has no device classes any more.
  Problem for_device(const DeviceInfo& device, const Configuration& overrides = {}) const;
  // This problem with `overrides` in place of its own values. Each dimension keeps its declared type: 3 becomes 3.0
  // where it is a float, 4e3 becomes 4000 where it is an integer. Throws Error(bad_input) for a name that is no
  // dimension and for a value that its type cannot hold (1.5 for an integer, a number for a string).
  Problem with_dimensions(const Configuration& overrides) const;
  // Throws like build_space(); dimensions are constants of the constraints.
  std::unique_ptr<Space> build_space() const;
  // "float32,float32,int32": types of the arguments in order ("image:rgba_unorm8" and "sampler" among them); part of
  // the profile key.
  std::string data_types() const;
};

// Geometry and definitions of one configuration, all expressions evaluated.
struct LaunchGeometry {
  std::array<std::int64_t, 3> block{1, 1, 1};
  std::array<std::int64_t, 3> grid{1, 1, 1};
  std::array<std::int64_t, 3> cluster{1, 1, 1};
  Bytes dynamic_shared{};
  std::int64_t repeat = 1;  // 0: left out, and nothing else here is set
  bool cooperative = false;
  // The largest 64-bit integer where the product is beyond it.
  std::int64_t threads_per_block() const;
};
// Of the repeat of that number. Throws Error(bad_input) naming the launch and the expression when a value is not a
// positive integer (repeats and dynamic shared memory: not negative).
LaunchGeometry evaluate_geometry(const Launch& launch, const Scope& scope, std::int64_t repeat = 0);
// How often a configuration runs the launch: 0 where `when` is false. Throws as evaluate_geometry() does.
std::int64_t repeats_of(const Launch& launch, const Scope& scope);
// Whether block, grid, cluster or shared name the number of the repeat.
bool changes_with_repeat(const Launch& launch, const Scope& scope);
// `scope` with the number of the repeat, unless it has that name already.
Scope with_repeat(const Scope& scope, std::int64_t repeat);

// The reason why the device refuses this geometry, e.g. "block has 2048 threads, the device allows 1024"; nullopt if it
// fits.
std::optional<std::string> exceeds_limits(const LaunchGeometry& geometry, const DeviceInfo& device);

}  // namespace warpwright
