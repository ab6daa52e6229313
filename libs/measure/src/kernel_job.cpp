#include <algorithm>
#include <cctype>
#include <cmath>
#include <fmt/format.h>
#include <iterator>
#include <limits>
#include <set>
#include <utility>

#include <warpwright/base/error.hpp>
#include <warpwright/device/checks.hpp>
#include <warpwright/measure/kernel_job.hpp>
#include <warpwright/measure/modules.hpp>

#include "unroll_pragmas.hpp"

namespace warpwright::measure {
namespace {

using Defines = std::vector<std::pair<std::string, std::string>>;

[[noreturn]] void fail(const Problem& problem, const std::string& message, InputPosition position = {}) {
  if (position.file.empty()) position.file = problem.file.string();
  throw Error(ErrorCode::bad_input, message, std::move(position));
}

// A value as C and C++ write it in an expression.
std::string code_literal(const Problem& problem, const Value& value, const std::string& what) {
  if (const auto* integer = std::get_if<std::int64_t>(&value)) {
    // The digits of the most negative number alone are out of range before the minus applies.
    if (*integer == std::numeric_limits<std::int64_t>::min()) return "(-9223372036854775807-1)";
    return std::to_string(*integer);
  }
  if (const auto* number = std::get_if<double>(&value)) {
    if (!std::isfinite(*number)) fail(problem, what + " is " + to_string(value) + ", which has no literal in C");
    return to_string(value);
  }
  if (const auto* flag = std::get_if<bool>(&value)) return *flag ? "1" : "0";
  return std::get<std::string>(value);
}

// "row-major" -> "row_major": what may follow the NAME_ of a macro.
std::string identifier_part(const std::string& word) {
  std::string result = word;
  for (char& c : result) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  }
  return result;
}

const Value& value_of(const Problem& problem, const Configuration& configuration, const Parameter& parameter) {
  if (const Value* value = configuration.find(parameter.name)) return *value;
  fail(problem, "configuration (" + configuration.describe() + ") has no value for parameter '" + parameter.name + "'",
       parameter.position);
}

void define_words(const Problem& problem, const Parameter& parameter, const Value& value, Defines& defines) {
  const auto found = std::find_if(parameter.values.begin(), parameter.values.end(),
                                  [&](const Value& listed) { return python_equal(listed, value); });
  if (found == parameter.values.end()) {
    fail(problem,
         "parameter '" + parameter.name + "' has the value " + to_literal(value) + ", which is not in its list",
         parameter.position);
  }
  defines.emplace_back(parameter.name, std::to_string(found - parameter.values.begin()));
  std::set<std::string> names;
  for (std::size_t i = 0; i < parameter.values.size(); ++i) {
    const std::string name = parameter.name + "_" + identifier_part(to_string(parameter.values[i]));
    if (!names.insert(name).second) {
      fail(problem,
           "two values of parameter '" + parameter.name + "' give the same definition " + name +
               "; use values that differ in letters and digits",
           parameter.position);
    }
    defines.emplace_back(name, std::to_string(i));
  }
}

void define_parameter(const Problem& problem, const Parameter& parameter, const Value& value, Defines& defines) {
  // Positions as soon as one value is a word: a mixed list would otherwise give two values the same number.
  const bool words = std::any_of(parameter.values.begin(), parameter.values.end(),
                                 [](const Value& listed) { return std::holds_alternative<std::string>(listed); });
  if (words || std::holds_alternative<std::string>(value)) {
    define_words(problem, parameter, value, defines);
  } else {
    defines.emplace_back(parameter.name, code_literal(problem, value, "parameter '" + parameter.name + "'"));
  }
}

std::string known_backends(const KernelSource& source) {
  std::string list;
  for (const auto& [backend, text] : source.by_backend) list += (list.empty() ? "" : ", ") + backend;
  return list.empty() ? "none" : list;
}

bool empty(const KernelSource& source) { return !source.dialect && source.by_backend.empty(); }

// Whether a parameter is one of those that reach the source of `stage`.
bool reaches(const Parameter& parameter, const Stage* stage) {
  if (stage == nullptr || !stage->parameters) return true;
  return std::find(stage->parameters->begin(), stage->parameters->end(), parameter.name) != stage->parameters->end();
}

// Everything of a job but its entries.
device::CompileJob common_job(const Problem& problem, const Configuration& configuration, const DeviceInfo& device,
                              const KernelSource& source, const std::string& what, const Stage* stage = nullptr) {
  require_images(problem, device);
  const std::string& backend = device.id.backend;
  const SourceText* text = source.find(backend);
  if (text == nullptr) {
    fail(problem,
         what + " of '" + problem.name + "' has no source for backend '" + backend + "' (there are sources for: " +
             known_backends(source) + "); give one source for all, or add one under '" + backend + "'",
         {problem.file.string(), 0, 0, "kernel.source"});
  }

  device::CompileJob job;
  job.source = text->text;
  job.file_name = text->file.string();
  job.include_folders = problem.include_folders;
  if (const auto options = problem.options.find(backend); options != problem.options.end())
    job.options = options->second;
  if (stage != nullptr) {
    if (const auto own = stage->options.find(backend); own != stage->options.end())
      job.options.insert(job.options.end(), own->second.begin(), own->second.end());
  }

  std::string macro = "WARPWRIGHT_" + identifier_part(backend);
  std::transform(macro.begin(), macro.end(), macro.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  job.defines.emplace_back(std::move(macro), "1");

  const Scope scope = problem.scope(configuration);
  const auto define = [&](const std::vector<std::pair<std::string, Expression>>& definitions) {
    for (const auto& [name, expression] : definitions) {
      const Value value = expression.evaluate(scope.lookup()).scalar();
      job.defines.emplace_back(name, code_literal(problem, value, "definition '" + name + "'"));
    }
  };
  define(problem.defines);
  if (stage != nullptr) define(stage->defines);
  for (const Parameter& parameter : problem.parameters) {
    if (!reaches(parameter, stage)) continue;
    switch (parameter.role) {
      case ParameterRole::define:
        define_parameter(problem, parameter, value_of(problem, configuration, parameter), job.defines);
        break;
      case ParameterRole::option:
        if (std::string option = to_string(value_of(problem, configuration, parameter)); !option.empty()) {
          job.options.push_back(std::move(option));
        }
        break;
      case ParameterRole::template_argument:
        if (backend == "opencl") {
          fail(problem,
               "parameter '" + parameter.name +
                   "' is a template argument, and OpenCL C has no templates; give it the role 'define'",
               parameter.position);
        }
        break;
      case ParameterRole::block:
        break;
    }
  }
  for (const auto& [name, value] : job.defines) {
    if (value == "0" && job.source.find("unroll") != std::string::npos)
      job.source = without_unroll_pragmas(job.source, name);
  }
  return job;
}

// An entry with the template arguments that reach its source.
std::string entry_name(const Problem& problem, const Configuration& configuration, const Launch& launch) {
  if (!launch.entry.empty() && launch.entry.back() == '>') return launch.entry;
  const Stage* stage = problem.find_stage(launch.stage);
  std::string arguments;
  for (const Parameter& parameter : problem.parameters) {
    if (parameter.role != ParameterRole::template_argument || !reaches(parameter, stage)) continue;
    const Value& value = value_of(problem, configuration, parameter);
    arguments += arguments.empty() ? "<" : ", ";
    if (const auto* flag = std::get_if<bool>(&value)) {
      arguments += *flag ? "true" : "false";
    } else {
      arguments += code_literal(problem, value, "parameter '" + parameter.name + "'");
    }
  }
  return arguments.empty() ? launch.entry : launch.entry + arguments + ">";
}

std::vector<std::string> unique_in_order(const std::vector<std::string>& names) {
  std::vector<std::string> result;
  for (const std::string& name : names) {
    if (std::find(result.begin(), result.end(), name) == result.end()) result.push_back(name);
  }
  return result;
}

}  // namespace

void require_images(const Problem& problem, const DeviceInfo& device) {
  if (device.offers_images()) return;
  for (const Argument& argument : problem.arguments) {
    if (!argument.image && !argument.sampler) continue;
    throw Error(ErrorCode::bad_input,
                fmt::format("argument '{}' is {}: {}; choose an OpenCL device that has them with --device, or give the "
                            "kernel a buffer",
                            argument.name, argument.image ? "an image" : "a sampler", device::why_no_images(device)),
                argument.position);
  }
}

device::CompileJob kernel_job(const Problem& problem, const Configuration& configuration, const DeviceInfo& device) {
  if (!problem.stages.empty()) {
    throw Error(ErrorCode::internal, "'" + problem.name + "' has stages, which are compiled one by one");
  }
  device::CompileJob job = common_job(problem, configuration, device, problem.source, "kernel");
  const Scope scope = problem.scope(configuration);
  const std::vector<std::string> names = entry_names(problem, configuration);
  std::vector<std::string> entries;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const Launch& launch = problem.launches[i];
    if ((launch.when || launch.repeat) && repeats_of(launch, scope) == 0) continue;
    entries.push_back(names[i]);
  }
  job.entries = unique_in_order(entries);
  return job;
}

