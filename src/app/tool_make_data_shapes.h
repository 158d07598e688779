#pragma once

#include <array>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

namespace lriad {

struct Point {
  double x = 0;
  double y = 0;
};

inline double length_of(Point p) { return std::sqrt(p.x * p.x + p.y * p.y); }

/// Brightness of a part at a point of the square from -1 to 1: 1 on a plain surface, 0 outside the part.
using ShapeFunction = double (*)(Point);
struct PartShape {
  const char* name;
  ShapeFunction tone;
};
const std::vector<PartShape>& part_shapes();

double distance_to_segment(Point p, Point a, Point b);

}  // namespace lriad
