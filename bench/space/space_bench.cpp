// Construction of parameter spaces: from parsed parameters and constraints to an indexed space, on one core.
//   space_bench T1_FOLDER [--json] [--only NAME] [--repeats N]
// Times are processor time of this process, so that a busy machine disturbs them less; each space is built `repeats`
// times as declared and `repeats` times with parameters and constraints in random orders. Prints median, smallest and
// largest, and what the index structure takes.
#include <algorithm>
#include <cctype>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include <warpwright/model/sampling.hpp>
#include <warpwright/model/space.hpp>

#include "program.hpp"

namespace {

using warpwright::Choice;
using warpwright::Constraint;
using warpwright::Expression;
using warpwright::ExpressionList;
using warpwright::ExpressionValue;
using warpwright::Parameter;
using warpwright::Rng;
using warpwright::Space;
using Json = nlohmann::ordered_json;

struct Definition {
  std::string name;
  std::vector<Parameter> parameters;
  std::vector<Constraint> constraints;
  std::string expected;  // number of valid configurations, where it is known
};

Parameter list(std::string name, const std::string& values) {
  Parameter parameter;
  parameter.name = std::move(name);
  const auto nothing = [](std::string_view) -> const ExpressionValue* { return nullptr; };
  const ExpressionValue elements = Expression::parse(values).evaluate(nothing);
  for (const auto& value : std::get<ExpressionList>(elements)) parameter.values.push_back(value.scalar());
  return parameter;
}

Definition make(std::string name, const std::vector<std::pair<std::string, std::string>>& parameters,
                const std::vector<std::string>& constraints, std::string expected) {
  Definition definition{std::move(name), {}, {}, std::move(expected)};
  for (const auto& [parameter, values] : parameters) definition.parameters.push_back(list(parameter, values));
  for (const auto& text : constraints) definition.constraints.push_back(Constraint::parse(text));
  return definition;
}

// A name that does not continue an identifier on either side gets the prefix.
std::string prefixed(const std::string& text, const std::vector<std::string>& names, const std::string& prefix) {
  std::string result;
  for (std::size_t i = 0; i < text.size();) {
    const auto in_name = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; };
    if (!in_name(text[i])) {
      result += text[i++];
      continue;
    }
    std::size_t end = i;
    while (end < text.size() && in_name(text[end])) ++end;
    const std::string word = text.substr(i, end - i);
    result += std::find(names.begin(), names.end(), word) != names.end() ? prefix + word : word;
    i = end;
  }
  return result;
}

Definition read_t1(const std::filesystem::path& file, std::string name, std::string expected,
                   const std::string& prefix = "") {
  Json json;
  std::ifstream(file) >> json;
  const Json& space = json.at("ConfigurationSpace");
  Definition definition{std::move(name), {}, {}, std::move(expected)};
  std::vector<std::string> names;
  for (const auto& parameter : space.at("TuningParameters")) names.push_back(parameter.at("Name"));
  for (const auto& parameter : space.at("TuningParameters"))
    definition.parameters.push_back(list(prefix + parameter.at("Name").get<std::string>(), parameter.at("Values")));
  for (const auto& condition : space.at("Conditions"))
    definition.constraints.push_back(Constraint::parse(prefixed(condition.at("Expression"), names, prefix)));
  return definition;
}

Definition joined(const std::filesystem::path& folder, std::string name, const std::string& link,
                  std::string expected) {
  Definition both = read_t1(folder / "gemm_milo.json", std::move(name), std::move(expected), "g_");
  Definition other = read_t1(folder / "hotspot_milo.json", "", "", "h_");
  for (auto& parameter : other.parameters) both.parameters.push_back(std::move(parameter));
  for (auto& constraint : other.constraints) both.constraints.push_back(std::move(constraint));
  if (!link.empty()) both.constraints.push_back(Constraint::parse(link));
  return both;
}

