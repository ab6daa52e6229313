// One exception type for the whole library. Outcomes of a configuration (a kernel that does not compile, a wrong
// result) are data (`TrialStatus`), not errors; an `Error` is what stops the operation that was asked for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace warpwright {

enum class ErrorCode {
  bad_input,      // a file, flag or value of the user's; position() says where
  not_found,      // a file, device, kernel entry or record that does not exist
  unsupported,    // the backend or device cannot do this
  unavailable,    // a driver, library or device that is missing; the message says how to get it
  io,             // reading or writing failed
  corrupted,      // a file of ours that does not parse or check
  conflict,       // the state does not allow it (session exists, space differs)
  out_of_memory,  // host or device memory
  compile,        // the compiler refused the source; the message holds its log
  launch,         // the driver refused the launch; the context stays usable
  device,         // the device or its context failed; treat the context as lost
  timeout,        // a deadline passed
  interrupted,    // the user asked to stop
  internal        // a broken invariant of ours
};

// Stable lower-case word for a code, used in JSON and logs.
std::string_view to_string(ErrorCode code) noexcept;

// Code and name as the driver, compiler or operating system gave them, e.g. {700, "CUDA_ERROR_ILLEGAL_ADDRESS"}.
struct NativeError {
  std::int64_t code = 0;
  std::string name;
};

// Where in the user's input something is wrong. Line and column count from 1; 0 means unknown.
struct InputPosition {
  std::string file;  // a file name or "command line"
  std::size_t line = 0;
  std::size_t column = 0;
  std::string key;  // dotted key, flag or environment variable

  // "file:line:column: key 'k'" with the unknown parts left out; empty if nothing is known.
  std::string describe() const;
};

// Thread-compatible value type. `what()` is the whole message: position, text, native name, then the contexts.
class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, std::string message);
  Error(ErrorCode code, std::string message, NativeError native);
  Error(ErrorCode code, std::string message, InputPosition position);

  ErrorCode code() const noexcept { return code_; }
  const std::string& message() const noexcept { return message_; }
  const std::optional<NativeError>& native() const noexcept { return native_; }
  const std::optional<InputPosition>& position() const noexcept { return position_; }

  // Adds "while ..." context, innermost first; returns *this so that a handler can `throw error.add_context(...)`.
  Error& add_context(std::string context);

  const char* what() const noexcept override { return what_.c_str(); }

 private:
  void compose();

  ErrorCode code_;
  std::string message_;
  std::optional<NativeError> native_;
  std::optional<InputPosition> position_;
  std::vector<std::string> contexts_;
  std::string what_;
};

// "did you mean 'x'?" for a misspelt word: the candidate with the smallest edit distance, if it is at most a third of
// the word's length (at least 1, transpositions count 1); nullopt otherwise.
std::optional<std::string> closest_match(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace warpwright
