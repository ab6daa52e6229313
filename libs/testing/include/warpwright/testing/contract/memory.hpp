// Contract: devices, buffers and copies.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <new>
#include <numeric>
#include <set>
#include <string>
#include <vector>

#include <warpwright/testing/contract/fixture.hpp>

namespace warpwright::test {

TEST_P(DeviceContract, ProbeNamesWhatItFound) {
  const device::ProbeResult probe = backend_->probe();
  EXPECT_TRUE(probe.reason.empty()) << probe.reason;
  EXPECT_FALSE(probe.components.empty());
  for (const auto& component : probe.components) {
    EXPECT_FALSE(component.name.empty());
    if (component.present) continue;
    EXPECT_FALSE(component.required) << component.name << " is missing and the backend usable";
    EXPECT_FALSE(component.remedy.empty()) << component.name << " is missing and nobody says how to get it";
  }
}

TEST_P(DeviceContract, DevicesAreDescribed) {
  std::set<std::string> ids;
  for (const DeviceInfo& device : backend_->devices()) {
    SCOPED_TRACE(device.id.to_string());
    EXPECT_EQ(device.id.backend, backend_->name());
    EXPECT_TRUE(ids.insert(device.id.to_string()).second);
    EXPECT_FALSE(device.name.empty());
    EXPECT_FALSE(device.driver.empty());
    EXPECT_GT(device.multiprocessors, 0);
    EXPECT_GT(device.max_threads_per_block, 0);
    for (const auto extent : device.max_block) EXPECT_GT(extent, 0);
    EXPECT_GT(device.global_memory, Bytes{});
    EXPECT_GT(device.shared_per_block, Bytes{});
    EXPECT_GE(device.shared_limit(), device.shared_per_block);
  }
  EXPECT_EQ(context_->device().id, id_);
  EXPECT_EQ(ids.count(id_.to_string()), 1u);
}

TEST_P(DeviceContract, AnUnknownDeviceIsNotFound) {
  DeviceId unknown = id_;
  unknown.ordinals.back() = 4711;
  const Error error = error_of([&] { static_cast<void>(backend_->open(unknown)); });
  EXPECT_EQ(error.code(), ErrorCode::not_found);
  EXPECT_THAT(error.what(), ::testing::HasSubstr(unknown.to_string()));
  EXPECT_THAT(error.what(), ::testing::HasSubstr(id_.to_string()));
}

TEST_P(DeviceContract, AViewIsThePartOfItsBuffer) {
  constexpr std::size_t page = device::view_alignment.count, size = 3 * page;
  auto whole = context_->allocate(Bytes{size});
  auto part = context_->view(*whole, Bytes{page}, Bytes{page + 8});
  EXPECT_EQ(part->size(), Bytes{page + 8});
  stream_->fill(*whole, Bytes{}, Bytes{size}, 1);
  stream_->fill(*part, Bytes{}, Bytes{4}, 2);
  const std::vector<std::uint8_t> threes(8, 3);
  stream_->copy_to_device(*part, Bytes{page}, std::as_bytes(std::span(threes)));
  auto other = context_->allocate(Bytes{8});
  stream_->copy_on_device(*other, Bytes{}, *part, Bytes{page}, Bytes{8});
  std::vector<std::uint8_t> found(size), copied(8);
  stream_->copy_to_host(std::as_writable_bytes(std::span(found)), *whole, Bytes{});
  stream_->copy_to_host(std::as_writable_bytes(std::span(copied)), *other, Bytes{});
  stream_->synchronize();
  std::vector<std::uint8_t> expected(size, 1);
  std::fill_n(expected.begin() + page, 4, std::uint8_t{2});
  std::fill_n(expected.begin() + 2 * page, 8, std::uint8_t{3});
  EXPECT_EQ(found, expected);
  EXPECT_EQ(copied, threes);

  EXPECT_EQ(error_of([&] { context_->view(*whole, Bytes{page}, Bytes{2 * page + 1}); }).code(), ErrorCode::bad_input);
  EXPECT_EQ(error_of([&] { context_->view(*whole, Bytes{100}, Bytes{8}); }).code(), ErrorCode::bad_input);
  EXPECT_EQ(error_of([&] { context_->view(*whole, Bytes{page}, Bytes{}); }).code(), ErrorCode::bad_input);
  EXPECT_EQ(error_of([&] { stream_->fill(*part, Bytes{page}, Bytes{9}, 1); }).code(), ErrorCode::bad_input);
}

TEST_P(DeviceContract, CopiesBothWays) {
  std::vector<std::uint8_t> bytes(10007);
  std::iota(bytes.begin(), bytes.end(), std::uint8_t{3});
  auto buffer = context_->allocate(Bytes{bytes.size()});
  EXPECT_EQ(buffer->size(), Bytes{bytes.size()});
  stream_->copy_to_device(*buffer, Bytes{}, std::as_bytes(std::span(bytes)));
  EXPECT_EQ(download<std::uint8_t>(*buffer), bytes);
}

TEST_P(DeviceContract, CopiesPartsAtOffsets) {
  auto buffer = upload(std::vector<std::uint8_t>(100, 1));
  const std::vector<std::uint8_t> part{7, 8, 9};
  stream_->copy_to_device(*buffer, Bytes{41}, std::as_bytes(std::span(part)));
  std::vector<std::uint8_t> back(5);
  stream_->copy_to_host(std::as_writable_bytes(std::span(back)), *buffer, Bytes{40});
  stream_->synchronize();
  EXPECT_EQ(back, (std::vector<std::uint8_t>{1, 7, 8, 9, 1}));
  std::vector<std::uint8_t> last(1);
  stream_->copy_to_host(std::as_writable_bytes(std::span(last)), *buffer, Bytes{99});
  stream_->synchronize();
  EXPECT_EQ(last.front(), 1);
}

TEST_P(DeviceContract, CopiesOnTheDevice) {
  std::vector<std::uint8_t> bytes(64);
  std::iota(bytes.begin(), bytes.end(), std::uint8_t{});
  auto source = upload(bytes);
  auto target = upload(std::vector<std::uint8_t>(64, 0xFF));
  stream_->copy_on_device(*target, Bytes{3}, *source, Bytes{10}, Bytes{5});
  std::vector<std::uint8_t> expected(64, 0xFF);
  for (std::uint8_t i = 0; i < 5; ++i) expected[3u + i] = static_cast<std::uint8_t>(10 + i);
  EXPECT_EQ(download<std::uint8_t>(*target), expected);
  // Within one buffer: side by side is right, one byte closer is refused.
  stream_->copy_on_device(*source, Bytes{0}, *source, Bytes{8}, Bytes{8});
  for (std::size_t i = 0; i < 8; ++i) bytes[i] = bytes[i + 8];
  EXPECT_EQ(download<std::uint8_t>(*source), bytes);
  for (const auto& [to, from] : {std::pair{0, 7}, std::pair{7, 0}, std::pair{5, 5}}) {
    const Error error = error_of([&, to = to, from = from] {
      stream_->copy_on_device(*source, Bytes{static_cast<std::uint64_t>(to)}, *source,
                              Bytes{static_cast<std::uint64_t>(from)}, Bytes{8});
    });
    EXPECT_EQ(error.code(), ErrorCode::bad_input) << to << " from " << from;
  }
  EXPECT_EQ(download<std::uint8_t>(*source), bytes);
}

TEST_P(DeviceContract, FillsAnyRange) {
  // Offsets and sizes at which drivers change between wide and narrow patterns.
  std::vector<std::uint8_t> expected(100, 0);
  auto buffer = upload(expected);
  std::uint8_t value = 1;
  for (const auto& [offset, size] : {std::pair{0, 100}, {16, 32}, {4, 8}, {3, 5}, {99, 1}, {64, 16}, {17, 66}}) {
    ++value;
    stream_->fill(*buffer, Bytes{static_cast<std::uint64_t>(offset)}, Bytes{static_cast<std::uint64_t>(size)}, value);
    for (int i = offset; i < offset + size; ++i) expected[static_cast<std::size_t>(i)] = value;
    ASSERT_EQ(download<std::uint8_t>(*buffer), expected) << size << " bytes at " << offset;
  }
}

TEST_P(DeviceContract, NoBytesAreLegalAndDoNothing) {
  auto empty = context_->allocate(Bytes{0});
  EXPECT_EQ(empty->size(), Bytes{0});
  auto buffer = upload(std::vector<std::uint8_t>(8, 5));
  stream_->copy_to_device(*empty, Bytes{}, {});
  stream_->copy_to_host({}, *empty, Bytes{});
  stream_->copy_to_device(*buffer, Bytes{8}, {});
  stream_->copy_to_host({}, *buffer, Bytes{8});
  stream_->copy_on_device(*buffer, Bytes{8}, *buffer, Bytes{8}, Bytes{});
  stream_->copy_on_device(*buffer, Bytes{2}, *empty, Bytes{}, Bytes{});
  stream_->fill(*buffer, Bytes{8}, Bytes{}, 1);
  stream_->fill(*empty, Bytes{}, Bytes{}, 1);
  EXPECT_EQ(download<std::uint8_t>(*buffer), std::vector<std::uint8_t>(8, 5));
}

TEST_P(DeviceContract, RangesOutsideTheBufferAreRefused) {
  const std::vector<std::uint8_t> before(16, 5);
  auto buffer = upload(before);
  auto other = upload(std::vector<std::uint8_t>(64, 6));
  std::vector<std::byte> host(17);
  constexpr std::uint64_t huge = std::numeric_limits<std::uint64_t>::max();
  const std::vector<std::function<void()>> calls{
      [&] { stream_->copy_to_device(*buffer, Bytes{}, host); },
      [&] { stream_->copy_to_device(*buffer, Bytes{1}, std::span(host).first(16)); },
      [&] { stream_->copy_to_device(*buffer, Bytes{17}, {}); },
      [&] { stream_->copy_to_device(*buffer, Bytes{huge}, std::span(host).first(2)); },
      [&] { stream_->copy_to_host(host, *buffer, Bytes{}); },
      [&] { stream_->copy_to_host(std::span(host).first(2), *buffer, Bytes{huge}); },
      [&] { stream_->copy_on_device(*buffer, Bytes{}, *other, Bytes{}, Bytes{17}); },
      [&] { stream_->copy_on_device(*other, Bytes{}, *buffer, Bytes{1}, Bytes{16}); },
      [&] { stream_->copy_on_device(*other, Bytes{}, *buffer, Bytes{huge}, Bytes{huge}); },
      [&] { stream_->fill(*buffer, Bytes{1}, Bytes{16}, 0); },
      [&] { stream_->fill(*buffer, Bytes{huge}, Bytes{2}, 0); },
  };
  for (std::size_t i = 0; i < calls.size(); ++i)
    EXPECT_EQ(error_of(calls[i]).code(), ErrorCode::bad_input) << "call " << i;
  EXPECT_EQ(download<std::uint8_t>(*buffer), before);
}

TEST_P(DeviceContract, BuffersOfAnotherBackendAreRefused) {
  ForeignBuffer foreign;
  auto own = upload(std::vector<std::uint8_t>(64, 5));
  std::vector<std::byte> host(4);
  auto fill = load("contract_fill");
  const std::vector<std::function<void()>> calls{
      [&] { stream_->copy_to_device(foreign, Bytes{}, host); },
      [&] { stream_->copy_to_host(host, foreign, Bytes{}); },
      [&] { stream_->copy_on_device(foreign, Bytes{}, *own, Bytes{}, Bytes{4}); },
      [&] { stream_->copy_on_device(*own, Bytes{}, foreign, Bytes{}, Bytes{4}); },
      [&] { stream_->fill(foreign, Bytes{}, Bytes{4}, 0); },
      [&] {
        stream_->launch(*fill.kernel, linear(1, 4), Arguments{&foreign, scalar(1), scalar(4)});
      },
      [&] {
        stream_->launch(*fill.kernel, linear(1, 4),
                        Arguments{static_cast<const device::Buffer*>(nullptr), scalar(1), scalar(4)});
      },
  };
  for (std::size_t i = 0; i < calls.size(); ++i)
    EXPECT_EQ(error_of(calls[i]).code(), ErrorCode::bad_input) << "call " << i;
  expect_usable();
}

TEST_P(DeviceContract, TooMuchMemoryIsRefusedAndHarmless) {
  const Error error = error_of([&] {
    auto buffer = context_->allocate(Bytes{std::uint64_t{1} << 50});
    // Drivers may allocate late.
    stream_->fill(*buffer, Bytes{}, Bytes{1}, 0);
    stream_->synchronize();
  });
  EXPECT_EQ(error.code(), ErrorCode::out_of_memory) << error.what();
  expect_usable();
}

TEST_P(DeviceContract, PinnedMemoryIsAlignedAndCopies) {
  auto in = context_->allocate_pinned(Bytes{100000});
  auto out = context_->allocate_pinned(Bytes{100000});
  for (const auto* pinned : {in.get(), out.get()}) {
    EXPECT_EQ(pinned->size(), Bytes{100000});
    ASSERT_NE(pinned->data(), nullptr);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(pinned->data()) % 4096, 0u);
  }
  for (std::size_t i = 0; i < in->bytes().size(); ++i) in->bytes()[i] = static_cast<std::byte>(i * 7);
  auto buffer = context_->allocate(Bytes{100000});
  stream_->copy_to_device(*buffer, Bytes{}, in->bytes());
  stream_->copy_to_host(out->bytes(), *buffer, Bytes{});
  stream_->synchronize();
  EXPECT_TRUE(std::ranges::equal(in->bytes(), out->bytes()));
}

