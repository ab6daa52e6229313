// Progress of a tuning session on standard error: one line rewritten in place on a terminal, a line every few seconds
// elsewhere.
#pragma once

#include <cstdio>
#include <string>

#include <warpwright/tuning/session.hpp>

namespace warpwright::app {

// One thread only.
class ProgressLine {
 public:
  // `out` is not owned. Silent if `quiet`.
  ProgressLine(std::FILE* out, bool quiet);
  ~ProgressLine();
  void update(const tuning::Progress& progress);
  // A line of its own, above the progress line.
  void note(const std::string& text);
  // Ends the rewritten line.
  void finish();

 private:
  void clear_line();

  std::FILE* out_;
  bool quiet_;
  bool terminal_;
  bool line_open_ = false;
  Nanoseconds last_shown_{-1e18};
};

// "evaluated 37/200 (18 %), best 1.23 ms (3.1x) block_x=32 ..., 3 failed (2 compile_failed, 1 wrong_result), 12 s left"
std::string progress_text(const tuning::Progress& progress);

}  // namespace warpwright::app
