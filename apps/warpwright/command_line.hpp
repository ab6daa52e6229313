// The program `warpwright`: its commands, what they say when they fail, and its exit code.
#pragma once

namespace warpwright::app {

// What main() is given and returns. Apart from it, so that the library that parses command lines is compiled once.
int run_command_line(int argc, char** argv);

}  // namespace warpwright::app
