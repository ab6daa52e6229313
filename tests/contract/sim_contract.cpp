// The contract suite on the simulated device, with the contract's kernels as behaviours.
#include <warpwright/sim/backend.hpp>
#include <warpwright/testing/device_contract.hpp>

namespace warpwright::test {
namespace {

using sim::LaunchView;

std::int64_t global_x(const LaunchView& launch, const std::array<std::int64_t, 3>& block,
                      const std::array<std::int64_t, 3>& thread, std::size_t axis) {
  return block[axis] * launch.block[axis] + thread[axis];
}

// Calls body(i) for the global x index of every thread that is below argument `bound`.
template <class Body>
void guarded(const LaunchView& launch, std::size_t bound, Body&& body) {
  const auto n = launch.scalar<int>(bound);
  launch.for_each_thread([&](const auto& block, const auto& thread) {
    const auto i = global_x(launch, block, thread, 0);
    if (i < n) body(static_cast<std::size_t>(i));
  });
}

void contract_add(const LaunchView& launch) {
  const auto c = launch.buffer<float>(0), a = launch.buffer<float>(1), b = launch.buffer<float>(2);
  guarded(launch, 3, [&](std::size_t i) { c[i] = a[i] + b[i]; });
}

void contract_fill(const LaunchView& launch) {
  const auto out = launch.buffer<int>(0);
  guarded(launch, 2, [&](std::size_t i) { out[i] = launch.scalar<int>(1); });
}

void contract_index(const LaunchView& launch) {
  const auto out = launch.buffer<int>(0);
  const int nx = launch.scalar<int>(1), ny = launch.scalar<int>(2), nz = launch.scalar<int>(3);
  launch.for_each_thread([&](const auto& block, const auto& thread) {
    const auto x = global_x(launch, block, thread, 0), y = global_x(launch, block, thread, 1),
               z = global_x(launch, block, thread, 2);
    if (x < nx && y < ny && z < nz)
      out[static_cast<std::size_t>((z * ny + y) * nx + x)] = static_cast<int>(x + 1000 * y + 1000000 * z);
  });
}

void contract_shared(const LaunchView& launch) {
  const auto out = launch.buffer<int>(0);
  const int words = launch.scalar<int>(1);
  std::vector<int> scratch(static_cast<std::size_t>(launch.dynamic_shared.count) / sizeof(int));
  for (int i = 0; i < words; ++i) scratch.at(static_cast<std::size_t>(i)) = i;
  const auto threads = launch.block[0];
  for (std::int64_t t = 0; t < threads; ++t) {
    unsigned sum = 0;
    for (std::int64_t i = t; i < words; i += threads)
      sum += static_cast<unsigned>(scratch.at(static_cast<std::size_t>(words - 1 - i)));
    out[static_cast<std::size_t>(t)] = static_cast<int>(sum);
  }
}

void contract_define(const LaunchView& launch) {
  const auto out = launch.buffer<int>(0);
  out[0] = static_cast<int>(launch.define("CONTRACT_VALUE"));
  out[1] = std::get<std::string>(launch.defines.at("CONTRACT_TYPE")).starts_with("unsigned") ? 1 : 0;
}

void contract_constant(const LaunchView& launch) {
  const auto out = launch.buffer<float>(0), table = launch.buffer<float>(1);
  guarded(launch, 2, [&](std::size_t i) { out[i] = table[i % 4]; });
}

void contract_spin(const LaunchView& launch) {
  const auto data = launch.buffer<int>(0);
  const int rounds = launch.scalar<int>(1);
  // x -> 5 x + 1 as one affine map a x + c, by repeated squaring: the simulated device need not wait for it.
  unsigned a = 1, c = 0, step_a = 5, step_c = 1;
  for (int r = rounds; r > 0; r >>= 1) {
    if ((r & 1) != 0) {
      c = step_a * c + step_c;
      a *= step_a;
    }
    step_c = step_a * step_c + step_c;
    step_a *= step_a;
  }
  launch.for_each_thread([&](const auto& block, const auto& thread) {
    int& value = data[static_cast<std::size_t>(global_x(launch, block, thread, 0))];
    value = static_cast<int>(a * static_cast<unsigned>(value) + c + 1u);
  });
}

void contract_symbol(const LaunchView& launch) {
  const auto out = launch.buffer<float>(0), table = launch.symbol<float>("contract_table");
  guarded(launch, 1, [&](std::size_t i) { out[i] = table[i % 4]; });
}

DeviceContractCase sim_case() {
  DeviceContractCase result;
  result.name = "default";
  result.backend = [] {
    sim::Options options;
    options.behaviours = {
        {"contract_add", {contract_add, {"float32* c", "float32* a", "float32* b", "int32 n"}}},
        {"contract_fill", {contract_fill, {"int32* out", "int32 value", "int32 n"}}},
        {"contract_index", {contract_index, {"int32* out", "int32 nx", "int32 ny", "int32 nz"}}},
        {"contract_shared", {contract_shared, {"int32* out", "int32 words"}}},
        {"contract_define", {contract_define, {"int32* out"}}},
        {"contract_constant", {contract_constant, {"float32* out", "float32* table", "int32 n"}}},
        {"contract_spin", {contract_spin, {"int32* data", "int32 rounds"}}},
        {"contract_symbol", {contract_symbol, {"float32* out", "int32 n"}}},
    };
    return sim::make_backend(std::move(options));
  };
  result.file_name = "contract.toml";
  result.source = R"(
[symbols]
contract_table = 16
[kernels.contract_add]
[kernels.contract_fill]
[kernels.contract_index]
[kernels.contract_shared]
[kernels.contract_define]
[kernels.contract_constant]
[kernels.contract_symbol]
[kernels.contract_spin]
cost_ns = "1000 + rounds"
)";
  result.broken_source = "[kernels.contract_add]\ncost_ns = \"1000 + undeclared_name\"\n";
  result.broken_word = "undeclared_name";
  result.has_symbols = true;
  return result;
}

}  // namespace

INSTANTIATE_TEST_SUITE_P(Sim, DeviceContract, ::testing::Values(sim_case()), contract_name);

}  // namespace warpwright::test
