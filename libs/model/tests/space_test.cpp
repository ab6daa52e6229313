#include <algorithm>
#include <cmath>
#include <ctime>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdexcept>

#include <warpwright/model/space.hpp>

namespace warpwright {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

Value integer(std::int64_t i) { return i; }

Parameter parameter(std::string name, std::vector<std::int64_t> values) {
  Parameter result;
  result.name = std::move(name);
  for (const auto v : values) result.values.push_back(v);
  return result;
}

std::vector<std::int64_t> range(std::int64_t first, std::int64_t last, std::int64_t step = 1) {
  std::vector<std::int64_t> values;
  for (auto v = first; v <= last; v += step) values.push_back(v);
  return values;
}

std::vector<Constraint> constraints(const std::vector<std::string>& texts) {
  std::vector<Constraint> result;
  for (const auto& text : texts) result.push_back(Constraint::parse(text));
  return result;
}

Error refusal(std::vector<Parameter> parameters, std::vector<Constraint> conditions, const SpaceOptions& options = {}) {
  try {
    build_space(std::move(parameters), std::move(conditions), options);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::bad_input) << error.what();
    return error;
  }
  ADD_FAILURE() << "no error was thrown";
  return Error(ErrorCode::internal, "");
}

void expect_bijective(const Space& space) {
  for (std::uint64_t i = 0; i < space.size(); ++i) ASSERT_EQ(space.index_of(space.at(i)), i);
}

TEST(Space, IndexIsLexicographicInDeclaredOrder) {
  const auto space = build_space({parameter("a", {2, 1}), parameter("b", {1, 2, 3})}, constraints({"a * b != 2"}));
  ASSERT_EQ(space->size(), 4u);
  EXPECT_EQ(space->at(0).describe(), "a=2, b=2");
  EXPECT_EQ(space->at(1).describe(), "a=2, b=3");
  EXPECT_EQ(space->at(2).describe(), "a=1, b=1");
  EXPECT_EQ(space->at(3).describe(), "a=1, b=3");
  EXPECT_EQ(space->cartesian_size(), 6);
  EXPECT_EQ(space->parameters().size(), 2u);
  EXPECT_EQ(space->constraints().front().text, "a * b != 2");
}

TEST(Space, IndexStaysLexicographicWhenGroupsInterleave) {
  // a and c form one group, b and d another, e is free.
  const auto space = build_space({parameter("a", {1, 2, 3}), parameter("b", {1, 2, 3}), parameter("e", {5, 6}),
                                  parameter("c", {1, 2, 3}), parameter("d", {1, 2, 3})},
                                 constraints({"a <= c", "b != d"}));
  std::vector<std::string> expected;
  for (int a = 1; a <= 3; ++a) {
    for (int b = 1; b <= 3; ++b) {
      for (int e = 5; e <= 6; ++e) {
        for (int c = a; c <= 3; ++c) {
          for (int d = 1; d <= 3; ++d) {
            if (b == d) continue;
            expected.push_back(Configuration{
                {"a", integer(a)}, {"b", integer(b)}, {"e", integer(e)}, {"c", integer(c)}, {"d", integer(d)}}
                                   .describe());
          }
        }
      }
    }
  }
  ASSERT_EQ(space->size(), expected.size());
  for (std::uint64_t i = 0; i < space->size(); ++i) EXPECT_EQ(space->at(i).describe(), expected[i]);
  expect_bijective(*space);
}

TEST(Space, IndexOfAcceptsAnyOrderAndEqualValues) {
  const auto space = build_space({parameter("a", {1, 2}), parameter("b", {1, 2, 3})}, constraints({"a < b"}));
  EXPECT_EQ(space->index_of(Configuration{{"b", integer(3)}, {"a", integer(2)}}), 2u);
  EXPECT_EQ(space->index_of(Configuration{{"a", 1.0}, {"b", 2.0}}), 0u);
  EXPECT_EQ(space->index_of(Configuration{{"a", true}, {"b", integer(2)}}), 0u);
  EXPECT_FALSE(space->contains(Configuration{{"a", integer(2)}, {"b", integer(2)}})) << "violates the constraint";
  EXPECT_FALSE(space->contains(Configuration{{"a", integer(5)}, {"b", integer(2)}})) << "undeclared value";
  EXPECT_FALSE(space->contains(Configuration{{"a", std::string("1")}, {"b", integer(2)}})) << "a string is no number";
  EXPECT_FALSE(space->contains(Configuration{{"a", integer(1)}}));
  EXPECT_FALSE(space->contains(Configuration{{"a", integer(1)}, {"c", integer(2)}}));
  EXPECT_FALSE(space->contains(Configuration{{"a", integer(1)}, {"b", integer(2)}, {"c", integer(2)}}));
  EXPECT_FALSE(space->contains(Configuration{{"a", std::nan("")}, {"b", integer(2)}}));
}

