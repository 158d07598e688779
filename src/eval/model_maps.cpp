#include "lriad/eval/model_maps.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <functional>
#include <string>
#include <utility>

#include "lriad/core/error.h"
#include "lriad/core/random.h"
#include "lriad/model/accumulate_dtype.h"
#include "lriad/model/attention_weights.h"
#include "lriad/model/image_features.h"
#include "lriad/text/chat_prompt.h"
#include "map_sequences.h"

// Shape letters: N patches, P values of a patch, C cells, M rows, D hidden size, S rows of a sequence.
namespace lriad {
namespace {

constexpr const char* kProbe = "<think> </think> <answer>";
constexpr uint32_t kRandomDraws = 4;
constexpr int64_t kRowsWithGradient = 1024;  // under 25 GB of activations at 7B, tower included
constexpr int64_t kRowsWithout = 8192;

/// Mean attention of each image's answer rows to its image rows, gathered layer by layer: the weights of all other
/// rows are never computed.
class AnswerAttention {
 public:
  AnswerAttention(const std::vector<Sequence>& sequences, int64_t num_layers)
      : sequences_(sequences), num_layers_(num_layers), sums_(sequences.size()) {}

  void add_layer(const at::Tensor& q_THD, const at::Tensor& k_TKD) {
    const at::NoGradGuard no_grad;
    for (std::size_t i = 0; i < sequences_.size(); ++i) {
      const Sequence& s = sequences_[i];
      const at::Tensor weights_S =
          attention_weights(q_THD, k_TKD, s.begin, s.end, s.num_answer_rows).flatten(0, 1).mean(0);
      const at::Tensor weights_C = weights_S.index_select(0, s.image_rows_C);
      sums_[i] = sums_[i].defined() ? sums_[i] + weights_C : weights_C;
    }
  }

  at::Tensor mean(std::size_t image) const { return sums_[image] / num_layers_; }

