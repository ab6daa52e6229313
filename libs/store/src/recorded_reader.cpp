#include "recorded_reader.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <limits>

#include <warpwright/base/error.hpp>
#include <warpwright/base/json_nesting.hpp>

#include "json_reader.hpp"

namespace warpwright::store::detail {
namespace {

// Builds a tree, except that members of the two containers at the top are handed on and dropped.
class StreamingSax final : public nlohmann::json_sax<Json> {
 public:
  StreamingSax(Document& document, const EntryCallback& entry) : document_(document), entry_(entry) {}

  bool null() override { return value(nullptr); }
  bool boolean(bool b) override { return value(b); }
  bool number_integer(number_integer_t n) override { return value(n); }
  bool number_unsigned(number_unsigned_t n) override { return value(n); }
  bool number_float(number_float_t n, const string_t&) override { return value(n); }
  bool string(string_t& s) override { return value(std::move(s)); }
  bool binary(binary_t&) override { return false; }
  bool start_object(std::size_t) override { return open(Json::object()); }
  bool end_object() override { return close(); }
  bool start_array(std::size_t) override { return open(Json::array()); }
  bool end_array() override { return close(); }
  bool key(string_t& name) override {
    keys_.back() = std::move(name);
    return true;
  }
  bool parse_error(std::size_t position, const std::string& token, const nlohmann::json::exception& error) override {
    position_ = position;
    message_ = error.what();
    token_ = token;
    return false;
  }
  std::size_t position() const { return position_; }
  const std::string& message() const { return message_; }
  bool has_root() const { return root_; }

 private:
  bool streaming() const { return open_.size() == 2 && streams_; }

  bool open(Json container) {
    if (open_.empty() && !container.is_object()) return false;
    if (open_.size() == 1) {
      const bool cache = keys_.back() == "cache" && container.is_object();
      const bool results = keys_.back() == "results" && container.is_array();
      streams_ = cache || results;
    }
    root_ = true;
    open_.push_back(std::move(container));
    keys_.emplace_back();
    return true;
  }

  bool close() {
    Json done = std::move(open_.back());
    open_.pop_back();
    keys_.pop_back();
    if (open_.empty()) {
      document_.header = std::move(done);
      return true;
    }
    return value(std::move(done));
  }

  template <class T>
  bool value(T&& item) {
    if (open_.empty()) return false;
    if (streaming()) {
      entry_(keys_.back(), Json(std::forward<T>(item)));
      return true;
    }
    Json& parent = open_.back();
    if (parent.is_array()) parent.push_back(Json(std::forward<T>(item)));
    // Appended unseen: a key that comes twice is found first at its first place.
    else
      parent.get_ref<Json::object_t&>().Json::object_t::Container::emplace_back(keys_.back(), std::forward<T>(item));
    return true;
  }

 public:
  // What was read of the header when the text broke off.
  Json partial_header() const { return open_.empty() ? Json::object() : open_.front(); }

 private:
  Document& document_;
  const EntryCallback& entry_;
  std::vector<Json> open_;
  std::vector<std::string> keys_;
  bool streams_ = false, root_ = false;
  std::size_t position_ = 0;
  std::string message_, token_;
};

// Reads as far as the first member of the document that tells the formats apart.
class TopKeySax final : public nlohmann::json_sax<Json> {
 public:
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(std::size_t) override { return ++level_, true; }
  bool end_object() override { return --level_, true; }
  bool start_array(std::size_t) override { return ++level_, true; }
  bool end_array() override { return --level_, true; }
  bool key(string_t& name) override {
    if (level_ != 1) return true;
    results_ = name == "results";
    return !results_ && name != "tune_params" && name != "cache";
  }
  bool parse_error(std::size_t, const std::string&, const nlohmann::json::exception&) override { return false; }
  bool results() const { return results_; }

 private:
  std::size_t level_ = 0;
  bool results_ = false;
};

bool is_word(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_'; }

// nlohmann's messages begin with "[json.exception...] parse error at line 3, column 1: "; the rest is for people.
std::string reason_of(const std::string& message) {
  const auto colon = message.find(": ");
  return colon == std::string::npos ? message : message.substr(colon + 2);
}

}  // namespace

std::size_t line_of(std::string_view text, std::size_t offset) {
  const auto end = text.begin() + static_cast<std::ptrdiff_t>(std::min(offset, text.size()));
  return static_cast<std::size_t>(std::count(text.begin(), end, '\n')) + 1;
}

bool holds_results(std::string_view text) {
  TopKeySax sax;
  Json::sax_parse(text.begin(), text.end(), &sax);
  return sax.results();
}

Document stream_document(std::string_view text, const std::string& name, const EntryCallback& entry) {
  if (const auto deep = json_nested_too_deep(text)) {
    InputPosition position;
    position.file = name;
    position.line = line_of(text, *deep);
    throw Error(ErrorCode::bad_input, "nested deeper than " + std::to_string(most_json_levels) + " levels", position);
  }
  Document document;
  StreamingSax sax(document, entry);
  if (Json::sax_parse(text.begin(), text.end(), &sax)) return document;
  if (!sax.has_root()) {
    InputPosition position;
    position.file = name;
    position.line = sax.message().empty() ? 0 : line_of(text, sax.position());
    throw Error(ErrorCode::bad_input,
                "this is not a recorded space: expected a JSON object (Kernel Tuner's cache file or T4 results)",
                position);
  }
  document.header = sax.partial_header();
  document.broken = sax.message().empty() ? "unexpected structure" : reason_of(sax.message());
  document.broken_line = line_of(text, sax.position() == 0 ? 0 : sax.position() - 1);
  document.cut_off = sax.position() >= text.size();
  return document;
}

std::string quote_special_numbers(std::string_view text) {
  static constexpr std::array<std::string_view, 3> words = {"NaN", "-Infinity", "Infinity"};
  std::string quoted;
  quoted.reserve(text.size() + 64);
  bool in_string = false;
  for (std::size_t i = 0; i < text.size();) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\' && i + 1 < text.size())
        quoted += text[i++];
      else if (c == '"')
        in_string = false;
      quoted += text[i++];
      continue;
    }
    if (c == '"') in_string = true;
    const auto word = std::find_if(words.begin(), words.end(), [&](std::string_view w) {
      return text.substr(i, w.size()) == w && (i == 0 || !is_word(text[i - 1])) &&
             (i + w.size() >= text.size() || !is_word(text[i + w.size()]));
    });
    if (word == words.end()) {
      quoted += text[i++];
    } else {
      quoted.append("\"").append(*word).append("\"");
      i += word->size();
    }
  }
  return quoted;
}

