// `warpwright validate`: a contract held against a service that this program brings along.
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <fmt/format.h>
#include <memory>
#include <string>
#include <vector>

#include <warpwright/base/error.hpp>
#include <warpwright/base/units.hpp>
#include <warpwright/validate/contract.hpp>
#include <warpwright/validate/verdict.hpp>

#include "command.hpp"
#include "stop_signal.hpp"

namespace warpwright::app {
namespace {

struct ValidateArguments {
  std::string contract, target;
  bool quick = false, json = false;
};

// A service that does nothing at once. What is measured of it is what the generator and this machine add to every
// latency; a machine on which it does not pass cannot hold the contract, whatever the service.
bool serve_nothing(validate::Request& request, const std::vector<std::string>& stages) {
  for (const std::string& stage : stages) {
    if (stage != validate::whole_request) request.stage(stage, Nanoseconds{0});
  }
  return true;
}

// Says every few seconds how long it still takes. Asked by the workers between requests, so it takes no lock.
class ValidateProgress {
 public:
  ValidateProgress(std::FILE* out, Nanoseconds expected, const Clock& clock)
      : out_(out), expected_(expected), clock_(clock), start_(clock.now()), next_((start_ + interval).count()) {}

  void update() {
    const Nanoseconds now = clock_.now();
    double due = next_.load(std::memory_order_relaxed);
    if (now.count() < due || !next_.compare_exchange_strong(due, (now + interval).count())) return;
    const Nanoseconds passed = now - start_;
    fmt::print(out_, "{} passed, about {} left\n", format_duration(passed),
               format_duration(std::max(Nanoseconds{0}, expected_ - passed)));
  }

 private:
  static constexpr Nanoseconds interval{5e9};
  std::FILE* out_;
  Nanoseconds expected_;
  const Clock& clock_;
  Nanoseconds start_;
  std::atomic<double> next_;
};

Nanoseconds expected_time(const validate::Contract& contract) {
  if (contract.load.kind == validate::LoadKind::closed) return contract.run.warmup + contract.run.min_duration;
  return validate::make_schedule(contract, 0).arrivals.back();
}

int run_validate(const ValidateArguments& arguments, const Console& console) {
  const validate::Contract contract = validate::read_contract(arguments.contract);
  if (arguments.target.empty()) {
    throw Error(
        ErrorCode::bad_input,
        "--target says which service is held to the contract; this version brings one, --target null, which does "
        "nothing and shows what this machine adds to every latency. For a service of your own call "
        "warpwright::validate::validate() in a program");
  }
  if (arguments.target != "null") {
    throw Error(ErrorCode::bad_input, fmt::format("--target '{}' is not known; known: null", arguments.target));
  }
  const StopSignal stop;
  const std::atomic<bool>* stopped = StopSignal::flag();
  validate::SteadyLoadClock clock;
  const Nanoseconds expected =
      arguments.quick ? Nanoseconds{6e9} : expected_time(contract) * static_cast<double>(contract.run.repeats);
  ValidateProgress progress(console.err, expected, clock);
  fmt::print(console.err, "contract '{}': {}, about {}\n", contract.name,
             arguments.quick ? "one short run" : fmt::format("{} runs", contract.run.repeats),
             format_duration(expected));

  validate::ValidateOptions options;
  options.quick = arguments.quick;
  options.stop_asked = [&] {
    progress.update();
    return stopped->load();
  };
  options.on_run = [&](const validate::RunVerdict& run) {
    fmt::print(console.err, "run {}: {}, {} requests\n", run.repeat + 1, to_string(run.outcome), run.requests);
  };
  const std::vector<std::string> stages = contract.stages();
  const validate::Verdict verdict = validate::validate(
      contract, [&](validate::Request& request) { return serve_nothing(request, stages); }, clock, options);
  fmt::print(console.out, "{}", arguments.json ? validate::to_json_text(verdict) + "\n" : validate::to_text(verdict));
  return *stopped ? static_cast<int>(exit_interrupted) : validate::exit_code(verdict.outcome);
}

}  // namespace

void add_validate_command(CLI::App& app, const Console& console, int& exit_code) {
  CLI::App* command =
      app.add_subcommand("validate", "Hold a service to a latency contract: PASS, FAIL, INCONCLUSIVE or INVALID");
  auto arguments = std::make_shared<ValidateArguments>();
  command->add_option("contract", arguments->contract, "Contract in TOML, see docs/validation.md")
      ->type_name("CONTRACT")
      ->required();
  command
      ->add_option("--target", arguments->target,
                   "The service: null does nothing and shows what this machine adds to every latency")
      ->type_name("NAME");
  command->add_flag("--quick", arguments->quick, "One run of some seconds that can fail and never passes");
  command->add_flag("--json", arguments->json, "Print JSON");
  command->footer("Exit codes: 0 PASS, 1 FAIL, 2 bad input, 3 INCONCLUSIVE, 4 INVALID, 130 interrupted.");
  command->callback([arguments, console, &exit_code] { exit_code = run_validate(*arguments, console); });
}

}  // namespace warpwright::app
