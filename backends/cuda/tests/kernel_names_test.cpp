#include "kernel_names.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <warpwright/base/error.hpp>
#include <warpwright/cuda/binaries.hpp>

namespace warpwright::cuda {
namespace {

using testing::HasSubstr;

// Symbols as nvcc 13.0 makes them.
const std::vector<std::string> symbols = {
    "plain",
    "_ZN2ns33_GLOBAL__N__21f63f3b_4_k_cu_plain6hiddenEPf",
    "_ZN2ns4tmplILi8EfEEvPT0_",
    "_ZN2ns4tmplILi4EfEEvPT0_",
    "_Z4overPd",
    "_Z4overPf",
    "_Z4onlyILi3EEvPf",
    "_ZN5other6hiddenEPf",
};

std::vector<KernelName> names_of(const std::vector<std::string>& list) {
  std::vector<KernelName> names;
  for (const auto& symbol : list) names.push_back(kernel_name(symbol));
  return names;
}

std::string resolved(const std::string& entry) {
  const auto names = names_of(symbols);
  return names[resolve_entry(entry, names, "the binary")].symbol;
}

std::string refused(const std::string& entry, const std::vector<std::string>& list = symbols) {
  try {
    resolve_entry(entry, names_of(list), "the binary");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::bad_input);
    return error.message();
  }
  ADD_FAILURE() << entry << " is accepted";
  return {};
}

TEST(KernelNames, AreWithoutReturnTypeAndParameters) {
  EXPECT_EQ(kernel_name("plain").name, "plain");
  EXPECT_EQ(kernel_name("_ZN2ns4tmplILi8EfEEvPT0_").name, "ns::tmpl<8, float>");
  EXPECT_EQ(kernel_name("_ZN2ns4tmplILi8EfEEvPT0_").signature, "ns::tmpl<8, float>(float*)");
  EXPECT_EQ(kernel_name("_ZN2ns33_GLOBAL__N__21f63f3b_4_k_cu_plain6hiddenEPf").name,
            "ns::(anonymous namespace)::hidden");
  EXPECT_EQ(kernel_name("_Z4overPd").name, "over");
  EXPECT_EQ(kernel_name("_Zno name").name, "_Zno name");
  EXPECT_EQ(kernel_name("_Z" + std::string(100000, 'N')).name.size(), 100002u) << "not demangled for its length";
  EXPECT_EQ(kernel_name("").name, "");
}

TEST(KernelNames, EachWayToWriteOneFindsIt) {
  EXPECT_EQ(resolved("plain"), symbols[0]);
  for (const char* entry :
       {"_ZN2ns33_GLOBAL__N__21f63f3b_4_k_cu_plain6hiddenEPf", "ns::hidden", "ns::(anonymous namespace)::hidden"})
    EXPECT_EQ(resolved(entry), symbols[1]) << entry;
  for (const char* entry : {"ns::tmpl<8, float>", "ns::tmpl<8,float>", "tmpl<8, float>", "ns::tmpl<8, float>(float*)"})
    EXPECT_EQ(resolved(entry), symbols[2]) << entry;
  EXPECT_EQ(resolved("over(float*)"), symbols[5]);
  EXPECT_EQ(resolved("only"), symbols[6]) << "its only instance";
  EXPECT_EQ(resolved("only<3>"), symbols[6]);
}

TEST(KernelNames, WhatMeansSeveralIsRefusedWithThem) {
  EXPECT_THAT(refused("tmpl"), HasSubstr("means 2 kernels of binary: write which of 'ns::tmpl<8, float>', "
                                         "'ns::tmpl<4, float>' it is"));
  EXPECT_THAT(refused("over"), HasSubstr("'over(double*)', 'over(float*)'"));
  EXPECT_THAT(refused("hidden"), HasSubstr("'ns::(anonymous namespace)::hidden', 'other::hidden'"));
  EXPECT_THAT(refused("same", {"_ZN12_GLOBAL__N_14sameEPf", "_ZN16_GLOBAL__N__abcd4sameEPf"}),
              HasSubstr("'_ZN12_GLOBAL__N_14sameEPf'"))
      << "only the symbols differ";
}

TEST(KernelNames, SuggestionsAndListsFit) {
  EXPECT_THAT(refused("plian"), HasSubstr("did you mean 'plain'"));
  EXPECT_THAT(refused("tmpl<5,float>"), HasSubstr("did you mean 'tmpl<"));
  EXPECT_THAT(refused("x", {}), HasSubstr("it has none at all"));
  std::vector<std::string> many;
  for (int i = 0; i < 50; ++i) many.push_back("kernel_" + std::to_string(i));
  const std::string message = refused("nothing_like_it", many);
  EXPECT_THAT(message, HasSubstr("'kernel_19' and 30 others"));
  EXPECT_THAT(message, testing::Not(HasSubstr("'kernel_20'")));
  EXPECT_EQ(kernel_list({"a"}), "'a'");
  many.resize(21);
  EXPECT_THAT(kernel_list(many), testing::EndsWith("'kernel_19' and 1 other"));
}

}  // namespace
}  // namespace warpwright::cuda
