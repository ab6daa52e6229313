// Compiling CUDA C++ with NVRTC to a cubin. PTX was rejected: the driver would compile it again at load time, on the
// thread that measures, and its register count would be known only then.
#include <algorithm>
#include <cstdlib>
#include <optional>
#include <sstream>
#include <utility>

#include <warpwright/base/error.hpp>
#include <warpwright/cuda/backend.hpp>

#include "cubin.hpp"
#include "cubin_description.hpp"
#include "kernel_names.hpp"
#include "nvrtc.hpp"
#include "toolkit.hpp"

namespace warpwright::cuda {

namespace {

using nvrtc_abi::Result;

// Compute capabilities with architecture-specific targets ("sm_90a"), as of CUDA 13.5. Code for such a target runs on
// exactly that compute capability.
constexpr int architecture_specific[] = {90, 100, 101, 103, 107, 110, 120, 121};
// Family-specific targets ("sm_100f") came with this release, for compute capabilities from 10.0 on.
constexpr int first_family_compute = 100, first_family_release = 1209;
// Integrated GPUs: their code is not interchangeable with that of discrete GPUs of the same major version.
constexpr int integrated[] = {53, 62, 72, 87, 101, 110};

bool contains(std::span<const int> numbers, int number) {
  return std::find(numbers.begin(), numbers.end(), number) != numbers.end();
}

// "gemm<4>" and "ns::f" need the name that the compiler makes of them; "gemm" may already be one.
bool is_name_expression(const std::string& entry) {
  return entry.find('<') != std::string::npos || entry.find("::") != std::string::npos;
}

// The program handle, destroyed whatever happens.
class Program {
 public:
  Program(const Nvrtc& nvrtc, const device::CompileJob& job) : nvrtc_(nvrtc) {
    const std::string name = job.file_name.empty() ? "kernel.cu" : job.file_name;
    const std::string source = device::source_with_defines(job);
    check(nvrtc_.api().create_program(&handle_, source.c_str(), name.c_str(), 0, nullptr, nullptr), "take the source");
  }
  ~Program() {
    if (handle_ != nullptr) nvrtc_.api().destroy_program(&handle_);
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  nvrtc_abi::ProgramHandle handle() const { return handle_; }

  // For failures that are not the source's fault.
  void check(Result result, const char* action) const {
    if (result == nvrtc_abi::success) return;
    const ErrorCode code = result == nvrtc_abi::out_of_memory               ? ErrorCode::out_of_memory
                           : result == nvrtc_abi::builtin_operation_failure ? ErrorCode::unavailable
                                                                            : ErrorCode::compile;
    std::string message = std::string("NVRTC cannot ") + action + ": " + nvrtc_.describe(result);
    if (result == nvrtc_abi::builtin_operation_failure) {
      message += "; libnvrtc-builtins must lie beside " + nvrtc_.path().string();
    }
    throw Error(code, message, NativeError{static_cast<std::int64_t>(result), nvrtc_.describe(result)});
  }

  std::string log() const {
    std::size_t size = 0;
    if (nvrtc_.api().get_program_log_size(handle_, &size) != nvrtc_abi::success || size <= 1) return {};
    std::string text(size, '\0');
    if (nvrtc_.api().get_program_log(handle_, text.data()) != nvrtc_abi::success) return {};
    text.resize(text.find('\0') == std::string::npos ? size : text.find('\0'));
    return text;
  }

 private:
  const Nvrtc& nvrtc_;
  nvrtc_abi::ProgramHandle handle_ = nullptr;
};

class NvrtcCompiler final : public device::Compiler {
 public:
  NvrtcCompiler(std::shared_ptr<const Nvrtc> nvrtc, std::string target, const Options& options)
      : nvrtc_(std::move(nvrtc)),
        target_(std::move(target)),
        headers_(find_toolkit_headers(options, nvrtc_->path())),
        bundled_headers_folder_(options.bundled_headers_folder) {}

  std::string version() const override { return "NVRTC " + nvrtc_->version_text(); }
  std::string target() const override { return target_; }
  bool needs_device() const override { return false; }
  Binary compile(const device::CompileJob& job) override;

 private:
  std::vector<std::string> command_line(const device::CompileJob& job) const;
  std::string explain(const std::string& log, const device::CompileJob& job) const;
  bool unpack_headers(const std::string& log);
  std::map<std::string, std::string> lowered_names(const Program& program, const device::CompileJob& job) const;

