#include "compiler.hpp"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <thread>

namespace warpwright::sim {

namespace {

class SimCompiler final : public device::Compiler {
 public:
  SimCompiler(std::shared_ptr<const World> world, const DeviceInfo& info)
      : world_(std::move(world)), toolkit_(info.toolkit), target_(info.name) {}

  std::string version() const override { return toolkit_; }
  std::string target() const override { return target_; }
  bool needs_device() const override { return false; }

  Binary compile(const device::CompileJob& job) override {
    const std::string file = job.file_name.empty() ? "<source>" : job.file_name;
    if (!job.options.empty())
      throw Error(ErrorCode::compile,
                  fmt::format("{}: error: the simulated compiler has no options, not '{}'", file, job.options.front()));
    const Program program = parse_program(job.source, job.file_name, job.defines, world_->behaviours, job.entries);
    Binary binary;
    binary.backend = "sim";
    binary.target = target_;
    binary.format = "sim";
    binary.image = make_image(job.source, job.file_name, job.defines, job.entries);
    for (const auto& [entry, kernel] : program.kernels) {
      const bool wanted =
          job.entries.empty() || std::find(job.entries.begin(), job.entries.end(), entry) != job.entries.end();
      if (!wanted) continue;
      binary.symbols[entry] = entry;
      try {
        binary.resources.push_back(compile_kernel(program, kernel, file));
      } catch (const Error& error) {
        if (error.code() == ErrorCode::compile) throw;
        throw Error(ErrorCode::compile, fmt::format("{}: error: kernel '{}': {}", file, entry, error.what()));
      }
      const KernelResources& resources = binary.resources.back();
      binary.log += fmt::format("{}: kernel '{}': {} registers, {} bytes of static shared memory\n", file, entry,
                                *resources.registers_per_thread, resources.static_shared->count);
    }
    return binary;
  }

 private:
  static KernelResources compile_kernel(const Program& program, const KernelText& kernel, const std::string& file) {
    const Scope scope = compile_scope(program);
    if (holds(kernel, "crash_compile_if", scope)) std::abort();
    // Real time, here and below: deadlines of compile workers run on the real clock, and tests of them need a compiler
    // that really takes long or never ends.
    while (holds(kernel, "hang_compile_if", scope)) std::this_thread::sleep_for(std::chrono::hours(1));
    const double milliseconds = number_or(kernel, "compile_ms", scope, 0);
    if (milliseconds > 0) std::this_thread::sleep_for(std::chrono::duration<double, std::milli>(milliseconds));
    if (holds(kernel, "compile_error_if", scope))
      throw Error(ErrorCode::compile,
                  fmt::format("{}: error: kernel '{}': refused by 'compile_error_if'", file, kernel.entry));
    return evaluate_resources(program, kernel);
  }

  std::shared_ptr<const World> world_;
  std::string toolkit_, target_;
};

}  // namespace

std::unique_ptr<device::Compiler> make_compiler(std::shared_ptr<const World> world, const DeviceInfo& info) {
  return std::make_unique<SimCompiler>(std::move(world), info);
}

}  // namespace warpwright::sim
