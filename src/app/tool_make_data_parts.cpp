#include "tool_make_data_parts.h"

#include <algorithm>
#include <cmath>

#include "lriad/core/error.h"
#include "lriad/core/random.h"
#include "tool_make_data_shapes.h"

namespace lriad {
namespace {

using Color = std::array<double, 3>;

constexpr int kSubPixels = 3;       // samples per side of a pixel, which are averaged (anti-aliasing)
constexpr double kNoiseLevels = 8;  // largest noise, in grey levels
constexpr int kPositionsTried = 8;
constexpr Color kOrange = {244, 126, 28};

struct Tint {
  const char* name;
  Color color;
};
constexpr std::array<Tint, 4> kTints = {
    {{"light", {202, 206, 210}}, {"dark", {64, 68, 74}}, {"blue", {74, 108, 164}}, {"green", {82, 132, 96}}}};

/// The random numbers of one image, in a fixed order.
class Draws {
 public:
  Draws(const CounterRandom& random, uint32_t part, uint32_t image) : random_(random), part_(part), image_(image) {}
  double uniform(double low, double high) { return low + (high - low) * random_.uniform(part_, image_, 0, next_++); }
  size_t below(size_t n) { return static_cast<size_t>(random_.below(n, part_, image_, 0, next_++)); }
  std::array<uint32_t, 4> noise(uint32_t pixel) const { return random_.words(part_, image_, 1, pixel); }

