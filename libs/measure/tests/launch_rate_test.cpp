// Kernels of known device time on hosts whose calls take time, by the simulated device's own clock: what a sample says
// of the kernel where the host is the slower one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <warpwright/base/error.hpp>
#include <warpwright/measure/timing.hpp>
#include <warpwright/sim/backend.hpp>

namespace warpwright::measure {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// Counts what is compiled, and refuses it where it is told to.
class WatchedCompiler final : public device::Compiler {
 public:
  explicit WatchedCompiler(std::unique_ptr<device::Compiler> compiler) : compiler_(std::move(compiler)) {}
  std::string version() const override { return compiler_->version(); }
  std::string target() const override { return compiler_->target(); }
  bool needs_device() const override { return compiler_->needs_device(); }
  Binary compile(const device::CompileJob& job) override {
    ++compiled;
    if (refuses) throw Error(ErrorCode::compile, "no such instruction");
    return compiler_->compile(job);
  }
  int compiled = 0;
  bool refuses = false;

 private:
  std::unique_ptr<device::Compiler> compiler_;
};

class LaunchRate : public ::testing::Test {
 protected:
  static constexpr bool graphs = true, no_graphs = false;

  void open(bool with_graphs, sim::Options options = {}) {
    cover.reset();
    kernel.reset();
    module.reset();
    flusher.reset();
    stream.reset();
    options.device.supports_graphs = with_graphs;
    options.move_bytes = false;
    backend = sim::make_backend(options);
    context = backend->open(DeviceId::parse("sim:0"));
    compiler = backend->compiler(context->device());
    stream = context->create_stream();
    clock = sim::virtual_clock(*context);
    flusher = std::make_unique<CacheFlusher>(*context, *compiler, *stream);
    cover_compiler = std::make_unique<WatchedCompiler>(backend->compiler(context->device()));
    cover = std::make_unique<CoverKernel>(*context, *cover_compiler, [this](LogLevel level, std::string_view text) {
      if (level == LogLevel::warning) warnings.emplace_back(text);
    });
  }
  // Like NVIDIA's OpenCL: a launch takes the host longer than a short kernel takes the device, and the driver has
  // something to do between two kernels.
  static sim::Options opencl() {
    sim::Options options;
    options.host_call = Nanoseconds{13e3};
    options.between_launches = Nanoseconds{2300};
    return options;
  }
  void load(int nanoseconds) {
    device::CompileJob job;
    job.source = "[kernels.k]\nbehaviour = \"nothing\"\ncost_ns = " + std::to_string(nanoseconds) + "\n";
    job.entries = {"k"};
    module = context->load(compiler->compile(job));
    kernel = module->kernel("k");
  }
  // A run is `launches` launches of a kernel of so many nanoseconds; `after_launch` is what else the host does then.
  TimedWork time(int nanoseconds, int launches, CacheMode cache, const std::function<void()>& before = {},
                 const std::function<void()>& after_launch = {}) {
    load(nanoseconds);
    TimingOptions options;
    options.cache = cache;
    return time_work(
        *context, *stream, flusher.get(), before,
        [this, launches, after_launch] {
          for (int i = 0; i < launches; ++i) {
            stream->launch(*kernel, {}, {});
            if (after_launch) after_launch();
          }
        },
        options, *clock, true, cover.get());
  }
  static double first(const TimedWork& timed) { return timed.samples.front().count(); }

