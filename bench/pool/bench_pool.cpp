// The pinned pool against other ways to keep free blocks: acquire and release, by threads, held blocks and patterns;
// and the cold start of a large pool against the driver's allocator.
//
//   bench_pool [--threads 1,2,4] [--milliseconds N] [--rounds N] [--json FILE] [--peer FILE.so]... [--cold-start BYTES]
//
// Each --peer names a library with another project's pool (peer.h), which takes part in everything. One that cannot be
// opened here, for want of a CUDA device, say, is reported and left out.
//
// Contenders are interleaved within each round and their medians over the rounds are printed. "pair": every thread
// takes `hold` blocks and gives them back, for ever. "hand-off": half of the threads take blocks and the others give
// them back. Latency is of one acquire and its release on one thread, twice: in bursts of 200, over which the clock's
// cost is spread (the median of these is what contenders are compared by), and one by one, less the median cost of
// reading the clock, for p50, p99 and p99.9. A clock read between two operations also orders them, so what a single one
// shows at p50 is less sure than the median of bursts.
//
// Each line ends in what it says of the pool: ahead, tie or loss, against the best of the others. Medians within 5 % of
// each other are a tie.
#include <boost/lockfree/stack.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <warpwright/base/clock.hpp>
#include <warpwright/base/error.hpp>
#include <warpwright/cuda/backend.hpp>
#include <warpwright/memory/pinned_memory_pool.hpp>
#if WARPWRIGHT_BENCH_TBB
#include <tbb/concurrent_queue.h>
#endif
#if WARPWRIGHT_BENCH_MOODYCAMEL
#include <concurrentqueue.h>
#endif

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <deque>
#include <dlfcn.h>
#include <filesystem>
#include <fstream>
#include <functional>
#include <latch>
#include <memory>
#include <mutex>
#include <optional>
#include <pthread.h>
#include <sched.h>
#include <string>
#include <sys/mman.h>
#include <thread>
#include <variant>
#include <vector>

#include "peer.h"
#include "program.hpp"