 private:
  const CounterRandom& random_;
  uint32_t part_, image_;
  uint32_t next_ = 0;
};

Point unit_vector(Draws& draws) {
  for (;;) {
    const Point p = {draws.uniform(-1, 1), draws.uniform(-1, 1)};
    const double length = length_of(p);
    if (length > 0.1 && length < 1) return {p.x / length, p.y / length};
  }
}

/// A defect in the part's coordinates: a band around a polyline, or discs.
struct Defect {
  std::vector<Point> line;  ///< polyline; empty if the defect consists of discs
  double half_width = 0;
  std::vector<Point> centres;  ///< of discs
  std::vector<double> radii;
  bool hollow = false;  ///< a dent, dark on one side and bright on the other
  Point light;
};

Defect make_line(Draws& draws, Point at, bool crack) {
  const Point along = unit_vector(draws);
  const double half = crack ? 0.5 : draws.uniform(0.34, 0.55);
  const int steps = crack ? 6 : 1;
  Defect defect;
  defect.half_width = crack ? draws.uniform(0.045, 0.065) : draws.uniform(0.055, 0.085);
  for (int i = 0; i <= steps; ++i) {
    const double s = half * (2.0 * i / steps - 1);
    const double off = crack ? draws.uniform(-0.13, 0.13) : 0;
    defect.line.push_back({at.x + s * along.x - off * along.y, at.y + s * along.y + off * along.x});
  }
  return defect;
}

Defect make_defect(Draws& draws, const std::string& kind, Point at) {
  if (kind == "scratch" || kind == "crack") return make_line(draws, at, kind == "crack");
  Defect defect;
  defect.hollow = kind == "dent";
  defect.light = unit_vector(draws);
  const int discs = defect.hollow ? 1 : 4;
  for (int i = 0; i < discs; ++i) {
    const double spread = defect.hollow ? 0 : 0.17;
    defect.centres.push_back({at.x + draws.uniform(-spread, spread), at.y + draws.uniform(-spread, spread)});
    defect.radii.push_back(defect.hollow ? draws.uniform(0.22, 0.32) : draws.uniform(0.11, 0.22));
  }
  return defect;
}

/// The share of the defect's colour at a point, 0 to 1.
double cover(const Defect& defect, Point p) {
  double most = 0;
  for (size_t i = 0; i + 1 < defect.line.size(); ++i) {
    const double d = distance_to_segment(p, defect.line[i], defect.line[i + 1]) / defect.half_width;
    most = std::max(most, std::clamp(2 - 2 * d, 0.0, 1.0));
  }
  for (size_t i = 0; i < defect.centres.size(); ++i) {
    const double d = length_of({p.x - defect.centres[i].x, p.y - defect.centres[i].y}) / defect.radii[i];
    most = std::max(most, std::clamp(4 - 4 * d, 0.0, 1.0));
  }
  return most;
}

Color defect_color(const Defect& defect, Point p) {
  double light = defect.line.empty() ? 1.0 : 0.96;
  if (defect.hollow) {
    const Point& c = defect.centres[0];
    light = 0.92 + 0.4 * ((p.x - c.x) * defect.light.x + (p.y - c.y) * defect.light.y) / defect.radii[0];
  }
  return {kOrange[0] * light, kOrange[1] * light, kOrange[2] * light};
}

/// Area of the part that the defect covers, on a coarse grid.
double visible_area(const Defect& defect, ShapeFunction tone) {
  double area = 0;
  for (int i = 0; i < 400; ++i) {
    const Point p = {(i % 20 + 0.5) / 10 - 1, (i / 20 + 0.5) / 10 - 1};
    if (tone(p) > 0) area += cover(defect, p);
  }
  return area;
}

/// Makes a defect at several random positions and keeps the most visible one, so that it lies on the part.
Defect place_defect(Draws& draws, const std::string& kind, ShapeFunction tone) {
  Defect best;
  double best_area = -1;
  for (int i = 0; i < kPositionsTried; ++i) {
    const Defect defect = make_defect(draws, kind, {draws.uniform(-0.7, 0.7), draws.uniform(-0.7, 0.7)});
    const double area = visible_area(defect, tone);
    if (area > best_area) {
      best = defect;
      best_area = area;
    }
  }
  return best;
}

struct Scene {
  ShapeFunction tone = nullptr;
  Color part, ground;
  Point middle, rotation, light;  ///< rotation: cosine and sine
  double scale = 1;
  Defect defect;
  double contrast = 0;
};

Scene make_scene(Draws& draws, const PartRequest& request, const Tint& tint, ShapeFunction tone) {
  Scene scene;
  scene.tone = tone;
  const double shift = draws.uniform(-12, 12);
  for (size_t c = 0; c < 3; ++c) scene.part[c] = tint.color[c] + shift + draws.uniform(-5, 5);
  const double grey = draws.uniform(118, 146);
  scene.ground = {grey, grey + draws.uniform(-4, 4), grey + draws.uniform(-4, 4)};
  scene.middle = {draws.uniform(-0.06, 0.06), draws.uniform(-0.06, 0.06)};
  // cos and sin of 2 atan(t), up to 12 degrees, computed without libm, whose last bits differ between machines.
  const double t = draws.uniform(-0.105, 0.105);
  scene.rotation = {(1 - t * t) / (1 + t * t), 2 * t / (1 + t * t)};
  scene.light = unit_vector(draws);
  scene.scale = draws.uniform(0.94, 1.08);
  if (!request.defect.empty()) {
    scene.defect = place_defect(draws, request.defect, tone);
    scene.contrast = draws.uniform(request.contrast_min, request.contrast_max);
  }
  return scene;
}

Color shade(const Scene& scene, Point at) {
  const Point moved = {(at.x - scene.middle.x) / scene.scale, (at.y - scene.middle.y) / scene.scale};
  const Point p = {scene.rotation.x * moved.x + scene.rotation.y * moved.y,
                   scene.rotation.x * moved.y - scene.rotation.y * moved.x};
  const double light = 1 + 0.06 * (at.x * scene.light.x + at.y * scene.light.y);
  const double tone = scene.tone(p);
  Color color = tone > 0 ? scene.part : scene.ground;
  for (double& level : color) level *= light * (tone > 0 ? tone : 1.0);
  if (tone <= 0 || scene.contrast <= 0) return color;
  const double weight = scene.contrast * cover(scene.defect, p);
  const Color other = defect_color(scene.defect, p);
  for (size_t c = 0; c < 3; ++c) color[c] += weight * (other[c] - color[c]);
  return color;
}

void draw_pixel(const Scene& scene, const Draws& draws, int64_t y, int64_t x, Image& image) {
  Color sum = {0, 0, 0};
  for (int s = 0; s < kSubPixels * kSubPixels; ++s) {
    const double px = static_cast<double>(x) + (s % kSubPixels + 0.5) / kSubPixels;
    const double py = static_cast<double>(y) + (s / kSubPixels + 0.5) / kSubPixels;
    const double side = static_cast<double>(image.width);
    const Color color = shade(scene, {2 * px / side - 1, 2 * py / side - 1});
    for (size_t c = 0; c < 3; ++c) sum[c] += color[c];
  }
  const int64_t pixel = y * image.width + x;
  const std::array<uint32_t, 4> words = draws.noise(static_cast<uint32_t>(pixel));
  for (size_t c = 0; c < 3; ++c) {
    // The sum of two uniform numbers has a triangular distribution.
    const double noise = (static_cast<double>(words[c] >> 16) + static_cast<double>(words[c] & 0xFFFFu)) / 65535.0 - 1;
    const double level = sum[c] / (kSubPixels * kSubPixels) + kNoiseLevels * noise;
    image.rgb[static_cast<size_t>(pixel) * 3 + c] = static_cast<uint8_t>(std::clamp(level + 0.5, 0.0, 255.0));
  }
}

}  // namespace

const std::vector<std::string>& part_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> list;
    for (const PartShape& shape : part_shapes()) list.emplace_back(shape.name);
    return list;
  }();
  return names;
}

