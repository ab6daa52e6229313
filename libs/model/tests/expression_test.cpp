#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include <warpwright/base/error.hpp>
#include <warpwright/model/expression.hpp>

#include "error_of.hpp"

namespace warpwright {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

std::string result_of(std::string_view text) { return Expression::parse(text).evaluate(nullptr).describe(); }

struct Case {
  const char* text;
  const char* result;
};
std::ostream& operator<<(std::ostream& out, const Case& c) { return out << c.text; }

// Results as CPython 3.11 prints them.
class PythonResult : public ::testing::TestWithParam<Case> {};
TEST_P(PythonResult, IsKept) { EXPECT_EQ(result_of(GetParam().text), GetParam().result); }

INSTANTIATE_TEST_SUITE_P(
    Arithmetic, PythonResult,
    ::testing::Values(
        Case{"7/2", "3.5"}, Case{"6/2", "3.0"}, Case{"-7//2", "-4"}, Case{"7//-2", "-4"}, Case{"-7//-2", "3"},
        Case{"-7%3", "2"}, Case{"7%-3", "-2"}, Case{"-7%-3", "-1"}, Case{"-5.5//2", "-3.0"}, Case{"5.5%2", "1.5"},
        Case{"-5.5%2", "0.5"}, Case{"5.5%-2", "-0.5"}, Case{"2**-1", "0.5"}, Case{"2**3**2", "512"},
        Case{"-2**2", "-4"}, Case{"(-2)**2", "4"}, Case{"2**-2**2", "0.0625"}, Case{"True+1", "2"}, Case{"-True", "-1"},
        Case{"+False", "0"}, Case{"~5", "-6"}, Case{"--3", "3"}, Case{"1 - 2 - 3", "-4"}, Case{"2 + 3 * 4", "14"},
        Case{"100 // 7 % 4", "2"}, Case{"0/-17", "-0.0"}, Case{"7 // 2.0", "3.0"}, Case{"1e308 * 10", "inf"},
        Case{"(2**53 + 1) / 1", "9007199254740992.0"}, Case{"9223372036854775807 / 3", "3.0744573456182584e+18"},
        Case{"0 ** 0", "1"}, Case{"(-8) ** 3", "-512"}, Case{"2.0 ** 3", "8.0"}, Case{"-9223372036854775808 % -1", "0"},
        Case{"-9223372036854775808", "-9223372036854775808"}, Case{"-1 ** 4611686018427387904", "-1"},
        Case{"6 & 3", "2"}, Case{"6 | 3", "7"}, Case{"6 ^ 3", "5"}, Case{"1 << 4", "16"}, Case{"-16 >> 2", "-4"},
        Case{"-1 >> 100", "-1"}, Case{"0 << 100", "0"}, Case{"-1 << 63", "-9223372036854775808"},
        Case{"True & False", "False"}, Case{"True | 2", "3"}, Case{"0x1F + 0b11 + 0o17", "49"}, Case{"1_000", "1000"},
        Case{".5 + 5.", "5.5"}, Case{"1e-3", "0.001"}, Case{"1E5", "100000.0"}));

INSTANTIATE_TEST_SUITE_P(
    Logic, PythonResult,
    ::testing::Values(Case{"0 or 5", "5"}, Case{"3 and 0", "0"}, Case{"3 and 4", "4"}, Case{"'' or 'x'", "'x'"},
                      Case{"1<2<3", "True"}, Case{"1<3<2", "False"}, Case{"3>2==2", "True"}, Case{"3>2>1>0>-1", "True"},
                      Case{"not 1==2", "True"}, Case{"not not 3", "True"}, Case{"3&1==1", "True"},
                      Case{"1==1.0", "True"}, Case{"\"1\"==1", "False"}, Case{"\"1\"!=1", "True"},
                      Case{"6%4.0==2", "True"}, Case{"1 == True", "True"}, Case{"None == None", "True"},
                      Case{"None == 0", "False"}, Case{"'a' < 'b'", "True"}, Case{"[1, 2] < [1, 3]", "True"},
                      Case{"[1] < [1, 0]", "True"}, Case{"[1, 2.0] == (1.0, 2)", "True"},
                      Case{"2**53 + 1 == 2.0**53", "False"}, Case{"2**53 + 1 > 2.0**53", "True"},
                      Case{"9223372036854775807 < 2.0**63", "True"}, Case{"3 in [1, 2, 3]", "True"},
                      Case{"3 not in (1, 2)", "True"}, Case{"'b' in 'abc'", "True"}, Case{"1.0 in [1]", "True"},
                      Case{"not 1 in [2]", "True"}, Case{"1 if 0 else 2", "2"}, Case{"1 if 2 else 1/0", "1"},
                      Case{"1 if 0 else 2 if 0 else 3", "3"}, Case{"0 and 1/0", "0"}, Case{"1 or 1/0", "1"},
                      Case{"1 < 0 < 1/0", "False"}, Case{"1 or 0 and 0", "1"}, Case{"true and not false", "True"},
                      Case{"0 == 0 or 5 % 0 == 0", "True"}));

INSTANTIATE_TEST_SUITE_P(
    ListsAndStrings, PythonResult,
    ::testing::Values(Case{"[1, 2] + list(range(32, 129, 32))", "[1, 2, 32, 64, 96, 128]"},
                      Case{"[2**i for i in range(0, 6)]", "[1, 2, 4, 8, 16, 32]"},
                      Case{"[i for i in range(1, 10+1)]", "[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]"},
                      Case{"[x * y for x in range(3) for y in range(3) if x != y]", "[0, 0, 0, 2, 0, 2]"},
                      Case{"[x for x in range(10) if x % 2 if x > 4]", "[5, 7, 9]"},
                      Case{"[[y for y in range(x)] for x in range(3)]", "[[], [0], [0, 1]]"},
                      Case{"[x for x in [x + 1 for x in [1, 2]]]", "[2, 3]"}, Case{"[10, 20, 30][1]", "20"},
                      Case{"[10, 20, 30][-1]", "30"}, Case{"'abc'[1]", "'b'"}, Case{"[[1, 2], [3]][0][1]", "2"},
                      Case{"[]", "[]"}, Case{"()", "[]"}, Case{"(1,)", "[1]"}, Case{"[1, 2,]", "[1, 2]"},
                      Case{"'a' + 'b'", "'ab'"}, Case{"'ab' * 2", "'abab'"}, Case{"[0] * 3", "[0, 0, 0]"},
                      Case{"range(3) + [3]", "[0, 1, 2, 3]"}, Case{"range(10, 0, -4)", "[10, 6, 2]"},
                      Case{"range(3, 3)", "[]"}, Case{"list('ab')", "['a', 'b']"}, Case{"'it\\'s'", "'it\\'s'"},
                      Case{"\"a'b\"", "'a\\'b'"}, Case{"[1, 'x', None, True, 0.5]", "[1, 'x', None, True, 0.5]"}));

INSTANTIATE_TEST_SUITE_P(
    Functions, PythonResult,
    ::testing::Values(
        Case{"min(3, 1, 2)", "1"}, Case{"max([4, 9, 2])", "9"}, Case{"min(1, 1.0)", "1"}, Case{"max(1, True)", "1"},
        Case{"abs(-3)", "3"}, Case{"abs(-2.5)", "2.5"}, Case{"abs(True)", "1"}, Case{"int(-2.7)", "-2"},
        Case{"int(' 12 ')", "12"}, Case{"int(True)", "1"}, Case{"float(3)", "3.0"}, Case{"float('1e3')", "1000.0"},
        Case{"bool([])", "False"}, Case{"bool('0')", "True"}, Case{"round(2.5)", "2"}, Case{"round(3.5)", "4"},
        Case{"round(-2.5)", "-2"}, Case{"round(2.675, 2)", "2.67"}, Case{"round(1.5, 0)", "2.0"},
        Case{"round(1234, -2)", "1200"}, Case{"round(50, -2)", "0"}, Case{"round(150, -2)", "200"},
        Case{"round(-151, -2)", "-200"}, Case{"round(7, 3)", "7"}, Case{"pow(2, 10)", "1024"},
        Case{"pow(2, -1)", "0.5"}, Case{"len([1, 2])", "2"}, Case{"len('abc')", "3"}, Case{"len(range(1000))", "1000"},
        Case{"sum([1, 2, 3])", "6"}, Case{"sum([0.5, 1])", "1.5"}, Case{"sum([[1], [2]], [])", "[1, 2]"},
        Case{"sum([])", "0"}, Case{"sum(x * x for x in range(4))", "14"}, Case{"any([0, 1])", "True"},
        Case{"all([1, 0])", "False"}, Case{"all([])", "True"}, Case{"any(x > 2 for x in [1, 2, 3])", "True"},
        Case{"gcd(12, 18)", "6"}, Case{"math.gcd(12, 18, 8)", "2"}, Case{"gcd()", "0"}, Case{"gcd(-4, 0)", "4"},
        Case{"ceil(1.2)", "2"}, Case{"math.ceil(-1.2)", "-1"}, Case{"math.floor(-1.2)", "-2"}, Case{"floor(3)", "3"},
        Case{"math.log2(8)", "3.0"}, Case{"math.sqrt(9)", "3.0"}, Case{"ceil_div(7, 2)", "4"},
        Case{"ceil_div(-7, 2)", "-3"}, Case{"ceil_div(8, 2)", "4"}, Case{"ceil_div(7.0, 2)", "4.0"}));

TEST(Expression, MatchesATableOfCPythonResults) {
  // Random expressions with the repr() that CPython 3.11 gives for them.
  static constexpr Case table[] = {
#include "python_results.inc"
  };
  for (const auto& [text, result] : table) EXPECT_EQ(result_of(text), result) << text;
}

// ---- errors
// -----------------------------------------------------------------------------------------------------------

struct SyntaxCase {
  const char* text;
  std::size_t column;
  const char* hint;
};
std::ostream& operator<<(std::ostream& out, const SyntaxCase& c) { return out << c.text; }

class SyntaxError : public ::testing::TestWithParam<SyntaxCase> {};
TEST_P(SyntaxError, NamesColumnAndRemedy) {
  try {
    Expression::parse(GetParam().text);
    ADD_FAILURE() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::bad_input);
    ASSERT_TRUE(error.position());
    EXPECT_EQ(error.position()->column, GetParam().column) << error.what();
    EXPECT_THAT(error.what(), HasSubstr(GetParam().hint));
    EXPECT_THAT(error.what(), HasSubstr("column " + std::to_string(GetParam().column)));
  }
}
INSTANTIATE_TEST_SUITE_P(
    All, SyntaxError,
    ::testing::Values(
        SyntaxCase{"", 1, "empty"}, SyntaxCase{"   ", 4, "empty"}, SyntaxCase{"a && b", 3, "'and'"},
        SyntaxCase{"a || b", 3, "'or'"}, SyntaxCase{"!a", 1, "'not'"}, SyntaxCase{"a <> b", 3, "'!='"},
        SyntaxCase{"a = 1", 3, "'=='"}, SyntaxCase{"a += 1", 3, "assign"},
        SyntaxCase{"a ? b : c", 3, "x if condition else y"}, SyntaxCase{"(a + b", 1, "never closed"},
        SyntaxCase{"a + b)", 6, "no opening"}, SyntaxCase{"[1, 2", 1, "never closed"},
        SyntaxCase{"(1]", 3, "needs ')'"}, SyntaxCase{"max(1, 2", 4, "never closed"},
        SyntaxCase{"ciel(2)", 1, "did you mean 'ceil'?"}, SyntaxCase{"math.ciel(2)", 6, "did you mean 'math.ceil'?"},
        SyntaxCase{"os.exit(1)", 1, "only math.NAME"}, SyntaxCase{"math.pi", 6, "must be called"},
        SyntaxCase{"frobnicate(2)", 1, "known are min max"}, SyntaxCase{"abs()", 1, "takes 1 argument, found 0"},
        SyntaxCase{"range(1, 2, 3, 4)", 1, "takes 1 to 3 arguments, found 4"}, SyntaxCase{"min()", 1, "at least 1"},
        SyntaxCase{"1 +", 4, "a value is missing"}, SyntaxCase{"* 2", 1, "expected a value"},
        SyntaxCase{"a b", 3, "expected an operator"}, SyntaxCase{"a is None", 3, "'=='"},
        SyntaxCase{"lambda x: x", 1, "lambdas"}, SyntaxCase{"a if b", 7, "'if' in column 3 needs an 'else'"},
        SyntaxCase{"a not b", 3, "'in' after 'not'"}, SyntaxCase{"1 + not 2", 5, "parentheses"},
        SyntaxCase{"a, b", 2, "brackets"}, SyntaxCase{"x for x in y", 3, "brackets"},
        SyntaxCase{"[x for 1 in y]", 8, "variable"}, SyntaxCase{"[x for x of y]", 10, "expected 'in'"},
        SyntaxCase{"x[1:2]", 4, "slices"}, SyntaxCase{"x[]", 3, "index is missing"}, SyntaxCase{"x.y", 1, "attributes"},
        SyntaxCase{"f'x'", 1, "prefixes"}, SyntaxCase{"'abc", 1, "no closing"}, SyntaxCase{"'\\q'", 2, "escape"},
        SyntaxCase{"12abc", 3, "no suffix"}, SyntaxCase{"1.0f", 4, "no suffix"}, SyntaxCase{"007", 1, "leading zeros"},
        SyntaxCase{"0x", 1, "digits"}, SyntaxCase{"1__0", 5, "underscores"},
        SyntaxCase{"9223372036854775808", 1, "64 bits"}, SyntaxCase{"99999999999999999999", 1, "64 bits"},
        SyntaxCase{"1e999", 1, "range"}, SyntaxCase{"a $ b", 3, "unexpected character '$'"},
        SyntaxCase{"a \xc3\x97 b", 3, "ASCII"}, SyntaxCase{"(1)(2)", 4, "named functions"},
        SyntaxCase{"if", 1, "the word 'if'"}, SyntaxCase{"f(*x)", 1, "unknown function"},
        SyntaxCase{"max(*x)", 5, "unpacking"}, SyntaxCase{"[1,,2]", 4, "a value is missing"}));

