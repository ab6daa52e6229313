#include "kernel_table.hpp"

#include <fmt/format.h>
#include <map>

#include <warpwright/base/error.hpp>

#include "text_table.hpp"

namespace warpwright::app {
namespace {

using store::Json;

// The answer for one kernel; absent where its architecture has no table.
struct Row {
  const ListedKernel* listed = nullptr;
  KernelConfig config;
  std::optional<OccupancyInfo> occupancy;
  std::string refusal;
};

class Tuners {
 public:
  explicit Tuners(std::optional<KernelTuner> asked) : asked_(std::move(asked)) {}

  // The one that was asked for, else that of the binary's architecture; null where there is no table for it.
  const KernelTuner* of(const std::string& architecture) {
    if (asked_) return &*asked_;
    auto found = by_architecture_.find(architecture);
    if (found == by_architecture_.end()) {
      std::optional<KernelTuner> tuner;
      try {
        tuner = KernelTuner::for_architecture(architecture);
      } catch (const Error& error) {
        if (error.code() != ErrorCode::unsupported) throw;
      }
      found = by_architecture_.emplace(architecture, std::move(tuner)).first;
    }
    return found->second ? &*found->second : nullptr;
  }

 private:
  std::optional<KernelTuner> asked_;
  std::map<std::string, std::optional<KernelTuner>> by_architecture_;
};

Row answer(const ListedKernel& listed, const KernelTuner* tuner, const Dim3* block,
           const OccupancyArguments& arguments) {
  Row row;
  row.listed = &listed;
  row.config = KernelConfig{}.with_resources(listed.kernel);
  if (listed.dynamic_shared) row.config.shared_memory = *listed.dynamic_shared;
  read_kernel_numbers(arguments, row.config);
  if (row.config.required_block)
    row.config.block_size = *row.config.required_block;
  else if (block != nullptr)
    row.config.block_size = *block;
  if (tuner == nullptr) return row;
  if (!row.config.required_block && block == nullptr) {
    const BlockSizeAnswer best = best_block_size(tuner->properties(), row.config);
    row.config.block_size = Dim3{best.block_size == 0 ? tuner->properties().warp_size : best.block_size};
  }
  row.occupancy = tuner->calculate_occupancy(row.config);
  if (!row.occupancy->launchable()) row.refusal = refusal_reason(tuner->properties(), row.config, *row.occupancy);
  return row;
}

bool is_untold(const ListedKernel& listed) { return listed.kernel.untold_shared && !listed.dynamic_shared; }

std::string number_or_dash(const std::optional<int>& value) { return value ? std::to_string(*value) : "-"; }

// Spilled bytes where the compiler's log told them; else the stack, in which they lie.
std::string spill_text(const KernelResources& needs) {
  if (needs.spill_stores) return std::to_string(needs.spill_stores->count);
  if (!needs.local_per_thread) return "-";
  return needs.local_per_thread->count == 0 ? "0" : "<=" + std::to_string(needs.local_per_thread->count);
}

Json row_json(const Row& row) {
  const cuda::KernelDescription& kernel = row.listed->kernel;
  Json json = store::to_json(static_cast<const KernelResources&>(kernel));
  json["name"] = kernel.name;
  json["architecture"] = row.listed->architecture;
  json["target"] = row.listed->target;
  if (!row.listed->member.empty()) json["member"] = row.listed->member;
  json["untold_shared"] = is_untold(*row.listed);
  json["configuration"] = to_json(row.config);
  if (!row.occupancy) {
    json["occupancy"] = nullptr;
    json["blocks_per_sm"] = nullptr;
    json["limiting_factors"] = nullptr;
    return json;
  }
  json.update(to_json(*row.occupancy));
  json["refusal"] = row.occupancy->launchable() ? Json(nullptr) : Json(to_string(row.occupancy->refusal));
  json["reason"] = row.refusal.empty() ? Json(nullptr) : Json(row.refusal);
  return json;
}

void print_table(const std::vector<Row>& rows, const KernelList& list, std::FILE* out) {
  fmt::print(out, "{} kernel{}, {}\n", rows.size(), rows.size() == 1 ? "" : "s", list.origin);
  TextTable table({{"target"},
                   {"registers", Align::right},
                   {"shared", Align::right},
                   {"spills", Align::right},
                   {"block", Align::right},
                   {"blocks/SM", Align::right},
                   {"occupancy", Align::right},
                   {"limited by"},
                   {"kernel"}});
  for (const Row& row : rows) {
    const cuda::KernelDescription& kernel = row.listed->kernel;
    const bool known = row.occupancy.has_value();
    table.add({row.listed->target, number_or_dash(kernel.registers_per_thread),
               std::to_string(row.config.static_shared_memory.count + row.config.shared_memory.count) +
                   (is_untold(*row.listed) ? "+?" : ""),
               spill_text(kernel), shape_text(row.config.block_size),
               known ? std::to_string(row.occupancy->blocks_per_sm) : "-",
               known ? percent(row.occupancy->occupancy) : "unknown",
               !known                ? "-"
               : row.refusal.empty() ? row.occupancy->limiting_factors.to_string() +
                                           (row.occupancy->clusters_unknown ? ", clusters unknown" : "")
                                     : std::string(to_string(row.occupancy->refusal)),
               kernel.name});
  }
  table.print(out);
}

}  // namespace

void print_all_kernels(const OccupancyArguments& arguments, const std::string& block_flag, bool as_json,
                       const device::BackendRegistry& backends, std::FILE* out, std::FILE* err) {
  std::optional<Dim3> block;
  if (!block_flag.empty()) block = parse_dim3(block_flag, "--block");
  const OccupancyTarget asked = read_target(arguments, backends);
  const KernelList list = list_kernels(arguments.kernel, asked.kernel_target);
  Tuners tuners(asked.tuner);
  std::vector<Row> rows;
  rows.reserve(list.kernels.size());
  bool untold = false;
  for (const ListedKernel& listed : list.kernels) {
    rows.push_back(answer(listed, tuners.of(listed.architecture), block ? &*block : nullptr, arguments));
    untold = untold || is_untold(listed);
  }
  std::vector<std::string> notes = list.notes;
  if (list.origin.find("compiled") == std::string::npos)
    notes.emplace_back("spilled bytes are not in a binary: 'spills' is the stack, of which they are a part");
  if (untold)
    notes.emplace_back(
        "kernels marked +? may use dynamic shared memory, whose size only a launch tells: give it with "
        "--dynamic-shared, or their answer is that of 0 bytes");
  if (as_json) {
    Json kernels = Json::array();
    for (const Row& row : rows) kernels.push_back(row_json(row));
    fmt::print(out, "{}\n",
               Json{{"schema_version", 1},
                    {"file", arguments.kernel.file},
                    {"origin", list.origin},
                    {"kernels", std::move(kernels)},
                    {"notes", notes}}
                   .dump(2));
    return;
  }
  for (const auto& note : notes) fmt::print(err, "note: {}\n", note);
  print_table(rows, list, out);
}

}  // namespace warpwright::app
