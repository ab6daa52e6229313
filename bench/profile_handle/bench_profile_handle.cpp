// Reading profiles from many threads while one writes: through a ProfileHandle, and by name.
//
//   bench_profile_handle [--threads 1,2,4,8,16] [--milliseconds N] [--rounds N] [--interval MICROSECONDS] [--json FILE]
//
// Every reader has a handle of its own; one more thread publishes a new profile every `interval` microseconds (default
// 100). A sample is the time of 64 reads in a row, divided by 64: a clock costs more than a read. What one slow read
// does to an application is in "single": reads timed one by one, less the median cost of the clock. Ways of reading are
// interleaved within each round; samples of all rounds and threads are pooled. Every reader checks what it reads.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <fmt/format.h>
#include <functional>
#include <latch>
#include <nlohmann/json.hpp>
#include <string>
#include <sys/utsname.h>
#include <thread>
#include <vector>

#include <warpwright/base/error.hpp>
#include <warpwright/runtime/profile_cache.hpp>

#include "program.hpp"

namespace {

using namespace warpwright;
using Clock = std::chrono::steady_clock;
using Json = nlohmann::ordered_json;

constexpr int reads_per_sample = 64;
constexpr std::size_t most_samples = 200'000;  // per thread and round; further ones replace the oldest
constexpr const char* name = "kernel";

struct Arguments {
  std::vector<int> threads{1, 2, 4, 8, 16};
  int milliseconds = 200, rounds = 5, interval = 100;
  std::string json;
};

Arguments parse(int argc, char** argv) {
  Arguments arguments;
  bench::read_flags(argc, argv,
                    {{"--threads", [&](const std::string& value) { arguments.threads = bench::numbers_of(value); }},
                     {"--milliseconds", bench::number_to(arguments.milliseconds)},
                     {"--rounds", bench::number_to(arguments.rounds)},
                     {"--interval", bench::number_to(arguments.interval)},
                     {"--json", bench::text_to(arguments.json)}},
                    "bench_profile_handle.cpp");
  const auto positive = [](int number) { return number > 0; };
  if (!std::all_of(arguments.threads.begin(), arguments.threads.end(), positive) || arguments.milliseconds < 1 ||
      arguments.rounds < 1 || arguments.interval < 1)
    throw Error(ErrorCode::bad_input, "every number must be at least 1");
  return arguments;
}

double nanoseconds(Clock::duration time) { return std::chrono::duration<double, std::nano>(time).count(); }

TuningProfile make_profile(std::int64_t number) {
  TuningProfile profile;
  profile.key.kernel = name;
  profile.configuration = Configuration{{"block_size", number}};
  profile.median = Nanoseconds(static_cast<double>(number));
  return profile;
}

enum class Way { handle, by_name };
enum class Timing { batch, single };

struct Samples {
  std::vector<double> values;
  std::size_t next = 0;
  void add(double value) {
    if (values.size() < most_samples)
      values.push_back(value);
    else
      values[next++ % most_samples] = value;
  }
};

// The cost of reading the clock twice.
double clock_cost() {
  std::vector<double> costs;
  for (int i = 0; i < 10'000; ++i) {
    const auto begin = Clock::now();
    costs.push_back(nanoseconds(Clock::now() - begin));
  }
  std::nth_element(costs.begin(), costs.begin() + 5'000, costs.end());
  return costs[5'000];
}

bool wrong(const CachedProfile* profile) {
  return profile == nullptr || profile->profile.median.count() <= 0 || profile->publication == 0;
}

template <class Read>
void sample(Read&& read, Timing timing, double clock, const std::atomic<bool>& stop, Samples& samples,
            std::atomic<std::uint64_t>& errors) {
  std::uint64_t bad = 0;
  while (!stop.load(std::memory_order_relaxed)) {
    const int count = timing == Timing::batch ? reads_per_sample : 1;
    const auto begin = Clock::now();
    for (int i = 0; i < count; ++i) bad += read();
    const double time = nanoseconds(Clock::now() - begin);
    samples.add(std::max(0.0, time - clock) / count);
  }
  errors += bad;
}

struct Round {
  std::vector<double> samples;
  std::uint64_t publications = 0, errors = 0;
};

Round run(Way way, Timing timing, int threads, const Arguments& arguments, double clock) {
  ProfileCache cache(ProfileCacheOptions{});
  cache.put(make_profile(1));
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> errors{0};
  std::latch ready(threads + 1);
  std::vector<Samples> samples(static_cast<std::size_t>(threads));
  std::vector<std::jthread> readers;
  for (int t = 0; t < threads; ++t)
    readers.emplace_back([&, t] {
      Samples mine;
      mine.values.reserve(most_samples);
      ProfileHandle handle = cache.handle(name);
      ready.arrive_and_wait();
      if (way == Way::handle) {
        sample([&]() -> std::uint64_t { return wrong(handle.read()) ? 1 : 0; }, timing, clock, stop, mine, errors);
      } else {
        sample([&]() -> std::uint64_t { return wrong(cache.find(name).get()) ? 1 : 0; }, timing, clock, stop, mine,
               errors);
      }
      samples[static_cast<std::size_t>(t)] = std::move(mine);
    });
  ready.arrive_and_wait();
  // The writer sleeps between its writes, so that it needs no core of its own.
  const auto end = Clock::now() + std::chrono::milliseconds(arguments.milliseconds);
  std::int64_t number = 1;
  for (auto next = Clock::now(); next < end;) {
    cache.put(make_profile(++number));
    next += std::chrono::microseconds(arguments.interval);
    std::this_thread::sleep_until(next);
  }
  stop = true;
  readers.clear();
  Round round;
  for (const auto& one : samples) round.samples.insert(round.samples.end(), one.values.begin(), one.values.end());
  round.publications = static_cast<std::uint64_t>(number - 1);
  round.errors = errors;
  return round;
}

double quantile_of(std::vector<double>& samples, double p) {
  const auto at = static_cast<std::ptrdiff_t>(p * static_cast<double>(samples.size() - 1));
  std::nth_element(samples.begin(), samples.begin() + at, samples.end());
  return samples[static_cast<std::size_t>(at)];
}

Json machine() {
  utsname system{};
  const bool known = uname(&system) == 0;
  return {{"cpu", bench::processor_name()},
          {"cores", std::thread::hardware_concurrency()},
          {"kernel", known ? system.release : ""},
          {"compiler", __VERSION__},
          {"load_before", bench::load_average()}};
}

int run_all(int argc, char** argv) {
  const Arguments arguments = parse(argc, argv);
  Json report{{"schema_version", 1}, {"bench", "profile_handle"}, {"machine", machine()}};
  report["reads_per_sample"] = reads_per_sample;
  report["interval_us"] = arguments.interval;
  report["milliseconds"] = arguments.milliseconds;
  report["rounds"] = arguments.rounds;
  const double clock = clock_cost();
  report["clock_ns"] = clock;
  report["results"] = Json::array();
  fmt::print("{}, {} cores, load {}; a clock costs {:.0f} ns; a new profile every {} us\n",
             report["machine"]["cpu"].get<std::string>(), std::thread::hardware_concurrency(),
             report["machine"]["load_before"].get<double>(), clock, arguments.interval);
  fmt::print("{:<8} {:>7} {:>12} {:>11} {:>14} {:>14} {:>13}\n", "way", "threads", "median [ns]", "p99 [ns]",
             "single median", "single p99", "publications");
  std::uint64_t errors = 0;
  for (const int threads : arguments.threads) {
    struct Pool {
      std::vector<double> batch, single;
      std::uint64_t publications = 0;
    } pools[2];
    for (int round = 0; round < arguments.rounds; ++round)
      for (const Timing timing : {Timing::batch, Timing::single})
        for (const Way way : {Way::handle, Way::by_name}) {
          Round one = run(way, timing, threads, arguments, clock);
          Pool& pool = pools[way == Way::handle ? 0 : 1];
          auto& samples = timing == Timing::batch ? pool.batch : pool.single;
          samples.insert(samples.end(), one.samples.begin(), one.samples.end());
          pool.publications += one.publications;
          errors += one.errors;
        }
    for (int way = 0; way < 2; ++way) {
      Pool& pool = pools[way];
      Json entry{{"way", way == 0 ? "handle" : "by name"}, {"threads", threads}};
      entry["median_ns"] = quantile_of(pool.batch, 0.5);
      entry["p99_ns"] = quantile_of(pool.batch, 0.99);
      entry["single_median_ns"] = quantile_of(pool.single, 0.5);
      entry["single_p99_ns"] = quantile_of(pool.single, 0.99);
      entry["samples"] = pool.batch.size();
      entry["publications"] = pool.publications;
      fmt::print("{:<8} {:>7} {:>12.2f} {:>11.2f} {:>14.1f} {:>14.1f} {:>13}\n", entry["way"].get<std::string>(),
                 threads, entry["median_ns"].get<double>(), entry["p99_ns"].get<double>(),
                 entry["single_median_ns"].get<double>(), entry["single_p99_ns"].get<double>(), pool.publications);
      report["results"].push_back(std::move(entry));
    }
  }
  report["wrong_reads"] = errors;
  if (errors > 0) fmt::print(stderr, "error: {} reads were wrong\n", errors);
  bench::write_report(arguments.json, report.dump(2));
  return errors == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  return bench::run_program([&] { return run_all(argc, argv); });
}
