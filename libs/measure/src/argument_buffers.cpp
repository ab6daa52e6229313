#include "argument_buffers.hpp"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>
#include <utility>

#include <warpwright/base/error.hpp>
#include <warpwright/base/rng.hpp>
#include <warpwright/measure/inputs.hpp>

#include "host_memory.hpp"

namespace warpwright::measure {
namespace {

// Arguments without a seed of their own must not get the same data: equal operands hide exchanged ones.
Fill with_seed(Fill fill, std::size_t position) {
  std::visit(
      [&](auto& how) {
        if constexpr (requires { how.seed; }) {
          if (how.seed == 0) how.seed = derive_seed(0, position + 1);
        }
      },
      fill);
  return fill;
}

// Of an image argument. Throws Error(bad_input) for one that the device does not allow.
ImageShape image_shape(const Argument& argument, const Scope& scope, const DeviceInfo& device) {
  const auto extent = [&](const Expression& expression, const char* what, std::int64_t most) {
    const std::int64_t pixels =
        scope.integer_at_least(expression, 1, std::string(what) + " of image '" + argument.name + "'");
    if (pixels <= most) return pixels;
    throw Error(ErrorCode::bad_input,
                fmt::format("the {} of image '{}' is {} ({}), and device {} allows images of {} x {} pixels; choose a "
                            "smaller problem, or pass it as a buffer",
                            what, argument.name, pixels, expression.text(), device.id.to_string(), device.max_image[0],
                            device.max_image[1]),
                argument.position);
  };
  return {argument.image_format(), extent(argument.image->width, "width", device.max_image[0]),
          extent(argument.image->height, "height", device.max_image[1])};
}

}  // namespace

std::uint8_t first_poison(DataType type) noexcept { return is_floating(type) ? 0xFF : 0xA5; }

ArgumentBuffers::ArgumentBuffers(device::Context& context, device::Stream& stream, const Problem& problem,
                                 const std::vector<const Launch*>& launches, std::uint64_t input_salt,
                                 std::optional<Bytes> host_memory)
    : context_(context), stream_(stream), problem_(problem), salt_(input_salt), host_memory_(host_memory) {
  for (std::size_t i = 0; i < problem.arguments.size(); ++i) {
    const Argument& argument = problem.arguments[i];
    if (!argument.is_buffer()) continue;
    if (!argument.size) {
      throw Error(ErrorCode::bad_input, "buffer '" + argument.name + "' has no size", argument.position);
    }
    Slot slot;
    slot.argument = &argument;
    slot.fill = with_seed(resolved(argument.fill, problem.scope({}), "init of argument '" + argument.name + "'"), i);
    slot.type = argument.type;
    const bool scratch = argument.access == Access::scratch;
    slot.has_data = argument.access != Access::out && (!scratch || argument.restored);
    slot.written = argument.access == Access::out || argument.access == Access::inout || scratch;
    slot.changed = argument.access == Access::inout || (scratch && argument.restored);
    slots_.push_back(std::move(slot));
  }
  for (const Launch* launch : launches) {
    if (launch->swap.empty()) continue;
    std::vector<std::size_t> pair;
    for (const std::string& name : launch->swap) {
      const auto slot = find(name);
      if (!slot) throw Error(ErrorCode::bad_input, "swap names '" + name + "', which is no buffer", launch->position);
      pair.push_back(*slot);
    }
    if (pair.size() != 2) throw Error(ErrorCode::bad_input, "swap must name two buffers", launch->position);
    for (const std::size_t index : pair) {
      slots_[index].written = true;
      slots_[index].changed = slots_[index].has_data;
    }
    swapped_.emplace_back(pair[0], pair[1]);
  }
  require_formats();
}

// Before anything is compiled or allocated; the sizes are looked at by fit().
void ArgumentBuffers::require_formats() const {
  for (const Slot& slot : slots_) {
    const Argument& argument = *slot.argument;
    if (!argument.image) continue;
    const device::ImageUse use = slot.written ? device::ImageUse::write : device::ImageUse::read;
    const std::vector<ImageFormat> formats = context_.image_formats(use);
    if (std::find(formats.begin(), formats.end(), argument.image_format()) != formats.end()) continue;
    throw Error(
        ErrorCode::bad_input,
        fmt::format("argument '{}' is an image of format {}, which device {} ({}) does not have for images that "
                    "kernels {}; it has: {}",
                    argument.name, to_string(argument.image_format()), context_.device().id.to_string(),
                    context_.device().name, to_string(use), describe(formats)),
        argument.position);
  }
}

void ArgumentBuffers::fit(const Configuration& configuration) {
  const Scope scope = problem_.scope(configuration);
  std::vector<std::uint64_t> wanted;
  std::vector<DataType> types;
  std::vector<ImageShape> shapes;
  for (const Slot& slot : slots_) {
    const Argument& argument = *slot.argument;
    shapes.push_back(argument.image ? image_shape(argument, scope, context_.device()) : ImageShape{});
    const std::string what = "size of argument '" + argument.name + "'";
    const auto elements = static_cast<std::uint64_t>(scope.integer_at_least(*argument.size, 1, what));
    const auto width = static_cast<std::uint64_t>(std::max(argument.components, 1));
    types.push_back(argument.type_in(scope));
    if (elements > (std::uint64_t{1} << 60) / (width * size_of(types.back()))) {
      throw Error(ErrorCode::bad_input, fmt::format("{} is {}, beyond any memory", what, elements), argument.position);
    }
    wanted.push_back(elements * width);
  }
  for (const auto& [first, second] : swapped_) {
    const auto bytes = [&](std::size_t i) { return wanted[i] * size_of(types[i]); };
    if (bytes(first) != bytes(second)) {
      throw Error(
          ErrorCode::bad_input,
          fmt::format("swapped buffers '{}' and '{}' have {} and {} bytes; they must be of one size",
                      slots_[first].argument->name, slots_[second].argument->name, bytes(first), bytes(second)));
    }
    if (slots_[first].argument->image.has_value() != slots_[second].argument->image.has_value() ||
        shapes[first] != shapes[second]) {
      throw Error(ErrorCode::bad_input, fmt::format("swapped images '{}' and '{}' must be of one format, width and "
                                                    "height, and an image is swapped with another only",
                                                    slots_[first].argument->name, slots_[second].argument->name));
    }
  }
  std::vector<std::size_t> changed;
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    const bool other_shape = slots_[i].argument->image && slots_[i].shape != shapes[i];
    if (slots_[i].scalars != wanted[i] || slots_[i].type != types[i] || other_shape) changed.push_back(i);
  }
  if (changed.empty()) return;
  ++generation_;
  stream_.synchronize();  // nothing may still use what is about to be replaced
  // A failure below leaves 0 scalars in the slots not reached, so that the next fit() starts them afresh.
  for (const std::size_t i : changed) {
    slots_[i].size = Bytes{wanted[i] * size_of(types[i])};
    slots_[i].type = types[i];
    slots_[i].shape = shapes[i];
    slots_[i].scalars = 0;
  }
  require_memory();
  for (const std::size_t i : changed) {
    allocate(slots_[i]);
  }
  for (const std::size_t i : changed) {
    if (slots_[i].has_data) load_data(slots_[i]);
    slots_[i].scalars = wanted[i];
  }
}

