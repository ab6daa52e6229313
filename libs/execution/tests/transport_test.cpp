// The contract of transports on each of them, and messages over one that is no socket.
#include <array>
#include <cstdint>
#include <gtest/gtest.h>
#include <memory>
#include <string>
#include <string_view>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include <warpwright/base/descriptor.hpp>
#include <warpwright/base/error.hpp>

#include "../src/message_channel.hpp"
#include "../src/read_ahead.hpp"
#include "../src/socket_transport.hpp"
#include "../src/task_json.hpp"
#include "memory_transport.hpp"
#include "transport_contract.hpp"

namespace warpwright::execution {
namespace {

constexpr const char* peer = "the other end";

std::array<Descriptor, 2> connected_sockets() {
  std::array<int, 2> sockets{};
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets.data()), 0);
  return {Descriptor(sockets[0]), Descriptor(sockets[1])};
}

class UnrulySocket final : public UnrulyEnd {
 public:
  explicit UnrulySocket(Descriptor socket, int bell) : socket_(std::move(socket)), bell_(bell) {}
  void announce(std::uint64_t head, std::uint64_t payload) override {
    std::string prefix;
    for (int i = 0; i < 4; ++i) prefix.push_back(static_cast<char>((head >> (8 * i)) & 0xFF));
    for (int i = 0; i < 8; ++i) prefix.push_back(static_cast<char>((payload >> (8 * i)) & 0xFF));
    write(prefix);
  }
  void send_part_of_head(std::string_view bytes) override { write(bytes); }
  void send_part_of_payload(std::string_view bytes) override { write(bytes); }

 private:
  void write(std::string_view bytes) {
    EXPECT_TRUE(write_all(socket_.value(), bytes));
    const std::uint64_t once = 1;
    if (bell_ < 0) return;
    EXPECT_TRUE(write_all(bell_, {reinterpret_cast<const char*>(&once), sizeof once}));
  }
  Descriptor socket_;
  int bell_;
};

// As between two ends that wait for their sockets, or with the eventfd of a worker in both directions.
class SocketLab final : public TransportLab {
 public:
  explicit SocketLab(bool rings) : rings_(rings) {}
  std::string name() const override { return rings_ ? "Ringing" : "Silent"; }
  std::pair<std::unique_ptr<Transport>, std::unique_ptr<Transport>> connect() const override {
    auto sockets = connected_sockets();
    Descriptor bell_of_a = bell(), bell_of_b = bell();
    const int a = bell_of_a.value(), b = bell_of_b.value();
    return {std::make_unique<SocketTransport>(std::move(sockets[0]), peer, duplicate(b), std::move(bell_of_a)),
            std::make_unique<SocketTransport>(std::move(sockets[1]), peer, duplicate(a), std::move(bell_of_b))};
  }
  std::pair<std::unique_ptr<UnrulyEnd>, std::unique_ptr<Transport>> connect_unruly() const override {
    auto sockets = connected_sockets();
    Descriptor heard = bell();
    const int rung = duplicate(heard.value());
    return {std::make_unique<UnrulySocket>(std::move(sockets[0]), rung),
            std::make_unique<SocketTransport>(std::move(sockets[1]), peer, -1, std::move(heard))};
  }

 private:
  Descriptor bell() const { return Descriptor(rings_ ? ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC) : -1); }
  // Of the caller's, who outlives the transports: here the lab.
  int duplicate(int descriptor) const {
    if (descriptor < 0) return -1;
    rung_.emplace_back(::dup(descriptor));
    return rung_.back().value();
  }

  bool rings_;
  mutable std::vector<Descriptor> rung_;
};

class UnrulyMemory final : public UnrulyEnd {
 public:
  explicit UnrulyMemory(std::shared_ptr<MemoryPipe> pipe) : pipe_(std::move(pipe)) {}
  ~UnrulyMemory() override { pipe_->end_writing(); }
  void announce(std::uint64_t head, std::uint64_t payload) override {
    put({MemoryPipe::Piece::Kind::announcement, head, payload, {}});
  }
  void send_part_of_head(std::string_view bytes) override {
    put({MemoryPipe::Piece::Kind::head, 0, 0, std::string(bytes)});
  }
  void send_part_of_payload(std::string_view bytes) override {
    put({MemoryPipe::Piece::Kind::payload, 0, 0, std::string(bytes)});
  }

 private:
  void put(MemoryPipe::Piece piece) {
    EXPECT_EQ(pipe_->put(piece), MemoryPipe::Put::done);
    pipe_->wake_reader();
  }
  std::shared_ptr<MemoryPipe> pipe_;
};