const std::vector<std::string>& part_defects() {
  static const std::vector<std::string> names = {"scratch", "stain", "crack", "dent"};
  return names;
}

PartImage draw_part(const PartRequest& request) {
  const auto& names = part_names();
  const auto name = std::find(names.begin(), names.end(), request.part);
  if (name == names.end()) fail("app", "part ", request.part, " is not known");
  const auto& kinds = part_defects();
  if (!request.defect.empty() && std::find(kinds.begin(), kinds.end(), request.defect) == kinds.end()) {
    fail("app", "defect ", request.defect, " is not known");
  }
  const size_t part = static_cast<size_t>(name - names.begin());
  const CounterRandom random(request.seed, RandomUse::kMakeData);
  const uint32_t image = static_cast<uint32_t>(request.number) * 2 + (request.defect.empty() ? 0 : 1);
  Draws draws(random, static_cast<uint32_t>(part), image);
  PartImage result;
  const Tint& tint = kTints[draws.below(kTints.size())];
  result.tint = tint.name;
  result.names_state = draws.below(2) == 1;
  const Scene scene = make_scene(draws, request, tint, part_shapes()[part].tone);
  result.contrast = scene.contrast;
  result.image = {request.size, request.size,
                  std::vector<uint8_t>(static_cast<size_t>(request.size * request.size * 3))};
  for (int64_t y = 0; y < request.size; ++y) {
    for (int64_t x = 0; x < request.size; ++x) draw_pixel(scene, draws, y, x, result.image);
  }
  return result;
}

std::vector<uint8_t> draw_mask(PartRequest request) {
  // Equal requests draw equal numbers, so that two images differ by the contrast of their defect alone.
  const auto rgb_at = [&](double contrast) {
    request.contrast_min = request.contrast_max = contrast;
    return draw_part(request).image.rgb;
  };
  const std::vector<uint8_t> without = rgb_at(0), with = rgb_at(1);
  std::vector<uint8_t> mask(without.size() / 3);
  for (size_t i = 0; i < mask.size(); ++i) {
    mask[i] = std::equal(&without[3 * i], &without[3 * i] + 3, &with[3 * i]) ? 0 : 255;
  }
  return mask;
}

}  // namespace lriad