 private:
  const std::vector<Sequence>& sequences_;
  int64_t num_layers_;
  std::vector<at::Tensor> sums_;
};

std::vector<double> to_vector(const at::Tensor& values) {
  const at::Tensor host = values.to(at::kCPU, at::kDouble).contiguous();
  return {host.data_ptr<double>(), host.data_ptr<double>() + host.numel()};
}

int64_t patches_of_cell(const ModelConfig& config) {
  return config.vision.spatial_merge_size * config.vision.spatial_merge_size;
}

int64_t num_cells(const PreparedSample& sample, const ModelConfig& config) {
  return sample.patches.tokens(config.vision.spatial_merge_size);
}

/// The image's pixel values with the mean of its patches in the hidden cells.
at::Tensor hide(const at::Tensor& pixels_NP, const std::vector<int64_t>& cells, int64_t unit) {
  at::Tensor result = pixels_NP.clone();
  const at::Tensor mean_P = pixels_NP.to(accumulate_dtype(pixels_NP.scalar_type())).mean(0).to(pixels_NP.scalar_type());
  for (const int64_t cell : cells) result.slice(0, cell * unit, (cell + 1) * unit).copy_(mean_P.expand({unit, -1}));
  return result;
}

/// Calls act(begin, end) for stretches of `count` items that have at most `most` rows together, or one item.
template <class RowsOf, class Act>
void in_parts(std::size_t count, int64_t most, const RowsOf& rows_of, const Act& act) {
  for (std::size_t begin = 0, end = 0; begin < count; begin = end) {
    int64_t rows = 0;
    do rows += rows_of(end++);
    while (end < count && rows + rows_of(end) <= most);
    act(begin, end);
  }
}

/// An image some of whose cells show its mean patch instead.
struct HiddenCells {
  const PreparedSample* sample = nullptr;
  at::Tensor references_RD;  ///< of the sample
  std::vector<int64_t> cells;
};

/// s of each image with its cells hidden, in one forward pass.
std::vector<double> scores_of_hidden(Qwen2Vl& model, std::span<const HiddenCells> images, const MapProbe& probe) {
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> pixels;
  std::vector<Grid> grids;
  std::vector<int64_t> cells;
  for (const HiddenCells& image : images) {
    const at::Tensor whole_NP = pixel_values(model, {&image.sample->patches});
    pixels.push_back(hide(whole_NP, image.cells, patches_of_cell(model->config())));
    grids.push_back(image.sample->patches.grid);
    cells.push_back(num_cells(*image.sample, model->config()));
  }
  const std::vector<at::Tensor> features = model->image_features(at::cat(pixels), grids).split_with_sizes(cells);
  Sequences sequences(model->config(), probe);
  for (std::size_t i = 0; i < images.size(); ++i) {
    sequences.add(*images[i].sample, images[i].references_RD, features[i], {});
  }
  const PackedTokens tokens = sequences.pack(features.front().device());
  return to_vector(scores_of(model, model->hidden(tokens), sequences, probe));
}

/// Of each sample its strongest cells, then kRandomDraws draws of as many.
std::vector<HiddenCells> cells_to_hide(Qwen2Vl& model, std::span<const PreparedSample> samples,
                                       const std::vector<HeatMap>& maps, uint64_t seed) {
  const CounterRandom random(seed, RandomUse::kMapCells);
  const std::vector<at::Tensor> references = reference_features(model, samples);
  std::vector<HiddenCells> images;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const int64_t cells = std::ssize(maps[i].cells), count = num_hidden_cells(cells);
    images.push_back({&samples[i], references[i], strongest_cells(maps[i].cells, count)});
    for (uint32_t draw = 0; draw < kRandomDraws; ++draw) {
      std::vector<int64_t> drawn = random.permutation(cells, static_cast<uint32_t>(samples[i].index), draw);
      drawn.resize(static_cast<std::size_t>(count));
      images.push_back({&samples[i], references[i], std::move(drawn)});
    }
  }
  return images;
}

/// Fills in the deletion check of maps with these scores.
void check_by_deletion(Qwen2Vl& model, std::span<const PreparedSample> samples, const MapProbe& probe, uint64_t seed,
                       const std::vector<double>& scores, std::vector<HeatMap>& maps) {
  const std::vector<HiddenCells> images = cells_to_hide(model, samples, maps, seed);
  std::vector<double> hidden;
  const auto rows_of = [&](std::size_t i) { return std::ssize(images[i].sample->prompt_ids) + std::ssize(probe.ids); };
  in_parts(images.size(), kRowsWithout, rows_of, [&](std::size_t begin, std::size_t end) {
    const auto part = std::span(images).subspan(begin, end - begin);
    std::ranges::copy(scores_of_hidden(model, part, probe), std::back_inserter(hidden));
  });
  const std::size_t each = 1 + kRandomDraws;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    maps[i].drop = scores[i] - hidden[i * each];
    for (std::size_t draw = 1; draw < each; ++draw) {
      maps[i].random_drop += (scores[i] - hidden[i * each + draw]) / kRandomDraws;
    }
  }
}

HeatMap map_of(const PreparedSample& sample, const MapParts& parts, int64_t merge) {
  HeatMap map;
  map.rows = sample.patches.grid[1] / merge;
  map.columns = sample.patches.grid[2] / merge;
  map.cells = norm01(parts.attention);
  const std::vector<double> gradient = norm01(parts.gradient);
  std::ranges::transform(map.cells, gradient, map.cells.begin(), std::multiplies<>());
  return map;
}

}  // namespace

MapProbe map_probe(const Tokenizer& tokenizer) {
  const AnswerTokens answer_tokens = find_answer_tokens(tokenizer);
  std::vector<int64_t> ids = tokenizer.encode(std::string(kProbe) + "A");
  const auto letter = answer_position(tokenizer, answer_tokens, ids);
  if (!letter) fail("eval", "the tokenizer gives no answer token after ", kProbe, ", which heat maps ask for");
  ids.resize(static_cast<std::size_t>(*letter));
  return {std::move(ids), answer_tokens.a, answer_tokens.b};
}