namespace {

using namespace warpwright;
using Clock = std::chrono::steady_clock;
using Json = nlohmann::json;

constexpr std::uint32_t block_count = 1024;
constexpr Bytes block_size{64 * 1024};
constexpr int latency_rounds = 5;

struct Contender {
  virtual ~Contender() = default;
  virtual std::string name() const = 0;
  // A pointer to a block, or null.
  virtual std::byte* take() = 0;
  virtual void give(std::byte* block) = 0;
};

// Handles travel in the block's address order, so that a release has the generation that the acquisition got.
struct Ours final : Contender {
  Ours() {
    memory::PoolConfig config;
    config.classes = {{block_size, block_count}};
    config.budget = block_size * block_count;
    pool = std::make_unique<memory::PinnedMemoryPool>(*memory::ordinary_memory(), config);
    handles.resize(block_count);
    auto first = pool->try_acquire(block_size);
    base = first->data();
  }
  std::string name() const override { return "warpwright"; }
  std::byte* take() override {
    auto block = pool->try_acquire(block_size);
    if (!block) return nullptr;
    handles[static_cast<std::size_t>(block->data() - base) / block_size.count] = block->handle();
    std::byte* const data = block->data();
    block->detach();
    return data;
  }
  void give(std::byte* block) override {
    pool->release(handles[static_cast<std::size_t>(block - base) / block_size.count]);
  }
  std::unique_ptr<memory::PinnedMemoryPool> pool;
  std::vector<memory::BlockHandle> handles;
  std::byte* base = nullptr;
};

struct Blocks {
  Blocks() : memory(block_count * std::size_t{64}) {}
  std::byte* at(std::uint32_t i) { return memory.data() + i * std::size_t{64}; }
  std::vector<std::byte> memory;  // stands for the blocks: these structures never look inside
};

struct MutexDeque final : Contender, Blocks {
  MutexDeque() {
    for (std::uint32_t i = 0; i < block_count; ++i) free.push_back(at(i));
  }
  std::string name() const override { return "mutex + deque"; }
  std::byte* take() override {
    const std::lock_guard lock(mutex);
    if (free.empty()) return nullptr;
    std::byte* const block = free.back();
    free.pop_back();
    return block;
  }
  void give(std::byte* block) override {
    const std::lock_guard lock(mutex);
    free.push_back(block);
  }
  std::mutex mutex;
  std::deque<std::byte*> free;
};

struct BoostStack final : Contender, Blocks {
  BoostStack() : free(block_count) {
    for (std::uint32_t i = 0; i < block_count; ++i) free.bounded_push(at(i));
  }
  std::string name() const override { return "boost::lockfree::stack"; }
  std::byte* take() override {
    std::byte* block = nullptr;
    return free.pop(block) ? block : nullptr;
  }
  void give(std::byte* block) override { free.bounded_push(block); }
  boost::lockfree::stack<std::byte*, boost::lockfree::fixed_sized<true>> free;
};

#if WARPWRIGHT_BENCH_TBB
struct TbbQueue final : Contender, Blocks {
  TbbQueue() {
    free.set_capacity(block_count);
    for (std::uint32_t i = 0; i < block_count; ++i) free.try_push(at(i));
  }
  std::string name() const override { return "tbb::concurrent_bounded_queue"; }
  std::byte* take() override {
    std::byte* block = nullptr;
    return free.try_pop(block) ? block : nullptr;
  }
  void give(std::byte* block) override { free.try_push(block); }
  tbb::concurrent_bounded_queue<std::byte*> free;
};
#endif

#if WARPWRIGHT_BENCH_MOODYCAMEL
// Without tokens, as the others: a pool does not know its threads.
struct MoodycamelQueue final : Contender, Blocks {
  MoodycamelQueue() : free(block_count) {
    for (std::uint32_t i = 0; i < block_count; ++i) free.enqueue(at(i));
  }
  std::string name() const override { return "moodycamel::ConcurrentQueue"; }
  std::byte* take() override {
    std::byte* block = nullptr;
    return free.try_dequeue(block) ? block : nullptr;
  }
  void give(std::byte* block) override { free.enqueue(block); }
  moodycamel::ConcurrentQueue<std::byte*> free;
};
#endif

// Another project's pool. It is called through one more pointer than the others, of which nothing is taken off.
struct Peer final : Contender {
  Peer(const PoolPeer& calls_given, void* pool_given) : calls(calls_given), pool(pool_given) {}
  ~Peer() override { calls.close(pool); }
  std::string name() const override { return calls.name(); }
  std::byte* take() override {
    void* const block = calls.take(pool);
    if (block == nullptr) misses.fetch_add(1, std::memory_order_relaxed);
    return static_cast<std::byte*>(block);
  }
  void give(std::byte* block) override {
    if (block != nullptr) calls.give(pool, block);
  }
  // All blocks at once, so that nothing is pinned any more while it is measured. Returns what is wrong, if anything is.
  std::string warm_up() {
    std::vector<std::byte*> held;
    while (held.size() < block_count) {
      std::byte* const block = take();
      if (block == nullptr) break;
      held.push_back(block);
    }
    for (std::byte* block : held) give(block);
    if (held.size() < block_count) return fmt::format("it gave only {} of {} blocks", held.size(), block_count);
    std::sort(held.begin(), held.end());
    if (std::adjacent_find(held.begin(), held.end()) != held.end()) return "it gave one block to two owners";
    return {};
  }
  const PoolPeer& calls;
  void* pool;
  std::atomic<std::uint64_t> misses{0};  // no pattern holds more blocks than there are
};

// The pool in `file`, or why it cannot be had here. A file that is no peer is an error. Libraries stay open: CUDA's
// have threads.
std::variant<std::unique_ptr<Peer>, std::string> open_peer(const std::filesystem::path& file) {
  std::ifstream input(file, std::ios::binary);
  if (!input || std::filesystem::is_directory(file))
    throw Error(ErrorCode::not_found, fmt::format("--peer {}: there is no such file", file.string()));
  std::array<char, 4> magic{};
  input.read(magic.data(), magic.size());
  if (std::string(magic.data(), magic.size()) != "\177ELF")
    throw Error(ErrorCode::bad_input,
                fmt::format("--peer {} is no shared library; bench/pool/peer.h says what it must be", file.string()));
  // With a slash, or the loader searches its own folders.
  const std::string path = std::filesystem::absolute(file).string();
  void* const library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    std::string reason = ::dlerror();
    // Reports must not depend on where the file lies.
    if (const auto at = reason.find(path); at != std::string::npos)
      reason.replace(at, path.size(), file.filename().string());
    return reason;
  }
  const auto ask = reinterpret_cast<decltype(&warpwright_pool_peer)>(::dlsym(library, "warpwright_pool_peer"));
  if (ask == nullptr)
    throw Error(ErrorCode::bad_input,
                fmt::format("--peer {} has no function warpwright_pool_peer; bench/pool/peer.h says what it must be",
                            file.string()));
  const PoolPeer& calls = *ask();
  if (calls.interface != pool_peer_interface)
    throw Error(ErrorCode::bad_input,
                fmt::format("--peer {} was built for interface {} of bench/pool/peer.h, this is {}", file.string(),
                            calls.interface, int{pool_peer_interface}));
  std::array<char, 1024> reason{};
  void* const pool = calls.open(block_size.count, block_count, reason.data(), reason.size());
  // PyTorch adds paragraphs of advice.
  if (pool == nullptr) return std::string(reason.data(), std::strcspn(reason.data(), "\n"));
  auto peer = std::make_unique<Peer>(calls, pool);
  if (std::string wrong = peer->warm_up(); !wrong.empty()) return wrong;
  return peer;
}

