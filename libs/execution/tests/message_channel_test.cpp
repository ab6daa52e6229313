#include "../src/message_channel.hpp"

#include <algorithm>
#include <array>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <warpwright/base/error.hpp>

#include "../src/task_json.hpp"
#include "../src/worker_process.hpp"

namespace warpwright::execution {
namespace {

using ::testing::HasSubstr;

std::array<int, 2> socket_pair() {
  std::array<int, 2> sockets{};
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets.data()), 0);
  return sockets;
}

TEST(MessageChannel, CarriesHeadAndPayloadInOrder) {
  const auto sockets = socket_pair();
  MessageChannel a(sockets[0]), b(sockets[1]);
  const std::string large(3'000'000, 'x');  // more than a socket buffer holds
  std::thread sender([&] {
    a.send({{{"type", "one"}}, large});
    a.send({{{"type", "two"}}, {}});
  });
  const auto one = b.receive();
  const auto two = b.receive();
  sender.join();
  ASSERT_TRUE(one && two);
  EXPECT_EQ(one->head.at("type"), "one");
  EXPECT_EQ(one->payload, large);
  EXPECT_EQ(two->head.at("type"), "two");
}

TEST(MessageChannel, PostDoesNotWaitForAReader) {
  const auto sockets = socket_pair();
  MessageChannel a(sockets[0]), b(sockets[1]);
  const std::string large(3'000'000, 'x');
  a.post({{{"type", "one"}}, large});
  EXPECT_TRUE(a.has_unsent());
  a.post({{{"type", "two"}}, "second"});
  EXPECT_TRUE(b.read_available());
  EXPECT_FALSE(b.next()) << "only a part of it was sent";
  std::vector<Message> received;
  for (int round = 0; round < 1000 && received.size() < 2; ++round) {
    a.flush();
    EXPECT_TRUE(b.read_available());
    while (auto message = b.next()) received.push_back(std::move(*message));
  }
  EXPECT_FALSE(a.has_unsent());
  ASSERT_EQ(received.size(), 2u);
  EXPECT_EQ(received[0].payload, large);
  EXPECT_EQ(received[1].head.at("type"), "two");
  EXPECT_EQ(received[1].payload, "second");
}

TEST(MessageChannel, MessagesInAnyPiecesAreTheSame) {
  std::string bytes;
  std::vector<Message> messages;
  for (const std::size_t size : {std::size_t{0}, std::size_t{5}, std::size_t{5000}, std::size_t{0}}) {
    messages.push_back({{{"type", "sized"}, {"size", size}}, std::string(size, 'p')});
    bytes += MessageChannel::frame(messages.back());
  }
  for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, std::size_t{4096}, bytes.size()}) {
    const auto sockets = socket_pair();
    MessageChannel reader(sockets[1]);
    std::vector<Message> received;
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
      const std::size_t length = std::min(piece, bytes.size() - at);
      ASSERT_EQ(::write(sockets[0], bytes.data() + at, length), static_cast<ssize_t>(length));
      ASSERT_TRUE(reader.read_available());
      while (auto message = reader.next()) received.push_back(std::move(*message));
    }
    ::close(sockets[0]);
    EXPECT_FALSE(reader.read_available());
    ASSERT_EQ(received.size(), messages.size()) << "in pieces of " << piece;
    for (std::size_t i = 0; i < messages.size(); ++i) {
      EXPECT_EQ(received[i].head, messages[i].head);
      EXPECT_EQ(received[i].payload, messages[i].payload);
    }
  }
}

TEST(MessageChannel, RingsForWhatItSends) {
  const auto sockets = socket_pair();
  const int doorbell = ::eventfd(0, EFD_NONBLOCK);
  ASSERT_GE(doorbell, 0);
  const auto rung = [&] {
    std::uint64_t times = 0;
    return ::read(doorbell, &times, sizeof times) == static_cast<ssize_t>(sizeof times) ? times : 0;
  };
  MessageChannel a(sockets[0], doorbell), b(sockets[1]);
  EXPECT_EQ(rung(), 0u);
  a.send({{{"type", "one"}}, {}});
  MessageChannel moved(std::move(a));
  moved.send({{{"type", "two"}}, {}});
  EXPECT_EQ(rung(), 2u);
  moved.send_in_passing({{{"type", "three"}}, {}});
  EXPECT_EQ(rung(), 0u) << "it waits for the next one";
  EXPECT_TRUE(b.receive() && b.receive() && b.receive());
  b.send({{{"type", "back"}}, {}});
  EXPECT_EQ(rung(), 0u) << "that was the other side";
  ::close(doorbell);
}

