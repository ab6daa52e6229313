#include <charconv>
#include <fmt/format.h>
#include <limits>
#include <memory>

#include <warpwright/base/error.hpp>
#include <warpwright/tuning/kernel_tuner.hpp>

#include "backends.hpp"
#include "command.hpp"
#include "occupancy_arguments.hpp"
#include "text_table.hpp"

namespace warpwright::app {
namespace {

using store::Json;

struct RecommendArguments {
  OccupancyArguments question;
  std::string workload, per_thread, shared_per_thread, min_occupancy, min_block, max_block, rows;
  bool grid_stride = false;
  bool json = false;
};

// "0.5" or "50%".
double parse_share(const std::string& text, const std::string& flag) {
  double number = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string_view rest(end, static_cast<std::size_t>(text.data() + text.size() - end));
  if (rest == "%") number /= 100;
  if (status != std::errc{} || !(rest.empty() || rest == "%") || !(number >= 0 && number <= 1))
    throw Error(ErrorCode::bad_input, fmt::format("{} '{}' must be from 0 to 1, or from 0% to 100%", flag, text));
  return number;
}

int recommend(const RecommendArguments& arguments, const Console& console) {
  constexpr std::int64_t largest = std::numeric_limits<std::int64_t>::max();
  Workload workload;
  workload.elements = static_cast<std::uint64_t>(parse_whole(arguments.workload, "--workload", 1, largest));
  RecommendOptions options;
  if (!arguments.per_thread.empty())
    workload.elements_per_thread =
        static_cast<std::uint64_t>(parse_whole(arguments.per_thread, "--per-thread", 1, largest));
  if (!arguments.shared_per_thread.empty())
    options.shared_per_thread =
        Bytes{static_cast<std::uint64_t>(parse_whole(arguments.shared_per_thread, "--shared-per-thread", 0, 1 << 20))};
  if (!arguments.min_occupancy.empty()) options.min_occupancy = parse_share(arguments.min_occupancy, "--min-occupancy");
  if (!arguments.min_block.empty())
    options.min_block = static_cast<int>(parse_whole(arguments.min_block, "--min-block", 1, 1024));
  if (!arguments.max_block.empty())
    options.max_block = static_cast<int>(parse_whole(arguments.max_block, "--max-block", options.min_block, 1024));
  if (!arguments.rows.empty())
    options.max_results = static_cast<std::size_t>(parse_whole(arguments.rows, "--rows", 1, 1000));
  options.grid_stride = arguments.grid_stride;

  const auto backends = make_backends(console);
  const OccupancyQuestion question = read_question(arguments.question, backends);
  if (!question.tuner)
    throw Error(ErrorCode::unsupported,
                "no configuration can be recommended: " + unknown_occupancy_reason(*question.device));
  const KernelTuner& tuner = *question.tuner;
  if (question.file && !arguments.json)
    for (const auto& note : question.file->notes) fmt::print(console.err, "note: {}\n", note);
  const auto found = tuner.recommend(workload, question.config, options);
  if (arguments.json) {
    Json list = Json::array();
    for (const auto& one : found) {
      Json entry{{"configuration", to_json(one.config)}};
      entry.update(to_json(one.occupancy));
      entry["lane_efficiency"] = one.lane_efficiency;
      entry["score"] = one.score;
      list.push_back(std::move(entry));
    }
    Json json{{"schema_version", 1},
              {"architecture", tuner.properties().architecture},
              {"name", tuner.properties().name},
              {"sm_count", tuner.properties().sm_count ? Json(*tuner.properties().sm_count) : Json(nullptr)},
              {"workload", workload.elements},
              {"elements_per_thread", workload.elements_per_thread},
              {"min_occupancy", options.min_occupancy},
              {"recommendations", std::move(list)},
              {"notes", question.file ? question.file->notes : std::vector<std::string>{}}};
    fmt::print(console.out, "{}\n", json.dump(2));
    return found.empty() ? exit_failure : exit_success;
  }
  if (found.empty() && question.config.required_block) {
    KernelConfig only = question.config;
    only.block_size = *only.required_block;
    const std::string refusal = tuner.refusal_reason(only);
    fmt::print(console.err,
               "the kernel was compiled for blocks of {} threads and no other, and {}; see 'warpwright occupancy'\n",
               only.block_size.to_string(),
               refusal.empty()
                   ? fmt::format("with them it has an occupancy of {}, below --min-occupancy {}",
                                 percent(tuner.calculate_occupancy(only).occupancy), percent(options.min_occupancy))
                   : refusal);
    return exit_failure;
  }
  if (found.empty()) {
    fmt::print(
        console.err,
        "no block size from {} to {} threads reaches an occupancy of {} with these resources; lower --min-occupancy, "
        "or see 'warpwright occupancy' for what limits it\n",
        options.min_block, options.max_block, percent(options.min_occupancy));
    return exit_failure;
  }
  fmt::print(console.out, "{}: {} elements, {} a thread\n", tuner.properties().name, workload.elements,
             options.grid_stride ? "as many as fall to" : std::to_string(workload.elements_per_thread));
  TextTable table({{"block", Align::right},
                   {"grid", Align::right},
                   {"shared", Align::right},
                   {"occupancy", Align::right},
                   {"waves", Align::right},
                   {"tail", Align::right},
                   {"lanes", Align::right},
                   {"score", Align::right},
                   {"limited by"}});
  for (const auto& one : found)
    table.add({shape_text(one.config.block_size), std::to_string(one.config.grid_size->count()),
               std::to_string(one.config.static_shared_memory.count + one.config.shared_memory.count),
               percent(one.occupancy.occupancy),
               one.occupancy.waves ? fmt::format("{:.3g}", *one.occupancy.waves) : "unknown",
               one.occupancy.tail_efficiency ? percent(*one.occupancy.tail_efficiency) : "unknown",
               percent(one.lane_efficiency), fmt::format("{:.3f}", one.score),
               one.occupancy.limiting_factors.to_string()});
  table.print(console.out);
  if (!tuner.properties().sm_count)
    fmt::print(console.err, "note: an architecture has no number of SMs; with --device waves and tail count too\n");
  return exit_success;
}

}  // namespace

void add_recommend_command(CLI::App& app, const Console& console, int& exit_code) {
  CLI::App* command = app.add_subcommand(
      "recommend",
      "Launch configurations for a workload, ranked by occupancy, tail and idle lanes; a start for tuning");
  auto arguments = std::make_shared<RecommendArguments>();
  command->add_option("--workload", arguments->workload, "Elements to compute")->required()->type_name("N");
  command->add_option("--per-thread", arguments->per_thread, "Elements of each thread (default 1)")->type_name("N");
  command->add_flag("--grid-stride", arguments->grid_stride,
                    "A grid that fills the device once and steps through the work");
  command
      ->add_option("--shared-per-thread", arguments->shared_per_thread,
                   "Dynamic shared memory that grows with the block, on top of --dynamic-shared")
      ->type_name("BYTES");
  command
      ->add_option("--min-occupancy", arguments->min_occupancy,
                   "Leave out what is below, e.g. 0.75 or 75% (default 50%)")
      ->type_name("SHARE");
  command->add_option("--min-block", arguments->min_block, "Least threads of a block (default 32)")->type_name("N");
  command->add_option("--max-block", arguments->max_block, "Most threads of a block (default 1024)")->type_name("N");
  command->add_option("--rows", arguments->rows, "Configurations to show (default 5)")->type_name("N");
  arguments->question.add_to(*command);
  command->add_flag("--json", arguments->json, "Print JSON");
  command->callback([arguments, console, &exit_code] { exit_code = recommend(*arguments, console); });
}

}  // namespace warpwright::app
