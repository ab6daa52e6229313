#include <algorithm>
#include <array>
#include <barrier>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <string_view>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include <warpwright/base/descriptor.hpp>
#include <warpwright/base/error.hpp>
#include <warpwright/base/files.hpp>
#include <warpwright/memory/host_memory.hpp>
#include <warpwright/memory/pipeline.hpp>

namespace warpwright::memory {
namespace {

// One thread of a host copies a fifth of what a PCIe 5.0 link moves, so a copying end may need several. The threads
// stay between copies: starting them costs as much as a chunk.
class CopyTeam {
 public:
  explicit CopyTeam(int threads) : count_(std::max(1, threads)), start_(count_), end_(count_) {
    for (int i = 1; i < count_; ++i) helpers_.emplace_back([this, i] { help(i); });
  }
  ~CopyTeam() {
    if (helpers_.empty()) return;
    stop_ = true;
    start_.arrive_and_wait();
  }
  CopyTeam(const CopyTeam&) = delete;
  CopyTeam& operator=(const CopyTeam&) = delete;

  void copy(std::byte* to, const std::byte* from, std::size_t size) {
    if (size == 0) return;
    constexpr std::size_t worth_sharing = std::size_t{256} << 10;
    if (helpers_.empty() || size < worth_sharing) {
      std::memcpy(to, from, size);
      return;
    }
    to_ = to;
    from_ = from;
    size_ = size;
    start_.arrive_and_wait();
    part(0);
    end_.arrive_and_wait();
  }

 private:
  void part(int number) {
    const auto edge = [&](int i) {
      return size_ * static_cast<std::size_t>(i) / static_cast<std::size_t>(count_) / 64 * 64;
    };
    const std::size_t begin = edge(number), end = number + 1 == count_ ? size_ : edge(number + 1);
    std::memcpy(to_ + begin, from_ + begin, end - begin);
  }
  void help(int number) {
    for (;;) {
      start_.arrive_and_wait();
      if (stop_) return;
      part(number);
      end_.arrive_and_wait();
    }
  }

  int count_;
  std::barrier<> start_, end_;
  std::byte* to_ = nullptr;
  const std::byte* from_ = nullptr;
  std::size_t size_ = 0;
  bool stop_ = false;  // ordered by the barrier
  std::vector<std::jthread> helpers_;
};

class SpanSource final : public ChunkSource {
 public:
  SpanSource(std::span<const std::byte> bytes, int threads) : bytes_(bytes), team_(threads) {}
  std::optional<Bytes> fill(std::uint64_t, std::span<std::byte> slot) override {
    if (at_ == bytes_.size()) return std::nullopt;
    const std::size_t size = std::min(slot.size(), bytes_.size() - at_);
    team_.copy(slot.data(), bytes_.data() + at_, size);
    at_ += size;
    return Bytes{size};
  }

 private:
  std::span<const std::byte> bytes_;
  CopyTeam team_;
  std::size_t at_ = 0;
};

class SpanSink final : public ChunkSink {
 public:
  SpanSink(std::span<std::byte> bytes, int threads) : bytes_(bytes), team_(threads) {}
  void consume(std::uint64_t chunk, std::span<const std::byte> result) override {
    if (result.size() > bytes_.size() - at_)
      throw Error(ErrorCode::bad_input,
                  fmt::format("the sink's {} are full: chunk {} has {} more", format_bytes(Bytes{bytes_.size()}), chunk,
                              format_bytes(Bytes{result.size()})));
    team_.copy(bytes_.data() + at_, result.data(), result.size());
    at_ += result.size();
  }

 private:
  std::span<std::byte> bytes_;
  CopyTeam team_;
  std::size_t at_ = 0;
};

class File {
 public:
  File(const std::filesystem::path& path, int flags)
      : path_(path), descriptor_(::open(path.c_str(), flags | O_CLOEXEC, 0666)) {
    if (!descriptor_) throw failure(path_error_code(errno), "open", errno);
  }
  int descriptor() const { return descriptor_.value(); }
  Error failure(ErrorCode code, const char* what, int number) const {
    return Error(code, fmt::format("cannot {} '{}'", what, path_.string()), native_error(number));
  }

