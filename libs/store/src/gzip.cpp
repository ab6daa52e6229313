#include <array>
#include <zlib.h>

#include <warpwright/base/error.hpp>
#include <warpwright/store/interchange.hpp>

namespace warpwright::store {
namespace {

constexpr int gzip_window = 15 + 16;  // the largest window; 16 asks zlib for the gzip header

Bytef* input(std::string_view bytes) {
  // zlib's interface predates const; it does not write to its input.
  return reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));  // NOLINT
}

}  // namespace

bool is_gzip(std::string_view bytes) { return bytes.size() > 2 && bytes[0] == '\x1f' && bytes[1] == '\x8b'; }

std::string gzip(std::string_view text) {
  z_stream stream{};
  if (deflateInit2(&stream, 9, Z_DEFLATED, gzip_window, 9, Z_DEFAULT_STRATEGY) != Z_OK)
    throw Error(ErrorCode::internal, "zlib does not start");
  stream.next_in = input(text);
  stream.avail_in = static_cast<uInt>(text.size());
  std::string packed(deflateBound(&stream, text.size()), '\0');
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  const int status = deflate(&stream, Z_FINISH);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  if (status != Z_STREAM_END) throw Error(ErrorCode::internal, "zlib did not finish");
  return packed;
}

std::string gunzip(std::string_view bytes, const std::string& name, std::size_t limit) {
  z_stream stream{};
  if (inflateInit2(&stream, gzip_window) != Z_OK) throw Error(ErrorCode::internal, "zlib does not start");
  stream.next_in = input(bytes);
  stream.avail_in = static_cast<uInt>(bytes.size());
  std::string text;
  std::string failure;
  std::array<char, 1 << 16> chunk;
  for (;;) {
    stream.next_out = reinterpret_cast<Bytef*>(chunk.data());
    stream.avail_out = static_cast<uInt>(chunk.size());
    const int status = inflate(&stream, Z_NO_FLUSH);
    text.append(chunk.data(), chunk.size() - stream.avail_out);
    if (text.size() > limit)
      failure = "unpacks to more than " + format_bytes(Bytes{limit});
    else if (status == Z_STREAM_END && stream.avail_in == 0)
      break;
    else if (status == Z_STREAM_END)
      inflateReset(&stream);  // members may follow each other
    else if (status != Z_OK)
      failure = "is damaged or cut off (gzip" + std::string(stream.msg ? ": " : "") +
                std::string(stream.msg ? stream.msg : "") + ")";
    if (!failure.empty()) break;
  }
  inflateEnd(&stream);
  if (!failure.empty()) throw Error(ErrorCode::bad_input, "'" + name + "' " + failure);
  return text;
}

}  // namespace warpwright::store