  std::shared_ptr<const Nvrtc> nvrtc_;
  std::string target_;
  ToolkitHeaders headers_;
  std::filesystem::path bundled_headers_folder_;
  std::string unpacking_failed_;  // why, after an attempt
};

// Makes ptxas report what kernels need: the only source of spill counts. It also makes ptxas drop some of its errors.
constexpr const char* report_option = "--ptxas-options=-v";

bool asks_for_report(const std::string& option) {
  return option == report_option || option == "-Xptxas=-v" || option == "-Xptxas=--verbose" ||
         option == "--ptxas-options=--verbose";
}

bool tells_error(const std::string& log) {
  std::istringstream lines(log);
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind("ptxas info", 0) == 0) continue;  // names kernels, which may be called anything
    if (line.find("error") != std::string::npos || line.find("fatal") != std::string::npos) return true;
  }
  return false;
}

// The header that a log says is missing: with include folders it "cannot", without any it "could not" be opened.
std::optional<std::string> missing_header(const std::string& log) {
  const std::string_view marker = " open source file \"";
  const auto at = log.find(marker);
  if (at == std::string::npos) return std::nullopt;
  const auto first = at + marker.size();
  return log.substr(first, log.find('"', first) - first);
}

bool sets_standard(const std::string& option) { return option.rfind("-std", 0) == 0 || option.rfind("--std", 0) == 0; }

bool sets_architecture(const std::string& option) {
  return option.rfind("-arch", 0) == 0 || option.rfind("--gpu-architecture", 0) == 0;
}

std::vector<std::string> NvrtcCompiler::command_line(const device::CompileJob& job) const {
  std::vector<std::string> line = {
      "--gpu-architecture=" + target_,
      // Functions without a qualifier are device code: sources shared with OpenCL have none.
      "-default-device", report_option};
  if (std::none_of(job.options.begin(), job.options.end(), sets_standard)) line.emplace_back("-std=c++17");
  for (const auto& folder : job.include_folders) line.push_back("-I" + folder.string());
  for (const auto& folder : headers_.include_folders()) line.push_back("-I" + folder.string());
  for (const auto& option : job.options) {
    if (sets_architecture(option)) {
      throw Error(ErrorCode::bad_input, "compiler option '" + option +
                                            "' names an architecture; leave it out: code is " +
                                            "compiled for the device that runs it (" + target_ + ")");
    }
    line.push_back(option);
  }
  return line;
}

// What the compiler's own log leaves open.
std::string NvrtcCompiler::explain(const std::string& log, const device::CompileJob& job) const {
  std::string text;
  if (const auto file = missing_header(log)) {
    const auto toolkit = headers_.include_folders();
    const bool nowhere = job.include_folders.empty() && toolkit.empty();
    text += "\n'" + *file + "' was looked for " + (nowhere ? "nowhere: there is no include folder" : "in:");
    for (const auto& folder : job.include_folders) text += "\n  " + folder.string();
    for (const auto& folder : toolkit) text += "\n  " + folder.string() + " (CUDA toolkit)";
    if (!unpacking_failed_.empty()) text += "\n" + unpacking_failed_;
    if (!headers_.include) {
      text += "\nThe headers of a CUDA toolkit were not found in:";
      for (const auto& folder : headers_.looked_in) text += "\n  " + folder.string();
      text += "\nInstall the toolkit's headers (cuda-cudart-dev) or name the toolkit's folder";
    }
  }
  if (log.find("__nv_name_map") != std::string::npos) {
    text += "\n'__nv_name_map' is the list of kernel entries asked for:";
    for (const auto& entry : job.entries) text += " '" + entry + "'";
  }
  if (!tells_error(log) || log.find("uses too much shared data") != std::string::npos) {
    for (const PtxasReport& report : parse_ptxas_log(log)) {
      constexpr std::uint64_t most_static_shared = 48 * 1024;
      if (report.static_shared && report.static_shared->count > most_static_shared) {
        text += "\nkernel '" + report.symbol + "' declares " + std::to_string(report.static_shared->count) +
                " bytes of static shared memory, which is more than " + target_ +
                " can have; above 49152 use dynamic shared memory (extern __shared__)";
      }
    }
  }
  return text;
}

// Whether another attempt may succeed, because NVRTC's own headers are there now.
bool NvrtcCompiler::unpack_headers(const std::string& log) {
  if (headers_.include || bundled_headers_folder_.empty() || !nvrtc_->has_bundled_headers() ||
      !unpacking_failed_.empty() || !missing_header(log)) {
    return false;
  }
  try {
    headers_.include = nvrtc_->install_bundled_headers(bundled_headers_folder_);
    return true;
  } catch (const Error& error) {
    unpacking_failed_ = error.message();
    return false;
  }
}

std::map<std::string, std::string> NvrtcCompiler::lowered_names(const Program& program,
                                                                const device::CompileJob& job) const {
  std::map<std::string, std::string> names;
  for (const auto& entry : job.entries) {
    if (!is_name_expression(entry)) continue;
    const char* lowered = nullptr;
    program.check(nvrtc_->api().get_lowered_name(program.handle(), entry.c_str(), &lowered),
                  ("tell the name of kernel '" + entry + "'").c_str());
    names[entry] = lowered;
  }
  return names;
}

Binary NvrtcCompiler::compile(const device::CompileJob& job) {
  std::vector<std::string> line = command_line(job);
  std::optional<Program> attempt;
  const auto compile_with = [&] {
    Program& program = attempt.emplace(*nvrtc_, job);
    for (const auto& entry : job.entries) {
      if (!is_name_expression(entry)) continue;
      program.check(nvrtc_->api().add_name_expression(program.handle(), entry.c_str()),
                    ("note the kernel entry '" + entry + "'").c_str());
    }
    std::vector<const char*> options;
    for (const auto& option : line) options.push_back(option.c_str());
    return nvrtc_->api().compile_program(program.handle(), static_cast<int>(options.size()), options.data());
  };
  Result result = compile_with();
  std::string log = attempt->log();
  if (result == nvrtc_abi::compilation && unpack_headers(log)) {
    line = command_line(job);
    result = compile_with();
    log = attempt->log();
  }
  if (result == nvrtc_abi::compilation && !tells_error(log)) {
    // What ptxas refused, it says without its report.
    std::erase_if(line, asks_for_report);
    if (compile_with() == nvrtc_abi::compilation) log = attempt->log() + log;
  }
  const Program& program = *attempt;
  if (result == nvrtc_abi::compilation || result == nvrtc_abi::invalid_option) {
    throw Error(ErrorCode::compile, (log.empty() ? nvrtc_->describe(result) : log) + explain(log, job),
                NativeError{static_cast<std::int64_t>(result), nvrtc_->describe(result)});
  }
  program.check(result, ("compile " + (job.file_name.empty() ? "the source" : "'" + job.file_name + "'")).c_str());

  Binary binary;
  binary.backend = "cuda";
  binary.target = target_;
  binary.format = "cubin";
  binary.log = log;
  std::size_t size = 0;
  program.check(nvrtc_->api().get_cubin_size(program.handle(), &size), "tell the size of the binary");
  if (size == 0) {
    throw Error(ErrorCode::compile, "NVRTC made no binary: an option such as -dlto asks for intermediate code only");
  }
  binary.image.resize(size);
  program.check(nvrtc_->api().get_cubin(program.handle(), binary.image.data()), "hand over the binary");

  const Cubin cubin = read_cubin(binary.image);
  binary.symbols = lowered_names(program, job);
  std::vector<KernelName> names;
  for (const CubinKernel& kernel : cubin.kernels) names.push_back(kernel_name(kernel.symbol));
  for (const auto& entry : job.entries) {
    if (!is_name_expression(entry)) binary.symbols[entry] = names[resolve_entry(entry, names, "the source")].symbol;
  }
  const std::vector<PtxasReport> reports = parse_ptxas_log(log);
  const auto add_resources = [&](const std::string& entry, const std::string& symbol) {
    for (const CubinKernel& kernel : cubin.kernels) {
      if (kernel.symbol == symbol) {
        const auto report = std::find_if(reports.begin(), reports.end(),
                                         [&](const PtxasReport& candidate) { return candidate.symbol == symbol; });
        binary.resources.push_back(
            resources_of(entry, kernel, cubin.constant, report == reports.end() ? nullptr : &*report));
        return;
      }
    }
    throw Error(ErrorCode::bad_input, "'" + entry + "' is not a kernel: the binary has no entry '" + symbol + "'");
  };
  for (const auto& entry : job.entries) add_resources(entry, binary.symbols.at(entry));
  if (job.entries.empty()) {
    for (const CubinKernel& kernel : cubin.kernels) add_resources(kernel.symbol, kernel.symbol);
  }
  return binary;
}

}  // namespace

