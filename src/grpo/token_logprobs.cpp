#include "lriad/grpo/token_logprobs.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/custom_function.h>

#include "head_logprobs.h"
#include "lriad/model/deterministic.h"
#include "lriad/model/dropout.h"
#include "lriad/model/rope.h"
#include "lriad/model/row_packer.h"

// Shape letters: T packed rows, M completion tokens, D hidden size, V vocabulary.
namespace lriad {
namespace {

uint64_t stream_seed(uint64_t group_seed, uint64_t part) { return group_seed * 0xD1342543DE82EF95ull + part; }

/// x.index_select(0, rows). A prompt's last row is taken once for each completion, and their gradients are added up in
/// a fixed order on a GPU too.
struct TakeRows : torch::autograd::Function<TakeRows> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x_TD,
                            const at::Tensor& rows_M) {
    context->save_for_backward({rows_M});
    context->saved_data["rows"] = x_TD.size(0);
    return x_TD.index_select(0, rows_M);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    const at::Tensor& gradient_MD = gradients[0];
    at::Tensor x_gradient =
        at::zeros({context->saved_data["rows"].toInt(), gradient_MD.size(1)}, gradient_MD.options());
    const DeterministicOperators deterministic;
    return {x_gradient.index_add_(0, context->get_saved_variables()[0], gradient_MD), at::Tensor()};
  }
};

/// Collects the packed rows of groups, and which row predicts which completion token.
class Packer {
 public:
  Packer(const ModelConfig& config, Prefix prefix) : config_(config), prefix_(prefix), rows_(config.image_token_id) {}

  void add(const Group& group) {
    const at::Tensor prompt_at =
        mrope_positions(group.prompt_ids, group.grids, config_.image_token_id, config_.vision.spatial_merge_size);
    const int64_t next = prompt_at.max().item<int64_t>() + 1, prompt_rows = std::ssize(group.prompt_ids);
    const bool shared = prefix_ == Prefix::kShared;
    if (shared) add_prompt(group, prompt_at, stream_seed(group.dropout_seed, 0));
    const int64_t prompt_span = rows_.last_span(), prompt_end = rows_.num_rows();
    for (std::size_t i = 0; i < group.completions.size(); ++i) {
      const uint64_t seed = stream_seed(group.dropout_seed, i + 1);
      if (!shared) add_prompt(group, prompt_at, seed);
      const Completion& completion = group.completions[i];
      predict(completion.ids, shared ? prompt_end : rows_.num_rows());
      // The last token gets no row, since no token follows it.
      const std::span followed(completion.ids.data(), completion.ids.size() - 1);
      rows_.add_completion(followed, next, shared ? prompt_span : -1);
      add_dropout_keys(seed, shared ? 0 : prompt_rows, std::ssize(followed));
      if (completion.allowed_TV.defined()) allowed_.push_back(completion.allowed_TV);
    }
  }

  PackedGroups finish(const at::Device& device) {
    PackedGroups packed;
    packed.num_rows = rows_.num_rows();
    packed.tokens = rows_.finish(device);
    packed.dropout_keys_T = at::tensor(dropout_keys_, at::kLong).to(device);
    packed.rows_M = at::tensor(predicting_rows_, at::kLong).to(device);
    packed.targets_M = at::tensor(targets_, at::kLong).to(device);
    if (!allowed_.empty()) packed.allowed_MV = at::cat(allowed_).to(device);
    return packed;
  }

 private:
  void add_prompt(const Group& group, const at::Tensor& positions_3T, uint64_t dropout_seed) {
    rows_.add_prompt(group.prompt_ids, positions_3T, group.features_ID);
    add_dropout_keys(dropout_seed, 0, std::ssize(group.prompt_ids));
  }

  /// Keys of `count` rows from `first` on of the sequence with this dropout seed.
  void add_dropout_keys(uint64_t seed, int64_t first, int64_t count) {
    for (int64_t k = 0; k < count; ++k) dropout_keys_.push_back(dropout_key(seed, first + k));
  }

  /// The last row of the prompt predicts the completion's first token, each row of the completion the next one.
  void predict(const std::vector<int64_t>& completion, int64_t prompt_end) {
    predicting_rows_.push_back(prompt_end - 1);
    for (int64_t t = 0; t + 1 < std::ssize(completion); ++t) predicting_rows_.push_back(rows_.num_rows() + t);
    targets_.insert(targets_.end(), completion.begin(), completion.end());
  }

  const ModelConfig& config_;
  Prefix prefix_;
  RowPacker rows_;
  std::vector<at::Tensor> allowed_;
  std::vector<int64_t> predicting_rows_, targets_, dropout_keys_;
};

}  // namespace

PackedGroups pack_groups(std::span<const Group* const> groups, const ModelConfig& config, Prefix prefix,
                         const at::Device& device) {
  Packer packer(config, prefix);
  for (const Group* group : groups) packer.add(*group);
  return packer.finish(device);
}

int64_t packed_rows(const Group& group, Prefix prefix) {
  const int64_t prompt = std::ssize(group.prompt_ids), count = std::ssize(group.completions);
  return (prefix == Prefix::kShared ? prompt : prompt * count) + group.num_tokens() - count;
}

TokenLogprobs token_logprobs(Qwen2Vl& model, const PackedGroups& packed, double temperature,
                             const LogprobGradient& logprob_gradient, int64_t logits_at_once) {
  const at::AutoGradMode with_gradient(static_cast<bool>(logprob_gradient));
  model->set_dropout(packed.dropout_keys_T);
  const at::Tensor hidden_MD = TakeRows::apply(model->hidden(packed.tokens), packed.rows_M);
  const HeadLogprobs head = head_logprobs(hidden_MD, model->head(), packed.targets_M, packed.allowed_MV, temperature,
                                          logprob_gradient, logits_at_once);
  TokenLogprobs result{head.logp_M, head.entropy_M, head.top1_M, {}, {}, {}, {}};
  if (!logprob_gradient) return result;
  result.hidden_MD = hidden_MD;
  result.hidden_gradient_MD = head.hidden_gradient_MD;
  result.head = model->head();
  result.head_gradient = head.head_gradient_VD;
  return result;
}

void TokenLogprobs::backward() {
  hidden_MD.backward(hidden_gradient_MD);
  hidden_MD.reset();
  if (!head_gradient.defined()) return;
  if (head.grad().defined()) {
    head.mutable_grad().add_(head_gradient);
  } else {
    head.mutable_grad() = head_gradient;
  }
}

std::vector<double> read_scalars(std::vector<at::Tensor> scalars) {
  for (at::Tensor& scalar : scalars) scalar = scalar.detach().to(at::kDouble);
  const at::Tensor values = at::stack(scalars).cpu();
  return {values.data_ptr<double>(), values.data_ptr<double>() + values.numel()};
}

}  // namespace lriad
