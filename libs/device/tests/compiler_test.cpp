#include <functional>
#include <gtest/gtest.h>
#include <set>

#include <warpwright/device/compiler.hpp>

namespace warpwright::device {
namespace {

class NamedCompiler final : public Compiler {
 public:
  NamedCompiler(std::string version, std::string target) : version_(std::move(version)), target_(std::move(target)) {}
  std::string version() const override { return version_; }
  std::string target() const override { return target_; }
  bool needs_device() const override { return false; }
  Binary compile(const CompileJob&) override { return {}; }

 private:
  std::string version_, target_;
};

CompileJob full_job() {
  CompileJob job;
  job.source = "source";
  job.file_name = "file.cu";
  job.defines = {{"A", "1"}, {"B", "2"}};
  job.options = {"-O3"};
  job.include_folders = {"/include"};
  job.entries = {"f", "g"};
  return job;
}

TEST(CacheKey, EveryFieldCounts) {
  const NamedCompiler compiler("C 1.0", "sm_90");
  std::set<std::string> keys{cache_key(full_job(), compiler)};
  const std::vector<std::function<void(CompileJob&)>> changes{
      [](CompileJob& job) { job.source += " "; },
      [](CompileJob& job) { job.file_name = "other.cu"; },
      [](CompileJob& job) { job.defines[1].second = "3"; },
      [](CompileJob& job) { job.defines[1].first = "C"; },
      [](CompileJob& job) { std::swap(job.defines[0], job.defines[1]); },
      [](CompileJob& job) { job.defines.clear(); },
      [](CompileJob& job) { job.options.emplace_back("-G"); },
      [](CompileJob& job) {
        job.options = {"-O", "3"};
      },
      [](CompileJob& job) { job.include_folders.clear(); },
      [](CompileJob& job) { job.entries = {"fg"}; },
      [](CompileJob& job) {
        job.entries = {"g", "f"};
      },
      // The same words in another list.
      [](CompileJob& job) {
        job.options.clear();
        job.include_folders = {"-O3", "/include"};
      },
      [](CompileJob& job) {
        job.include_folders.clear();
        job.options = {"-O3", "/include"};
      },
  };
  for (const auto& change : changes) {
    CompileJob job = full_job();
    change(job);
    keys.insert(cache_key(job, compiler));
  }
  keys.insert(cache_key(full_job(), NamedCompiler("C 1.1", "sm_90")));
  keys.insert(cache_key(full_job(), NamedCompiler("C 1.0", "sm_86")));
  EXPECT_EQ(keys.size(), changes.size() + 3);
}

TEST(CacheKey, IsStable) {
  const NamedCompiler compiler("C 1.0", "sm_90");
  const std::string key = cache_key(full_job(), compiler);
  EXPECT_EQ(cache_key(full_job(), compiler), key);
  EXPECT_EQ(key.size(), 32u);
  EXPECT_EQ(key.find_first_not_of("0123456789abcdef"), std::string::npos);
}

}  // namespace
}  // namespace warpwright::device
