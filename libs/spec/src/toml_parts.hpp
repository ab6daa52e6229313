// Parts of the TOML format that need more than one line: value lists, fills, files.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <warpwright/model/problem.hpp>

#include "section.hpp"

namespace warpwright::spec::detail {

// `values` or `range` of a parameter, exactly one of them.
std::vector<Value> read_values(const Section& parameter);

// `init` of an argument, or the default of its access and type. `position` counts arguments from 1 and is the default
// seed, so that two arguments never get the same numbers unasked.
Fill read_fill(const Section& argument, const Argument& read_so_far, std::uint64_t position);
// What an argument without `init` is filled with.
Fill default_fill(Access access, DataType type, std::uint64_t position);

// A path beside the specification, made absolute: the workers that use it may run elsewhere.
std::filesystem::path beside(const Document& document, const std::string& relative);
std::vector<std::filesystem::path> read_include_folders(const Section& kernel);
// A file name, or a table of file names by backend.
KernelSource read_source(const Section& section, const std::string& key,
                         const std::vector<std::filesystem::path>& include_folders);
ReferenceNpy read_reference_files(const Section& reference);

// ---- toml_arguments.cpp
void read_arguments(const Section& root, Problem& problem);

// ---- toml_launches.cpp
const std::vector<std::string>& launch_keys();
std::map<std::string, std::vector<std::string>> read_options(const Section& kernel);
std::vector<std::pair<std::string, Expression>> read_defines(const Section& kernel);
// Absent keys stay empty: required ones are the caller's business, as a reference takes them from the problem. Local
// memory among the arguments is declared in `problem`.
Launch read_launch(const Section& section, Problem& problem);
// [[launch]], or [[stage]] with its launches.
void read_launches(const Section& root, Problem& problem);

}  // namespace warpwright::spec::detail
