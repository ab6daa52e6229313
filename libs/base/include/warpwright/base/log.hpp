// Libraries never print: they log to a sink given by the caller.
#pragma once

#include <functional>
#include <string_view>

namespace warpwright {

enum class LogLevel { debug, info, warning, error };

// Called from any thread the library uses; the sink must be thread-safe. An empty sink drops everything.
using LogSink = std::function<void(LogLevel, std::string_view)>;

inline void log_to(const LogSink& sink, LogLevel level, std::string_view message) {
  if (sink) sink(level, message);
}

}  // namespace warpwright
