// What a session came to, for people: at the end of `warpwright tune` and in `warpwright show`.
#pragma once

#include <cstdio>

#include <warpwright/driver/tune.hpp>
#include <warpwright/store/session_record.hpp>

namespace warpwright::app {

void print_tune_report(const driver::TuneResult& result, int rows, std::FILE* out);

// Its parts that `show` has too: the table of finalists with the winner below it, and where the time went.
void print_outcome(const store::SessionRecord& record, int rows, std::FILE* out);
void print_times(const store::SessionRecord& record, std::FILE* out);

}  // namespace warpwright::app
