// Occupancy against one input: in the terminal and as SVG, with the current point marked.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <warpwright/tuning/kernel_tuner.hpp>

namespace warpwright::app {

struct OccupancyCurve {
  std::string title;  // "sm_90: 256 threads, 33 registers, 0 bytes of shared memory"
  SweepAxis axis = SweepAxis::block;
  std::vector<SweepPoint> points;  // ascending, at least one
  std::int64_t current = 0;        // value of the marked point, one of them
};

// "threads per block", "registers per thread", "dynamic shared memory per block, bytes".
std::string axis_title(SweepAxis axis);

// ASCII; at most `width` columns, which should be 40 at least. A column shows the highest of its points.
std::string text_plot(const OccupancyCurve& curve, int width = 80);

// A whole document.
std::string svg_plot(const OccupancyCurve& curve);

}  // namespace warpwright::app
