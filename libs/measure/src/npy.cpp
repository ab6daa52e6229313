// NumPy's array format: magic, version, header length, a Python dictionary literal, raw data. Only what an array of
// plain numbers needs is accepted; everything else is refused by name, before any memory is reserved for it.
#include <algorithm>
#include <array>
#include <cstring>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <fstream>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <warpwright/base/error.hpp>
#include <warpwright/base/files.hpp>
#include <warpwright/base/units.hpp>
#include <warpwright/measure/inputs.hpp>

namespace warpwright::measure {
namespace {

constexpr std::string_view magic = "\x93NUMPY";
// Headers of plain arrays have 118 bytes; version 2 exists for record types with thousands of fields.
constexpr std::uint64_t longest_header = 1 << 20;

struct TypeName {
  std::string_view descr;
  DataType type;
};
// The first name of a type is the one written. ml_dtypes saves bfloat16 as a two-byte void.
constexpr std::array<TypeName, 18> type_names{{{"|i1", DataType::int8},
                                               {"|u1", DataType::uint8},
                                               {"<i2", DataType::int16},
                                               {"<u2", DataType::uint16},
                                               {"<i4", DataType::int32},
                                               {"<u4", DataType::uint32},
                                               {"<i8", DataType::int64},
                                               {"<u8", DataType::uint64},
                                               {"<f2", DataType::float16},
                                               {"<V2", DataType::bfloat16},
                                               {"<f4", DataType::float32},
                                               {"<f8", DataType::float64},
                                               {"|V2", DataType::bfloat16},
                                               {"|b1", DataType::uint8},
                                               {"<i1", DataType::int8},
                                               {"<u1", DataType::uint8},
                                               {"i1", DataType::int8},
                                               {"u1", DataType::uint8}}};

[[noreturn]] void fail(const std::string& file, const std::string& message) {
  throw Error(ErrorCode::bad_input, message, InputPosition{file, 0, 0, {}});
}

// The subset of Python's literals that npy headers consist of.
class HeaderParser {
 public:
  HeaderParser(std::string_view text, const std::string& file) : text_(text), file_(file) {}

