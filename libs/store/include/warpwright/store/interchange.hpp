// Recorded spaces in the file formats of other tuners, read and written:
//  - Kernel Tuner's cache file (one space on one device); failures as "__error__" (1.4.0) or in the objective (older);
//    files of a killed run (no closing braces, a torn last line) are read up to the last whole entry;
//  - T4 results (schema 1.0.0) with its metadata file, which holds what results have no place for.
// Either may be compressed with gzip. What these formats do not say (source, flags, driver) stays unknown, so a
// recorded space never answers a look-up of a profile. A row that cannot be used is left out and listed in
// RecordedSpace::problems; Error(bad_input) is for files that are neither format. Numbers are read back exactly;
// NaN and infinities, which Python writes as bare words, are read and never written. All functions are pure.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include <warpwright/model/recorded_space.hpp>
#include <warpwright/store/journal.hpp>

namespace warpwright::store {

enum class RecordedFormat { kernel_tuner, t4 };

// Detects compression and format. Throws Error(not_found), Error(io), Error(bad_input). Files without a device's name
// get that of the file ("MI250X" of MI250X.json.gz). A T4 file finds its metadata file beside it (see metadata_path()).
RecordedSpace read_recorded(const std::filesystem::path& file);
// The same from text in memory; `name` is for messages and stands for an absent device name.
RecordedSpace parse_recorded(std::string_view text, const std::string& name);

struct KernelTunerOptions {
  // Failures in the objective's place and the objective as a string, as before 1.4.0. Default: as the space was read.
  enum class Encoding { as_read, current, old } encoding = Encoding::as_read;
};
// A cache file that Kernel Tuner loads. Statuses without a word there become RuntimeFailedConfig with the field
// "warpwright_status", which reading gives back. Throws Error(bad_input) for a parameter named like a field of the
// format
// ("time", "timestamp", ...).
std::string kernel_tuner_cache(const RecordedSpace& space, const KernelTunerOptions& options = {});

std::string t4_results(const RecordedSpace& space);
// Device, kernel, problem size, parameters, objective and direction; `results_file` is the file they belong to.
std::string t4_metadata(const RecordedSpace& space, const std::string& results_file);
// "x_metadata.json" for "x.json" and "x.json.gz".
std::filesystem::path metadata_path(const std::filesystem::path& results);
// Adds what t4_metadata() wrote. Throws Error(bad_input) if it is not such a file, or names other parameters.
void apply_t4_metadata(RecordedSpace& space, std::string_view text, const std::string& name);

// The trials of a tuning session as a recorded space. `parameters` are those of its specification; if empty, the values
// that occur (numbers ascending). Metrics become fields. For an objective other than time give its name and direction.
RecordedSpace recorded_from_journal(const JournalContents& journal, std::vector<Parameter> parameters,
                                    const std::string& objective = "time", bool minimise = true);

// gzip, level 9, without a time stamp: equal bytes for equal text.
std::string gzip(std::string_view text);
// Throws Error(bad_input) for damaged data and for more than `limit` bytes of result, naming `name`.
std::string gunzip(std::string_view bytes, const std::string& name, std::size_t limit = std::size_t{4} << 30);
bool is_gzip(std::string_view bytes);

}  // namespace warpwright::store