// Before anything is allocated: systems promise more memory than they have, and kill who uses it.
void ArgumentBuffers::require_memory() const {
  Bytes device, copies, largest;
  for (const Slot& slot : slots_) {
    const Bytes held = slot.whole ? slot.whole->size() : slot.image ? slot.image->shape().size() : Bytes{};
    // The pixels of an image that is written are fetched through a buffer of their own.
    const Bytes needed = !slot.argument->image ? guard_size + slot.size + guard_size
                         : slot.written        ? slot.size + slot.size
                                               : slot.size;
    if (needed > held) device = device + (needed - held);
    if (!slot.has_data || slot.scalars != 0) continue;  // what has data already stays as it is
    copies = copies + slot.size;
    largest = std::max(largest, slot.size);
  }
  const auto use = context_.memory_use();
  if (use && device > use->free) {
    throw Error(ErrorCode::out_of_memory,
                fmt::format("the buffers of '{}' need {} more on the device, {} of {} are free ({}); choose a smaller "
                            "problem",
                            problem_.name, format_bytes(device), format_bytes(use->free), format_bytes(use->total),
                            describe_sizes()));
  }
  // A copy of each input lies on the device if it has room, else on the host; it is generated on the host.
  const bool one_memory = context_.device().kind == DeviceKind::cpu;
  require_host_memory(one_memory ? device + copies + largest : largest, "the buffers");
}

void ArgumentBuffers::require_host_memory(Bytes needed, const std::string& purpose) const {
  const std::optional<Bytes> available = host_memory_ ? host_memory_ : available_host_memory();
  if (!available || needed <= *available) return;
  throw Error(
      ErrorCode::out_of_memory,
      fmt::format("{} of '{}' and their copies need {} of this machine's memory, which has {} left ({}); choose "
                  "a smaller problem",
                  purpose, problem_.name, format_bytes(needed), format_bytes(*available), describe_sizes()));
}