struct FailureCase {
  const char* text;
  const char* cause;
};
std::ostream& operator<<(std::ostream& out, const FailureCase& c) { return out << c.text; }

class EvaluationError : public ::testing::TestWithParam<FailureCase> {};
TEST_P(EvaluationError, NamesCauseAndExpression) {
  const auto expression = Expression::parse(GetParam().text);
  const std::string message = refusal([&] { expression.evaluate(nullptr); });
  EXPECT_THAT(message, AllOf(HasSubstr(GetParam().cause), HasSubstr(GetParam().text)));
}
INSTANTIATE_TEST_SUITE_P(
    All, EvaluationError,
    ::testing::Values(
        FailureCase{"1 / 0", "division by zero: 1 / 0"}, FailureCase{"1 // 0", "division by zero"},
        FailureCase{"1 % 0", "division by zero"}, FailureCase{"1.0 % 0", "division by zero"},
        FailureCase{"0 ** -1", "division by zero"}, FailureCase{"ceil_div(1, 0)", "division by zero"},
        FailureCase{"9223372036854775807 + 1", "beyond 64 bits"},
        FailureCase{"-9223372036854775808 - 1", "beyond 64 bits"},
        FailureCase{"4294967296 * 4294967296", "beyond 64 bits"}, FailureCase{"2 ** 63", "beyond 64 bits"},
        FailureCase{"3 ** 4611686018427387904", "beyond 64 bits"},
        FailureCase{"-9223372036854775808 // -1", "beyond 64 bits"},
        FailureCase{"abs(-9223372036854775808)", "beyond 64 bits"},
        FailureCase{"-(-9223372036854775808)", "beyond 64 bits"}, FailureCase{"1 << 63", "beyond 64 bits"},
        FailureCase{"2.0 ** 5000", "beyond 64 bits"}, FailureCase{"int(1e30)", "beyond 64 bits"},
        FailureCase{"sum([9223372036854775807, 1])", "beyond 64 bits"}, FailureCase{"1 << -1", "negative"},
        FailureCase{"(-8) ** 0.5", "complex"}, FailureCase{"1 + 'a'", "int and str"},
        FailureCase{"'a' - 'b'", "str and str"}, FailureCase{"1.5 & 1", "float and int"}, FailureCase{"~1.5", "float"},
        FailureCase{"-'a'", "str"}, FailureCase{"1 < 'a'", "order"}, FailureCase{"None < 1", "order"},
        FailureCase{"1 in 2", "needs a list"}, FailureCase{"1 in 'a'", "int and str"}, FailureCase{"min([])", "empty"},
        FailureCase{"[1][5]", "outside a list of 1 element"}, FailureCase{"[1][-2]", "outside"},
        FailureCase{"[1][0.5]", "integer"}, FailureCase{"5[0]", "needs a list"}, FailureCase{"range(1.5)", "integer"},
        FailureCase{"range(1, 2, 0)", "step"}, FailureCase{"range(1000001)", "1000000"},
        FailureCase{"[0] * 2000000", "1000000"}, FailureCase{"math.log2(0)", "not defined"},
        FailureCase{"sqrt(-1)", "not defined"}, FailureCase{"int('x')", "read a number"},
        FailureCase{"int(1e308 * 10)", "cannot make an integer of inf"}, FailureCase{"len(5)", "int"},
        FailureCase{"[x for x in 5]", "needs a list"}));

