// Reading the next task while the one before it is being worked at.
#pragma once

#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <optional>
#include <thread>

#include "message_channel.hpp"

namespace warpwright::tuning {

// Receives from a channel for one thread, which works at what it receives: while that thread is in a Period, another
// one takes in and parses what arrives. Without a Period the thread reads for itself, so that a message that it waits
// for takes no detour. Sending through the channel meanwhile is the working thread's own.
class ReadAhead {
 public:
  // `channel` must outlive the object. Throws Error(io) if the system has no descriptor left for it.
  explicit ReadAhead(MessageChannel& channel);
  ~ReadAhead();
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;

  // As MessageChannel::receive(), outside of a Period.
  std::optional<Message> receive();

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
  int wake_ = -1;  // eventfd that ends the thread's wait
  std::mutex mutex_;
  std::condition_variable changed_;
  bool allowed_ = false, ending_ = false, closed_ = false;
  std::deque<Message> early_;
  std::exception_ptr failure_;
  std::thread thread_;  // last: it uses the others
};

}  // namespace warpwright::tuning
