#include <chrono>
#include <csignal>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <limits>
#include <string>
#include <sys/wait.h>
#include <unistd.h>

#include <warpwright/measure/inputs.hpp>
#include <warpwright/measure/kernel_job.hpp>
#include <warpwright/measure/problem_runner.hpp>

#include "host_device.hpp"
#include "problems.hpp"

namespace warpwright::measure {
namespace {

using ::testing::AllOf;
using testing::buffer_argument;
using testing::bytes_of;
using testing::Call;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::Host;
using testing::HostCompiler;
using testing::HostContext;
using testing::integer;
using ::testing::IsEmpty;
using testing::make_launch;
using testing::make_parameter;
using testing::StepClock;
using testing::values_of;

constexpr int n = 100;

// y = x + add, on a device that knows the kernel "add" (add = the parameter) and whatever a test puts beside it.
class ReferenceTest : public ::testing::Test {
 protected:
  ReferenceTest()
      : context(host),
        compiler(host),
        folder(std::filesystem::path(::testing::TempDir()) / ("reference_test_" + std::to_string(::getpid()))) {
    std::filesystem::create_directories(folder / "scratch");
    host.kernels["add"] = [](const Call& call) {
      for (int i = 0; i < n; ++i)
        call.data<float>(1)[i] = call.data<float>(0)[i] + static_cast<float>(call.define("add"));
    };
    problem.name = "add";
    problem.source.dialect = SourceText{"add.kernel", "source"};
    problem.dimensions = {{"n", integer(n)}};
    problem.parameters = {make_parameter("add", {integer(1), integer(2)})};
    problem.arguments = {buffer_argument("x", DataType::float32, Access::in, "n", FillIota{0, 1}),
                         buffer_argument("y", DataType::float32, Access::out, "n")};
    problem.launches = {make_launch("add", {"x", "y"})};
    problem.outputs = {{"y", 0, 0, {}}};
    options.scratch_folder = folder / "scratch";
    options.log = [this](LogLevel level, std::string_view text) {
      if (level == LogLevel::warning) warnings.emplace_back(text);
    };
  }
  ~ReferenceTest() override { std::filesystem::remove_all(folder); }

  // The value of "add" that the reference approves of; 0 for none.
  int approved() {
    ProblemRunner runner(context, compiler, problem, clock, options);
    runner.compute_reference();
    description = runner.reference_description();
    outputs = runner.reference_outputs();
    int result = 0;
    for (const int add : {1, 2}) {
      const Configuration configuration{{"add", integer(add)}};
      const auto binary = compiler.compile(kernel_job(problem, configuration, host.info));
      if (runner.run(configuration, binary, {}).status == TrialStatus::ok) result += add;
    }
    return result;
  }
  std::string refusal(ErrorCode code) {
    try {
      ProblemRunner(context, compiler, problem, clock, options).compute_reference();
    } catch (const Error& error) {
      EXPECT_EQ(to_string(error.code()), to_string(code)) << error.what();
      EXPECT_THAT(error.what(), HasSubstr("computing the reference of 'add'"));
      return error.what();
    }
    return "no error";
  }
  static std::vector<float> plus(int add) {
    std::vector<float> values(n);
    for (int i = 0; i < n; ++i) values[static_cast<std::size_t>(i)] = static_cast<float>(i + add);
    return values;
  }
  ReferenceKernel naive(const std::string& entry) {
    ReferenceKernel reference;
    reference.source.dialect = SourceText{"naive.kernel", "naive"};
    reference.launches = {make_launch(entry, {"x", "y"})};
    return reference;
  }
  ReferenceCommand shell(const std::string& script) { return {{"/bin/sh", "-c", script}}; }

