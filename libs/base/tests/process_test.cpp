#include <array>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <optional>
#include <string>
#include <thread>
#include <unistd.h>

#include <warpwright/base/files.hpp>
#include <warpwright/base/process.hpp>
#include <warpwright/base/temporary_folder.hpp>

namespace warpwright {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

// Whether a process lives; what nobody has waited for yet does not.
bool alive(int pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  std::getline(file, text);
  const std::size_t name_end = text.rfind(')');
  return name_end != std::string::npos && text.size() > name_end + 2 && text[name_end + 2] != 'Z' &&
         text[name_end + 2] != 'X';
}

// Waits for up to a minute: the machine may be busy.
template <class Condition>
bool becomes_true(Condition condition) {
  for (int i = 0; i < 3000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return condition();
}

class ProcessTest : public ::testing::Test {
 protected:
  ProcessOptions shell(const std::string& script) const {
    ProcessOptions options;
    options.program = "/bin/sh";
    options.arguments = {"-c", script};
    options.output = folder_.path() / "output";
    return options;
  }
  // What a script prints.
  std::string output_of(const ProcessOptions& options) const {
    const auto end = Process::start(options).wait();
    EXPECT_TRUE(end && end->succeeded());
    return read_file(options.output);
  }
  // The number that a script wrote to a file.
  int number_in(const char* file) const {
    int number = 0;
    becomes_true([&] { return std::ifstream(folder_.path() / file) >> number && number > 0; });
    return number;
  }
  static ErrorCode code_of(const ProcessOptions& options, std::string& message) {
    try {
      Process::start(options);
    } catch (const Error& error) {
      message = error.what();
      return error.code();
    }
    message = "it was started";
    return ErrorCode::internal;
  }
  const TemporaryFolder folder_{std::filesystem::temp_directory_path()};
};

TEST_F(ProcessTest, SaysHowItEnded) {
  Process good = Process::start(shell("exit 0"));
  EXPECT_TRUE(good.wait().value().succeeded());
  EXPECT_EQ(good.wait().value().describe(), "exited with status 0") << "asked again it says the same";
  const auto failed = Process::start(shell("exit 3")).wait();
  EXPECT_EQ(failed.value().exit_code, 3);
  EXPECT_EQ(failed.value().describe(), "exited with status 3");
  const auto killed = Process::start(shell("kill -SEGV $$")).wait();
  EXPECT_EQ(killed.value().signal, SIGSEGV);
  EXPECT_EQ(killed.value().describe(), "killed by SIGSEGV");
  EXPECT_FALSE(killed.value().succeeded());
}

TEST_F(ProcessTest, GetsWhatItWasGiven) {
  ::setenv("WARPWRIGHT_TEST_KEPT", "kept", 1);
  ::setenv("WARPWRIGHT_TEST_REPLACED", "old", 1);
  ProcessOptions options =
      shell("pwd; echo $WARPWRIGHT_TEST_KEPT $WARPWRIGHT_TEST_REPLACED $1; cat; echo to-error >&2");
  options.arguments.insert(options.arguments.end(), {"sh", "an argument"});
  options.environment = {{"WARPWRIGHT_TEST_REPLACED", "new"}};
  options.folder = folder_.path();
  EXPECT_EQ(output_of(options),
            std::filesystem::canonical(folder_.path()).string() + "\nkept new an argument\nto-error\n");
  ::unsetenv("WARPWRIGHT_TEST_KEPT");
  ::unsetenv("WARPWRIGHT_TEST_REPLACED");
}

TEST_F(ProcessTest, FindsProgramsInPath) {
  ProcessOptions options;
  options.program = "echo";
  options.arguments = {"found"};
  options.output = folder_.path() / "output";
  EXPECT_EQ(output_of(options), "found\n");
}

TEST_F(ProcessTest, DescriptorsGetTheirNumbersWhateverTheyWere) {
  // Each of them is where another one goes to.
  std::array<Descriptor, 2> files;
  for (int i = 0; i < 2; ++i) {
    const Descriptor low(::open((folder_.path() / std::to_string(i)).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    files[static_cast<std::size_t>(i)].reset(::fcntl(low.value(), F_DUPFD_CLOEXEC, 20));
  }
  const int a = files[0].value(), b = files[1].value();
  ProcessOptions options = shell("echo first >&" + std::to_string(b) + "; echo second >&" + std::to_string(a) +
                                 "; echo third; ls -l /proc/$$/fd | grep -c " + folder_.path().string() + " >&2");
  options.output.clear();
  const Descriptor counted(::open((folder_.path() / "count").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  // Two digits are more than dash takes: another shell does.
  options.program = "/bin/bash";
  options.descriptors = {{a, b}, {b, a}, {a, STDOUT_FILENO}, {counted.value(), STDERR_FILENO}};
  ASSERT_TRUE(Process::start(options).wait().value().succeeded());
  EXPECT_EQ(read_file(folder_.path() / "0"), "first\nthird\n");
  EXPECT_EQ(read_file(folder_.path() / "1"), "second\n");
  EXPECT_EQ(read_file(folder_.path() / "count"), "4\n") << "none has a second number there";
}

TEST_F(ProcessTest, WaitingEndsWithTheTimeout) {
  Process sleeper = Process::start(shell("sleep 300"));
  EXPECT_EQ(sleeper.wait(Nanoseconds{50e6}), std::nullopt);
  EXPECT_EQ(sleeper.wait(Nanoseconds{0}), std::nullopt);
  EXPECT_TRUE(alive(sleeper.pid()));
  EXPECT_EQ(sleeper.end().value().signal, SIGKILL);
  EXPECT_FALSE(alive(sleeper.pid()));
}

TEST_F(ProcessTest, EndsWithItsOwnerAndSoDoesWhatItStarted) {
  const std::string pid_file = (folder_.path() / "pid").string();
  int child = 0, grandchild = 0;
  {
    std::optional<Process> process = Process::start(
        shell("sleep 300 & echo $! > " + pid_file + ".new; mv " + pid_file + ".new " + pid_file + "; wait"));
    child = process->pid();
    grandchild = number_in("pid");
    ASSERT_TRUE(alive(grandchild));
    Process moved = *std::move(process);
    process.reset();
    EXPECT_TRUE(alive(child)) << "what was moved from owns nothing";
  }
  EXPECT_FALSE(alive(child));
  EXPECT_TRUE(becomes_true([&] { return !alive(grandchild); }));
}

TEST_F(ProcessTest, IsToldOfTheDeathOfTheThreadThatStartedIt) {
  std::optional<Process> process;
  std::thread([&] {
    ProcessOptions options = shell("sleep 300");
    options.death_signal = SIGTERM;
    process = Process::start(options);
  }).join();
  EXPECT_EQ(process.value().wait(Nanoseconds{60e9}).value().signal, SIGTERM);
}

TEST_F(ProcessTest, NoSignalIsBlockedOrIgnoredInIt) {
  sigset_t all, before;
  sigfillset(&all);
  ::pthread_sigmask(SIG_BLOCK, &all, &before);
  ::signal(SIGPIPE, SIG_IGN);
  const std::string status = output_of(shell("cat /proc/self/status"));
  ::signal(SIGPIPE, SIG_DFL);
  sigset_t after;
  ::pthread_sigmask(SIG_SETMASK, &before, &after);
  EXPECT_EQ(sigismember(&after, SIGTERM), 1) << "here they are as they were";
  EXPECT_THAT(status, HasSubstr("SigBlk:\t0000000000000000"));
  EXPECT_THAT(status, HasSubstr("SigIgn:\t0000000000000000"));
}

TEST_F(ProcessTest, WhatCannotBeStartedIsNamed) {
  std::string message;
  ProcessOptions options;
  options.program = "/no/such/program";
  EXPECT_EQ(code_of(options, message), ErrorCode::not_found);
  EXPECT_THAT(message, StartsWith("cannot start '/no/such/program' (No such file"));
  options.program = "warpwright-no-such-program";
  EXPECT_EQ(code_of(options, message), ErrorCode::not_found);
  std::ofstream(folder_.path() / "text") << "no program";
  options.program = folder_.path() / "text";
  EXPECT_EQ(code_of(options, message), ErrorCode::not_found) << "it cannot be executed";
  options = shell("true");
  options.folder = folder_.path() / "absent";
  EXPECT_EQ(code_of(options, message), ErrorCode::not_found);
  EXPECT_THAT(message, HasSubstr("in the folder '" + options.folder.string()));
  options = shell("true");
  options.output = folder_.path() / "absent" / "output";
  EXPECT_EQ(code_of(options, message), ErrorCode::not_found);
  EXPECT_THAT(message, HasSubstr("output in '" + options.output.string()));
  options = shell("true");
  options.descriptors = {{-1, 5}};
  EXPECT_EQ(code_of(options, message), ErrorCode::io);
  EXPECT_THAT(message, HasSubstr("Bad file descriptor"));
}

TEST_F(ProcessTest, AProcessThatIgnoresItsChildrenIsNotKeptWaiting) {
  ::signal(SIGCHLD, SIG_IGN);
  const auto end = Process::start(shell("exit 3")).wait(Nanoseconds{60e9});
  ::signal(SIGCHLD, SIG_DFL);
  EXPECT_EQ(end.value().describe(), "ended in an unknown way");
}

TEST(TemporaryFolder, GoesWithWhatIsInIt) {
  std::filesystem::path path;
  {
    const TemporaryFolder folder(std::filesystem::temp_directory_path());
    path = folder.path();
    std::ofstream(path / "file") << "text";
    EXPECT_TRUE(std::filesystem::exists(path / "file"));
  }
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_THROW(TemporaryFolder("/no/such/folder"), Error);
}

}  // namespace
}  // namespace warpwright
