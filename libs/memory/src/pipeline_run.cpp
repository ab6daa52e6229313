#include "pipeline_run.hpp"

#include <chrono>
#include <fmt/format.h>
#include <utility>

#include <warpwright/base/error.hpp>

namespace warpwright::memory {
namespace {

constexpr std::size_t most_failures = 1000;
// How long the pipeline's thread looks away from the device while a station works: less than any copy worth a pipeline.
constexpr std::chrono::microseconds brief{20};

std::string message_of(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& known) {
    return known.what();
  } catch (...) {
    return "something that is no std::exception was thrown";
  }
}

bool is_lost_device(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const Error& known) {
    return known.code() == ErrorCode::device || known.code() == ErrorCode::timeout;
  } catch (...) {
    return false;
  }
}

}  // namespace

// ---- Station --------------------------------------------------------------------------------------------------------

Station::Station(std::function<void()> work, bool threaded) : work_(std::move(work)) {
  if (!threaded) return;
  thread_ = std::jthread([this](std::stop_token stop) {
    std::unique_lock lock(mutex_);
    for (;;) {
      if (!changed_.wait(lock, stop, [&] { return state_.load(std::memory_order_acquire) == State::running; })) return;
      lock.unlock();
      work_();
      lock.lock();
      state_.store(State::finished, std::memory_order_release);
      changed_.notify_all();
    }
  });
}

Station::~Station() {
  finish();
  if (!thread_.joinable()) return;
  thread_.request_stop();
  thread_.join();
}

void Station::start() {
  if (!thread_.joinable()) {
    work_();
    state_.store(State::finished, std::memory_order_release);
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    state_.store(State::running, std::memory_order_release);
  }
  changed_.notify_all();
}

bool Station::take_finished() {
  if (state_.load(std::memory_order_acquire) != State::finished) return false;
  state_.store(State::idle, std::memory_order_relaxed);
  return true;
}

void Station::wait_briefly() {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, brief, [&] { return state_.load(std::memory_order_acquire) != State::running; });
}

// ---- PipelineRun ----------------------------------------------------------------------------------------------------

PipelineRun::PipelineRun(device::Context& context, PipelineResources& resources, const PipelineConfig& config,
                         const ChunkKernel& kernel, ChunkSource& source, ChunkSink& sink, const Clock& clock,
                         RangeMarker* ranges, std::stop_token stop, PipelineEdges edges)
    : config_(config),
      core_(context, resources, config, kernel, edges),
      source_(source),
      sink_(sink),
      clock_(clock),
      ranges_(ranges),
      stop_(std::move(stop)),
      producer_(
          [this] {
            const Range range(ranges_, "fill");
            const Nanoseconds begin = clock_.now();
            fill_.error = nullptr;
            fill_.size.reset();
            try {
              fill_.size = source_.fill(fill_.chunk, fill_.slot);
            } catch (...) {
              fill_.error = std::current_exception();
            }
            fill_.time = clock_.now() - begin;
          },
          config.helper_threads),
      consumer_(
          [this] {
            const Range range(ranges_, "deliver");
            const Nanoseconds begin = clock_.now();
            delivery_.error = nullptr;
            try {
              sink_.consume(delivery_.chunk, delivery_.bytes);
            } catch (...) {
              delivery_.error = std::current_exception();
            }
            delivery_.time = clock_.now() - begin;
          },
          config.helper_threads) {}

PipelineResult PipelineRun::execute() {
  const Nanoseconds begin = clock_.now();
  last_progress_ = begin;
  try {
    loop();
    core_.synchronize();
  } catch (...) {
    end_with(std::current_exception());
  }
  PipelineStats& stats = result_.stats;
  stats.wall = clock_.now() - begin;
  stats.chunks = result_.done;
  stats.uploaded = core_.uploaded();
  stats.downloaded = core_.downloaded();
  stats.timed_chunks = core_.timed_chunks();
  if (stats.timed_chunks > 0) {
    const auto count = static_cast<double>(stats.timed_chunks);
    const StageTimes& sums = core_.stage_sums();
    stats.stages = {sums.upload / count, sums.kernel / count, sums.download / count};
  }
  stats.slot_wait = slot_wait_.snapshot();
  result_.trace = core_.take_trace();
  return std::move(result_);
}

void PipelineRun::loop() {
  for (;;) {
    if (step()) {
      end_stall();
      if (config_.stall_deadline) last_progress_ = clock_.now();
      continue;
    }
    if (!intake_open_ && !filled_ && !filling_ && !delivering_ && core_.idle()) return;
    wait();
  }
}

bool PipelineRun::step() {
  bool progress = false;
  while (core_.try_download()) progress = true;
  progress = deliver() || progress;
  return produce() || progress;
}

void PipelineRun::close_intake() {
  intake_open_ = false;
  if (!filled_) return;
  filled_.reset();
  ++result_.cancelled;
}

