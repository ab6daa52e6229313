// Reading the next task while the one before it is being worked at.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>

#include <warpwright/base/descriptor.hpp>

#include "message_channel.hpp"

namespace warpwright::execution {

// For a thread that receives from a channel and works at what it received: while it is in a Period, another thread
// takes what arrives into the channel, parsed. Without a Period the working thread reads for itself, so that a message
// that it waits for takes no detour. In a Period it may send through the channel, and not receive.
class ReadAhead {
 public:
  // `channel` must outlive the object. Throws Error(io) if the system has no descriptor left for it.
  explicit ReadAhead(MessageChannel& channel);
  ~ReadAhead();
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;

  class Period {
   public:
    explicit Period(ReadAhead& reader) : reader_(reader) { reader_.allow(true); }
    ~Period() { reader_.allow(false); }
    Period(const Period&) = delete;
    Period& operator=(const Period&) = delete;

   private:
    ReadAhead& reader_;
  };

 private:
  void allow(bool allowed);
  void read();

  MessageChannel& channel_;
  Descriptor wake_;  // eventfd that ends the thread's wait
  std::mutex mutex_;
  std::condition_variable changed_;
  bool allowed_ = false, ending_ = false, ended_ = false;
  std::thread thread_;  // last: it uses the others
};

}  // namespace warpwright::execution
