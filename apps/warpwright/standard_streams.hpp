// Standard input, output and error as services and full disks leave them: closed, or refusing what is written.
#pragma once

#include <cstdio>

namespace warpwright::app {

// Opens descriptors 0 to 2 that the caller closed on /dev/null. Before anything else is opened: otherwise a journal or
// a database becomes descriptor 1 or 2, and what is printed is written into it. Standard output is opened so that
// writing to it fails, and finish_output() sees that the report was lost.
void open_missing_descriptors();

// For progress and messages: standard error, but what cannot be written is dropped, because losing a message must not
// end a session. Lives until the end of the program.
std::FILE* message_stream();

// The descriptor behind a stream, for questions about the terminal; that of standard error for message_stream().
int descriptor_of(std::FILE* stream);

// Writes what is left in the buffer of standard output. Where anything of it was lost it says so on `err`, naming the
// file and the reason, and makes a failure of the exit code 0.
int finish_output(int exit_code, std::FILE* err);

}  // namespace warpwright::app
