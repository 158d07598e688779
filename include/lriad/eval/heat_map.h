#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace lriad {

/// Where the model looked: a number for each merged cell of an image (merge_size x merge_size patches, one image
/// token), norm01(attention of the answer's tokens) times norm01(gradient of the score by the pixels); see
/// eval/model_maps.h.
struct HeatMap {
  int64_t rows = 0, columns = 0;
  std::vector<double> cells;  ///< row-major, 0 to 1
  double drop = 0;            ///< of the score's logit when the strongest tenth of the cells is hidden
  double random_drop = 0;     ///< the same for as many cells drawn at random, mean of several draws
  std::string file;           ///< image with the map over it, relative to the folder of the results; empty: none

  bool beats_random() const { return drop > random_drop; }
};

/// norm01: the values less their minimum, divided by what is then the maximum; all 0 if they are equal.
std::vector<double> norm01(std::vector<double> values);

/// How many cells the deletion check hides: a tenth of them, rounded, but at least one.
int64_t num_hidden_cells(int64_t num_cells);

/// The indices of the `count` largest cells; of equal ones the first.
std::vector<int64_t> strongest_cells(const std::vector<double>& cells, int64_t count);

/// One number of a map for each pixel of an image.
struct PixelMap {
  int64_t height = 0, width = 0;
  std::vector<double> values;  ///< row-major
};

/// The map at the image's size, bilinear between the centres of the cells, as torch's interpolate(mode="bilinear",
/// align_corners=False).
PixelMap pixels_of(const HeatMap& map, int64_t height, int64_t width);

/// Area under the ROC curve of a value per pixel against its mask; ties share their rank. Null if the mask is all
/// defect or has none. Source: scikit-learn's roc_auc_score.
std::optional<double> pixel_auroc(const std::vector<double>& values, const std::vector<bool>& defect);

/// True if more than a twentieth of the pixels of the map's strongest cell are defect. A pixel belongs to the cell that
/// holds its centre.
bool hits_defect(const HeatMap& map, int64_t height, int64_t width, const std::vector<bool>& defect);

/// How well maps of several images show the defect, beside masks.
struct MaskMetrics {
  int64_t n = 0;                      ///< images with map and mask
  std::optional<double> hit_rate;     ///< share of them for which hits_defect()
  std::optional<double> pixel_auroc;  ///< mean over the images
};

/// The maps of a run. Images that the answer calls defect count: in others there is nothing to find or nothing found.
struct MapMetrics {
  int64_t n = 0;                            ///< images called defect that have a map
  std::optional<double> drop, random_drop;  ///< means over them
  std::optional<double> deletion_ratio;     ///< drop by random_drop; null if random cells do not lower the score
  int64_t weaker = 0;                       ///< maps that lower the score no more than random cells
  MaskMetrics found;                        ///< of defects called defect
  MaskMetrics missed;                       ///< of defects called otherwise
};

/// Writes the image in gray with the map over it, from yellow to red (its strongest cell), the longer side at most
/// `max_side` pixels, as a PNG file; folders are made. Throws Error naming the file that cannot be read or written.
void write_overlay(const std::filesystem::path& path, const std::filesystem::path& image, const HeatMap& map,
                   int64_t max_side);

}  // namespace lriad