void ArgumentBuffers::allocate(Slot& slot) {
  const Bytes needed = guard_size + slot.size + guard_size;
  slot.buffer.reset();
  slot.image.reset();
  if (slot.argument->image) {
    try {
      slot.image = context_.create_image(slot.shape, slot.written ? device::ImageUse::write : device::ImageUse::read);
    } catch (Error& error) {
      throw error.add_context(fmt::format("making the image of argument '{}' of '{}' ({})", slot.argument->name,
                                          problem_.name, describe_sizes()));
    }
    return;
  }
  if (!slot.whole || slot.whole->size() < needed) {
    slot.whole.reset();
    try {
      slot.whole = context_.allocate(needed);
    } catch (Error& error) {
      if (error.code() != ErrorCode::out_of_memory) throw;
      throw error.add_context(fmt::format("allocating {} for argument '{}' of '{}' ({})", format_bytes(needed),
                                          slot.argument->name, problem_.name, describe_sizes()));
    }
  }
  // Constants are copied to memory of their own by some drivers, which has no room for a zone.
  const bool exact = slot.argument->access == Access::constant;
  slot.buffer = context_.view(*slot.whole, guard_size, exact ? slot.size : slot.size + guard_size);
}

std::string ArgumentBuffers::describe_sizes() const {
  std::string text = "all buffers:";
  for (const Slot& slot : slots_) text += fmt::format(" {} {}", slot.argument->name, format_bytes(slot.size));
  if (const auto use = context_.memory_use()) {
    text += fmt::format("; {} of {} free", format_bytes(use->free), format_bytes(use->total));
  }
  return text;
}

void ArgumentBuffers::load_data(Slot& slot) {
  slot.host.clear();
  slot.pristine.reset();
  const Argument& argument = *slot.argument;
  std::vector<std::byte> data;
  try {
    data = generate(slot.fill, slot.type, slot.size.count / size_of(slot.type), salt_);
  } catch (Error& error) {
    throw error.add_context("generating argument '" + argument.name + "'");
  }
  const auto use = context_.memory_use();
  if (!use || use->free >= slot.size + memory_reserve) {
    try {
      slot.pristine = context_.allocate(slot.size);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::out_of_memory) throw;
    }
  }
  if (slot.pristine) {
    stream_.copy_to_device(*slot.pristine, Bytes{0}, data);
    stream_.synchronize();
  } else {
    slot.host = std::move(data);
  }
  restore(slot);
}

std::optional<std::size_t> ArgumentBuffers::find(std::string_view name) const {
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    if (slots_[i].argument->name == name) return i;
  }
  return std::nullopt;
}

// An image's pixels on their way from or to it.
device::Buffer& ArgumentBuffers::dense(Slot& slot) {
  if (slot.image && !slot.buffer) slot.buffer = context_.allocate(slot.size);
  return *slot.buffer;
}

device::Buffer& ArgumentBuffers::contents(std::size_t slot) {
  device::Buffer& buffer = dense(slots_[slot]);
  if (const auto& image = slots_[slot].image) stream_.copy_from_image(buffer, Bytes{}, *image);
  return buffer;
}

void ArgumentBuffers::restore(Slot& slot) {
  if (slot.image) {
    if (!slot.pristine) stream_.copy_to_device(dense(slot), Bytes{0}, slot.host);
    stream_.copy_to_image(*slot.image, slot.pristine ? *slot.pristine : dense(slot), Bytes{});
  } else if (slot.pristine) {
    stream_.copy_on_device(*slot.buffer, Bytes{0}, *slot.pristine, Bytes{0}, slot.size);
  } else {
    stream_.copy_to_device(*slot.buffer, Bytes{0}, slot.host);
  }
}

void ArgumentBuffers::restore_inputs() {
  for (Slot& slot : slots_) {
    if (slot.has_data) restore(slot);
  }
}

bool ArgumentBuffers::runs_change_inputs() const {
  return std::any_of(slots_.begin(), slots_.end(), [](const Slot& slot) { return slot.changed; });
}

void ArgumentBuffers::restore_changed_inputs() {
  for (Slot& slot : slots_) {
    if (slot.changed) restore(slot);
  }
}

void ArgumentBuffers::poison(std::size_t slot, std::uint8_t value) {
  const Argument& argument = *slots_[slot].argument;
  if (argument.access != Access::out && (argument.access != Access::scratch || argument.restored)) return;
  stream_.fill(dense(slots_[slot]), Bytes{0}, slots_[slot].size, value);
  if (const auto& image = slots_[slot].image) stream_.copy_to_image(*image, dense(slots_[slot]), Bytes{});
}