  NpyArray parse() {
    NpyArray array;
    bool has_descr = false, has_order = false, has_shape = false;
    expect('{');
    while (!accept('}')) {
      const std::string key = string();
      expect(':');
      if (key == "descr" && !has_descr) {
        has_descr = true;
        array.type = descr();
      } else if (key == "fortran_order" && !has_order) {
        has_order = true;
        if (boolean()) refuse("is in Fortran order; save numpy.ascontiguousarray(a) instead");
      } else if (key == "shape" && !has_shape) {
        has_shape = true;
        array.shape = shape();
      } else {
        refuse("unexpected or repeated key '" + key + "' in the npy header");
      }
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    skip_space();
    if (position_ != text_.size()) refuse("text after the dictionary of the npy header");
    if (!has_descr || !has_order || !has_shape) refuse("npy header lacks 'descr', 'fortran_order' or 'shape'");
    return array;
  }

 private:
  [[noreturn]] void refuse(const std::string& message) const { fail(file_, message); }

  void skip_space() {
    while (position_ < text_.size() && std::string_view(" \t\r\n").find(text_[position_]) != std::string_view::npos) {
      ++position_;
    }
  }
  bool accept(char c) {
    skip_space();
    if (position_ >= text_.size() || text_[position_] != c) return false;
    ++position_;
    return true;
  }
  void expect(char c) {
    if (!accept(c)) refuse(fmt::format("npy header: expected '{}' at offset {}", c, position_));
  }
  std::string string() {
    skip_space();
    if (position_ >= text_.size() || (text_[position_] != '\'' && text_[position_] != '"')) {
      refuse(fmt::format("npy header: expected a string at offset {}", position_));
    }
    const char quote = text_[position_++];
    const std::size_t end = text_.find(quote, position_);
    if (end == std::string_view::npos) refuse("npy header: unterminated string");
    std::string result(text_.substr(position_, end - position_));
    position_ = end + 1;
    return result;
  }
  bool boolean() {
    skip_space();
    for (const bool value : {true, false}) {
      const std::string_view word = value ? "True" : "False";
      if (text_.substr(position_, word.size()) == word) {
        position_ += word.size();
        return value;
      }
    }
    refuse(fmt::format("npy header: expected True or False at offset {}", position_));
  }
  DataType descr() {
    skip_space();
    if (position_ < text_.size() && text_[position_] == '[')
      refuse("holds records (a structured type); save one field");
    const std::string name = string();
    for (const TypeName& known : type_names) {
      if (known.descr == name) return known.type;
    }
    if (!name.empty() && name.front() == '>') {
      refuse("is big-endian ('" + name + "'); save a.astype(a.dtype.newbyteorder('<')) instead");
    }
    refuse("element type '" + name + "' is not supported; the types are integers, float16, float32 and float64");
  }
  std::vector<std::uint64_t> shape() {
    std::vector<std::uint64_t> result;
    expect('(');
    while (!accept(')')) {
      if (result.size() == 32) refuse("npy header: more than 32 dimensions");
      result.push_back(number());
      if (!accept(',')) {
        expect(')');
        break;
      }
    }
    return result;
  }
  std::uint64_t number() {
    skip_space();
    const std::size_t start = position_;
    std::uint64_t value = 0;
    while (position_ < text_.size() && text_[position_] >= '0' && text_[position_] <= '9') {
      const auto digit = static_cast<std::uint64_t>(text_[position_++] - '0');
      if (value > (UINT64_MAX - digit) / 10) refuse("npy header: a dimension exceeds 64 bits");
      value = value * 10 + digit;
    }
    if (position_ == start) refuse(fmt::format("npy header: expected a dimension at offset {}", position_));
    if (position_ < text_.size() && text_[position_] == 'L') ++position_;  // written by Python 2
    return value;
  }

  std::string_view text_;
  const std::string& file_;
  std::size_t position_ = 0;
};

std::uint64_t little_endian(std::string_view bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = bytes.size(); i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

// The bytes `shape` takes; nullopt if that exceeds 64 bits.
std::optional<std::uint64_t> data_size(const std::vector<std::uint64_t>& shape, DataType type) {
  std::uint64_t total = size_of(type);
  if (std::find(shape.begin(), shape.end(), 0u) != shape.end()) return 0;
  for (const std::uint64_t extent : shape) {
    if (total > UINT64_MAX / extent) return std::nullopt;
    total *= extent;
  }
  return total;
}

class File {
 public:
  explicit File(const std::filesystem::path& path) : name_(path.string()), stream_(path, std::ios::binary) {
    std::error_code error;
    if (!std::filesystem::exists(path, error)) throw Error(ErrorCode::not_found, "no such file: '" + name_ + "'");
    size_ = std::filesystem::file_size(path, error);
    if (error || !stream_)
      throw Error(error ? path_error_code(error.value()) : ErrorCode::bad_input, "cannot read '" + name_ + "'");
  }
  const std::string& name() const { return name_; }
  std::uint64_t remaining() const { return size_ - read_; }
  void read(char* out, std::uint64_t count, std::string_view what) {
    if (count > remaining()) {
      fail(name_, fmt::format("ends within the {}: {} bytes needed, {} left", what, count, remaining()));
    }
    stream_.read(out, static_cast<std::streamsize>(count));
    if (static_cast<std::uint64_t>(stream_.gcount()) != count)
      throw Error(ErrorCode::io, "cannot read '" + name_ + "'");
    read_ += count;
  }
  std::string read(std::uint64_t count, std::string_view what) {
    std::string bytes(count, '\0');
    read(bytes.data(), count, what);
    return bytes;
  }

 private:
  std::string name_;
  std::ifstream stream_;
  std::uint64_t size_ = 0, read_ = 0;
};

}  // namespace

NpyArray read_npy(const std::filesystem::path& path) {
  File file(path);
  if (file.remaining() < magic.size() + 4 || file.read(magic.size(), "magic") != magic) {
    fail(file.name(), "is not a npy file (numpy.save writes one; npz archives must be unpacked)");
  }
  const std::string version = file.read(2, "version");
  if (version[0] != 1 && version[0] != 2) {
    fail(file.name(),
         fmt::format("has npy version {}.{}; versions 1 and 2 are read", int{static_cast<unsigned char>(version[0])},
                     int{static_cast<unsigned char>(version[1])}));
  }
  const std::uint64_t header_size = little_endian(file.read(version[0] == 1 ? 2 : 4, "header length"));
  if (header_size > longest_header) {
    fail(file.name(),
         fmt::format("has a header of {} bytes; an array of numbers has less than {}", header_size, longest_header));
  }
  const std::string header = file.read(header_size, "header");
  NpyArray array = HeaderParser(header, file.name()).parse();
  const auto size = data_size(array.shape, array.type);
  if (!size || *size != file.remaining()) {
    fail(file.name(), fmt::format("announces the shape ({}) of {}, {} bytes, but holds {} bytes of data",
                                  fmt::join(array.shape, ", "), to_string(array.type),
                                  size ? std::to_string(*size) : "more than 2^64", file.remaining()));
  }
  try {
    array.data.resize(*size);
  } catch (const std::bad_alloc&) {
    throw Error(ErrorCode::out_of_memory,
                fmt::format("no host memory for the {} of '{}'", format_bytes(Bytes{*size}), file.name()));
  }
  file.read(reinterpret_cast<char*>(array.data.data()), *size, "data");
  return array;
}

void write_npy(const std::filesystem::path& path, const NpyArray& array) {
  const auto size = data_size(array.shape, array.type);
  if (!size || *size != array.data.size()) {
    throw Error(ErrorCode::internal, fmt::format("'{}': an array of shape ({}) does not take {} bytes", path.string(),
                                                 fmt::join(array.shape, ", "), array.data.size()));
  }
  const auto* name = std::find_if(type_names.begin(), type_names.end(),
                                  [&](const TypeName& known) { return known.type == array.type; });
  std::string header = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}{}), }}", name->descr,
                                   fmt::join(array.shape, ", "), array.shape.size() == 1 ? "," : "");
  // Padded with spaces and ended with a newline so that the data starts at a multiple of 64.
  const std::size_t before = magic.size() + 4;
  header.append(63 - (before + header.size()) % 64, ' ');
  header += '\n';

  std::string bytes(magic);
  bytes += '\x01';
  bytes += '\x00';
  bytes += static_cast<char>(header.size() & 0xFF);
  bytes += static_cast<char>(header.size() >> 8);
  bytes += header;
  bytes.append(reinterpret_cast<const char*>(array.data.data()), array.data.size());
  write_file_atomically(path, bytes);
}

}  // namespace warpwright::measure