TEST(Expression, EvaluationErrorHasTheFailingPart) {
  const auto expression = Expression::parse("a > 3 and b % c == 0");
  const std::vector<std::string> names{"a", "b", "c"};
  const std::vector<Value> values{std::int64_t{4}, std::int64_t{7}, std::int64_t{0}};
  const std::string message = refusal([&] { expression.bind(names).evaluate(values); });
  EXPECT_THAT(message, AllOf(HasSubstr("'a > 3 and b % c == 0'"), HasSubstr("7 % 0"), HasSubstr("in 'b % c'")));
}

// ---- names
// ------------------------------------------------------------------------------------------------------------

TEST(Expression, NamesAreFreeOnesInOrderOfText) {
  EXPECT_THAT(Expression::parse("z if a else b * z").names(), ElementsAre("z", "a", "b"));
  EXPECT_THAT(Expression::parse("[x + n for x in xs if x > m]").names(), ElementsAre("n", "xs", "m"));
  EXPECT_THAT(Expression::parse("[x for x in x]").names(), ElementsAre("x"));
  EXPECT_THAT(Expression::parse("max + min(a, 1) + math.floor(b)").names(), ElementsAre("max", "a", "b"))
      << "a function's name that is not called is a name like any other";
  EXPECT_THAT(Expression::parse("True and true or None").names(), ElementsAre());
  EXPECT_EQ(Expression::parse("max + 1")
                .evaluate([](std::string_view) {
                  static const ExpressionValue value(Value(std::int64_t{2}));
                  return &value;
                })
                .describe(),
            "3");
}