std::vector<std::unique_ptr<Contender>> contenders() {
  std::vector<std::unique_ptr<Contender>> list;
  list.push_back(std::make_unique<Ours>());
  list.push_back(std::make_unique<MutexDeque>());
  list.push_back(std::make_unique<BoostStack>());
#if WARPWRIGHT_BENCH_TBB
  list.push_back(std::make_unique<TbbQueue>());
#endif
#if WARPWRIGHT_BENCH_MOODYCAMEL
  list.push_back(std::make_unique<MoodycamelQueue>());
#endif
  return list;
}

void pin_to(unsigned core) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(core % std::max(1u, std::thread::hardware_concurrency()), &set);
  static_cast<void>(pthread_setaffinity_np(pthread_self(), sizeof set, &set));
}

double quantile(std::vector<double>& sorted, double share) {
  if (sorted.empty()) return 0;
  return sorted[static_cast<std::size_t>(share * static_cast<double>(sorted.size() - 1))];
}

// Nanoseconds an acquire and release, over all threads.
double pairs(Contender& contender, unsigned threads, unsigned hold, std::chrono::milliseconds time) {
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> total{0};
  std::latch start(threads + 1);
  std::vector<std::jthread> workers;
  for (unsigned t = 0; t < threads; ++t)
    workers.emplace_back([&, t] {
      pin_to(t);
      std::vector<std::byte*> held(hold);
      std::uint64_t mine = 0;
      start.arrive_and_wait();
      while (!stop.load(std::memory_order_relaxed)) {
        // 64 blocks between two looks at the flag, whatever is held, or slow contenders would run on for long.
        for (unsigned done = 0; done < 64; done += hold) {
          unsigned got = 0;
          for (; got < hold; ++got)
            if ((held[got] = contender.take()) == nullptr) break;
          for (unsigned i = 0; i < got; ++i) contender.give(held[i]);
          mine += got;
        }
      }
      total += mine;
    });
  start.arrive_and_wait();
  const auto begin = Clock::now();
  std::this_thread::sleep_for(time);
  stop = true;
  workers.clear();
  const double elapsed = std::chrono::duration<double, std::nano>(Clock::now() - begin).count();
  return total == 0 ? 0 : elapsed / static_cast<double>(total);
}