std::optional<std::string> compile_target(int major, int minor, const std::vector<int>& supported) {
  const int wanted = major * 10 + minor;
  if (contains(supported, wanted)) {
    return "sm_" + std::to_string(wanted) + (contains(architecture_specific, wanted) ? "a" : "");
  }
  if (contains(integrated, wanted)) return std::nullopt;
  for (int candidate = wanted - 1; candidate >= major * 10; --candidate) {
    if (contains(supported, candidate) && !contains(integrated, candidate)) return "sm_" + std::to_string(candidate);
  }
  return std::nullopt;
}

std::unique_ptr<device::Compiler> make_compiler(std::shared_ptr<const Nvrtc> nvrtc, std::string target,
                                                const Options& options) {
  return std::make_unique<NvrtcCompiler>(std::move(nvrtc), std::move(target), options);
}

std::unique_ptr<device::Compiler> make_device_compiler(std::shared_ptr<const Nvrtc> nvrtc, const DeviceInfo& device,
                                                       const Options& options) {
  int number = 0;
  const std::string digits = device.architecture.rfind("sm_", 0) == 0 ? device.architecture.substr(3) : "";
  if (digits.empty() || digits.size() > 4 || digits.find_first_not_of("0123456789") != std::string::npos) {
    throw Error(ErrorCode::bad_input, "device " + device.id.to_string() + " has architecture '" + device.architecture +
                                          "'; the cuda backend compiles for \"sm_NN\"");
  }
  number = std::stoi(digits);
  const auto target = compile_target(number / 10, number % 10, nvrtc->architectures());
  if (!target) {
    throw Error(ErrorCode::unsupported, "NVRTC " + nvrtc->version_text() + " cannot compile for " + device.name + " (" +
                                            device.architecture + "): it knows " + nvrtc->architecture_list() +
                                            "; install an " +
                                            (number < nvrtc->architectures().front() ? "older" : "newer") +
                                            " CUDA toolkit and name its folder");
  }
  return make_compiler(std::move(nvrtc), *target, options);
}

