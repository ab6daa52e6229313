// JSON in public types, as text: whoever includes them needs no JSON library, and reads it with the one they like.
// <warpwright/store/json.hpp> reads and writes it with nlohmann/json.
#pragma once

#include <string>
#include <utility>

namespace warpwright::store {

// The text of one JSON value; "null" by default, which stands for nothing. Thread-compatible value type. Values compare
// by their text, which is the same for the same value where this library wrote it.
class JsonText {
 public:
  JsonText() : text_("null") {}
  // Takes the text as it is. Whoever uses it parses it, and throws Error(corrupted) for what is no JSON.
  explicit JsonText(std::string text) : text_(std::move(text)) {}
  const std::string& text() const { return text_; }
  bool is_null() const { return text_ == "null"; }
  bool operator==(const JsonText&) const = default;

 private:
  std::string text_;
};

}  // namespace warpwright::store
