#include <algorithm>
#include <array>
#include <cmath>
#include <fmt/format.h>

#include <warpwright/base/error.hpp>
#include <warpwright/measure/plausibility.hpp>

namespace warpwright::measure {
namespace {

// A time this much below a bound is impossible: clocks may run a little above what drivers call their maximum.
constexpr double least_share = 0.95;

struct TensorRate {
  std::string_view architecture;
  // Operations a clock and multiprocessor (a multiply-add is two), from NVIDIA's architecture white papers; from 8.0 on
  // with structured sparsity, which doubles them. The narrowest types have 4 bits from 10.0 on.
  double bits_16, bits_8;
};
constexpr std::array tensor_rates{
    TensorRate{"sm_70", 1024, 1024},    TensorRate{"sm_75", 1024, 4096},    TensorRate{"sm_80", 4096, 16384},
    TensorRate{"sm_86", 2048, 8192},    TensorRate{"sm_87", 4096, 16384},   TensorRate{"sm_89", 2048, 8192},
    TensorRate{"sm_90", 8192, 16384},   TensorRate{"sm_100", 16384, 65536}, TensorRate{"sm_103", 16384, 131072},
    TensorRate{"sm_110", 16384, 65536}, TensorRate{"sm_120", 4096, 32768},  TensorRate{"sm_121", 4096, 32768},
};

bool is_narrow(const Problem& problem) {
  return std::any_of(problem.arguments.begin(), problem.arguments.end(), [](const Argument& argument) {
    return size_of(argument.type) == 1 || !argument.fields.empty() || !argument.type_parameter.empty();
  });
}

// Of all buffers, at the sizes of this configuration; nullopt where an expression cannot be evaluated.
std::optional<double> buffer_bytes(const Problem& problem, const Scope& scope) {
  double sum = 0;
  for (const Argument& argument : problem.arguments) {
    if (!argument.is_buffer()) continue;
    if (!argument.size) return std::nullopt;
    sum += scope.number(*argument.size, "size of '" + argument.name + "'") *
           static_cast<double>(size_of(argument.type_in(scope))) * argument.components;
  }
  return sum;
}

struct Bound {
  double nanoseconds;
  std::string name;
};

std::string rate_text(double per_nanosecond, RateUnit::Quantity quantity) {
  return fmt::format("{:.4g} {}", per_nanosecond, quantity == RateUnit::Quantity::bytes ? "GB/s" : "GFLOP/s");
}

}  // namespace

std::optional<RateUnit> parse_rate(std::string_view metric) {
  RateUnit unit;
  const auto take = [&](std::string_view ending) {
    if (!metric.ends_with(ending)) return false;
    metric.remove_suffix(ending.size());
    return true;
  };
  if (take("FLOP/s") || take("FLOPS") || take("FLOPs/s") || take("flop/s") || take("flops"))
    unit.quantity = RateUnit::Quantity::operations;
  else if (!take("B/s"))
    return std::nullopt;
  const bool binary = unit.quantity == RateUnit::Quantity::bytes && take("i");
  if (metric.empty()) return binary ? std::nullopt : std::optional(unit);
  constexpr std::string_view prefixes = "kMGTP";
  if (metric.size() != 1) return std::nullopt;
  const std::size_t power = prefixes.find(metric.front() == 'K' ? 'k' : metric.front());
  if (power == std::string_view::npos) return std::nullopt;
  unit.factor = std::pow(binary ? 1024.0 : 1000.0, static_cast<double>(power + 1));
  return unit;
}

PeakRates peak_rates(const DeviceInfo& device) {
  PeakRates peaks;
  if (device.memory_clock_mhz && device.memory_bus_bits)
    peaks.memory_bytes = 2e-3 * *device.memory_clock_mhz * *device.memory_bus_bits / 8;
  if (!device.clock_mhz || device.multiprocessors <= 0 || !device.architecture.starts_with("sm_")) return peaks;
  const double clocks = 1e-3 * *device.clock_mhz * device.multiprocessors;  // per nanosecond, of all multiprocessors
  peaks.loaded_bytes = 128 * clocks;
  std::string_view architecture = device.architecture;
  while (!architecture.empty() && (architecture.back() == 'a' || architecture.back() == 'f'))
    architecture.remove_suffix(1);
  const auto row = std::find_if(tensor_rates.begin(), tensor_rates.end(),
                                [&](const TensorRate& rate) { return rate.architecture == architecture; });
  if (row == tensor_rates.end()) return peaks;
  peaks.operations_16_bit = row->bits_16 * clocks;
  peaks.operations_8_bit = row->bits_8 * clocks;
  return peaks;
}

std::optional<std::string> impossible_time(const Problem& problem, const Configuration& configuration,
                                           const DeviceInfo& device, CacheMode cache, Nanoseconds time) {
  if (device.kind == DeviceKind::cpu || !(time.count() > 0)) return std::nullopt;
  const PeakRates peaks = peak_rates(device);
  try {
    Scope scope = problem.scope(configuration);
    const auto at = [&](const Metric& metric, double nanoseconds) {
      scope.set("time_ns", ExpressionValue(nanoseconds));
      return scope.number(metric.expression, metric.name);
    };
    for (const Metric& metric : problem.metrics) {
      const auto unit = parse_rate(metric.name);
      if (!unit) continue;
      const double once = at(metric, time.count()), twice = at(metric, 2 * time.count());
      if (!(once > 0) || std::abs(once - 2 * twice) > 1e-9 * once) continue;
      const double rate = once * unit->factor * 1e-9;  // per nanosecond
      const double amount = rate * time.count();
      std::optional<Bound> bound;
      const auto consider = [&](double quantity, std::optional<double> peak, const char* name) {
        if (!peak || *peak <= 0) return;
        const double least = quantity / *peak;
        if (!bound || least > bound->nanoseconds)
          bound = Bound{least, fmt::format("{} of {}", name, rate_text(*peak, unit->quantity))};
      };
      if (unit->quantity == RateUnit::Quantity::bytes) {
        consider(amount, peaks.loaded_bytes, "the multiprocessors' load rate");
        // Unknown caches may hold everything.
        const auto own = buffer_bytes(problem, scope);
        if (own && device.l2_cache) {
          const double held = static_cast<double>(device.l2_cache->count) * (cache == CacheMode::warm ? 2 : 1);
          consider(std::max(0.0, std::min(amount, *own) - held), peaks.memory_bytes, "the memory's bandwidth");
        }
      } else {
        consider(amount, is_narrow(problem) ? peaks.operations_8_bit : peaks.operations_16_bit,
                 "the fastest arithmetic");
      }
      if (!bound || time.count() >= least_share * bound->nanoseconds) continue;
      return fmt::format("{} would be {:.4g} '{}', and with {} the device takes {} at least", format_duration(time),
                         once, metric.name, bound->name, format_duration(Nanoseconds{bound->nanoseconds}));
    }
  } catch (const Error&) {
    // An expression without a value for this configuration: whoever shows the metric says so.
  }
  return std::nullopt;
}

}  // namespace warpwright::measure
