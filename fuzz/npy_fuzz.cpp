#include <string>

#include <warpwright/base/error.hpp>
#include <warpwright/measure/inputs.hpp>

#include "fuzz.hpp"
#include "fuzz_folder.hpp"

namespace warpwright::fuzz {
namespace {

std::optional<measure::NpyArray> read(const std::filesystem::path& file) {
  try {
    return measure::read_npy(file);
  } catch (const Error& error) {
    require(error.code() == ErrorCode::bad_input, "what is no array is bad_input");
    require(std::string_view(error.what()).find(file.filename().string()) != std::string_view::npos,
            "and the file is named");
    return std::nullopt;
  }
}

}  // namespace

void npy(std::string_view bytes) {
  static const FuzzFolder folder;
  const std::filesystem::path file = folder.path() / "array.npy";
  write_file(file, bytes);
  const auto array = read(file);
  if (!array) return;
  require(array->data.size() <= bytes.size(), "an array is not larger than its file");
  std::uint64_t elements = 1;
  for (const std::uint64_t extent : array->shape) elements *= extent;
  require(array->data.size() == elements * size_of(array->type), "it has the bytes of its shape");
  measure::write_npy(file, *array);
  const auto again = read(file);
  require(again && again->type == array->type && again->shape == array->shape && again->data == array->data,
          "what is written is read");
}

}  // namespace warpwright::fuzz

WARPWRIGHT_FUZZ_ENTRY(npy)
