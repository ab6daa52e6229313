// Problems of several sources at run time: what identifies them, and a tuned kernel that brings its own scratch.
#include <algorithm>
#include <filesystem>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <span>
#include <string>
#include <vector>

#include <warpwright/base/hash.hpp>
#include <warpwright/runtime/identity.hpp>
#include <warpwright/runtime/tuned_kernel.hpp>
#include <warpwright/sim/backend.hpp>
#include <warpwright/spec/problem_builder.hpp>

#include "error_of.hpp"

namespace warpwright::runtime {
namespace {

using ::testing::HasSubstr;

constexpr const char* source = "[kernels.add]\nbehaviour = \"vector_add\"\n";

// c = (a + b) + b, with a + b in scratch between two stages of one entry name.
Problem staged(std::optional<Fill> restored = {}) {
  Problem problem = spec::ProblemBuilder("staged")
                        .dimension("n", std::int64_t{1000})
                        .parameter("block_x", {std::int64_t{32}, std::int64_t{128}}, {}, ParameterRole::block)
                        .output("c", DataType::float32, "n", 0, 0)
                        .input("a", DataType::float32, "n")
                        .input("b", DataType::float32, "n")
                        .scratch("s", DataType::float32, "n", 1, std::move(restored))
                        .source_text(source, "sim")
                        .stage("first")
                        .launch("add", {"block_x"}, {"ceil_div(n, block_x)"}, {"s", "a", "b", "n"})
                        .stage("second")
                        .launch("add", {"block_x"}, {"ceil_div(n, block_x)"}, {"c", "s", "b", "n"})
                        .build();
  problem.stages[1].source.by_backend["sim"] = SourceText{"second", std::string(source) + "# of the second\n"};
  return problem;
}

TEST(Identity, OfAProblemOfOneSourceIsThatOfItsTextDefinitionsAndEntries) {
  Problem problem;
  problem.name = "add";
  problem.source.by_backend["sim"] = SourceText{"add", source};
  problem.options["sim"] = {"-fast"};
  problem.defines = {{"HALF", Expression::parse("n // 2")}};
  Launch launch;
  launch.entry = "add";
  problem.launches = {launch};
  // As it was before there were stages: stored profiles are found by it.
  ContentHash hash;
  hash.add(source).add("-fast").add("defines").add("HALF").add("n // 2").add("launches").add("add");
  EXPECT_EQ(source_hash(problem, "sim"), hash.hex());
}

TEST(Identity, OfStagesHasTheirSourcesAndWhatEachLaunchRunsFrom) {
  const std::string hash = source_hash(staged(), "sim");
  EXPECT_EQ(source_hash(staged(), "sim"), hash);
  const auto changed = [&](auto change) {
    Problem problem = staged();
    change(problem);
    return source_hash(problem, "sim");
  };
  EXPECT_NE(changed([](Problem& p) { p.stages[1].source.by_backend["sim"].text += "#"; }), hash);
  EXPECT_NE(changed([](Problem& p) { p.source.by_backend["sim"].text += "#"; }), hash) << "which the first shares";
  EXPECT_NE(changed([](Problem& p) { p.stages[0].options["sim"] = {"-fast"}; }), hash);
  EXPECT_NE(changed([](Problem& p) { p.stages[0].defines = {{"X", Expression::parse("1")}}; }), hash);
  EXPECT_NE(changed([](Problem& p) { p.launches[1].stage = "first"; }), hash);
  Problem without = staged();
  without.stages[1].source.by_backend.clear();
  without.stages[1].source.by_backend["cuda"] = SourceText{"second", "x"};
  EXPECT_THAT(error_of([&] { source_hash(without, "sim"); }).what(),
              HasSubstr("stage 'second' has no source for the 'sim' backend"));
}

class StagedKernel : public ::testing::Test {
 protected:
  StagedKernel()
      : folder_(std::filesystem::temp_directory_path() /
                ("warpwright-staged-" + std::to_string(reinterpret_cast<std::uintptr_t>(this)))),
        profiles((std::filesystem::create_directories(folder_), folder_ / "profiles.sqlite")),
        backend(sim::make_backend()),
        context(backend->open(DeviceId::parse("sim:0"))),
        stream(context->create_stream()) {}
  ~StagedKernel() override { std::filesystem::remove_all(folder_); }

  // The results of `times` launches, one after the other.
  bool right(TunedKernel& tuned, std::int64_t n, int times, bool give_scratch = false) {
    const Bytes bytes{static_cast<std::uint64_t>(n) * sizeof(float)};
    const auto a = context->allocate(bytes), b = context->allocate(bytes), c = context->allocate(bytes),
               s = context->allocate(bytes);
    std::vector<float> values(static_cast<std::size_t>(n), 1.5F), sums(values.size());
    for (auto* input : {a.get(), b.get()}) stream->copy_to_device(*input, Bytes{}, std::as_bytes(std::span(values)));
    std::map<std::string, device::Buffer*> buffers{{"a", a.get()}, {"b", b.get()}, {"c", c.get()}};
    if (give_scratch) buffers["s"] = s.get();
    for (int i = 0; i < times; ++i) tuned.launch(*stream, {{"n", n}}, buffers);
    stream->copy_to_host(std::as_writable_bytes(std::span(sums)), *c, Bytes{});
    std::vector<float> between(sums.size());
    if (give_scratch) stream->copy_to_host(std::as_writable_bytes(std::span(between)), *s, Bytes{});
    stream->synchronize();
    if (give_scratch && between.back() != 3.0F) return false;
    return std::all_of(sums.begin(), sums.end(), [](float sum) { return sum == 4.5F; });
  }

 private:
  std::filesystem::path folder_;

 protected:
  store::ProfileDatabase profiles;
  std::unique_ptr<device::Backend> backend;
  std::unique_ptr<device::Context> context;
  std::unique_ptr<device::Stream> stream;
};

TEST_F(StagedKernel, LaunchesEveryStageWithScratchOfItsOwn) {
  TunedKernel tuned(staged(), *backend, *context, profiles);
  EXPECT_TRUE(right(tuned, 1000, 1));
  EXPECT_TRUE(right(tuned, 333, 2)) << "another size has scratch of another size";
  EXPECT_TRUE(right(tuned, 1000, 1, true)) << "a buffer that is given is taken";
}

TEST_F(StagedKernel, ScratchWithAnInitIsPutBackBeforeEachLaunch) {
  TunedKernel tuned(staged(Fill(FillConstant{7})), *backend, *context, profiles);
  EXPECT_TRUE(right(tuned, 1000, 3));
}

}  // namespace
}  // namespace warpwright::runtime
