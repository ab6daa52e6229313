// Contract: streams, events and graphs.
#pragma once

#include <chrono>
#include <numeric>
#include <thread>
#include <vector>

#include <warpwright/testing/contract/fixture.hpp>

namespace warpwright::test {

namespace detail {
// Long enough on every device that the host can look while it runs, short enough for the slowest.
inline constexpr int long_spin = 20'000'000;
}  // namespace detail

TEST_P(DeviceContract, EventsNeverRecordedAreDoneAndHaveNoTime) {
  auto event = context_->create_event(), other = context_->create_event();
  EXPECT_TRUE(event->done());
  event->synchronize();
  stream_->wait(*event);
  stream_->record(*other);
  stream_->synchronize();
  EXPECT_EQ(error_of([&] { static_cast<void>(event->elapsed_since(*other)); }).code(), ErrorCode::conflict);
  EXPECT_EQ(error_of([&] { static_cast<void>(other->elapsed_since(*event)); }).code(), ErrorCode::conflict);
  expect_usable();
}

TEST_P(DeviceContract, EventsMeasureTheWorkBetweenThem) {
  auto spin = load("contract_spin");
  auto data = upload(std::vector<int>(64, 1));
  std::vector<std::unique_ptr<device::Event>> events;
  for (int i = 0; i < 4; ++i) events.push_back(context_->create_event());
  // One untimed run first: some drivers generate code at the first launch of a geometry.
  stream_->launch(*spin.kernel, linear(1, 64), Arguments{data.get(), scalar(10)});
  stream_->record(*events[0]);
  stream_->launch(*spin.kernel, linear(1, 64), Arguments{data.get(), scalar(1'000'000)});
  stream_->record(*events[1]);
  stream_->launch(*spin.kernel, linear(1, 64), Arguments{data.get(), scalar(4'000'000)});
  stream_->record(*events[2]);
  stream_->record(*events[3]);
  stream_->synchronize();
  const Nanoseconds first = events[1]->elapsed_since(*events[0]), second = events[2]->elapsed_since(*events[1]);
  const Nanoseconds both = events[2]->elapsed_since(*events[0]);
  EXPECT_GT(first, Nanoseconds{0});
  EXPECT_GT(second, first);
  EXPECT_GE(both + Nanoseconds{2000}, first + second);
  EXPECT_GE(events[3]->elapsed_since(*events[2]), Nanoseconds{0});
  EXPECT_GE(events[3]->elapsed_since(*events[0]) + Nanoseconds{2000}, both);
}

TEST_P(DeviceContract, AnEventIsDoneWhenTheWorkBeforeItIs) {
  auto spin = load("contract_spin");
  auto data = upload(std::vector<int>(32, 1));
  auto start = context_->create_event(), stop = context_->create_event();
  stream_->record(*start);
  stream_->launch(*spin.kernel, linear(1, 32), Arguments{data.get(), scalar(detail::long_spin)});
  stream_->record(*stop);
  bool refused = false;
  try {
    static_cast<void>(stop->elapsed_since(*start));
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::conflict);
    refused = true;
  }
  // It may end between two questions, but not begin again.
  EXPECT_TRUE(refused || stop->done());
  stop->synchronize();
  EXPECT_TRUE(stop->done());
  EXPECT_TRUE(start->done());
  EXPECT_TRUE(stream_->idle());
  EXPECT_EQ(download<int>(*data).front(), spun(1, detail::long_spin));
}

TEST_P(DeviceContract, PollingAnEventGetsSomewhere) {
  auto spin = load("contract_spin");
  auto data = upload(std::vector<int>(32, 1));
  auto event = context_->create_event();
  stream_->launch(*spin.kernel, linear(1, 32), Arguments{data.get(), scalar(1000)});
  stream_->record(*event);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  while (!event->done() || !stream_->idle()) ASSERT_LT(std::chrono::steady_clock::now(), deadline) << "never done";
  EXPECT_EQ(download<int>(*data).front(), spun(1, 1000));
}

TEST_P(DeviceContract, AnEventCanBeRecordedAgain) {
  auto spin = load("contract_spin");
  auto data = upload(std::vector<int>(32, 0));
  auto event = context_->create_event(), other = context_->create_event();
  for (int round = 0; round < 5; ++round) {
    stream_->record(*other);
    stream_->launch(*spin.kernel, linear(1, 32), Arguments{data.get(), scalar(1000)});
    stream_->record(*event);
    event->synchronize();
    EXPECT_GT(event->elapsed_since(*other), Nanoseconds{0});
  }
}

