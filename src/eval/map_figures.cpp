#include "lriad/eval/map_figures.h"

#include <unordered_map>

#include "lriad/core/error.h"
#include "lriad/core/log.h"
#include "lriad/data/mask.h"
#include "lriad/vision/image_processor.h"
#include "number_text.h"

namespace lriad {
namespace {

/// Sums of what MaskFigures has means of.
struct MaskSums {
  int64_t n = 0, hits = 0, areas = 0;
  double area_sum = 0;

  void add(const HeatMap& map, const Mask& mask) {
    ++n;
    hits += hits_defect(map, mask.height, mask.width, mask.defect) ? 1 : 0;
    if (const auto area = pixel_auroc(pixels_of(map, mask.height, mask.width).values, mask.defect)) {
      ++areas;
      area_sum += *area;
    }
  }

  MaskFigures means() const {
    MaskFigures figures;
    figures.n = n;
    if (n > 0) figures.hit_rate = static_cast<double>(hits) / static_cast<double>(n);
    if (areas > 0) figures.pixel_auroc = area_sum / static_cast<double>(areas);
    return figures;
  }
};

/// Null if it cannot be used.
std::optional<Mask> mask_of(const Sample& sample) {
  try {
    Mask mask = read_mask(sample.mask);
    const auto [height, width] = image_size(sample.path, ResizeBackend::kPil);
    if (mask.height == height && mask.width == width) return mask;
    log_warning(concat("[eval] the mask ", sample.mask.string(), " is ", mask.width, " x ", mask.height, ", its image ",
                       width, " x ", height, "; the map of this image is not compared with it"));
  } catch (const Error& error) {
    log_warning(concat(error.what(), "; the map of ", sample.image, " is not compared with it"));
  }
  return std::nullopt;
}

std::string mask_text(const char* which, const MaskFigures& figures) {
  if (figures.n == 0) return "";
  return concat("maps against masks, ", which, " defects (", figures.n, "): maximum on the defect ",
                percent(figures.hit_rate), ", pixel AUROC ", percent(figures.pixel_auroc), "\n");
}

}  // namespace

MapFigures map_figures(const std::vector<Prediction>& predictions, const Dataset& dataset) {
  std::unordered_map<std::string, const Sample*> samples;
  for (const Sample& sample : dataset.samples) samples.emplace(sample.id, &sample);
  MapFigures figures;
  MaskSums found, missed;
  double drop = 0, random_drop = 0;
  for (const Prediction& prediction : predictions) {
    if (!prediction.map) continue;
    const bool called_defect = prediction.verdict == Verdict::kDefect;
    if (called_defect) {
      ++figures.n;
      drop += prediction.map->drop;
      random_drop += prediction.map->random_drop;
      figures.weaker += prediction.map->beats_random() ? 0 : 1;
    }
    const auto sample = samples.find(prediction.sample_id);
    if (sample == samples.end() || sample->second->mask.empty() || prediction.label != Verdict::kDefect) continue;
    if (const auto mask = mask_of(*sample->second)) (called_defect ? found : missed).add(*prediction.map, *mask);
  }
  figures.found = found.means();
  figures.missed = missed.means();
  if (figures.n == 0) return figures;
  figures.drop = drop / static_cast<double>(figures.n);
  figures.random_drop = random_drop / static_cast<double>(figures.n);
  if (*figures.random_drop > 0) figures.deletion_ratio = *figures.drop / *figures.random_drop;
  return figures;
}

std::string map_text(const MapFigures& figures) {
  if (figures.n == 0) return "maps: no image was called defect, so that there is nothing to check them by\n";
  const std::string drops = concat(" (hidden cells lower the score's logit by ", formatted("%.2f", *figures.drop),
                                   " against ", formatted("%.2f", *figures.random_drop), "; ", figures.n,
                                   " images called defect, ", figures.weaker, " of them no better than random)\n");
  std::string text;
  if (*figures.drop <= *figures.random_drop) {
    text = "maps act no more strongly than random cells: they do not show what the answers rest on" + drops;
  } else if (figures.deletion_ratio) {
    text = concat("maps act ", formatted("%.2f", *figures.deletion_ratio), " times as strongly as random cells", drops);
  } else {
    text = "maps act, random cells do not" + drops;
  }
  return text + mask_text("found", figures.found) + mask_text("missed", figures.missed);
}

std::string deletion_text(const HeatMap& map) {
  const std::string drops =
      concat("hiding its strongest cells lowers the score's logit by ", formatted("%.2f", map.drop),
             ", random cells by ", formatted("%.2f", map.random_drop));
  return map.beats_random() ? drops : drops + ": no better than random";
}

}  // namespace lriad
