// A library that is missing or does not start: the reason and the remedy apart, for ProbeResult, and together, for
// what().
#pragma once

#include <optional>
#include <string>
#include <utility>

#include <warpwright/base/error.hpp>

namespace warpwright::cuda {

class Unavailable : public Error {
 public:
  Unavailable(std::string reason, std::string remedy)
      : Error(ErrorCode::unavailable, reason + "; " + remedy), reason_(std::move(reason)), remedy_(std::move(remedy)) {}
  Unavailable(std::string reason, std::string remedy, NativeError native)
      : Error(ErrorCode::unavailable, reason + "; " + remedy, std::move(native)),
        reason_(std::move(reason)),
        remedy_(std::move(remedy)) {}

  const std::string& reason() const noexcept { return reason_; }
  const std::string& remedy() const noexcept { return remedy_; }

 private:
  std::string reason_, remedy_;
};

}  // namespace warpwright::cuda
