#include "progress_line.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "standard_streams.hpp"

namespace warpwright::app {
namespace {

constexpr Nanoseconds terminal_interval{100e6};
constexpr Nanoseconds log_interval{5e9};

std::size_t terminal_width(std::FILE* out) {
  winsize size{};
  if (::ioctl(descriptor_of(out), TIOCGWINSZ, &size) == 0 && size.ws_col > 20) return size.ws_col;
  return 100;
}

std::string failures_text(const tuning::Progress& progress) {
  std::string parts;
  std::uint64_t failed = 0;
  for (int i = 0; i < trial_status_count; ++i) {
    const auto status = static_cast<TrialStatus>(i);
    const std::uint64_t count = progress.by_status[static_cast<std::size_t>(i)];
    if (count == 0 || status == TrialStatus::ok || status == TrialStatus::censored) continue;
    failed += count;
    parts += fmt::format("{}{} {}", parts.empty() ? "" : ", ", count, to_string(status));
  }
  return failed == 0 ? std::string("none failed") : fmt::format("{} failed ({})", failed, parts);
}

}  // namespace

std::string progress_text(const tuning::Progress& progress) {
  std::string text = fmt::format("{}", progress.evaluations);
  if (progress.planned && *progress.planned > 0)
    text += fmt::format("/{} ({} %)", *progress.planned, 100 * progress.evaluations / *progress.planned);
  if (progress.best != nullptr && progress.best->median) {
    text += ", best " + format_duration(*progress.best->median);
    if (progress.baseline) text += fmt::format(" ({:.2f}x)", *progress.baseline / *progress.best->median);
  }
  text += ", " + failures_text(progress);
  if (progress.remaining) text += ", " + format_duration(*progress.remaining) + " left";
  if (progress.best != nullptr) text += "; " + progress.best->configuration.describe();
  return text;
}

ProgressLine::ProgressLine(std::FILE* out, bool quiet)
    : out_(out), quiet_(quiet), terminal_(::isatty(descriptor_of(out)) != 0) {}

ProgressLine::~ProgressLine() { finish(); }

void ProgressLine::update(const tuning::Progress& progress) {
  if (quiet_) return;
  const bool last = progress.planned && progress.evaluations >= *progress.planned;
  if (!last && progress.elapsed - last_shown_ < (terminal_ ? terminal_interval : log_interval)) return;
  last_shown_ = progress.elapsed;
  std::string text = progress_text(progress);
  if (!terminal_) {
    fmt::print(out_, "{}\n", text);
    std::fflush(out_);
    return;
  }
  const std::size_t width = terminal_width(out_) - 1;
  if (text.size() > width) text.resize(width);
  fmt::print(out_, "\r{}\x1b[K", text);
  line_open_ = true;
  std::fflush(out_);
}

void ProgressLine::note(const std::string& text) {
  clear_line();
  fmt::print(out_, "{}\n", text);
  std::fflush(out_);
}

void ProgressLine::clear_line() {
  if (line_open_) fmt::print(out_, "\r\x1b[K");
  line_open_ = false;
}

void ProgressLine::finish() {
  if (line_open_) fmt::print(out_, "\n");
  line_open_ = false;
}

}  // namespace warpwright::app
