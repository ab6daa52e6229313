#include <optional>
#include <string>

#include <warpwright/base/error.hpp>
#include <warpwright/cuda/backend.hpp>
#include <warpwright/cuda/binaries.hpp>

#include "fuzz.hpp"

namespace warpwright::fuzz {
namespace {

std::optional<cuda::CubinDescription> described(std::string_view bytes) {
  try {
    return cuda::describe_cubin(bytes);
  } catch (const Error& error) {
    require(error.code() == ErrorCode::corrupted || error.code() == ErrorCode::unsupported,
            "what is no cubin is corrupted, or relocatable");
    require(!error.message().empty(), "and it is said why");
    return std::nullopt;
  }
}

// A container lists what lies inside it and uncompresses nothing beyond what its entry says.
void containers(std::string_view bytes) {
  try {
    for (const auto& binary : cuda::list_binaries(bytes)) {
      require(binary.stored.empty() || (binary.stored.data() >= bytes.data() &&
                                        binary.stored.data() + binary.stored.size() <= bytes.data() + bytes.size()),
              "a binary lies in its container");
      std::string storage;
      try {
        const auto whole = cuda::binary_bytes(binary, storage);
        require(whole.size() == binary.size, "a binary has the size that was promised");
        described(whole);
      } catch (const Error& error) {
        require(error.code() == ErrorCode::corrupted || error.code() == ErrorCode::unavailable,
                "what does not uncompress is corrupted");
      }
    }
  } catch (const Error& error) {
    require(error.code() == ErrorCode::corrupted || error.code() == ErrorCode::unsupported,
            "a container that is none is corrupted");
  }
}

}  // namespace

void cubin(std::string_view bytes) {
  containers(bytes);
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
    require(!kernel.max_cluster_blocks || *kernel.max_cluster_blocks >= 1, "a bound of clusters is positive");
    for (const auto& sizes : {kernel.required_block, kernel.required_cluster})
      if (sizes)
        for (const auto size : *sizes) require(size >= 1, "required sizes are positive");
    require(kernel.shared_spills <= *kernel.static_shared, "spills are part of shared memory");
    require(!kernel.name.empty() || kernel.entry.empty(), "a kernel has a name");
    try {
      cuda::find_kernel(*first, kernel.name);
    } catch (const Error& error) {
      require(error.code() == ErrorCode::bad_input, "a name that means several kernels is the user's mistake");
    }
  }
  // The compiler's log is text from outside as well.
  for (const auto& report : cuda::parse_ptxas_log(std::string(bytes)))
    require(report.registers.value_or(0) >= 0, "registers are not negative");
}

}  // namespace warpwright::fuzz

WARPWRIGHT_FUZZ_ENTRY(cubin)
