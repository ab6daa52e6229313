#include <algorithm>
#include <utility>

#include <warpwright/base/error.hpp>

namespace warpwright {

std::string_view to_string(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::bad_input:
      return "bad_input";
    case ErrorCode::not_found:
      return "not_found";
    case ErrorCode::unsupported:
      return "unsupported";
    case ErrorCode::unavailable:
      return "unavailable";
    case ErrorCode::io:
      return "io";
    case ErrorCode::corrupted:
      return "corrupted";
    case ErrorCode::conflict:
      return "conflict";
    case ErrorCode::out_of_memory:
      return "out_of_memory";
    case ErrorCode::compile:
      return "compile";
    case ErrorCode::launch:
      return "launch";
    case ErrorCode::device:
      return "device";
    case ErrorCode::timeout:
      return "timeout";
    case ErrorCode::interrupted:
      return "interrupted";
    case ErrorCode::internal:
      return "internal";
  }
  return "unknown";
}

std::string InputPosition::describe() const {
  std::string text = file;
  if (line != 0) {
    text += ":" + std::to_string(line);
    if (column != 0) text += ":" + std::to_string(column);
  }
  if (!key.empty()) {
    if (!text.empty()) text += ": ";
    text += "key '" + key + "'";
  }
  return text;
}

Error::Error(ErrorCode code, std::string message)
    : std::runtime_error(message), code_(code), message_(std::move(message)) {
  compose();
}

Error::Error(ErrorCode code, std::string message, NativeError native)
    : std::runtime_error(message), code_(code), message_(std::move(message)), native_(std::move(native)) {
  compose();
}

Error::Error(ErrorCode code, std::string message, InputPosition position)
    : std::runtime_error(message), code_(code), message_(std::move(message)), position_(std::move(position)) {
  compose();
}

Error& Error::add_context(std::string context) {
  contexts_.push_back(std::move(context));
  compose();
  return *this;
}

void Error::compose() {
  what_.clear();
  if (position_) {
    what_ = position_->describe();
    if (!what_.empty()) what_ += ": ";
  }
  what_ += message_;
  if (native_) what_ += " (" + native_->name + ", code " + std::to_string(native_->code) + ")";
  for (const auto& context : contexts_) what_ += "; while " + context;
}

namespace {

// Optimal string alignment distance: insertions, deletions, substitutions and transpositions of neighbours cost 1.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t substitution = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, substitution});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    before.swap(last);
    last.swap(row);
  }
  return last[b.size()];
}

}  // namespace

std::optional<std::string> closest_match(std::string_view word, const std::vector<std::string>& candidates) {
  const std::size_t limit = std::max<std::size_t>(1, word.size() / 3);
  std::optional<std::string> best;
  std::size_t best_distance = limit + 1;
  for (const auto& candidate : candidates) {
    const std::size_t distance = edit_distance(word, candidate);
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

}  // namespace warpwright
