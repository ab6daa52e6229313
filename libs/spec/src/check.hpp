// The checks of a Problem, shared by the readers and the builder.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <warpwright/model/problem.hpp>

#include "locations.hpp"

namespace warpwright::spec::detail {

// Parameters, dimensions, constraints: what a space needs. Throws Error(bad_input) at the first mistake.
void check_space(const Problem& problem, const Locations& locations);
// Arguments, launches, outputs, reference, baseline, metrics: what running needs.
void check_execution(const Problem& problem, const Locations& locations);
// What is allowed but probably not meant; for Problem::warnings.
std::vector<std::string> find_warnings(const Problem& problem);

// The device classes that [problem.CLASS] may name.
const std::vector<std::string>& device_classes();
// The backends a source or options may be given for.
const std::vector<std::string>& backend_names();

// Each position of `launches` completed from the problem's launch of the same position: the rule for references. Shared
// memory is taken only together with both block and grid.
void complete_reference_launches(std::vector<Launch>& launches, const std::vector<Launch>& of_problem);
// Tolerances where a specification gives none: by element type, from the usual rounding of sums of a few thousand
// terms.
struct Tolerance {
  double rtol = 0, atol = 0;
};
Tolerance default_tolerance(DataType type);
// The loosest of those of the types that the argument may have.
Tolerance default_tolerance(const Problem& problem, const Argument& argument);
// The output buffers of a problem that names none: everything the kernel writes whose size is the same in every
// configuration.
std::vector<Output> default_outputs(const Problem& problem);
// Why buffers that the kernel writes are not among them, with the cure: "the size of 'y', ... depends on the tunable
// 'bs' ..."; empty if all are.
std::string outputs_of_tunable_size(const Problem& problem);
// The arguments a launch gets when it does not list them: every one that is not a symbol, in order.
std::vector<std::string> default_args(const Problem& problem);

bool depends_on_tuning(const Expression& expression, const Problem& problem);
bool is_buffer(const Argument& argument);
bool is_written(const Argument& argument);

}  // namespace warpwright::spec::detail