TEST(Space, AtThrowsOutside) {
  const auto space = build_space({parameter("a", {1, 2})}, {});
  try {
    space->at(2);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::not_found);
    EXPECT_THAT(error.what(), HasSubstr("index 2"));
  }
}

TEST(Space, AllTypesOfValues) {
  Parameter layout, fraction, flag;
  layout.name = "layout";
  layout.values = {std::string("row"), std::string("padded"), std::string("")};
  layout.default_value = std::string("padded");
  fraction.name = "fraction";
  fraction.values = {0.25, 0.5, integer(1)};
  flag.name = "flag";
  flag.values = {false, true};
  const auto space =
      build_space({layout, fraction, flag}, constraints({"flag or layout in ['row', '']", "fraction * 4 >= 2"}));
  EXPECT_EQ(space->size(), 2u * 2u + 3u * 2u);
  expect_bijective(*space);
  EXPECT_EQ(space->defaults().describe(), "layout='padded', fraction=0.25, flag=false");
  EXPECT_EQ(to_string(ParameterRole::define), "define");
  EXPECT_EQ(to_string(ParameterRole::template_argument), "template");
  EXPECT_EQ(to_string(ParameterRole::option), "option");
  EXPECT_EQ(to_string(ParameterRole::block), "block");
}

TEST(Space, ManyValuesNeedWiderColumns) {
  const auto space =
      build_space({parameter("a", range(0, 69999)), parameter("b", range(0, 299)), parameter("c", {0, 1})},
                  constraints({"a % 3500 == 0", "a // 3500 == b // 15 and b % 2 == c"}));
  ASSERT_GT(space->size(), 10u);
  expect_bijective(*space);
  EXPECT_EQ(space->at(space->size() - 1).describe(), "a=66500, b=299, c=1");
}

// Other solvers prune by partial products and lose the configurations in which a later factor is below 1.
TEST(Space, ProductsWithFactorsBelowOneLoseNothing) {
  EXPECT_EQ(
      build_space({parameter("block", {32, 64, 128}), parameter("stages", {0, 1, 2}), parameter("padded", {0, 1})},
                  constraints({"block * stages * padded <= 8"}))
          ->size(),
      12u);
  auto fraction = parameter("fraction", {});
  fraction.values = {0.5, 1.5, 2.0};
  EXPECT_EQ(build_space({parameter("block", {10, 20, 30}), fraction, parameter("b", {0, 1, 2})},
                        constraints({"8 < block * fraction * b < 28"}))
                ->size(),
            6u);
}

TEST(Space, WithoutParametersThereIsOneConfiguration) {
  const auto space = build_space({}, {});
  EXPECT_EQ(space->size(), 1u);
  EXPECT_EQ(space->exact_size(), "1");
  EXPECT_EQ(space->at(0), Configuration());
  EXPECT_EQ(space->index_of(Configuration()), 0u);
  EXPECT_EQ(space->index_of(Configuration({{"a", Value(std::int64_t{1})}})), std::nullopt);
  EXPECT_THAT(space->neighbours(0, Neighbourhood::hamming), testing::IsEmpty());
  EXPECT_EQ(space->nearest({}), 0u);
  Rng rng(1);
  EXPECT_EQ(space->draw(rng), 0u);
  // Conditions over constants alone decide about it.
  SpaceOptions options;
  options.constants = {{"n", Value(std::int64_t{8})}};
  EXPECT_EQ(build_space({}, constraints({"n % 8 == 0"}), options)->size(), 1u);
  EXPECT_THROW(build_space({}, constraints({"n % 3 == 0"}), options), Error);
}

// ---- declarations that are wrong
// ----------------------------------------------------------------------------------------