std::vector<Definition> definitions(const std::filesystem::path& t1) {
  std::vector<Definition> all;
  if (std::filesystem::exists(t1 / "gemm_milo.json")) {
    all.push_back(read_t1(t1 / "convolution_milo.json", "convolution", "4362"));
    all.push_back(read_t1(t1 / "dedispersion_milo.json", "dedispersion", "11130"));
    all.push_back(read_t1(t1 / "gemm_milo.json", "gemm", "116928"));
    all.push_back(read_t1(t1 / "hotspot_milo.json", "hotspot", "82984"));
    all.push_back(joined(t1, "gemm x hotspot", "", "9703153152"));
    all.push_back(joined(t1, "gemm x hotspot, linked", "g_MWG * g_NWG >= 8 * h_block_size_x * h_tile_size_x", ""));
  } else {
    std::fprintf(stderr, "no T1 files in '%s': the spaces of published specifications are left out\n", t1.c_str());
  }
  for (const bool cuda : {true, false}) {
    const std::string wide = cuda ? "[1, 2, 4]" : "[1, 2, 4, 8]";
    all.push_back(make(cuda ? "KTT GEMM (CUDA)" : "KTT GEMM (OpenCL)",
                       {{"MWG", "[16, 32, 64, 128]"},
                        {"NWG", "[16, 32, 64, 128]"},
                        {"KWG", "[16, 32]"},
                        {"MDIMC", "[8, 16, 32]"},
                        {"NDIMC", "[8, 16, 32]"},
                        {"MDIMA", "[8, 16, 32]"},
                        {"NDIMB", "[8, 16, 32]"},
                        {"KWI", "[2, 8]"},
                        {"VWM", wide},
                        {"VWN", wide},
                        {"STRM", "[0, 1]"},
                        {"STRN", "[0, 1]"},
                        {"SA", "[0, 1]"},
                        {"SB", "[0, 1]"},
                        {"PRECISION", "[32]"}},
                       {"KWG%KWI==0", "MWG%(MDIMC*VWM)==0", "NWG%(NDIMC*VWN)==0", "MWG%(MDIMA*VWM)==0",
                        "NWG%(NDIMB*VWN)==0", "KWG%((MDIMC*NDIMC)//MDIMA)==0", "KWG%((MDIMC*NDIMC)//NDIMB)==0"},
                       cuda ? "205216" : "241600"));
  }
  const std::string s = "(bx*tx+2*t)*(by*ty+2*t)*(2+sh)*4";
  all.push_back(make("hotspot-like",
                     {{"bx", "[1, 2, 4, 8, 16] + list(range(32, 1025, 32))"},
                      {"by", "[1, 2, 4, 8, 16, 32]"},
                      {"tx", "list(range(1, 11))"},
                      {"ty", "list(range(1, 11))"},
                      {"t", "list(range(1, 11))"},
                      {"u", "list(range(1, 11))"},
                      {"sh", "[0, 1]"},
                      {"b", "[0, 1, 2, 3, 4]"}},
                     {"32 <= bx*by <= 1024", "t%u==0", s + " <= 49152", "b==0 or " + s + "*b <= 65536"}, "279639"));
  all.push_back(make("order test",
                     {{"WPT", "list(range(1, 4097))"}, {"LS", "list(range(1, 4097))"}, {"U", "list(range(1, 4097))"}},
                     {"4096%WPT==0", "(4096//WPT)%LS==0", "LS%U==0"}, "455"));
  std::vector<std::pair<std::string, std::string>> nine;
  for (int i = 0; i < 9; ++i) nine.emplace_back("p" + std::to_string(i), "list(range(16))");
  all.push_back(make("wide, free", nine, {}, "68719476736"));
  all.push_back(make("wide, constrained", nine,
                     {"p0 + p1 + p2 + p3 + p4 + p5 + p6 + p7 + p8 <= 70", "p0 * p8 <= 120", "(p2 + p6) % 3 != 0"}, ""));
  return all;
}

double processor_ms() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) * 1e-6;
}

template <typename T>
void shuffle(std::vector<T>& items, Rng& rng) {
  for (std::size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[rng.below(i)]);
}

struct Times {
  std::vector<double> ms;
  Json json() {
    std::sort(ms.begin(), ms.end());
    return {{"samples", ms.size()}, {"median_ms", ms[ms.size() / 2]}, {"min_ms", ms.front()}, {"max_ms", ms.back()}};
  }
};