TEST(Expression, LookupSeesListsAndUnknownNamesFail) {
  Scope scope;
  scope.set("ProblemSize",
            ExpressionList{ExpressionValue(Value(std::int64_t{640})), ExpressionValue(Value(std::int64_t{480}))});
  scope.set("filter_width",
            ExpressionList{ExpressionValue(Value(std::int64_t{3})), ExpressionValue(Value(std::int64_t{15}))});
  EXPECT_EQ(Expression::parse("ProblemSize[0] * max(filter_width)").evaluate(scope.lookup()).describe(), "9600");
  EXPECT_EQ(scope.integer(Expression::parse("ProblemSize[1] / 2"), "grid[1]"), 240);
  EXPECT_THAT(refusal([&] { Expression::parse("0 and nothing").evaluate(scope.lookup()); }), HasSubstr("'nothing'"));
  EXPECT_THAT(refusal([&] { scope.integer(Expression::parse("problemsize[0]"), "grid[0] of launch 'k'"); }),
              AllOf(HasSubstr("grid[0] of launch 'k'"), HasSubstr("did you mean 'ProblemSize'?")));
}

TEST(Expression, BindSuggestsTheClosestName) {
  const std::vector<std::string> names{"block_x", "block_y"};
  const auto message = refusal([&] { Expression::parse("blockx * 2 > 4").bind(names); });
  EXPECT_THAT(message,
              AllOf(HasSubstr("'blockx'"), HasSubstr("did you mean 'block_x'?"), HasSubstr("'blockx * 2 > 4'")));
  EXPECT_THAT(refusal([&] { Expression::parse("unrelated").bind(names); }), HasSubstr("known are block_x, block_y"));
}

