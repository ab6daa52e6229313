// The device buffers and images behind a problem's arguments: their data, their restoring, their poison and the guard
// zones of the buffers. Nothing can be laid around an image, and no kernel reaches what lies there: reads outside one
// are the sampler's affair, and writes outside have no effect.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <warpwright/device/context.hpp>
#include <warpwright/measure/launch_sequence.hpp>
#include <warpwright/model/problem.hpp>

namespace warpwright::measure {

// Left to the driver, to modules and to buffers that grow, before a device copy of an input or output is made.
inline constexpr Bytes memory_reserve{256u << 20};

// Before and behind every buffer: a page, enough for a row of most tiles to land in, and what a view of a buffer must
// be aligned to.
inline constexpr Bytes guard_size = device::view_alignment;

// Where a kernel wrote outside a buffer.
struct GuardBreach {
  std::string argument;
  bool before = false;        // in front of the buffer; else behind it
  std::uint64_t offset = 0;   // nearest changed byte: bytes past the end, or bytes in front of the first element
  std::uint64_t changed = 0;  // bytes changed within the guard zone
};

// What fills the guard zones during a run. Each buffer has bytes of its own, and every set differs from the others in
// every byte of every buffer: what a kernel copies past an end differs from what lay there, and what it reads from
// outside differs from run to run. Of floats the bytes are NaN or of a magnitude that shows in every sum.
enum class GuardBytes {
  first,   // NaN around what kernels only read, finite around what they write
  second,  // the other way round
  third    // finite everywhere
};

// One zone, or both, of one buffer.
struct GuardPlace {
  std::size_t slot = 0;
  bool before = true, behind = true;
};

// The byte an output of this type is filled with so that unwritten elements show: 0xFF gives a NaN in every float
// format.
std::uint8_t first_poison(DataType type) noexcept;
// Differs from first_poison in every element, for outputs whose right values look like it.
inline constexpr std::uint8_t second_poison = 0x5A;

// One thread only. Work is enqueued on the stream given; whatever returns host data waits for it. Slots as in
// BufferSource.
class ArgumentBuffers final : public BufferSource {
 public:
  // `launches` are all that will ever run on these buffers (the problem's and its reference's): they decide which are
  // written. Nothing is allocated before fit().
  ArgumentBuffers(device::Context& context, device::Stream& stream, const Problem& problem,
                  const std::vector<const Launch*>& launches, std::uint64_t input_salt,
                  std::optional<Bytes> host_memory = {});

  // Gives every buffer its size under this configuration: grows and regenerates only what changed. Throws
  // Error(bad_input) for sizes below 1, for swapped buffers of different sizes and for images larger than the device
  // allows, Error(out_of_memory) listing the
  // sizes where the device or the host has less memory than they need.
  void fit(const Configuration& configuration);
  // Throws Error(out_of_memory) with the sizes of all buffers unless the host has `needed` for `purpose`.
  void require_host_memory(Bytes needed, const std::string& purpose) const;
  // Changes when fit() replaced a buffer or its data.
  std::uint64_t generation() const override { return generation_; }

  std::size_t count() const override { return slots_.size(); }
  std::optional<std::size_t> find(std::string_view name) const override;
  const Argument& argument(std::size_t slot) const override { return *slots_[slot].argument; }
  // Of an image: memory that its pixels are copied through, which may hold anything.
  device::Buffer& buffer(std::size_t slot) override { return dense(slots_[slot]); }
  device::Image* image(std::size_t slot) override { return slots_[slot].image.get(); }
  Bytes size(std::size_t slot) const override { return slots_[slot].size; }
  // The element type under the configuration of the last fit().
  DataType type(std::size_t slot) const { return slots_[slot].type; }

  // Enqueued: all inputs as generated.
  void restore_inputs();
  // Whether a run leaves inputs changed (in-place or swapped buffers).
  bool runs_change_inputs() const;
  // Enqueued: only those.
  void restore_changed_inputs();
  // Enqueued; has no effect on buffers other than outputs and scratch.
  void poison(std::size_t slot, std::uint8_t value);
  // Enqueued: the zones before and behind every buffer, those of `except` with the third set.
  void arm_guards(GuardBytes bytes, const std::optional<GuardPlace>& except = {});
  // Where a kernel wrote outside since arm_guards() with the same set. Waits.
  std::optional<GuardBreach> check_guards(GuardBytes bytes);

  // Enqueued: what kernels have left in the slot as dense elements; of an image a copy of its pixels. Valid until the
  // slot is restored, poisoned or asked for again.
  device::Buffer& contents(std::size_t slot);
  // Waits. Valid until the next download or fit().
  std::span<const std::byte> download(std::size_t slot) { return download(slot, Bytes{}, slots_[slot].size); }
  std::span<const std::byte> download(std::size_t slot, Bytes offset, Bytes size);
  // The inputs as generated, and outputs filled with `poison_of(type)`, by argument name.
  HostBuffers host_copies(const std::function<std::uint8_t(DataType)>& poison_of) const;

 private:
  struct Slot {
    const Argument* argument = nullptr;
    Fill fill;
    DataType type = DataType::float32;
    bool has_data = false;  // in, inout, constant, and scratch that is restored
    bool written = false;   // by some launch
    bool changed = false;   // has data that a run overwrites
    std::uint64_t scalars = 0;
    Bytes size;
    std::unique_ptr<device::Buffer> whole;     // guard zone, data, guard zone; null for images
    std::unique_ptr<device::Buffer> buffer;    // what kernels get, of `whole`: the data and, but for constants, a zone
    std::unique_ptr<device::Image> image;      // what kernels get; `buffer` has its pixels on their way, if any go it
    ImageShape shape;                          // of `image`
    std::unique_ptr<device::Buffer> pristine;  // device copy of the data, or ...
    std::vector<std::byte> host;               // ... host copy where the device has no room
  };

  void require_memory() const;
  void allocate(Slot& slot);
  void require_formats() const;
  device::Buffer& dense(Slot& slot);
  std::uint8_t guard_byte(std::size_t slot, GuardBytes bytes) const;
  void load_data(Slot& slot);
  void restore(Slot& slot);
  std::string describe_sizes() const;
  std::span<std::byte> staging(Bytes size);

  device::Context& context_;
  device::Stream& stream_;
  const Problem& problem_;
  std::uint64_t salt_;
  std::optional<Bytes> host_memory_;
  std::vector<Slot> slots_;
  std::vector<std::pair<std::size_t, std::size_t>> swapped_;
  std::uint64_t generation_ = 0;
  std::unique_ptr<device::PinnedBuffer> pinned_;
  std::vector<std::byte> pageable_;
};

}  // namespace warpwright::measure
