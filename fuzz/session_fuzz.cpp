// Whole tuning sessions of specifications whose expressions give what no kernel can be launched with: 0, negative,
// fractional, huge, text, division by zero, overflow, NaN. Every byte is a choice, so every input is a specification.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>

#include <warpwright/base/error.hpp>
#include <warpwright/execution/local_evaluator.hpp>
#include <warpwright/sim/backend.hpp>
#include <warpwright/spec/problem_builder.hpp>
#include <warpwright/tuning/session.hpp>

#include "fuzz.hpp"

namespace warpwright::fuzz {
namespace {

// Of constants and of the two parameters, each of which has ordinary values too.
constexpr std::array<const char*, 36> hostile{"0",
                                              "-1",
                                              "0.5",
                                              "n / 3",
                                              "2 ** 62",
                                              "2 ** 62 * 4",
                                              "1e300",
                                              "1e308 * 10",
                                              "-(1e308 * 10)",
                                              "'wide'",
                                              "x",
                                              "-x",
                                              "x - 1",
                                              "y - 2",
                                              "n // x",
                                              "n // y",
                                              "n / (x - 1)",
                                              "n // (x * y)",
                                              "x / y",
                                              "x % y",
                                              "x ** y",
                                              "x << 40",
                                              "10 ** (9 * x)",
                                              "n * 10 ** 12",
                                              "[x]",
                                              "x == 1",
                                              "max(x, y)",
                                              "sqrt(y)",
                                              "log2(x)",
                                              "ceil_div(n, x)",
                                              "min(n, y)",
                                              "x * y * 1000000",
                                              "2 ** 31 * x",
                                              "65536 * y",
                                              "1 if x == 2 else 0",
                                              "1e308 * 10 - 1e308 * 10"};
// Launches are enqueued one by one: here, in this process, none of these repeats for hours.
constexpr std::array<const char*, 10> repeats{"1",   "x",     "0",       "-1",    "x - 2",
                                              "0.5", "1 / 0", "'often'", "n / 3", "1e300"};
constexpr std::array<const char*, 6> ordinary{"1", "16", "64", "ceil_div(n, 64)", "x", "32 * x"};

class Choices {
 public:
  explicit Choices(std::string_view bytes) : bytes_(bytes) {}
  std::size_t below(std::size_t count) {
    if (bytes_.empty()) return 0;
    const auto byte = static_cast<unsigned char>(bytes_.front());
    bytes_.remove_prefix(1);
    return byte % count;
  }
  bool one_in(std::size_t count) { return below(count) == 1; }
  template <std::size_t count>
  std::string of(const std::array<const char*, count>& list) {
    return list[below(count)];
  }
  // Ordinary, or hostile: seldom for the baseline (x = 1, y = 2), which readers look at.
  Expression expression(const std::string& usual) {
    const std::size_t kind = below(24);
    if (kind < 8) return Expression::parse(usual);
    const std::string other = "(" + of(hostile) + ")";
    if (kind < 12) return Expression::parse(other + " if x == 2 else " + usual);
    if (kind < 16) return Expression::parse(other + " if y != 2 else " + usual);
    if (kind < 23) return Expression::parse(usual + " if x == 1 and y == 2 else " + other);
    return Expression::parse(other);
  }

