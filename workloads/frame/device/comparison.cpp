#include "workloads/frame/device/comparison.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <limits>
#include <map>
#include <numbers>
#include <numeric>
#include <optional>

#include <warpwright/base/error.hpp>

#include "workloads/common/error_measure.hpp"

namespace warpwright::workloads {
namespace {

constexpr double limit = error_limit(Precision::fp32);
// Of the running median of S1.
constexpr double median_step = 0.01;

// What the device has left, by stage and name.
class Found {
 public:
  void add(FrameArray array) {
    std::string key = array.stage + "/" + array.name;
    values_.insert_or_assign(std::move(key), array.values());
  }
  bool has(const std::string& stage, const std::string& name) const { return values_.contains(stage + "/" + name); }
  const std::vector<double>& at(const std::string& stage, const std::string& name) const {
    const auto found = values_.find(stage + "/" + name);
    if (found == values_.end())
      throw Error(ErrorCode::internal, "stage " + stage + " of the frame has left no '" + name + "'");
    return found->second;
  }

 private:
  std::map<std::string, std::vector<double>> values_;
};

class Comparison {
 public:
  Comparison(const Found& found, FrameVerdict& verdict) : found_(found), verdict_(verdict) {}

  void relative(const std::string& stage, const std::string& name, std::span<const double> reference) {
    relative(stage, name, found_.at(stage, name), reference);
  }
  void relative(const std::string& stage, const std::string& name, std::span<const double> values,
                std::span<const double> reference) {
    note(stage, name, relative_max_error<double>(values, reference), limit);
  }
  void phases(const std::string& stage, const std::string& name, std::span<const double> reference) {
    note(stage, name, phase_error<double>(found_.at(stage, name), reference), limit);
  }
  // Largest difference in bits of information.
  void flow(const std::string& name, const Matrix& reference) {
    const std::vector<double>& values = found_.at("S2", name);
    const std::size_t n = reference.rows();
    double largest = 0;
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t j = 0; j < n; ++j) {
        const double difference = std::fabs(values[i * n + j] - reference(i, j));
        largest = std::isfinite(difference) ? std::max(largest, difference) : difference_of_nothing;
      }
    }
    note("S2", name, largest, transfer_entropy_limit);
  }
  void matrix(const std::string& stage, const std::string& name, const Matrix& reference) {
    std::vector<double> dense;
    for (std::size_t i = 0; i < reference.rows(); ++i) {
      const auto row = reference.row(i);
      dense.insert(dense.end(), row.begin(), row.end());
    }
    relative(stage, name, dense);
  }
  // One number whose terms have magnitudes of `scale` in sum: what cancels is not expected to be exact.
  void scalar(const std::string& stage, const std::string& name, double value, double reference, double scale) {
    const double difference = std::fabs(value - reference) / std::max(scale, 1e-30);
    note(stage, name, std::isfinite(difference) ? difference : difference_of_nothing, limit);
  }
  void discrete(const std::string& stage, const std::string& name, std::uint64_t wrong, std::uint64_t undecided) {
    note(stage, name, static_cast<double>(wrong), 0, undecided);
  }

 private:
  static constexpr double difference_of_nothing = std::numeric_limits<double>::infinity();

  void note(const std::string& stage, const std::string& name, double error, double allowed,
            std::uint64_t undecided = 0) {
    const auto same = std::find_if(verdict_.outputs.begin(), verdict_.outputs.end(),
                                   [&](const auto& other) { return other.stage == stage && other.output == name; });
    if (same == verdict_.outputs.end()) {
      verdict_.outputs.push_back({stage, name, error, allowed, undecided});
    } else {
      same->error = std::max(same->error, error);
      same->undecided += undecided;
    }
  }

  const Found& found_;
  FrameVerdict& verdict_;
};

double magnitudes(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0,
                         [](double sum, double value) { return sum + std::fabs(value); });
}

void compare_summary(Comparison& comparison, const Found& found, const frame::Model& model,
                     const frame::Outputs& oracle, std::span<const double> heat) {
  const std::vector<double>& summary = found.at("summary", "summary");
  const std::vector<std::string> names = summary_names(model.policy.policies.size());
  const auto n = static_cast<double>(model.sizes.oscillators);
  double couplings = 0;
  for (std::size_t i = 0; i < oracle.coupling.rows(); ++i) couplings += magnitudes(oracle.coupling.row(i));
  double squares = 0;
  for (const double u : oracle.output) squares += u * u;
  const double heats = magnitudes(heat);
  const double seconds = static_cast<double>(model.steps) * model.oscillators.time_step;
  const double rates = heats / (model.oscillators.temperature * seconds);
  double largest_value = 0;
  for (const auto& outcome : oracle.choice.outcomes) largest_value = std::max(largest_value, std::fabs(outcome.value));
  const auto expect = [&](const std::string& name, double reference, double scale) {
    const auto at = static_cast<std::size_t>(std::find(names.begin(), names.end(), name) - names.begin());
    comparison.scalar("summary", name, summary.at(at), reference, scale);
  };
  expect("order", oracle.order.r, 1);
  // The direction of a mean of length r has the error of a mean of length 1, divided by r.
  const auto phase = static_cast<std::size_t>(std::find(names.begin(), names.end(), "mean_phase") - names.begin());
  comparison.scalar("summary", "mean_phase", oracle.order.psi + wrap_phase(summary.at(phase) - oracle.order.psi),
                    oracle.order.psi, std::numbers::pi / std::max(oracle.order.r, 1e-30));
  expect("potential", oracle.potential, model.settings.strength / (2 * n) * couplings);
  expect("kinetic", oracle.kinetic, oracle.kinetic);
  expect("heat", oracle.heat, heats);
  expect("entropy_production", oracle.entropy_production, rates);
  expect("rho", oracle.agreement.rho, 1);
  expect("order_a", oracle.agreement.r_a, 1);
  expect("order_b", oracle.agreement.r_b, 1);
  expect("information", oracle.information, oracle.information);
  expect("norm", magnitudes(oracle.probabilities), 1);
  expect("mean_coupling", couplings / (n * (n - 1)), 1);
  expect("output_rms", std::sqrt(squares / n), std::sqrt(squares / n));
  expect("policy", static_cast<double>(oracle.choice.chosen), 1);
  for (std::size_t p = 0; p < oracle.choice.outcomes.size() && p + 14 < summary_size; ++p)
    expect(fmt::format("value_{}", p), oracle.choice.outcomes[p].value, largest_value);
}

}  // namespace

