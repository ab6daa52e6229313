// The contract suite on every OpenCL device of this machine; PoCL where there is no GPU.
#include <warpwright/opencl/backend.hpp>
#include <warpwright/testing/device_contract.hpp>

namespace warpwright::test {
namespace {

std::vector<DeviceContractCase> opencl_cases() {
  DeviceContractCase base;
  base.name = "none";
  base.backend = [] { return opencl::make_backend(); };
  base.file_name = "contract.cl";
  base.source = opencl_contract_source();
  base.broken_source = "__kernel void contract_add(__global float* c) {\n  c[0] = undeclared_name;\n}\n";
  base.broken_word = "undeclared_name";
  std::vector<DeviceContractCase> cases;
  for (const DeviceInfo& device : base.backend()->devices()) {
    cases.push_back(base);
    cases.back().device = device.id;
    cases.back().name =
        "platform" + std::to_string(device.id.ordinals.at(0)) + "device" + std::to_string(device.id.ordinals.at(1));
  }
  // With no device the suite is skipped, with the reason.
  if (cases.empty()) cases.push_back(base);
  return cases;
}

}  // namespace

INSTANTIATE_TEST_SUITE_P(Opencl, DeviceContract, ::testing::ValuesIn(opencl_cases()), contract_name);

}  // namespace warpwright::test