  Host host;
  HostContext context;
  HostCompiler compiler;
  StepClock clock;
  Problem problem;
  RunnerOptions options;
  std::filesystem::path folder;
  std::vector<std::string> warnings;
  std::string description;
  std::vector<ReferenceOutput> outputs;
};

TEST_F(ReferenceTest, Kernel) {
  host.kernels["naive"] = [](const Call& call) {
    for (int i = 0; i < n; ++i) call.data<float>(1)[i] = call.data<float>(0)[i] + 2;
  };
  problem.reference = naive("naive");
  EXPECT_EQ(approved(), 2);
  EXPECT_EQ(description, "kernel (independent)");
  EXPECT_THAT(warnings, IsEmpty());
}

TEST_F(ReferenceTest, KernelThatLeavesPoisonIsRefused) {
  host.kernels["lazy"] = [](const Call& call) {
    for (int i = 0; i < n - 3; ++i) call.data<float>(1)[i] = 1;
  };
  problem.reference = naive("lazy");
  EXPECT_THAT(refusal(ErrorCode::bad_input), AllOf(HasSubstr("3 of 100 elements of output 'y' unwritten"),
                                                   HasSubstr("element 97"), HasSubstr("inout")));
}

TEST_F(ReferenceTest, KernelThatWritesWhatLooksLikePoisonIsNot) {
  host.kernels["odd"] = [](const Call& call) {
    for (int i = 0; i < n; ++i) call.data<std::uint32_t>(1)[i] = 0xFFFFFFFF;
  };
  problem.reference = naive("odd");
  EXPECT_EQ(approved(), 0);
  EXPECT_THAT(warnings_about(outputs), ElementsAre(HasSubstr("100 NaN among 100")));
}

TEST_F(ReferenceTest, KernelThatWritesPastTheEndIsRefused) {
  host.kernels["wild"] = [](const Call& call) {
    for (int i = 0; i <= n; ++i) call.data<float>(1)[i] = 1;
  };
  problem.reference = naive("wild");
  EXPECT_THAT(refusal(ErrorCode::bad_input), HasSubstr("behind the end of 'y'"));
}

TEST_F(ReferenceTest, KernelThatReadsPastTheEndIsRefused) {
  host.kernels["naive"] = [](const Call& call) {
    for (int i = 0; i < n; ++i) call.data<float>(1)[i] = call.data<float>(0)[i + 1];
  };
  problem.reference = ReferenceKernel{{}, {make_launch("naive", {"x", "y"})}};
  EXPECT_THAT(refusal(ErrorCode::bad_input),
              AllOf(HasSubstr("reads outside its buffers"), HasSubstr("element 99 of output 'y' is nan, and")));
  problem.arguments[1].type = DataType::int32;
  host.kernels["naive"] = [](const Call& call) {
    for (int i = 0; i < n; ++i) call.data<std::int32_t>(1)[i] = call.data<std::int32_t>(0)[i - 1];
  };
  EXPECT_THAT(refusal(ErrorCode::bad_input),
              AllOf(HasSubstr("reads outside its buffers"), HasSubstr("element 0 of output 'y'")));
}

TEST_F(ReferenceTest, KernelThatIsRefusedIsAnError) {
  host.kernels["refused"] = [](const Call&) { throw Error(ErrorCode::launch, "no"); };
  problem.reference = naive("refused");
  EXPECT_THAT(refusal(ErrorCode::launch), HasSubstr("launching block (1, 1, 1) of 'refused'"));
  problem.reference = naive("missing");
  EXPECT_THAT(refusal(ErrorCode::not_found), HasSubstr("'missing'"));
}

TEST_F(ReferenceTest, NanInTheReferenceIsToldAndCountsAsRight) {
  host.kernels["naive"] = [](const Call& call) {
    for (int i = 0; i < n; ++i) call.data<float>(1)[i] = i == 5 ? std::numeric_limits<float>::quiet_NaN() : 1.0f;
  };
  problem.reference = naive("naive");
  int skip = -1;
  host.kernels["add"] = [&](const Call& call) {
    for (int i = 0; i < n; ++i) {
      if (i != skip) call.data<float>(1)[i] = i == 5 ? std::numeric_limits<float>::quiet_NaN() : 1.0f;
    }
  };
  EXPECT_EQ(approved(), 3);
  EXPECT_THAT(warnings_about(outputs), ElementsAre(AllOf(HasSubstr("'y'"), HasSubstr("1 NaN among 100"))));
  skip = 5;  // the poison must not be the NaN that is expected there
  EXPECT_EQ(approved(), 0);
}

// A tolerance that is larger than the right values lets a kernel pass that writes nothing but zeros.
TEST_F(ReferenceTest, ElementsThatWouldPassAsZeroAreCounted) {
  host.kernels["naive"] = [](const Call& call) {
    for (int i = 0; i < n; ++i) call.data<float>(1)[i] = i < 10 ? 0.0f : i < 40 ? 1e-6f : 1.0f;
  };
  host.kernels["add"] = [](const Call& call) {
    for (int i = 0; i < n; ++i) call.data<float>(1)[i] = i < 40 ? 0.0f : 1.0f;
  };
  problem.reference = naive("naive");
  problem.outputs = {{"y", 1e-4, 1e-5, {}}};
  EXPECT_EQ(approved(), 3) << "the tolerance is as it is";
  ASSERT_EQ(outputs.size(), 1u);
  EXPECT_EQ(outputs[0].elements, 100u);
  EXPECT_EQ(outputs[0].passing_zero, 30u) << "not those that are 0";
  EXPECT_EQ(outputs[0].largest, 1);
  EXPECT_THAT(warnings_about(outputs),
              ElementsAre(AllOf(HasSubstr("30 of 100 elements of output 'y' would pass as 0"), HasSubstr("normwise"))));
  problem.outputs = {{"y", 1e-4, 1e-7, {}}};
  EXPECT_EQ(approved(), 0);
  EXPECT_EQ(outputs[0].passing_zero, 0u);
  EXPECT_THAT(warnings_about(outputs), IsEmpty());
}

TEST_F(ReferenceTest, AReferenceInTheSameSourceFileIsNotCalledIndependent) {
  host.kernels["naive"] = host.kernels["add"];
  problem.reference = ReferenceKernel{{}, {make_launch("naive", {"x", "y"})}};  // no source of its own
  EXPECT_EQ(approved(), 1);
  EXPECT_EQ(description, "kernel in the same source file (not independent)");
  auto reference = naive("naive");
  reference.source.dialect = SourceText{"./add.kernel", "other text"};
  problem.reference = reference;
  approved();
  EXPECT_EQ(description, "kernel in the same source file (not independent)");
  reference.source.dialect = SourceText{"copy.kernel", "source"};
  problem.reference = reference;
  approved();
  EXPECT_EQ(description, "kernel in the same source file (not independent)") << "the same text";
  reference.source.dialect = SourceText{"naive.kernel", "another text"};
  problem.reference = reference;
  approved();
  EXPECT_EQ(description, "kernel (independent)");
}

TEST_F(ReferenceTest, Configuration) {
  problem.reference = ReferenceConfiguration{{{"add", integer(2)}}};
  EXPECT_EQ(approved(), 2);
  EXPECT_EQ(description, "configuration (not independent)");
}

TEST_F(ReferenceTest, Callback) {
  problem.reference = ReferenceCallback{[](const warpwright::Configuration& dimensions, HostBuffers& buffers) {
    EXPECT_EQ(dimensions.at("n"), integer(n));
    auto values = values_of<float>(buffers.at("x"));
    for (float& value : values) value += 1;
    buffers.at("y") = bytes_of(values);
  }};
  EXPECT_EQ(approved(), 1);
  EXPECT_EQ(description, "callback (independent)");
  problem.reference = ReferenceCallback{[](const auto&, HostBuffers&) {}};
  EXPECT_THAT(refusal(ErrorCode::bad_input), HasSubstr("100 of 100 elements of output 'y' unwritten"));
  problem.reference = ReferenceCallback{[](const auto&, HostBuffers& buffers) { buffers.at("y").resize(3); }};
  EXPECT_THAT(refusal(ErrorCode::bad_input), HasSubstr("left 3 bytes for output 'y', which has 400"));
  problem.reference = ReferenceCallback{[](const auto&, HostBuffers&) { throw std::runtime_error("no idea"); }};
  EXPECT_THAT(refusal(ErrorCode::bad_input), HasSubstr("no idea"));
}

TEST_F(ReferenceTest, Npy) {
  write_npy(folder / "y.npy", {DataType::float32, {n}, bytes_of(plus(1))});
  problem.reference = ReferenceNpy{{{"y", folder / "y.npy"}}};
  EXPECT_EQ(approved(), 1);
  EXPECT_EQ(description, "npy (independent)");
  problem.dimensions.set("n", integer(n + 1));
  EXPECT_THAT(refusal(ErrorCode::bad_input), HasSubstr("holds 100 elements, the argument needs 101"));
  problem.dimensions.set("n", integer(n));
  problem.reference = ReferenceNpy{};
  EXPECT_THAT(refusal(ErrorCode::bad_input), HasSubstr("no npy file for output 'y'"));
}

TEST_F(ReferenceTest, NpyDoesNotFitFreshInputs) {
  write_npy(folder / "y.npy", {DataType::float32, {n}, bytes_of(plus(1))});
  problem.reference = ReferenceNpy{{{"y", folder / "y.npy"}}};
  options.input_salt = 3;
  EXPECT_EQ(approved(), 1);  // iota has nothing to salt
  problem.arguments[0].fill = FillUniform{};
  EXPECT_THAT(refusal(ErrorCode::unsupported), HasSubstr("specification's own inputs"));
}

TEST_F(ReferenceTest, CommandIsRunOnlyWhenAllowed) {
  problem.reference = shell("touch '" + (folder / "ran").string() + "'");
  EXPECT_THAT(refusal(ErrorCode::bad_input), HasSubstr("--allow-commands"));
  EXPECT_FALSE(std::filesystem::exists(folder / "ran"));
}

TEST_F(ReferenceTest, CommandReadsInputsAndWritesOutputs) {
  // The right answer waits in a file; the command checks its input and its dimension, then puts the answer in place.
  write_npy(folder / "answer.npy", {DataType::float32, {n}, bytes_of(plus(2))});
  write_npy(folder / "x.npy", {DataType::float32, {n}, bytes_of(plus(0))});
  options.allow_commands = true;
  problem.file = folder / "add.toml";  // commands run beside their specification
  problem.reference =
      shell("test {n} = 100 && cmp x.npy {dir}/x.npy && test ! -e {dir}/y.npy && cp answer.npy {dir}/y.npy");
  EXPECT_EQ(approved(), 2);
  EXPECT_EQ(description, "command (independent)");
  EXPECT_TRUE(std::filesystem::is_empty(folder / "scratch")) << "temporary files stay behind";
}

TEST_F(ReferenceTest, CommandFailuresAreErrorsThatSayWhy) {
  options.allow_commands = true;
  problem.reference = shell("echo cannot compute; exit 3");
  EXPECT_THAT(refusal(ErrorCode::bad_input), AllOf(HasSubstr("exit code 3"), HasSubstr("cannot compute")));
  problem.reference = shell("kill -9 $$");
  EXPECT_THAT(refusal(ErrorCode::bad_input), HasSubstr("killed by signal 9"));
  problem.reference = ReferenceCommand{{"/no/such/program"}};
  EXPECT_THAT(refusal(ErrorCode::not_found), HasSubstr("/no/such/program"));
  problem.reference = ReferenceCommand{};
  EXPECT_THAT(refusal(ErrorCode::bad_input), HasSubstr("empty"));
  problem.reference = shell("true");
  EXPECT_THAT(refusal(ErrorCode::bad_input), HasSubstr("without writing y.npy"));
  problem.arguments[1].access = Access::inout;
  EXPECT_THAT(refusal(ErrorCode::bad_input), HasSubstr("without writing y.npy"));
  EXPECT_TRUE(std::filesystem::is_empty(folder / "scratch"));
}

TEST_F(ReferenceTest, CommandThatDoesNotEndIsKilledWithItsChildren) {
  options.allow_commands = true;
  options.command_deadline = Seconds{0.2};
  const auto marker = folder / "late";
  problem.reference = shell("sh -c 'sleep 2; touch " + marker.string() + "' & sleep 60");
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_THAT(refusal(ErrorCode::timeout), HasSubstr("did not end within 200 ms"));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
  while (std::chrono::steady_clock::now() - begin < std::chrono::milliseconds(2500)) ::usleep(50'000);
  EXPECT_FALSE(std::filesystem::exists(marker));
}

// Whether a process lives; what nobody has waited for yet does not.
bool alive(int pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  std::getline(file, text);
  const std::size_t name_end = text.rfind(')');
  return name_end != std::string::npos && text.size() > name_end + 2 && text[name_end + 2] != 'Z' &&
         text[name_end + 2] != 'X';
}

TEST_F(ReferenceTest, CommandDiesWithTheProcessThatRunsItAndSoDoesWhatItStarted) {
  options.allow_commands = true;
  const std::string pids = (folder / "pids").string();
  problem.reference = shell("sleep 300 & echo $$ $! > " + pids + ".new; mv " + pids + ".new " + pids + "; wait");
  const pid_t session = ::fork();
  if (session == 0) {
    try {
      ProblemRunner(context, compiler, problem, clock, options).compute_reference();
    } catch (const Error&) {  // killed before that
    }
    ::_exit(0);
  }
  int shell_pid = 0, started_pid = 0;
  for (int i = 0; i < 1200 && started_pid == 0; ++i) {
    ::usleep(50'000);
    std::ifstream(pids) >> shell_pid >> started_pid;
  }
  EXPECT_TRUE(alive(shell_pid));
  EXPECT_TRUE(alive(started_pid));
  ::kill(session, SIGKILL);
  ::waitpid(session, nullptr, 0);
  for (int i = 0; i < 1200 && (alive(shell_pid) || alive(started_pid)); ++i) ::usleep(50'000);
  EXPECT_FALSE(alive(shell_pid));
  EXPECT_FALSE(alive(started_pid));
}

TEST_F(ReferenceTest, NoneIsNone) {
  ProblemRunner runner(context, compiler, problem, clock, options);
  runner.compute_reference();
  EXPECT_FALSE(runner.has_reference());
}

}  // namespace
}  // namespace warpwright::measure
