#include "occupancy_plot.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

namespace warpwright::app {
namespace {

std::string escape_xml(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '&')
      escaped += "&amp;";
    else if (c == '<')
      escaped += "&lt;";
    else if (c == '>')
      escaped += "&gt;";
    else
      escaped += c;
  }
  return escaped;
}

const SweepPoint& marked(const OccupancyCurve& curve) {
  return *std::find_if(curve.points.begin(), curve.points.end(),
                       [&](const SweepPoint& point) { return point.value == curve.current; });
}

}  // namespace

std::string axis_title(SweepAxis axis) {
  switch (axis) {
    case SweepAxis::block:
      return "threads per block";
    case SweepAxis::registers:
      return "registers per thread";
    case SweepAxis::shared:
      return "dynamic shared memory per block, bytes";
  }
  return {};
}

std::string text_plot(const OccupancyCurve& curve, int width) {
  constexpr int rows = 10;        // of 10 % each
  constexpr int label_width = 7;  // "100 % |"
  const int columns = std::min(std::max(1, width - label_width), static_cast<int>(curve.points.size()));
  const auto column_of = [&](std::size_t index) {
    return static_cast<std::size_t>(index * static_cast<std::size_t>(columns) / curve.points.size());
  };
  std::vector<double> heights(static_cast<std::size_t>(columns), 0);
  std::size_t current_column = 0;
  for (std::size_t i = 0; i < curve.points.size(); ++i) {
    const std::size_t column = column_of(i);
    heights[column] = std::max(heights[column], curve.points[i].occupancy.occupancy);
    if (curve.points[i].value == curve.current) current_column = column;
  }
  heights[current_column] = marked(curve).occupancy.occupancy;  // the mark stands at its own height
  std::string text = curve.title + "\n";
  for (int row = rows; row >= 1; --row) {
    std::string line = row % 5 == 0 ? fmt::format("{:>3} % |", row * 10) : "      |";
    for (std::size_t column = 0; column < heights.size(); ++column) {
      const bool filled = heights[column] * rows > row - 0.5 || (row == 1 && heights[column] > 0);
      line += filled ? (column == current_column ? '@' : '#') : ' ';
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  text += "  0 % +" + std::string(static_cast<std::size_t>(columns), '-') + "\n";
  text += std::string(label_width + current_column, ' ') + "^\n";
  const std::string first = std::to_string(curve.points.front().value),
                    last = std::to_string(curve.points.back().value);
  const auto gap = static_cast<int>(columns) - static_cast<int>(first.size() + last.size());
  text += std::string(label_width, ' ') + first + std::string(static_cast<std::size_t>(std::max(1, gap)), ' ') + last +
          "\n";
  text += fmt::format("       {}; ^ {}: {:.4g} %\n", axis_title(curve.axis), curve.current,
                      marked(curve).occupancy.occupancy * 100);
  return text;
}

std::string svg_plot(const OccupancyCurve& curve) {
  constexpr double width = 760, height = 420, left = 64, right = 24, top = 48, bottom = 64;
  const double low = static_cast<double>(curve.points.front().value);
  const double span = std::max(1.0, static_cast<double>(curve.points.back().value) - low);
  const auto x = [&](std::int64_t value) {
    return left + (static_cast<double>(value) - low) / span * (width - left - right);
  };
  const auto y = [&](double occupancy) { return height - bottom - occupancy * (height - top - bottom); };
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" height=\"{1}\" "
      "font-family=\"sans-serif\" font-size=\"13\">\n<rect width=\"{0}\" height=\"{1}\" fill=\"#ffffff\"/>\n",
      width, height);
  svg += fmt::format("<text x=\"{}\" y=\"24\" font-size=\"15\">{}</text>\n", left, escape_xml(curve.title));
  for (int percent = 0; percent <= 100; percent += 25) {
    const double at = y(percent / 100.0);
    svg += fmt::format("<line x1=\"{0}\" y1=\"{1:.1f}\" x2=\"{2}\" y2=\"{1:.1f}\" stroke=\"#d0d0d0\"/>\n", left, at,
                       width - right);
    svg += fmt::format("<text x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{} %</text>\n", left - 8, at + 4, percent);
  }
  for (int tick = 0; tick <= 8; ++tick) {
    const auto value = static_cast<std::int64_t>(std::llround(low + span * tick / 8));
    svg += fmt::format("<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n", x(value), height - bottom + 18,
                       value);
  }
  svg += fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n", left + (width - left - right) / 2,
                     height - 20, axis_title(curve.axis));
  // A step holds from its point to the next one: occupancy changes at a point, not between two.
  std::string path;
  for (std::size_t i = 0; i < curve.points.size(); ++i) {
    const auto& point = curve.points[i];
    const double at = y(point.occupancy.occupancy);
    path +=
        i == 0 ? fmt::format("M{:.1f} {:.1f}", x(point.value), at) : fmt::format("H{:.1f}V{:.1f}", x(point.value), at);
  }
  svg += fmt::format("<path d=\"{}\" fill=\"none\" stroke=\"#1f5fa8\" stroke-width=\"2\"/>\n", path);
  const auto& current = marked(curve);
  svg += fmt::format(
      "<circle cx=\"{0:.1f}\" cy=\"{1:.1f}\" r=\"5\" fill=\"#c8321e\"/>\n<text x=\"{2:.1f}\" y=\"{3:.1f}\" "
      "text-anchor=\"{4}\">{5}: {6:.4g} %</text>\n",
      x(current.value), y(current.occupancy.occupancy), x(current.value) + (x(current.value) > width * 0.75 ? -9 : 9),
      y(current.occupancy.occupancy) - 9, x(current.value) > width * 0.75 ? "end" : "start", current.value,
      current.occupancy.occupancy * 100);
  return svg + "</svg>\n";
}

}  // namespace warpwright::app
