#include "prompt_pass.h"

#include <ATen/ATen.h>

#include "lriad/model/rope.h"
#include "lriad/model/row_packer.h"

namespace lriad {

PromptPass pack_prompts(const std::vector<GenerationPrompt>& prompts, const ModelConfig& config,
                        const at::Device& device) {
  PromptPass pass;
  RowPacker packer(config.image_token_id);
  std::vector<at::Tensor> next;
  std::vector<int64_t> last;
  for (const GenerationPrompt& prompt : prompts) {
    const at::Tensor positions_3T =
        mrope_positions(prompt.ids, prompt.grids, config.image_token_id, config.vision.spatial_merge_size);
    packer.add_prompt(prompt.ids, positions_3T, prompt.features_MD);
    pass.lengths.push_back(std::ssize(prompt.ids));
    next.push_back(positions_3T.max() + 1);
    last.push_back(packer.num_rows() - 1);
  }
  pass.packed = packer.finish(device);
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
