// A Problem from C++ instead of a file, with the same checks and the same words in the errors.
// Positions name the key that the same mistake would have in a file ("argument[0].size"), without line and column.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <warpwright/model/problem.hpp>

namespace warpwright::spec {

// Fluent; every method returns *this. Throws Error(bad_input) as soon as something is wrong, at the latest in build().
// Expressions are given as text in the constraint language. Thread-compatible.
class ProblemBuilder {
 public:
  explicit ProblemBuilder(std::string kernel_name);

  // An empty backend means one source for all of them, over the dialect header. Throws Error(not_found / io) as well.
  // Include folders count for sources that are named after them.
  ProblemBuilder& include_folder(const std::filesystem::path& folder);
  ProblemBuilder& source_file(const std::filesystem::path& file, const std::string& backend = {});
  ProblemBuilder& source_text(const std::string& text, const std::string& backend = {});
  ProblemBuilder& compiler_options(const std::string& backend, std::vector<std::string> options);
  ProblemBuilder& define(std::string name, const std::string& expression);
  ProblemBuilder& dimension(std::string name, Value value);
  // Another default where the device is of this class ("opencl-cpu", "cuda", "gpu", ...).
  ProblemBuilder& device_dimension(const std::string& device_class, std::string name, Value value);

  // The parameter is ordered if all its values are numbers.
  ProblemBuilder& parameter(std::string name, std::vector<Value> values, std::optional<Value> default_value = {},
                            ParameterRole role = ParameterRole::define);
  ProblemBuilder& constraint(std::string expression);
  // `callable` may capture; it is called from any thread, with all parameters in declaration order.
  ProblemBuilder& constraint(std::string name, std::function<bool(const Configuration&)> callable);

  // `size` counts elements of `components` scalars each. The default fill is the readers': uniform numbers whose seed
  // is the argument's position, so that no two arguments are equal.
  ProblemBuilder& input(std::string name, DataType type, const std::string& size, std::optional<Fill> fill = {},
                        int components = 1);
  ProblemBuilder& output(std::string name, DataType type, const std::string& size, double rtol, double atol,
                         int components = 1);
  ProblemBuilder& inout(std::string name, DataType type, const std::string& size, Fill fill, double rtol, double atol,
                        int components = 1);
  // An empty symbol passes a pointer among the launch's arguments.
  ProblemBuilder& constant(std::string name, std::string symbol, DataType type, const std::string& size,
                           std::optional<Fill> fill = {}, int components = 1);
  ProblemBuilder& scalar(std::string name, DataType type, const std::string& value);
  // `components` numbers by value: `value` is a list of as many ("[0.5, 1.0]"), or one for all.
  ProblemBuilder& vector(std::string name, DataType type, int components, const std::string& value);
  // A structure by value, laid out as C does (layout_of()).
  ProblemBuilder& structure(std::string name, std::vector<StructField> fields);
  // Memory that lives between the launches of a configuration. With `restored` it holds that before every run; else the
  // kernels must write what they read.
  ProblemBuilder& scratch(std::string name, DataType type, const std::string& size, int components = 1,
                          std::optional<Fill> restored = {});
  // OpenCL: __local memory of `size` elements for each block, passed where a launch's arguments name it.
  ProblemBuilder& local(std::string name, DataType type, const std::string& size);
  // Two-dimensional images on OpenCL; width and height in pixels. What outputs are compared with, and callbacks get, is
  // dense: height x width x channels, as they are stored.
  ProblemBuilder& input_image(std::string name, ImageFormat format, const std::string& width, const std::string& height,
                              std::optional<Fill> fill = {});
  ProblemBuilder& output_image(std::string name, ImageFormat format, const std::string& width,
                               const std::string& height, double rtol, double atol);
  ProblemBuilder& inout_image(std::string name, ImageFormat format, const std::string& width, const std::string& height,
                              Fill fill, double rtol, double atol);
  // Neither input nor output: what one launch leaves to the next.
  ProblemBuilder& scratch_image(std::string name, ImageFormat format, const std::string& width,
                                const std::string& height);
  // OpenCL: how kernels read images, passed where a launch's arguments name it.
  ProblemBuilder& sampler(std::string name, SamplerSettings settings);
  // The element type of an argument declared before is the value of this parameter ("float16").
  ProblemBuilder& type_from(const std::string& argument, std::string parameter);
  // Of an output declared before: compares only `count` elements from `first` (expressions; empty: from the first, to
  // the last), or the sum of what is compared.
  ProblemBuilder& compare_range(const std::string& argument, const std::string& first, const std::string& count);
  ProblemBuilder& judge_by_sum(const std::string& argument);

  // Launches that follow belong to this stage. An empty text shares the source of the problem. `parameters` are those
  // that reach the stage's source; nullopt: all.
  ProblemBuilder& stage(std::string name, const std::string& text = {},
                        std::optional<std::vector<std::string>> parameters = {});
  ProblemBuilder& stage_file(std::string name, const std::filesystem::path& file,
                             std::optional<std::vector<std::string>> parameters = {});

  ProblemBuilder& launch(std::string entry, std::vector<std::string> block, std::vector<std::string> grid,
                         std::vector<std::string> args, const std::string& shared = {});
  ProblemBuilder& repeat_last_launch(const std::string& times, std::vector<std::string> swap = {});
  // Configurations of which `condition` is false leave the launch out.
  ProblemBuilder& when_last_launch(const std::string& condition);
  ProblemBuilder& cooperative_last_launch();
  ProblemBuilder& cluster_last_launch(std::vector<std::string> cluster);

  // Exactly one kind of reference; the last call counts. What reference_kernel leaves empty (entry, block, grid) and
  // the arguments, shared memory and repeats are taken from the problem's first launch.
  ProblemBuilder& reference(ReferenceCallback callback);
  ProblemBuilder& reference_kernel(const std::filesystem::path& file, std::string entry, std::vector<std::string> block,
                                   std::vector<std::string> grid);
  // Another entry of the problem's own source.
  ProblemBuilder& reference_entry(std::string entry, std::vector<std::string> block, std::vector<std::string> grid);
  ProblemBuilder& reference_npy(std::map<std::string, std::filesystem::path> files);
  ProblemBuilder& reference_configuration(Configuration configuration);

  ProblemBuilder& baseline(Configuration configuration);
  ProblemBuilder& metric(std::string name, const std::string& expression);
  // "time" or the name of a metric.
  ProblemBuilder& minimise(std::string metric);
  ProblemBuilder& maximise(std::string metric);
  ProblemBuilder& verify_size(Configuration dimensions);

  // Checks the whole (names used but not declared, outputs that are no buffers, ...).
  Problem build() const;

 private:
  ProblemBuilder& buffer(std::string name, DataType type, const std::string& size, Access access,
                         std::optional<Fill> fill, int components);
  ProblemBuilder& image(std::string name, ImageFormat format, const std::string& width, const std::string& height,
                        Access access, std::optional<Fill> fill);
  Launch& last_launch(const char* wanted);
  Output& output_of(const std::string& argument, const char* wanted);

  Problem problem_;
};

// The checks shared by the readers and the builder: every name an expression uses is known, every launch argument
// exists, outputs are buffers, the baseline lies in the space's value lists and satisfies the constraints, sizes and
// geometry are positive at the baseline. Does not build the space. Throws Error(bad_input) at the first mistake.
void check_problem(const Problem& problem);

}  // namespace warpwright::spec
