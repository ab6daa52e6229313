// S6A against what is known of linear Gaussian models: the exact posterior mean, the evidence, rates of convergence.
#include "workloads/inference/oracle.hpp"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <gtest/gtest.h>
#include <numbers>
#include <vector>

#include <warpwright/base/error.hpp>

#include "workloads/common/error_measure.hpp"
#include "workloads/common/matrix.hpp"
#include "workloads/common/random.hpp"

namespace warpwright::workloads::inference {
namespace {

// o = o_0 + J phi + eps with phi of the standard deviation `spread`.
std::vector<double> sample_observation(const Model& model, double spread, std::uint32_t seed) {
  const Matrix matrix = observation_matrix(model);
  std::vector<double> phi(model.windows), eps(model.sensors);
  const Draws draws(seed, Stage::inference);
  draws.normals(0, 100, phi);
  draws.normals(0, 101, eps);
  std::vector<double> o(model.sensors, model.offset);
  for (std::size_t k = 0; k < model.sensors; ++k) {
    for (std::size_t i = 0; i < model.windows; ++i) o[k] += matrix(k, i) * spread * phi[i];
    o[k] += eps[k] / std::sqrt(model.observation_precision);
  }
  return o;
}

// Lower triangle L with L L^T = S, S = J J^T/pp + 1/po: the covariance of the observations.
Matrix covariance_factor(const Model& model) {
  const Matrix matrix = observation_matrix(model);
  const std::size_t m = model.sensors;
  Matrix factor(m, m);
  for (std::size_t k = 0; k < m; ++k) {
    for (std::size_t l = 0; l <= k; ++l) {
      double sum = k == l ? 1 / model.observation_precision : 0;
      for (std::size_t i = 0; i < model.windows; ++i) sum += matrix(k, i) * matrix(l, i) / model.prior_precision;
      for (std::size_t j = 0; j < l; ++j) sum -= factor(k, j) * factor(l, j);
      factor(k, l) = k == l ? std::sqrt(sum) : sum / factor(l, l);
    }
  }
  return factor;
}

// o - o_0 - J mu_p.
std::vector<double> surprise(const Model& model, const std::vector<double>& observation) {
  const Matrix matrix = observation_matrix(model);
  std::vector<double> result(model.sensors);
  for (std::size_t k = 0; k < model.sensors; ++k) {
    result[k] = observation[k] - model.offset;
    for (std::size_t i = 0; i < model.windows; ++i) result[k] -= matrix(k, i) * model.prior_mean;
  }
  return result;
}

std::vector<double> solve_lower(const Matrix& factor, std::vector<double> b) {
  for (std::size_t k = 0; k < b.size(); ++k) {
    for (std::size_t l = 0; l < k; ++l) b[k] -= factor(k, l) * b[l];
    b[k] /= factor(k, k);
  }
  return b;
}

// mu_p + (J^T/pp) S^{-1} (o - o_0 - J mu_p).
std::vector<double> exact_mean(const Model& model, const std::vector<double>& observation) {
  const Matrix matrix = observation_matrix(model), factor = covariance_factor(model);
  std::vector<double> y = solve_lower(factor, surprise(model, observation));
  for (std::size_t k = model.sensors; k-- > 0;) {
    for (std::size_t l = k + 1; l < model.sensors; ++l) y[k] -= factor(l, k) * y[l];
    y[k] /= factor(k, k);
  }
  std::vector<double> mean(model.windows, model.prior_mean);
  for (std::size_t k = 0; k < model.sensors; ++k) {
    for (std::size_t i = 0; i < model.windows; ++i) mean[i] += matrix(k, i) / model.prior_precision * y[k];
  }
  return mean;
}

// -ln N(o; o_0 + J mu_p, S): no free energy is below it.
double surprisal(const Model& model, const std::vector<double>& observation) {
  const Matrix factor = covariance_factor(model);
  double sum = static_cast<double>(model.sensors) / 2 * std::log(2 * std::numbers::pi);
  for (const double y : solve_lower(factor, surprise(model, observation))) sum += y * y / 2;
  for (std::size_t k = 0; k < model.sensors; ++k) sum += std::log(factor(k, k));
  return sum;
}

// |o - o_0 - J mu|.
double misfit(const Model& model, const std::vector<double>& observation, const std::vector<double>& mean) {
  double sum = 0;
  for (const double e : weighted_error(model, observation_matrix(model), observation, mean)) {
    sum += e * e / (model.observation_precision * model.observation_precision);
  }
  return std::sqrt(sum);
}

double largest_difference(const std::vector<double>& a, const std::vector<double>& b) {
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) largest = std::max(largest, std::abs(a[i] - b[i]));
  return largest;
}

Model small_model() {
  Model model;
  model.windows = 90;
  model.sensors = 10;
  return model;
}

// Rows of J overlap: 2 windows for each sensor.
Model dense_model() {
  Model model;
  model.windows = 24;
  model.sensors = 12;
  model.observation_precision = 5;
  model.prior_mean = 0.4;
  return model;
}

TEST(InferenceModel, PrecisionIsThePhotonCount) {
  EXPECT_NEAR(photon_count(8), 56.786, 5e-4);
  EXPECT_NEAR(photon_count(5.5), 10 * photon_count(8), 1e-9);
  EXPECT_EQ(Model().observation_precision, photon_count(8));
}

TEST(InferenceModel, SensorsCoverTheWholeRange) {
  // Centres at the middle of blocks of nine; 3k would leave two thirds unobserved.
  for (std::size_t k = 0; k < 100; ++k) EXPECT_EQ(sensor_centre(k, 900, 100), 9 * k + 4);
  EXPECT_EQ(sensor_centre(27, 256, 28), 251u);
  const Matrix matrix = observation_matrix(Model());
  for (std::size_t k = 0; k < 100; ++k) {
    double row = 0;
    for (const double entry : matrix.row(k)) row += entry;
    EXPECT_DOUBLE_EQ(row, 1.6);
    EXPECT_EQ(matrix(k, 9 * k + 4), 1);
    EXPECT_EQ(matrix(k, 9 * k + 3), 0.3);
    EXPECT_EQ(matrix(k, 9 * k + 5), 0.3);
  }
}

TEST(InferenceModel, NeighboursOutsideTheRangeAreDropped) {
  Model model;
  model.windows = model.sensors = 3;
  const Matrix matrix = observation_matrix(model);
  const double expected[3][3] = {{1, 0.3, 0}, {0.3, 1, 0.3}, {0, 0.3, 1}};
  for (std::size_t k = 0; k < 3; ++k) {
    for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(matrix(k, i), expected[k][i]);
  }
}

TEST(InferenceModel, ObservationsAreMeansOfBlocks) {
  for (const double o : observe(std::vector<double>(900, 1.0 / 900), 100)) EXPECT_NEAR(o, 1, 1e-13);
  // Five sites, two blocks: sites 0, 1 and 2, 3, 4.
  const auto o = observe(std::vector<double>{0.1, 0.3, 0.3, 0.1, 0.2}, 2);
  EXPECT_NEAR(o[0], 1, 1e-15);
  EXPECT_NEAR(o[1], 1, 1e-15);
  EXPECT_NEAR(observe(std::vector<double>{0.5, 0.1, 0.1, 0.1, 0.2}, 2)[0], 1.5, 1e-15);
  EXPECT_THROW(observe(std::vector<double>(3, 0.3), 4), Error);
  EXPECT_THROW(observe(std::vector<double>(3, 0.3), 0), Error);
}

TEST(Inference, VariancesInClosedForm) {
  const Model model = small_model();
  const double po = model.observation_precision;
  const auto variance = variances(model, observation_matrix(model));
  for (std::size_t i = 0; i < 90; ++i) {
    const double squares = i % 9 == 4 ? 1 : i % 9 == 3 || i % 9 == 5 ? 0.09 : 0;
    EXPECT_NEAR(variance[i], 1 / (0.1 + po * squares), 1e-15);
  }
  EXPECT_NEAR(variances(dense_model(), observation_matrix(dense_model()))[2], 1 / (0.1 + 5 * 2 * 0.09), 1e-14)
      << "window 2 lies between the centres 1 and 3";
}

TEST(Inference, FixedPointIsTheExactMean) {
  for (const Model& model : {small_model(), dense_model(), Model()}) {
    const auto observation = sample_observation(model, 1, 1);
    const auto exact = exact_mean(model, observation);
    const Matrix matrix = observation_matrix(model);
    EXPECT_LT(largest_difference(iterate(model, matrix, observation, exact, 0.01), exact), 1e-10);
    const int iterations = model.windows == 900 ? 50 : 1000;
    const auto result = infer(model, observation, {.tolerance = -1, .iterations = iterations});
    EXPECT_EQ(result.iterations, iterations);
    EXPECT_LT(relative_max_error<double>(result.mean, exact), 1e-10);
  }
}

TEST(Inference, StopsAfterEightIterationsNearTheExactMean) {
  const Model model;
  for (std::uint32_t seed = 0; seed < 5; ++seed) {
    const auto observation = sample_observation(model, 0.25, seed);
    const auto result = infer(model, observation);
    EXPECT_NEAR(result.iterations, 8, 1);
    EXPECT_LT(largest_difference(result.mean, exact_mean(model, observation)), 5e-4);
    EXPECT_LT(misfit(model, observation, result.mean) / misfit(model, observation, std::vector<double>(900, 0.0)), 0.05)
        << "the contract";
  }
}

TEST(Inference, FreeEnergyFallsInEveryIteration) {
  for (const Model& model : {small_model(), dense_model(), Model()}) {
    const auto observation = sample_observation(model, 1, 2);
    const auto result = infer(model, observation, {.tolerance = -1, .iterations = 12});
    ASSERT_EQ(result.free_energies.size(), 13u);
    for (std::size_t t = 1; t < result.free_energies.size(); ++t) {
      EXPECT_LT(result.free_energies[t], result.free_energies[t - 1]) << t;
    }
  }
}

TEST(Inference, FreeEnergyIsAboveTheSurprisal) {
  for (const Model& model : {small_model(), dense_model(), Model()}) {
    for (std::uint32_t seed = 3; seed < 6; ++seed) {
      const auto observation = sample_observation(model, 1, seed);
      const auto result = infer(model, observation, {.tolerance = -1, .iterations = 20});
      const double least = surprisal(model, observation);
      for (const double f : result.free_energies) EXPECT_GE(f, least);
    }
  }
}

// One window that one sensor sees: the posterior is the approximation, and F is the surprisal itself.
TEST(Inference, FreeEnergyOfOneWindowIsTheSurprisal) {
  Model model;
  model.windows = model.sensors = 1;
  model.observation_precision = 3;
  model.prior_precision = 0.5;
  model.prior_mean = 0.2;
  const std::vector<double> observation{2.5};
  const auto result = infer(model, observation, {.kappa = 0.1, .tolerance = -1, .iterations = 200});
  const double variance_of_o = 1 / 0.5 + 1.0 / 3, off = 2.5 - 1 - 0.2;
  EXPECT_NEAR(result.free_energies.back(),
              0.5 * std::log(2 * std::numbers::pi * variance_of_o) + off * off / (2 * variance_of_o), 1e-12);
  EXPECT_NEAR(result.mean[0], 0.2 + off * 2 / variance_of_o, 1e-12);
  EXPECT_NEAR(result.variance[0], 1 / 3.5, 1e-15);
}

TEST(Inference, DivergenceFromThePrior) {
  const Model model = dense_model();
  const std::vector<double> prior_mean(24, 0.4), prior_variance(24, 10);
  EXPECT_NEAR(divergence_from_prior(model, prior_mean, prior_variance), 0, 1e-12);
  for (std::uint32_t seed = 0; seed < 20; ++seed) {
    std::vector<double> mean(24), variance(24);
    Draws(seed, Stage::inference).normals(0, 0, mean);
    Draws(seed, Stage::inference).uniforms(0, 1, variance);
    for (double& v : variance) v *= 20;
    EXPECT_GT(divergence_from_prior(model, mean, variance), 0);
  }
  // A shift by one standard deviation costs half a nat in each window.
  EXPECT_NEAR(divergence_from_prior(model, std::vector<double>(24, 0.4 + std::sqrt(10)), prior_variance), 12, 1e-12);
}

TEST(Inference, FreeEnergyAtThePrior) {
  // q = prior: expected misfit and spread only.
  const Model model = small_model();
  const Matrix matrix = observation_matrix(model);
  const std::vector<double> observation(10, 1.5);
  const double po = model.observation_precision;
  EXPECT_NEAR(free_energy(model, matrix, observation, std::vector<double>(90, 0.0), std::vector<double>(90, 10.0)),
              0.5 * po * 10 * 0.25 + 0.5 * po * 10 * 1.18 * 10 + 5 * std::log(2 * std::numbers::pi / po), 1e-9);
}

TEST(Inference, MisfitShrinksToWhatThePriorHolds) {
  const Model model;
  const auto observation = sample_observation(model, 1, 7);
  const auto result = infer(model, observation, {.tolerance = -1, .iterations = 30});
  const double ratio =
      misfit(model, observation, result.mean) / misfit(model, observation, std::vector<double>(900, 0.0));
  const double expected = 1 / (1 + 1.18 * model.observation_precision / model.prior_precision);
  EXPECT_NEAR(expected, 0.0015, 5e-5);
  EXPECT_NEAR(ratio, expected, 1e-9);
}

TEST(Inference, CurvatureAndTheStepsItAllows) {
  const Model model;
  const double curvature = curvature_bound(model, observation_matrix(model));
  EXPECT_NEAR(curvature, 67.1, 0.02);
  EXPECT_NEAR(curvature, 1.18 * model.observation_precision + 0.1, 1e-12);
  EXPECT_NEAR(2 / curvature, 0.0298, 5e-5);
  EXPECT_NEAR(curvature_bound(dense_model(), observation_matrix(dense_model())), 5 * (1.18 + 2 * 0.3 * 0.3) + 0.1,
              1e-12)
      << "rows that overlap add to it";
  const auto observation = sample_observation(model, 1, 8);
  EXPECT_THROW(infer(model, observation, {.kappa = 0.03}), Error);
  EXPECT_THROW(infer(model, observation, {.kappa = 0}), Error);
  EXPECT_NO_THROW(infer(model, observation, {.kappa = 0.029}));
}

// Why the step is fixed: at five times kappa the squared misfit grows by 2.35^2 in each iteration.
TEST(Inference, StepsBeyondTheLimitDiverge) {
  const Model model;
  const Matrix matrix = observation_matrix(model);
  const auto observation = sample_observation(model, 1, 9);
  const auto exact = exact_mean(model, observation);
  const double rest = misfit(model, observation, exact);
  auto mean = std::vector<double>(900, 0.0);
  double before = 0;
  for (int iteration = 0; iteration < 12; ++iteration) {
    mean = iterate(model, matrix, observation, mean, 0.05);
    const double now = misfit(model, observation, mean);
    if (iteration > 8) {
      EXPECT_NEAR(now / before, 2.355, 0.003);
    }
    before = now;
  }
  EXPECT_GT(before, 1e3 * rest);
}

// Why a frame starts at mu_p: nothing but the prior moves a window that no sensor sees.
TEST(Inference, UnseenWindowsForgetSlowly) {
  const Model model = small_model();
  const Matrix matrix = observation_matrix(model);
  const std::vector<double> observation(10, 1.0);
  std::vector<double> mean(90, 0.0);
  mean[0] = 2;
  mean = iterate(model, matrix, observation, mean, 0.01);
  EXPECT_NEAR(mean[0], 2 * 0.999, 1e-15);
  const auto result = infer(model, sample_observation(model, 1, 10));
  for (std::size_t i = 0; i < 90; ++i) {
    if (i % 9 < 3 || i % 9 > 5) {
      EXPECT_EQ(result.mean[i], 0);
    }
  }
}

TEST(Inference, PredictedDataHaveNoGradient) {
  const Model model = small_model();
  const auto result = infer(model, std::vector<double>(10, 1.0));
  EXPECT_EQ(result.iterations, 1);
  EXPECT_EQ(result.mean, std::vector<double>(90, 0.0));
  EXPECT_EQ(result.free_energies[0], result.free_energies[1]);
}

TEST(Inference, FirstIterationInClosedForm) {
  const Model model = small_model();
  std::vector<double> observation(10, 1.0);
  observation[3] = 1.5;
  const auto result = infer(model, observation, {.iterations = 1});
  const double po = model.observation_precision;
  for (std::size_t i = 0; i < 90; ++i) {
    const double weight = i == 31 ? 1 : i == 30 || i == 32 ? 0.3 : 0;
    EXPECT_NEAR(result.mean[i], 0.01 * weight * po * 0.5, 1e-15) << i;
  }
}

TEST(Inference, SaysWhatIsWrong) {
  Model model = small_model();
  EXPECT_THROW(infer(model, std::vector<double>(9, 1.0)), Error);
  model.sensors = 91;
  EXPECT_THROW(observation_matrix(model), Error);
  model.sensors = 0;
  EXPECT_THROW(observation_matrix(model), Error);
  model = small_model();
  model.prior_precision = 0;
  EXPECT_THROW(infer(model, std::vector<double>(10, 1.0)), Error);
}

}  // namespace
}  // namespace warpwright::workloads::inference