TEST(Expression, BoundEvaluationUsesPositions) {
  const std::vector<std::string> names{"unused", "layout", "n", "fraction", "flag"};
  const std::vector<Value> values{std::int64_t{0}, std::string("row"), std::int64_t{6}, 0.5, true};
  const auto bound = Expression::parse("layout == 'row' and n * fraction == 3 and flag").bind(names);
  EXPECT_TRUE(bound.test(values));
  EXPECT_EQ(bound.evaluate(values).describe(), "True");
  EXPECT_EQ(Expression::parse("layout + '!'").bind(names).evaluate(values).describe(), "'row!'");
}

TEST(Expression, BoundExpressionNeedsAllValues) {
  const std::vector<std::string> names{"a", "b"};
  const std::vector<Value> values{std::int64_t{1}};
  EXPECT_THROW(Expression::parse("a + b").bind(names).evaluate(values), Error);
  EXPECT_THROW(BoundExpression().test(values), Error);
}

TEST(Expression, ConjunctsSplitTheTopLevelAnd) {
  const auto texts = [](std::string_view text) {
    std::vector<std::string> found;
    for (const auto& part : Expression::parse(text).conjuncts()) found.push_back(part.text());
    return found;
  };
  EXPECT_THAT(texts("a and b and c"), ElementsAre("a", "b", "c"));
  EXPECT_THAT(texts("a == 1 and (b or c) and (d and not e)"), ElementsAre("a == 1", "b or c", "d", "not e"));
  EXPECT_THAT(texts("((a) and (b))"), ElementsAre("a", "b"));
  EXPECT_THAT(texts("a or b and c"), ElementsAre("a or b and c"));
  EXPECT_THAT(texts("not (a and b)"), ElementsAre("not (a and b)"));
  EXPECT_THAT(texts("a and b if c else d"), ElementsAre("a and b if c else d"));
  EXPECT_THAT(texts("(x + 1) * 2 > y and z"), ElementsAre("(x + 1) * 2 > y", "z"));
}

