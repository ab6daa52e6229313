#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <map>

#include <warpwright/base/error.hpp>
#include <warpwright/validate/contract.hpp>

#include "contract_check.hpp"

namespace warpwright::validate {
namespace detail {
namespace {

constexpr double most_seconds = 7 * 24 * 3600;
constexpr std::uint64_t most_requests_of_a_run = 100'000'000;

void check_load(const Contract& contract, const FailAt& fail) {
  const Load& load = contract.load;
  const bool has_rate = load.kind == LoadKind::poisson || load.kind == LoadKind::constant;
  if (has_rate && !(load.rate_hz > 0 && load.rate_hz <= 1e6)) {
    fail("load.rate_hz",
         fmt::format("must be more than 0 and at most 1000000 arrivals per second, found {}", load.rate_hz));
  }
  if (!has_rate && load.rate_hz != 0) {
    fail("load.rate_hz", fmt::format("a load of kind \"{}\" has no rate of its own; remove it", to_string(load.kind)));
  }
  if (load.kind == LoadKind::trace) {
    if (load.trace.empty()) fail("load.file", "a trace has at least one arrival");
    if (!std::is_sorted(load.trace.begin(), load.trace.end()) || load.trace.front().count() < 0) {
      fail("load.file", "the arrivals of a trace must be in ascending order and not negative");
    }
  }
  if (load.kind == LoadKind::closed && load.max_outstanding != 0) {
    fail("load.max_outstanding", "in a closed loop `workers` says how many requests are under way; remove it");
  }
  if (load.workers < 1 || load.workers > 1024) {
    fail("load.workers", fmt::format("must be 1 to 1024, found {}", load.workers));
  }
}

void check_run(const Contract& contract, const FailAt& fail) {
  const RunLength& run = contract.run;
  const auto seconds = [&](std::string_view key, Seconds value) {
    if (!(value.count() >= 0 && value.count() <= most_seconds)) {
      fail(key, fmt::format("must be 0 to {} seconds (a week), found {}", most_seconds, value.count()));
    }
  };
  seconds("run.warmup_s", run.warmup);
  seconds("run.min_duration_s", run.min_duration);
  seconds("run.max_duration_s", run.max_duration);
  if (run.min_requests < 1 || run.min_requests > most_requests_of_a_run) {
    fail("run.min_requests", fmt::format("must be 1 to {}, found {}", most_requests_of_a_run, run.min_requests));
  }
  if (run.repeats < 1 || run.repeats > 1000) {
    fail("run.repeats", fmt::format("must be 1 to 1000, found {}", run.repeats));
  }
  Seconds needed = run.warmup + run.min_duration;
  std::string why = "warm-up and min_duration_s";
  const Load& load = contract.load;
  if (load.rate_hz > 0) {
    const Seconds of_requests = run.warmup + Seconds{static_cast<double>(run.min_requests) / load.rate_hz};
    // Random arrivals may need longer than on average: five standard deviations.
    const double slack = load.kind == LoadKind::poisson ? 1 + 5 / std::sqrt(static_cast<double>(run.min_requests)) : 1;
    const Seconds longest = run.warmup + (of_requests - run.warmup) * slack;
    if (longest > needed) {
      needed = longest;
      why = fmt::format("{} requests at {} per second", run.min_requests, load.rate_hz);
      if (run.warmup.count() > 0) why += " after the warm-up";
    }
  }
  if (needed > run.max_duration) {
    fail("run.max_duration_s", fmt::format("{} take up to {:.4g} s, more than the {:.4g} s that a run may last", why,
                                           needed.count(), run.max_duration.count()));
  }
  if (load.kind == LoadKind::trace) {
    const auto counted = static_cast<std::uint64_t>(
        std::count_if(load.trace.begin(), load.trace.end(), [&](Nanoseconds at) { return at >= run.warmup; }));
    if (counted < run.min_requests) {
      fail("run.min_requests", fmt::format("the trace has {} arrivals after the warm-up, fewer than the {} required",
                                           counted, run.min_requests));
    }
    if (load.trace.back() < run.warmup + run.min_duration || load.trace.back() > run.max_duration) {
      fail("load.file",
           fmt::format("the trace lasts {:.4g} s; min_duration_s and max_duration_s ask for {:.4g} s to {:.4g} s",
                       Seconds(load.trace.back()).count(), (run.warmup + run.min_duration).count(),
                       run.max_duration.count()));
    }
  }
}

void check_limits(const Contract& contract, const FailAt& fail) {
  if (contract.limits.empty()) fail("stage", "a contract has at least one limit");
  std::size_t number = 0;
  bool has_whole = false;
  std::map<std::string, std::size_t> numbers;
  const Limit* previous = nullptr;
  for (const Limit& limit : contract.limits) {
    if (!previous || previous->stage != limit.stage) {
      number = numbers.size();
      if (!numbers.emplace(limit.stage, number).second) {
        fail(fmt::format("stage[{}].id", number), fmt::format("'{}' is there twice", limit.stage));
      }
      previous = nullptr;
    }
    has_whole = has_whole || limit.stage == whole_request;
    const std::string key = fmt::format("stage[{}].{}", number, limit_key(limit));
    if (!(limit.limit.count() > 0) || !(limit.limit.count() <= most_seconds * 1e9)) {
      fail(key, fmt::format("a limit is more than 0 and at most a week, found {} us", limit.limit.count() / 1e3));
    }
    if (limit.percentile && limit.percentile->tail() <= 0) fail(key, "p100 is written as max_us");
    if (previous) {
      const bool ordered = previous->percentile && (!limit.percentile || *previous->percentile < *limit.percentile);
      if (!ordered) fail(key, "the limits of a stage are written in the order of their percentiles, max_us last");
      if (limit.limit < previous->limit) {
        fail(key, fmt::format("is less than {} of the same stage, although it holds for more requests",
                              limit_key(*previous)));
      }
    }
    previous = &limit;
  }
  if (!has_whole) {
    fail("stage", fmt::format("no stage is \"{}\", the whole request: limits of parts say nothing about their sum",
                              whole_request));
  }
}

void check_statistics(const Contract& contract, const FailAt& fail) {
  const Statistics& stats = contract.stats;
  if (!(stats.confidence > 0.5 && stats.confidence <= 0.999999)) {
    fail("stats.confidence",
         fmt::format("must lie between 0.5 and 0.999999, such as 0.99; found {}", stats.confidence));
  }
  if (stats.looks < 1 || stats.looks > 100 || stats.looks > contract.run.min_requests) {
    fail("stats.looks", fmt::format("must be 1 to 100 and at most min_requests, found {}", stats.looks));
  }
  try {
    static_cast<void>(Histogram(stats.histogram));
  } catch (const Error& error) {
    fail("stats.histogram", error.message());
  }
  if (!(stats.tolerance >= 0 && stats.tolerance < 0.5)) {
    fail("stats.tolerance", fmt::format("must be at least 0 and less than 0.5, found {}", stats.tolerance));
  }
  for (const Limit& limit : contract.limits) {
    if (!limit.percentile) continue;
    if (!(stats.tolerance < limit.percentile->share())) {
      fail("stats.tolerance", fmt::format("{} would allow every request to be late", stats.tolerance));
    }
    const std::uint64_t needed = contract.test_of(limit).requests_to_pass(0);
    if (contract.run.min_requests < needed) {
      fail("run.min_requests",
           fmt::format("{} requests cannot prove {} at a confidence of {} even if none is late; it takes at least {}",
                       contract.run.min_requests, limit.name(), stats.confidence, needed));
    }
  }
}

void check_validity(const Contract& contract, const FailAt& fail) {
  const Validity& validity = contract.validity;
  if (!(validity.late_issue_p99.count() > 0) || !std::isfinite(validity.late_issue_p99.count())) {
    fail("validity.late_issue_p99_us", "must be more than 0");
  }
  if (validity.stage_sum_gap && !(*validity.stage_sum_gap > 0 && *validity.stage_sum_gap < 1)) {
    fail("validity.stage_sum_gap",
         fmt::format("must lie between 0 and 1, such as 0.05; found {}", *validity.stage_sum_gap));
  }
}

}  // namespace

std::string limit_key(const Limit& limit) {
  if (!limit.percentile) return "max_us";
  std::string digits = limit.percentile->name();
  std::erase(digits, '.');
  return digits + "_us";
}

void check(const Contract& contract, const FailAt& fail) {
  if (contract.name.empty()) fail("name", "must not be empty");
  check_load(contract, fail);
  check_limits(contract, fail);
  check_run(contract, fail);
  check_statistics(contract, fail);
  check_validity(contract, fail);
}

}  // namespace detail

std::string_view to_string(LoadKind kind) noexcept {
  switch (kind) {
    case LoadKind::poisson:
      return "poisson";
    case LoadKind::constant:
      return "constant";
    case LoadKind::trace:
      return "trace";
    case LoadKind::closed:
      return "closed";
  }
  return "closed";
}

std::string Limit::name() const { return stage + " " + (percentile ? percentile->name() : "max"); }

std::vector<std::string> Contract::stages() const {
  std::vector<std::string> names;
  for (const Limit& limit : limits) {
    if (std::find(names.begin(), names.end(), limit.stage) == names.end()) names.push_back(limit.stage);
  }
  return names;
}

LateTest Contract::test_of(const Limit& limit) const {
  if (!limit.percentile) throw Error(ErrorCode::bad_input, "the limit of every single request is counted, not tested");
  const auto tested =
      std::count_if(limits.begin(), limits.end(), [](const Limit& other) { return other.percentile.has_value(); });
  const LookPlan plan{.looks = stats.looks, .requests = 0};
  return {*limit.percentile,
          {.confidence = plan.look_confidence(stats.confidence),
           .tolerance = stats.tolerance,
           .limits = std::max<std::uint64_t>(1, static_cast<std::uint64_t>(tested) * run.repeats)}};
}

void check_contract(const Contract& contract) {
  detail::check(contract, [](std::string_view key, const std::string& message) {
    throw Error(ErrorCode::bad_input, message, InputPosition{"contract", 0, 0, std::string(key)});
  });
}

}  // namespace warpwright::validate