// Half of the threads take, the others give back what comes through a ring for each two of them.
double hand_off(Contender& contender, unsigned threads, std::chrono::milliseconds time) {
  struct alignas(64) Ring {
    std::array<std::atomic<std::byte*>, 64> cells{};
  };
  const unsigned couples = std::max(1u, threads / 2);
  std::vector<Ring> rings(couples);
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> total{0};
  std::latch start(2 * couples + 1);
  std::vector<std::jthread> workers;
  for (unsigned c = 0; c < couples; ++c) {
    workers.emplace_back([&, c] {
      pin_to(2 * c);
      start.arrive_and_wait();
      for (std::size_t i = 0; !stop.load(std::memory_order_relaxed); ++i) {
        std::byte* block = contender.take();
        if (block == nullptr) continue;
        auto& cell = rings[c].cells[i % 64];
        std::byte* expected = nullptr;
        while (!cell.compare_exchange_weak(expected, block, std::memory_order_acq_rel)) {
          expected = nullptr;
          if (stop.load(std::memory_order_relaxed)) {
            contender.give(block);
            return;
          }
        }
      }
    });
    workers.emplace_back([&, c] {
      pin_to(2 * c + 1);
      start.arrive_and_wait();
      std::uint64_t mine = 0;
      for (std::size_t i = 0;; ++i) {
        auto& cell = rings[c].cells[i % 64];
        std::byte* block = nullptr;
        while ((block = cell.exchange(nullptr, std::memory_order_acq_rel)) == nullptr)
          if (stop.load(std::memory_order_relaxed)) {
            total += mine;
            return;
          }
        contender.give(block);
        ++mine;
      }
    });
  }
  start.arrive_and_wait();
  const auto begin = Clock::now();
  std::this_thread::sleep_for(time);
  stop = true;
  workers.clear();
  for (Ring& ring : rings)
    for (auto& cell : ring.cells)
      if (std::byte* left = cell.exchange(nullptr)) contender.give(left);
  const double elapsed = std::chrono::duration<double, std::nano>(Clock::now() - begin).count();
  return total == 0 ? 0 : elapsed / static_cast<double>(total);
}

double clock_cost() {
  std::vector<double> costs;
  for (int i = 0; i < 20000; ++i) {
    const auto a = Clock::now();
    const auto b = Clock::now();
    costs.push_back(std::chrono::duration<double, std::nano>(b - a).count());
  }
  std::sort(costs.begin(), costs.end());
  return quantile(costs, 0.5);
}

double median_of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return quantile(values, 0.5);
}

// Of acquire and release together on one thread; appends to what earlier rounds have found.
struct Latency {
  std::vector<double> singles, bursts;

  // On a thread of its own: threads inherit the processor that their maker is bound to.
  void measure(Contender& contender, double clock_ns) {
    std::jthread([&] { measure_here(contender, clock_ns); });
  }
  void measure_here(Contender& contender, double clock_ns) {
    pin_to(0);
    // The clock of a core that was idle takes a while to come up.
    for (const auto begin = Clock::now(); Clock::now() - begin < std::chrono::milliseconds(50);)
      contender.give(contender.take());
    for (int i = 0; i < 40000; ++i) {
      const auto begin = Clock::now();
      contender.give(contender.take());
      const double taken = std::chrono::duration<double, std::nano>(Clock::now() - begin).count();
      singles.push_back(std::max(0.0, taken - clock_ns));
    }
    for (int i = 0; i < 1000; ++i) {
      const auto begin = Clock::now();
      for (int j = 0; j < 200; ++j) contender.give(contender.take());
      bursts.push_back(std::chrono::duration<double, std::nano>(Clock::now() - begin).count() / 200);
    }
  }
  Json json() {
    std::sort(singles.begin(), singles.end());
    std::sort(bursts.begin(), bursts.end());
    return {{"median_of_bursts_ns", quantile(bursts, 0.5)},
            {"least_burst_ns", quantile(bursts, 0)},
            {"p50_ns", quantile(singles, 0.5)},
            {"p99_ns", quantile(singles, 0.99)},
            {"p99_9_ns", quantile(singles, 0.999)},
            {"max_ns", quantile(singles, 1)}};
  }
};

