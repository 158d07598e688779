#include "lriad/eval/map_metrics.h"

#include <unordered_map>

#include "lriad/core/error.h"
#include "lriad/core/log.h"
#include "lriad/data/mask.h"
#include "lriad/vision/image_processor.h"
#include "number_text.h"

namespace lriad {
namespace {

/// Sums of what MaskMetrics has means of.
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

  MaskMetrics means() const {
    MaskMetrics metrics;
    metrics.n = n;
    if (n > 0) metrics.hit_rate = static_cast<double>(hits) / static_cast<double>(n);
    if (areas > 0) metrics.pixel_auroc = area_sum / static_cast<double>(areas);
    return metrics;
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

std::string mask_text(const char* which, const MaskMetrics& metrics) {
  if (metrics.n == 0) return "";
  return concat("maps against masks, ", which, " defects (", metrics.n, "): maximum on the defect ",
                percent(metrics.hit_rate), ", pixel AUROC ", percent(metrics.pixel_auroc), "\n");
}

}  // namespace

MapMetrics map_metrics(const std::vector<Prediction>& predictions, const Dataset& dataset) {
  std::unordered_map<std::string, const Sample*> samples;
  for (const Sample& sample : dataset.samples) samples.emplace(sample.id, &sample);
  MapMetrics metrics;
  MaskSums found, missed;
  double drop = 0, random_drop = 0;
  for (const Prediction& prediction : predictions) {
    if (!prediction.map) continue;
    const bool called_defect = prediction.verdict == Verdict::kDefect;
    if (called_defect) {
      ++metrics.n;
      drop += prediction.map->drop;
      random_drop += prediction.map->random_drop;
      metrics.weaker += prediction.map->beats_random() ? 0 : 1;
    }
    const auto sample = samples.find(prediction.sample_id);
    if (sample == samples.end() || sample->second->mask.empty() || prediction.label != Verdict::kDefect) continue;
    if (const auto mask = mask_of(*sample->second)) (called_defect ? found : missed).add(*prediction.map, *mask);
  }
  metrics.found = found.means();
  metrics.missed = missed.means();
  if (metrics.n == 0) return metrics;
  metrics.drop = drop / static_cast<double>(metrics.n);
  metrics.random_drop = random_drop / static_cast<double>(metrics.n);
  if (*metrics.random_drop > 0) metrics.deletion_ratio = *metrics.drop / *metrics.random_drop;
  return metrics;
}

std::string map_text(const MapMetrics& metrics) {
  if (metrics.n == 0) return "maps: no image was called defect, so that there is nothing to check them by\n";
  const std::string drops = concat(" (hidden cells lower the score's logit by ", formatted("%.2f", *metrics.drop),
                                   " against ", formatted("%.2f", *metrics.random_drop), "; ", metrics.n,
                                   " images called defect, ", metrics.weaker, " of them no better than random)\n");
  std::string text;
  if (*metrics.drop <= *metrics.random_drop) {
    text = "maps act no more strongly than random cells: they do not show what the answers rest on" + drops;
  } else if (metrics.deletion_ratio) {
    text = concat("maps act ", formatted("%.2f", *metrics.deletion_ratio), " times as strongly as random cells", drops);
  } else {
    text = "maps act, random cells do not" + drops;
  }
  return text + mask_text("found", metrics.found) + mask_text("missed", metrics.missed);
}

std::string deletion_text(const HeatMap& map) {
  const std::string drops =
      concat("hiding its strongest cells lowers the score's logit by ", formatted("%.2f", map.drop),
             ", random cells by ", formatted("%.2f", map.random_drop));
  return map.beats_random() ? drops : drops + ": no better than random";
}

}  // namespace lriad
