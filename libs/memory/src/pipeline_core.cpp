#include "pipeline_core.hpp"

#include <algorithm>
#include <utility>

#include <warpwright/base/error.hpp>

namespace warpwright::memory {
namespace {

enum Role { upload_role, download_role, kernel_role };  // kernels have what streams are left
// Two suffice for the end of a kernel to overlap the beginning of the next.
constexpr int kernel_streams = 2;
enum Stamp { upload_begin, upload_end, kernel_begin, kernel_end, download_begin, download_end };

bool device_is_lost(const Error& error) { return error.code() == ErrorCode::device; }

}  // namespace

PipelineResources make_pipeline_resources(device::Context& context, PinnedMemoryPool& pool,
                                          const PipelineConfig& config) {
  PipelineResources resources;
  const int kernels = config.ordered_kernels ? 1 : std::min(kernel_streams, config.depth);
  const int streams = config.variant == PipelineVariant::role_streams ? kernel_role + kernels : config.depth;
  for (int i = 0; i < streams; ++i) resources.streams.push_back(context.create_stream());
  const Bytes device_in =
      config.in_place ? std::max(config.input_bytes(), config.output_bytes()) : config.input_bytes();
  for (int i = 0; i < config.depth; ++i) {
    PipelineSlot& slot = resources.slots.emplace_back();
    auto in = pool.try_acquire(config.input_bytes());
    auto out = pool.try_acquire(config.output_bytes());
    if (!in || !out) throw Error(ErrorCode::internal, "the pinned pool has no blocks for the ring it was made for");
    slot.pinned_in = std::move(*in);
    slot.pinned_out = std::move(*out);
    slot.device_in = context.allocate(device_in);
    if (!config.in_place) slot.device_out = context.allocate(config.output_bytes());
  }
  resources.marks.resize(2 * resources.slots.size());
  for (auto& marks : resources.marks)
    for (auto* mark : {&marks.uploaded, &marks.computed, &marks.downloaded}) *mark = context.create_ordering_event();
  if (config.timed_every > 0 || config.trace) {
    resources.stamps.resize(2 * resources.slots.size());
    for (auto& set : resources.stamps)
      for (auto& stamp : set) stamp = context.create_event();
  }
  resources.origin = context.create_event();
  return resources;
}

PipelineCore::PipelineCore(device::Context& context, PipelineResources& resources, const PipelineConfig& config,
                           const ChunkKernel& kernel, PipelineEdges edges)
    : context_(context),
      resources_(resources),
      config_(config),
      kernel_(kernel),
      edges_(edges),
      depth_(resources.slots.size()),
      roles_(config.variant == PipelineVariant::role_streams),
      flights_(2 * resources.slots.size()),
      upload_unmarked_(2 * resources.slots.size(), false),
      download_unmarked_(2 * resources.slots.size(), false) {
  // A graph holds what the callable of its run enqueued.
  for (PipelineSlot& slot : resources_.slots) slot.graph.reset();
}

device::Stream& PipelineCore::stream(int role, std::uint64_t chunk) {
  std::size_t index = slot_of(chunk);
  if (roles_) {
    index = static_cast<std::size_t>(role);
    if (role == kernel_role) index += static_cast<std::size_t>(chunk % (resources_.streams.size() - kernel_role));
  }
  return *resources_.streams[index];
}

// ---- producer's side ------------------------------------------------------------------------------------------------

bool PipelineCore::can_fill() {
  if (next_submit_ < depth_ || !edges_.refill_after_upload) return true;
  // A graph has no mark between its upload and its download.
  if (flight_of(next_submit_ - depth_).graph) return next_consume_ + depth_ > next_submit_;
  return marks_of(next_submit_ - depth_).uploaded->done();
}

std::span<std::byte> PipelineCore::slot_to_fill() {
  return resources_.slots[slot_of(next_submit_)].pinned_in.bytes().first(config_.input_bytes().count);
}

bool PipelineCore::can_submit() const {
  if (next_submit_ < depth_) return true;
  // A graph holds its download, so the sink must be done with the slot's memory.
  if (config_.variant == PipelineVariant::graph) return next_consume_ + depth_ > next_submit_;
  return !edges_.wait_after_record || next_download_ + depth_ > next_submit_;
}

template <class Step>
void PipelineCore::attempt(Flight& flight, const char* stage, Step&& step) {
  if (flight.failure) return;
  try {
    step();
  } catch (const Error& error) {
    if (device_is_lost(error)) throw;
    flight.failure = std::current_exception();
    flight.failed_stage = stage;
  } catch (...) {
    flight.failure = std::current_exception();
    flight.failed_stage = stage;
  }
}

void PipelineCore::stamp(const Flight& flight, std::size_t which, device::Stream& stream) {
  if (flight.timed) stream.record(*resources_.stamps[place_of(flight.chunk)][which]);
}

Bytes PipelineCore::launch_kernel(const Flight& flight, device::Stream& target) {
  const std::size_t slot = slot_of(flight.chunk);
  PipelineSlot& place = resources_.slots[slot];
  ChunkWork work{target,
                 flight.chunk,
                 static_cast<int>(slot),
                 *place.device_in,
                 place.output(),
                 flight.input_size,
                 std::min(flight.input_size, config_.output_bytes())};
  kernel_(work);
  if (work.output_size > config_.output_bytes())
    throw Error(ErrorCode::bad_input, "the kernel's callable announced " + format_bytes(work.output_size) +
                                          " of output, an output slot holds " + format_bytes(config_.output_bytes()) +
                                          ": raise PipelineConfig::output_chunk");
  return work.output_size;
}

// A graph's copies have the sizes they were recorded with, so only full chunks can take it.
bool PipelineCore::submit_graph(Flight& flight) {
  const std::size_t slot = slot_of(flight.chunk);
  PipelineSlot& place = resources_.slots[slot];
  if (flight.input_size != config_.input_bytes()) return false;
  device::Stream& only = stream(upload_role, flight.chunk);
  if (place.graph == nullptr) {
    place.graph = context_.record_graph(only, [&] {
      only.copy_to_device(*place.device_in, Bytes{}, place.pinned_in.bytes().first(flight.input_size.count));
      place.graph_output = launch_kernel(flight, only);
      only.copy_to_host(place.pinned_out.bytes().first(place.graph_output.count), place.output(), Bytes{});
    });
  }
  flight.output_size = place.graph_output;
  stamp(flight, upload_begin, only);
  upload_unmarked_[place_of(flight.chunk)] = download_unmarked_[place_of(flight.chunk)] = true;
  only.launch(*place.graph);
  stamp(flight, download_end, only);
  flight.graph = true;
  return true;
}

void PipelineCore::submit(Bytes size) {
  const std::uint64_t chunk = next_submit_;
  const std::size_t slot = slot_of(chunk);
  PipelineSlot& place = resources_.slots[slot];
  ChunkMarks& marks = marks_of(chunk);
  Flight& flight = flight_of(chunk);
  const bool reused = chunk >= depth_;
  flight = Flight{};
  flight.chunk = chunk;
  flight.input_size = size;
  flight.timed =
      config_.trace || (config_.timed_every > 0 && chunk % static_cast<std::uint64_t>(config_.timed_every) == 0);
  if (config_.trace && !origin_recorded_) {
    stream(upload_role, chunk).record(*resources_.origin);
    origin_recorded_ = true;
  }
  ++next_submit_;

  if (config_.variant == PipelineVariant::graph) {
    bool taken = false;
    attempt(flight, "graph", [&] { taken = submit_graph(flight); });
    if (taken) {
      uploaded_ = uploaded_ + size;
      return;
    }
  }

  device::Stream& up = stream(upload_role, chunk);
  device::Stream& compute = stream(kernel_role, chunk);
  if (roles_ && reused && edges_.upload_after_kernel) {
    const ChunkMarks& before = marks_of(chunk - depth_);
    up.wait(config_.in_place ? *before.downloaded : *before.computed);
  }
  attempt(flight, "upload", [&] {
    stamp(flight, upload_begin, up);
    upload_unmarked_[place_of(chunk)] = true;
    if (size.count > 0) up.copy_to_device(*place.device_in, Bytes{}, place.pinned_in.bytes().first(size.count));
    stamp(flight, upload_end, up);
    uploaded_ = uploaded_ + size;
  });
  // Marks are made for failed chunks too: the ring turns on.
  up.record(*marks.uploaded);
  upload_unmarked_[place_of(chunk)] = false;

  if (roles_) {
    if (edges_.kernel_after_upload) compute.wait(*marks.uploaded);
    if (reused && edges_.kernel_after_download && !config_.in_place) compute.wait(*marks_of(chunk - depth_).downloaded);
  }
  attempt(flight, "kernel", [&] {
    stamp(flight, kernel_begin, compute);
    flight.output_size = launch_kernel(flight, compute);
    stamp(flight, kernel_end, compute);
  });
  compute.record(*marks.computed);
}

// ---- consumer's side ------------------------------------------------------------------------------------------------

bool PipelineCore::try_download() {
  if (next_download_ == next_submit_) return false;
  const std::size_t slot = slot_of(next_download_);
  if (edges_.download_after_sink && next_download_ >= next_consume_ + depth_) return false;
  PipelineSlot& place = resources_.slots[slot];
  ChunkMarks& marks = marks_of(next_download_);
  Flight& flight = flight_of(next_download_);
  device::Stream& down = stream(download_role, next_download_);
  if (!flight.graph) {
    if (roles_ && edges_.download_after_kernel) down.wait(*marks.computed);
    attempt(flight, "download", [&] {
      stamp(flight, download_begin, down);
      download_unmarked_[place_of(flight.chunk)] = true;
      if (flight.output_size.count > 0)
        down.copy_to_host(place.pinned_out.bytes().first(flight.output_size.count), place.output(), Bytes{});
      stamp(flight, download_end, down);
    });
  }
  if (!flight.failure) downloaded_ = downloaded_ + flight.output_size;
  down.record(*marks.downloaded);
  download_unmarked_[place_of(flight.chunk)] = false;
  if (flight.graph) upload_unmarked_[place_of(flight.chunk)] = false;
  ++next_download_;
  return true;
}

bool PipelineCore::can_consume() {
  if (next_consume_ == next_download_) return false;
  return !edges_.sink_after_download || marks_of(next_consume_).downloaded->done();
}

PipelineCore::Result PipelineCore::result() {
  const std::size_t slot = slot_of(next_consume_);
  const Flight& flight = flight_of(next_consume_);
  Result result;
  result.chunk = flight.chunk;
  result.bytes = resources_.slots[slot].pinned_out.bytes().first(flight.output_size.count);
  if (flight.failure) {
    result.failure = &flight.failure;
    result.failed_stage = &flight.failed_stage;
    result.bytes = {};
  }
  return result;
}

void PipelineCore::consumed() {
  const Flight& flight = flight_of(next_consume_);
  if (flight.timed && !flight.failure) read_stamps(flight);
  ++next_consume_;
}

void PipelineCore::read_stamps(const Flight& flight) {
  const auto& stamps = resources_.stamps[place_of(flight.chunk)];
  const auto note = [&](StageRecord::Stage stage, Stamp begin, Stamp end, Nanoseconds* sum) {
    const Nanoseconds duration = stamps[end]->elapsed_since(*stamps[begin]);
    if (sum != nullptr) *sum += duration;
    if (!config_.trace) return;
    const Nanoseconds ended = stamps[end]->elapsed_since(*resources_.origin);
    trace_.push_back({flight.chunk, static_cast<int>(slot_of(flight.chunk)), stage, ended - duration, ended});
  };
  if (flight.graph) return note(StageRecord::Stage::graph, upload_begin, download_end, nullptr);
  note(StageRecord::Stage::upload, upload_begin, upload_end, &sums_.upload);
  note(StageRecord::Stage::kernel, kernel_begin, kernel_end, &sums_.kernel);
  note(StageRecord::Stage::download, download_begin, download_end, &sums_.download);
  ++timed_;
}

// ---- waiting --------------------------------------------------------------------------------------------------------

StallCause PipelineCore::cause() {
  const ChunkMarks& oldest = marks_of(next_consume_);
  if (flight_of(next_consume_).graph) return StallCause::kernel;
  if (!oldest.uploaded->done()) return StallCause::upload;
  return oldest.computed->done() ? StallCause::download : StallCause::kernel;
}

void PipelineCore::wait(Awaited awaited) {
  const std::uint64_t chunk = awaited == Awaited::slot ? next_submit_ - depth_ : next_consume_;
  const ChunkMarks& marks = marks_of(chunk);
  if (awaited == Awaited::slot && !flight_of(chunk).graph)
    marks.uploaded->synchronize();
  else
    marks.downloaded->synchronize();
}

void PipelineCore::synchronize() {
  std::exception_ptr first;
  for (auto& each : resources_.streams) {
    try {
      each->synchronize();
    } catch (...) {
      if (!first) first = std::current_exception();
    }
  }
  if (first) std::rethrow_exception(first);
}

bool PipelineCore::proven_done(std::size_t slot) noexcept {
  try {
    for (const std::size_t place : {slot, slot + static_cast<std::size_t>(depth_)}) {
      // A mark that could not be made proves nothing.
      if (upload_unmarked_[place] || download_unmarked_[place]) return false;
      const ChunkMarks& marks = resources_.marks[place];
      if (!marks.uploaded->done() || !marks.downloaded->done()) return false;
    }
    return true;
  } catch (...) {
    return false;
  }
}

}  // namespace warpwright::memory