Json measure(const Definition& definition, std::size_t repeats) {
  std::unique_ptr<Space> space;
  const auto build = [&](std::vector<Parameter> parameters, std::vector<Constraint> constraints) {
    const double begin = processor_ms();
    space = warpwright::build_space(std::move(parameters), std::move(constraints));
    return processor_ms() - begin;
  };
  Times declared, permuted;
  std::vector<double> of_order;  // the quickest build of each order: what does not depend on other processes
  Rng rng(1);
  for (std::size_t order = 0; order < repeats; ++order) {
    auto parameters = definition.parameters;
    auto constraints = definition.constraints;
    shuffle(parameters, rng);
    shuffle(constraints, rng);
    double best = 1e300;
    for (int i = 0; i < 5; ++i) {
      declared.ms.push_back(build(definition.parameters, definition.constraints));
      permuted.ms.push_back(build(parameters, constraints));
      best = std::min(best, permuted.ms.back());
    }
    of_order.push_back(best);
  }
  build(definition.parameters, definition.constraints);
  const auto [quickest, slowest] = std::minmax_element(of_order.begin(), of_order.end());
  Json json{
      {"space", definition.name},
      {"size", space->exact_size()},
      {"cartesian", space->cartesian_size()},
      {"as_expected", definition.expected.empty() || definition.expected == space->exact_size()},
      {"declared", declared.json()},
      {"permuted", permuted.json()},
      {"orders", repeats},
      {"slowest_order_over_quickest", *slowest / *quickest},
      {"memory_bytes", space->memory_bytes()},
      {"bytes_per_configuration", static_cast<double>(space->memory_bytes()) / static_cast<double>(space->size())}};
  // Queries at random configurations.
  const std::size_t draws = 20000;
  std::vector<std::uint64_t> indices = warpwright::sample(*space, draws, rng, warpwright::Replacement::with);
  Choice choice(definition.parameters.size());
  std::uint64_t wrong = 0;
  double begin = processor_ms();
  for (const auto index : indices) {
    space->read_choice(index, choice);
    wrong += space->find_choice(choice) == index ? 0u : 1u;
  }
  json["index_to_choice_and_back_ns"] = (processor_ms() - begin) * 1e6 / static_cast<double>(draws);
  json["round_trips_wrong"] = wrong;
  indices.resize(500);
  std::size_t found = 0;
  begin = processor_ms();
  for (const auto index : indices) found += space->neighbours(index, warpwright::Neighbourhood::hamming).size();
  json["hamming_neighbour_ns"] = (processor_ms() - begin) * 1e6 / static_cast<double>(std::max<std::size_t>(found, 1));
  begin = processor_ms();
  for (std::size_t i = 0; i < 500; ++i) {
    for (std::size_t p = 0; p < choice.size(); ++p)
      choice[p] = static_cast<std::uint32_t>(rng.below(definition.parameters[p].values.size()));
    wrong += space->nearest(choice) < space->size() ? 0u : 1u;
  }
  json["repair_us"] = (processor_ms() - begin) * 1e3 / 500;
  return json;
}

}  // namespace

int main(int argc, char** argv) {
  std::filesystem::path folder;
  std::string only;
  bool as_json = false;
  std::size_t repeats = 24;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--json") {
      as_json = true;
    } else if (argument == "--only" && i + 1 < argc) {
      only = argv[++i];
    } else if (argument == "--repeats" && i + 1 < argc) {
      repeats = std::max<std::size_t>(1, std::stoul(argv[++i]));
    } else if (!argument.starts_with("--")) {
      folder = argument;
    } else {
      std::fprintf(stderr, "usage: space_bench T1_FOLDER [--json] [--only SPACE] [--repeats N]\n");
      return 2;
    }
  }
  Json rows = Json::array();
  bool right = true;
  for (const auto& definition : definitions(folder)) {
    if (!only.empty() && definition.name != only) continue;
    const Json row = measure(definition, repeats);
    right = right && row["as_expected"] && row["round_trips_wrong"] == 0;
    rows.push_back(row);
    if (as_json) continue;
    std::printf(
        "%-24s %14s of %10.3g  %8.3f ms (%.3f to %.3f), orders within %.2fx, %9zu bytes, index %5.0f ns, repair %6.1f "
        "us%s\n",
        definition.name.c_str(), row["size"].get<std::string>().c_str(), row["cartesian"].get<double>(),
        row["declared"]["median_ms"].get<double>(), row["declared"]["min_ms"].get<double>(),
        row["declared"]["max_ms"].get<double>(), row["slowest_order_over_quickest"].get<double>(),
        row["memory_bytes"].get<std::size_t>(), row["index_to_choice_and_back_ns"].get<double>(),
        row["repair_us"].get<double>(), row["as_expected"].get<bool>() ? "" : "  WRONG SIZE");
  }
  if (as_json) {
    const Json document{
        {"schema_version", 1},     {"benchmark", "space"},      {"processor", warpwright::bench::processor_name()},
        {"compiler", __VERSION__}, {"clock", "processor time"}, {"spaces", rows}};
    std::printf("%s\n", document.dump(1).c_str());
  }
  return right ? 0 : 1;
}