TEST_P(DeviceContract, OneStreamWaitsForAnother) {
  auto spin = load("contract_spin");
  auto second = context_->create_stream();
  auto event = context_->create_event();
  for (int round = 0; round < 10; ++round) {
    auto data = upload(std::vector<int>(32, round));
    stream_->launch(*spin.kernel, linear(1, 32), Arguments{data.get(), scalar(300'000)});
    stream_->record(*event);
    second->wait(*event);
    // Runs on what the first stream wrote, or gives another number.
    second->launch(*spin.kernel, linear(1, 32), Arguments{data.get(), scalar(2)});
    second->synchronize();
    ASSERT_EQ(download<int>(*data), std::vector<int>(32, spun(spun(round, 300'000), 2))) << round;
  }
}

TEST_P(DeviceContract, WorkOfOneStreamStaysInOrder) {
  auto add = load("contract_spin");
  auto data = context_->allocate(Bytes{64 * sizeof(int)}), copy = context_->allocate(Bytes{64 * sizeof(int)});
  std::vector<int> back(64);
  for (int round = 0; round < 50; ++round) {
    stream_->fill(*data, Bytes{}, data->size(), 0);
    stream_->launch(*add.kernel, linear(2, 32), Arguments{data.get(), scalar(round)});
    stream_->copy_on_device(*copy, Bytes{}, *data, Bytes{}, data->size());
    stream_->fill(*data, Bytes{}, data->size(), 0xEE);
    stream_->copy_to_host(std::as_writable_bytes(std::span(back)), *copy, Bytes{});
    stream_->synchronize();
    ASSERT_EQ(back, std::vector<int>(64, spun(0, round))) << round;
  }
}

TEST_P(DeviceContract, AFreshStreamIsIdle) {
  auto fresh = context_->create_stream();
  EXPECT_TRUE(fresh->idle());
  fresh->synchronize();
  EXPECT_TRUE(fresh->idle());
}

TEST_P(DeviceContract, TheContextWaitsForAllStreams) {
  auto spin = load("contract_spin");
  auto a = upload(std::vector<int>(32, 1)), b = upload(std::vector<int>(32, 2));
  auto second = context_->create_stream();
  stream_->launch(*spin.kernel, linear(1, 32), Arguments{a.get(), scalar(1'000'000)});
  second->launch(*spin.kernel, linear(1, 32), Arguments{b.get(), scalar(1'000'000)});
  context_->synchronize();
  EXPECT_TRUE(stream_->idle());
  EXPECT_TRUE(second->idle());
  EXPECT_EQ(download<int>(*a).front(), spun(1, 1'000'000));
  EXPECT_EQ(download<int>(*b).front(), spun(2, 1'000'000));
}

TEST_P(DeviceContract, ThreadsMayUseDifferentStreams) {
  auto spin = load("contract_spin");
  constexpr int threads = 4, launches = 50;
  std::vector<std::unique_ptr<device::Buffer>> buffers;
  std::vector<std::unique_ptr<device::Stream>> streams;
  for (int t = 0; t < threads; ++t) {
    buffers.push_back(upload(std::vector<int>(32, t)));
    streams.push_back(context_->create_stream());
  }
  std::vector<std::string> failures(threads);
  std::vector<std::thread> workers;
  for (std::size_t t = 0; t < threads; ++t)
    workers.emplace_back([&, t] {
      try {
        for (int i = 0; i < launches; ++i) {
          streams[t]->launch(*spin.kernel, linear(1, 32), Arguments{buffers[t].get(), scalar(static_cast<int>(t))});
          if (i % 10 == 0) streams[t]->synchronize();
        }
        streams[t]->synchronize();
      } catch (const std::exception& error) {
        failures[t] = error.what();
      }
    });
  for (auto& worker : workers) worker.join();
  for (int t = 0; t < threads; ++t) {
    EXPECT_EQ(failures[static_cast<std::size_t>(t)], "");
    int expected = t;
    for (int i = 0; i < launches; ++i) expected = spun(expected, t);
    EXPECT_EQ(download<int>(*buffers[static_cast<std::size_t>(t)]), std::vector<int>(32, expected)) << t;
  }
}

TEST_P(DeviceContract, ThousandsOfLaunchesNeedNoWaiting) {
  auto spin = load("contract_spin");
  auto data = upload(std::vector<int>(32, 0));
  for (int i = 0; i < 5000; ++i) stream_->launch(*spin.kernel, linear(1, 32), Arguments{data.get(), scalar(0)});
  EXPECT_EQ(download<int>(*data), std::vector<int>(32, 5000));
}

TEST_P(DeviceContract, HandlesMayDieInAnyOrder) {
  auto data = upload(std::vector<int>(32, 0));
  {
    auto event = context_->create_event();
    auto stream = context_->create_stream();
    auto spin = load("contract_spin");
    stream->launch(*spin.kernel, linear(1, 32), Arguments{data.get(), scalar(1'000'000)});
    stream->record(*event);
    event.reset();  // before the work it marks has ended
    stream->synchronize();
    spin.module.reset();
    spin.kernel.reset();
  }
  {
    auto spin = load("contract_spin");
    auto event = context_->create_event();
    auto stream = context_->create_stream();
    stream->record(*event);
    stream->synchronize();
    stream.reset();  // before the event recorded in it
    EXPECT_TRUE(event->done());
    auto moved = std::move(spin.kernel);
    stream_->launch(*moved, linear(1, 32), Arguments{data.get(), scalar(0)});
    stream_->synchronize();
  }
  EXPECT_EQ(download<int>(*data).front(), spun(spun(0, 1'000'000), 0));
}

TEST_P(DeviceContract, GraphsRunAgainAndAgain) {
  auto spin = load("contract_spin");
  auto data = upload(std::vector<int>(32, 0));
  const auto body = [&] {
    stream_->launch(*spin.kernel, linear(1, 32), Arguments{data.get(), scalar(0)});
    stream_->launch(*spin.kernel, linear(1, 32), Arguments{data.get(), scalar(0)});
  };
  if (!info_.supports_graphs) {
    EXPECT_EQ(error_of([&] { static_cast<void>(context_->record_graph(*stream_, body)); }).code(),
              ErrorCode::unsupported);
    expect_usable();
    return;
  }
  auto graph = context_->record_graph(*stream_, body);
  stream_->synchronize();
  EXPECT_EQ(download<int>(*data).front(), 0) << "recording must not run";
  for (int i = 0; i < 3; ++i) stream_->launch(*graph);
  EXPECT_EQ(download<int>(*data), std::vector<int>(32, 6));
  // A body that throws leaves the stream usable.
  EXPECT_THROW(static_cast<void>(context_->record_graph(*stream_,
                                                        [&]() -> void {
                                                          body();
                                                          throw std::runtime_error("from the body");
                                                        })),
               std::runtime_error);
  expect_usable();
}

}  // namespace warpwright::test
