# cmake -D INPUT=file -D OUTPUT=file.cpp -P embed_text.cmake
#   Writes a translation unit with the bytes of INPUT. A missing INPUT gives an empty text.
set(bytes "")
if(INPUT AND EXISTS "${INPUT}")
  file(READ "${INPUT}" bytes HEX)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
  string(REGEX REPLACE "((0x[0-9a-f][0-9a-f],){24})" "\\1\n    " bytes "${bytes}")
endif()
file(WRITE "${OUTPUT}" "// Generated from warpwright/dialect.h.
#include <string_view>

namespace warpwright::spec::detail {
namespace {
// The last byte ends the array where the header is empty.
constexpr unsigned char bytes[] = {
    ${bytes}0};
}  // namespace

std::string_view dialect_bytes();
std::string_view dialect_bytes() { return {reinterpret_cast<const char*>(bytes), sizeof(bytes) - 1}; }
}  // namespace warpwright::spec::detail
")
