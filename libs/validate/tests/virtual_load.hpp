// A clock that only waiting and serving move, and services on it: runs of minutes take milliseconds and are exact.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include <warpwright/validate/load.hpp>

namespace warpwright::validate::test {

class VirtualLoadClock final : public LoadClock {
 public:
  Nanoseconds now() const override { return now_; }
  void wait_until(Nanoseconds time) override { now_ = std::max(now_, time + oversleep); }
  void advance(Nanoseconds time) { now_ += time; }

  Nanoseconds oversleep{0};

 private:
  Nanoseconds now_{12345};
};

inline Contract contract_of(LoadKind kind, double rate_hz, std::uint64_t requests, Nanoseconds p99) {
  Contract contract;
  contract.name = "test";
  contract.load.kind = kind;
  contract.load.rate_hz = rate_hz;
  contract.run.min_requests = requests;
  contract.run.repeats = 1;
  contract.limits = {{std::string(whole_request), Percentile::percent(99), p99}};
  return contract;
}

inline std::uint64_t count_above(const std::vector<Nanoseconds>& samples, Nanoseconds limit) {
  return static_cast<std::uint64_t>(
      std::count_if(samples.begin(), samples.end(), [&](Nanoseconds sample) { return sample > limit; }));
}

}  // namespace warpwright::validate::test
