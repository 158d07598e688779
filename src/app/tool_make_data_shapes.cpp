#include "tool_make_data_shapes.h"

#include <algorithm>

namespace lriad {
namespace {

constexpr double kOutside = 0;
constexpr double kHalfRoot = 0.70710678118654752;

bool in_disc(Point p, double x, double y, double radius) { return length_of({p.x - x, p.y - y}) < radius; }

bool in_box(Point p, double x, double y, double half_width, double half_height) {
  return std::abs(p.x - x) < half_width && std::abs(p.y - y) < half_height;
}

/// Size of the hexagon through p: the distance of its sides from the centre.
double hexagon_radius(Point p) {
  const double x = std::abs(p.x), y = std::abs(p.y);
  return std::max(y, 0.5 * y + 0.86602540378443865 * x);
}

double ring_tone(Point p, double inner, double outer) {
  const double r = length_of(p);
  if (r < inner || r > outer) return kOutside;
  return r < inner + 0.06 || r > outer - 0.06 ? 0.82 : 1.0;
}

double washer(Point p) { return ring_tone(p, 0.32, 0.84); }
double ring(Point p) { return ring_tone(p, 0.58, 0.86); }

double bolt(Point p) {
  if (hexagon_radius(p) > 0.76) return kOutside;
  if (length_of(p) > 0.54) return 0.86;
  return std::abs(p.y) < 0.09 ? 0.6 : 1.08;
}

double nut(Point p) {
  if (hexagon_radius(p) > 0.78 || length_of(p) < 0.34) return kOutside;
  return length_of(p) < 0.44 ? 0.74 : 1.0;
}

double gear(Point p) {
  const double r = length_of(p);
  if (r < 0.18) return kOutside;
  if (r < 0.62) return r < 0.3 ? 0.8 : 1.0;
  const double a = kHalfRoot * (p.x + p.y), b = kHalfRoot * (p.x - p.y);
  for (const auto& [along, across] : {std::pair(p.x, p.y), std::pair(p.y, p.x), std::pair(a, b), std::pair(b, a)}) {
    if (std::abs(along) < 0.87 && std::abs(across) < 0.13) return 0.9;
  }
  return kOutside;
}

double tile(Point p) {
  if (!in_box(p, 0, 0, 0.78, 0.78)) return kOutside;
  if (!in_box(p, 0, 0, 0.68, 0.68)) return 0.84;
  return (p.x > 0) == (p.y > 0) ? 1.04 : 0.96;
}

double capsule(Point p) {
  const double beyond = std::max(0.0, std::abs(p.x) - 0.46);
  const double r = length_of({beyond, p.y});
  if (r > 0.4) return kOutside;
  const double roundness = 1.1 - 0.6 * r * r;
  return p.x < 0 ? 0.84 * roundness : roundness;
}

double button(Point p) {
  const double r = length_of(p);
  if (r > 0.82) return kOutside;
  if (in_disc({std::abs(p.x), std::abs(p.y)}, 0.2, 0.2, 0.11)) return 0.5;
  return r > 0.66 ? 0.84 : 1.0;
}

double bracket(Point p) {
  const bool upright = in_box(p, -0.5, 0, 0.26, 0.8);
  const bool foot = in_box(p, 0.02, 0.54, 0.78, 0.26);
  if (!upright && !foot) return kOutside;
  if (in_disc(p, -0.5, -0.5, 0.12) || in_disc(p, 0.5, 0.54, 0.12)) return 0.5;
  return upright && foot ? 0.92 : 1.0;
}

double pcb(Point p) {
  if (!in_box(p, 0, 0, 0.86, 0.64)) return kOutside;
  if (in_box(p, -0.24, -0.06, 0.3, 0.26)) return 0.62;
  if (in_box(p, 0.5, -0.28, 0.14, 0.12)) return 1.25;
  if (in_disc({std::abs(p.x), std::abs(p.y)}, 0.74, 0.52, 0.07)) return 0.5;
  return in_box(p, 0.5, 0.3, 0.2, 0.1) ? 0.75 : 1.0;
}

double cap(Point p) {
  const double r = length_of(p);
  if (r > 0.84) return kOutside;
  if (r > 0.7) return 0.78;
  return r < 0.16 ? 0.86 : r < 0.5 ? 1.08 : 0.98;
}

double cross(Point p) {
  if (!in_box(p, 0, 0, 0.84, 0.28) && !in_box(p, 0, 0, 0.28, 0.84)) return kOutside;
  return in_disc(p, 0, 0, 0.16) ? 0.7 : 1.0;
}

}  // namespace

const std::vector<PartShape>& part_shapes() {
  static const std::vector<PartShape> shapes = {
      {"washer", washer},   {"bolt", bolt}, {"gear", gear}, {"tile", tile}, {"capsule", capsule}, {"button", button},
      {"bracket", bracket}, {"ring", ring}, {"nut", nut},   {"pcb", pcb},   {"cap", cap},         {"cross", cross}};
  return shapes;
}

double distance_to_segment(Point p, Point a, Point b) {
  const Point ab = {b.x - a.x, b.y - a.y};
  const double squared = ab.x * ab.x + ab.y * ab.y;
  const double along = squared > 0 ? std::clamp(((p.x - a.x) * ab.x + (p.y - a.y) * ab.y) / squared, 0.0, 1.0) : 0.0;
  return length_of({p.x - a.x - along * ab.x, p.y - a.y - along * ab.y});
}

}  // namespace lriad
