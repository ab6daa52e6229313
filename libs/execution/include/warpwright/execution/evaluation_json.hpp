// JSON of what evaluations say.
#pragma once

#include <vector>

#include <warpwright/measure/problem_runner.hpp>
#include <warpwright/store/json.hpp>

namespace warpwright::execution {

// [{"argument", "elements", "nan", "passing_zero", "largest"}]: docs/json.md.
store::Json to_json(const std::vector<measure::ReferenceOutput>& outputs);

}  // namespace warpwright::execution
