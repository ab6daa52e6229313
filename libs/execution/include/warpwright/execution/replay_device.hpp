// A recorded space in the place of a device: a session, a comparison, the whole command runs on it, in milliseconds,
// the same on every machine. What the record says an evaluation cost is charged to a clock of its own; nothing waits,
// nothing is compiled or launched, and nothing is verified again.
//
// It is an Evaluation and no backend: a recording has no source, no buffers and no launches, only answers. Its device
// is "replay:0" of kind `simulated`, so that a profile of it is never found for a real device.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <warpwright/base/clock.hpp>
#include <warpwright/execution/evaluation.hpp>
#include <warpwright/model/problem.hpp>
#include <warpwright/model/recorded_space.hpp>

namespace warpwright::execution {

// One thread only.
class ReplayDevice {
 public:
  // Backend of its device's id, and the word before the colon in "replay:FILE".
  static constexpr const char* backend = "replay";

  // `identity` is what the recording is told apart by when a session is resumed (a hash of the file), `name` is for
  // messages. Every configuration answers with its recorded time, as one sample; what failed answers with its status.
  //
  // Without a specification the problem is the recording: its parameters, the kernel's name, and as baseline each
  // parameter's first value. With one, the problem is that of the specification, without what needs a device (source,
  // launches, reference). Its constraints hold: what they reject is left out, and said in notes().
  // Throws Error(bad_input) where the two disagree (a parameter that only one of them has, a recorded value that the
  // specification does not know, no configuration in common) and for a recording without any configuration,
  // Error(unsupported) for a recorded objective other than the time.
  ReplayDevice(RecordedSpace recorded, const std::string& identity, const std::string& name,
               const Problem* specification = nullptr);
  ~ReplayDevice();
  ReplayDevice(const ReplayDevice&) = delete;
  ReplayDevice& operator=(const ReplayDevice&) = delete;

  const RecordedSpace& recorded() const;
  const Problem& problem() const;
  // The recorded configurations, in the order of the problem's parameters.
  const Space& space() const;
  const DeviceInfo& device() const;
  // What of the recording is not used, for people.
  const std::vector<std::string>& notes() const;

  // Recorded time. Thread-safe to read.
  const Clock& clock() const;
  // For one session or comparison. A configuration that was not recorded is `pruned` and says so.
  Evaluation& evaluation();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace warpwright::execution
