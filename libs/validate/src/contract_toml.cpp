#include <algorithm>
#include <charconv>
#include <cmath>
#include <fmt/format.h>
#include <utility>

#include <warpwright/base/error.hpp>
#include <warpwright/base/files.hpp>
#include <warpwright/validate/contract.hpp>

#include "contract_check.hpp"
#include "section.hpp"
#include "words.hpp"

namespace warpwright::validate {
namespace {

using spec::detail::Document;
using spec::detail::Node;
using spec::detail::Section;

constexpr std::uint64_t largest_count = std::uint64_t{1} << 53;

const std::vector<std::pair<std::string, double>> percentile_keys{{"p50_us", 50},     {"p75_us", 75}, {"p90_us", 90},
                                                                  {"p95_us", 95},     {"p99_us", 99}, {"p999_us", 99.9},
                                                                  {"p9999_us", 99.99}};

// A clause that nothing checks would look like one that was kept.
void refuse_unmeasured(const Section& section, const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    if (section.has(name))
      section.fail(name, "is not measured by this version, and what is not measured is not passed; remove it");
  }
}

// A key that is missing at the top stands nowhere; the first line is where one would write it.
void require_at_top(const Section& root, const std::string& name, const std::string& example) {
  if (root.has(name)) return;
  throw Error(ErrorCode::bad_input, "is required and missing; write for example: " + example,
              InputPosition{root.document().file_name, 1, 0, name});
}

std::uint64_t count_or(const Section& section, std::string_view name, std::uint64_t otherwise) {
  const Node* found = section.find(name);
  if (!found) return otherwise;
  if (!found->is(Node::Kind::integer) || found->integer < 0 ||
      static_cast<std::uint64_t>(found->integer) > largest_count) {
    spec::detail::wrong_type(section.document(), *found, section.key(name), "a whole number that is not negative");
  }
  return static_cast<std::uint64_t>(found->integer);
}

double number_or(const Section& section, std::string_view name, double otherwise, std::string_view example) {
  return section.number(name, example).value_or(otherwise);
}

template <typename T>
T word_or(const Section& section, std::string_view name, T otherwise,
          const std::vector<std::pair<std::string, T>>& words) {
  const auto found = section.string(name, words.front().first);
  if (!found) return otherwise;
  std::vector<std::string> known;
  for (const auto& [word, value] : words) {
    if (word == *found) return value;
    known.push_back(word);
  }
  section.fail(name, "'" + spec::detail::excerpt(*found, 40) + "' is not known" +
                         spec::detail::suggestion(*found, known, "known"));
}

// One arrival a line, in seconds after the start; empty lines and lines that begin with '#' are left out.
std::vector<Nanoseconds> read_trace(const Section& load, const std::filesystem::path& folder) {
  const std::string name = load.required_string("file", "arrivals.txt");
  const std::filesystem::path file = folder / name;
  std::string text;
  try {
    text = read_file(file);
  } catch (const Error& error) {
    load.fail("file", "cannot be read: " + error.message());
  }
  std::vector<Nanoseconds> arrivals;
  std::size_t number = 0;
  for (std::size_t start = 0; start < text.size();) {
    const std::size_t end = std::min(text.find('\n', start), text.size());
    std::string_view line(text.data() + start, end - start);
    start = end + 1;
    ++number;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() || line.starts_with('#')) continue;
    double seconds = 0;
    const auto [rest, error] = std::from_chars(line.data(), line.data() + line.size(), seconds);
    const InputPosition position{file.string(), number, 0, {}};
    if (error != std::errc{} || rest != line.data() + line.size() || !(seconds >= 0) || !std::isfinite(seconds)) {
      throw Error(ErrorCode::bad_input,
                  "expected one arrival in seconds after the start, such as 0.25, found '" +
                      spec::detail::excerpt(line, 40) + "'",
                  position);
    }
    const Nanoseconds arrival = Seconds{seconds};
    if (!arrivals.empty() && arrival < arrivals.back()) {
      throw Error(ErrorCode::bad_input, "this arrival is before the one above it; sort the file", position);
    }
    arrivals.push_back(arrival);
  }
  return arrivals;
}