std::uint8_t ArgumentBuffers::guard_byte(std::size_t slot, GuardBytes bytes) const {
  // In 0x70 to 0x7B and 0xF0 to 0xFB: repeated, these are large and finite in every float format, of either sign.
  constexpr std::size_t magnitudes = 12;
  const auto own = static_cast<std::uint8_t>((slot % 2 == 0 ? 0x70 : 0xF0) + slot / 2 % magnitudes);
  const bool floating = is_floating(slots_[slot].type);
  if (bytes == GuardBytes::third) return own ^ (floating ? 0x80 : 0x40);
  if ((bytes == GuardBytes::first) == slots_[slot].written) return own;
  return floating ? 0xFF : static_cast<std::uint8_t>(~own);
}

void ArgumentBuffers::arm_guards(GuardBytes bytes, const std::optional<GuardPlace>& except) {
  for (std::size_t slot = 0; slot < slots_.size(); ++slot) {
    if (slots_[slot].image) continue;
    const bool excepted = except && except->slot == slot;
    const auto byte = [&](bool other) { return guard_byte(slot, excepted && other ? GuardBytes::third : bytes); };
    device::Buffer& whole = *slots_[slot].whole;
    stream_.fill(whole, Bytes{0}, guard_size, byte(except && except->before));
    stream_.fill(whole, guard_size + slots_[slot].size, guard_size, byte(except && except->behind));
  }
}

std::optional<GuardBreach> ArgumentBuffers::check_guards(GuardBytes bytes) {
  const std::span<std::byte> zones = staging(guard_size * (2 * slots_.size()));
  const auto zone_of = [&](std::size_t slot, bool before) {
    return zones.subspan((2 * slot + (before ? 0 : 1)) * guard_size.count, guard_size.count);
  };
  for (std::size_t slot = 0; slot < slots_.size(); ++slot) {
    if (slots_[slot].image) continue;
    stream_.copy_to_host(zone_of(slot, true), *slots_[slot].whole, Bytes{0});
    stream_.copy_to_host(zone_of(slot, false), *slots_[slot].whole, guard_size + slots_[slot].size);
  }
  stream_.synchronize();
  for (std::size_t slot = 0; slot < slots_.size(); ++slot) {
    if (slots_[slot].image) continue;
    const auto touched = [&, armed = std::byte{guard_byte(slot, bytes)}](std::byte b) { return b != armed; };
    for (const bool before : {false, true}) {
      const auto zone = zone_of(slot, before);
      const auto changed = static_cast<std::uint64_t>(std::count_if(zone.begin(), zone.end(), touched));
      if (changed == 0) continue;
      const auto nearest = before ? std::find_if(zone.rbegin(), zone.rend(), touched) - zone.rbegin() + 1
                                  : std::find_if(zone.begin(), zone.end(), touched) - zone.begin();
      return GuardBreach{slots_[slot].argument->name, before, static_cast<std::uint64_t>(nearest), changed};
    }
  }
  return std::nullopt;
}

std::span<std::byte> ArgumentBuffers::staging(Bytes size) {
  const auto count = static_cast<std::size_t>(size.count);
  if (pinned_ && pinned_->size() >= size) return pinned_->bytes().first(count);
  if (pageable_.size() < count) {
    // Pinned memory is scarce in containers; pageable memory is slower and always there.
    try {
      pinned_.reset();
      pinned_ = context_.allocate_pinned(size);
      return pinned_->bytes().first(count);
    } catch (const Error& error) {
      if (error.code() == ErrorCode::device) throw;
    }
    pageable_.resize(count);
  }
  return std::span(pageable_).first(count);
}

std::span<const std::byte> ArgumentBuffers::download(std::size_t slot, Bytes offset, Bytes size) {
  const std::span<std::byte> target = staging(size);
  stream_.copy_to_host(target, contents(slot), offset);
  stream_.synchronize();
  return target;
}

HostBuffers ArgumentBuffers::host_copies(const std::function<std::uint8_t(DataType)>& poison_of) const {
  HostBuffers copies;
  for (const Slot& slot : slots_) {
    const Argument& argument = *slot.argument;
    if (argument.access == Access::scratch) continue;  // what a reference needs of it is its own
    copies[argument.name] = slot.has_data ? generate(slot.fill, slot.type, slot.scalars, salt_)
                                          : std::vector<std::byte>(slot.size.count, std::byte{poison_of(slot.type)});
  }
  return copies;
}

}  // namespace warpwright::measure