bool PipelineRun::produce() {
  bool progress = false;
  if (intake_open_ && stop_.stop_requested()) {
    result_.stopped = true;
    close_intake();
    progress = true;
  }
  if (intake_open_ && !filling_ && !filled_) {
    if (core_.can_fill()) {
      if (slot_wanted_) slot_wait_.add(clock_.now() - *std::exchange(slot_wanted_, std::nullopt));
      fill_.chunk = core_.filled();
      fill_.slot = core_.slot_to_fill();
      filling_ = true;
      producer_.start();
    } else if (!slot_wanted_) {
      slot_wanted_ = clock_.now();
    }
  }
  if (filling_ && producer_.take_finished()) {
    progress = true;
    filling_ = false;
    Stall& stall = result_.stats.stalls[static_cast<std::size_t>(StallCause::producer)];
    ++stall.count;
    stall.time += fill_.time;
    if (fill_.size && fill_.size->count > fill_.slot.size())
      fill_.error = std::make_exception_ptr(
          Error(ErrorCode::bad_input, fmt::format("the source says that it wrote {} into a slot of {}",
                                                  format_bytes(*fill_.size), format_bytes(Bytes{fill_.slot.size()}))));
    if (fill_.error) {
      // No chunk came to be, so none is counted; nothing can follow it, and what is before it is delivered.
      note_failure(fill_.chunk, "source", fill_.error);
      close_intake();
    } else if (!fill_.size) {
      intake_open_ = false;
    } else if (!intake_open_) {
      ++result_.cancelled;
    } else {
      filled_ = fill_.size;
    }
  }
  if (filled_ && core_.can_submit()) {
    const Range range(ranges_, "submit");
    core_.submit(*std::exchange(filled_, std::nullopt));
    progress = true;
  }
  return progress;
}

bool PipelineRun::deliver() {
  if (!delivering_ && core_.can_consume()) {
    const PipelineCore::Result next = core_.result();
    if (next.failure != nullptr) {
      fail(next.chunk, *next.failed_stage, *next.failure);
      core_.consumed();
      return true;
    }
    if (aborted_) {
      ++result_.cancelled;
      core_.consumed();
      return true;
    }
    delivery_.chunk = next.chunk;
    delivery_.bytes = next.bytes;
    delivering_ = true;
    consumer_.start();
  }
  if (!delivering_ || !consumer_.take_finished()) return false;
  delivering_ = false;
  Stall& stall = result_.stats.stalls[static_cast<std::size_t>(StallCause::consumer)];
  ++stall.count;
  stall.time += delivery_.time;
  if (delivery_.error) {
    fail(delivery_.chunk, "sink", delivery_.error);
  } else {
    ++result_.done;
  }
  core_.consumed();
  return true;
}

void PipelineRun::note_failure(std::uint64_t chunk, const std::string& stage, std::exception_ptr error) {
  if (!result_.error) result_.error = error;
  if (result_.failures.size() < most_failures) result_.failures.push_back({chunk, stage, message_of(error)});
}

void PipelineRun::fail(std::uint64_t chunk, const std::string& stage, std::exception_ptr error) {
  note_failure(chunk, stage, error);
  ++result_.failed;
  if (config_.on_error == ErrorPolicy::skip) return;
  aborted_ = true;
  close_intake();
}

// ---- waiting --------------------------------------------------------------------------------------------------------

void PipelineRun::begin_stall(StallCause cause) {
  if (!stall_) stall_.emplace(cause, clock_.now());
}

void PipelineRun::end_stall() {
  if (!stall_) return;
  Stall& stall = result_.stats.stalls[static_cast<std::size_t>(stall_->first)];
  ++stall.count;
  stall.time += clock_.now() - stall_->second;
  stall_.reset();
}

void PipelineRun::wait() {
  const bool stations_work = (filling_ && producer_.busy()) || (delivering_ && consumer_.busy());
  if (!stall_ && !stations_work && !core_.idle()) begin_stall(core_.cause());
  if (config_.stall_deadline && !stations_work) {
    const Nanoseconds idle_for = clock_.now() - last_progress_;
    if (idle_for > *config_.stall_deadline)
      throw Error(ErrorCode::timeout,
                  fmt::format("nothing moved for {}: chunk {} is the oldest under way, in stage '{}'",
                              format_duration(idle_for), core_.delivered(), to_string(core_.cause())));
  }
  if (config_.wait == WaitMode::poll) return;
  // While a station works either side may be first, so neither is slept on for long.
  if (filling_ && producer_.busy()) return producer_.wait_briefly();
  if (delivering_ && consumer_.busy()) return consumer_.wait_briefly();
  if (core_.idle()) return;
  const bool slot = intake_open_ && !filled_ && !filling_;
  core_.wait(slot ? PipelineCore::Awaited::slot : PipelineCore::Awaited::result);
}

// What ended the run: the device, the driver, or a deadline. Chunks have had their own failures before.
void PipelineRun::end_with(std::exception_ptr error) {
  producer_.finish();
  consumer_.finish();
  const std::uint64_t delivered = core_.delivered();
  bool lost = is_lost_device(error);
  if (!lost) {
    try {
      core_.synchronize();
    } catch (...) {
      lost = is_lost_device(std::current_exception());
    }
  }
  abandoned_ = lost;
  // What was under way is lost; a chunk that was filled and not enqueued, or being filled, never was.
  for (std::uint64_t chunk = delivered; chunk < core_.filled(); ++chunk) {
    note_failure(chunk, "device", error);
    ++result_.failed;
  }
  if (core_.filled() == delivered) note_failure(delivered, "device", error);
  if (filled_ || (filling_ && fill_.size && !fill_.error)) ++result_.cancelled;
  filled_.reset();
  filling_ = delivering_ = false;
}

}  // namespace warpwright::memory
