// A tuning space that was measured before: what replaying a search, scoring it, and exchanging results with other
// tuners share. Plain data as the file said it (units, order, every sample), so that import and export lose nothing;
// the file formats are in store/interchange.hpp, the replay in search/replay.hpp.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <warpwright/base/units.hpp>
#include <warpwright/model/space.hpp>
#include <warpwright/model/trial.hpp>

namespace warpwright {

// The unit of the interchange formats. Kept as it was read: a conversion there and back would change last digits.
using Milliseconds = std::chrono::duration<double, std::milli>;

// Phases of the cost of one evaluation; absent where the file has none, which counts as nothing.
struct RecordedCosts {
  std::optional<Milliseconds> compile, verify, benchmark, framework, strategy;
  // Of all phases that are there and finite.
  Milliseconds total() const;
};

// A field without a meaning here (a metric, an observer's value), as JSON text; unit where the format has units.
struct RecordedField {
  std::string name, json, unit;
};

struct RecordedTrial {
  std::vector<std::uint32_t> values;  // for every parameter, the position in its list of values
  TrialStatus status = TrialStatus::ok;
  std::optional<double> objective;    // present when ok; a time in milliseconds
  std::vector<Milliseconds> samples;  // every timed run, in order
  RecordedCosts costs;
  std::string timestamp;
  std::string message;               // why the status is not ok, where the file says it
  std::vector<RecordedField> other;  // in file order
};

// Where a row of the file was not usable.
struct RecordedProblem {
  std::size_t line = 0;  // from 1; 0: unknown
  std::string reason;
};

struct RecordedSpace {
  std::string kernel, device;
  std::string problem_size;           // JSON text: a number, an array, or a string; empty if unknown
  std::vector<Parameter> parameters;  // in file order
  std::string objective = "time";
  bool minimise = true;
  // By its unit: the objective is a time under another name than "time".
  bool has_unit_of_time = false;
  std::vector<RecordedTrial> trials;      // in file order, no configuration twice
  std::vector<RecordedField> header;      // other fields of the file
  std::vector<RecordedProblem> problems;  // rows left out, and why

  bool objective_is_time() const { return objective == "time" || has_unit_of_time; }
  Configuration configuration(const RecordedTrial& trial) const;
  std::size_t count(TrialStatus status) const;
};

// The space that consists of exactly the recorded configurations: canonical order as in every Space, no constraints
// (the files hold none). Index and row tables are held, so both directions are fast. Immutable, thread-safe.
class ListedSpace final : public Space {
 public:
  // `rows` are positions in the parameters' value lists, one row a configuration, in any order. Throws Error(bad_input)
  // for a row of another length, a position outside its list, a configuration that is there twice, or no row at all.
  ListedSpace(std::vector<Parameter> parameters, const std::vector<std::vector<std::uint32_t>>& rows);

  std::uint64_t size() const override { return order_.size(); }
  Configuration at(std::uint64_t index) const override;
  std::optional<std::uint64_t> index_of(const Configuration& configuration) const override;
  const std::vector<Parameter>& parameters() const override { return parameters_; }
  const std::vector<Constraint>& constraints() const override { return constraints_; }

  void read_choice(std::uint64_t index, std::span<std::uint32_t> choice) const override;
  std::optional<std::uint64_t> find_choice(std::span<const std::uint32_t> choice) const override;
  std::uint64_t nearest(std::span<const std::uint32_t> choice) const override;
  // Positions in the value lists of the configuration `index`, parameters().size() of them.
  const std::uint32_t* row(std::uint64_t index) const { return table_.data() + index * parameters_.size(); }
  // Which of the rows given to the constructor has this index.
  std::size_t listed_at(std::uint64_t index) const { return order_[index]; }

 private:
  std::vector<Parameter> parameters_;
  std::vector<Constraint> constraints_;
  std::vector<std::size_t> order_;
  std::vector<std::uint32_t> table_;
};

// The recorded configurations as a space; listed_at() of it gives positions in `recorded.trials`.
std::shared_ptr<const ListedSpace> make_listed_space(const RecordedSpace& recorded);

}  // namespace warpwright
