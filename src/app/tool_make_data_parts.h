#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lriad/vision/image_processor.h"

namespace lriad {

/// Names of the parts that can be drawn; the first eight are the default data set, the others are meant to be held out.
const std::vector<std::string>& part_names();
const std::vector<std::string>& part_defects();  ///< scratch, stain, crack, dent

/// Which image to draw. Equal requests give equal images, whatever else is drawn.
struct PartRequest {
  std::string part;
  std::string defect;         ///< empty: a normal part
  int64_t number = 0;         ///< of the image among those of its part and class
  int64_t size = 56;          ///< pixels of each side
  double contrast_min = 0.3;  ///< how much of the defect's colour shows, 0..1: drawn evenly from min to max
  double contrast_max = 1.0;
  uint64_t seed = 0;
};

struct PartImage {
  Image image;
  std::string tint;          ///< light, dark, blue or green
  double contrast = 0;       ///< of the defect, 0..1; 0 without one
  bool names_state = false;  ///< an even coin for texts about the image: mention the state or not
};

/// Draws one part from above: rotated, moved and scaled a little, on a grey ground with a light from one side and
/// sensor noise. Needs only + - * / and sqrt, so every machine draws the same. Throws Error for unknown names.
PartImage draw_part(const PartRequest& request);

}  // namespace lriad
