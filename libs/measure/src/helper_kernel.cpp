#include "helper_kernel.hpp"

namespace warpwright::measure {

HelperKernel load_helper_kernel(device::Context& context, device::Compiler& compiler, const HelperSource& source) {
  const std::string& backend = context.device().id.backend;
  device::CompileJob job;
  job.file_name = std::string("warpwright ") + source.what;
  job.entries = {source.entry};
  job.source = backend == "sim" && *source.simulated != '\0' ? source.simulated : source.text;
  job.defines = source.defines;
  if (backend == "opencl") job.defines.emplace_back("WARPWRIGHT_HELPER_OPENCL", "1");
  HelperKernel helper;
  helper.module = context.load(compiler.compile(job));
  helper.kernel = helper.module->kernel(source.entry);
  return helper;
}

}  // namespace warpwright::measure
