#include <warpwright/base/error.hpp>
#include <warpwright/store/interchange.hpp>

#include "fuzz.hpp"

namespace warpwright::fuzz {

void recorded(std::string_view text) {
  RecordedSpace space;
  try {
    space = store::parse_recorded(text, "input.json");
  } catch (const Error& error) {
    require(error.code() == ErrorCode::bad_input, "mistakes in a recorded space are bad_input");
    require(!error.message().empty(), "they are explained");
    return;
  }
  require(!space.trials.empty(), "a recorded space without a configuration is an error");
  const auto listed = make_listed_space(space);
  require(listed->size() == space.trials.size(), "every configuration is there once");
  // What is written is read back with the same configurations and outcomes, in either format.
  std::vector<std::string> written = {store::t4_results(space)};
  try {
    written.push_back(store::kernel_tuner_cache(space));
  } catch (const Error& error) {
    require(error.code() == ErrorCode::bad_input, "what the format cannot hold is bad_input");
  }
  for (const std::string& document : written) {
    const RecordedSpace again = store::parse_recorded(document, "again.json");
    require(again.trials.size() == space.trials.size(), "nothing is lost");
    for (std::size_t i = 0; i < space.trials.size(); ++i)
      require(again.trials[i].status == space.trials[i].status, "statuses survive");
  }
}

}  // namespace warpwright::fuzz

WARPWRIGHT_FUZZ_ENTRY(recorded)
