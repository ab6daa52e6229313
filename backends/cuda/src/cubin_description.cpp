#include "cubin_description.hpp"

#include <warpwright/cuda/binaries.hpp>

#include "kernel_names.hpp"

namespace warpwright::cuda {

KernelResources resources_of(const std::string& entry, const CubinKernel& kernel, const Bytes& constant,
                             const PtxasReport* report) {
  KernelResources resources;
  resources.entry = entry;
  resources.registers_per_thread = kernel.registers;
  resources.local_per_thread = kernel.stack;
  resources.constant = constant;
  resources.max_threads_per_block = kernel.max_threads_per_block;
  resources.static_shared = kernel.static_shared;
  resources.barriers = kernel.barriers;
  resources.required_block = kernel.required_block;
  resources.required_cluster = kernel.required_cluster;
  resources.max_cluster_blocks = kernel.max_cluster_blocks;
  if (report != nullptr) {
    if (report->registers) resources.registers_per_thread = report->registers;
    if (report->barriers) resources.barriers = report->barriers;
    if (report->stack) resources.local_per_thread = report->stack;
    resources.spill_stores = report->spill_stores;
    resources.spill_loads = report->spill_loads;
  }
  return resources;
}

CubinDescription describe_cubin(std::string_view image) {
  const Cubin cubin = read_cubin(image);
  CubinDescription description;
  description.architecture = "sm_" + std::to_string(cubin.compute);
  description.target = description.architecture + cubin.variant;
  description.kernels.reserve(cubin.kernels.size());
  for (const CubinKernel& kernel : cubin.kernels) {
    KernelDescription& described = description.kernels.emplace_back();
    static_cast<KernelResources&>(described) = resources_of(kernel.symbol, kernel, cubin.constant, nullptr);
    described.name = kernel_name(kernel.symbol).name;
    described.needs_cluster = kernel.needs_cluster && !kernel.required_cluster;
    described.grid_counts_clusters = kernel.grid_counts_clusters;
    described.untold_shared = kernel.untold_shared;
    described.shared_alignment = kernel.shared_alignment;
    described.register_limit = kernel.register_limit;
    described.reassigns_registers = kernel.reassigns_registers;
    described.shared_spills = kernel.shared_spills;
  }
  return description;
}

std::size_t find_kernel(const std::vector<const KernelDescription*>& kernels, const std::string& entry) {
  std::vector<KernelName> names;
  names.reserve(kernels.size());
  for (const KernelDescription* kernel : kernels) names.push_back(kernel_name(kernel->entry));
  return resolve_entry(entry, names, "the binary");
}

const KernelDescription& find_kernel(const CubinDescription& description, const std::string& entry) {
  std::vector<const KernelDescription*> kernels;
  for (const KernelDescription& kernel : description.kernels) kernels.push_back(&kernel);
  return description.kernels[find_kernel(kernels, entry)];
}

}  // namespace warpwright::cuda
