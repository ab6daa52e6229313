#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <warpwright/base/error.hpp>
#include <warpwright/base/files.hpp>
#include <warpwright/base/rng.hpp>
#include <warpwright/measure/inputs.hpp>

#include "problems.hpp"

namespace warpwright::measure {
namespace {

using ::testing::AnyOf;
using testing::bytes_of;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::values_of;

class Npy : public ::testing::Test {
 protected:
  Npy() : folder_(std::filesystem::path(::testing::TempDir()) / ("npy_test_" + std::to_string(::getpid()))) {
    std::filesystem::create_directories(folder_);
  }
  ~Npy() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path write(const std::string& bytes) {
    const auto path = folder_ / "a.npy";
    std::ofstream(path, std::ios::binary) << bytes;
    return path;
  }
  // A file of version 1 with this header text, unpadded.
  std::filesystem::path write(const std::string& header, const std::string& data) {
    std::string bytes = "\x93NUMPY";
    bytes += '\x01';
    bytes += '\x00';
    bytes += static_cast<char>(header.size() & 0xFF);
    bytes += static_cast<char>(header.size() >> 8);
    return write(bytes + header + data);
  }
  std::string refusal(const std::filesystem::path& path) {
    try {
      read_npy(path);
    } catch (const Error& error) {
      EXPECT_THAT(error.code(), AnyOf(ErrorCode::bad_input, ErrorCode::not_found));
      EXPECT_THAT(error.what(), HasSubstr(path.filename().string()));
      return error.what();
    }
    return "accepted";
  }

