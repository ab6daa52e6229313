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
  // A buffer that is written and not compared with the reference.
  ProblemBuilder& scratch(std::string name, DataType type, const std::string& size, int components = 1);

  ProblemBuilder& launch(std::string entry, std::vector<std::string> block, std::vector<std::string> grid,
                         std::vector<std::string> args, const std::string& shared = {});
  ProblemBuilder& repeat_last_launch(const std::string& times, std::vector<std::string> swap = {});
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
  Launch& last_launch(const char* wanted);

  Problem problem_;
};

// The checks shared by the readers and the builder: every name an expression uses is known, every launch argument
// exists, outputs are buffers, the baseline lies in the space's value lists and satisfies the constraints, sizes and
// geometry are positive at the baseline. Does not build the space. Throws Error(bad_input) at the first mistake.
void check_problem(const Problem& problem);

}  // namespace warpwright::spec
