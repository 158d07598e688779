#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "lriad/data/prepare.h"
#include "lriad/eval/evaluator.h"
#include "lriad/model/qwen2_vl.h"
#include "lriad/text/tokenizer.h"

namespace lriad {

/// What the score s of a map is read from: s = logit(a) - logit(b) after the prompt and `ids`, the tokens of
/// "<think> </think> <answer>" without a letter.
struct MapProbe {
  std::vector<int64_t> ids;
  int64_t a = 0, b = 0;
};
/// Throws Error for a tokenizer that makes no answer token of the letter after this text.
MapProbe map_probe(const Tokenizer& tokenizer);

/// The two factors of a map before norm01, a number for each merged cell in reading order.
struct MapParts {
  std::vector<double> attention;  ///< weight of the rows that predict the answer up to its letter, mean over rows,
                                  ///< heads and layers
  std::vector<double> gradient;   ///< sum of |ds/dx| over the normalised pixel values x of the cell's patches
  double score = 0;               ///< s of the image as it is
};

/// Parts of several images (a prompt's last image, not its reference images), by one forward and one backward pass
/// through decoder and tower with frozen weights. answers[i]: the completion of samples[i], up to and with its letter.
std::vector<MapParts> map_parts(Qwen2Vl& model, std::span<const PreparedSample> samples,
                                const std::vector<std::vector<int64_t>>& answers, const MapProbe& probe);

/// Maps of images, several a pass, each with its deletion check: hidden cells show the image's mean patch; random
/// cells are drawn four times, by `seed` and the sample's index. Images and answers as in map_parts().
std::vector<HeatMap> heat_maps(Qwen2Vl& model, std::span<const PreparedSample> samples,
                               const std::vector<std::vector<int64_t>>& answers, const MapProbe& probe, uint64_t seed);

/// heat_maps() with `model` and its adapter, an answer without a letter taken whole. `model` and `tokenizer` must
/// outlive the function.
MapFunction model_maps(Qwen2Vl& model, const Tokenizer& tokenizer, uint64_t seed);

}  // namespace lriad
