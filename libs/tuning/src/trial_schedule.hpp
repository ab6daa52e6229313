// Where the configurations of a search are: asked for, at a compiler, waiting for the device, at it; and from that what
// is to be done next, so that compilers and device are busy and no more is under way than they need. Decisions only: it
// starts nothing, and knows neither strategy nor evaluation nor time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <set>
#include <unordered_map>

#include <warpwright/base/units.hpp>
#include <warpwright/model/binary.hpp>
#include <warpwright/model/trial.hpp>

namespace warpwright::tuning {

// What an evaluation has room for at a moment: see execution::Evaluation.
struct Room {
  bool compile = false, run = false, queue_run = false;
};

// Ordinals for new trials beside those that are taken: the smallest that is free, so that a session that was killed and
// resumed numbers its trials as one that was not.
class Ordinals {
 public:
  void take(std::uint64_t ordinal) { taken_.insert(ordinal); }
  std::uint64_t next() {
    while (taken_.erase(next_) > 0) ++next_;
    return next_++;
  }

 private:
  std::uint64_t next_ = 0;
  std::set<std::uint64_t> taken_;
};

// The mean of what was added lately.
class RecentMean {
 public:
  void add(Nanoseconds time);
  bool known() const { return count_ > 0; }
  Nanoseconds mean() const { return mean_; }

 private:
  int count_ = 0;
  Nanoseconds mean_{};
};

// Thread-compatible.
class TrialSchedule {
 public:
  // A configuration that is under way.
  struct Item {
    std::uint64_t index = 0;  // in the space
    Trial trial;
    Binary binary;  // once it is compiled
  };
  // How compilers and device share the machine: side by side, in turns because the device is the CPU, or not, because
  // nothing is compiled: then one configuration follows the other.
  enum class Sharing { beside, alternating, direct };

  // `budget`: configurations to be asked for, kept ones included; no limit if absent.
  explicit TrialSchedule(std::optional<std::uint64_t> budget, Sharing sharing = Sharing::beside)
      : budget_(budget), sharing_(sharing) {}
  void share(Sharing sharing) { sharing_ = sharing; }

  // ---- what is to be done next --------------------------------------------------------------------------------------

  bool may_ask() const { return !ended_ && (!budget_ || asked_ < *budget_); }
  bool budget_spent() const { return budget_ && asked_ >= *budget_; }
  // One more is to be begun now.
  bool wants_more(const Room& room) const {
    if (sharing_ == Sharing::direct) return items_.empty();
    return room.compile && wants_binaries(ready_.size(), compiling_);
  }
  // Every compiler is busy, and the first to end will have another task. Not where the device would be disturbed by the
  // question, nor where the answer can wait for results, nor where one configuration follows the other.
  bool wants_question_soon(const Room& room) const {
    return may_ask() && compiling_ > 0 && items_.size() >= 2 && !room.compile &&
           wants_binaries(ready_.size() + 1, compiling_ - 1);
  }
  // The first of those that wait for the device can go to it.
  bool wants_run(const Room& room) const;
  // The device has nothing to do, and the compilers have all they can have: what the tuner does now delays nothing
  // unless one of them ends meanwhile. Where the device waits for all of them, one that could have a task waits too.
  bool leisure(const Room& room) const { return compiling_ > 0 && (sharing_ == Sharing::beside || !wants_more(room)); }
  bool empty() const { return items_.empty(); }  // nothing is under way
  bool device_idle() const { return runs_.empty(); }
  bool waiting() const { return !ready_.empty(); }  // for the device
  std::size_t compiling() const { return compiling_; }
  std::uint64_t asked() const { return asked_; }

  // ---- what has happened --------------------------------------------------------------------------------------------

  // A trial of an earlier run counts, and has its ordinal.
  void keep(std::uint64_t ordinal);
  // One more was asked for: its ordinal.
  std::uint64_t ask();
  // Something else takes one of the budget, or is given one back.
  void spend() { ++asked_; }
  void refund() { --asked_; }
  // The strategy has no more.
  void end() { ended_ = true; }
  // Given to a compiler, under its ordinal; or waiting for the device at once, where nothing is compiled.
  void compile(Item item);
  void make_ready(Item item);
  // A compiler is done, with something that can run or not; null if it is of no item (it was dropped).
  Item* compiled(std::uint64_t ordinal, Nanoseconds wall);
  // It waits for the device from now on, or never will.
  void make_ready(std::uint64_t ordinal) { ready_.push_back(ordinal); }
  void skip_device() { device_time_.add({}); }
  // The first that waits goes to the device.
  Item& run();
  // The device is done with it; null if it is of no item.
  Item* ran(std::uint64_t ordinal, Nanoseconds time);
  // It has ended.
  Item remove(std::uint64_t ordinal);
  // No run begins from now on.
  void close() { closed_ = true; }
  // What the device was not given is left for another day.
  void drop();

 private:
  bool wants_binaries(std::size_t ready, std::size_t compiling) const;
  std::size_t under_way_for_device() const;

  std::optional<std::uint64_t> budget_;
  Sharing sharing_;
  Ordinals ordinals_;
  std::unordered_map<std::uint64_t, Item> items_;  // by ordinal
  std::deque<std::uint64_t> ready_;                // compiled, waiting for the device
  std::deque<std::uint64_t> runs_;                 // given to the device; the first is under way
  std::size_t compiling_ = 0;
  std::uint64_t asked_ = 0;  // new ones and kept ones
  Nanoseconds last_run_time_{};
  RecentMean compile_time_, device_time_;  // of a configuration; the device has none for what does not compile
  bool ended_ = false, closed_ = false;
};

}  // namespace warpwright::tuning
