#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string>
#include <sys/time.h>
#include <thread>
#include <unistd.h>
#include <utility>

#include <warpwright/base/descriptor.hpp>

namespace warpwright {
namespace {

bool is_open(int descriptor) { return ::fcntl(descriptor, F_GETFD) >= 0; }

std::pair<Descriptor, Descriptor> make_pipe(int flags = 0) {
  std::array<int, 2> ends{};
  EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC | flags), 0);
  return {Descriptor(ends[0]), Descriptor(ends[1])};
}

TEST(Descriptor, ClosesWhatItOwnsOnceAndKeepsErrno) {
  const int raw = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  ASSERT_GE(raw, 0);
  {
    Descriptor first(raw);
    Descriptor second(std::move(first));
    EXPECT_FALSE(first);  // NOLINT(bugprone-use-after-move): what is left of it is what is tested
    EXPECT_EQ(second.value(), raw);
    Descriptor& same = second;
    second = std::move(same);
    EXPECT_TRUE(is_open(raw));
    errno = EDOM;
    second = Descriptor();
    EXPECT_EQ(errno, EDOM);
    EXPECT_FALSE(is_open(raw));
  }
  const int kept = Descriptor(::open("/dev/null", O_RDONLY | O_CLOEXEC)).release();
  EXPECT_TRUE(is_open(kept));
  Descriptor(kept).reset();
  EXPECT_FALSE(is_open(kept));
  EXPECT_FALSE(Descriptor(-1));
}

TEST(WriteAll, GoesOnAfterPartialWritesAndSignals) {
  auto [from, to] = make_pipe();
  // More than a pipe holds, so that write() returns with a part whenever the timer interrupts it.
  const std::string sent(1 << 20, 'w');
  struct sigaction action {};
  struct sigaction before {};
  action.sa_handler = [](int) {};  // without SA_RESTART
  ASSERT_EQ(::sigaction(SIGALRM, &action, &before), 0);
  std::string received;
  sigset_t alarm, unblocked;
  sigemptyset(&alarm);
  sigaddset(&alarm, SIGALRM);
  ::pthread_sigmask(SIG_BLOCK, &alarm, &unblocked);  // the reader inherits it: signals reach the writer alone
  std::thread reader([&, &source = from] {
    std::array<char, 1000> part;
    while (received.size() < sent.size()) {
      const ssize_t got = ::read(source.value(), part.data(), part.size());
      if (got <= 0) break;
      received.append(part.data(), static_cast<std::size_t>(got));
    }
  });
  ::pthread_sigmask(SIG_SETMASK, &unblocked, nullptr);
  const itimerval often{{0, 200}, {0, 200}}, never{};
  ::setitimer(ITIMER_REAL, &often, nullptr);
  const WriteOutcome outcome = write_all(to.value(), sent);
  ::setitimer(ITIMER_REAL, &never, nullptr);
  to.reset();
  reader.join();
  ::sigaction(SIGALRM, &before, nullptr);
  EXPECT_TRUE(outcome);
  EXPECT_EQ(outcome.written, sent.size());
  EXPECT_EQ(received, sent);
}

TEST(WriteAll, TellsHowMuchWasWrittenAndWhatStoppedIt) {
  auto [from, to] = make_pipe(O_NONBLOCK);
  const WriteOutcome full = write_all(to.value(), std::string(1 << 20, 'w'));
  EXPECT_EQ(full.error, EAGAIN);
  EXPECT_GT(full.written, 0u);
  EXPECT_LT(full.written, std::size_t{1} << 20);
  EXPECT_EQ(write_all(-1, "x").error, EBADF);
  EXPECT_TRUE(write_all(-1, ""));
  const Descriptor disk(::open("/dev/full", O_WRONLY | O_CLOEXEC));
  EXPECT_EQ(write_all(disk.value(), "x").error, ENOSPC);
}

TEST(NativeError, HasTheSystemsText) {
  errno = ENOENT;
  const NativeError error = last_native_error();
  EXPECT_EQ(error.code, ENOENT);
  EXPECT_EQ(error.name, "No such file or directory");
}

}  // namespace
}  // namespace warpwright
