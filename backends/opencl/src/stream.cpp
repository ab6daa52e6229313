#include <algorithm>

#include <warpwright/base/error.hpp>

#include "context.hpp"

namespace warpwright::opencl {

namespace {

std::optional<abi::Ulong> timestamp(const Api& api, const SharedEvent& event, abi::Uint which) {
  abi::Ulong value = 0;
  if (event == nullptr ||
      api.get_event_profiling_info(event->get(), which, sizeof(value), &value, nullptr) != abi::success)
    return std::nullopt;
  return value;
}

}  // namespace

abi::Int execution_status(const Api& api, abi::Event event) {
  abi::Int status = abi::complete;
  check(api.get_event_info(event, abi::event_command_execution_status, sizeof(status), &status, nullptr), Stage::wait,
        "clGetEventInfo", "ask for the state of a command");
  return status;
}

// ---- StreamState ----------------------------------------------------------------------------------------------------

void StreamState::append(abi::Event event, Command command) {
  // Owned before anything that may throw, so that the driver's object cannot leak.
  OwnedEvent owned(state_->api, event);
  auto shared = std::make_shared<const OwnedEvent>(std::move(owned));
  const std::lock_guard lock(mutex_);
  if (unfinished_.size() >= look_at_) drop_finished();
  unfinished_.push_back(shared);
  last_ = shared;
  if (command != Command::work) return;
  for (const auto& weak : waiting_) {
    if (const auto mark = weak.lock()) {
      const std::lock_guard mark_lock(mark->mutex);
      mark->next = shared;
    }
  }
  waiting_.clear();
}

// Commands of an in-order queue end in order. Doubling the threshold keeps the cost per command constant when nothing
// ends.
void StreamState::drop_finished() {
  while (!unfinished_.empty()) {
    const abi::Int status = execution_status(*state_->api, unfinished_.front()->get());
    if (status > abi::complete) break;
    failed_ = failed_ || status < abi::complete;
    unfinished_.pop_front();
  }
  look_at_ = std::max<std::size_t>(64, 2 * unfinished_.size());
}

std::shared_ptr<Mark> StreamState::mark() {
  auto mark = std::make_shared<Mark>();
  bool empty = false;
  {
    const std::lock_guard lock(mutex_);
    empty = last_ == nullptr;
  }
  // A stream in which nothing ran yet has no command whose end could stand for "now".
  if (empty) {
    abi::Event event = nullptr;
    check(api().enqueue_marker_with_wait_list(queue(), 0, nullptr, &event), Stage::copy, "clEnqueueMarkerWithWaitList",
          "record an event");
    append(event, Command::bookkeeping);
  }
  // Without it a driver may keep commands back, and whoever polls the event waits for ever.
  check(api().flush(queue()), Stage::wait, "clFlush", "record an event");
  const std::lock_guard lock(mutex_);
  mark->last = last_;
  if (waiting_.size() >= 64) std::erase_if(waiting_, [](const auto& weak) { return weak.expired(); });
  waiting_.push_back(mark);
  return mark;
}

bool StreamState::idle() {
  SharedEvent last;
  {
    const std::lock_guard lock(mutex_);
    last = last_;
  }
  if (last == nullptr) return true;
  // Polling is a promise that the work will end, so it must have been handed to the device.
  check(api().flush(queue()), Stage::wait, "clFlush", "ask whether a stream is idle");
  return execution_status(api(), last->get()) <= abi::complete;
}

void StreamState::finish() {
  check(api().finish(queue()), Stage::wait, "clFinish", "wait for a stream");
  const std::lock_guard lock(mutex_);
  drop_finished();
  if (std::exchange(failed_, false))
    throw Error(ErrorCode::device, "a command of the stream failed on the device; its context is lost");
}

// ---- events ---------------------------------------------------------------------------------------------------------

SharedEvent MarkEvent::last() const {
  if (mark_ == nullptr) return nullptr;
  const std::lock_guard lock(mark_->mutex);
  return mark_->last;
}

bool MarkEvent::done() const {
  const SharedEvent event = last();
  return event == nullptr || execution_status(*state_->api, event->get()) <= abi::complete;
}

void MarkEvent::synchronize() {
  const SharedEvent event = last();
  if (event == nullptr) return;
  const abi::Event handle = event->get();
  check(state_->api->wait_for_events(1, &handle), Stage::wait, "clWaitForEvents", "wait for an event");
}

Nanoseconds MarkEvent::elapsed_since(const device::Event& start) const {
  const auto& from = ours<const MarkEvent>(start, "event");
  const SharedEvent stop_last = last();
  SharedEvent start_last, start_next;
  if (from.mark_ != nullptr) {
    const std::lock_guard lock(from.mark_->mutex);
    start_last = from.mark_->last;
    start_next = from.mark_->next;
  }
  if (start_last == nullptr) throw Error(ErrorCode::conflict, "elapsed time: the start event was never recorded");
  if (stop_last == nullptr) throw Error(ErrorCode::conflict, "elapsed time: the stop event was never recorded");
  const Api& api = *state_->api;
  for (const auto& event : {start_last, stop_last}) {
    const abi::Int status = execution_status(api, event->get());
    if (status > abi::complete)
      throw Error(ErrorCode::conflict, "elapsed time: the work before the event has not ended; synchronize it first");
    if (status < abi::complete)
      throw Error(ErrorCode::device, "elapsed time: the command before the event failed",
                  NativeError{status, std::string(status_name(status))});
  }
  if (stop_last == start_last) return Nanoseconds{0};  // nothing ran in between
  abi::Ulong stop_end = 0;
  check(
      api.get_event_profiling_info(stop_last->get(), abi::profiling_command_end, sizeof(stop_end), &stop_end, nullptr),
      Stage::query, "clGetEventProfilingInfo", "read the end of a command");
  // The start of the first work after the start event, unless that work lies after the stop event (possible when the
  // two were recorded in different streams) or has not ended.
  std::optional<abi::Ulong> begin = timestamp(api, start_next, abi::profiling_command_start);
  if (!begin || *begin > stop_end) begin = timestamp(api, start_last, abi::profiling_command_end);
  if (!begin || *begin > stop_end) return Nanoseconds{0};
  return Nanoseconds{static_cast<double>(stop_end - *begin)};
}

}  // namespace warpwright::opencl