std::unique_ptr<device::Compiler> make_nvrtc_compiler(const std::string& architecture, Options options) {
  auto nvrtc = Nvrtc::load(options);
  const std::string text = architecture.rfind("sm_", 0) == 0 ? architecture.substr(3) : architecture;
  const auto digits = std::min(text.find_first_not_of("0123456789"), text.size());
  const std::string suffix = text.substr(digits);
  if (digits < 2 || digits > 4 || !(suffix.empty() || suffix == "a" || suffix == "f")) {
    throw Error(ErrorCode::bad_input,
                "'" + architecture + "' is not a CUDA architecture; right are sm_90, sm_90a or 90");
  }
  const int number = std::stoi(text.substr(0, digits));
  const bool has_variant = suffix.empty() || (suffix == "a" && contains(architecture_specific, number)) ||
                           (suffix == "f" && number >= first_family_compute &&
                            nvrtc->major() * 100 + nvrtc->minor() >= first_family_release);
  if (!contains(nvrtc->architectures(), number) || !has_variant) {
    std::string message = "NVRTC " + nvrtc->version_text() + " cannot compile for sm_" + text + "; it knows " +
                          nvrtc->architecture_list();
    message += " and, with architecture-specific features,";
    for (const int candidate : architecture_specific) {
      if (contains(nvrtc->architectures(), candidate)) message += " sm_" + std::to_string(candidate) + "a";
    }
    throw Error(ErrorCode::unsupported, message);
  }
  return make_compiler(std::move(nvrtc), "sm_" + text, options);
}

std::vector<std::string> nvrtc_architectures(const Options& options) {
  std::vector<std::string> names;
  const auto nvrtc = Nvrtc::load(options);
  for (const int architecture : nvrtc->architectures()) {
    names.push_back("sm_" + std::to_string(architecture));
  }
  return names;
}

}  // namespace warpwright::cuda
