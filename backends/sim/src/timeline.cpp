#include "timeline.hpp"

#include <algorithm>
#include <limits>
#include <utility>

namespace warpwright::sim {

namespace {
constexpr double forever = std::numeric_limits<double>::infinity();
// Two ends closer than this are one: below it a difference is rounding.
constexpr double tick = 1e-6;
}  // namespace

int Timeline::add_stream() {
  queues_.try_emplace(next_stream_);
  return next_stream_++;
}

void Timeline::remove_stream(int stream) {
  for (int& owner : busy_)
    if (owner == stream) owner = -1;
  queues_.erase(stream);
}

bool Timeline::idle() const {
  return std::all_of(queues_.begin(), queues_.end(), [](const auto& entry) { return entry.second.empty(); });
}

void Timeline::submit(int stream, Command command) {
  Queued queued;
  queued.remaining = command.never_ends ? forever : std::max(0.0, command.duration);
  queued.command = std::move(command);
  queued.sequence = next_sequence_++;
  queues_.at(stream).push_back(std::move(queued));
  settle();
}

bool Timeline::ready(const Queued& queued) const {
  return queued.command.after == nullptr || queued.command.after->ended;
}

void Timeline::settle() {
  // What takes no time may release what waits for it, in any stream.
  for (bool changed = true; changed;) {
    changed = false;
    for (auto& entry : queues_) {
      auto& queue = entry.second;
      while (!queue.empty() && queue.front().command.engine == Engine::none && !queue.front().command.never_ends &&
             ready(queue.front())) {
        Command command = std::move(queue.front().command);
        queue.pop_front();
        command.stamp->start = command.stamp->end = now_;
        command.stamp->started = command.stamp->ended = true;
        if (command.on_end) command.on_end();
        changed = true;
      }
    }
  }
  for (std::size_t engine = 0; engine < busy_.size(); ++engine) {
    if (busy_[engine] >= 0) continue;
    Queued* next = nullptr;
    for (auto& [stream, queue] : queues_) {
      if (queue.empty()) continue;
      Queued& front = queue.front();
      if (front.command.engine != static_cast<Engine>(engine) || !ready(front)) continue;
      if (next != nullptr && next->sequence < front.sequence) continue;
      next = &front;
      busy_[engine] = stream;
    }
    if (next == nullptr) continue;
    next->running = true;
    next->command.stamp->started = true;
    next->command.stamp->start = now_;
    if (next->command.on_start) next->command.on_start();
  }
}

double Timeline::rate(Engine engine) const {
  const bool disturbed = engine == Engine::to_device && busy_[static_cast<std::size_t>(Engine::to_host)] >= 0;
  return disturbed ? duplex_factor_ : 1.0;
}

double Timeline::until_next_end() const {
  double shortest = forever;
  for (std::size_t engine = 0; engine < busy_.size(); ++engine) {
    if (busy_[engine] < 0) continue;
    const double remaining = queues_.at(busy_[engine]).front().remaining;
    shortest = std::min(shortest, remaining / rate(static_cast<Engine>(engine)));
  }
  return shortest;
}

void Timeline::progress(double time) {
  for (std::size_t engine = 0; engine < busy_.size(); ++engine) {
    if (busy_[engine] < 0) continue;
    double& remaining = queues_.at(busy_[engine]).front().remaining;
    remaining -= time * rate(static_cast<Engine>(engine));
  }
  now_ += time;
}

void Timeline::end_finished() {
  // All that end now leave their engines first: what starts next must see neither of them.
  std::vector<Command> ended;
  for (int& stream : busy_) {
    if (stream < 0) continue;
    auto& queue = queues_.at(stream);
    if (queue.front().remaining > tick) continue;
    ended.push_back(std::move(queue.front().command));
    queue.pop_front();
    stream = -1;
  }
  for (auto& command : ended) {
    command.stamp->end = now_;
    command.stamp->ended = true;
    if (command.on_end) command.on_end();
  }
  settle();
}

void Timeline::advance(double time) {
  settle();
  for (;;) {
    const double next = until_next_end();
    if (next == forever || now_ + next > time) break;
    progress(next);
    end_finished();
  }
  if (time > now_) progress(time - now_);
}

bool Timeline::run_until(const std::function<bool()>& reached) {
  settle();
  while (!reached()) {
    const double next = until_next_end();
    if (next == forever) return false;
    progress(next);
    end_finished();
  }
  return true;
}

}  // namespace warpwright::sim