TEST(SpaceErrors, Parameters) {
  auto with_position = parameter("a", {1});
  with_position.position = InputPosition{"k.toml", 7, 0, "parameters.a"};
  const auto twice = refusal({parameter("a", {1}), with_position}, {});
  EXPECT_THAT(twice.what(),
              AllOf(HasSubstr("'a' is declared twice"), HasSubstr("k.toml:7"), HasSubstr("parameters.a")));
  EXPECT_THAT(refusal({parameter("", {1})}, {}).what(), HasSubstr("empty name"));
  EXPECT_THAT(refusal({parameter("a", {})}, {}).what(), HasSubstr("'a' has no values"));
  EXPECT_THAT(refusal({parameter("a", {1, 2, 1})}, {}).what(), HasSubstr("lists the value 1 twice"));
  auto mixed = parameter("a", {1, 2});
  mixed.values.push_back(1.0);
  EXPECT_THAT(refusal({mixed}, {}).what(), HasSubstr("1 and its equal 1.0"));
  mixed.values.back() = true;
  EXPECT_THAT(refusal({mixed}, {}).what(), HasSubstr("1 and its equal true"));
  mixed.values.back() = std::nan("");
  EXPECT_THAT(refusal({mixed}, {}).what(), HasSubstr("NaN"));
  mixed.values.back() = std::string("1");
  EXPECT_EQ(build_space({mixed}, {})->size(), 3u) << "a string is not equal to a number";
  auto defaulted = parameter("max_tfactor", {10});
  defaulted.default_value = integer(1);
  EXPECT_THAT(refusal({defaulted}, {}).what(),
              AllOf(HasSubstr("default 1"), HasSubstr("'max_tfactor'"), HasSubstr("values: 10")));
}

TEST(SpaceErrors, MisspeltNameInAConstraintIsNamed) {
  const auto error =
      refusal({parameter("block_x", {1}), parameter("block_y", {1})},
              {Constraint::parse("blockx * block_y <= 1024", InputPosition{"k.toml", 9, 0, "constraints[0]"})});
  EXPECT_THAT(error.what(), AllOf(HasSubstr("'blockx'"), HasSubstr("did you mean 'block_x'?"), HasSubstr("k.toml:9"),
                                  HasSubstr("blockx * block_y <= 1024")));
  EXPECT_THAT(refusal({parameter("a", {1})}, constraints({"zebra > 1"})).what(), HasSubstr("known are a"));
}

TEST(SpaceErrors, ConstraintTextAndPosition) {
  try {
    Constraint::parse("a && b", InputPosition{"k.toml", 9, 0, "constraints[0]"});
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr("k.toml:9"), HasSubstr("column 3"), HasSubstr("'and'")));
  }
  Constraint nothing;
  nothing.text = "hollow";
  EXPECT_THAT(refusal({parameter("a", {1})}, {nothing}).what(), HasSubstr("'hollow'"));
}

// ---- constants and callables
// --------------------------------------------------------------------------------------------

TEST(Space, ConstantsAreKnownToConstraints) {
  SpaceOptions options;
  options.constants = {{"width", integer(96)}, {"a", integer(1000)}};
  const auto space =
      build_space({parameter("a", {16, 32, 64})}, constraints({"width % a == 0", "width > 50"}), options);
  EXPECT_EQ(space->size(), 2u) << "the parameter a hides the constant a";
  options.constants.front().second = integer(40);
  const auto error = refusal({parameter("a", {16, 32, 64})}, constraints({"a > 16", "width > 50"}), options);
  EXPECT_THAT(error.what(), AllOf(HasSubstr("'width > 50'"), Not(HasSubstr("'a > 16'")), HasSubstr("rejects 3 of 3")));
}

TEST(Space, CallablesMayCaptureAndSeeAllParameters) {
  std::int64_t limit = 5;
  const auto within = Constraint::from("sum within limit", [&limit](const Configuration& c) {
    return *as_integer(c.at("a")) + *as_integer(c.at("b")) <= limit;
  });
  auto conditions = constraints({"a > 1"});
  conditions.push_back(within);
  const auto space =
      build_space({parameter("a", range(1, 4)), parameter("b", range(1, 4)), parameter("c", {7, 8})}, conditions);
  EXPECT_EQ(space->size(), 2u * (3 + 2 + 1));
  expect_bijective(*space);
  EXPECT_FALSE(space->contains(Configuration{{"a", integer(4)}, {"b", integer(4)}, {"c", integer(7)}}));
  const auto never = Constraint::from("never", [](const Configuration&) { return false; });
  EXPECT_THAT(refusal({parameter("a", {1, 2})}, {never}).what(),
              AllOf(HasSubstr("'never'"), HasSubstr("rejects 2 of 2")));
}

