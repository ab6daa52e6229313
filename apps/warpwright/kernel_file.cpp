#include "kernel_file.hpp"

#include <algorithm>
#include <cstdlib>
#include <fcntl.h>
#include <fmt/format.h>
#include <map>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <warpwright/base/error.hpp>
#include <warpwright/base/files.hpp>
#include <warpwright/cuda/backend.hpp>
#include <warpwright/model/gpu_properties.hpp>
#include <warpwright/spec/source.hpp>

#include "backends.hpp"
#include "command.hpp"

extern char** environ;

namespace warpwright::app {
namespace {

constexpr std::string_view elf_magic(
    "\x7f"
    "ELF",
    4);
constexpr std::string_view fatbin_magic("\x50\xed\x55\xba", 4);
constexpr std::size_t elf_machine_offset = 18;
constexpr unsigned char elf_machine_cuda = 190;

enum class FileKind { source, cubin, fatbin, ptx };

FileKind kind_of(const std::string& file, std::string_view bytes) {
  if (bytes.starts_with(elf_magic)) {
    const bool cuda = bytes.size() > elf_machine_offset + 1 &&
                      static_cast<unsigned char>(bytes[elf_machine_offset]) == elf_machine_cuda &&
                      bytes[elf_machine_offset + 1] == 0;
    return cuda ? FileKind::cubin : FileKind::fatbin;  // a program of the host may hold GPU binaries
  }
  if (bytes.starts_with(fatbin_magic)) return FileKind::fatbin;
  const std::filesystem::path path(file);
  if (path.extension() == ".ptx") return FileKind::ptx;
  // What only a binary has. A cubin by name that is none is refused by the reader, with the reason.
  if (path.extension() == ".cubin" || path.extension() == ".fatbin" || bytes.substr(0, 4096).find('\0') != bytes.npos)
    return FileKind::cubin;
  return FileKind::source;
}

// The file's kernel, by name or as its only one.
const KernelResources& choose(const cuda::CubinDescription& description, const KernelFileArguments& arguments) {
  if (!arguments.entry.empty()) return cuda::find_kernel(description, arguments.entry);
  if (description.kernels.size() == 1) return description.kernels.front();
  std::string names;
  for (const auto& kernel : description.kernels) names += (names.empty() ? "" : ", ") + kernel.entry;
  throw Error(ErrorCode::bad_input,
              description.kernels.empty()
                  ? fmt::format("'{}' has no kernel; a template needs --entry 'name<arguments>'", arguments.file)
                  : fmt::format("'{}' has {} kernels; choose one with --entry: {}", arguments.file,
                                description.kernels.size(), names));
}

device::Binary as_binary(std::string image, const std::string& architecture, const KernelResources& kernel) {
  device::Binary binary;
  binary.backend = "cuda";
  binary.target = architecture;
  binary.format = "cubin";
  binary.image = std::move(image);
  binary.symbols[kernel.entry] = kernel.entry;
  binary.resources = {kernel};
  return binary;
}

KernelFile read_cubin_file(const KernelFileArguments& arguments, std::string image, const std::string& origin) {
  cuda::CubinDescription description;
  try {
    description = cuda::describe_cubin(image);
  } catch (const Error& error) {
    throw Error(ErrorCode::bad_input, fmt::format("--kernel '{}': {}", arguments.file, error.message()));
  }
  KernelFile file;
  file.architecture = description.architecture;
  file.resources = choose(description, arguments);
  file.binary = as_binary(std::move(image), description.architecture, file.resources);
  file.origin = origin;
  file.notes.push_back("a cubin does not tell spilled bytes; compile the source to see them");
  return file;
}

KernelFile compile_source(const KernelFileArguments& arguments, const std::string& architecture) {
  if (architecture.empty())
    throw Error(ErrorCode::bad_input,
                fmt::format("--kernel '{}' is source code: name what to compile it for with --arch "
                            "(e.g. --arch sm_90) or --device",
                            arguments.file));
  device::CompileJob job;
  std::vector<std::filesystem::path> folders(arguments.include_folders.begin(), arguments.include_folders.end());
  const SourceText source = spec::load_source(arguments.file, folders);
  job.source = source.text;
  job.file_name = source.file.string();
  job.include_folders = folders;
  job.defines.emplace_back("WARPWRIGHT_CUDA", "1");
  for (const auto& text : arguments.defines) {
    const auto equals = text.find('=');
    job.defines.emplace_back(text.substr(0, equals), equals == std::string::npos ? "1" : text.substr(equals + 1));
  }
  job.options = arguments.options;
  if (!arguments.entry.empty()) job.entries = {arguments.entry};
  // "9.0" and "compute_90" are the table's names, not the compiler's.
  const bool plain =
      architecture.starts_with("sm_") || architecture.find_first_not_of("0123456789af") == std::string::npos;
  const auto compiler = cuda::make_nvrtc_compiler(
      plain ? architecture : architecture_properties(architecture).architecture, cuda_options());
  KernelFile file;
  file.binary = compiler->compile(job);
  cuda::CubinDescription description;
  description.kernels = file.binary->resources;
  file.resources = arguments.entry.empty() ? choose(description, arguments) : description.kernels.front();
  if (file.binary->symbols.empty()) file.binary->symbols[file.resources.entry] = file.resources.entry;
  file.architecture = cuda::describe_cubin(file.binary->image).architecture;
  file.origin = "compiled by " + compiler->version();
  return file;
}

// A folder that is removed with what is in it.
class Scratch {
 public:
  Scratch() {
    std::string name = (std::filesystem::temp_directory_path() / "warpwright-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw Error(ErrorCode::io, "cannot make a temporary folder " + name);
    path_ = name;
  }
  ~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// cuobjdump of the toolkits, else of PATH; runs in `folder`, its output goes to a file there.
void run_cuobjdump(const std::string& file, const std::filesystem::path& folder) {
  std::string program = "cuobjdump";
  auto toolkits = cuda_options().toolkit_folders;
  toolkits.emplace_back("/usr/local/cuda");
  for (const auto& toolkit : toolkits)
    if (access((toolkit / "bin/cuobjdump").c_str(), X_OK) == 0) {
      program = toolkit / "bin/cuobjdump";
      break;
    }
  const std::string input = std::filesystem::absolute(file).string();
  const std::string log = (folder / "log").string();
  std::vector<std::string> words = {program, "-xelf", "all", input};
  std::vector<char*> arguments;
  for (auto& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addchdir_np(&actions, folder.c_str());
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
  pid_t child = 0;
  const int failed = posix_spawnp(&child, program.c_str(), &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failed != 0)
    throw Error(
        ErrorCode::unavailable,
        fmt::format("--kernel '{}' is a container of binaries whose format is not published: cuobjdump takes it "
                    "apart, and was not found in PATH or a CUDA toolkit; install cuda-cuobjdump, or give a .cubin",
                    file));
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    throw Error(ErrorCode::bad_input, fmt::format("--kernel '{}': cuobjdump refuses it: {}", file, read_file(log)));
}

KernelFile read_fatbin(const KernelFileArguments& arguments, const std::string& architecture) {
  const Scratch scratch;
  run_cuobjdump(arguments.file, scratch.path());
  std::map<std::string, std::vector<std::string>> images;  // by architecture
  for (const auto& entry : std::filesystem::directory_iterator(scratch.path())) {
    if (entry.path().extension() != ".cubin") continue;
    std::string image = read_file(entry.path());
    images[cuda::describe_cubin(image).architecture].push_back(std::move(image));
  }
  std::string there;
  for (const auto& [name, list] : images) there += (there.empty() ? "" : ", ") + name;
  if (images.empty())
    throw Error(ErrorCode::bad_input, fmt::format("--kernel '{}' holds no GPU binary", arguments.file));
  const std::string wanted = architecture.empty() ? std::string() : architecture_properties(architecture).architecture;
  if (wanted.empty() && images.size() > 1)
    throw Error(ErrorCode::bad_input,
                fmt::format("--kernel '{}' holds binaries for {}; choose one with --arch", arguments.file, there));
  const auto found = wanted.empty() ? images.begin() : images.find(wanted);
  if (found == images.end())
    throw Error(ErrorCode::bad_input,
                fmt::format("--kernel '{}' holds no binary for {}; it has {}", arguments.file, wanted, there));
  // One architecture may have several images, one per translation unit: the first that has the entry.
  std::optional<Error> missing;
  for (auto& image : found->second) {
    try {
      return read_cubin_file(arguments, std::move(image), "read from the fatbin by cuobjdump");
    } catch (const Error& error) {
      missing = error;
    }
  }
  throw *missing;
}

}  // namespace

KernelFile read_kernel_file(const KernelFileArguments& arguments, const std::string& architecture) {
  const std::string bytes = read_file(arguments.file);
  switch (kind_of(arguments.file, bytes)) {
    case FileKind::source:
      return compile_source(arguments, architecture);
    case FileKind::cubin:
      return read_cubin_file(arguments, bytes, "read from the cubin");
    case FileKind::fatbin:
      return read_fatbin(arguments, architecture);
    case FileKind::ptx:
      break;
  }
  throw Error(
      ErrorCode::bad_input,
      fmt::format("--kernel '{}' is PTX, whose registers are not allocated yet; give the CUDA source, or a .cubin "
                  "made with 'ptxas -arch=sm_90'",
                  arguments.file));
}

}  // namespace warpwright::app