TEST_P(DeviceContract, MemoryComesBack) {
  const auto before = context_->memory_use();
  if (!before) GTEST_SKIP() << "the driver does not tell how much memory is free";
  EXPECT_LE(before->free, before->total);
  for (int i = 0; i < 50; ++i) {
    auto buffer = context_->allocate(Bytes{64 << 20});
    stream_->fill(*buffer, Bytes{}, buffer->size(), 1);
    stream_->synchronize();
  }
  const auto after = context_->memory_use();
  ASSERT_TRUE(after.has_value());
  // Half of one buffer: 50 lost ones are 3.1 GiB.
  EXPECT_GE(after->free + Bytes{32 << 20}, before->free);
}

TEST_P(DeviceContract, PinsMemoryOfTheProgramOrSaysThatItCannot) {
  constexpr std::size_t page = 4096;
  struct Free {
    void operator()(std::byte* memory) const { ::operator delete (memory, std::align_val_t{page}); }
  };
  const std::unique_ptr<std::byte, Free> memory(
      static_cast<std::byte*>(::operator new (4 * page, std::align_val_t{page})));
  const std::span<std::byte> bytes(memory.get(), 4 * page);
  std::unique_ptr<device::PinnedBuffer> pinned;
  try {
    pinned = context_->pin_host_memory(bytes);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::unsupported) << error.what();
    return;
  }
  EXPECT_EQ(pinned->data(), bytes.data());
  EXPECT_EQ(pinned->size(), Bytes{bytes.size()});
  std::ranges::fill(bytes, std::byte{0x5A});
  auto buffer = context_->allocate(Bytes{bytes.size()});
  stream_->copy_to_device(*buffer, Bytes{}, bytes);
  stream_->synchronize();
  std::ranges::fill(bytes, std::byte{0});
  stream_->copy_to_host(bytes, *buffer, Bytes{});
  stream_->synchronize();
  EXPECT_TRUE(std::ranges::all_of(bytes, [](std::byte value) { return value == std::byte{0x5A}; }));
  const Error misaligned = error_of([&] { static_cast<void>(context_->pin_host_memory(bytes.subspan(16, page))); });
  EXPECT_EQ(misaligned.code(), ErrorCode::bad_input);
}

TEST_P(DeviceContract, OrderingEventsOrderStreams) {
  std::vector<std::uint8_t> bytes(1 << 20, 7), back(bytes.size());
  auto buffer = context_->allocate(Bytes{bytes.size()});
  const auto other = context_->create_stream();
  const auto event = context_->create_ordering_event();
  EXPECT_TRUE(event->done());
  stream_->copy_to_device(*buffer, Bytes{}, std::as_bytes(std::span(bytes)));
  stream_->record(*event);
  other->wait(*event);
  other->copy_to_host(std::as_writable_bytes(std::span(back)), *buffer, Bytes{});
  other->synchronize();
  EXPECT_TRUE(event->done());
  EXPECT_EQ(back, bytes);
}

}  // namespace warpwright::test