bool FrameVerdict::passed() const {
  return !outputs.empty() && std::ranges::all_of(outputs, [](const OutputVerdict& output) { return output.passed(); });
}

void compare_frame(Frame& frame, std::span<const float> x, FrameVerdict& verdict, std::vector<FrameArray>* keep) {
  frame::State state = frame.state();
  Found found;
  frame.run_by_stage(x, [&](const std::string& stage) {
    for (FrameArray& array : frame.fetch(stage)) {
      if (keep != nullptr) keep->push_back(array);
      found.add(std::move(array));
    }
  });
  const frame::Model& model = frame.model();
  verdict.frames.push_back(state.frame);

  frame::Decisions decisions;
  decisions.margin = limit;
  for (const double bit : found.at("S1", "bits")) decisions.bits.push_back(static_cast<std::uint8_t>(bit));
  decisions.policy = static_cast<std::size_t>(found.at("S6B", "chosen").front());
  decisions.wave_phases = found.at("S5", "phases");
  const std::vector<double> values_in(x.begin(), x.end());
  const frame::Outputs oracle = frame::advance(model, state, values_in, decisions);

  Comparison comparison(found, verdict);
  comparison.relative("S1", "units", oracle.units);
  std::uint64_t wrong = 0;
  std::uint64_t undecided = 0;
  std::vector<double> thresholds = found.at("S1", "thresholds");
  double largest_unit = 0;
  for (const double unit : oracle.units) largest_unit = std::max(largest_unit, std::fabs(unit));
  for (std::size_t i = 0; i < oracle.bits.size(); ++i) {
    wrong += oracle.bits[i] != decisions.bits[i];
    if (oracle.margins[i] > limit * largest_unit) continue;
    ++undecided;
    // A step of the median is decided with the bit, or is none where unit and median are equal to the last digit.
    if (std::fabs(thresholds[i] - oracle.thresholds[i]) < 2.01 * median_step) thresholds[i] = oracle.thresholds[i];
  }
  comparison.discrete("S1", "bits", wrong, undecided);
  comparison.relative("S1", "thresholds", thresholds, oracle.thresholds);
  if (oracle.flow) {
    comparison.flow("raw", oracle.flow->raw);
    comparison.flow("corrected", oracle.flow->corrected);
    comparison.matrix("S3", "coupling", oracle.coupling);
  }
  comparison.phases("S4", "phases", oracle.phases);
  comparison.relative("S4", "velocities", oracle.velocities);
  comparison.relative("S4", "heat", oracle.heats);
  comparison.relative("S5", "probabilities", oracle.probabilities);
  comparison.phases("S5", "phases", oracle.wave_phases);
  comparison.relative("S6A", "observation", oracle.observation);
  comparison.relative("S6A", "mean", oracle.inference.mean);
  comparison.relative("S6A", "variance", oracle.inference.variance);
  comparison.scalar("S6A", "free_energy", found.at("S6A", "outcome").front(), oracle.inference.free_energies.back(),
                    std::fabs(oracle.inference.free_energies.back()));
  std::vector<double> values;
  for (const auto& outcome : oracle.choice.outcomes) values.push_back(outcome.value);
  comparison.relative("S6B", "values", values);
  comparison.discrete("S6B", "chosen", oracle.choice.chosen != *decisions.policy ? 1 : 0, 0);
  comparison.relative("S6B", "control", oracle.choice.control);
  comparison.relative("S6B", "modes", oracle.choice.modes);
  comparison.relative("S7", "output", oracle.output);
  comparison.relative("S7", "mean", oracle.mean);
  comparison.phases("S8", "al", oracle.populations.al);
  comparison.phases("S8", "be", oracle.populations.be);
  const std::vector<double> order{oracle.agreement.rho, oracle.agreement.r_a, oracle.agreement.r_b};
  comparison.relative("S8", "order", order);
  comparison.relative("S8", "information", std::vector<double>{oracle.information});
  compare_summary(comparison, found, model, oracle, oracle.heats);
}

FrameVerdict check_frame(Frame& frame, const FrameInput& input,
                         const std::function<void(const std::string&)>& progress) {
  FrameVerdict verdict;
  const Sizes& sizes = frame.model().sizes;
  const std::uint32_t begin = frame.state().frame;
  const auto history = static_cast<std::uint32_t>(sizes.history);
  const auto behind = static_cast<std::uint32_t>(frame.model().settings.flow_period);
  // All-to-all; the first flow, in the frame that fills the ring buffer; flow that moves the coupling.
  const std::uint32_t compared[] = {begin, begin + history - 1, begin + history - 1 + behind};
  for (std::uint32_t f = begin; f <= compared[2]; ++f) {
    const std::vector<float> x = input(f);
    if (std::ranges::find(compared, f) == std::end(compared)) {
      frame.run(x);
      continue;
    }
    if (progress) progress(fmt::format("comparing frame {} with the oracle", f));
    compare_frame(frame, x, verdict);
  }
  return verdict;
}

}  // namespace warpwright::workloads