// ---- evaluation errors
// ----------------------------------------------------------------------------------------------------

TEST(EvaluationErrors, CountOnlyWhereEverythingElseAccepts) {
  const std::vector<Parameter> parameters{parameter("a", {4, 6}), parameter("b", {0, 2, 3})};
  // Every order, and as one constraint or two: b == 0 is rejected elsewhere, so its division by zero never decides.
  for (const auto& texts : std::vector<std::vector<std::string>>{{"a % b == 0", "b != 0"},
                                                                 {"b != 0", "a % b == 0"},
                                                                 {"a % b == 0 and b != 0"},
                                                                 {"b != 0 and a % b == 0"},
                                                                 {"a // (b * b) >= 0", "b", "a % b == 0"}}) {
    const auto space = build_space(parameters, constraints(texts));
    EXPECT_EQ(space->size(), 3u) << texts.front();
  }
}

TEST(EvaluationErrors, ThatDecideNameConditionConfigurationAndCause) {
  const std::vector<Parameter> parameters{parameter("a", {4, 6}), parameter("b", {0, 2, 3}), parameter("c", {1, 2})};
  for (const auto& texts :
       std::vector<std::vector<std::string>>{{"a % b == 0", "c > 1", "a > 4"}, {"a > 4", "a % b == 0", "c > 1"}}) {
    const auto error = refusal(parameters, constraints(texts));
    EXPECT_THAT(error.what(),
                AllOf(HasSubstr("'a % b == 0'"), HasSubstr("a=6, b=0, c=2"), HasSubstr("division by zero: 6 % 0")));
  }
  const auto unary = refusal(parameters, constraints({"10 // b > 0"}));
  EXPECT_THAT(unary.what(), AllOf(HasSubstr("a=4, b=0, c=1"), HasSubstr("10 // 0")));
  const auto type = refusal(parameters, constraints({"a < 'x'"}));
  EXPECT_THAT(type.what(), AllOf(HasSubstr("'a < 'x''"), HasSubstr("int and str")));
  SpaceOptions options;
  options.constants = {{"n", integer(0)}};
  EXPECT_THAT(refusal(parameters, constraints({"5 % n == 0"}), options).what(), HasSubstr("5 % 0"));
  // The other group is empty: the error does not count.
  EXPECT_THAT(refusal(parameters, constraints({"a % b == 0", "c > 2"})).what(),
              AllOf(HasSubstr("empty"), HasSubstr("'c > 2'")));
}

TEST(EvaluationErrors, OfCallablesFollowTheSameRule) {
  const auto throws = Constraint::from("picky", [](const Configuration& c) {
    if (c.at("a") == integer(1)) throw std::runtime_error("no ones please");
    return true;
  });
  EXPECT_THAT(refusal({parameter("a", {1, 2})}, {throws}).what(),
              AllOf(HasSubstr("'picky'"), HasSubstr("a=1"), HasSubstr("no ones please")));
  EXPECT_EQ(build_space({parameter("a", {1, 2})}, {throws, Constraint::parse("a != 1")})->size(), 1u);
}

// ---- empty spaces
// ---------------------------------------------------------------------------------------------------------

TEST(EmptySpace, NamesTheOneImpossibleCondition) {
  const auto error =
      refusal({parameter("a", {1, 2}), parameter("b", {1, 2, 3})}, constraints({"b < 3", "a > 2", "a + b > 2"}));
  EXPECT_THAT(error.what(), AllOf(HasSubstr("empty"), HasSubstr("'a > 2'"), HasSubstr("rejects 6 of 6 combinations"),
                                  Not(HasSubstr("'b < 3'")), Not(HasSubstr("'a + b > 2'"))));
}

TEST(EmptySpace, NamesAMinimalSet) {
  auto conditions = constraints({"a != 4", "a + b <= 3", "c > 0", "a * b >= 6", "b != 1"});
  conditions[1].position = InputPosition{"k.toml", 12, 0, "constraints[1]"};
  const auto error =
      refusal({parameter("a", range(1, 4)), parameter("b", range(1, 4)), parameter("c", {0, 1})}, conditions);
  EXPECT_THAT(error.what(),
              AllOf(HasSubstr("'a + b <= 3' (alone rejects 26 of 32 combinations)"),
                    HasSubstr("'a * b >= 6' (alone rejects 16 of 32 combinations)"), HasSubstr("k.toml:12")));
  EXPECT_THAT(error.what(), AllOf(Not(HasSubstr("'c > 0'")), Not(HasSubstr("'a != 4'")), Not(HasSubstr("'b != 1'"))));
}

