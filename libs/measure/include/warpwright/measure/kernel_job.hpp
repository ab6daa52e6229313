// From a problem and a configuration to what the compiler gets. The definitions a kernel sees are decided here and only
// here.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <warpwright/device/compiler.hpp>
#include <warpwright/model/problem.hpp>

namespace warpwright::measure {

// Throws Error(bad_input), at the argument, for images and samplers where `device` offers none. Everything that
// compiles or runs a problem asks first.
void require_images(const Problem& problem, const DeviceInfo& device);

// Definitions, in order: WARPWRIGHT_<BACKEND> = 1 (WARPWRIGHT_CUDA, WARPWRIGHT_OPENCL); the problem's `defines`; each
// `define` parameter as NAME=value (booleans 1 and 0; a string parameter NAME with value v gives NAME=<v's position in
// the value list> and NAME_<w>=<position of w> for every value w, so that `#if layout == layout_row` works; characters
// of w that no macro name can hold become '_'). `#pragma unroll NAME` is left out of the source where NAME is defined
// as 0, as Kernel Tuner does. `option` parameters go to the options, `template_argument` ones into the entry names
// ("gemm<4, true>"), `block` ones nowhere. Options: the problem's for this backend. Throws Error(bad_input) if the
// problem has no source for the backend, if a value has no literal in C (infinity), if the configuration lacks a
// parameter, or for template arguments on OpenCL. Entries of launches that the configuration leaves out are not among
// the job's. For problems without stages (Error(internal) otherwise).
device::CompileJob kernel_job(const Problem& problem, const Configuration& configuration, const DeviceInfo& device);

// What a configuration compiles: a job for each source that one of its launches runs from, in the order of their first
// launches. A stage's own options and definitions come behind the problem's; only the parameters that it names reach
// it. A problem without stages has one job, that of kernel_job(). Throws as kernel_job() does.
struct StageJob {
  std::string stage;  // empty: the problem's own source
  device::CompileJob job;
};
std::vector<StageJob> kernel_jobs(const Problem& problem, const Configuration& configuration, const DeviceInfo& device);

// Compiles every job of a configuration with `compile`. Of a problem without stages the result is what `compile` gave;
// else all binaries in one, for load_modules() (modules.hpp). Throws what `compile` throws, with the name of the stage.
Binary compile_configuration(const Problem& problem, const Configuration& configuration, const DeviceInfo& device,
                             const std::function<Binary(const device::CompileJob&)>& compile);

// The entry names of the launches under this configuration, in launch order ("gemm<4, true>" with template arguments;
// an entry that ends in '>' brings its own and is taken as it is). "stage/entry" where the launch belongs to a stage.
std::vector<std::string> entry_names(const Problem& problem, const Configuration& configuration);

// The job of the reference kernel: same definitions, at the baseline configuration; its entries get no template
// arguments. A reference without a source of its own is another entry of the problem's source. The problem's reference
// must be a ReferenceKernel (Error(internal) otherwise).
device::CompileJob reference_job(const Problem& problem, const DeviceInfo& device);

}  // namespace warpwright::measure
