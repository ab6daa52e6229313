// The Error that a call must throw, for tests.
#pragma once

#include <gtest/gtest.h>
#include <string>
#include <utility>

#include <warpwright/base/error.hpp>

namespace warpwright {

// Fails the test where `call` throws no Error.
template <class Call>
Error error_of(Call&& call) {
  try {
    std::forward<Call>(call)();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "no Error was thrown";
  return Error(ErrorCode::internal, "no error");
}

// Its whole text; fails the test where its code is another.
template <class Call>
std::string message_of(ErrorCode code, Call&& call) {
  const Error error = error_of(std::forward<Call>(call));
  EXPECT_EQ(error.code(), code) << error.what();
  return error.what();
}

// Of bad input.
template <class Call>
std::string refusal(Call&& call) {
  return message_of(ErrorCode::bad_input, std::forward<Call>(call));
}

}  // namespace warpwright