std::vector<StageJob> kernel_jobs(const Problem& problem, const Configuration& configuration,
                                  const DeviceInfo& device) {
  if (problem.stages.empty()) return {{{}, kernel_job(problem, configuration, device)}};
  std::vector<StageJob> jobs;
  const Scope scope = problem.scope(configuration);
  for (const Launch& launch : problem.launches) {
    if (repeats_of(launch, scope) == 0) continue;
    const auto same_stage = [&](const StageJob& job) { return job.stage == launch.stage; };
    auto found = std::find_if(jobs.begin(), jobs.end(), same_stage);
    const Stage* stage = problem.find_stage(launch.stage);
    if (found == jobs.end()) {
      const KernelSource& source = stage == nullptr || empty(stage->source) ? problem.source : stage->source;
      const std::string what = launch.stage.empty() ? "kernel" : "stage '" + launch.stage + "'";
      jobs.push_back({launch.stage, common_job(problem, configuration, device, source, what, stage)});
      found = std::prev(jobs.end());
    }
    found->job.entries.push_back(entry_name(problem, configuration, launch));
  }
  for (StageJob& job : jobs) job.job.entries = unique_in_order(job.job.entries);
  return jobs;
}

Binary compile_configuration(const Problem& problem, const Configuration& configuration, const DeviceInfo& device,
                             const std::function<Binary(const device::CompileJob&)>& compile) {
  const std::vector<StageJob> jobs = kernel_jobs(problem, configuration, device);
  if (problem.stages.empty()) return compile(jobs.front().job);
  std::vector<StageBinary> binaries;
  for (const StageJob& job : jobs) {
    try {
      binaries.push_back({job.stage, compile(job.job)});
    } catch (Error& error) {
      if (job.stage.empty()) throw;
      throw error.add_context("compiling stage '" + job.stage + "'");
    }
  }
  return join_binaries(std::move(binaries));
}

std::vector<std::string> entry_names(const Problem& problem, const Configuration& configuration) {
  std::vector<std::string> names;
  names.reserve(problem.launches.size());
  for (const Launch& launch : problem.launches) {
    names.push_back(label_of(launch.stage, entry_name(problem, configuration, launch)));
  }
  return names;
}

device::CompileJob reference_job(const Problem& problem, const DeviceInfo& device) {
  const auto* reference = std::get_if<ReferenceKernel>(&problem.reference);
  if (reference == nullptr) {
    throw Error(ErrorCode::internal, "the reference of '" + problem.name + "' is not a kernel");
  }
  const KernelSource& source = empty(reference->source) ? problem.source : reference->source;
  device::CompileJob job = common_job(problem, problem.baseline_configuration(), device, source, "reference kernel");
  std::vector<std::string> entries;
  for (const Launch& launch : reference->launches) entries.push_back(launch.entry);
  job.entries = unique_in_order(entries);
  return job;
}

}  // namespace warpwright::measure