void read_load(const Section& root, const std::filesystem::path& folder, Contract& contract) {
  const Section load = *root.section("load", {"kind", "rate_hz", "file", "max_outstanding", "workers"});
  load.require("kind", "kind = \"poisson\"");
  contract.load.kind = word_or<LoadKind>(load, "kind", LoadKind::poisson,
                                         {{"poisson", LoadKind::poisson},
                                          {"constant", LoadKind::constant},
                                          {"trace", LoadKind::trace},
                                          {"closed", LoadKind::closed}});
  if (contract.load.kind == LoadKind::poisson || contract.load.kind == LoadKind::constant) {
    load.require("rate_hz", "rate_hz = 100");
  }
  contract.load.rate_hz = number_or(load, "rate_hz", 0, "100");
  if (contract.load.kind == LoadKind::trace) {
    contract.load.trace = read_trace(load, folder);
  } else if (load.has("file")) {
    load.fail("file", "only a load of kind \"trace\" has a file");
  }
  contract.load.max_outstanding = count_or(load, "max_outstanding", 0);
  contract.load.workers = count_or(load, "workers", 1);

  // The key says again what follows from the kind, because a reader of the file must see which of both was measured.
  const bool closed = contract.load.kind == LoadKind::closed;
  const bool issued = word_or<bool>(root, "clock", closed, {{"scheduled", false}, {"issued", true}});
  if (issued != closed) {
    root.fail("clock", closed
                           ? "a closed loop has no schedule: write clock = \"issued\", or choose another kind of load"
                           : "latencies from the issue of a request hide that it waited; only a closed loop has them");
  }
}

void read_run(const Section& root, Contract& contract) {
  const Section run = *root.section("run", {"warmup_s", "min_duration_s", "max_duration_s", "min_requests", "repeats"});
  const RunLength usual;
  run.require("min_requests", "min_requests = 4603");
  contract.run.min_requests = count_or(run, "min_requests", 0);
  contract.run.warmup = Seconds{number_or(run, "warmup_s", usual.warmup.count(), "5")};
  contract.run.min_duration = Seconds{number_or(run, "min_duration_s", usual.min_duration.count(), "60")};
  contract.run.max_duration = Seconds{number_or(run, "max_duration_s", usual.max_duration.count(), "600")};
  contract.run.repeats = count_or(run, "repeats", usual.repeats);
}

void read_stages(const Section& root, Contract& contract) {
  std::vector<std::string> keys{"id"};
  for (const auto& [key, percent] : percentile_keys) keys.push_back(key);
  keys.emplace_back("max_us");
  const auto stages = root.sections("stage", keys);
  for (const Section& stage : stages) {
    const std::string id = stage.required_string("id", "e2e");
    if (!spec::detail::is_identifier(id)) {
      stage.fail("id", "'" + spec::detail::excerpt(id, 40) + "' is no name: letters, digits and '_', as in \"h2d\"");
    }
    for (const Limit& other : contract.limits) {
      if (other.stage == id)
        stage.fail("id", "'" + id + "' is there twice; write the limits of a stage into one table");
    }
    const std::size_t before = contract.limits.size();
    for (const auto& [key, percent] : percentile_keys) {
      if (const auto limit = stage.number(key, "10000")) {
        contract.limits.push_back({id, Percentile::percent(percent), Nanoseconds{*limit * 1e3}});
      }
    }
    if (const auto limit = stage.number("max_us", "20000")) {
      contract.limits.push_back({id, std::nullopt, Nanoseconds{*limit * 1e3}});
    }
    if (contract.limits.size() == before) {
      stage.fail("id", "'" + id + "' has no limit; write for example p99_us = 10000");
    }
  }
}