  std::filesystem::path folder_;
};

TEST_F(Npy, WritesWhatItReadsForEveryType) {
  for (const DataType type : {DataType::int8, DataType::uint8, DataType::int16, DataType::uint16, DataType::int32,
                              DataType::uint32, DataType::int64, DataType::uint64, DataType::float16,
                              DataType::bfloat16, DataType::float32, DataType::float64}) {
    for (const std::vector<std::uint64_t>& shape :
         {std::vector<std::uint64_t>{}, {5}, {2, 3}, {4, 1, 2}, {0}, {3, 0}}) {
      std::uint64_t elements = 1;
      for (const auto extent : shape) elements *= extent;
      const NpyArray array{type, shape, generate(FillConstant{3}, type, elements)};
      const auto path = folder_ / "round.npy";
      write_npy(path, array);
      const NpyArray back = read_npy(path);
      EXPECT_EQ(back.type, type);
      EXPECT_EQ(back.shape, shape);
      EXPECT_EQ(back.data, array.data);
      EXPECT_EQ((std::filesystem::file_size(path) - array.data.size()) % 64, 0u);
    }
  }
}

TEST_F(Npy, WritesTheBytesNumpyWrites) {
  write_npy(folder_ / "a.npy", {DataType::int32, {2}, bytes_of<std::int32_t>({1, -1})});
  std::string expected =
      std::string("\x93NUMPY\x01\x00\x76\x00", 10) + "{'descr': '<i4', 'fortran_order': False, 'shape': (2,), }";
  expected += std::string(127 - expected.size(), ' ') + "\n" + std::string("\x01\x00\x00\x00\xff\xff\xff\xff", 8);
  EXPECT_EQ(read_file(folder_ / "a.npy"), expected);
}

TEST_F(Npy, ReadsVersion2AndOddButLegalHeaders) {
  const std::string header = R"( { "shape" : ( 2L , ) , 'descr':'<i2','fortran_order' :False})";
  const std::string data("\x01\x00\x02\x00", 4);
  EXPECT_THAT(values_of<std::int16_t>(read_npy(write(header, data)).data), ElementsAre(1, 2));
  const std::string second =
      std::string("\x93NUMPY\x02\x00", 8) + static_cast<char>(header.size()) + std::string(3, '\0');
  EXPECT_THAT(values_of<std::int16_t>(read_npy(write(second + header + data)).data), ElementsAre(1, 2));
}

TEST_F(Npy, SaysWhatIsWrong) {
  const std::string good = "{'descr': '<i2', 'fortran_order': False, 'shape': (2,), }";
  EXPECT_THAT(refusal(folder_ / "missing.npy"), HasSubstr("no such file"));
  EXPECT_THAT(refusal(write("not an array at all")), HasSubstr("not a npy file"));
  EXPECT_THAT(refusal(write("")), HasSubstr("not a npy file"));
  EXPECT_THAT(refusal(write(good, "abc")), HasSubstr("announces the shape (2) of int16, 4 bytes, but holds 3 bytes"));
  EXPECT_THAT(refusal(write(good, "abcde")), HasSubstr("holds 5 bytes"));
  EXPECT_THAT(refusal(write("{'descr': '>i2', 'fortran_order': False, 'shape': (2,), }", "abcd")),
              HasSubstr("big-endian"));
  EXPECT_THAT(refusal(write("{'descr': '<i2', 'fortran_order': True, 'shape': (2,), }", "abcd")), HasSubstr("Fortran"));
  EXPECT_THAT(refusal(write("{'descr': '<c8', 'fortran_order': False, 'shape': (2,), }", "abcd")), HasSubstr("'<c8'"));
  EXPECT_THAT(refusal(write("{'descr': [('a', '<i2')], 'fortran_order': False, 'shape': (2,), }", "abcd")),
              HasSubstr("structured"));
  EXPECT_THAT(refusal(write("{'descr': '<i2', 'shape': (2,), }", "abcd")), HasSubstr("lacks"));
  EXPECT_THAT(refusal(write("{'descr': '<i2', 'fortran_order': False, 'shape': (2,), 'x': 1}", "abcd")),
              HasSubstr("'x'"));
  EXPECT_THAT(refusal(write("{'descr': '<i2', 'fortran_order': False, 'shape': (-2,), }", "abcd")),
              HasSubstr("dimension"));
  EXPECT_THAT(refusal(write(std::string("\x93NUMPY\x03\x00\x02\x00\x00\x00{}", 14))), HasSubstr("version 3.0"));
}

TEST_F(Npy, HugeShapesReserveNoMemory) {
  EXPECT_THAT(refusal(write("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000000,), }", "abcd")),
              HasSubstr("holds 4 bytes"));
  EXPECT_THAT(refusal(write("{'descr': '<f8', 'fortran_order': False, 'shape': (4294967296, 4294967296), }", "")),
              HasSubstr("more than 2^64"));
  EXPECT_THAT(refusal(write("{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999999999999999,), }", "")),
              HasSubstr("64 bits"));
  EXPECT_THAT(refusal(write(std::string("\x93NUMPY\x02\x00\xff\xff\xff\xff", 12) + "{}")), HasSubstr("header of"));
}

TEST_F(Npy, TruncatedAndGarbledFilesAreErrorsNeverCrashes) {
  write_npy(folder_ / "good.npy", {DataType::float32, {3, 2}, std::vector<std::byte>(24)});
  const std::string good = read_file(folder_ / "good.npy");
  for (std::size_t length = 0; length < good.size(); ++length) {
    EXPECT_NE(refusal(write(good.substr(0, length))), "accepted") << length;
  }
  Rng rng(11);
  int accepted = 0;
  for (int i = 0; i < 600; ++i) {
    std::string garbled = good;
    const std::uint64_t changes = 1 + rng.below(4);
    for (std::uint64_t c = 0; c < changes; ++c) garbled[rng.below(128)] = static_cast<char>(rng.below(256));
    if (rng.below(4) == 0) garbled.resize(rng.below(garbled.size()));
    accepted += refusal(write(garbled)) == "accepted" ? 1 : 0;
  }
  EXPECT_LT(accepted, 200);  // a changed blank between tokens is legal
}

TEST_F(Npy, FillChecksTypeAndLength) {
  const auto path = folder_ / "a.npy";
  write_npy(path, {DataType::uint16, {2, 2}, bytes_of<std::uint16_t>({1, 2, 3, 4})});
  EXPECT_THAT(values_of<std::uint16_t>(generate(FillNpy{path}, DataType::uint16, 4)), ElementsAre(1, 2, 3, 4));
  EXPECT_EQ(generate(FillNpy{path}, DataType::bfloat16, 4).size(), 8u);
  const auto message = [&](DataType type, std::uint64_t elements) {
    try {
      generate(FillNpy{path}, type, elements);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_THAT(message(DataType::float32, 4), HasSubstr("holds uint16, the argument is float32"));
  EXPECT_THAT(message(DataType::uint16, 5), HasSubstr("holds 4 elements, the argument needs 5"));
}

}  // namespace
}  // namespace warpwright::measure
