#include <algorithm>
#include <fmt/format.h>
#include <iterator>

#include <warpwright/memory/pipeline_stats.hpp>

namespace warpwright::memory {

Nanoseconds ideal_time(const StageTimes& stages, std::uint64_t chunks, Nanoseconds transfer_period) {
  if (chunks == 0) return Nanoseconds{0};
  const Nanoseconds period = std::max({stages.upload, stages.kernel, stages.download, transfer_period});
  return stages.sum() + static_cast<double>(chunks - 1) * period;
}

std::string_view to_string(StallCause cause) noexcept {
  switch (cause) {
    case StallCause::producer:
      return "producer";
    case StallCause::upload:
      return "upload";
    case StallCause::kernel:
      return "kernel";
    case StallCause::download:
      return "download";
    case StallCause::consumer:
      return "consumer";
  }
  return "unknown";
}

std::string_view to_string(StageRecord::Stage stage) noexcept {
  switch (stage) {
    case StageRecord::Stage::upload:
      return "upload";
    case StageRecord::Stage::kernel:
      return "kernel";
    case StageRecord::Stage::download:
      return "download";
    case StageRecord::Stage::graph:
      return "graph";
  }
  return "unknown";
}

namespace {

double rate(Bytes bytes, Nanoseconds wall) {
  return wall.count() > 0 ? static_cast<double>(bytes.count) / wall.count() * 1e9 : 0;
}

double share(Nanoseconds stage, std::uint64_t chunks, Nanoseconds wall) {
  return wall.count() > 0 ? stage.count() * static_cast<double>(chunks) / wall.count() : 0;
}

}  // namespace

double PipelineStats::upload_rate() const { return rate(uploaded, wall); }
double PipelineStats::download_rate() const { return rate(downloaded, wall); }
double PipelineStats::upload_share() const { return share(stages.upload, chunks, wall); }
double PipelineStats::kernel_share() const { return share(stages.kernel, chunks, wall); }
double PipelineStats::download_share() const { return share(stages.download, chunks, wall); }

std::optional<double> PipelineStats::efficiency(const StageTimes& measured, Nanoseconds transfer_period) const {
  if (chunks == 0 || !(wall.count() > 0)) return std::nullopt;
  return ideal_time(measured, chunks, transfer_period) / wall;
}

std::string chrome_trace_json(const PipelineResult& result, std::string_view title) {
  std::string escaped;
  for (const char c : title) {
    if (static_cast<unsigned char>(c) < 0x20) continue;
    if (c == '"' || c == '\\') escaped += '\\';
    escaped += c;
  }
  std::string text = R"({"displayTimeUnit":"ns","otherData":{"title":")" + escaped + R"("},"traceEvents":[)";
  const auto row = [](StageRecord::Stage stage) { return static_cast<int>(stage); };
  bool first = true;
  const auto add = [&](const std::string& event) {
    text += first ? "\n" : ",\n";
    text += event;
    first = false;
  };
  for (const auto stage : {StageRecord::Stage::upload, StageRecord::Stage::kernel, StageRecord::Stage::download,
                           StageRecord::Stage::graph}) {
    if (std::none_of(result.trace.begin(), result.trace.end(), [&](const auto& each) { return each.stage == stage; }))
      continue;
    add(fmt::format(R"({{"name":"thread_name","ph":"M","pid":0,"tid":{},"args":{{"name":"{}"}}}})", row(stage),
                    to_string(stage)));
  }
  // Microseconds, as the format asks for.
  for (const StageRecord& each : result.trace)
    add(fmt::format(
        R"({{"name":"chunk {}","cat":"{}","ph":"X","pid":0,"tid":{},"ts":{:.3f},"dur":{:.3f},"args":{{"chunk":{},"slot":{}}}}})",
        each.chunk, to_string(each.stage), row(each.stage), each.start.count() / 1e3,
        (each.end - each.start).count() / 1e3, each.chunk, each.slot));
  return text + "\n]}\n";
}

}  // namespace warpwright::memory
