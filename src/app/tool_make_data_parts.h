#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lriad/vision/image_processor.h"

namespace lriad {

/// Names of the parts that can be drawn. The first eight are the default data set; the others are meant as unseen
/// parts.
const std::vector<std::string>& part_names();
const std::vector<std::string>& part_defects();  ///< scratch, stain, crack, dent

/// Which image to draw. Equal requests give equal images.
struct PartRequest {
  std::string part;
  std::string defect;         ///< empty: a normal part
  int64_t number = 0;         ///< index of the image among those of its part and class
  int64_t size = 56;          ///< width and height in pixels
  double contrast_min = 0.3;  ///< the defect's opacity, 0 to 1, is uniform between contrast_min and contrast_max
  double contrast_max = 1.0;
  uint64_t seed = 0;
};

struct PartImage {
  Image image;
  std::string tint;          ///< light, dark, blue or green
  double contrast = 0;       ///< opacity of the defect, 0 to 1; 0 without a defect
  bool names_state = false;  ///< random, half of the images: a text about the image should name its state
};

/// Draws one part as seen from above, rotated, moved and scaled a little, on grey ground, with light from one side and
/// sensor noise. Uses only + - * / and sqrt, so that all machines give equal images. Throws Error for unknown names.
PartImage draw_part(const PartRequest& request);

/// Where the part's defect is: 255 for pixels that a defect of full contrast changes, else 0; row-major. The request's
/// contrast does not matter. Throws Error for unknown names.
std::vector<uint8_t> draw_mask(PartRequest request);

}  // namespace lriad
