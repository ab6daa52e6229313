#include "workloads/transfer_entropy/oracle.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <gtest/gtest.h>
#include <numbers>
#include <vector>

#include <warpwright/base/error.hpp>

#include "workloads/common/history.hpp"
#include "workloads/common/random.hpp"
#include "workloads/transfer_entropy/significance.hpp"

namespace warpwright::workloads::transfer_entropy {
namespace {

using Series = std::vector<std::uint8_t>;

double raw_of(const Series& source, const Series& target, std::size_t bins, std::size_t lag = 1) {
  return estimate(count(source, target, bins, lag)).raw;
}

// Independent symbols of equal probability.
Series independent(std::size_t length, std::size_t bins, std::uint32_t seed, std::uint32_t array) {
  std::vector<double> uniforms(length);
  Draws(seed, Stage::transfer_entropy).uniforms(setup_frame, array, uniforms);
  Series result(length);
  for (std::size_t t = 0; t < length; ++t) {
    result[t] = static_cast<std::uint8_t>(uniforms[t] * static_cast<double>(bins));
  }
  return result;
}

// y_{t+lag} = x_t, flipped with probability e.
Series noisy_copy(const Series& x, std::size_t lag, double e, std::uint32_t seed) {
  std::vector<double> uniforms(x.size());
  Draws(seed, Stage::transfer_entropy).uniforms(setup_frame, 9, uniforms);
  Series y = independent(x.size(), 2, seed, 8);
  for (std::size_t t = 0; t + lag < x.size(); ++t) {
    y[t + lag] = static_cast<std::uint8_t>(x[t] ^ (uniforms[t] < e ? 1 : 0));
  }
  return y;
}

struct Pair {
  std::vector<double> x;
  std::vector<double> y;
};

// y' = a y + c x + sd eta, x and eta white with variance 1: TE(x -> y) = 0.5 log2(1 + c^2 / sd^2).
Pair linear_process(std::size_t length, std::uint32_t seed) {
  const double a = 0.5;
  const double c = 0.8;
  const double sd = 0.6;
  Pair pair{std::vector<double>(length), std::vector<double>(length)};
  std::vector<double> eta(length);
  const Draws draws(seed, Stage::transfer_entropy);
  draws.normals(setup_frame, 0, pair.x);
  draws.normals(setup_frame, 1, eta);
  for (std::size_t t = 0; t + 1 < length; ++t) pair.y[t + 1] = a * pair.y[t] + c * pair.x[t] + sd * eta[t];
  return pair;
}

double binary_entropy(double p) { return -p * std::log2(p) - (1.0 - p) * std::log2(1.0 - p); }

TEST(Symbols, BinsSpanMinimumToMaximum) {
  std::vector<double> ramp;
  for (int i = 0; i < 100; ++i) ramp.push_back(-50.0 + i);
  const Series s = symbols(ramp, 4);
  std::vector<int> shares(4);
  for (const std::uint8_t symbol : s) ++shares[symbol];
  EXPECT_EQ(shares, (std::vector<int>{25, 25, 25, 25})) << "the top bin holds its share, not only the maximum";
  EXPECT_EQ(s.front(), 0);
  EXPECT_EQ(s.back(), 3);
}

TEST(Symbols, OfNegativeSeries) {
  EXPECT_EQ(symbols(std::vector<double>{-3.0, -2.0, -1.0}, 2), (Series{0, 1, 1}));
  EXPECT_EQ(symbols(std::vector<double>{5.0, 6.0, 7.0, 9.0}, 4), (Series{0, 1, 2, 3}));
}

TEST(Symbols, OfAConstantAreZero) { EXPECT_EQ(symbols(std::vector<double>{2.5, 2.5}, 8), (Series{0, 0})); }

TEST(Symbols, DoNotChangeUnderAffineMaps) {
  const Pair pair = linear_process(2000, 3);
  std::vector<double> mapped = pair.x;
  for (double& value : mapped) value = 3.7 * value - 11.0;
  const Series x = symbols(pair.x, 10);
  const Series y = symbols(pair.y, 10);
  EXPECT_EQ(symbols(mapped, 10), x);
  EXPECT_EQ(raw_of(symbols(mapped, 10), y, 10), raw_of(x, y, 10));
}

TEST(Counts, OfAnExampleByHand) {
  // y_{t+1} = x_t; (x, y, z) = (0,0,0), (1,0,1), (1,1,1), (0,1,0).
  const Counts counts = count(Series{0, 1, 1, 0, 1}, Series{0, 0, 1, 1, 0}, 2, 1);
  EXPECT_EQ(counts.samples, 4u);
  EXPECT_EQ(counts.xyz, (std::vector<std::uint32_t>{1, 0, 1, 0, 0, 1, 0, 1}));
  EXPECT_EQ(counts.xy, (std::vector<std::uint32_t>{1, 1, 1, 1}));
  EXPECT_EQ(counts.yz, (std::vector<std::uint32_t>{1, 1, 1, 1}));
  EXPECT_EQ(counts.y, (std::vector<std::uint32_t>{2, 2}));
  EXPECT_DOUBLE_EQ(estimate(counts).raw, 1.0);
  EXPECT_DOUBLE_EQ(conditional_entropy(counts), 1.0);
  EXPECT_DOUBLE_EQ(estimate(counts).corrected, 1.0 - (4.0 - 4.0 - 4.0 + 2.0) / (2.0 * 4.0 * std::numbers::ln2));
}

TEST(Counts, MarginalsAreSumsOfTheJointHistogram) {
  const std::size_t bins = 5;
  const Counts counts = count(independent(3000, bins, 5, 0), independent(3000, bins, 5, 1), bins, 3);
  EXPECT_EQ(counts.samples, 2997u);
  std::size_t total = 0;
  Counts sums = counts;
  sums.xy.assign(bins * bins, 0);
  sums.yz.assign(bins * bins, 0);
  sums.y.assign(bins, 0);
  for (std::size_t x = 0; x < bins; ++x) {
    for (std::size_t y = 0; y < bins; ++y) {
      for (std::size_t z = 0; z < bins; ++z) {
        const std::uint32_t c = counts.xyz[(x * bins + y) * bins + z];
        sums.xy[x * bins + y] += c;
        sums.yz[y * bins + z] += c;
        sums.y[y] += c;
        total += c;
      }
    }
  }
  EXPECT_EQ(total, counts.samples);
  EXPECT_EQ(counts, sums);
}

// The fast path of two symbols: bits of a series in words, counts by AND and popcount. Bit-exact.
TEST(Counts, EqualPopcountsOfPackedBits) {
  const std::size_t length = 300;
  const std::size_t lag = 7;
  const std::size_t samples = length - lag;
  const Series x = independent(length, 2, 6, 0);
  const Series y = noisy_copy(x, lag, 0.2, 6);
  std::vector<std::uint64_t> x_words((samples + 63) / 64);
  std::vector<std::vector<std::uint64_t>> masks(4, std::vector<std::uint64_t>(x_words.size()));
  for (std::size_t t = 0; t < samples; ++t) {
    const std::uint64_t bit = std::uint64_t{1} << (t % 64);
    if (x[t]) x_words[t / 64] |= bit;
    masks[y[t] * 2u + y[t + lag]][t / 64] |= bit;
  }
  const Counts counts = count(x, y, 2, lag);
  for (std::size_t yz = 0; yz < 4; ++yz) {
    std::uint32_t with_x = 0;
    std::uint32_t all = 0;
    for (std::size_t w = 0; w < x_words.size(); ++w) {
      with_x += static_cast<std::uint32_t>(std::popcount(x_words[w] & masks[yz][w]));
      all += static_cast<std::uint32_t>(std::popcount(masks[yz][w]));
    }
    EXPECT_EQ(counts.xyz[4 + yz], with_x);
    EXPECT_EQ(counts.xyz[yz], all - with_x);
    EXPECT_EQ(counts.yz[yz], all);
  }
}

// The definition, sum p(z,y,x) log2[p(z|y,x) / p(z|y)], term by term.
TEST(Estimate, EqualsTheDefinition) {
  for (const std::size_t bins : {2, 3, 10}) {
    const Series x = independent(500, bins, 7, 0);
    Series y = independent(500, bins, 7, 1);
    for (std::size_t t = 0; t + 2 < y.size(); t += 3) y[t + 2] = x[t];
    const Counts c = count(x, y, bins, 2);
    double te = 0.0;
    for (std::size_t i = 0; i < bins; ++i) {
      for (std::size_t j = 0; j < bins; ++j) {
        for (std::size_t k = 0; k < bins; ++k) {
          const double xyz = c.xyz[(i * bins + j) * bins + k];
          if (xyz == 0.0) continue;
          const double given_yx = xyz / c.xy[i * bins + j];
          const double given_y = static_cast<double>(c.yz[j * bins + k]) / c.y[j];
          te += xyz / static_cast<double>(c.samples) * std::log2(given_yx / given_y);
        }
      }
    }
    EXPECT_NEAR(estimate(c).raw, te, 1e-12) << bins << " bins";
  }
}

TEST(Estimate, OfANoisyCopyIsItsChannelCapacity) {
  const Series x = independent(200000, 2, 1, 0);
  const Series y = noisy_copy(x, 1, 0.1, 1);
  EXPECT_NEAR(raw_of(x, y, 2), 1.0 - binary_entropy(0.1), 0.006);
  EXPECT_NEAR(1.0 - binary_entropy(0.1), 0.5310, 5e-5);
  EXPECT_NEAR(raw_of(y, x, 2), 0.0, 1e-4) << "nothing flows back";
}

TEST(Estimate, OfIndependentDataIsTheBias) {
  const int runs = 100;
  double sum = 0.0;
  double squares = 0.0;
  double corrected = 0.0;
  for (std::uint32_t seed = 0; seed < runs; ++seed) {
    const Estimate te = estimate(count(independent(4096, 4, seed, 0), independent(4096, 4, seed, 1), 4, 1));
    const double nats = te.raw * std::numbers::ln2;
    sum += nats;
    squares += nats * nats;
    corrected += te.corrected * std::numbers::ln2;
  }
  const double mean = sum / runs;
  const double deviation = std::sqrt(squares / runs - mean * mean);
  const double expected = static_cast<double>(degrees_of_freedom(4)) / (2.0 * 4095.0);
  EXPECT_NEAR(expected, 0.00440, 5e-6);
  EXPECT_NEAR(mean, expected, 4.0 * 0.0010 / std::sqrt(runs));
  EXPECT_NEAR(deviation, 0.0010, 0.0003);
  EXPECT_LT(corrected / runs, 0.15 * expected) << "only what exceeds the bias is left";
}

TEST(Estimate, OfManyBinsIsBiasedMore) {
  const double nats = raw_of(independent(4096, 10, 2, 0), independent(4096, 10, 2, 1), 10) * std::numbers::ln2;
  EXPECT_NEAR(nats, static_cast<double>(degrees_of_freedom(10)) / (2.0 * 4095.0), 0.015);
}

TEST(Estimate, LiesBetweenZeroAndTheConditionalEntropy) {
  for (const std::size_t bins : {2, 4, 7}) {
    for (std::uint32_t seed = 0; seed < 20; ++seed) {
      const Series x = independent(60, bins, seed, 0);
      const Series y = independent(60, bins, seed, 1);
      const Counts counts = count(x, y, bins, 1);
      EXPECT_GE(estimate(counts).raw, -1e-12);
      EXPECT_LE(estimate(counts).raw, conditional_entropy(counts) + 1e-12);
      EXPECT_LE(conditional_entropy(counts), std::log2(static_cast<double>(bins)) + 1e-12);
      EXPECT_GE(estimate(counts).corrected, 0.0);
    }
  }
}

TEST(Estimate, FromASeriesToItselfIsZero) {
  const Series x = independent(1000, 4, 4, 0);
  EXPECT_NEAR(raw_of(x, x, 4), 0.0, 1e-12);
}

TEST(LagScan, PeaksAtTheTrueLag) {
  const std::size_t true_lag = 17;
  const Series x = independent(4096, 2, 8, 0);
  const Series y = noisy_copy(x, true_lag, 0.1, 8);
  const auto scan = lag_scan(x, y, 2, 1, 100);
  ASSERT_EQ(scan.size(), 100u);
  for (std::size_t lag = 1; lag <= 100; ++lag) {
    if (lag == true_lag) {
      EXPECT_NEAR(scan[lag - 1].raw, 0.531, 0.04);
    } else {
      EXPECT_LT(scan[lag - 1].raw, 0.01) << "lag " << lag;
    }
  }
}

TEST(AllPairs, ReadTheRingBufferOldestFirst) {
  const std::size_t frames = 100;
  const Series x = independent(250, 2, 10, 0);
  const Series y = noisy_copy(x, 1, 0.0, 10);
  History history(frames, 2);
  for (std::size_t t = 0; t < x.size(); ++t) history.push(Series{x[t], y[t]});
  ASSERT_TRUE(history.full());
  EXPECT_EQ(history.read(0), Series(x.end() - 100, x.end()));
  const Flow flow = all_pairs(history, 2, 1);
  EXPECT_GT(flow.raw(1, 0), 0.9) << "row 1 is what flows into series 1";
  EXPECT_LT(flow.raw(0, 1), 0.1);
  EXPECT_EQ(flow.raw(0, 0), 0.0);
  EXPECT_EQ(flow.corrected(1, 1), 0.0);
  EXPECT_EQ(flow.raw(1, 0), raw_of(history.read(0), history.read(1), 2));
}

TEST(AllPairs, OneStepOfHistoryDoesNotInventInformation) {
  // Long embeddings find 0.96 bit between independent coins in 100 frames.
  History history(100, 20);
  std::vector<Series> coins;
  for (std::uint32_t j = 0; j < 20; ++j) coins.push_back(independent(100, 2, 11, j));
  for (std::size_t t = 0; t < 100; ++t) {
    Series frame;
    for (const Series& coin : coins) frame.push_back(coin[t]);
    history.push(frame);
  }
  const Flow flow = all_pairs(history, 2, 1);
  double raw = 0.0;
  double corrected = 0.0;
  for (std::size_t i = 0; i < 20; ++i) {
    for (std::size_t j = 0; j < 20; ++j) {
      raw += flow.raw(i, j) / 380.0;
      corrected += flow.corrected(i, j) / 380.0;
    }
  }
  EXPECT_NEAR(raw, 2.0 / (2.0 * 99.0 * std::numbers::ln2), 0.004);
  EXPECT_LT(corrected, 0.7 * raw) << "a small bias is removed as well as a large one";
}

TEST(Continuous, OfALinearProcess) {
  // A short series of one seed; the slow test holds the tolerance of the specification.
  const Pair pair = linear_process(801, 1);
  EXPECT_NEAR(continuous(pair.x, pair.y, 1), 0.5 * std::log2(1.0 + 0.64 / 0.36), 0.08);
  EXPECT_NEAR(continuous(pair.y, pair.x, 1), 0.0, 0.08);
}

// The estimator term by term, by sorting all distances.
TEST(Continuous, EqualsTheDefinition) {
  const Pair pair = linear_process(60, 5);
  const std::size_t n = 58;
  const std::size_t lag = 2;
  const auto digamma = [](std::size_t c) {
    double sum = -std::numbers::egamma;
    for (std::size_t k = 1; k < c; ++k) sum += 1.0 / static_cast<double>(k);
    return sum;
  };
  double sum = 0.0;
  for (std::size_t i = 0; i < n; ++i) {
    const auto dx = [&](std::size_t j) { return std::fabs(pair.x[j] - pair.x[i]); };
    const auto dy = [&](std::size_t j) { return std::fabs(pair.y[j] - pair.y[i]); };
    const auto dz = [&](std::size_t j) { return std::fabs(pair.y[j + lag] - pair.y[i + lag]); };
    std::vector<double> distances;
    for (std::size_t j = 0; j < n; ++j) {
      if (j != i) distances.push_back(std::fmax(dx(j), std::fmax(dy(j), dz(j))));
    }
    std::sort(distances.begin(), distances.end());
    const double eps = distances[3];
    std::size_t n_y = 0;
    std::size_t n_xy = 0;
    std::size_t n_yz = 0;
    for (std::size_t j = 0; j < n; ++j) {
      n_y += j != i && dy(j) < eps;
      n_xy += j != i && dy(j) < eps && dx(j) < eps;
      n_yz += j != i && dy(j) < eps && dz(j) < eps;
    }
    sum += digamma(n_y + 1) - digamma(n_xy + 1) - digamma(n_yz + 1);
  }
  const double expected = (digamma(4) + sum / static_cast<double>(n)) / std::numbers::ln2;
  EXPECT_NEAR(continuous(pair.x, pair.y, lag), expected, 1e-12);
}

TEST(Significance, PValuesOfIndependentDataAreUniform) {
  double sum = 0.0;
  const int runs = 200;
  for (std::uint32_t seed = 0; seed < runs; ++seed) {
    sum += chi_squared_p_value(raw_of(independent(2001, 3, seed, 0), independent(2001, 3, seed, 1), 3), 2000, 3);
  }
  EXPECT_NEAR(sum / runs, 0.5, 4.0 * std::sqrt(1.0 / 12.0 / runs));
  EXPECT_NEAR(chi_squared_p_value(5.991 / (2.0 * 100.0 * std::numbers::ln2), 100, 2), 0.05, 1e-4);
}

TEST(Significance, SurrogatesTellInfluenceFromChance) {
  const Series x = independent(1000, 2, 12, 0);
  const Series y = noisy_copy(x, 1, 0.3, 12);
  const Draws draws(12, Stage::transfer_entropy);
  EXPECT_DOUBLE_EQ(surrogate_p_value(x, y, 2, 1, 100, draws, 0), 1.0 / 101.0);
  double sum = 0.0;
  for (std::uint32_t seed = 20; seed < 60; ++seed) {
    sum += surrogate_p_value(independent(200, 2, seed, 0), independent(200, 2, seed, 1), 2, 1, 20, draws, seed);
  }
  EXPECT_NEAR(sum / 40.0, 0.5, 4.0 * std::sqrt(1.0 / 12.0 / 40.0));
}

TEST(TransferEntropy, WhatIsWrongIsAnError) {
  const Series four{0, 1, 0, 1};
  EXPECT_THROW(count(four, Series{0, 1, 0}, 2, 1), Error);
  EXPECT_THROW(count(four, four, 2, 0), Error);
  EXPECT_THROW(count(four, four, 2, 4), Error);
  EXPECT_THROW(count(Series{0, 2, 0}, Series{0, 1, 0}, 2, 1), Error);
  EXPECT_THROW(symbols(std::vector<double>{}, 2), Error);
  EXPECT_THROW(symbols(std::vector<double>{1.0, NAN}, 2), Error);
  EXPECT_THROW(symbols(std::vector<double>{1.0, 2.0}, 1), Error);
  EXPECT_THROW(continuous(std::vector<double>{1, 2, 3, 4}, std::vector<double>{1, 2, 3, 4}, 1), Error);
  EXPECT_THROW(chi_squared_p_value(0.1, 0, 2), Error);
  EXPECT_THROW(surrogate_p_value(four, four, 2, 1, 0, Draws(0, Stage::transfer_entropy), 0), Error);
  EXPECT_THROW(History(0, 4), Error);
  History history(2, 3);
  EXPECT_THROW(history.push(four), Error);
}

}  // namespace
}  // namespace warpwright::workloads::transfer_entropy
