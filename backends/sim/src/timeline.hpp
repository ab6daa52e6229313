// The discrete-event core of the simulated device: no memory, no kernels, only who runs when. Internal.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <vector>

namespace warpwright::sim {

// When a command ran; times in nanoseconds of virtual time.
struct Stamp {
  bool started = false, ended = false;
  double start = 0, end = 0;
};

enum class Engine { compute, to_device, to_host, none };

struct Command {
  Engine engine = Engine::none;  // none: takes no time once it is its turn
  double duration = 0;           // alone on its engine
  bool never_ends = false;
  bool bookkeeping = false;                // takes time and is no work: events do not count it as the first or last
  std::shared_ptr<const Stamp> after;      // besides its predecessor: must have ended first
  std::function<void()> on_start, on_end;  // must not throw
  std::shared_ptr<Stamp> stamp = std::make_shared<Stamp>();
};

// Not thread-safe.
class Timeline {
 public:
  // Rate of Engine::to_device while Engine::to_host is busy.
  explicit Timeline(double duplex_factor) : duplex_factor_(duplex_factor) {}

  int add_stream();
  // Drops what has not ended.
  void remove_stream(int stream);
  void submit(int stream, Command command);
  bool empty(int stream) const { return queues_.at(stream).empty(); }
  bool idle() const;  // every stream is empty

  double now() const { return now_; }
  // Sets the clock forward to `time`, or to now() if that is later, and runs what ends until then.
  void advance(double time);
  // Sets the clock forward to the moment `reached` holds. False if it never will: nothing is left that ends.
  bool run_until(const std::function<bool()>& reached);

 private:
  struct Queued {
    Command command;
    std::uint64_t sequence = 0;
    bool running = false;
    double remaining = 0;
  };

  // Starts and ends everything that can at this moment.
  void settle();
  bool ready(const Queued& queued) const;
  double rate(Engine engine) const;
  // Time until the next command ends; infinity if none will.
  double until_next_end() const;
  void progress(double time);
  void end_finished();

  double duplex_factor_;
  double now_ = 0;
  std::uint64_t next_sequence_ = 0;
  int next_stream_ = 0;
  // Ordered, so that ties are always broken in the same way. Deques keep addresses while they grow at the back.
  std::map<int, std::deque<Queued>> queues_;
  std::array<int, 3> busy_{-1, -1, -1};  // the stream whose front runs on each engine
};

}  // namespace warpwright::sim
