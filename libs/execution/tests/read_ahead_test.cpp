#include "../src/read_ahead.hpp"

#include <array>
#include <gtest/gtest.h>
#include <string>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

#include <warpwright/base/error.hpp>

namespace warpwright::execution {
namespace {

class ReadAheadTest : public ::testing::Test {
 protected:
  static std::array<int, 2> socket_pair() {
    std::array<int, 2> sockets{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets.data()), 0);
    return sockets;
  }
  // Until everything that was sent has been taken from the socket; false after long.
  bool taken() const {
    for (int round = 0; round < 10'000; ++round) {
      int waiting = 0;
      if (::ioctl(sockets_[1], FIONREAD, &waiting) == 0 && waiting == 0) return true;
      ::usleep(1000);
    }
    return false;
  }
  void expect(std::optional<Message> message, const std::string& type) {
    ASSERT_TRUE(message);
    EXPECT_EQ(message->head.at("type"), type);
  }

  const std::array<int, 2> sockets_ = socket_pair();
  MessageChannel sender_{sockets_[0]}, receiver_{sockets_[1]};
};

TEST_F(ReadAheadTest, TakesInWhatArrivesDuringAPeriodAndKeepsTheOrder) {
  ReadAhead reader(receiver_);
  const std::string large(3'000'000, 'x');  // more than a socket holds: somebody has to read for send() to return
  {
    const ReadAhead::Period period(reader);
    sender_.send({{{"type", "one"}}, large});
    sender_.send({{{"type", "two"}}, {}});
    EXPECT_TRUE(taken());
  }
  sender_.send({{{"type", "three"}}, {}});
  const auto one = receiver_.receive();
  expect(one, "one");
  EXPECT_EQ(one->payload, large);
  expect(receiver_.receive(), "two");
  expect(receiver_.receive(), "three");
}

TEST_F(ReadAheadTest, TakesNothingOutsideOfPeriods) {
  ReadAhead reader(receiver_);
  sender_.send({{{"type", "one"}}, {}});
  expect(receiver_.receive(), "one");
  sender_.send({{{"type", "two"}}, {}});
  int waiting = 0;
  ASSERT_EQ(::ioctl(sockets_[1], FIONREAD, &waiting), 0);
  EXPECT_GT(waiting, 0);
  {
    const ReadAhead::Period period(reader);
    EXPECT_TRUE(taken()) << "a period finds what came before it";
  }
  expect(receiver_.receive(), "two");
}

TEST_F(ReadAheadTest, AMessageMayBeginInAPeriodAndEndOutside) {
  ReadAhead reader(receiver_);
  const std::string bytes = MessageChannel::frame({{{"type", "split"}}, std::string(100'000, 'y')});
  const std::size_t half = bytes.size() / 2;
  {
    const ReadAhead::Period period(reader);
    ASSERT_EQ(::send(sockets_[0], bytes.data(), half, 0), static_cast<ssize_t>(half));
    EXPECT_TRUE(taken());
  }
  ASSERT_EQ(::send(sockets_[0], bytes.data() + half, bytes.size() - half, 0),
            static_cast<ssize_t>(bytes.size() - half));
  const auto message = receiver_.receive();
  expect(message, "split");
  EXPECT_EQ(message->payload, std::string(100'000, 'y'));
}

TEST_F(ReadAheadTest, ManyPeriodsLoseNothing) {
  ReadAhead reader(receiver_);
  constexpr int messages = 2000;
  std::thread other([&] {
    for (int i = 0; i < messages; ++i) sender_.send({{{"number", i}}, std::string(static_cast<std::size_t>(i), 'z')});
  });
  for (int i = 0; i < messages; ++i) {
    const auto message = receiver_.receive();
    ASSERT_TRUE(message);
    EXPECT_EQ(message->head.at("number"), i);
    EXPECT_EQ(message->payload.size(), static_cast<std::size_t>(i));
    const ReadAhead::Period period(reader);
    if (i % 3 == 0) std::this_thread::yield();
  }
  other.join();
}

TEST_F(ReadAheadTest, TheEndOfTheOtherSideComesAfterWhatItSent) {
  ReadAhead reader(receiver_);
  {
    const ReadAhead::Period period(reader);
    MessageChannel other(std::move(sender_));
    other.send({{{"type", "last"}}, {}});
  }
  expect(receiver_.receive(), "last");
  EXPECT_FALSE(receiver_.receive());
  { const ReadAhead::Period period(reader); }
  EXPECT_FALSE(receiver_.receive());
}

TEST_F(ReadAheadTest, GarbageIsReportedToTheWorkingThread) {
  ReadAhead reader(receiver_);
  {
    const ReadAhead::Period period(reader);
    const std::string garbage(64, '\xFF');
    ASSERT_EQ(::send(sockets_[0], garbage.data(), garbage.size(), 0), static_cast<ssize_t>(garbage.size()));
    EXPECT_TRUE(taken());
  }
  EXPECT_THROW(receiver_.receive(), Error);
}

TEST_F(ReadAheadTest, EndsInsideAndOutsideOfPeriods) {
  { const ReadAhead reader(receiver_); }
  {
    ReadAhead reader(receiver_);
    const ReadAhead::Period period(reader);
  }
  sender_.send({{{"type", "kept"}}, {}});
  { const ReadAhead reader(receiver_); }
  expect(receiver_.receive(), "kept");
}

}  // namespace
}  // namespace warpwright::execution
