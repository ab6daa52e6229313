#include "../src/kept_binaries.hpp"

#include <gtest/gtest.h>
#include <string>

namespace warpwright::tuning {
namespace {

Configuration configuration(std::int64_t block) { return {{"block", block}}; }

Binary binary(std::size_t size) {
  Binary made;
  made.image = std::string(size, 'x');
  return made;
}

TEST(KeptBinaries, ForgetsTheWorstFirst) {
  KeptBinaries kept(10, Bytes{100});
  kept.keep(configuration(1), binary(40), 3);
  kept.keep(configuration(2), binary(40), 1);
  EXPECT_EQ(kept.size(), Bytes{80});
  kept.keep(configuration(3), binary(40), 2);
  EXPECT_EQ(kept.find(configuration(1)), nullptr);
  ASSERT_NE(kept.find(configuration(2)), nullptr);
  EXPECT_EQ(kept.find(configuration(3))->image.size(), 40u);
  kept.keep(configuration(4), binary(40), 9);
  EXPECT_EQ(kept.find(configuration(4)), nullptr) << "worse than all that is kept";
  EXPECT_EQ(kept.size(), Bytes{80});
}

TEST(KeptBinaries, CountIsBoundedToo) {
  KeptBinaries kept(2, Bytes{100});
  for (int i = 0; i < 5; ++i) kept.keep(configuration(i), binary(1), i);
  EXPECT_EQ(kept.count(), 2u);
  EXPECT_NE(kept.find(configuration(0)), nullptr);
  EXPECT_NE(kept.find(configuration(1)), nullptr);
}

TEST(KeptBinaries, ReplacesAndKeepsTheBestWhateverItsSize) {
  KeptBinaries kept(2, Bytes{100});
  kept.keep(configuration(1), binary(50), 1);
  kept.keep(configuration(1), binary(60), 1);
  EXPECT_EQ(kept.count(), 1u);
  EXPECT_EQ(kept.size(), Bytes{60});
  kept.keep(configuration(2), binary(1000), 0);
  EXPECT_EQ(kept.count(), 1u);
  EXPECT_NE(kept.find(configuration(2)), nullptr);
}

}  // namespace
}  // namespace warpwright::tuning