// What the times of all contenders, ours first, say of ours against the best of the others.
std::string verdict(const std::vector<double>& ns) {
  // 0 says that nothing was done in the time.
  double best = 0;
  for (std::size_t i = 1; i < ns.size(); ++i)
    if (ns[i] > 0 && (best <= 0 || ns[i] < best)) best = ns[i];
  if (ns.empty() || ns.front() <= 0 || best <= 0) return "no comparison";
  const double ratio = ns.front() / best;
  const char* const word = ratio < 0.95 ? "ahead" : ratio <= 1.05 ? "tie" : "loss";
  return fmt::format("{}: {:.2f} of the best other's time", word, ratio);
}

// What bounds the touching of fresh memory: new pages of a mapping just made; new pages once more, which the system
// takes from what it was given back; and pages that are there.
Json touching(Bytes bytes) {
  constexpr std::size_t page = 4096;
  Json list = Json::array();
  for (const unsigned threads : {1u, 4u, 16u}) {
    const std::size_t size = bytes.count;
    void* const memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return {{"skipped", "cannot map " + format_bytes(bytes)}};
    ::madvise(memory, size, MADV_HUGEPAGE);
    const auto write = [&] {
      const SteadyClock clock;
      const Nanoseconds begin = clock.now();
      std::vector<std::jthread> writers;
      for (unsigned t = 0; t < threads; ++t)
        writers.emplace_back([&, t] {
          volatile std::byte* const to = static_cast<std::byte*>(memory);
          for (std::size_t at = size / page * t / threads; at < size / page * (t + 1) / threads; ++at)
            to[at * page] = std::byte{1};
        });
      writers.clear();
      return (clock.now() - begin).count() / 1e6;
    };
    const double first = write();
    ::madvise(memory, size, MADV_DONTNEED);
    const double again = write(), present = write();
    ::munmap(memory, size);
    fmt::print(
        "  a write to each page, {:>2} threads: {:.0f} ms on new pages, {:.0f} ms on new ones again, {:.0f} ms where "
        "they are\n",
        threads, first, again, present);
    list.push_back({{"threads", threads}, {"new_ms", first}, {"new_again_ms", again}, {"present_ms", present}});
  }
  return list;
}

