#include "prompt_pass.h"

#include <ATen/ATen.h>

#include "lriad/model/rope.h"

namespace lriad {

PromptPass pack_prompts(const std::vector<GenerationPrompt>& prompts, const ModelConfig& config,
                        const at::Device& device) {
  PromptPass pass;
  std::vector<at::Tensor> ids, positions, features, next;
  std::vector<int64_t> image_rows, last;
  int64_t row = 0;
  for (const GenerationPrompt& prompt : prompts) {
    const auto length = static_cast<int64_t>(prompt.ids.size());
    ids.push_back(at::tensor(prompt.ids, at::kLong));
    positions.push_back(
        mrope_positions(prompt.ids, prompt.grids, config.image_token_id, config.vision.spatial_merge_size));
    if (prompt.features_MD.defined()) features.push_back(prompt.features_MD);
    next.push_back(positions.back().max() + 1);
    for (std::size_t i = 0; i < prompt.ids.size(); ++i) {
      if (prompt.ids[i] == config.image_token_id) image_rows.push_back(row + static_cast<int64_t>(i));
    }
    pass.packed.spans.push_back({row, row + length, -1});
    pass.lengths.push_back(length);
    row += length;
    last.push_back(row - 1);
  }
  pass.packed.ids_T = at::cat(ids).to(device);
  pass.packed.positions_3T = at::cat(positions, 1).to(device);
  if (!features.empty()) {
    pass.packed.features_MD = at::cat(features);
    pass.packed.feature_rows_M = at::tensor(image_rows, at::kLong).to(device);
  }
  pass.last_J = at::tensor(last, at::kLong).to(device);
  pass.next_J = at::stack(next);
  return pass;
}

at::Tensor raw_logits(const at::Tensor& logits_CV) {
  return logits_CV.scalar_type() == at::kDouble ? logits_CV : logits_CV.to(at::kFloat);
}

at::Tensor token_traces(const at::Tensor& raw_CV, const at::Tensor& scores_CV, const at::Tensor& chosen_C,
                        const std::array<int64_t, 2>& answer_tokens) {
  const at::Tensor log_sum = raw_CV.to(at::kDouble).logsumexp(1);
  const auto of_chosen = [chosen = chosen_C.unsqueeze(1)](const at::Tensor& x_CV) {
    return x_CV.gather(1, chosen).squeeze(1).to(at::kDouble);
  };
  const auto of_answer = [&](std::size_t answer) { return raw_CV.select(1, answer_tokens[answer]).to(at::kDouble); };
  return at::stack({of_chosen(scores_CV) - scores_CV.to(at::kDouble).logsumexp(1), of_chosen(raw_CV) - log_sum,
                    of_answer(0), of_answer(1), log_sum},
                   1);
}

}  // namespace lriad