TEST(EmptySpace, LargeSpacesAreExplainedWithoutCountingForEver) {
  const std::clock_t start = std::clock();  // processor time: a busy machine does not count
  const auto values = range(1, 200);
  const auto error =
      refusal({parameter("a", values), parameter("b", values), parameter("c", values), parameter("d", values)},
              constraints({"a > b", "b > c", "c > a", "d < 5"}));
  EXPECT_THAT(error.what(),
              AllOf(HasSubstr("'a > b'"), HasSubstr("'b > c'"), HasSubstr("'c > a'"), Not(HasSubstr("'d < 5'"))));
  EXPECT_LT(static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC, 60);
}

// ---- the test spaces of the field
// -----------------------------------------------------------------------------------------

std::unique_ptr<Space> ktt_gemm(bool cuda) {
  const std::vector<std::int64_t> vector_widths =
      cuda ? std::vector<std::int64_t>{1, 2, 4} : std::vector<std::int64_t>{1, 2, 4, 8};
  return build_space(
      {parameter("MWG", {16, 32, 64, 128}), parameter("NWG", {16, 32, 64, 128}), parameter("KWG", {16, 32}),
       parameter("MDIMC", {8, 16, 32}), parameter("NDIMC", {8, 16, 32}), parameter("MDIMA", {8, 16, 32}),
       parameter("NDIMB", {8, 16, 32}), parameter("KWI", {2, 8}), parameter("VWM", vector_widths),
       parameter("VWN", vector_widths), parameter("STRM", {0, 1}), parameter("STRN", {0, 1}), parameter("SA", {0, 1}),
       parameter("SB", {0, 1}), parameter("PRECISION", {32})},
      constraints({"KWG%KWI==0", "MWG%(MDIMC*VWM)==0", "NWG%(NDIMC*VWN)==0", "MWG%(MDIMA*VWM)==0", "NWG%(NDIMB*VWN)==0",
                   "KWG%((MDIMC*NDIMC)//MDIMA)==0", "KWG%((MDIMC*NDIMC)//NDIMB)==0"}));
}

TEST(TestSpaces, KttGemm) {
  const auto cuda = ktt_gemm(true);
  EXPECT_EQ(cuda->cartesian_size(), 746496);
  EXPECT_EQ(cuda->size(), 205216u);
  const auto opencl = ktt_gemm(false);
  EXPECT_EQ(opencl->cartesian_size(), 1327104);
  EXPECT_EQ(opencl->size(), 241600u);
  for (std::uint64_t i = 0; i < opencl->size(); i += 97) ASSERT_EQ(opencl->index_of(opencl->at(i)), i);
}

TEST(TestSpaces, HotspotLike) {
  auto bx = std::vector<std::int64_t>{1, 2, 4, 8, 16};
  for (const auto v : range(32, 1024, 32)) bx.push_back(v);
  const std::string s = "(bx*tx+2*t)*(by*ty+2*t)*(2+sh)*4";
  const auto space =
      build_space({parameter("bx", bx), parameter("by", {1, 2, 4, 8, 16, 32}), parameter("tx", range(1, 10)),
                   parameter("ty", range(1, 10)), parameter("t", range(1, 10)), parameter("u", range(1, 10)),
                   parameter("sh", {0, 1}), parameter("b", range(0, 4))},
                  constraints({"32 <= bx*by <= 1024", "t%u==0", s + " <= 49152", "b==0 or " + s + "*b <= 65536"}));
  EXPECT_EQ(space->cartesian_size(), 22'200'000);
  EXPECT_EQ(space->size(), 279639u);
}

