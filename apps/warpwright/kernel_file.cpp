#include "kernel_file.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <memory>
#include <set>
#include <unordered_set>

#include <warpwright/base/error.hpp>
#include <warpwright/base/files.hpp>
#include <warpwright/cuda/backend.hpp>
#include <warpwright/model/gpu_properties.hpp>
#include <warpwright/spec/source.hpp>

#include "backends.hpp"
#include "command.hpp"
#include "cuobjdump.hpp"
#include "kernel_metadata.hpp"

namespace warpwright::app {
namespace {

// One cubin of a file with its kernels.
struct Image {
  cuda::CubinDescription description;
  std::string member;                                // of an archive
  std::optional<cuda::ContainedBinary> contained{};  // its bytes, in those of the file
  std::string extracted{};                           // its bytes, where cuobjdump took them out
};

struct Images {
  std::shared_ptr<const std::string> bytes;  // of the file; binaries point into them
  std::vector<Image> images;
  std::string origin;
  std::vector<std::string> notes;
};

enum class FileKind { source, binary, ptx };

FileKind kind_of(const std::string& file, std::string_view bytes) {
  if (cuda::file_format(bytes) != cuda::FileFormat::unknown) return FileKind::binary;
  const std::filesystem::path path(file);
  if (path.extension() == ".ptx") return FileKind::ptx;
  // What only a binary has. A cubin by name that is none is refused by the reader, with the reason.
  if (path.extension() == ".cubin" || path.extension() == ".fatbin" || bytes.substr(0, 4096).find('\0') != bytes.npos)
    return FileKind::binary;
  return FileKind::source;
}

[[noreturn]] void refuse(const std::string& file, const Error& error) {
  throw Error(error.code() == ErrorCode::corrupted ? ErrorCode::bad_input : error.code(),
              fmt::format("--kernel '{}': {}", file, error.message()));
}

std::string origin_of(cuda::FileFormat format) {
  switch (format) {
    case cuda::FileFormat::fatbin:
      return "read from the fatbin";
    case cuda::FileFormat::host_program:
      return "read from the program";
    case cuda::FileFormat::archive:
      return "read from the archive";
    case cuda::FileFormat::cubin:
    case cuda::FileFormat::unknown:
      break;
  }
  return "read from the cubin";
}

// Targets of what a container holds beside binaries.
struct Unfinished {
  std::set<std::string> ptx, intermediate;
};

// Refuses a file without binaries, saying what it holds in their place.
[[noreturn]] void refuse_unfinished(const std::string& name, const Unfinished& unfinished) {
  if (!unfinished.intermediate.empty())
    throw Error(
        ErrorCode::bad_input,
        fmt::format("--kernel '{}' holds intermediate code for link-time optimisation (for {}), whose registers "
                    "are not allocated yet; link it first, with nvcc -dlto",
                    name, fmt::join(unfinished.intermediate, ", ")));
  if (!unfinished.ptx.empty())
    throw Error(ErrorCode::bad_input,
                fmt::format("--kernel '{}' holds PTX only (for {}), whose registers are not allocated yet; compile for "
                            "a real architecture too (nvcc -arch=sm_90)",
                            name, fmt::join(unfinished.ptx, ", ")));
  throw Error(ErrorCode::bad_input, fmt::format("--kernel '{}' holds no GPU binary", name));
}

// Adds the cubins of the container; relocatable ones are counted and left out.
void add_contained(Images& file, std::optional<Error>& relocatable, Unfinished& unfinished) {
  std::string storage;
  int left_out = 0;
  for (const auto& binary : cuda::list_binaries(*file.bytes)) {
    if (binary.kind == cuda::ContainedBinary::Kind::ptx) unfinished.ptx.insert(binary.target);
    if (binary.kind == cuda::ContainedBinary::Kind::intermediate) unfinished.intermediate.insert(binary.target);
    if (binary.kind != cuda::ContainedBinary::Kind::cubin) continue;
    try {
      file.images.push_back({cuda::describe_cubin(cuda::binary_bytes(binary, storage)), binary.member, binary});
    } catch (const Error& error) {
      if (error.code() != ErrorCode::unsupported) throw;
      relocatable = error;
      ++left_out;
    }
  }
  if (left_out > 0 && !file.images.empty())
    file.notes.push_back(
        fmt::format("{} relocatable binaries of the file are left out: their kernels are not linked yet", left_out));
}

Images read_images(const std::string& name, std::string bytes) {
  Images file;
  file.bytes = std::make_shared<const std::string>(std::move(bytes));
  const cuda::FileFormat format = cuda::file_format(*file.bytes);
  file.origin = origin_of(format);
  if (format == cuda::FileFormat::cubin || format == cuda::FileFormat::unknown) {
    try {
      Image& image = file.images.emplace_back();
      image.description = cuda::describe_cubin(*file.bytes);
      image.contained = cuda::ContainedBinary{};
      image.contained->stored = *file.bytes;
      image.contained->size = file.bytes->size();
    } catch (const Error& error) {
      refuse(name, error);
    }
    return file;
  }
  std::optional<Error> relocatable;
  Unfinished unfinished;
  try {
    add_contained(file, relocatable, unfinished);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::unsupported) refuse(name, error);
    file.images.clear();
    for (std::string& image : extract_with_cuobjdump(name, error.message())) {
      Image& extracted = file.images.emplace_back();
      extracted.extracted = std::move(image);
      try {
        extracted.description = cuda::describe_cubin(extracted.extracted);
      } catch (const Error& second) {
        refuse(name, second);
      }
    }
    file.origin += " by cuobjdump";
  }
  if (!file.images.empty()) return file;
  if (relocatable) refuse(name, *relocatable);
  refuse_unfinished(name, unfinished);
}

// "sm_90a" of "90a", "9.0" and "compute_90": the name that a binary's target has.
std::string canonical_target(const std::string& text) {
  if (text.starts_with("sm_")) return text;
  std::string target = architecture_properties(text).architecture;
  if (text.ends_with('a') || text.ends_with('f')) target += text.back();
  return target;
}

// What of the file the question is about: the target itself; of a device the most specific one of its architecture.
std::string choose_target(const Images& file, const std::string& name, const KernelTarget& wanted) {
  std::vector<std::string> there;
  for (const Image& image : file.images)
    if (std::find(there.begin(), there.end(), image.description.target) == there.end())
      there.push_back(image.description.target);
  std::string list;
  for (const auto& one : there) list += (list.empty() ? "" : ", ") + one;
  if (wanted.architecture.empty()) {
    if (there.size() > 1)
      throw Error(ErrorCode::bad_input,
                  fmt::format("--kernel '{}' holds binaries for {}; choose one with --arch", name, list));
    return there.front();
  }
  const std::string target = canonical_target(wanted.architecture);
  const auto has = [&](const std::string& one) { return std::find(there.begin(), there.end(), one) != there.end(); };
  if (wanted.of_a_device) {
    for (const char* variant : {"a", "f", ""})
      if (has(target + variant)) return target + variant;
  } else {
    if (has(target)) return target;
    // There is nothing to mix up where only one variant is there.
    std::vector<std::string> variants;
    for (const char* variant : {"a", "f"})
      if (has(target + variant)) variants.push_back(target + variant);
    if (variants.size() == 1) return variants.front();
  }
  throw Error(ErrorCode::bad_input, fmt::format("--kernel '{}' holds no binary for {}; it has {}", name, target, list));
}

struct Chosen {
  const Image* image = nullptr;
  const cuda::KernelDescription* kernel = nullptr;
};

// The kernel by name or as the only one, among those of all images of the target.
Chosen choose_kernel(const Images& file, const std::string& target, const KernelFileArguments& arguments) {
  std::vector<Chosen> all;
  std::unordered_set<std::string_view> known;
  for (const Image& image : file.images) {
    if (image.description.target != target) continue;
    // The same kernel in several objects, as templates are: one of them stands for all.
    for (const auto& kernel : image.description.kernels)
      if (known.insert(kernel.entry).second) all.push_back({&image, &kernel});
  }
  std::vector<const cuda::KernelDescription*> kernels;
  for (const Chosen& one : all) kernels.push_back(one.kernel);
  if (!arguments.entry.empty()) return all[cuda::find_kernel(kernels, arguments.entry)];
  if (all.size() == 1) return all.front();
  std::vector<std::string> names;
  for (const auto* kernel : kernels) names.push_back(kernel->name);
  throw Error(ErrorCode::bad_input, all.empty() ? fmt::format("'{}' has no kernel", arguments.file)
                                                : fmt::format("'{}' has {} kernels; choose one with --entry: {}",
                                                              arguments.file, all.size(), cuda::kernel_list(names)));
}

Binary as_binary(std::string image, const std::string& target, const KernelResources& kernel) {
  Binary binary;
  binary.backend = "cuda";
  binary.target = target;
  binary.format = "cubin";
  binary.image = std::move(image);
  binary.symbols[kernel.entry] = kernel.entry;
  binary.resources = {kernel};
  return binary;
}

// What a launch may need and no binary tells. `metadata` is what lies beside the binary, null for a source.
void add_untold(KernelFile& file, const KernelMetadata* metadata) {
  const cuda::KernelDescription& kernel = file.kernel;
  std::optional<KernelMetadata::Answer> told;
  if (metadata != nullptr) {
    told = metadata->dynamic_shared(kernel.entry);
    file.notes.insert(file.notes.end(), metadata->notes().begin(), metadata->notes().end());
  }
  if (told) {
    file.dynamic_shared = told->dynamic_shared;
    file.notes.push_back(
        fmt::format("dynamic shared memory, {} bytes, is taken from '{}'", told->dynamic_shared.count, told->file));
  } else if (kernel.untold_shared) {
    file.notes.push_back(
        "the kernel may use dynamic shared memory (extern __shared__), whose size only its launch tells: give it with "
        "--dynamic-shared, or the answer is that of 0 bytes");
  }
  if (kernel.needs_cluster)
    file.notes.push_back("the kernel wants a cluster, whose size only its launch tells: give it with --cluster");
}

KernelFile read_binary_file(const KernelFileArguments& arguments, std::string bytes, const KernelTarget& wanted) {
  Images images = read_images(arguments.file, std::move(bytes));
  const bool single = images.images.size() == 1 && images.origin == "read from the cubin";
  const std::string target =
      single ? images.images.front().description.target : choose_target(images, arguments.file, wanted);
  const Chosen chosen = choose_kernel(images, target, arguments);
  KernelFile file;
  file.architecture = chosen.image->description.architecture;
  file.target = target;
  file.kernel = *chosen.kernel;
  file.origin = images.origin + (chosen.image->member.empty() ? "" : ", " + chosen.image->member);
  file.notes = images.notes;
  file.notes.push_back("a cubin does not tell spilled bytes; compile the source to see them");
  const KernelMetadata metadata(arguments.file);
  add_untold(file, &metadata);
  // A binary can be as large as its file: it is copied for a device only.
  if (wanted.of_a_device) {
    std::string image;
    if (!chosen.image->contained) {
      image = chosen.image->extracted;
    } else {
      const std::string_view whole = cuda::binary_bytes(*chosen.image->contained, image);
      if (whole.data() != image.data()) image = std::string(whole);
    }
    file.binary = as_binary(std::move(image), target, file.kernel);
  }
  return file;
}

Binary compile(const KernelFileArguments& arguments, const std::string& architecture, std::string& version) {
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
  version = compiler->version();
  return compiler->compile(job);
}

// What the cubin tells of each kernel, with the compiler's resources of those that were asked for.
std::vector<cuda::KernelDescription> describe_compiled(const Binary& binary, cuda::CubinDescription& description) {
  description = cuda::describe_cubin(binary.image);
  std::vector<cuda::KernelDescription> kernels;
  for (const KernelResources& resources : binary.resources) {
    const auto symbol = binary.symbols.find(resources.entry);
    const std::string& name = symbol == binary.symbols.end() ? resources.entry : symbol->second;
    for (cuda::KernelDescription& kernel : description.kernels) {
      if (kernel.entry != name) continue;
      cuda::KernelDescription& compiled = kernels.emplace_back(kernel);
      static_cast<KernelResources&>(compiled) = resources;
    }
  }
  return kernels;
}

KernelFile compile_source(const KernelFileArguments& arguments, const std::string& architecture) {
  std::string version;
  KernelFile file;
  file.binary = compile(arguments, architecture, version);
  cuda::CubinDescription description;
  const auto kernels = describe_compiled(*file.binary, description);
  if (kernels.size() != 1) {
    std::vector<std::string> names;
    for (const auto& kernel : kernels) names.push_back(kernel.name);
    throw Error(ErrorCode::bad_input,
                kernels.empty()
                    ? fmt::format("'{}' has no kernel; a template needs --entry 'name<arguments>'", arguments.file)
                    : fmt::format("'{}' has {} kernels; choose one with --entry: {}", arguments.file, kernels.size(),
                                  cuda::kernel_list(names)));
  }
  file.kernel = kernels.front();
  if (file.binary->symbols.empty()) file.binary->symbols[file.kernel.entry] = file.kernel.entry;
  file.architecture = description.architecture;
  file.target = description.target;
  file.origin = "compiled by " + version;
  add_untold(file, nullptr);
  return file;
}

[[noreturn]] void refuse_ptx(const std::string& file) {
  throw Error(
      ErrorCode::bad_input,
      fmt::format("--kernel '{}' is PTX, whose registers are not allocated yet; give the CUDA source, or a .cubin "
                  "made with 'ptxas -arch=sm_90'",
                  file));
}

}  // namespace

