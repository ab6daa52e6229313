// The binaries of a configuration whose launches run from several sources: joined to one, so that it travels, is kept
// and is loaded as the binary of one source is. Names: the entry "step" of the stage "force" is "force/step"; of the
// problem's own source just "step". Rejected: linking the sources to one module, which OpenCL 1.2 and NVRTC each do in
// their own way and which lets names of one stage collide with those of another.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <warpwright/device/context.hpp>

namespace warpwright::measure {

// "stage/entry"; the entry alone where the stage has no name.
std::string label_of(std::string_view stage, std::string_view entry);

struct StageBinary {
  std::string stage;
  Binary binary;
};

// Entries become labels. The backend and target are those of the first; the log has all of them.
Binary join_binaries(std::vector<StageBinary> binaries);
// A binary that was not joined is its own only part, without a stage. Throws Error(corrupted) for an image that ends
// early.
std::vector<StageBinary> split_binary(const Binary& binary);

// The loaded modules of a binary. One thread only, as its context.
class ModuleSet {
 public:
  // Throws what Context::load() throws.
  ModuleSet(device::Context& context, const Binary& binary);

  // Throws Error(not_found) for a label whose stage is not loaded, and as Module::kernel() does.
  std::unique_ptr<device::Kernel> kernel(const std::string& label);
  // Of every module that has it.
  std::vector<std::unique_ptr<device::Buffer>> symbols(const std::string& name);

 private:
  struct Part {
    std::string stage;
    std::unique_ptr<device::Module> module;
  };
  std::vector<Part> parts_;
};

}  // namespace warpwright::measure
