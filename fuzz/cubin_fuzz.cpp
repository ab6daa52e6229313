#include <optional>
#include <string>

#include <warpwright/base/error.hpp>
#include <warpwright/cuda/backend.hpp>

#include "fuzz.hpp"

namespace warpwright::fuzz {
namespace {

std::optional<cuda::CubinDescription> described(std::string_view bytes) {
  try {
    return cuda::describe_cubin(bytes);
  } catch (const Error& error) {
    require(error.code() == ErrorCode::corrupted, "what is no cubin is corrupted");
    require(!error.message().empty(), "and it is said why");
    return std::nullopt;
  }
}

}  // namespace

void cubin(std::string_view bytes) {
  const auto first = described(bytes);
  const auto second = described(bytes);
  require(first.has_value() == second.has_value(), "the same bytes are accepted or refused alike");
  if (!first) return;
  require(first->architecture.starts_with("sm_"), "the architecture has a name");
  require(first->kernels.size() == second->kernels.size(), "the same bytes have the same kernels");
  for (const auto& kernel : first->kernels) {
    require(kernel.registers_per_thread.value_or(0) >= 0, "registers are not negative");
    require(kernel.barriers && *kernel.barriers >= 0 && *kernel.barriers <= 255, "barriers fit their byte");
    require(!kernel.max_threads_per_block || *kernel.max_threads_per_block >= 1, "launch bounds are positive");
    require(kernel.static_shared.has_value(), "static shared memory is told");
  }
  // The compiler's log is text from outside as well.
  for (const auto& report : cuda::parse_ptxas_log(std::string(bytes)))
    require(report.registers.value_or(0) >= 0, "registers are not negative");
}

}  // namespace warpwright::fuzz

WARPWRIGHT_FUZZ_ENTRY(cubin)