KernelFile read_kernel_file(const KernelFileArguments& arguments, const KernelTarget& target) {
  std::string bytes = read_file(arguments.file);
  switch (kind_of(arguments.file, bytes)) {
    case FileKind::source:
      return compile_source(arguments, target.architecture);
    case FileKind::binary:
      return read_binary_file(arguments, std::move(bytes), target);
    case FileKind::ptx:
      break;
  }
  refuse_ptx(arguments.file);
}

KernelList list_kernels(const KernelFileArguments& arguments, const KernelTarget& wanted) {
  std::string bytes = read_file(arguments.file);
  const FileKind kind = kind_of(arguments.file, bytes);
  if (kind == FileKind::ptx) refuse_ptx(arguments.file);
  KernelList list;
  if (kind == FileKind::source) {
    std::string version;
    const Binary binary = compile(arguments, wanted.architecture, version);
    cuda::CubinDescription description;
    for (auto& kernel : describe_compiled(binary, description))
      list.kernels.push_back({description.architecture, description.target, {}, std::move(kernel), std::nullopt});
    list.origin = "compiled by " + version;
  } else {
    Images images = read_images(arguments.file, std::move(bytes));
    const std::string target =
        wanted.architecture.empty() ? std::string() : choose_target(images, arguments.file, wanted);
    const KernelMetadata metadata(arguments.file);
    for (Image& image : images.images) {
      if (!target.empty() && image.description.target != target) continue;
      for (auto& kernel : image.description.kernels) {
        const auto told = metadata.dynamic_shared(kernel.entry);
        list.kernels.push_back({image.description.architecture, image.description.target, image.member,
                                std::move(kernel), told ? std::optional(told->dynamic_shared) : std::nullopt});
      }
    }
    list.origin = images.origin;
    list.notes = images.notes;
    list.notes.insert(list.notes.end(), metadata.notes().begin(), metadata.notes().end());
    if (!arguments.entry.empty()) {
      std::vector<const cuda::KernelDescription*> kernels;
      std::unordered_set<std::string_view> known;
      for (const ListedKernel& one : list.kernels)
        if (known.insert(one.kernel.entry).second) kernels.push_back(&one.kernel);
      const std::string symbol = kernels[cuda::find_kernel(kernels, arguments.entry)]->entry;
      std::erase_if(list.kernels, [&](const ListedKernel& one) { return one.kernel.entry != symbol; });
    }
  }
  if (list.kernels.empty()) throw Error(ErrorCode::bad_input, fmt::format("'{}' has no kernel", arguments.file));
  return list;
}

}  // namespace warpwright::app