std::optional<double> read_number(const Json& json) {
  if (json.is_number()) return json.get<double>();
  if (!json.is_string()) return std::nullopt;
  const auto& text = json.get_ref<const std::string&>();
  if (text == "NaN") return std::numeric_limits<double>::quiet_NaN();
  if (text == "Infinity") return std::numeric_limits<double>::infinity();
  if (text == "-Infinity") return -std::numeric_limits<double>::infinity();
  return std::nullopt;
}

std::optional<Value> read_parameter_value(const Json& json) {
  if (json.is_boolean()) return Value(json.get<bool>());
  if (json.is_number_unsigned() && json.get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX))
    return std::nullopt;  // no Value holds it
  if (json.is_number_integer()) return Value(json.get<std::int64_t>());
  if (json.is_number_float()) return Value(json.get<double>());
  if (json.is_string()) return Value(json.get<std::string>());
  return std::nullopt;
}

Json write_parameter_value(const Value& value) {
  return std::visit([](const auto& v) { return Json(v); }, value);
}

std::string ValueIndex::key(const Value& value) {
  if (const auto integer = as_integer(value)) return "i" + std::to_string(*integer);
  if (const auto number = as_number(value)) return "d" + warpwright::to_string(Value(*number));
  return "s" + std::get<std::string>(value);
}

bool ValueIndex::add(const Value& value) {
  if (!positions_.emplace(key(value), static_cast<std::uint32_t>(values_.size())).second) return false;
  values_.push_back(value);
  return true;
}

std::optional<std::uint32_t> ValueIndex::find(const Value& value) const {
  const auto place = positions_.find(key(value));
  return place == positions_.end() ? std::nullopt : std::optional(place->second);
}

bool is_ordered(const std::vector<Value>& values) {
  return std::all_of(values.begin(), values.end(), [](const Value& value) {
    return std::holds_alternative<std::int64_t>(value) || std::holds_alternative<double>(value);
  });
}

std::vector<Value> in_natural_order(const std::vector<Value>& values) {
  std::vector<Value> sorted = values;
  std::stable_sort(sorted.begin(), sorted.end(), [](const Value& a, const Value& b) {
    const auto x = as_number(a), y = as_number(b);
    if (x && y) return *x < *y;
    return x.has_value() && !y.has_value();
  });
  return sorted;
}

bool is_minimised(const std::string& objective) {
  const auto ends_with = [&](std::string_view end) {
    return objective.size() >= end.size() && objective.compare(objective.size() - end.size(), end.size(), end) == 0;
  };
  return !(ends_with("/s") || ends_with("/W") || ends_with("/J") || objective == "fitness");
}

std::optional<double> milliseconds_in(std::string_view unit) {
  std::string word;
  for (const char c : unit)
    if (c != ' ') word += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  struct Unit {
    double milliseconds;
    std::array<std::string_view, 5> names;
  };
  static constexpr std::array<Unit, 5> units = {
      {{1e-6, {"ns", "nanosecond", "nanoseconds", "nsec"}},
       {1e-3, {"us", "microsecond", "microseconds", "usec", "\xc2\xb5s"}},
       {1, {"ms", "millisecond", "milliseconds", "msec", "miliseconds"}},  // the last: files of the public hub
       {1e3, {"s", "second", "seconds", "sec"}},
       {60e3, {"min", "minute", "minutes"}}}};
  for (const Unit& known : units)
    for (const std::string_view name : known.names)
      if (!name.empty() && name == word) return known.milliseconds;
  return std::nullopt;
}

std::pair<std::size_t, bool> RowSet::place(const std::vector<std::uint32_t>& row) {
  const auto [found, is_new] = rows_.emplace(row, rows_.size());
  return {found->second, is_new};
}

std::size_t RowSet::Hash::operator()(const std::vector<std::uint32_t>& row) const {
  std::uint64_t hash = 0x9e3779b97f4a7c15ULL;  // golden ratio, as in Fibonacci hashing
  for (const std::uint32_t value : row) hash = (hash ^ value) * 0xff51afd7ed558ccdULL ^ (hash >> 29);
  return static_cast<std::size_t>(hash);
}

}  // namespace warpwright::store::detail