std::vector<MapParts> map_parts(Qwen2Vl& model, std::span<const PreparedSample> samples,
                                const std::vector<std::vector<int64_t>>& answers, const MapProbe& probe) {
  const at::AutoGradMode with_gradient(true);
  std::vector<const Patches*> images;
  std::vector<Grid> grids;
  std::vector<int64_t> cells;
  for (const PreparedSample& sample : samples) {
    images.push_back(&sample.patches);
    grids.push_back(sample.patches.grid);
    cells.push_back(num_cells(sample, model->config()));
  }
  const at::Tensor pixels_NP = pixel_values(model, images).detach().requires_grad_(true);
  const std::vector<at::Tensor> features = model->image_features(pixels_NP, grids).split_with_sizes(cells);
  const std::vector<at::Tensor> references = reference_features(model, samples);
  Sequences sequences(model->config(), probe);
  for (std::size_t i = 0; i < samples.size(); ++i) sequences.add(samples[i], references[i], features[i], answers[i]);
  const PackedTokens tokens = sequences.pack(pixels_NP.device());
  const TextConfig& text = model->config().text;
  const auto layout = attention_layout(tokens.spans, text.num_attention_heads, pixels_NP.device());
  AnswerAttention attention(sequences.all(), text.num_hidden_layers);
  const auto attend = [&](int64_t, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
    attention.add_layer(q, k);
    return packed_attention(q, k, v, layout);
  };
  const at::Tensor scores = scores_of(model, model->hidden(tokens, attend), sequences, probe);
  // The images do not see each other, so that the gradient of the sum is that of each score.
  const at::Tensor gradient_NP = torch::autograd::grad({scores.sum()}, {pixels_NP}).front();
  const std::vector<at::Tensor> gradient = gradient_NP.to(accumulate_dtype(gradient_NP.scalar_type()))
                                               .abs()
                                               .sum(1)
                                               .view({-1, patches_of_cell(model->config())})
                                               .sum(1)
                                               .split_with_sizes(cells);
  const std::vector<double> values = to_vector(scores.detach());
  std::vector<MapParts> parts;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    parts.push_back({to_vector(attention.mean(i)), to_vector(gradient[i]), values[i]});
  }
  return parts;
}

std::vector<HeatMap> heat_maps(Qwen2Vl& model, std::span<const PreparedSample> samples,
                               const std::vector<std::vector<int64_t>>& answers, const MapProbe& probe, uint64_t seed) {
  std::vector<HeatMap> maps;
  std::vector<double> scores;
  const auto rows_of = [&](std::size_t i) {
    return std::ssize(samples[i].prompt_ids) + std::ssize(answers[i]) + std::ssize(probe.ids);
  };
  in_parts(samples.size(), kRowsWithGradient, rows_of, [&](std::size_t begin, std::size_t end) {
    const auto first = answers.begin() + static_cast<std::ptrdiff_t>(begin);
    const auto last = answers.begin() + static_cast<std::ptrdiff_t>(end);
    for (const MapParts& parts : map_parts(model, samples.subspan(begin, end - begin), {first, last}, probe)) {
      maps.push_back(map_of(samples[maps.size()], parts, model->config().vision.spatial_merge_size));
      scores.push_back(parts.score);
    }
  });
  check_by_deletion(model, samples, probe, seed, scores, maps);
  return maps;
}

MapFunction model_maps(Qwen2Vl& model, const Tokenizer& tokenizer, uint64_t seed) {
  return [&model, &tokenizer, seed, answer_tokens = find_answer_tokens(tokenizer), probe = map_probe(tokenizer)](
             std::span<const PreparedSample> samples, std::span<const RawAnswer> answers) {
    std::vector<std::vector<int64_t>> texts;
    for (const RawAnswer& answer : answers) {
      const auto letter = answer_position(tokenizer, answer_tokens, answer.ids);
      texts.push_back(answer.ids);
      if (letter) texts.back().resize(static_cast<std::size_t>(*letter) + 1);
    }
    return heat_maps(model, samples, texts, probe, seed);
  };
}

}  // namespace lriad