TEST(TestSpaces, OrderOfDeclarationDecidesNothing) {
  std::vector<std::string> texts{"4096%WPT==0", "(4096//WPT)%LS==0", "LS%U==0"};
  std::vector<std::string> names{"LS", "U", "WPT"};
  std::sort(texts.begin(), texts.end());
  const std::clock_t start = std::clock();
  do {
    std::vector<Parameter> parameters;
    for (const auto& name : names) parameters.push_back(parameter(name, range(1, 4096)));
    std::string first, middle, last;
    do {
      const auto space = build_space(parameters, constraints(texts));
      ASSERT_EQ(space->size(), 455u);
      if (first.empty()) {
        first = space->at(0).describe();
        middle = space->at(200).describe();
        last = space->at(454).describe();
        expect_bijective(*space);
      }
      EXPECT_EQ(space->at(0).describe(), first);
      EXPECT_EQ(space->at(200).describe(), middle);
      EXPECT_EQ(space->at(454).describe(), last);
    } while (std::next_permutation(texts.begin(), texts.end()));
  } while (std::next_permutation(names.begin(), names.end()));
  // About a second in all; searched in declared order, the two worst orders of parameters alone take minutes.
  EXPECT_LT(static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC, 60);
}

TEST(TestSpaces, WideSpacesHaveIndicesBeyond32Bits) {
  std::vector<Parameter> parameters;
  for (int i = 0; i < 9; ++i) parameters.push_back(parameter("p" + std::to_string(i), range(0, 15)));
  const auto free = build_space(parameters, {});
  EXPECT_EQ(free->size(), std::uint64_t{1} << 36);
  const std::uint64_t index = 0x9ABCDEF01;
  EXPECT_EQ(free->at(index).describe(), "p0=9, p1=10, p2=11, p3=12, p4=13, p5=14, p6=15, p7=0, p8=1");
  EXPECT_EQ(free->index_of(free->at(index)), index);

  const auto bound = build_space(parameters, constraints({"p0 < p8", "(p1 + p7) % 3 == 0", "p4 * p5 > 7"}));
  EXPECT_GT(bound->size(), 1'000'000'000u);
  for (std::uint64_t i = 0; i < bound->size(); i += bound->size() / 1000) {
    const Configuration configuration = bound->at(i);
    ASSERT_EQ(bound->index_of(configuration), i);
    ASSERT_LT(*as_integer(configuration.at("p0")), *as_integer(configuration.at("p8")));
  }
}

TEST(TestSpaces, TooLargeIsSaid) {
  SpaceOptions options;
  options.max_edges = 1000;
  const auto values = range(1, 100);
  const auto error = refusal({parameter("a", values), parameter("b", values)}, constraints({"a <= b"}), options);
  EXPECT_THAT(error.what(), HasSubstr("more than 1000 edges"));
  EXPECT_EQ(build_space({parameter("a", values), parameter("b", values), parameter("c", values)}, {}, options)->size(),
            1'000'000u);
  std::vector<Parameter> parameters;
  for (int i = 0; i < 33; ++i) parameters.push_back(parameter("p" + std::to_string(i), range(0, 15)));
  EXPECT_THAT(refusal(parameters, {}).what(), HasSubstr("2^128"));
  std::string sum = "p0";
  for (int i = 1; i < 17; ++i) sum += " + p" + std::to_string(i);
  parameters.resize(17);
  EXPECT_THAT(refusal(parameters, constraints({sum + " >= 1"})).what(), HasSubstr("2^64 combinations"));
}

TEST(TestSpaces, MoreThanSixtyFourBitsAreCountedDrawnAndAsked) {
  std::vector<Parameter> parameters;
  for (int i = 0; i < 20; ++i) parameters.push_back(parameter("p" + std::to_string(i), range(0, 15)));
  const auto space = build_space(parameters, constraints({"p0 < p19"}));
  EXPECT_EQ(space->exact_size(), "566683977944357425643520") << "16^18 * 120";
  EXPECT_EQ(space->size(), static_cast<std::uint64_t>(-1));
  Rng rng(1);
  bool late = false;
  for (int i = 0; i < 100; ++i) {
    const Choice choice = space->draw_choice(rng);
    EXPECT_TRUE(space->contains_choice(choice));
    EXPECT_TRUE(space->contains(space->configuration(choice)));
    EXPECT_LT(choice.front(), choice.back());
    late = late || choice.front() > 7;
  }
  EXPECT_TRUE(late);
  const std::uint64_t index = 0xFEDCBA9876543210;
  EXPECT_EQ(space->index_of(space->at(index)), index);
  Choice last(20, 15);
  last.front() = 14;
  EXPECT_THROW(space->find_choice(last), Error);
  EXPECT_FALSE(space->contains_choice(Choice(20, 15)));
}

}  // namespace
}  // namespace warpwright