void read_statistics(const Section& root, Contract& contract) {
  const auto stats = root.section("stats", {"confidence", "tolerance", "look", "looks", "histogram"});
  if (!stats) return;
  Statistics& result = contract.stats;
  result.confidence = number_or(*stats, "confidence", result.confidence, "0.99");
  result.tolerance = number_or(*stats, "tolerance", result.tolerance, "0.001");
  const bool spend = word_or<bool>(*stats, "look", false, {{"fixed-n", false}, {"spend", true}});
  if (spend) {
    stats->require("looks", "looks = 4");
    result.looks = count_or(*stats, "looks", 1);
    if (result.looks < 2)
      stats->fail("looks", "look = \"spend\" takes at least two looks; for one write look = \"fixed-n\"");
  } else if (stats->has("looks")) {
    stats->fail("looks", "only look = \"spend\" has several looks");
  }
  if (const auto histogram = stats->section("histogram", {"min_ns", "max_s", "digits"})) {
    result.histogram.low = Nanoseconds{number_or(*histogram, "min_ns", result.histogram.low.count(), "100")};
    result.histogram.high = Seconds{number_or(*histogram, "max_s", Seconds(result.histogram.high).count(), "60")};
    const std::uint64_t digits = count_or(*histogram, "digits", result.histogram.digits);
    if (digits < 1 || digits > 5) histogram->fail("digits", fmt::format("must be 1 to 5, found {}", digits));
    result.histogram.digits = static_cast<unsigned>(digits);
  }
}

void read_validity(const Section& root, Contract& contract) {
  const std::vector<std::string> later{"throttled_time_max", "foreign_pids", "clock_ratio_min"};
  if (const auto any = root.section("validity", {})) refuse_unmeasured(*any, later);
  const auto validity = root.section("validity", {"errors_max", "late_issue_p99_us", "stage_sum_gap"});
  if (!validity) return;
  Validity& result = contract.validity;
  result.errors_max = count_or(*validity, "errors_max", result.errors_max);
  result.late_issue_p99 =
      Nanoseconds{number_or(*validity, "late_issue_p99_us", result.late_issue_p99.count() / 1e3, "50") * 1e3};
  result.stage_sum_gap = validity->number("stage_sum_gap", "0.05");
}

}  // namespace

Contract parse_contract(std::string_view text, const std::filesystem::path& file) {
  const Document document = spec::detail::parse_toml(text, file);
  refuse_unmeasured(Section(document, document.root, {}, {}), {"device", "utilisation"});
  const Section root(document, document.root, {},
                     {"version", "name", "seed", "load", "run", "clock", "stage", "stats", "validity"});
  require_at_top(root, "version", "version = 1");
  const Node& version = *root.find("version");
  if (!version.is(Node::Kind::integer) || version.integer != 1) {
    root.fail("version", "this version of Warpwright reads version = 1, found " + version.describe());
  }
  require_at_top(root, "name", "name = \"frame\"");
  require_at_top(root, "load", "load = { kind = \"poisson\", rate_hz = 100 }");
  require_at_top(root, "run", "run = { min_requests = 4603, max_duration_s = 600 }");
  require_at_top(root, "stage", "stage = [{ id = \"e2e\", p99_us = 10000 }]");
  Contract contract;
  contract.name = root.required_string("name", "frame");
  contract.seed = root.seed("seed").value_or(contract.seed);
  read_load(root, file.parent_path(), contract);
  read_run(root, contract);
  read_stages(root, contract);
  read_statistics(root, contract);
  read_validity(root, contract);
  detail::check(contract, [&](std::string_view key, const std::string& message) {
    spec::detail::fail_at(document, key, message);
  });
  return contract;
}

Contract read_contract(const std::filesystem::path& file) { return parse_contract(read_file(file), file); }

}  // namespace warpwright::validate