class MemoryLab final : public TransportLab {
 public:
  std::string name() const override { return "Queue"; }
  std::pair<std::unique_ptr<Transport>, std::unique_ptr<Transport>> connect() const override {
    return MemoryTransport::connect();
  }
  std::pair<std::unique_ptr<UnrulyEnd>, std::unique_ptr<Transport>> connect_unruly() const override {
    auto in = std::make_shared<MemoryPipe>();
    auto end = std::make_unique<MemoryTransport>(in, std::make_shared<MemoryPipe>(), peer);
    return {std::make_unique<UnrulyMemory>(std::move(in)), std::move(end)};
  }
};

const SocketLab silent_sockets(false), ringing_sockets(true);
const MemoryLab memory;

INSTANTIATE_TEST_SUITE_P(Socket, TransportContract, ::testing::Values(&silent_sockets, &ringing_sockets), name_of_lab);
INSTANTIATE_TEST_SUITE_P(Memory, TransportContract, ::testing::Values(&memory), name_of_lab);

TEST(SocketTransport, APeerLostWithinTheSizes) {
  auto sockets = connected_sockets();
  SocketTransport reader(std::move(sockets[1]), peer);
  EXPECT_TRUE(write_all(sockets[0].value(), {"\x05\0\0", 3}));
  sockets[0].reset();
  struct Nobody final : FrameReceiver {
    void on_head(std::string_view) override { ADD_FAILURE(); }
    void on_payload(std::string) override { ADD_FAILURE(); }
  };
  Nobody nobody;
  Transport::Got got = Transport::Got::some;
  while ((got = reader.read_some(nobody)) == Transport::Got::some) {
  }
  EXPECT_EQ(got, Transport::Got::end);
  EXPECT_EQ(reader.state(), Transport::State::lost);
}

TEST(SocketTransport, LastWordsAreAFrame) {
  auto sockets = connected_sockets();
  const SocketTransport writer(std::move(sockets[0]), peer);
  MessageChannel reader(std::make_unique<SocketTransport>(std::move(sockets[1]), peer));
  const auto words = writer.last_words(R"({"type":"last"})", "bytes");
  ASSERT_TRUE(words);
  EXPECT_TRUE(write_all(words->descriptor, words->bytes));
  const auto message = reader.receive();
  ASSERT_TRUE(message);
  EXPECT_EQ(message->head.at("type"), "last");
  EXPECT_EQ(message->payload, "bytes");
}

// Channels know their transport by its interface alone.
TEST(MessageChannelOverMemory, CarriesMessagesAndReadsAhead) {
  auto [near, far] = MemoryTransport::connect();
  MessageChannel a(std::move(near)), b(std::move(far));
  EXPECT_FALSE(a.last_words({{{"type", "x"}}, {}})) << "a signal handler cannot lock a queue";
  const std::string large(3'000'000, 'x');
  ReadAhead reader(b);
  {
    const ReadAhead::Period period(reader);
    a.send({{{"type", "one"}}, large});
    a.send({{{"type", "two"}}, {}});
  }
  const auto one = b.receive(), two = b.receive();
  ASSERT_TRUE(one && two);
  EXPECT_EQ(one->payload, large);
  EXPECT_EQ(two->head.at("type"), "two");
  { const MessageChannel ended(std::move(a)); }
  EXPECT_TRUE(b.peer_gone());
  EXPECT_FALSE(b.receive());
}

TEST(MessageChannelOverMemory, GivesOutWhatCameBeforeGarbage) {
  auto [unruly, end] = memory.connect_unruly();
  MessageChannel reader(std::move(end));
  unruly->announce(2, 5);
  unruly->send_part_of_head("{}");
  unruly->send_part_of_payload("whole");
  unruly->announce(5, 0);
  unruly->send_part_of_head("{\"a\":");
  EXPECT_TRUE(reader.read_available());
  EXPECT_FALSE(reader.read_available()) << "nothing comes after garbage";
  const auto message = reader.receive();
  ASSERT_TRUE(message);
  EXPECT_EQ(message->payload, "whole");
  EXPECT_THROW(reader.next(), Error);
  EXPECT_THROW(reader.receive(), Error);
  EXPECT_THROW(reader.read_available(), Error);
}

TEST(TaskJson, ALongLogFitsIntoAHead) {
  CompileDone done;
  done.status = TrialStatus::compile_failed;
  done.log = std::string(20'000'000, '\1');  // each takes six bytes of JSON
  done.message = done.log;
  const std::string head = to_message(done).head.dump();
  EXPECT_LT(head.size(), Transport::max_head);
  const CompileDone back = compile_done_from(to_message(done));
  EXPECT_EQ(back.log.substr(back.log.rfind('\n')), "\n[the rest of 20000000 bytes is left out]");
  EXPECT_EQ(compile_done_from(to_message(back)).log, back.log) << "what was cut is not cut again";
  EXPECT_LT(to_message(Error(ErrorCode::compile, done.log)).head.dump().size(), Transport::max_head);
}

}  // namespace
}  // namespace warpwright::execution
