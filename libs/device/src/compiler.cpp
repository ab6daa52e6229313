#include <warpwright/device/compiler.hpp>

#include <warpwright/base/hash.hpp>

namespace warpwright::device {

std::string cache_key(const CompileJob& job, const Compiler& compiler) {
  ContentHash hash;
  // Every list is preceded by its length, so that moving an item from one list to the next changes the key.
  const auto count = [&](std::size_t items) { hash.add(static_cast<std::uint64_t>(items)); };
  hash.add("warpwright binary 1");  // raised when the format of Binary changes its meaning
  hash.add(compiler.version()).add(compiler.target());
  hash.add(job.source).add(job.file_name);
  count(job.defines.size());
  for (const auto& [name, value] : job.defines) hash.add(name).add(value);
  count(job.options.size());
  for (const auto& option : job.options) hash.add(option);
  count(job.include_folders.size());
  for (const auto& folder : job.include_folders) hash.add(folder.string());
  count(job.entries.size());
  for (const auto& entry : job.entries) hash.add(entry);
  return hash.hex();
}

}  // namespace warpwright::device
