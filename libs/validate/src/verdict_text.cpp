#include <cmath>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <warpwright/validate/verdict.hpp>

namespace warpwright::validate {
namespace {

using Json = nlohmann::ordered_json;

// Infinite where the request never ended.
std::string duration_text(std::optional<Nanoseconds> time) {
  if (!time) return "unknown";
  return std::isfinite(time->count()) ? format_duration(*time) : "never";
}

Json microseconds_json(std::optional<Nanoseconds> time) {
  return time && std::isfinite(time->count()) ? Json(time->count() / 1e3) : Json(nullptr);
}

template <typename T>
Json value_or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

std::string limit_text(const Contract& contract, const LimitVerdict& found) {
  std::string line = fmt::format("    {:<13} {:<12} limit {}", to_string(found.outcome), found.limit.name(),
                                 format_duration(found.limit.limit));
  line += fmt::format("; {} of {} later", found.late, found.requests);
  if (!found.limit.percentile) return line + fmt::format("; the longest {}\n", duration_text(found.sample));
  line += found.most_late_to_pass ? fmt::format(" (at most {} pass)", *found.most_late_to_pass) : std::string();
  line += fmt::format("; {} seen {}", found.limit.percentile->name(), duration_text(found.sample));
  if (found.bound) {
    line += fmt::format(", below {} with {} % confidence", duration_text(found.bound),
                        contract.test_of(found.limit).options().confidence * 100);
  }
  if (found.outcome == Outcome::inconclusive) {
    line += fmt::format("; needs {} more if none is late", found.more_to_pass);
  }
  return line + "\n";
}

Json limit_json(const LimitVerdict& found) {
  Json json;
  json["stage"] = found.limit.stage;
  json["percentile"] = found.limit.percentile ? Json(found.limit.percentile->name()) : Json("max");
  json["verdict"] = to_string(found.outcome);
  json["limit_us"] = microseconds_json(found.limit.limit);
  json["n"] = found.requests;
  json["t"] = found.late;
  json["estimate_us"] = microseconds_json(found.sample);
  json["upper_bound_us"] = microseconds_json(found.bound);
  json["interval_us"] = {microseconds_json(found.low), microseconds_json(found.high)};
  json["late_share_bounds"] = {found.share.low, found.share.high};
  if (!found.limit.percentile) json["late_share_bounds"] = nullptr;
  json["most_late_to_pass"] = value_or_null(found.most_late_to_pass);
  json["more_to_pass"] = found.limit.percentile ? Json(found.more_to_pass) : Json(nullptr);
  return json;
}

Json histogram_json(const Histogram& histogram) {
  Json buckets = Json::array();
  for (const Histogram::Bucket& bucket : histogram.buckets()) {
    buckets.push_back({bucket.first.count(), bucket.last.count(), bucket.count});
  }
  Json json;
  json["total"] = histogram.total();
  json["below"] = histogram.below();
  json["above"] = histogram.above();
  json["min_us"] = microseconds_json(histogram.minimum());
  json["max_us"] = microseconds_json(histogram.maximum());
  for (const double percent : {50.0, 90.0, 99.0, 99.9}) {
    const Percentile percentile = Percentile::percent(percent);
    json[percentile.name() + "_us"] = microseconds_json(histogram.percentile(percentile));
  }
  json["range_ns"] = {histogram.range().low.count(), histogram.range().high.count()};
  json["digits"] = histogram.range().digits;
  json["buckets_ns"] = std::move(buckets);
  return json;
}

Json run_json(const RunVerdict& run) {
  Json json;
  json["repeat"] = run.repeat;
  json["seed"] = run.seed;
  json["verdict"] = to_string(run.outcome);
  json["invalid"] = run.invalid;
  json["complete"] = run.complete;
  json["elapsed_s"] = Seconds(run.elapsed).count();
  json["requests"] = run.requests;
  json["failed"] = run.failed;
  json["dropped"] = run.dropped;
  json["unserved"] = run.unserved;
  json["generator_lateness_us"] = {{"p50", microseconds_json(run.lateness_p50)},
                                   {"p99", microseconds_json(run.lateness_p99)},
                                   {"max", microseconds_json(run.lateness_max)}};
  json["limits"] = Json::array();
  for (const LimitVerdict& limit : run.limits) json["limits"].push_back(limit_json(limit));
  json["histograms"] = Json::object();
  for (const RunVerdict::Stage& stage : run.stages) json["histograms"][stage.name] = histogram_json(stage.histogram);
  return json;
}

}  // namespace

std::string to_text(const Verdict& verdict) {
  std::string text = fmt::format("{}: contract '{}'\n", to_string(verdict.outcome), verdict.contract.name);
  for (const RunVerdict& run : verdict.runs) {
    text += fmt::format("  run {} of {}: {}, {} requests in {}; generator late by {} (p99)\n", run.repeat + 1,
                        verdict.contract.run.repeats, to_string(run.outcome), run.requests,
                        format_duration(run.elapsed), duration_text(run.lateness_p99));
    for (const std::string& reason : run.invalid) text += "    INVALID: " + reason + "\n";
    if (run.dropped + run.unserved + run.failed > 0) {
      text += fmt::format("    {} failed, {} dropped, {} not served in time; each counts as late\n", run.failed,
                          run.dropped, run.unserved);
    }
    for (const LimitVerdict& limit : run.limits) text += limit_text(verdict.contract, limit);
  }
  for (const std::string& note : verdict.notes) text += "  " + note + "\n";
  return text;
}

std::string to_json_text(const Verdict& verdict) {
  const Contract& contract = verdict.contract;
  Json json;
  json["schema_version"] = 1;
  json["contract"] = contract.name;
  json["verdict"] = to_string(verdict.outcome);
  json["notes"] = verdict.notes;
  json["load"] = {{"kind", to_string(contract.load.kind)},
                  {"rate_hz", contract.load.rate_hz > 0 ? Json(contract.load.rate_hz) : Json(nullptr)},
                  {"max_outstanding", contract.load.max_outstanding},
                  {"workers", contract.load.workers}};
  json["clock"] = contract.load.kind == LoadKind::closed ? "issued" : "scheduled";
  json["seed"] = contract.seed;
  json["confidence"] = contract.stats.confidence;
  json["tolerance"] = contract.stats.tolerance;
  json["looks"] = contract.stats.looks;
  json["repeats"] = contract.run.repeats;
  json["runs"] = Json::array();
  for (const RunVerdict& run : verdict.runs) json["runs"].push_back(run_json(run));
  // Messages of services may hold any bytes.
  return json.dump(2, ' ', false, Json::error_handler_t::replace);
}

}  // namespace warpwright::validate
