#include <warpwright/base/error.hpp>
#include <warpwright/validate/contract.hpp>

#include "fuzz.hpp"
#include "fuzz_folder.hpp"

namespace warpwright::fuzz {
namespace {

// With the trace that the corpus names.
class TraceFolder : public FuzzFolder {
 public:
  TraceFolder() {
    std::string text = "# seconds\n";
    for (int i = 0; i < 1000; ++i) text += std::to_string(i) + "\n";
    write_file(path() / "t.txt", text);
  }
};

}  // namespace

void contract(std::string_view text) {
  static const TraceFolder folder;
  validate::Contract contract;
  try {
    contract = validate::parse_contract(text, folder.path() / "contract.toml");
  } catch (const Error& error) {
    require(error.code() == ErrorCode::bad_input, "mistakes in a contract are bad_input");
    require(!error.message().empty(), "they are explained");
    require(error.position().has_value(), "and have a place");
    return;
  }
  validate::check_contract(contract);
  for (const validate::Limit& limit : contract.limits) {
    if (!limit.percentile) continue;
    const auto most_late = contract.test_of(limit).most_late_to_pass(contract.run.min_requests);
    require(most_late.has_value(), "a contract that was accepted can pass");
  }
}

}  // namespace warpwright::fuzz

WARPWRIGHT_FUZZ_ENTRY(contract)
