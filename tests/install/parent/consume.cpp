// Types, exceptions and data of the libraries, from another binary than theirs where they are shared.
#include <cstdio>

#include <warpwright/base/error.hpp>
#include <warpwright/spec/read.hpp>

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const warpwright::Problem problem = warpwright::spec::read(argv[1]);
  try {
    warpwright::spec::read("absent.toml");
  } catch (const warpwright::Error& error) {
    std::printf("%s: %zu parameters, %s\n", problem.name.c_str(), problem.parameters.size(),
                std::string(warpwright::to_string(error.code())).c_str());
    return 0;
  }
  return 1;
}