 private:
  std::string_view bytes_;
};

Argument buffer(const char* name, Access access, Expression size) {
  Argument argument;
  argument.name = name;
  argument.access = access;
  argument.size = std::move(size);
  if (access == Access::in) argument.fill = FillUniform{-1, 1, 1};
  return argument;
}

Problem problem_of(Choices& choices) {
  static constexpr std::array<std::int64_t, 5> sizes{64, 1, 1000, 4096, 17};
  Problem problem;
  problem.name = "hostile";
  problem.dimensions.set("n", sizes[choices.below(sizes.size())]);
  problem.parameters.resize(2);
  problem.parameters[0].name = "x";
  problem.parameters[0].values = {std::int64_t{1}, std::int64_t{2}, std::int64_t{4}};
  problem.parameters[1].name = "y";
  problem.parameters[1].values = {std::int64_t{2}, std::int64_t{1}, std::int64_t{3}};
  static constexpr std::array<std::int64_t, 4> odd{0, -1, 1 << 30, -4096};
  if (choices.one_in(2)) problem.parameters[1].values.emplace_back(odd[choices.below(odd.size())]);
  problem.source.by_backend["sim"] = SourceText{"hostile.toml", R"(
[kernels.vector_add]
elements = "n"
arguments = ["float32* c", "float32* a", "float32* b", "int32 n", "int32 scale"]
cost_ns = "2000 + 100 * BLOCK_X"
noise = 0.01
[kernels.naive]
behaviour = "vector_add"
elements = "n"
)"};
  problem.arguments = {buffer("c", Access::out, Expression::parse("n")),
                       buffer("a", Access::in, Expression::parse("n")),
                       buffer("b", Access::in, Expression::parse("n"))};
  if (choices.one_in(3)) problem.arguments.push_back(buffer("unused", Access::in, choices.expression("n")));
  Argument scale;
  scale.name = "scale";
  scale.access = Access::scalar;
  scale.type = DataType::int32;
  scale.value = choices.one_in(3) ? choices.expression("x") : Expression::parse("x");
  problem.arguments.push_back(std::move(scale));

  Launch launch;
  launch.entry = "vector_add";
  launch.args = {"c", "a", "b", "n", "scale"};
  for (std::size_t i = 0, count = 1 + choices.below(3); i < count; ++i) {
    launch.block.push_back(choices.expression(i == 0 ? choices.of(ordinary) : "1"));
    launch.grid.push_back(choices.expression(i == 0 ? choices.of(ordinary) : "1"));
  }
  if (choices.one_in(3)) launch.shared = choices.expression("1024");
  if (choices.one_in(4)) launch.cluster = {choices.expression("1")};
  if (choices.one_in(3)) launch.repeat = Expression::parse("1 if x == 1 and y == 2 else (" + choices.of(repeats) + ")");
  problem.launches = {launch};
  if (choices.one_in(4)) problem.defines.emplace_back("LIMIT", choices.expression("n"));
  if (choices.one_in(2)) {
    problem.metrics = {{"rate", choices.expression("n / time_ns")}};
    if (choices.one_in(2)) problem.objective = {"rate", choices.one_in(2)};
  }
  if (choices.one_in(2)) {
    problem.outputs = {{"c", 1e-6, 0, {}}};
    ReferenceKernel reference;
    Launch& plain = reference.launches.emplace_back();
    plain.entry = "naive";
    plain.args = {"c", "a", "b", "n"};
    plain.block = {Expression::parse("64")};
    plain.grid = {Expression::parse("ceil_div(n, 64)")};
    problem.reference = std::move(reference);
  }
  return problem;
}

bool names_no_parameter(const Expression& expression) {
  const auto& names = expression.names();
  return std::none_of(names.begin(), names.end(), [](const std::string& name) { return name == "x" || name == "y"; });
}

}  // namespace

SessionCounts& session_counts() {
  static SessionCounts counts;
  return counts;
}

void session(std::string_view bytes) {
  static const auto backend = [] {
    sim::Options options;
    options.device.global_memory = Bytes{4 << 20};
    options.device.l2_cache = Bytes{64 << 10};
    return sim::make_backend(std::move(options));
  }();
  static const StrategyRegistry strategies = StrategyRegistry::with_defaults();
  Choices choices(bytes);
  const Problem problem = problem_of(choices);
  // A size of the command line, or of a class of devices, may make the baseline hostile after it was looked at.
  const bool looked_at = !choices.one_in(4);
  try {
    if (looked_at) spec::check_problem(problem);
  } catch (const Error& error) {
    require(error.code() == ErrorCode::bad_input, "mistakes in a specification are bad_input");
    ++session_counts().refused;
    return;
  }
  const auto space = problem.build_space();
  tuning::SessionOptions options;
  options.strategy = choices.one_in(2) ? "random" : "auto";
  options.final_rounds = 5;
  options.finalists = 2;
  const SteadyClock clock;
  const DeviceInfo device = device::find_device(*backend, DeviceId::parse("sim:0"));
  execution::LocalEvaluation evaluation(*backend, device, problem, clock);
  tuning::SessionRecord result;
  try {
    result = tuning::run_session(problem, *space, strategies, evaluation, clock, options);
  } catch (const Error& error) {
    // What every configuration needs, or their judge: the only things that may end a session here.
    const auto says = [&](std::string_view words) {
      return std::string_view(error.what()).find(words) != std::string::npos;
    };
    const Argument* unused = problem.find_argument("unused");
    const bool same_for_all = unused != nullptr && names_no_parameter(*unused->size) && says("argument 'unused'");
    require(same_for_all || (says("computing the reference") && error.code() == ErrorCode::bad_input), error.what());
    ++session_counts().unjudged;
    return;
  }
  require(result.trials.size() == space->size(), "every configuration has an outcome");
  bool any = false;
  ++session_counts().sessions;
  for (const Trial& trial : result.trials) {
    ++session_counts().outcomes[std::string(to_string(trial.status))];
    any |= trial.ok();
    const bool timed = trial.ok() || trial.status == TrialStatus::censored;
    require(timed == trial.median.has_value(), "what was right has a time, and nothing else");
    require(timed || !trial.message.empty(), "a failure is explained");
    for (const auto& [name, value] : trial.metrics) require(std::isfinite(value), "metrics are numbers");
  }
  require(any == result.best.has_value(), "there is a winner where anything was right");
}

}  // namespace warpwright::fuzz

WARPWRIGHT_FUZZ_ENTRY(session)
