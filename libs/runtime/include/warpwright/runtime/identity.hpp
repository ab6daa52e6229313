// What makes two measurements comparable: hashes and keys derived from a problem.
#pragma once

#include <string>

#include <warpwright/measure/timing.hpp>
#include <warpwright/model/problem.hpp>
#include <warpwright/store/profile_database.hpp>

namespace warpwright::runtime {

// Source for the device's backend with everything inlined, compiler options and definitions: an edited kernel, include
// or flag gives another hash. Problem sizes are not part of it (they are ranked, not matched).
std::string source_hash(const Problem& problem, const std::string& backend);

// Everything that decides a measurement: source, options, parameters, constraints, data, launches, dimensions,
// reference. A session resumes only under the same hash.
std::string problem_hash(const Problem& problem, const std::string& backend);

// In TuningProfile::details: the problem sizes, all dimensions of each, at which the winner's results were compared
// with a reference besides the size of the key.
inline constexpr const char* verified_sizes_key = "verified_sizes";

// The key under which a result on `device` is stored or looked up.
store::ProfileKey profile_key(const Problem& problem, const DeviceInfo& device, measure::CacheMode cache);

}  // namespace warpwright::runtime
