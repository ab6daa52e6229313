// What must hold of a contract whatever it was read from.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include <warpwright/validate/contract.hpp>

namespace warpwright::validate::detail {

// Must not return: throws the message with the position of the key.
using FailAt = std::function<void(std::string_view key, const std::string& message)>;

void check(const Contract& contract, const FailAt& fail);
// "p999_us", "max_us": the key of a limit in its stage.
std::string limit_key(const Limit& limit);

}  // namespace warpwright::validate::detail