  std::unique_ptr<device::Backend> backend;
  std::unique_ptr<device::Context> context;
  std::unique_ptr<device::Compiler> compiler;
  std::unique_ptr<device::Stream> stream;
  std::unique_ptr<Clock> clock;
  std::unique_ptr<CacheFlusher> flusher;
  std::unique_ptr<WatchedCompiler> cover_compiler;
  std::unique_ptr<CoverKernel> cover;
  std::unique_ptr<device::Module> module;
  std::unique_ptr<device::Kernel> kernel;
  std::vector<std::string> warnings;
};

TEST_F(LaunchRate, WarmKernelsShorterThanALaunchAreTimedInAGraph) {
  open(graphs);
  const TimedWork timed = time(300, 1, CacheMode::warm);
  EXPECT_THAT(timed.marks, ElementsAre("graph"));
  for (const Nanoseconds sample : timed.samples) EXPECT_NEAR(sample.count(), 300, 15);
  EXPECT_EQ(cover_compiler->compiled, 0);
}

TEST_F(LaunchRate, WhereNothingCanBeRecordedTheyAreCovered) {
  sim::Options options;
  options.faults = {{sim::Fault::Call::record_graph, 1, true, ErrorCode::unsupported}};
  open(graphs, options);
  const TimedWork covered = time(300, 1, CacheMode::warm);
  EXPECT_THAT(covered.marks, ElementsAre("covered"));
  for (const Nanoseconds sample : covered.samples) EXPECT_NEAR(sample.count(), 300, 3);

  cover.reset();
  const TimedWork bare = time(300, 1, CacheMode::warm);
  EXPECT_THAT(bare.marks, ElementsAre("launch_bound"));
  EXPECT_GT(first(bare), 900) << "the host's rate";
}

TEST_F(LaunchRate, WithoutGraphsTheyAreCovered) {
  open(no_graphs, opencl());
  // Two launches and what lies between them; without a cover the second waits for the host.
  const TimedWork covered = time(300, 2, CacheMode::warm);
  EXPECT_THAT(covered.marks, ElementsAre("covered"));
  for (const Nanoseconds sample : covered.samples) EXPECT_NEAR(sample.count(), 300 + 2300 + 300, 30);
  EXPECT_EQ(cover_compiler->compiled, 1);

  cover.reset();
  const TimedWork bare = time(300, 2, CacheMode::warm);
  EXPECT_THAT(bare.marks, ElementsAre("launch_bound"));
  EXPECT_GT(first(bare), 13e3) << "the host's rate";
}

TEST_F(LaunchRate, WithoutGraphsEachRunIsTimedByItself) {
  for (const int nanoseconds : {1000, 10000, 40000}) {
    open(no_graphs, opencl());
    const TimedWork timed = time(nanoseconds, 1, CacheMode::warm);
    EXPECT_NEAR(first(timed), nanoseconds, 0.01 * nanoseconds) << "what the driver does between two is no part of it";
    EXPECT_THAT(timed.marks, nanoseconds < 13000 ? SizeIs(1) : SizeIs(0)) << nanoseconds;
    EXPECT_EQ(cover_compiler->compiled, nanoseconds < 13000 ? 1 : 0) << nanoseconds;
    EXPECT_NEAR(first(timed), first(time(nanoseconds, 1, CacheMode::cold)), 0.01 * nanoseconds);
  }
}

TEST_F(LaunchRate, LongerKernelsAreTimedAsTheyAre) {
  for (const bool with_graphs : {graphs, no_graphs}) {
    open(with_graphs);
    for (const int nanoseconds : {3000, 20000, 200000}) {
      const TimedWork timed = time(nanoseconds, 1, CacheMode::warm);
      EXPECT_THAT(timed.marks, IsEmpty()) << nanoseconds;
      EXPECT_NEAR(first(timed), nanoseconds, 0.02 * nanoseconds);
    }
    EXPECT_EQ(cover_compiler->compiled, 0);
  }
}

TEST_F(LaunchRate, AFlushCoversTheLaunchOfAShortKernel) {
  open(graphs);
  const TimedWork timed = time(300, 1, CacheMode::cold);
  EXPECT_THAT(timed.marks, IsEmpty());
  EXPECT_NEAR(first(timed), 300, 15);
}

TEST_F(LaunchRate, ColdSequencesThatOutlastTheFlushAreAGraphOrCoveredOrMarked) {
  for (const bool with_graphs : {graphs, no_graphs}) {
    open(with_graphs);
    const int launches = 5 * static_cast<int>(flusher->duration().count() / 1000);
    ASSERT_GT(launches, 100);
    const TimedWork timed = time(100, launches, CacheMode::cold);
    EXPECT_THAT(timed.marks, ElementsAre(with_graphs ? "graph" : "covered"));
    EXPECT_NEAR(first(timed), 100 * launches, 5 * launches);
    // The device is slower than the host: nothing waits for launches, however many there are.
    EXPECT_THAT(time(3000, launches, CacheMode::cold).marks, IsEmpty());
    if (with_graphs) continue;
    cover.reset();
    const TimedWork bare = time(100, launches, CacheMode::cold);
    EXPECT_THAT(bare.marks, ElementsAre("launch_bound"));
    EXPECT_GT(first(bare), 500 * launches);
  }
}

TEST_F(LaunchRate, ACoverComesBehindWhatIsSetUpBeforeEachRun) {
  // The set-up keeps the host waiting for the device, as an upload does: behind a cover it would outlast any.
  open(no_graphs, opencl());
  int set_up = 0;
  const TimedWork timed = time(300, 2, CacheMode::warm, [&] {
    ++set_up;
    stream->synchronize();
  });
  EXPECT_THAT(timed.marks, ElementsAre("covered"));
  for (const Nanoseconds sample : timed.samples) EXPECT_NEAR(sample.count(), 300 + 2300 + 300, 30);
  EXPECT_EQ(timed.runs, set_up) << "each run is set up";
}

TEST_F(LaunchRate, ASequenceThatNoCoverOutlastsIsMarked) {
  sim::Options slow;
  slow.host_call = Nanoseconds{1e6};
  open(no_graphs, slow);
  const Nanoseconds begin = clock->now();
  const TimedWork timed = time(100, 60, CacheMode::cold);
  EXPECT_THAT(timed.marks, ElementsAre("launch_bound"));
  EXPECT_LT((clock->now() - begin).count(), 10 * 80e6) << "no cover was tried for it";
}

TEST_F(LaunchRate, AFullQueueMakesBatchesSmaller) {
  sim::Options options;
  options.faults = {{sim::Fault::Call::record_graph, 1, true, ErrorCode::unsupported}};
  open(graphs, options);
  // Room for 16 launches: the host waits for the one before, as drivers do whose queue is full.
  std::vector<std::unique_ptr<device::Event>> places;
  for (int i = 0; i < 16; ++i) places.push_back(context->create_event());
  std::size_t next = 0;
  const TimedWork timed = time(300, 1, CacheMode::warm, {}, [&] {
    stream->record(*places[next % places.size()]);
    ++next;
    places[next % places.size()]->synchronize();
  });
  EXPECT_THAT(timed.marks, ElementsAre("covered"));
  for (const Nanoseconds sample : timed.samples) EXPECT_NEAR(sample.count(), 300, 3);
}

TEST_F(LaunchRate, AHostThatBecomesTooSlowIsToldByTheMark) {
  open(no_graphs, opencl());
  load(300);
  bool slow = false;
  WorkTimer timer(*context, *stream, nullptr, {},
                  [&] {
                    for (int i = 0; i < 2; ++i) stream->launch(*kernel, {}, {});
                    for (int i = 0; slow && i < 1000; ++i) static_cast<void>(stream->idle());
                  },
                  *clock, {CacheMode::warm, true, cover.get()});
  timer.warm_up();
  timer.sample();
  EXPECT_THAT(timer.marks(), ElementsAre("covered"));
  slow = true;
  timer.sample();
  EXPECT_THAT(timer.marks(), ElementsAre("covered", "launch_bound"));
  const std::int64_t runs = timer.runs();
  timer.sample();
  EXPECT_LT(timer.runs() - runs, 150) << "longer covers are tried once";
}

TEST_F(LaunchRate, WithoutTheCoverTheMarkStaysAndOneWarningSaysWhy) {
  open(no_graphs, opencl());
  cover_compiler->refuses = true;
  for (int i = 0; i < 2; ++i) EXPECT_THAT(time(300, 2, CacheMode::warm).marks, ElementsAre("launch_bound"));
  EXPECT_EQ(cover_compiler->compiled, 1);
  EXPECT_THAT(warnings, ElementsAre(HasSubstr("no such instruction")));
}

TEST_F(LaunchRate, RunsAreThoseOfTheDevice) {
  for (const bool with_graphs : {graphs, no_graphs}) {
    open(with_graphs);
    int launches = 0;
    const TimedWork once = time_work(
        *context, *stream, flusher.get(), {}, [&] { ++launches; }, {}, *clock);
    EXPECT_EQ(once.runs, launches);
    EXPECT_EQ(once.runs, 1 + static_cast<std::int64_t>(once.samples.size()));
    if (with_graphs) continue;
    launches = 0;
    const TimedWork covered = time(300, 1, CacheMode::warm, {}, [&] { ++launches; });
    EXPECT_THAT(covered.marks, ElementsAre("covered"));
    EXPECT_EQ(covered.runs, launches);
  }
}

}  // namespace
}  // namespace warpwright::measure
