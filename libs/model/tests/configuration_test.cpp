#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <limits>
#include <set>

#include <warpwright/base/error.hpp>
#include <warpwright/model/configuration.hpp>
#include <warpwright/model/device_info.hpp>
#include <warpwright/model/trial.hpp>

namespace warpwright {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

Value integer(std::int64_t i) { return i; }
Value text(const char* s) { return std::string(s); }

TEST(Value, PrintsAsPythonExceptBooleans) {
  EXPECT_EQ(to_string(integer(-3)), "-3");
  EXPECT_EQ(to_string(Value(0.5)), "0.5");
  EXPECT_EQ(to_string(Value(1.0)), "1.0");
  EXPECT_EQ(to_string(Value(-0.0)), "-0.0");
  EXPECT_EQ(to_string(Value(100000.0)), "100000.0");
  EXPECT_EQ(to_string(Value(1e15)), "1000000000000000.0");
  EXPECT_EQ(to_string(Value(1e16)), "1e+16");
  EXPECT_EQ(to_string(Value(1.5e-5)), "1.5e-05");
  EXPECT_EQ(to_string(Value(0.0001)), "0.0001");
  EXPECT_EQ(to_string(Value(123.456)), "123.456");
  EXPECT_EQ(to_string(Value(1e300)), "1e+300");
  EXPECT_EQ(to_string(Value(5e-324)), "5e-324");
  EXPECT_EQ(to_string(Value(0.1 + 0.2)), "0.30000000000000004");
  EXPECT_EQ(to_string(Value(std::numeric_limits<double>::infinity())), "inf");
  EXPECT_EQ(to_string(Value(-std::numeric_limits<double>::infinity())), "-inf");
  EXPECT_EQ(to_string(Value(std::nan(""))), "nan");
  EXPECT_EQ(to_string(Value(true)), "true");
  EXPECT_EQ(to_string(text("row")), "row");
  EXPECT_EQ(to_literal(text("it's\n\\")), "'it\\'s\\n\\\\'");
  EXPECT_EQ(to_literal(integer(3)), "3");
}

TEST(Value, EqualityIsPythons) {
  EXPECT_TRUE(python_equal(integer(1), Value(1.0)));
  EXPECT_TRUE(python_equal(integer(1), Value(true)));
  EXPECT_TRUE(python_equal(Value(0.0), Value(false)));
  EXPECT_FALSE(python_equal(integer(1), text("1")));
  EXPECT_FALSE(python_equal(integer((std::int64_t{1} << 53) + 1), Value(0x1p53))) << "no rounding to double";
  EXPECT_FALSE(python_equal(integer(std::numeric_limits<std::int64_t>::max()), Value(0x1p63)));
  EXPECT_TRUE(python_equal(integer(std::numeric_limits<std::int64_t>::min()), Value(-0x1p63)));
  EXPECT_FALSE(python_equal(Value(std::nan("")), Value(std::nan(""))));
}

TEST(Value, Conversions) {
  EXPECT_EQ(as_number(Value(true)), 1.0);
  EXPECT_EQ(as_number(text("1")), std::nullopt);
  EXPECT_EQ(as_integer(Value(64.0)), 64);
  EXPECT_EQ(as_integer(Value(64.5)), std::nullopt);
  EXPECT_EQ(as_integer(Value(1e30)), std::nullopt);
  EXPECT_EQ(as_integer(Value(0x1p63)), std::nullopt);
  EXPECT_EQ(as_integer(Value(-0x1p63)), std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(as_integer(Value(std::nan(""))), std::nullopt);
  EXPECT_EQ(as_integer(Value(false)), 0);
  EXPECT_EQ(as_integer(text("64")), std::nullopt);
}

TEST(Value, ReadsCommandLineLiterals) {
  EXPECT_EQ(parse_value("3"), integer(3));
  EXPECT_EQ(parse_value("-3"), integer(-3));
  EXPECT_EQ(parse_value("+3"), integer(3));
  EXPECT_EQ(parse_value("0.5"), Value(0.5));
  EXPECT_EQ(parse_value("1e3"), Value(1000.0));
  EXPECT_EQ(parse_value("true"), Value(true));
  EXPECT_EQ(parse_value("False"), Value(false));
  EXPECT_EQ(parse_value("row"), text("row"));
  EXPECT_EQ(parse_value("'3'"), text("3"));
  EXPECT_EQ(parse_value("\"a b\""), text("a b"));
  EXPECT_EQ(parse_value(""), text(""));
  EXPECT_EQ(parse_value("3x"), text("3x"));
  EXPECT_EQ(parse_value("e"), text("e"));
  EXPECT_EQ(parse_value("infinity"), text("infinity"));
  EXPECT_EQ(parse_value("99999999999999999999"), Value(1e20));
  for (const Value& value :
       {integer(7), Value(0.1), Value(1e22), Value(true), text("x"), Value(-std::numeric_limits<double>::infinity())}) {
    EXPECT_EQ(parse_value(to_string(value)), value) << to_string(value);
  }
}

TEST(Configuration, FindsSetsAndDescribes) {
  Configuration configuration{{"block_x", integer(32)}, {"layout", text("row")}};
  EXPECT_EQ(*configuration.find("block_x"), integer(32));
  EXPECT_EQ(configuration.find("none"), nullptr);
  EXPECT_EQ(Configuration().describe(), "(none)");
  EXPECT_EQ(configuration.describe(), "block_x=32, layout='row'");
  configuration.set("block_x", integer(64));
  configuration.set("fast", true);
  EXPECT_EQ(configuration.size(), 3u);
  EXPECT_EQ(configuration.describe(), "block_x=64, layout='row', fast=true");
  EXPECT_EQ(configuration.at("layout"), text("row"));
  try {
    configuration.at("blockx");
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::not_found);
    EXPECT_THAT(error.what(), AllOf(HasSubstr("'blockx'"), HasSubstr("did you mean 'block_x'?")));
  }
  EXPECT_TRUE(Configuration().empty());
}

TEST(Configuration, OrderAndTypesArePartOfEquality) {
  const Configuration a{{"x", integer(1)}, {"y", integer(2)}};
  EXPECT_EQ(a, (Configuration{{"x", integer(1)}, {"y", integer(2)}}));
  EXPECT_NE(a, (Configuration{{"y", integer(2)}, {"x", integer(1)}}));
  EXPECT_NE(a, (Configuration{{"x", 1.0}, {"y", integer(2)}}));
}

TEST(TrialStatus, EveryStatusHasAWordOfItsOwn) {
  std::set<std::string_view> words;
  for (int i = 0; i < trial_status_count; ++i) {
    const auto status = static_cast<TrialStatus>(i);
    words.insert(to_string(status));
    EXPECT_EQ(parse_trial_status(to_string(status)), status);
  }
  EXPECT_EQ(words.size(), static_cast<std::size_t>(trial_status_count));
  EXPECT_EQ(words.count("unknown"), 0u);
  EXPECT_EQ(to_string(static_cast<TrialStatus>(trial_status_count)), "unknown") << "the count is too small";
  EXPECT_EQ(parse_trial_status("fine"), std::nullopt);
  EXPECT_TRUE(Trial().ok());
}

TEST(DeviceInfo, SharedLimitPrefersTheOptIn) {
  DeviceInfo device;
  device.shared_per_block = Bytes(49152);
  EXPECT_EQ(device.shared_limit(), Bytes(49152));
  device.shared_per_block_optin = Bytes(232448);
  EXPECT_EQ(device.shared_limit(), Bytes(232448));
  EXPECT_EQ(to_string(DeviceKind::gpu), "gpu");
  EXPECT_EQ(to_string(DeviceKind::cpu), "cpu");
  EXPECT_EQ(to_string(DeviceKind::accelerator), "accelerator");
  EXPECT_EQ(to_string(DeviceKind::simulated), "simulated");
}

}  // namespace
}  // namespace warpwright
