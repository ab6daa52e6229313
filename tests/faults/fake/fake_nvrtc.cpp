// libnvrtc.so for tests: "compiles" by reading the entries and the definitions of the source, and
// writes them behind the end of a small cubin, where the fake driver finds them.
#include <cstring>
#include <set>

#include "cubin_builder.hpp"
#include "fake_program.hpp"
#include "fault_state.hpp"
#include "nvrtc_abi.hpp"

using namespace warpwright::cuda;
namespace faults = warpwright::faults;
using nvrtc_abi::Result;

namespace {

constexpr std::uint32_t image_trailer_magic = 0x454b4146;

struct Compilation {
  std::string source, image, log;
};

Compilation& of(nvrtc_abi::ProgramHandle program) { return *reinterpret_cast<Compilation*>(program); }

std::string image_of(const faults::Program& program) {
  CubinBuilder builder;
  for (const auto& entry : program.entries) builder.kernels.push_back({.name = entry, .registers = 32});
  std::string image = builder.build();
  const std::string text = program.serialise();
  const std::size_t end = image.size();
  image.resize(end + 8);
  CubinBuilder::put(image, end, image_trailer_magic);
  CubinBuilder::put(image, end + 4, static_cast<std::uint32_t>(text.size()));
  return image + text;
}

constexpr int architectures[] = {75, 80, 86, 89, 90};

}  // namespace

#define ENTER(name) \
  if (const int code = faults::enter(name); code != 0) return static_cast<Result>(code)

extern "C" {

const char* nvrtcGetErrorString(Result result) {
  switch (result) {
    case nvrtc_abi::success:
      return "NVRTC_SUCCESS";
    case nvrtc_abi::out_of_memory:
      return "NVRTC_ERROR_OUT_OF_MEMORY";
    case nvrtc_abi::compilation:
      return "NVRTC_ERROR_COMPILATION";
    case nvrtc_abi::internal_error:
      return "NVRTC_ERROR_INTERNAL_ERROR";
    default:
      return "NVRTC_ERROR";
  }
}

Result nvrtcVersion(int* major, int* minor) {
  ENTER("nvrtcVersion");
  *major = 13;
  *minor = 0;
  return nvrtc_abi::success;
}

Result nvrtcGetNumSupportedArchs(int* count) {
  ENTER("nvrtcGetNumSupportedArchs");
  *count = static_cast<int>(std::size(architectures));
  return nvrtc_abi::success;
}

Result nvrtcGetSupportedArchs(int* numbers) {
  ENTER("nvrtcGetSupportedArchs");
  std::memcpy(numbers, architectures, sizeof(architectures));
  return nvrtc_abi::success;
}

Result nvrtcCreateProgram(nvrtc_abi::ProgramHandle* program, const char* source, const char*, int, const char* const*,
                          const char* const*) {
  ENTER("nvrtcCreateProgram");
  auto* compilation = new Compilation{source, {}, {}};
  *program = reinterpret_cast<nvrtc_abi::ProgramHandle>(compilation);
  faults::created(faults::Kind::program);
  return nvrtc_abi::success;
}

Result nvrtcDestroyProgram(nvrtc_abi::ProgramHandle* program) {
  const int code = faults::enter("nvrtcDestroyProgram");
  delete &of(*program);
  *program = nullptr;
  faults::destroyed(faults::Kind::program);
  return static_cast<Result>(code);
}

Result nvrtcCompileProgram(nvrtc_abi::ProgramHandle handle, int, const char* const*) {
  ENTER("nvrtcCompileProgram");
  Compilation& compilation = of(handle);
  const faults::Program program = faults::scan_source(compilation.source);
  const faults::CompileOutcome outcome = faults::compile(program);
  compilation.log = outcome.log;
  if (outcome.result == faults::CompileOutcome::refused) return nvrtc_abi::compilation;
  if (outcome.result == faults::CompileOutcome::out_of_memory) return nvrtc_abi::out_of_memory;
  compilation.image = image_of(program);
  return nvrtc_abi::success;
}

Result nvrtcGetCUBINSize(nvrtc_abi::ProgramHandle program, std::size_t* size) {
  ENTER("nvrtcGetCUBINSize");
  *size = of(program).image.size();
  return nvrtc_abi::success;
}

Result nvrtcGetCUBIN(nvrtc_abi::ProgramHandle program, char* cubin) {
  ENTER("nvrtcGetCUBIN");
  std::memcpy(cubin, of(program).image.data(), of(program).image.size());
  return nvrtc_abi::success;
}

Result nvrtcGetProgramLogSize(nvrtc_abi::ProgramHandle program, std::size_t* size) {
  ENTER("nvrtcGetProgramLogSize");
  *size = of(program).log.size() + 1;
  return nvrtc_abi::success;
}

Result nvrtcGetProgramLog(nvrtc_abi::ProgramHandle program, char* log) {
  ENTER("nvrtcGetProgramLog");
  std::strcpy(log, of(program).log.c_str());
  return nvrtc_abi::success;
}

Result nvrtcAddNameExpression(nvrtc_abi::ProgramHandle, const char*) {
  ENTER("nvrtcAddNameExpression");
  return nvrtc_abi::success;
}

// Expressions stay as they are: no template is among the kernels that the fakes know.
Result nvrtcGetLoweredName(nvrtc_abi::ProgramHandle, const char* expression, const char** lowered) {
  ENTER("nvrtcGetLoweredName");
  static std::set<std::string> names;
  *lowered = names.insert(expression).first->c_str();
  return nvrtc_abi::success;
}

}  // extern "C"
