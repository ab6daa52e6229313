#include <array>

#include <warpwright/base/error.hpp>
#include <warpwright/memory/link_times.hpp>

namespace warpwright::memory {

LinkTimes measure_link(device::Context& context, const Clock& clock, Bytes size, int repeats) {
  if (size.count == 0 || repeats < 2)
    throw Error(ErrorCode::bad_input, "measuring a link needs copies of at least one byte, two of them");
  const auto up = context.create_stream(), down = context.create_stream();
  const auto pinned_in = context.allocate_pinned(size), pinned_out = context.allocate_pinned(size);
  const auto device_in = context.allocate(size), device_out = context.allocate(size);
  std::array<std::unique_ptr<device::Event>, 4> stamps;
  for (auto& stamp : stamps) stamp = context.create_event();
  const auto upload = [&] { up->copy_to_device(*device_in, Bytes{}, pinned_in->bytes()); };
  const auto download = [&] { down->copy_to_host(pinned_out->bytes(), *device_out, Bytes{}); };
  // First touches, lazy set-up.
  upload();
  down->fill(*device_out, Bytes{}, size, 1);
  download();
  up->synchronize();
  down->synchronize();

  const auto timed = [&](bool upwards, bool downwards) {
    const Nanoseconds begin = clock.now();
    if (upwards) up->record(*stamps[0]);
    if (downwards) down->record(*stamps[2]);
    for (int i = 0; i < repeats; ++i) {
      if (upwards) upload();
      if (downwards) download();
    }
    if (upwards) up->record(*stamps[1]);
    if (downwards) down->record(*stamps[3]);
    up->synchronize();
    down->synchronize();
    return (clock.now() - begin) / repeats;
  };
  LinkTimes times;
  times.size = size;
  times.upload = timed(true, false);
  times.download = timed(false, true);
  times.period = timed(true, true);
  times.both_upload = stamps[1]->elapsed_since(*stamps[0]) / repeats;
  times.both_download = stamps[3]->elapsed_since(*stamps[2]) / repeats;
  return times;
}

}  // namespace warpwright::memory