// A pool of `bytes` on the GPU, against its driver's allocator: registered memory with huge pages and several threads.
Json cold_start(Bytes bytes, int rounds) {
  const auto backend = cuda::make_backend();
  const auto probe = backend->probe();
  if (!probe.usable) return {{"skipped", probe.reason}};
  const DeviceInfo device = backend->devices().front();
  const auto context = backend->open(device.id);
  const SteadyClock clock;
  std::vector<std::pair<std::string, std::function<std::unique_ptr<memory::HostMemory>()>>> ways;
  ways.emplace_back("cuMemHostAlloc", [&] { return memory::driver_memory(*context); });
  for (const int threads : {1, 4, 8, 16})
    ways.emplace_back(fmt::format("registered, {} threads", threads), [&, threads] {
      memory::HostMemoryOptions options;
      options.touch_threads = threads;
      options.numa_node = memory::numa_node_of(device.pci_bus_id);
      return memory::registered_memory(*context, options);
    });
  ways.emplace_back("registered, 8 threads, small pages", [&] {
    memory::HostMemoryOptions options;
    options.touch_threads = 8;
    options.huge_pages = false;
    return memory::registered_memory(*context, options);
  });
  std::vector<std::vector<double>> total(ways.size());
  std::vector<Json> last(ways.size());
  for (int round = 0; round < rounds; ++round)
    for (std::size_t i = 0; i < ways.size(); ++i) {
      const auto source = ways[i].second();
      memory::PoolConfig config;
      config.classes = {
          {Bytes{std::uint64_t{16} << 20}, static_cast<std::uint32_t>(std::max<std::uint64_t>(1, bytes.count >> 24))}};
      config.budget = Bytes{config.classes[0].size.count * config.classes[0].count};
      const Nanoseconds begin = clock.now();
      memory::PinnedMemoryPool pool(*source, config);
      total[i].push_back((clock.now() - begin).count() / 1e6);
      const memory::RegionReport& report = pool.region();
      last[i] = {{"map_ms", report.map.count() / 1e6}, {"touch_ms", report.touch.count() / 1e6},
                 {"pin_ms", report.pin.count() / 1e6}, {"huge_pages", report.huge_pages},
                 {"registered", report.registered},    {"fallback", report.fallback}};
    }
  Json list = Json::array();
  const double driver = median_of(total[0]);
  for (std::size_t i = 0; i < ways.size(); ++i) {
    const double median = median_of(total[i]);
    fmt::print("  {:<36} {:>10.1f} ms  {:.2f} times as fast as the driver's allocator\n", ways[i].first, median,
               driver / median);
    list.push_back({{"way", ways[i].first},
                    {"median_ms", median},
                    {"samples_ms", total[i]},
                    {"times_as_fast", driver / median},
                    {"last", last[i]}});
  }
  // What a program does that has no pool: the driver's allocator for every block.
  std::vector<double> blocks;
  for (int i = 0; i < 200; ++i) {
    const Nanoseconds begin = clock.now();
    context->allocate_pinned(block_size).reset();
    blocks.push_back((clock.now() - begin).count());
  }
  const double one_block = median_of(blocks);
  fmt::print("  a block of {} from cuMemHostAlloc and back: {:.1f} us\n", format_bytes(block_size), one_block / 1e3);
  return {{"device", device.name}, {"driver", device.driver},     {"bytes", bytes.count}, {"rounds", rounds},
          {"ways", list},          {"driver_block_ns", one_block}};
}

