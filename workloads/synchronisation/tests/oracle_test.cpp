// S8 against closed forms: Adler's equation for two oscillators, mean field, the symmetric channel, capacities that are
// known, correlations that are built in.
#include "workloads/synchronisation/oracle.hpp"

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstddef>
#include <cstdint>
#include <gtest/gtest.h>
#include <numbers>
#include <numeric>
#include <vector>

#include <warpwright/base/error.hpp>

#include "workloads/common/error_measure.hpp"
#include "workloads/common/matrix.hpp"
#include "workloads/common/random.hpp"

namespace warpwright::workloads::synchronisation {
namespace {

using std::numbers::pi;

Draws draws(std::uint32_t seed) { return Draws(seed, Stage::synchronisation); }

Populations random_populations(std::size_t n, std::uint32_t seed) {
  Populations result{std::vector<double>(n), std::vector<double>(n)};
  draws(seed).uniforms(0, 0, result.al);
  draws(seed).uniforms(0, 1, result.be);
  for (auto* phases : {&result.al, &result.be}) {
    for (double& phase : *phases) phase = wrap_phase(2 * pi * phase);
  }
  return result;
}

Matrix random_coupling(std::size_t n, std::uint32_t seed) {
  Matrix coupling(n, n);
  for (std::size_t i = 0; i < n; ++i) {
    draws(seed).uniforms(1, static_cast<std::uint32_t>(i), coupling.row(i));
    coupling(i, i) = 0;
  }
  return coupling;
}

Matrix filled(std::size_t n, double value) {
  Matrix result(n, n);
  for (std::size_t i = 0; i < n; ++i) std::fill(result.row(i).begin(), result.row(i).end(), value);
  return result;
}

Frequencies still(std::size_t n) { return {std::vector<double>(n, 0.0), std::vector<double>(n, 0.0)}; }

// Positive, of sum 1.
std::vector<double> random_distribution(std::size_t n, std::uint32_t seed) {
  std::vector<double> p(n);
  draws(seed).uniforms(2, 0, p);
  for (double& value : p) value = -std::log(value);
  const double sum = std::accumulate(p.begin(), p.end(), 0.0);
  for (double& value : p) value /= sum;
  return p;
}

double binary_entropy(double e) { return -e * std::log2(e) - (1 - e) * std::log2(1 - e); }

// ---- Populations.

TEST(Populations, FrequenciesAreUniformSetUpDraws) {
  const auto frequencies = natural_frequencies(draws(5), 4000);
  for (const auto* omega : {&frequencies.a, &frequencies.b}) {
    EXPECT_GE(*std::min_element(omega->begin(), omega->end()), 1);
    EXPECT_LE(*std::max_element(omega->begin(), omega->end()), 1.1);
    EXPECT_NEAR(std::accumulate(omega->begin(), omega->end(), 0.0) / 4000, 1.05, 4 * 0.1 / std::sqrt(12 * 4000.0));
  }
  EXPECT_EQ(frequencies.a[7], 1 + 0.1 * draws(5).uniform(setup_frame, 0, 7));
  EXPECT_EQ(frequencies.b[7], 1 + 0.1 * draws(5).uniform(setup_frame, 1, 7));
}

TEST(Populations, OneStepOfTwoSites) {
  // Site 0 is pulled by site 1 with C_01 = 0.5; site 1 by nothing of its own population.
  Matrix coupling(2, 2);
  coupling(0, 1) = 0.5;
  const Populations before{{0.1, 0.7}, {-0.4, 2.0}};
  const Frequencies frequencies{{1.01, 1.02}, {1.03, 1.04}};
  const auto after = advance(coupling, frequencies, before, {.within = 3, .across = 2, .step = 0.1});
  EXPECT_NEAR(after.al[0], 0.1 + 0.1 * (1.01 + 1.5 * 0.5 * std::sin(0.6) + 2 * std::sin(-0.5)), 1e-15);
  EXPECT_NEAR(after.al[1], 0.7 + 0.1 * (1.02 + 2 * std::sin(1.3)), 1e-15);
  EXPECT_NEAR(after.be[0], -0.4 + 0.1 * (1.03 + 1.5 * 0.5 * std::sin(2.4) + 2 * std::sin(0.5)), 1e-15);
  EXPECT_NEAR(after.be[1], 2.0 + 0.1 * (1.04 + 2 * std::sin(-1.3)), 1e-15);
}

TEST(Populations, MeanFieldOfUniformCoupling) {
  const std::size_t n = 50;
  const auto before = random_populations(n, 1);
  const auto after = advance(filled(n, 1), still(n), before, {.across = 0});
  std::complex<double> mean = 0;
  for (const double phase : before.al) mean += std::polar(1.0 / static_cast<double>(n), phase);
  for (std::size_t i = 0; i < n; ++i) {
    const double pull = 5 * std::abs(mean) * std::sin(std::arg(mean) - before.al[i]);
    EXPECT_NEAR(wrap_phase(after.al[i] - before.al[i] - 0.01 * pull), 0, 1e-14);
  }
}

// What the kernels may compute instead: cos al_i (C sin al)_i - sin al_i (C cos al)_i.
TEST(Populations, TwoMatrixProductsAreTheSame) {
  const std::size_t n = 60;
  const Matrix coupling = random_coupling(n, 2);
  const auto before = random_populations(n, 2);
  const auto frequencies = natural_frequencies(draws(2), n);
  const auto after = advance(coupling, frequencies, before, {});
  for (std::size_t i = 0; i < n; ++i) {
    double sines = 0, cosines = 0;
    for (std::size_t j = 0; j < n; ++j) {
      sines += coupling(i, j) * std::sin(before.be[j]);
      cosines += coupling(i, j) * std::cos(before.be[j]);
    }
    const double pull = std::cos(before.be[i]) * sines - std::sin(before.be[i]) * cosines;
    const double expected =
        before.be[i] + 0.01 * (frequencies.b[i] + 5 * pull / 60 + 5 * std::sin(before.al[i] - before.be[i]));
    EXPECT_NEAR(wrap_phase(after.be[i] - expected), 0, 1e-14);
  }
}

TEST(Populations, CouplingMattersAndTheIdentityDoesNot) {
  const std::size_t n = 40;
  const auto before = random_populations(n, 3);
  const auto frequencies = natural_frequencies(draws(3), n);
  Matrix identity(n, n);
  for (std::size_t i = 0; i < n; ++i) identity(i, i) = 1;
  const auto uncoupled = advance(Matrix(n, n), frequencies, before, {});
  EXPECT_EQ(advance(identity, frequencies, before, {}).al, uncoupled.al);
  const auto coupled = advance(random_coupling(n, 3), frequencies, before, {});
  EXPECT_GT(phase_error<double>(coupled.al, uncoupled.al), 1e-3);
  EXPECT_GT(phase_error<double>(coupled.be, uncoupled.be), 1e-3);
}

TEST(Populations, AFrameIsThreeSteps) {
  const std::size_t n = 20;
  const Matrix coupling = random_coupling(n, 4);
  const auto frequencies = natural_frequencies(draws(4), n);
  auto expected = random_populations(n, 4);
  const auto result = frame(coupling, frequencies, expected, {});
  for (int step = 0; step < 3; ++step) expected = advance(coupling, frequencies, expected, {});
  EXPECT_EQ(result.al, expected.al);
  EXPECT_EQ(result.be, expected.be);
}

TEST(Populations, ACommonAngleChangesNothingAndPhasesAreWrapped) {
  const std::size_t n = 30;
  const Matrix coupling = random_coupling(n, 5);
  const auto frequencies = natural_frequencies(draws(5), n);
  const auto before = random_populations(n, 5);
  Populations turned = before;
  for (auto* phases : {&turned.al, &turned.be}) {
    for (double& phase : *phases) phase += 2.5;
  }
  const auto after = frame(coupling, frequencies, before, {}), of_turned = frame(coupling, frequencies, turned, {});
  for (std::size_t i = 0; i < n; ++i) {
    EXPECT_NEAR(wrap_phase(of_turned.al[i] - after.al[i] - 2.5), 0, 1e-13);
    EXPECT_LE(std::abs(of_turned.al[i]), pi);
    EXPECT_LE(std::abs(of_turned.be[i]), pi);
  }
  const auto a = order(before), b = order(turned);
  EXPECT_NEAR(a.rho, b.rho, 1e-14);
  EXPECT_NEAR(a.r_a, b.r_a, 1e-14);
}

// d delta = d_omega - 2 K_x sin delta (Adler 1946).
TEST(Populations, TwoOscillatorsLockBelowTwiceTheCoupling) {
  for (const double fraction : {-0.95, 0.3, 0.95}) {
    const double d_omega = fraction * 10;
    Populations populations{{0.0}, {2.0}};
    for (int step = 0; step < 2000; ++step) {
      populations = advance(Matrix(1, 1), {{1.0}, {1.0 + d_omega}}, populations, {});
    }
    EXPECT_NEAR(wrap_phase(populations.be[0] - populations.al[0]), std::asin(fraction), 1e-9) << fraction;
  }
}

TEST(Populations, TwoOscillatorsDriftBeyondIt) {
  const double d_omega = 1.1 * 10;
  Populations populations{{0.0}, {0.0}};
  double drift = 0;
  const int steps = 40000;
  for (int step = 0; step < steps; ++step) {
    const auto next = advance(Matrix(1, 1), {{1.0}, {1.0 + d_omega}}, populations, {.step = 0.001});
    drift += wrap_phase(next.be[0] - next.al[0] - populations.be[0] + populations.al[0]);
    populations = next;
  }
  const double expected = std::sqrt(d_omega * d_omega - 100);  // mean velocity of the difference, rad/s
  EXPECT_NEAR(drift / (steps * 0.001) / expected, 1, 0.03);
}

TEST(Populations, RhoRisesToOneFromRandomPhases) {
  const std::size_t n = 300;
  auto populations = random_populations(n, 6);
  const auto frequencies = natural_frequencies(draws(6), n);
  const Matrix coupling = random_coupling(n, 6);
  EXPECT_LT(order(populations).rho, 0.2);
  for (int step = 0; step < 100; ++step) populations = advance(coupling, frequencies, populations, {});
  EXPECT_GT(order(populations).rho, 0.9999);
  EXPECT_GT(order(populations).rho, 0.8) << "the contract";
}

TEST(Populations, WithoutTheCouplingAcrossRhoDoesNotRise) {
  const std::size_t n = 100;
  double sum = 0;
  for (std::uint32_t seed = 0; seed < 10; ++seed) {
    auto populations = random_populations(n, 20 + seed);
    const auto frequencies = natural_frequencies(draws(20 + seed), n);
    const Matrix nothing(n, n);
    for (int step = 0; step < 30; ++step) populations = advance(nothing, frequencies, populations, {.across = 0});
    sum += order(populations).rho / 10;
  }
  EXPECT_LT(sum, 0.2);
}

// The length of a mean of n random unit vectors is Rayleigh: mean sqrt(pi/(4 n)), 0.029 at n = 900.
TEST(Populations, OrderOfIndependentPhases) {
  double rho = 0, r_a = 0;
  const int runs = 400;
  for (std::uint32_t seed = 0; seed < runs; ++seed) {
    const auto result = order(random_populations(900, 100 + seed));
    rho += result.rho / runs;
    r_a += result.r_a / runs;
  }
  const double expected = std::sqrt(pi / 4 / 900), deviation = std::sqrt((1 - pi / 4) / 900);
  EXPECT_NEAR(expected, 0.0295, 1e-4);
  EXPECT_NEAR(rho, expected, 4 * deviation / std::sqrt(runs));
  EXPECT_NEAR(r_a, expected, 4 * deviation / std::sqrt(runs));
}

TEST(Populations, OrderInNumbers) {
  const auto locked = order({{0, 1, 2}, {0.5, 1.5, 2.5}});
  EXPECT_NEAR(locked.rho, 1, 1e-15) << "a constant difference is agreement";
  EXPECT_NEAR(locked.r_a, std::abs(1 + 2 * std::cos(1)) / 3, 1e-15);
  const auto halves = order({{0, 0}, {0, pi / 2}});
  EXPECT_NEAR(halves.rho, std::sqrt(0.5), 1e-15);
  EXPECT_NEAR(halves.r_a, 1, 1e-15);
  EXPECT_NEAR(halves.r_b, std::sqrt(0.5), 1e-15);
}

TEST(Populations, SayWhatIsWrong) {
  const auto populations = random_populations(3, 7);
  EXPECT_THROW(advance(Matrix(2, 3), still(3), populations, {}), Error);
  EXPECT_THROW(advance(Matrix(3, 3), still(2), populations, {}), Error);
  EXPECT_THROW(order({}), Error);
  EXPECT_THROW(order({{1, 2}, {1}}), Error);
}

// ---- Channel.

TEST(Channel, RowsAreDistributions) {
  const Matrix channel = symmetric_channel(20);
  for (std::size_t x = 0; x < 20; ++x) {
    EXPECT_NEAR(std::accumulate(channel.row(x).begin(), channel.row(x).end(), 0.0), 1, 1e-14);
    EXPECT_EQ(channel(x, x), 0.9);
    EXPECT_EQ(channel(x, (x + 1) % 20), 0.1 / 19);
  }
  EXPECT_THROW(symmetric_channel(1), Error);
  EXPECT_THROW(symmetric_channel(3, 1.5), Error);
}

TEST(Channel, OfAUniformSourceInClosedForm) {
  const double expected_900 = std::log2(900) - binary_entropy(0.1) - 0.1 * std::log2(899);
  EXPECT_NEAR(expected_900, 8.364, 5e-4);
  EXPECT_NEAR(mutual_information(symmetric_channel(900), std::vector<double>(900, 1.0 / 900)), expected_900, 1e-10);
  EXPECT_NEAR(mutual_information(symmetric_channel(20), std::vector<double>(20, 0.05)), 3.428, 5e-4);
}

// The channel is diagonal plus rank one: p_y = (0.9 - z) p_x + z, and all its rows have one entropy.
TEST(Channel, DiagonalPlusRankOne) {
  for (const std::size_t n : {2u, 20u, 300u}) {
    const auto source = random_distribution(n, static_cast<std::uint32_t>(n));
    const double z = 0.1 / static_cast<double>(n - 1);
    std::vector<double> expected(n);
    for (std::size_t y = 0; y < n; ++y) expected[y] = (0.9 - z) * source[y] + z;
    const Matrix channel = symmetric_channel(n);
    EXPECT_LT(relative_max_error<double>(transmit(channel, source), expected), 1e-13);
    const double row = binary_entropy(0.1) + 0.1 * std::log2(static_cast<double>(n - 1));
    EXPECT_NEAR(entropy(channel.row(1)), row, 1e-12);
    EXPECT_NEAR(mutual_information(channel, source), entropy(expected) - row, 1e-11);
  }
}

TEST(Channel, InformationIsBetweenZeroAndTheEntropies) {
  for (const double error : {0.0, 0.1, 0.5, 0.9}) {
    for (std::uint32_t seed = 0; seed < 10; ++seed) {
      const Matrix channel = symmetric_channel(12, error);
      const auto source = random_distribution(12, 50 + seed);
      const double information = mutual_information(channel, source);
      EXPECT_GE(information, 0);
      EXPECT_LE(information, entropy(source) + 1e-14);
      EXPECT_LE(information, entropy(transmit(channel, source)) + 1e-14);
    }
  }
}

TEST(Channel, NoiselessAndUseless) {
  const auto source = random_distribution(8, 60);
  EXPECT_NEAR(mutual_information(symmetric_channel(8, 0), source), entropy(source), 1e-14);
  EXPECT_NEAR(mutual_information(symmetric_channel(8, 7.0 / 8), source), 0, 1e-14);
  EXPECT_EQ(entropy(std::vector<double>{1, 0, 0}), 0);
  EXPECT_NEAR(entropy(std::vector<double>(16, 1.0 / 16)), 4, 1e-15);
}

// Why one pass: each brings the distribution nearer to uniform, by 0.9 - z in the L1 distance.
TEST(Channel, RepeatedPassesForget) {
  const Matrix channel = symmetric_channel(30);
  auto p = random_distribution(30, 61);
  const auto distance = [](const std::vector<double>& distribution) {
    double sum = 0;
    for (const double value : distribution) sum += std::abs(value - 1.0 / 30);
    return sum;
  };
  for (int pass = 0; pass < 5; ++pass) {
    const auto next = transmit(channel, p);
    EXPECT_NEAR(distance(next) / distance(p), 0.9 - 0.1 / 29, 1e-12);
    p = next;
  }
}

TEST(Channel, Sources) {
  const std::vector<double> expected{0.1, 0.3, 0, 0.6};
  EXPECT_LT(relative_max_error<double>(source_from_magnitudes(std::vector<double>{1, -3, 0, 6}), expected), 1e-15);
  EXPECT_EQ(source_from_magnitudes(std::vector<double>(4, 0.0)), std::vector<double>(4, 0.25));
  const auto soft = source_from_softmax(std::vector<double>{1000, 1000 + std::log(3)});
  EXPECT_NEAR(soft[0], 0.25, 1e-12);
  EXPECT_NEAR(soft[1], 0.75, 1e-12);
}

TEST(Channel, TheContractAtItsSize) {
  std::vector<double> mean(900);
  draws(8).normals(0, 0, mean);
  EXPECT_GT(mutual_information(symmetric_channel(900), source_from_magnitudes(mean)), 0.5);
}

TEST(Channel, SizesMustAgree) {
  EXPECT_THROW(transmit(symmetric_channel(3), std::vector<double>(4, 0.25)), Error);
  EXPECT_THROW(transmit(Matrix(4, 3), std::vector<double>(4, 0.25)), Error);
  EXPECT_THROW(capacity(Matrix(2, 3)), Error);
}

// ---- Capacity.

Matrix z_channel(double error) {
  Matrix channel(2, 2);
  channel(0, 0) = 1;
  channel(1, 0) = error;
  channel(1, 1) = 1 - error;
  return channel;
}

TEST(Capacity, OfTheSymmetricChannel) {
  for (const std::size_t n : {2u, 20u, 100u}) {
    const double bits = std::log2(n) - binary_entropy(0.1) - 0.1 * std::log2(n - 1);
    EXPECT_NEAR(capacity(symmetric_channel(n)).nats, bits * std::numbers::ln2, 1e-9);
  }
}

TEST(Capacity, OfTheZChannel) {
  for (const double e : {0.1, 0.5, 0.8}) {
    const auto result = capacity(z_channel(e), 1e-12);
    EXPECT_NEAR(result.nats, std::log(1 + (1 - e) * std::pow(e, e / (1 - e))), 1e-11);
    // It is reached with this share of ones.
    const double q = 1 / ((1 - e) * (1 + std::exp2(binary_entropy(e) / (1 - e))));
    EXPECT_NEAR(result.source[1], q, 1e-5);
    EXPECT_NEAR(mutual_information(z_channel(e), result.source) * std::numbers::ln2, result.nats, 1e-10);
  }
}

TEST(Capacity, IsEnclosedAndTheInformationNeverFalls) {
  Matrix channel(6, 6);
  for (std::size_t x = 0; x < 6; ++x) {
    const auto row = random_distribution(6, 70 + static_cast<std::uint32_t>(x));
    std::copy(row.begin(), row.end(), channel.row(x).begin());
  }
  const double reached = capacity(channel, 1e-10, 100000).nats;
  auto source = random_distribution(6, 80);
  double before = 0;
  for (int iteration = 0; iteration < 200; ++iteration) {
    const double information = mutual_information(channel, source) * std::numbers::ln2;
    EXPECT_GE(information, before - 1e-14) << iteration;
    before = information;
    const auto step = capacity_step(channel, source);
    EXPECT_LE(information, step.lower + 1e-14);
    EXPECT_LE(step.lower, reached + 1e-9);
    EXPECT_GE(step.upper, reached - 1e-9);
    EXPECT_NEAR(std::accumulate(step.source.begin(), step.source.end(), 0.0), 1, 1e-14);
    source = step.source;
  }
  EXPECT_NEAR(before, reached, 1e-4);
}

// The first step from a source that is not uniform, written out.
TEST(Capacity, OneStepInClosedForm) {
  const std::vector<double> source{0.25, 0.75};
  const auto step = capacity_step(z_channel(0.5), source);
  const double p_0 = 0.625, p_1 = 0.375;
  const double d_0 = std::log(1 / p_0), d_1 = 0.5 * std::log(0.5 / p_0) + 0.5 * std::log(0.5 / p_1);
  const double z = 0.25 * std::exp(d_0) + 0.75 * std::exp(d_1);
  EXPECT_NEAR(step.source[0], 0.25 * std::exp(d_0) / z, 1e-15);
  EXPECT_NEAR(step.lower, std::log(z), 1e-15);
  EXPECT_NEAR(step.upper, std::max(d_0, d_1), 1e-15);
}

// ---- Causal proxy.

TEST(CausalProxy, OfABuiltInCorrelation) {
  const std::size_t frames = 20000;
  std::vector<double> a(frames), noise(frames), b(frames, 0.0);
  draws(9).normals(0, 0, a);
  draws(9).normals(0, 1, noise);
  for (std::size_t t = 0; t + 1 < frames; ++t) b[t + 1] = 0.8 * a[t] + 0.6 * noise[t];
  const auto result = causal_proxy(a, b);
  EXPECT_NEAR(result.a_to_b, -0.5 * std::log2(0.36), 0.03);
  EXPECT_LT(result.b_to_a, 0.001);
  EXPECT_LT(result.balance, 0.01);
  const auto swapped = causal_proxy(b, a);
  EXPECT_EQ(swapped.b_to_a, result.a_to_b);
  EXPECT_EQ(swapped.a_to_b, result.b_to_a);
  EXPECT_EQ(swapped.balance, result.balance);
}

TEST(CausalProxy, OfFourFramesByHand) {
  // a(0..2) = 1, 2, 4 and b(1..3) = 0, 3, 3: deviations -4/3, -1/3, 5/3 and -2, 1, 1.
  const auto result = causal_proxy(std::vector<double>{1, 2, 4, 9}, std::vector<double>{7, 0, 3, 3});
  const double square = 4.0 * 4.0 / (42.0 / 9 * 6);
  EXPECT_NEAR(result.a_to_b, -0.5 * std::log2(1 - square), 1e-14);
}

TEST(CausalProxy, LooksOneFrameAhead) {
  std::vector<double> a(50);
  draws(10).normals(0, 0, a);
  const auto same_time = causal_proxy(a, a);
  EXPECT_LT(same_time.a_to_b, 0.1) << "white noise does not follow from itself";
  EXPECT_EQ(same_time.balance, 1);
  std::vector<double> b(50, 0.0);
  std::copy(a.begin(), a.end() - 1, b.begin() + 1);
  const auto shifted = causal_proxy(a, b);
  EXPECT_GT(shifted.a_to_b, 20) << "a correlation of 1 stays finite";
  EXPECT_TRUE(std::isfinite(shifted.a_to_b));
  EXPECT_LT(shifted.balance, 0.1);
}

TEST(CausalProxy, IsBalancedWhereNothingChanges) {
  const auto result = causal_proxy(std::vector<double>(50, 0.5), std::vector<double>(50, 0.25));
  EXPECT_EQ(result.a_to_b, 0);
  EXPECT_EQ(result.b_to_a, 0);
  EXPECT_EQ(result.balance, 1);
}

// Why it is called a proxy: two series of one rhythm that know nothing of each other look like causes of each other.
TEST(CausalProxy, TakesACommonRhythmForInfluence) {
  std::vector<double> a(50), b(50);
  for (std::size_t t = 0; t < 50; ++t) {
    a[t] = std::sin(2 * pi * static_cast<double>(t) / 25);
    b[t] = std::sin(2 * pi * static_cast<double>(t) / 25 + 0.2);
  }
  const auto result = causal_proxy(a, b);
  EXPECT_GT(result.a_to_b, 1);
  EXPECT_GT(result.b_to_a, 1);
}

TEST(CausalProxy, SeriesMustAgree) {
  EXPECT_THROW(causal_proxy(std::vector<double>(4), std::vector<double>(5)), Error);
  EXPECT_THROW(causal_proxy(std::vector<double>(2), std::vector<double>(2)), Error);
}

}  // namespace
}  // namespace warpwright::workloads::synchronisation