TEST(Expression, ConstantsEvaluateToThemselves) {
  EXPECT_EQ(Expression::constant(Value(std::int64_t{-3})).evaluate(nullptr).describe(), "-3");
  EXPECT_EQ(Expression::constant(Value(std::string("it's"))).evaluate(nullptr).describe(), "'it\\'s'");
  EXPECT_EQ(Expression::constant(Value(0.5)).text(), "0.5");
  EXPECT_EQ(Expression::constant(Value(true)).evaluate(nullptr).scalar(), Value(true));
  EXPECT_TRUE(std::isinf(std::get<double>(
      Expression::constant(Value(std::numeric_limits<double>::infinity())).evaluate(nullptr).scalar())));
  EXPECT_TRUE(Expression::constant(Value(std::int64_t{1})).names().empty());
}

TEST(Expression, DefaultConstructedIsEmpty) {
  const Expression empty;
  EXPECT_EQ(empty.text(), "");
  EXPECT_TRUE(empty.names().empty());
  EXPECT_THAT(refusal([&] { empty.evaluate(nullptr); }), HasSubstr("empty"));
  EXPECT_THAT(refusal([&] { empty.bind({}); }), HasSubstr("empty"));
}

TEST(ExpressionValue, ScalarRefusesListsAndNone) {
  EXPECT_THAT(refusal([] { Expression::parse("[1, 2]").evaluate(nullptr).scalar(); }), HasSubstr("[1, 2]"));
  EXPECT_THAT(refusal([] { Expression::parse("None").evaluate(nullptr).scalar(); }), HasSubstr("None"));
  EXPECT_EQ(Expression::parse("'x'").evaluate(nullptr).scalar(), Value(std::string("x")));
  for (const char* falsy : {"0", "0.0", "''", "[]", "None", "False"}) {
    EXPECT_FALSE(Expression::parse(falsy).evaluate(nullptr).truthy()) << falsy;
  }
}

// ---- scope
// ------------------------------------------------------------------------------------------------------------

TEST(Scope, ConvertsAndNamesWhatIsWrong) {
  Scope scope;
  scope.set("width", Value(std::int64_t{100}));
  scope.set("width", Value(std::int64_t{64}));
  scope.set("layout", Value(std::string("row")));
  EXPECT_THAT(scope.names(), ElementsAre("width", "layout"));
  EXPECT_EQ(scope.integer(Expression::parse("width / 16"), "x"), 4) << "a float without fraction is an integer";
  EXPECT_DOUBLE_EQ(scope.number(Expression::parse("width / 128"), "x"), 0.5);
  EXPECT_THAT(
      refusal([&] { scope.integer(Expression::parse("width / 3"), "grid[0] of launch 'gemm'"); }),
      AllOf(HasSubstr("grid[0] of launch 'gemm' must be an integer"), HasSubstr("21.33"), HasSubstr("'width / 3'")));
  EXPECT_THAT(refusal([&] { scope.integer_at_least(Expression::parse("width - 64"), 1, "block[0]"); }),
              AllOf(HasSubstr("block[0] must be a positive integer"), HasSubstr("found 0")));
  EXPECT_THAT(refusal([&] { scope.integer(Expression::parse("layout"), "x"); }), HasSubstr("'row'"));
  EXPECT_THAT(refusal([&] { scope.number(Expression::parse("[1]"), "x"); }), HasSubstr("[1]"));
  EXPECT_THAT(refusal([&] { scope.number(Expression::parse("1 / (width - 64)"), "metric 'y'"); }),
              AllOf(HasSubstr("metric 'y'"), HasSubstr("division by zero")));
  EXPECT_EQ(scope.find("nothing"), nullptr);
}

