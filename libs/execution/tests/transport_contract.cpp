#include "transport_contract.hpp"

#include <array>
#include <atomic>
#include <functional>
#include <gmock/gmock.h>
#include <malloc.h>
#include <poll.h>
#include <thread>
#include <vector>

#include <warpwright/base/error.hpp>

namespace warpwright::execution {
namespace {

using ::testing::HasSubstr;
using Frame = std::pair<std::string, std::string>;

struct Collector final : FrameReceiver {
  void on_head(std::string_view text) override { head = text; }
  void on_payload(std::string payload) override { frames.emplace_back(std::exchange(head, {}), std::move(payload)); }

  std::string head;
  std::vector<Frame> frames;
};

// What is there, then how it stands.
Transport::Got read_all(Transport& transport, Collector& into) {
  transport.quiet();
  for (;;) {
    const Transport::Got got = transport.read_some(into);
    if (got != Transport::Got::some) return got;
  }
}

// Until `count` frames have come or the other side ends.
void read_frames(Transport& transport, Collector& into, std::size_t count) {
  while (into.frames.size() < count) {
    const Transport::Got got = transport.read_some(into);
    if (got == Transport::Got::end) return;
    if (got == Transport::Got::nothing) transport.wait_for_news();
  }
}

bool has_news(const Transport& transport, int timeout_ms = 0) {
  auto items = transport.news();
  return ::poll(items.data(), items.size(), timeout_ms) > 0;
}

bool has_room(const Transport& transport, int timeout_ms = 0) {
  pollfd item = transport.room();
  return ::poll(&item, 1, timeout_ms) > 0;
}

// Different from each other at every place where pieces may begin.
std::string bytes_of(std::size_t size, unsigned seed) {
  std::string bytes(size, '\0');
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>((i * 31 + i / 251 + seed) & 0xFF);
  return bytes;
}

// More than any transport takes without a reader.
constexpr std::size_t large = 5'000'000;

template <class Call>
std::pair<ErrorCode, std::string> error_of(const Call& call) {
  try {
    call();
  } catch (const Error& error) {
    return {error.code(), error.what()};
  }
  ADD_FAILURE() << "nothing was thrown";
  return {};
}

TEST_P(TransportContract, FramesArriveInOrder) {
  const auto [a, b] = GetParam()->connect();
  std::vector<Frame> sent;
  for (unsigned i = 0; i < 100; ++i) sent.emplace_back("head " + std::to_string(i), bytes_of(i * 7 % 50, i));
  for (const auto& [head, payload] : sent) a->post(head, payload);
  EXPECT_FALSE(a->has_unsent());
  Collector received;
  EXPECT_EQ(read_all(*b, received), Transport::Got::nothing);
  EXPECT_EQ(received.frames, sent);
  EXPECT_EQ(b->state(), Transport::State::open);
  EXPECT_FALSE(b->peer_gone());
}

TEST_P(TransportContract, EmptyPartsAreParts) {
  const auto [a, b] = GetParam()->connect();
  a->post("only a head", "");
  a->post("", "only a payload");
  a->post("", "");
  a->post("both", "parts");
  Collector received;
  EXPECT_EQ(read_all(*b, received), Transport::Got::nothing);
  EXPECT_EQ(received.frames,
            (std::vector<Frame>{{"only a head", ""}, {"", "only a payload"}, {"", ""}, {"both", "parts"}}));
}

TEST_P(TransportContract, ALargePayloadTravelsInPieces) {
  const auto [a, b] = GetParam()->connect();
  const std::string payload = bytes_of(large, 1);
  a->post("large", payload);
  EXPECT_TRUE(a->has_unsent()) << "post() does not wait";
  a->post("behind it", "second");
  Collector received;
  EXPECT_EQ(read_all(*b, received), Transport::Got::nothing);
  EXPECT_TRUE(received.frames.empty()) << "only a part of it was sent";
  for (int round = 0; round < 100'000 && received.frames.size() < 2; ++round) {
    a->flush();
    read_all(*b, received);
  }
  EXPECT_FALSE(a->has_unsent());
  ASSERT_EQ(received.frames.size(), 2u);
  EXPECT_EQ(received.frames[0].second, payload);
  EXPECT_EQ(received.frames[1], (Frame{"behind it", "second"}));
}

TEST_P(TransportContract, DrainWaitsForTheReader) {
  const auto [a, b] = GetParam()->connect();
  const std::string payload = bytes_of(large, 2);
  Collector received;
  std::thread reader([&, b = b.get()] { read_frames(*b, received, 1); });
  a->post("large", payload);
  a->drain();
  EXPECT_FALSE(a->has_unsent());
  reader.join();
  ASSERT_EQ(received.frames.size(), 1u);
  EXPECT_EQ(received.frames[0].second, payload);
}

TEST_P(TransportContract, DrainEndsWithItsPatience) {
  const auto [a, b] = GetParam()->connect();
  a->post("large", bytes_of(large, 3));
  const auto [code, text] = error_of([&, a = a.get()] { a->drain(20); });
  EXPECT_EQ(code, ErrorCode::timeout);
  EXPECT_THAT(text, HasSubstr("the other end"));
}

TEST_P(TransportContract, RoomIsToldOf) {
  const auto [a, b] = GetParam()->connect();
  a->post("large", bytes_of(large, 4));
  a->flush();
  EXPECT_FALSE(has_room(*a));
  Collector received;
  read_all(*b, received);
  EXPECT_TRUE(has_room(*a, 10'000));
}

TEST_P(TransportContract, NewsAreToldOf) {
  const auto [a, b] = GetParam()->connect();
  EXPECT_FALSE(has_news(*b));
  a->post("one", "1");
  EXPECT_TRUE(has_news(*b, 10'000));
  Collector received;
  read_all(*b, received);
  EXPECT_FALSE(has_news(*b)) << "they are known";
  a->post("two", "2", Transport::Wake::in_passing);
  a->post("three", "3");
  EXPECT_TRUE(has_news(*b, 10'000));
  read_all(*b, received);
  EXPECT_EQ(received.frames, (std::vector<Frame>{{"one", "1"}, {"two", "2"}, {"three", "3"}}));
  EXPECT_FALSE(has_news(*a)) << "those were of the other direction";
}

TEST_P(TransportContract, WhatIsSentInPassingIsNotHeldBackForEver) {
  const auto [a, b] = GetParam()->connect();
  a->post("large", bytes_of(large, 5), Transport::Wake::in_passing);
  EXPECT_TRUE(a->has_unsent());
  EXPECT_TRUE(has_news(*b, 10'000)) << "without a reader there will be no room";
}

TEST_P(TransportContract, TheEndComesAfterWhatWasSent) {
  auto [a, b] = GetParam()->connect();
  a->post("last", "words");
  a.reset();
  EXPECT_TRUE(has_news(*b, 10'000));
  EXPECT_TRUE(b->peer_gone());
  Collector received;
  EXPECT_EQ(read_all(*b, received), Transport::Got::end);
  EXPECT_EQ(received.frames, (std::vector<Frame>{{"last", "words"}}));
  EXPECT_EQ(b->state(), Transport::State::closed);
  EXPECT_EQ(b->read_some(received), Transport::Got::end) << "and stays";
  EXPECT_TRUE(has_news(*b));
}

TEST_P(TransportContract, SendingToNobodyIsAnErrorThatNamesThePeer) {
  auto [a, b] = GetParam()->connect();
  EXPECT_EQ(a->peer(), "the other end");
  b.reset();
  const auto [code, text] = error_of([&, a = a.get()] { a->post("to", "nobody"); });
  EXPECT_EQ(code, ErrorCode::io);
  EXPECT_THAT(text, HasSubstr("cannot send to the other end"));
  EXPECT_FALSE(a->has_unsent());
}

TEST_P(TransportContract, ASenderIsNotHeldUpByAPeerThatEnds) {
  auto [a, b] = GetParam()->connect();
  a->post("large", bytes_of(large, 6));
  ASSERT_TRUE(a->has_unsent());
  std::thread ender([b = std::move(b)]() mutable { b.reset(); });
  EXPECT_EQ(error_of([&, a = a.get()] { a->drain(); }).first, ErrorCode::io);
  ender.join();
}

TEST_P(TransportContract, APeerLostWithinAHead) {
  auto [unruly, b] = GetParam()->connect_unruly();
  unruly->announce(100, 10);
  unruly->send_part_of_head(std::string(50, 'h'));
  unruly.reset();
  Collector received;
  EXPECT_EQ(read_all(*b, received), Transport::Got::end);
  EXPECT_TRUE(received.frames.empty());
  EXPECT_TRUE(received.head.empty()) << "a part of a head is none";
  EXPECT_EQ(b->state(), Transport::State::lost);
}

TEST_P(TransportContract, APeerLostWithinAPayload) {
  for (const std::size_t part : {std::size_t{0}, std::size_t{99'999}}) {
    auto [unruly, b] = GetParam()->connect_unruly();
    unruly->announce(4, 100'000);
    unruly->send_part_of_head("head");
    unruly->send_part_of_payload(std::string(part, 'p'));
    unruly.reset();
    Collector received;
    EXPECT_EQ(read_all(*b, received), Transport::Got::end);
    EXPECT_EQ(received.head, "head");
    EXPECT_TRUE(received.frames.empty());
    EXPECT_EQ(b->state(), Transport::State::lost);
  }
}

TEST_P(TransportContract, PiecesOfAnySizeMakeTheFrame) {
  auto [unruly, b] = GetParam()->connect_unruly();
  const std::string head = bytes_of(300, 7), payload = bytes_of(300, 8);
  Collector received;
  unruly->announce(head.size(), payload.size());
  for (const char byte : head) {
    unruly->send_part_of_head({&byte, 1});
    EXPECT_EQ(read_all(*b, received), Transport::Got::nothing);
  }
  EXPECT_EQ(received.head, head) << "it is given before the payload has come";
  for (const char byte : payload) {
    unruly->send_part_of_payload({&byte, 1});
    EXPECT_EQ(read_all(*b, received), Transport::Got::nothing);
  }
  EXPECT_EQ(received.frames, (std::vector<Frame>{{head, payload}}));
}

TEST_P(TransportContract, TheSenderRefusesALargeHead) {
  const auto [a, b] = GetParam()->connect();
  const std::string head(Transport::max_head + 1, 'h');
  const auto [code, text] = error_of([&, a = a.get()] { a->post(head, "payload"); });
  EXPECT_EQ(code, ErrorCode::bad_input);
  EXPECT_THAT(text, HasSubstr("cannot send to the other end: the head of a message has 16777217 bytes"));
  EXPECT_THAT(text, HasSubstr("16 MiB"));
  EXPECT_FALSE(a->has_unsent());
  a->post("small", "payload");
  Collector received;
  EXPECT_EQ(read_all(*b, received), Transport::Got::nothing);
  EXPECT_EQ(received.frames, (std::vector<Frame>{{"small", "payload"}})) << "nothing of the other one was sent";
}

TEST_P(TransportContract, AHeadMayBeAsLargeAsTheLimit) {
  const auto [a, b] = GetParam()->connect();
  const std::string head(Transport::max_head, 'h');
  Collector received;
  std::thread reader([&, b = b.get()] { read_frames(*b, received, 1); });
  a->post(head, "payload");
  a->drain();
  reader.join();
  ASSERT_EQ(received.frames.size(), 1u);
  EXPECT_TRUE(received.frames[0].first == head);
  EXPECT_EQ(received.frames[0].second, "payload");
}

std::size_t allocated() {
  const auto info = ::mallinfo2();
  return info.uordblks + info.hblkhd;
}

TEST_P(TransportContract, TheReceiverRefusesADamagedSizeBeforeItAllocates) {
  constexpr std::uint64_t max_head = Transport::max_head, max_payload = Transport::max_payload;
  for (const auto& [head, payload] : {std::pair{max_head + 1, std::uint64_t{0}},
                                      {std::uint64_t{0xFFFFFFFF}, std::uint64_t{0}},
                                      {std::uint64_t{2}, max_payload + 1},
                                      {std::uint64_t{2}, ~std::uint64_t{0}}}) {
    auto [unruly, b] = GetParam()->connect_unruly();
    unruly->announce(head, payload);  // and no byte more: nothing is waited for
    Collector received;
    const std::size_t before = allocated();
    const auto [code, text] = error_of([&, b = b.get()] { read_all(*b, received); });
    EXPECT_LT(allocated(), before + 100'000);
    EXPECT_EQ(code, ErrorCode::corrupted);
    EXPECT_THAT(text, HasSubstr("a message from the other end is garbled"));
    EXPECT_EQ(b->state(), Transport::State::lost);
  }
}

TEST_P(TransportContract, APayloadThatIsOnlyAnnouncedTakesLittleMemory) {
  auto [unruly, b] = GetParam()->connect_unruly();
  unruly->announce(4, Transport::max_payload);
  unruly->send_part_of_head("head");
  unruly->send_part_of_payload("begin");
  Collector received;
  const std::size_t before = allocated();
  EXPECT_EQ(read_all(*b, received), Transport::Got::nothing);
  EXPECT_LT(allocated(), before + (std::size_t{32} << 20));
}

// As documented: one thread for each direction of an end.
TEST_P(TransportContract, EachDirectionMayHaveAThread) {
  const auto [a, b] = GetParam()->connect();
  constexpr unsigned frames = 2000;
  const auto payload = [](unsigned i) { return bytes_of(i % 97 == 0 ? 200'000 : i % 300, i); };
  const auto send = [&](Transport& end) {
    for (unsigned i = 0; i < frames; ++i) {
      end.post("head " + std::to_string(i), payload(i),
               i % 3 == 0 ? Transport::Wake::in_passing : Transport::Wake::receiver);
      end.drain();
    }
    end.post("end", "");  // which wakes for what was in passing
  };
  const auto receive = [&](Transport& end) {
    Collector received;
    read_frames(end, received, frames + 1);
    ASSERT_EQ(received.frames.size(), frames + 1);
    for (unsigned i = 0; i < frames; ++i) {
      ASSERT_EQ(received.frames[i].first, "head " + std::to_string(i));
      ASSERT_TRUE(received.frames[i].second == payload(i)) << i;
    }
  };
  std::array<std::thread, 4> threads{std::thread(send, std::ref(*a)), std::thread(send, std::ref(*b)),
                                     std::thread(receive, std::ref(*a)), std::thread(receive, std::ref(*b))};
  for (auto& thread : threads) thread.join();
}

// Either thread may ask how it stands while the other one works.
TEST_P(TransportContract, EitherThreadMayAskForTheState) {
  auto [a, b] = GetParam()->connect();
  std::atomic<bool> ended = false;
  std::thread asking([&, b = b.get()] {
    while (!ended) EXPECT_TRUE(b->state() == Transport::State::open || b->peer_gone());
  });
  for (int i = 0; i < 100; ++i) a->post("head", "payload");
  a.reset();
  Collector received;
  EXPECT_EQ(read_all(*b, received), Transport::Got::end);
  ended = true;
  asking.join();
  EXPECT_EQ(received.frames.size(), 100u);
}

}  // namespace
}  // namespace warpwright::execution
