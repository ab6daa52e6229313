// The smallest use of the installed libraries: reads a specification and counts its valid configurations.
#include <cstdio>

#include <warpwright/spec/read.hpp>

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: read_space SPECIFICATION\n");
    return 2;
  }
  try {
    const warpwright::Problem problem = warpwright::spec::read(argv[1]);
    const auto space = problem.build_space();
    std::printf("%s: %llu valid configurations\n", problem.name.c_str(),
                static_cast<unsigned long long>(space->size()));
  } catch (const warpwright::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
