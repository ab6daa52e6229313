#include <warpwright/base/hash.hpp>
#include <warpwright/device/compiler.hpp>

namespace warpwright::device {

std::string source_with_defines(const CompileJob& job) {
  std::string text;
  for (const auto& [name, value] : job.defines) {
    // A definition of several lines is continued with backslashes, so that the preprocessor sees one.
    text += "#define " + name + " ";
    for (const char c : value) text += c == '\n' ? std::string("\\\n") : std::string(1, c);
    text += '\n';
  }
  std::string file;
  for (const char c : job.file_name) {
    if (c == '"' || c == '\\') file += '\\';
    if (c != '\n') file += c;
  }
  text += file.empty() ? "#line 1\n" : "#line 1 \"" + file + "\"\n";
  return text + job.source;
}

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