int run(int argc, char** argv) {
  std::vector<int> threads{1, 2, 4, 8, 16};
  int milliseconds = 60, rounds = 3;
  std::string json_file;
  std::vector<std::filesystem::path> peer_files;
  std::uint64_t cold = 0;
  bench::read_flags(argc, argv,
                    {{"--threads", [&](const std::string& value) { threads = bench::numbers_of(value); }},
                     {"--milliseconds", bench::number_to(milliseconds)},
                     {"--rounds", bench::number_to(rounds)},
                     {"--json", bench::text_to(json_file)},
                     {"--peer", [&](const std::string& value) { peer_files.emplace_back(value); }},
                     {"--cold-start", bench::number_to(cold)}},
                    "bench_pool.cpp");
  if (std::any_of(threads.begin(), threads.end(), [](int count) { return count < 1; }) || milliseconds < 1 ||
      rounds < 1)
    throw Error(ErrorCode::bad_input, "--threads, --milliseconds and --rounds must be at least 1");

  Json report{{"schema_version", 2},   {"cpu", bench::processor_name()}, {"cores", std::thread::hardware_concurrency()},
              {"blocks", block_count}, {"milliseconds", milliseconds},   {"rounds", rounds}};
  auto all = contenders();
  std::vector<const Peer*> peers;
  for (const auto& file : peer_files) {
    auto opened = open_peer(file);
    if (const auto* reason = std::get_if<std::string>(&opened)) {
      report["peers_not_opened"].push_back({{"file", file.filename().string()}, {"reason", *reason}});
      fmt::print("without {}: {}\n", file.filename().string(), *reason);
      continue;
    }
    auto& peer = std::get<std::unique_ptr<Peer>>(opened);
    for (const auto& other : all)
      if (other->name() == peer->name())
        throw Error(ErrorCode::bad_input, fmt::format("--peer {}: there is a {} already", file.string(), peer->name()));
    report["peers"].push_back({{"file", file.filename().string()}, {"name", peer->name()}});
    peers.push_back(peer.get());
    all.push_back(std::move(peer));
  }
  const double clock_ns = clock_cost();
  report["clock_ns"] = clock_ns;
  fmt::print("acquire and release, one thread (singles: the clock's {:.0f} ns taken off)\n", clock_ns);
  std::vector<Latency> latencies(all.size());
  for (int round = 0; round < latency_rounds; ++round)
    for (std::size_t i = 0; i < all.size(); ++i) latencies[i].measure(*all[i], clock_ns);
  std::vector<double> medians;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const Json result = latencies[i].json();
    medians.push_back(result["median_of_bursts_ns"].get<double>());
    fmt::print(
        "  {:<36} {:>6.1f} ns median of bursts (least {:.1f}); single: p50 {:.0f}, p99 {:.0f}, p99.9 {:.0f} ns\n",
        all[i]->name(), medians.back(), result["least_burst_ns"].get<double>(), result["p50_ns"].get<double>(),
        result["p99_ns"].get<double>(), result["p99_9_ns"].get<double>());
    report["latency"][all[i]->name()] = result;
  }
  report["latency_verdict"] = verdict(medians);
  fmt::print("  {}\n", verdict(medians));
  const auto compare = [&](const std::string& pattern, unsigned count, unsigned hold, auto&& measure) {
    std::vector<std::vector<double>> samples(all.size());
    for (int round = 0; round < rounds; ++round)
      for (std::size_t i = 0; i < all.size(); ++i) samples[i].push_back(measure(*all[i]));
    Json row{{"pattern", pattern}, {"threads", count}, {"hold", hold}};
    fmt::print("{:>9}, {:>2} threads, hold {:>2}:", pattern, count, hold);
    std::vector<double> ns;
    for (std::size_t i = 0; i < all.size(); ++i) {
      ns.push_back(median_of(samples[i]));
      row["ns"][all[i]->name()] = ns.back();
      fmt::print("  {} {:.1f} ns", all[i]->name(), ns.back());
    }
    row["verdict"] = verdict(ns);
    fmt::print("  {}\n", verdict(ns));
    report["throughput"].push_back(row);
  };
  const std::chrono::milliseconds time(milliseconds);
  for (const int wanted : threads) {
    const auto count = static_cast<unsigned>(wanted);
    for (const unsigned hold : {1u, 8u, 64u})
      if (hold * count <= block_count)
        compare("pair", count, hold, [&](Contender& each) { return pairs(each, count, hold, time); });
    if (count >= 2) compare("hand-off", count, 1, [&](Contender& each) { return hand_off(each, count, time); });
  }
  for (std::size_t i = 0; i < peers.size(); ++i) {
    const std::uint64_t misses = peers[i]->misses.load();
    report["peers"][i]["misses"] = misses;
    if (misses > 0) fmt::print("{} had no block {} times: its times are not to be trusted\n", peers[i]->name(), misses);
  }
  if (cold > 0) {
    fmt::print("cold start of {} of pinned memory\n", format_bytes(Bytes{cold}));
    report["cold_start"] = cold_start(Bytes{cold}, rounds);
    report["cold_start"]["touching"] = touching(Bytes{cold});
    if (report["cold_start"].contains("skipped"))
      fmt::print("  skipped: {}\n", report["cold_start"]["skipped"].get<std::string>());
  }
  bench::write_report(json_file, report.dump(2));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return warpwright::bench::run_program([&] { return run(argc, argv); });
}