 private:
  std::filesystem::path path_;
  Descriptor descriptor_;
};

class FileSource final : public ChunkSource {
 public:
  explicit FileSource(const std::filesystem::path& path) : file_(path, O_RDONLY) {
    static_cast<void>(::posix_fadvise(file_.descriptor(), 0, 0, POSIX_FADV_SEQUENTIAL));
  }
  std::optional<Bytes> fill(std::uint64_t, std::span<std::byte> slot) override {
    std::size_t size = 0;
    while (size < slot.size()) {
      const ssize_t got = ::read(file_.descriptor(), slot.data() + size, slot.size() - size);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) throw file_.failure(ErrorCode::io, "read", errno);
      if (got == 0) break;
      size += static_cast<std::size_t>(got);
    }
    if (size == 0) return std::nullopt;
    return Bytes{size};
  }

 private:
  File file_;
};

class FileSink final : public ChunkSink {
 public:
  explicit FileSink(const std::filesystem::path& path) : file_(path, O_WRONLY | O_CREAT | O_TRUNC) {}
  void consume(std::uint64_t, std::span<const std::byte> result) override {
    const std::string_view bytes(reinterpret_cast<const char*>(result.data()), result.size());
    if (const WriteOutcome outcome = write_all(file_.descriptor(), bytes); !outcome)
      throw file_.failure(ErrorCode::io, "write", outcome.error);
  }

 private:
  File file_;
};

class GeneratorSource final : public ChunkSource {
 public:
  using Generate = std::function<std::optional<Bytes>(std::uint64_t, std::span<std::byte>)>;
  explicit GeneratorSource(Generate generate) : generate_(std::move(generate)) {}
  std::optional<Bytes> fill(std::uint64_t chunk, std::span<std::byte> slot) override { return generate_(chunk, slot); }

 private:
  Generate generate_;
};

class CallbackSink final : public ChunkSink {
 public:
  using Use = std::function<void(std::uint64_t, std::span<const std::byte>)>;
  explicit CallbackSink(Use use) : use_(std::move(use)) {}
  void consume(std::uint64_t chunk, std::span<const std::byte> result) override { use_(chunk, result); }

 private:
  Use use_;
};

constexpr std::array<PipelineVariant, 3> variants{PipelineVariant::role_streams, PipelineVariant::stream_per_slot,
                                                  PipelineVariant::graph};

std::uint64_t whole_pages(Bytes bytes) {
  return std::max<std::uint64_t>(1, (bytes.count + page_size - 1) / page_size) * page_size;
}

}  // namespace

std::string_view to_string(PipelineVariant variant) noexcept {
  switch (variant) {
    case PipelineVariant::role_streams:
      return "role_streams";
    case PipelineVariant::stream_per_slot:
      return "stream_per_slot";
    case PipelineVariant::graph:
      return "graph";
  }
  return "unknown";
}

std::optional<PipelineVariant> parse_pipeline_variant(std::string_view text) {
  for (const auto variant : variants)
    if (to_string(variant) == text) return variant;
  return std::nullopt;
}

MemoryBudget ring_bytes(const PipelineConfig& config) {
  const auto depth = static_cast<std::uint64_t>(std::max(0, config.depth));
  const std::uint64_t device = config.in_place ? std::max(config.input_bytes().count, config.output_bytes().count)
                                               : config.input_bytes().count + config.output_bytes().count;
  return {Bytes{depth * (whole_pages(config.input_bytes()) + whole_pages(config.output_bytes()))},
          Bytes{depth * device}};
}

std::unique_ptr<ChunkSource> span_source(std::span<const std::byte> bytes, int threads) {
  return std::make_unique<SpanSource>(bytes, threads);
}
std::unique_ptr<ChunkSource> file_source(const std::filesystem::path& path) {
  return std::make_unique<FileSource>(path);
}
std::unique_ptr<ChunkSource> generator_source(
    std::function<std::optional<Bytes>(std::uint64_t, std::span<std::byte>)> generate) {
  return std::make_unique<GeneratorSource>(std::move(generate));
}
std::unique_ptr<ChunkSink> span_sink(std::span<std::byte> bytes, int threads) {
  return std::make_unique<SpanSink>(bytes, threads);
}
std::unique_ptr<ChunkSink> file_sink(const std::filesystem::path& path) { return std::make_unique<FileSink>(path); }
std::unique_ptr<ChunkSink> callback_sink(std::function<void(std::uint64_t, std::span<const std::byte>)> use) {
  return std::make_unique<CallbackSink>(std::move(use));
}

}  // namespace warpwright::memory
