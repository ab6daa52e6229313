// JSON of the plain-data types: what the journal, the worker protocol and --json share. Each pair round-trips exactly:
//  - doubles are written with the digits that read back to the same double, and always with '.' or an exponent, so that
//    1.0 stays a double; NaN and infinities are the strings "nan", "inf", "-inf", or {"float": "nan"} where a string
//    would be a Value of its own; integers keep all 64 bits;
//  - text that is not UTF-8 is {"bytes": text} with the offending bytes as \xNN and backslashes doubled;
//  - absent optionals are left out, except a trial's median_ns and mismatch, which are null; unknown keys are skipped.
// from_json functions throw Error(corrupted) that names the missing or wrong key with its path. All functions are pure.
//
// This is the only header of this library that includes nlohmann/json, which takes longer to compile than all others
// together: other headers carry JSON as text (json_text.hpp).
#pragma once

#include <nlohmann/json.hpp>

#include <warpwright/model/binary.hpp>
#include <warpwright/model/evaluation_info.hpp>
#include <warpwright/model/problem.hpp>
#include <warpwright/model/trial.hpp>
#include <warpwright/store/json_text.hpp>

namespace warpwright::store {

struct SessionRecord;
struct TuningProfile;

// Keeps the order of keys: output is read by people and compared by tests.
using Json = nlohmann::ordered_json;

// On one line. Bytes that are not UTF-8 become U+FFFD.
JsonText text_of(const Json& json);
// Throws Error(corrupted) for text that is not JSON or nested too deep. `what` is named in it, as "the profile's
// details".
Json parse(const JsonText& text, std::string_view what);

Json to_json(const Value& value);
Value value_from_json(const Json& json);
Json to_json(const Configuration& configuration);  // object in parameter order
Configuration configuration_from_json(const Json& json);
Json to_json(const DeviceInfo& device);
DeviceInfo device_from_json(const Json& json);
Json to_json(const ReferenceOutput& output);
// An object; its keys are those of a session's record too.
Json to_json(const EvaluationInfo& info);
EvaluationInfo evaluation_info_from_json(const Json& json);
Json to_json(const KernelResources& resources);
KernelResources resources_from_json(const Json& json);
Json to_json(const Trial& trial);  // configuration, status, median_ns, spread_ns, samples (ns), message, ...
Trial trial_from_json(const Json& json);
// Everything a worker process needs; expressions travel as text. Positions in the specification are left out. Callables
// (C++ constraints, ReferenceCallback) do not travel: constraints are left out, a callback reference throws
// Error(unsupported).
Json to_json(const Problem& problem);
Problem problem_from_json(const Json& json);
// Without the image, which travels beside it.
Json to_json(const Binary& binary);
Binary binary_from_json(const Json& json, std::string image);
// Without the trials, which stand in the journal. Seconds are rounded to the nearest double: the parts of the time are
// the only values that do not read back exactly.
Json to_json(const SessionRecord& record);
SessionRecord session_record_from_json(const Json& json);
// A profile's id is left out where it is 0.
Json to_json(const TuningProfile& profile);
TuningProfile profile_from_json(const Json& json);

}  // namespace warpwright::store
