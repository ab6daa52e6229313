#include <algorithm>
#include <fmt/format.h>
#include <utility>

#include <warpwright/base/error.hpp>
#include <warpwright/device/compiler.hpp>

#include "backend.hpp"
#include "handles.hpp"
#include "include_links.hpp"
#include "program.hpp"

namespace warpwright::opencl {

namespace {

std::string complete_options(const device::CompileJob& job, bool nvidia, IncludeLinks& links) {
  const auto named = [&](std::string_view prefix) {
    return std::any_of(job.options.begin(), job.options.end(),
                       [&](const std::string& option) { return option.starts_with(prefix); });
  };
  std::string text;
  const auto add = [&](const std::string& option) { text += (text.empty() ? "" : " ") + option; };
  if (!named("-cl-std=")) add("-cl-std=CL1.2");
  if (nvidia && !named("-cl-nv-verbose")) add("-cl-nv-verbose");
  if (!named("-cl-kernel-arg-info")) add("-cl-kernel-arg-info");
  for (const auto& folder : job.include_folders) add("-I " + links.plain(folder));
  for (const auto& option : job.options) add(option);
  return text;
}

class OpenclCompiler final : public device::Compiler {
 public:
  OpenclCompiler(std::shared_ptr<const Api> api, FoundDevice found) : api_(std::move(api)), found_(std::move(found)) {}

  std::string version() const override { return found_.info.toolkit + ", driver " + found_.info.driver; }
  std::string target() const override {
    const bool named = found_.info.architecture.starts_with("sm_");
    return named ? found_.info.name + " (" + found_.info.architecture + ")" : found_.info.name;
  }
  bool needs_device() const override { return true; }

  Binary compile(const device::CompileJob& job) override {
    const std::string source = device::source_with_defines(job);
    const std::string options = complete_options(job, found_.nvidia_compiler_options, links_);
    const std::string file = job.file_name.empty() ? "the source" : job.file_name;
    const char* text = source.data();
    const std::size_t length = source.size();
    abi::Int status = abi::success;
    OwnedProgram program(api_, api_->create_program_with_source(context(), 1, &text, &length, &status));
    check(status, Stage::build, "clCreateProgramWithSource", "compile " + file);
    status = api_->build_program(program.get(), 1, &found_.device, options.c_str(), nullptr, nullptr);
    Binary binary;
    binary.log = links_.with_folders(build_log(*api_, program.get(), found_.device));
    if (status != abi::success) throw_build_failure(status, file, options, binary.log);
    binary.backend = "opencl";
    binary.target = target();
    binary.format = "clbin";
    binary.image = image_of(program.get());
    const auto registers = parse_ptxas_registers(binary.log);
    for (const auto& entry : job.entries) {
      binary.symbols[entry] = entry;
      OwnedKernel kernel(api_, api_->create_kernel(program.get(), entry.c_str(), &status));
      if (status != abi::success) continue;  // Module::kernel() says which kernels there are
      KernelResources resources = query_resources(*api_, kernel.get(), found_.device, entry);
      if (const auto found = registers.find(entry); found != registers.end())
        resources.registers_per_thread = found->second;
      binary.resources.push_back(std::move(resources));
      // A program made from the binary no longer knows (PoCL).
      if (auto parameters = query_parameters(*api_, kernel.get())) binary.parameters[entry] = *std::move(parameters);
    }
    return binary;
  }

 private:
  // OpenCL compiles within a context; made on first use and kept, because making one takes longer than many builds.
  abi::Context context() {
    if (context_) return context_.get();
    abi::Int status = abi::success;
    OwnedContext context(api_, api_->create_context(nullptr, 1, &found_.device, nullptr, nullptr, &status));
    check(status, Stage::open, "clCreateContext", "open device " + found_.info.id.to_string() + " to compile for it");
    context_ = std::move(context);
    return context_.get();
  }

  [[noreturn]] static void throw_build_failure(abi::Int status, const std::string& file, const std::string& options,
                                               const std::string& log) {
    // The log alone is what the user wants to read, if there is one; the driver's word for it is in native().
    NativeError native{status, std::string(status_name(status))};
    if (!log.empty() && status == abi::build_program_failure) {
      // NVIDIA's compiler takes no notice of #line.
      const bool named = log.find(file) != std::string::npos;
      throw Error(ErrorCode::compile, named ? log : "in " + file + ", lines counted with its includes inlined:\n" + log,
                  std::move(native));
    }
    check(status, Stage::build, "clBuildProgram",
          fmt::format("compile {} with options '{}'{}{}", file, options,
                      log.empty() ? "; the compiler gave no log" : ": ", log));
    throw Error(ErrorCode::internal, "a build failed with CL_SUCCESS");
  }

  std::string image_of(abi::Program program) const {
    std::size_t size = 0;
    check(api_->get_program_info(program, abi::program_binary_sizes, sizeof(size), &size, nullptr), Stage::query,
          "clGetProgramInfo", "read the size of the binary");
    if (size == 0) throw Error(ErrorCode::compile, "the OpenCL driver made no binary of the program");
    std::string image(size, '\0');
    auto* bytes = reinterpret_cast<unsigned char*>(image.data());
    check(api_->get_program_info(program, abi::program_binaries, sizeof(bytes), &bytes, nullptr), Stage::query,
          "clGetProgramInfo", "read the binary");
    return image;
  }

  std::shared_ptr<const Api> api_;
  FoundDevice found_;
  IncludeLinks links_{default_place_of_links()};
  OwnedContext context_;
};

}  // namespace

std::unique_ptr<device::Compiler> make_compiler(std::shared_ptr<const Api> api, FoundDevice found) {
  return std::make_unique<OpenclCompiler>(std::move(api), std::move(found));
}

}  // namespace warpwright::opencl
