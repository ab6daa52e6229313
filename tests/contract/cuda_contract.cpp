// The contract suite on the first CUDA GPU.
#include <warpwright/cuda/backend.hpp>
#include <warpwright/testing/device_contract.hpp>

namespace warpwright::test {
namespace {

DeviceContractCase cuda_case() {
  DeviceContractCase result;
  result.name = "first";
  result.backend = [] { return cuda::make_backend(); };
  result.file_name = "contract.cu";
  result.source = cuda_contract_source();
  result.broken_source = "extern \"C\" __global__ void contract_add(float* c) {\n  c[0] = undeclared_name;\n}\n";
  result.broken_word = "undeclared_name";
  result.has_symbols = true;
  return result;
}

}  // namespace

INSTANTIATE_TEST_SUITE_P(Cuda, DeviceContract, ::testing::Values(cuda_case()), contract_name);

}  // namespace warpwright::test
