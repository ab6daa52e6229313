// Spaces that are never listed: two published spaces joined, with and without a constraint that links them.
#include <cmath>
#include <cstdint>
#include <gtest/gtest.h>
#include <map>
#include <string>
#include <vector>

#include <warpwright/model/sampling.hpp>
#include <warpwright/model/space.hpp>

namespace warpwright {
namespace {

using Lists = std::vector<std::pair<std::string, std::string>>;

// The spaces of the GEMM and hotspot kernels of the auto-tuning benchmark hub; prefixes keep their names apart.
const Lists gemm_lists{{"g_GEMMK", "[0]"},
                       {"g_MWG", "[16, 32, 64, 128]"},
                       {"g_NWG", "[16, 32, 64, 128]"},
                       {"g_KWG", "[16, 32]"},
                       {"g_MDIMC", "[8, 16, 32]"},
                       {"g_NDIMC", "[8, 16, 32]"},
                       {"g_MDIMA", "[8, 16, 32]"},
                       {"g_NDIMB", "[8, 16, 32]"},
                       {"g_KWI", "[2]"},
                       {"g_VWM", "[1, 2, 4, 8]"},
                       {"g_VWN", "[1, 2, 4, 8]"},
                       {"g_STRM", "[0, 1]"},
                       {"g_STRN", "[0, 1]"},
                       {"g_SA", "[0, 1]"},
                       {"g_SB", "[0, 1]"},
                       {"g_KREG", "[1]"},
                       {"g_PRECISION", "[32]"}};
const std::vector<std::string> gemm_conditions{"g_KWG % g_KWI == 0",
                                               "g_MWG % (g_MDIMC * g_VWM) == 0",
                                               "g_NWG % (g_NDIMC * g_VWN) == 0",
                                               "g_MWG % (g_MDIMA * g_VWM) == 0",
                                               "g_NWG % (g_NDIMB * g_VWN) == 0",
                                               "g_KWG % ((g_MDIMC * g_NDIMC)/g_MDIMA) == 0",
                                               "g_KWG % ((g_MDIMC * g_NDIMC)/g_NDIMB) == 0",
                                               "not (g_MWG == 128 and g_NWG == 128 and g_MDIMC == 8 and g_NDIMC == 8)"};
const Lists hotspot_lists{{"h_width", "[4096]"},
                          {"h_height", "[4096]"},
                          {"h_bx", "[1, 2, 4, 8, 16] + list(range(32, 1025, 32))"},
                          {"h_by", "[2**i for i in range(0, 6)]"},
                          {"h_tx", "list(range(1, 11))"},
                          {"h_ty", "list(range(1, 11))"},
                          {"h_t", "list(range(1, 11))"},
                          {"h_max", "[10]"},
                          {"h_u", "list(range(1, 11))"},
                          {"h_sh", "[0, 1]"}};
const std::vector<std::string> hotspot_conditions{
    "h_bx*h_by >= 32", "h_t % h_u == 0", "h_bx*h_by <= 1024",
    "(h_bx*h_tx + h_t * 2) * (h_by*h_ty + h_t * 2) * (2+h_sh) * 4 <= 49152"};

std::unique_ptr<Space> build(const std::vector<const Lists*>& lists,
                             const std::vector<const std::vector<std::string>*>& conditions,
                             const std::string& link = "") {
  std::vector<Parameter> parameters;
  std::vector<Constraint> constraints;
  const auto nothing = [](std::string_view) -> const ExpressionValue* { return nullptr; };
  for (const Lists* part : lists) {
    for (const auto& [name, values] : *part) {
      auto& parameter = parameters.emplace_back();
      parameter.name = name;
      const ExpressionValue list = Expression::parse(values).evaluate(nothing);
      for (const auto& element : std::get<ExpressionList>(list)) parameter.values.push_back(element.scalar());
    }
  }
  for (const auto* part : conditions) {
    for (const auto& text : *part) constraints.push_back(Constraint::parse(text));
  }
  if (!link.empty()) constraints.push_back(Constraint::parse(link));
  return build_space(std::move(parameters), std::move(constraints));
}

std::int64_t value(const Configuration& configuration, const std::string& name) {
  return std::get<std::int64_t>(configuration.at(name));
}

// Pearson's statistic against a uniform distribution, in standard deviations from its mean.
double chi_square_deviation(const std::vector<std::uint64_t>& counts) {
  double total = 0, sum = 0;
  for (const auto count : counts) total += static_cast<double>(count);
  const double expected = total / static_cast<double>(counts.size());
  for (const auto count : counts) sum += std::pow(static_cast<double>(count) - expected, 2) / expected;
  const double freedom = static_cast<double>(counts.size() - 1);
  return (sum - freedom) / std::sqrt(2 * freedom);
}

// How many configurations give each product of two parameters.
std::map<std::int64_t, std::uint64_t> products(const Space& space, const std::string& a, const std::string& b) {
  std::map<std::int64_t, std::uint64_t> histogram;
  for (std::uint64_t i = 0; i < space.size(); ++i) {
    const Configuration configuration = space.at(i);
    ++histogram[value(configuration, a) * value(configuration, b)];
  }
  return histogram;
}

TEST(LargeSpaces, SamplesOfASmallSpaceAreUniform) {
  const auto space = build({&gemm_lists}, {&gemm_conditions}, "g_MWG == 64 and g_SA + g_SB + g_STRM + g_STRN == 1");
  ASSERT_LT(space->size(), 20000u);
  std::vector<std::uint64_t> by_index(space->size(), 0), by_choice(space->size(), 0);
  Rng rng(11);
  const std::size_t draws = 20 * static_cast<std::size_t>(space->size());
  for (const auto index : sample(*space, draws, rng, Replacement::with)) ++by_index[index];
  for (std::size_t i = 0; i < draws; ++i) ++by_choice[*space->find_choice(space->draw_choice(rng))];
  EXPECT_LT(std::fabs(chi_square_deviation(by_index)), 5);
  EXPECT_LT(std::fabs(chi_square_deviation(by_choice)), 5);
}

TEST(LargeSpaces, JoinedSpacesAreCountedAndSampled) {
  const auto space = build({&gemm_lists, &hotspot_lists}, {&gemm_conditions, &hotspot_conditions});
  EXPECT_EQ(space->cartesian_size(), 2'946'170'880'000.0);
  EXPECT_EQ(space->size(), 9'703'153'152u);
  std::vector<std::uint64_t> counts(1000, 0);
  Rng rng(5);
  bool late = false;
  for (int i = 0; i < 100000; ++i) {
    const auto index = *space->find_choice(space->draw_choice(rng));
    late = late || index > std::uint64_t{1} << 32;
    ++counts[static_cast<std::size_t>(static_cast<double>(index) / static_cast<double>(space->size()) * 1000)];
  }
  EXPECT_TRUE(late);
  EXPECT_LT(std::fabs(chi_square_deviation(counts)), 5);
}

TEST(LargeSpaces, LinkedSpacesAreCountedAsTheHistogramsOfTheirPartsSay) {
  const auto gemm = build({&gemm_lists}, {&gemm_conditions});
  const auto hotspot = build({&hotspot_lists}, {&hotspot_conditions});
  std::uint64_t expected = 0;
  for (const auto& [tile, tiles] : products(*gemm, "g_MWG", "g_NWG")) {
    for (const auto& [width, widths] : products(*hotspot, "h_bx", "h_tx"))
      expected += tile >= 8 * width ? tiles * widths : 0;
  }
  const auto linked =
      build({&gemm_lists, &hotspot_lists}, {&gemm_conditions, &hotspot_conditions}, "g_MWG * g_NWG >= 8 * h_bx * h_tx");
  EXPECT_EQ(linked->size(), expected);
  Rng rng(2);
  std::vector<std::uint64_t> counts(500, 0);
  for (int i = 0; i < 50000; ++i) {
    const Choice choice = linked->draw_choice(rng);
    const auto index = *linked->find_choice(choice);
    ASSERT_EQ(linked->choice_at(index), choice);
    const Configuration configuration = linked->configuration(choice);
    ASSERT_GE(value(configuration, "g_MWG") * value(configuration, "g_NWG"),
              8 * value(configuration, "h_bx") * value(configuration, "h_tx"));
    ++counts[static_cast<std::size_t>(static_cast<double>(index) / static_cast<double>(linked->size()) * 500)];
  }
  EXPECT_LT(std::fabs(chi_square_deviation(counts)), 5);
}

TEST(LargeSpaces, ALinkedSpaceCutDownEqualsBruteForce) {
  const Lists lists{{"m", "[16, 32, 64]"},    {"n", "[16, 32]"},   {"d", "[8, 16]"},      {"v", "[1, 2, 4]"},
                    {"bx", "[1, 8, 16, 32]"}, {"tx", "[1, 2, 3]"}, {"t", "[1, 2, 3, 4]"}, {"u", "[1, 2, 3, 4]"}};
  const std::vector<std::string> conditions{"m % (d * v) == 0", "t % u == 0", "(bx * tx + 2 * t) * n <= 2048",
                                            "m * n >= 8 * bx * tx"};
  const auto space = build({&lists}, {&conditions});
  std::uint64_t found = 0;
  for (const int m : {16, 32, 64})
    for (const int n : {16, 32})
      for (const int d : {8, 16})
        for (const int v : {1, 2, 4})
          for (const int bx : {1, 8, 16, 32})
            for (const int tx : {1, 2, 3})
              for (const int t : {1, 2, 3, 4})
                for (const int u : {1, 2, 3, 4}) {
                  if (m % (d * v) != 0 || t % u != 0 || (bx * tx + 2 * t) * n > 2048 || m * n < 8 * bx * tx) continue;
                  const Configuration here{{"m", std::int64_t{m}}, {"n", std::int64_t{n}},   {"d", std::int64_t{d}},
                                           {"v", std::int64_t{v}}, {"bx", std::int64_t{bx}}, {"tx", std::int64_t{tx}},
                                           {"t", std::int64_t{t}}, {"u", std::int64_t{u}}};
                  ASSERT_EQ(space->index_of(here), found);
                  ++found;
                }
  EXPECT_EQ(space->size(), found);
}

// A constraint over everything in an order that keeps no small diagram: ranks are counted in the solver's own order.
TEST(LargeSpaces, IndicesAreRightWithoutADiagramInDeclaredOrder) {
  std::vector<Parameter> parameters;
  std::vector<Constraint> constraints;
  // x0 .. x11 first, then y0 .. y11, each y equal to its x: in declared order all of the x must be remembered.
  for (const char* half : {"x", "y"}) {
    for (int i = 0; i < 12; ++i) {
      auto& parameter = parameters.emplace_back();
      parameter.name = half + std::to_string(i);
      for (std::int64_t v = 0; v < 8; ++v) parameter.values.emplace_back(v);
    }
  }
  std::string all = "x0";
  for (int i = 0; i < 12; ++i) {
    constraints.push_back(Constraint::parse("x" + std::to_string(i) + " == y" + std::to_string(i)));
    if (i > 0) all += " + x" + std::to_string(i);
  }
  constraints.push_back(Constraint::parse(all + " >= 1"));
  const auto space = build_space(parameters, constraints);
  EXPECT_EQ(space->size(), (std::uint64_t{1} << 36) - 1);
  Rng rng(9);
  for (int i = 0; i < 5; ++i) {
    const auto index = space->draw(rng);
    const Choice choice = space->choice_at(index);
    std::uint64_t expected = 0;  // x is the number index + 1 in base 8, y the same
    for (int digit = 0; digit < 12; ++digit) {
      expected = expected * 8 + choice[static_cast<std::size_t>(digit)];
      EXPECT_EQ(choice[static_cast<std::size_t>(digit)], choice[static_cast<std::size_t>(digit + 12)]);
    }
    EXPECT_EQ(expected, index + 1);
    EXPECT_EQ(space->find_choice(choice), index);
  }
  // The nearest to x = 0...03, y = 0...05 are x = y = 3, 4 and 5 in the last digit, all 2 steps away: the first counts.
  Choice invalid(24, 0);
  invalid[11] = 3;
  invalid[23] = 5;
  EXPECT_EQ(space->nearest(invalid), 3u - 1);
  EXPECT_EQ(space->nearest(space->choice_at(77)), 77u);
}

}  // namespace
}  // namespace warpwright
