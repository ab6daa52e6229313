// The space that build_space() makes: a decision diagram for each group of parameters that share conditions.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <warpwright/model/space.hpp>

#include "space_diagram.hpp"

namespace warpwright::detail {

__extension__ using Wide = unsigned __int128;

struct GroupDiagram {
  std::vector<std::size_t> parameters;  // ascending
  Diagram diagram;
  std::vector<std::size_t> level_of;  // by number in the group
  // Levels follow the declared order. Where that diagram would be too large the solver's own order stays, and ranks are
  // found by counting: exact as well, in time that grows with the diagram.
  bool is_declared = false;

  std::vector<std::pair<std::uint32_t, std::uint64_t>> counts(std::span<const std::uint32_t> fixed,
                                                              std::size_t v) const;
};

class DiagramSpace final : public Space {
 public:
  DiagramSpace(std::vector<Parameter> parameters, std::vector<Constraint> constraints, const SpaceOptions& options);

  std::uint64_t size() const override;
  std::string exact_size() const override;
  std::size_t memory_bytes() const override;
  Configuration at(std::uint64_t index) const override;
  std::optional<std::uint64_t> index_of(const Configuration& configuration) const override;
  bool contains(const Configuration& configuration) const override;
  const std::vector<Parameter>& parameters() const override { return parameters_; }
  const std::vector<Constraint>& constraints() const override { return constraints_; }

  void read_choice(std::uint64_t index, std::span<std::uint32_t> choice) const override;
  std::optional<std::uint64_t> find_choice(std::span<const std::uint32_t> choice) const override;
  bool contains_choice(std::span<const std::uint32_t> choice) const override;
  Choice draw_choice(Rng& rng) const override;
  std::vector<std::uint32_t> occurring(std::size_t parameter) const override { return occurring_.at(parameter); }

  std::vector<std::uint64_t> neighbours(std::uint64_t index, Neighbourhood kind) const override;
  std::vector<Near> within(std::span<const std::uint32_t> choice, std::uint64_t distance,
                           std::size_t limit) const override;
  std::uint64_t nearest(std::span<const std::uint32_t> choice) const override;

 private:
  struct Place {
    std::size_t group = 0, variable = 0;
  };
  struct Step {  // the levels of all groups, one after the other
    std::size_t group = 0, level = 0, parameter = 0;
  };
  friend class DiagramWalk;

  void check_parameters();
  void solve(const SpaceOptions& options);
  std::optional<std::uint32_t> value_index(std::size_t parameter, const Value& value) const;
  std::optional<Choice> positions(const Configuration& configuration) const;
  template <typename Number>
  void unrank(Number index, std::span<std::uint32_t> choice) const;
  template <typename Number>
  std::optional<Number> rank(std::span<const std::uint32_t> choice) const;

  std::vector<Parameter> parameters_;
  std::vector<Constraint> constraints_;
  std::vector<std::vector<std::uint32_t>> sorted_values_;  // of each parameter, value indices by value_less
  std::vector<GroupDiagram> groups_;
  std::vector<Place> places_;  // of each parameter
  std::vector<Step> steps_;
  std::vector<std::vector<std::uint32_t>> occurring_;  // of each parameter, positions that occur, ascending
  std::vector<bool> ordered_;
  Wide size_ = 1;
};

}  // namespace warpwright::detail