// ---- hostile text
// -----------------------------------------------------------------------------------------------------

std::string repeated(const std::string& text, std::size_t count) {
  std::string result;
  for (std::size_t i = 0; i < count; ++i) result += text;
  return result;
}

TEST(HostileText, NestingIsBounded) {
  for (const char* open : {"(", "[", "-", "not ", "abs(", "x[", "1 if 1 else ", "2**", "[x for x in "}) {
    const auto message = refusal([&] { Expression::parse(repeated(open, 5000) + "1"); });
    EXPECT_THAT(message, HasSubstr("nested more than 200")) << open;
    EXPECT_LT(message.size(), 1000u);
  }
  EXPECT_EQ(result_of(repeated("(", 150) + "7" + repeated(")", 150)), "7");
}

TEST(HostileText, LongChainsNeedNoStack) {
  EXPECT_EQ(result_of("1" + repeated("+1", 30000)), "30001");
  EXPECT_EQ(result_of("0" + repeated(" or 0", 10000)), "0");
  EXPECT_EQ(result_of("1" + repeated("<2>1", 10000)), "True");
  EXPECT_EQ(Expression::parse("x" + repeated("+x", 30000)).names().size(), 1u);
  std::string many = "a0";
  for (int i = 1; i < 8000; ++i) many += "+a" + std::to_string(i);
  EXPECT_EQ(Expression::parse(many).names().size(), 8000u);
  std::string indices = "x" + repeated("[0]", 10000);
  ExpressionValue nothing(Value(std::int64_t{0}));
  EXPECT_THAT(refusal([&] { Expression::parse(indices).evaluate([&](std::string_view) { return &nothing; }); }),
              HasSubstr("list"));
}

TEST(HostileText, LengthIsBounded) {
  EXPECT_THAT(refusal([] { Expression::parse(std::string(70000, '1')); }), HasSubstr("65536"));
}

TEST(HostileText, WorkIsBounded) {
  std::string doubling = "[1]";
  for (int i = 0; i < 60; ++i) doubling = "[[y, y] for y in " + doubling + "]";
  for (const std::string& text :
       {std::string("[x for x in range(1000000) for y in range(1000000) if 0]"),
        std::string("[range(1000000) for x in range(1000000)]"),
        std::string("[sum(range(1000)) for x in range(1000000)]"),
        std::string("[x in range(999999) for x in range(999999)]"), doubling + " == " + doubling, doubling,
        std::string("sum([[0] * 1000] * 100000, [])"), "[" + repeated("x+", 20000) + "1 for x in range(1000000)]"}) {
    EXPECT_THAT(refusal([&] { Expression::parse(text).evaluate(nullptr); }),
                ::testing::AnyOf(HasSubstr("too much work"), HasSubstr("more than 1000000")))
        << text.substr(0, 100);
  }
}

TEST(HostileText, ZeroBytesAndControlCharactersAreRefused) {
  EXPECT_THAT(refusal([] { Expression::parse(std::string_view("1\0", 2)); }), HasSubstr("byte 0"));
  EXPECT_EQ(result_of("1 +\n\t2"), "3");
}

TEST(Expression, BoundConstraintFollowsItsValues) {
  const std::vector<std::string> names{"a", "b", "c"};
  std::vector<Value> values{std::int64_t{64}, std::int64_t{8}, std::int64_t{4}};
  const auto bound = Expression::parse("a % (b * c) == 0").bind(names);
  constexpr int rounds = 32'000;
  int accepted = 0;
  for (int i = 0; i < rounds; ++i) {
    values[0] = std::int64_t{i};
    accepted += bound.test(values) ? 1 : 0;
  }
  EXPECT_EQ(accepted, rounds / 32);
}

}  // namespace
}  // namespace warpwright
