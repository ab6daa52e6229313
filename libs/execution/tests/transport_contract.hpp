// What every transport must do. An implementation passes a TransportLab of its own to the suite:
//   INSTANTIATE_TEST_SUITE_P(Socket, TransportContract, ::testing::Values(&lab), name_of_lab);
#pragma once

#include <cstdint>
#include <gtest/gtest.h>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "../src/transport.hpp"

namespace warpwright::execution {

// An end that need not keep to the rules: a process that dies in the middle of a frame, or whose memory is overwritten.
// Its destructor ends the connection.
class UnrulyEnd {
 public:
  virtual ~UnrulyEnd() = default;
  virtual void announce(std::uint64_t head, std::uint64_t payload) = 0;
  virtual void send_part_of_head(std::string_view bytes) = 0;
  virtual void send_part_of_payload(std::string_view bytes) = 0;
};

class TransportLab {
 public:
  virtual ~TransportLab() = default;
  virtual std::string name() const = 0;
  // Both ends of a new connection. Each calls the other "the other end".
  virtual std::pair<std::unique_ptr<Transport>, std::unique_ptr<Transport>> connect() const = 0;
  virtual std::pair<std::unique_ptr<UnrulyEnd>, std::unique_ptr<Transport>> connect_unruly() const = 0;
};

class TransportContract : public ::testing::TestWithParam<const TransportLab*> {};

inline std::string name_of_lab(const ::testing::TestParamInfo<const TransportLab*>& info) { return info.param->name(); }

}  // namespace warpwright::execution
