// Puts the load of a contract on a service and takes the latencies.
//
// An open loop: requests are due at times that were drawn before the run and do not wait for the service, as users do
// not. A latency counts from the time at which its request was due. Whoever sends the next request after the answer to
// the last one and counts from the sending (a closed loop) sends nothing while the service stalls, and so sees one slow
// request where users saw hundreds ("coordinated omission"); see Gil Tene's wrk2, and the Server scenario of MLPerf's
// LoadGen. A run measures itself too: how late a request was started although the generator was free to start it. That
// is no fault of the service, and a run in which it is much is INVALID.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <warpwright/base/clock.hpp>
#include <warpwright/base/units.hpp>
#include <warpwright/validate/contract.hpp>

namespace warpwright::validate {

// A clock that can be waited for.
class LoadClock : public Clock {
 public:
  // Returns at `time` or as soon after it as possible; at once if it has passed.
  virtual void wait_until(Nanoseconds time) = 0;
};

// SteadyClock; sleeps until shortly before the time and then reads the clock again and again, because a sleeping thread
// is woken 50 us late and more. Thread-safe.
class SteadyLoadClock final : public LoadClock {
 public:
  Nanoseconds now() const override;
  void wait_until(Nanoseconds time) override;
};

// What a service is told and says of one request. One thread only, during the call.
class Request {
 public:
  // From 0, those of the warm-up included.
  std::uint64_t number() const { return number_; }
  // How long a stage of the contract took for this request; said twice, the times add up. Throws Error(bad_input) for a
  // name that is no stage of the contract or the whole request, and for a time that is negative or not finite.
  void stage(std::string_view name, Nanoseconds time);

  // Made by the generator; `times` has an element for each of `stages`.
  Request(std::uint64_t number, const std::vector<std::string>& stages, std::vector<Nanoseconds>& times)
      : number_(number), stages_(&stages), times_(&times) {}

 private:
  std::uint64_t number_;
  const std::vector<std::string>* stages_;
  std::vector<Nanoseconds>* times_;
};

// Serves one request and returns when it is done; false or an exception: it failed, which is late for every limit. With
// `workers` above 1 it is called by several threads at once.
using Service = std::function<bool(Request&)>;

// Arrivals after the start, ascending, and how many of the first are warm-up.
struct Schedule {
  std::vector<Nanoseconds> arrivals;
  std::uint64_t warmup = 0;
  std::uint64_t counted() const { return arrivals.size() - warmup; }
};

// The schedule of a repeat, the same for the same seed everywhere. Ends with the first arrival after the warm-up that
// completes both min_requests and min_duration. Empty for a closed loop.
Schedule make_schedule(const Contract& contract, std::uint64_t repeat);

// What a run saw. Samples stand in the order of arrival, without those of the warm-up; an infinite one belongs to a
// request that failed, was dropped or was not served in time. Value type.
struct LatencyRun {
  struct Stage {
    std::string name;
    std::vector<Nanoseconds> samples;
  };
  std::uint64_t repeat = 0, seed = 0;
  LoadKind load = LoadKind::poisson;
  std::vector<Stage> stages;          // those of the contract, in its order
  std::vector<Nanoseconds> lateness;  // of the generator, for each request that it started
  std::uint64_t failed = 0;
  std::uint64_t dropped = 0;   // beyond max_outstanding
  std::uint64_t unserved = 0;  // not started within max_duration
  // Requests that succeeded and did not report every stage; whose stages add up to too much or too little.
  std::uint64_t without_stage = 0, stage_sum_off = 0;
  std::string first_failure;  // what the first exception said
  Nanoseconds elapsed{0};
  bool complete = false;  // false: stopped before it had the requests and the time of the contract

  std::uint64_t requests() const { return stages.empty() ? 0 : stages.front().samples.size(); }
};

// Asked between requests, also while waiting, by each worker; true ends the run, which keeps what it has.
using StopAsked = std::function<bool()>;

// Blocks for the whole run. With one worker `service` is called by the calling thread, so the clock may be one that
// only this thread moves. The contract must be one that check_contract() accepts, but for a number of requests that is
// too small to pass.
LatencyRun run_load(const Contract& contract, std::uint64_t repeat, const Service& service, LoadClock& clock,
                    const StopAsked& stop_asked = {});

}  // namespace warpwright::validate