TEST(MessageChannel, RingsInPassingOnlyWhereThereIsNoRoom) {
  const auto sockets = socket_pair();
  const int doorbell = ::eventfd(0, 0);
  ASSERT_GE(doorbell, 0);
  MessageChannel a(sockets[0], doorbell), b(sockets[1]);
  const std::string large(3'000'000, 'x');
  std::thread sender([&] { a.send_in_passing({{{"type", "large"}}, large}); });
  std::uint64_t times = 0;
  EXPECT_EQ(::read(doorbell, &times, sizeof times), static_cast<ssize_t>(sizeof times)) << "blocks until it rings";
  const auto message = b.receive();
  sender.join();
  ASSERT_TRUE(message);
  EXPECT_EQ(message->payload, large);
  ::close(doorbell);
}

TEST(MessageChannel, ClosedPeerEndsReceiveAndFailsSend) {
  const auto sockets = socket_pair();
  MessageChannel a(sockets[0]);
  { const MessageChannel b(sockets[1]); }
  EXPECT_FALSE(a.receive());
  EXPECT_THROW(a.send({{{"type", "x"}}, {}}), Error);
}

TEST(MessageChannel, GarbageIsAnError) {
  for (const std::string& bytes :
       {std::string("\x05\0\0\0\0\0\0\0\0\0\0\0{\"a\":", 17), std::string("\xFF\xFF\xFF\xFF\0\0\0\0\0\0\0\0", 12)}) {
    const auto sockets = socket_pair();
    MessageChannel reader(sockets[0]);
    ASSERT_EQ(::write(sockets[1], bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
    ::close(sockets[1]);
    EXPECT_THROW(reader.receive(), Error);
  }
  // A size that nobody will send takes no memory.
  const auto sockets = socket_pair();
  MessageChannel reader(sockets[0]);
  const std::string announced("\x02\0\0\0\0\0\0\x80\0\0\0\0{}", 14);
  ASSERT_EQ(::write(sockets[1], announced.data(), announced.size()), static_cast<ssize_t>(announced.size()));
  EXPECT_TRUE(reader.read_available());
  EXPECT_FALSE(reader.next());
  ::close(sockets[1]);
  EXPECT_FALSE(reader.receive());
}

TEST(MessageChannel, GivesOutWhatCameBeforeGarbage) {
  const auto sockets = socket_pair();
  MessageChannel reader(sockets[0]);
  const std::string bytes = MessageChannel::frame({{{"type", "one"}}, "first"}) +
                            MessageChannel::frame({{{"type", "two"}}, {}}) + std::string(12, '\xFF');
  ASSERT_EQ(::write(sockets[1], bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  ASSERT_TRUE(reader.read_available());
  const auto one = reader.next(), two = reader.next();
  ASSERT_TRUE(one && two);
  EXPECT_EQ(one->payload, "first");
  EXPECT_EQ(two->head.at("type"), "two");
  EXPECT_THROW(reader.next(), Error);
  ::close(sockets[1]);
}

// Who blocks for a message has work to do with it; the next one is for who reads ahead.
TEST(MessageChannel, ReceiveLeavesTheNextMessageUnread) {
  const auto sockets = socket_pair();
  MessageChannel a(sockets[0]), b(sockets[1]);
  const std::string large(50'000, 'x');
  a.send({{{"type", "one"}}, large});
  a.send({{{"type", "two"}}, large});
  const auto one = b.receive();
  ASSERT_TRUE(one);
  EXPECT_EQ(one->payload, large);
  int left = 0;
  ASSERT_EQ(::ioctl(sockets[1], FIONREAD, &left), 0);
  EXPECT_GT(left, 40'000);
  const auto two = b.receive();
  ASSERT_TRUE(two);
  EXPECT_EQ(two->head.at("type"), "two");
  EXPECT_EQ(two->payload, large);
}

TEST(TaskJson, RoundTrips) {
  RunTask run;
  run.id = 9;
  run.configuration = {{"block", std::int64_t{32}}, {"layout", std::string("row")}};
  run.binary.backend = "sim";
  run.binary.image = std::string("\0binary", 7);
  run.timing.cache = measure::CacheMode::warm;
  run.timing.max_samples = 77;
  run.input_salt = ~std::uint64_t{0};
  const RunTask back = run_task_from(to_message(run));
  EXPECT_EQ(back.configuration, run.configuration);
  EXPECT_EQ(back.binary.image, run.binary.image);
  EXPECT_EQ(back.timing.cache, measure::CacheMode::warm);
  EXPECT_EQ(back.timing.max_samples, 77);
  EXPECT_EQ(back.input_salt, run.input_salt);

  InterleaveTask interleave;
  interleave.configurations = {run.configuration, run.configuration};
  interleave.binaries = {run.binary, run.binary};
  interleave.binaries[1].image = "second";
  interleave.rounds = 3;
  interleave.with_reference = true;
  const InterleaveTask both = interleave_task_from(to_message(interleave));
  EXPECT_EQ(both.binaries[0].image, run.binary.image);
  EXPECT_EQ(both.binaries[1].image, "second");

  RunDone done;
  done.id = 4;
  done.result.status = TrialStatus::wrong_result;
  done.result.samples = {Nanoseconds(1.5), Nanoseconds(2.25)};
  done.result.mismatch = Mismatch{"out", 3, "1", "2", 4, 5};
  done.result.verify = Nanoseconds(17);
  const RunDone done_back = run_done_from(to_message(done));
  EXPECT_EQ(done_back.result.status, TrialStatus::wrong_result);
  EXPECT_EQ(done_back.result.samples, done.result.samples);
  EXPECT_EQ(done_back.result.mismatch->wrong, 4u);
  EXPECT_EQ(done_back.result.verify, Nanoseconds(17));

  InterleaveDone interleaved;
  interleaved.samples = {{Nanoseconds(1.5)}, {Nanoseconds(2.5)}};
  interleaved.marks = {{"covered", "launch_bound"}, {}};
  EXPECT_EQ(interleave_done_from(to_message(interleaved)).samples, interleaved.samples);
  EXPECT_EQ(interleave_done_from(to_message(interleaved)).marks, interleaved.marks);

  CompileDone compiled;
  compiled.status = TrialStatus::compile_failed;
  compiled.log = "line 1\nline 2";
  compiled.cpu = Nanoseconds(5);
  EXPECT_EQ(compile_done_from(to_message(compiled)).log, compiled.log);
  EXPECT_EQ(compile_done_from(to_message(compiled)).status, TrialStatus::compile_failed);
}

TEST(TaskJson, SustainedTaskSurvivesTheWayToAWorker) {
  InterleaveTask task;
  task.id = 7;
  task.configurations = {Configuration{{"block", Value{std::int64_t{64}}}}};
  task.binaries.resize(1);
  task.estimates = {Nanoseconds{1234.5}};
  task.sustained = measure::SustainedOptions{Nanoseconds{1e9}, Nanoseconds{2e9}, Nanoseconds{3e8}, 5, 99};
  const InterleaveTask read = interleave_task_from(to_message(task));
  ASSERT_TRUE(read.sustained);
  EXPECT_EQ(read.sustained->probe, Nanoseconds{1e9});
  EXPECT_EQ(read.sustained->settle, Nanoseconds{2e9});
  EXPECT_EQ(read.sustained->block, Nanoseconds{3e8});
  EXPECT_EQ(read.sustained->rounds, 5);
  EXPECT_EQ(read.sustained->seed, 99u);
  EXPECT_EQ(read.estimates, task.estimates);
  EXPECT_FALSE(interleave_task_from(to_message(InterleaveTask{})).sustained);
  InterleaveDone done;
  done.power_limited = true;
  EXPECT_TRUE(interleave_done_from(to_message(done)).power_limited);
}

TEST(WorkerProcess, SaysHowTheChildEnded) {
  try {
    WorkerProcess::start("/nonexistent/worker", {});
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::not_found);
    EXPECT_THAT(error.what(), HasSubstr("/nonexistent/worker"));
  }
  auto failing = WorkerProcess::start("/bin/ls", {});  // ls 3: no such file
  while (failing.channel().receive()) {
  }
  EXPECT_THAT(failing.end(), HasSubstr("exited with status 2"));
}

TEST(WorkerProcess, KillsAChildThatDoesNotEnd) {
  // `yes 3` writes to /dev/null for ever.
  auto endless = WorkerProcess::start("/usr/bin/yes", {{"A", "B"}});
  EXPECT_THAT(endless.end(), HasSubstr("killed by SIGKILL"));
}

}  // namespace
}  // namespace warpwright::execution
