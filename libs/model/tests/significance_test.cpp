#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>
#include <limits>
#include <vector>

#include <warpwright/base/rng.hpp>
#include <warpwright/model/significance.hpp>

namespace warpwright {
namespace {

TEST(SignTest, CountsWhatIsAboveNothing) {
  EXPECT_DOUBLE_EQ(sign_test(std::vector<double>{1, 2, 3, 4, 5}), 1.0 / 32);
  EXPECT_DOUBLE_EQ(sign_test(std::vector<double>{1, 2, 3, 4, -5}), 6.0 / 32);
  EXPECT_DOUBLE_EQ(sign_test(std::vector<double>{0, 0, 0}), 1) << "0 is not above 0";
  EXPECT_DOUBLE_EQ(sign_test(std::vector<double>{-1, -2}), 1);
  EXPECT_EQ(sign_test({}), 1);
  EXPECT_EQ(sign_test(std::vector<double>(2000, 1.0)), 0) << "2^-2000 is no double, and no reason to fail";
}

// scipy.stats.ttest_1samp([1.0, 2.0, 3.0, 4.0], 0, alternative="greater") and of the same with the signs turned.
TEST(TTest, KnownAnswers) {
  EXPECT_NEAR(t_test(std::vector<double>{1, 2, 3, 4}), 0.0152332, 1e-6);
  EXPECT_NEAR(t_test(std::vector<double>{-1, -2, -3, -4}), 1 - 0.0152332, 1e-6);
  EXPECT_EQ(t_test(std::vector<double>{0.5, 0.5}), 0);
  EXPECT_EQ(t_test(std::vector<double>{0, 0}), 1);
  EXPECT_EQ(t_test(std::vector<double>{7}), 1) << "one difference has no spread to be compared with";
  EXPECT_EQ(t_test({}), 1);
}

// Closed forms for one and two degrees of freedom, and tables to their last digit.
TEST(StudentT, TailAndQuantile) {
  const double pi = std::acos(-1.0);
  for (const double t : {-1000.0, -3.0, -0.5, 0.0, 1e-3, 0.7, 1.0, 2.5, 40.0, 1e4}) {
    const double one = t > 0 ? std::atan(1 / t) / pi : 0.5 - std::atan(t) / pi;
    EXPECT_NEAR(student_t_tail(t, 1), one, 1e-12 * one) << t;
    const double root = std::sqrt(2 + t * t);
    const double two = t > 0 ? 1 / (root * (root + t)) : 0.5 - t / (2 * root);
    EXPECT_NEAR(student_t_tail(t, 2), two, 1e-12 * two) << t;
  }
  EXPECT_EQ(student_t_tail(std::numeric_limits<double>::infinity(), 5), 0);
  EXPECT_EQ(student_t_tail(-std::numeric_limits<double>::infinity(), 5), 1);
  EXPECT_NEAR(student_t_quantile(0.975, 1), 12.7062047361747, 1e-11);
  EXPECT_NEAR(student_t_quantile(0.975, 10), 2.2281388519862739, 1e-12);
  EXPECT_NEAR(student_t_quantile(0.025, 10), -2.2281388519862739, 1e-12);
  EXPECT_NEAR(student_t_quantile(0.995, 5), 4.0321429835552278, 1e-12);
  EXPECT_EQ(student_t_quantile(0.5, 3), 0);
  EXPECT_EQ(student_t_quantile(1, 3), std::numeric_limits<double>::infinity());
  for (const double degrees : {1.0, 3.0, 7.0, 24.0, 199.0})
    for (const double probability : {0.6, 0.9, 0.975, 0.9999})
      EXPECT_NEAR(student_t_tail(student_t_quantile(probability, degrees), degrees), 1 - probability, 1e-13);
}

TEST(Holm, StepsDownAndStops) {
  // 0.05 / 4, / 3, / 2, / 1: the third fails, so the fourth is not looked at.
  EXPECT_EQ(holm(std::vector<double>{0.01, 0.04, 0.016, 0.045}, 0.05), (std::vector<bool>{true, false, true, false}));
  EXPECT_EQ(holm(std::vector<double>{0.02, 0.02, 0.02}, 0.05), (std::vector<bool>{false, false, false}));
  EXPECT_EQ(holm(std::vector<double>{0.049}, 0.05), (std::vector<bool>{true}));
  EXPECT_TRUE(holm({}, 0.05).empty());
}

// 31 true hypotheses under skewed noise with outliers: some is rejected in no more than a twentieth of the families,
// where single tests at 5 % do so in about half.
TEST(Holm, KeepsTheErrorOfTheFamily) {
  Rng rng(11);
  constexpr int families = 2000, members = 31, rounds = 25;
  int wrong = 0, wrong_alone = 0;
  for (int family = 0; family < families; ++family) {
    std::vector<double> p_values;
    for (int member = 0; member < members; ++member) {
      std::vector<double> differences(rounds);
      // A median of 0, far more above than below.
      for (auto& x : differences) x = std::exp(3 * (rng.uniform() - 0.5)) - 1;
      p_values.push_back(sign_test(differences));
    }
    const auto rejected = holm(p_values, 0.05);
    wrong += std::count(rejected.begin(), rejected.end(), true) > 0 ? 1 : 0;
    wrong_alone += *std::min_element(p_values.begin(), p_values.end()) <= 0.05 ? 1 : 0;
  }
  EXPECT_LE(wrong, families * 0.05 + 3 * std::sqrt(families * 0.05 * 0.95));
  EXPECT_GT(wrong_alone, families / 3);
}

}  // namespace
}  // namespace warpwright
