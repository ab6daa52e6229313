// `warpwright strategies`: the search strategies and their options.
#include <fmt/format.h>
#include <memory>

#include <warpwright/search/search_algorithm.hpp>
#include <warpwright/store/json.hpp>

#include "command.hpp"
#include "text_table.hpp"

namespace warpwright::app {
namespace {

int list_strategies(bool json, const Console& console) {
  const auto strategies = StrategyRegistry::with_defaults();
  if (json) {
    store::Json list = store::Json::array();
    for (const StrategyInfo& strategy : strategies.list()) {
      store::Json options = store::Json::array();
      for (const StrategyOption& option : strategy.options)
        options.push_back({{"name", option.name},
                           {"description", option.description},
                           {"default", store::to_json(option.default_value)}});
      list.push_back({{"name", strategy.name},
                      {"description", strategy.description},
                      {"uses_seed", strategy.uses_seed},
                      {"options", std::move(options)}});
    }
    fmt::print(console.out, "{}\n", store::Json{{"schema_version", 1}, {"strategies", std::move(list)}}.dump(2));
    return exit_success;
  }
  for (const StrategyInfo& strategy : strategies.list()) {
    fmt::print(console.out, "{}\n  {}\n", strategy.name, strategy.description);
    if (strategy.options.empty()) continue;
    TextTable table({{"option", Align::left}, {"default", Align::right}, {"meaning", Align::left}});
    for (const StrategyOption& option : strategy.options)
      table.add({option.name, to_literal(option.default_value), option.description});
    table.print(console.out, 2);
  }
  return exit_success;
}

}  // namespace

void add_strategies_command(CLI::App& app, const Console& console, int& exit_code) {
  CLI::App* command = app.add_subcommand("strategies", "List the search strategies and their options");
  auto json = std::make_shared<bool>(false);
  command->add_flag("--json", *json, "Print JSON");
  command->callback([json, console, &exit_code] { exit_code = list_strategies(*json, console); });
}

}  // namespace warpwright::app
