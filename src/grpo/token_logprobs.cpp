#include "lriad/grpo/token_logprobs.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/custom_function.h>

#include "head_logprobs.h"
#include "lriad/model/deterministic.h"
#include "lriad/model/dropout.h"
#include "lriad/model/rope.h"

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
  Packer(const ModelConfig& config, Prefix prefix) : config_(config), prefix_(prefix) {}

  void add(const Group& group) {
    const at::Tensor prompt_at =
        mrope_positions(group.prompt_ids, group.grids, config_.image_token_id, config_.vision.spatial_merge_size);
    const int64_t next = prompt_at.max().item<int64_t>() + 1;
    if (prefix_ == Prefix::kShared) add_prompt(group, prompt_at, stream_seed(group.dropout_seed, 0));
    const int64_t prompt_span = static_cast<int64_t>(out_.tokens.spans.size()) - 1;
    const int64_t prompt_end = out_.num_rows;
    for (std::size_t i = 0; i < group.completions.size(); ++i) {
      const uint64_t seed = stream_seed(group.dropout_seed, i + 1);
      if (prefix_ == Prefix::kOwn) add_prompt(group, prompt_at, seed);
      const Completion& completion = group.completions[i];
      predict(completion.ids, prefix_ == Prefix::kShared ? prompt_end : out_.num_rows);
      const int64_t first = prefix_ == Prefix::kOwn ? std::ssize(group.prompt_ids) : 0;
      add_completion(completion.ids, next, prompt_span, seed, first);
      if (completion.allowed_TV.defined()) allowed_.push_back(completion.allowed_TV);
    }
  }

  PackedGroups finish(const at::Device& device) {
    out_.tokens.ids_T = at::cat(ids_).to(device);
    out_.tokens.positions_3T = at::cat(positions_, 1).to(device);
    if (!features_.empty()) {
      out_.tokens.features_MD = at::cat(features_);
      out_.tokens.feature_rows_M = at::tensor(feature_rows_, at::kLong).to(device);
    }
    out_.dropout_keys_T = at::tensor(dropout_keys_, at::kLong).to(device);
    out_.rows_M = at::tensor(rows_, at::kLong).to(device);
    out_.targets_M = at::tensor(targets_, at::kLong).to(device);
    if (!allowed_.empty()) out_.allowed_MV = at::cat(allowed_).to(device);
    return std::move(out_);
  }

 private:
  /// Adds the rows from `first` on of the sequence whose dropout seed is `seed`.
  void add_rows(const std::vector<int64_t>& ids, int64_t count, const at::Tensor& positions, uint64_t seed,
                int64_t first) {
    ids_.push_back(at::tensor(at::ArrayRef<int64_t>(ids.data(), static_cast<std::size_t>(count)), at::kLong));
    positions_.push_back(positions);
    for (int64_t k = 0; k < count; ++k) dropout_keys_.push_back(dropout_key(seed, first + k));
    out_.num_rows += count;
  }

  void add_prompt(const Group& group, const at::Tensor& positions, uint64_t seed) {
    const int64_t begin = out_.num_rows;
    add_rows(group.prompt_ids, std::ssize(group.prompt_ids), positions, seed, /*first=*/0);
    if (group.features_ID.defined()) {
      features_.push_back(group.features_ID);
      // Only image tokens of the prompt take features; one in a completion is an ordinary token.
      for (std::size_t i = 0; i < group.prompt_ids.size(); ++i) {
        if (group.prompt_ids[i] == config_.image_token_id) feature_rows_.push_back(begin + static_cast<int64_t>(i));
      }
    }
    out_.tokens.spans.push_back({begin, out_.num_rows, -1});
  }

  /// The last row of the prompt predicts the completion's first token, each row of the completion the next one.
  void predict(const std::vector<int64_t>& completion, int64_t prompt_end) {
    rows_.push_back(prompt_end - 1);
    for (int64_t t = 0; t + 1 < static_cast<int64_t>(completion.size()); ++t) rows_.push_back(out_.num_rows + t);
    targets_.insert(targets_.end(), completion.begin(), completion.end());
  }

  /// Adds the completion's rows; its last token gets none, since no token follows it.
  void add_completion(const std::vector<int64_t>& completion, int64_t next, int64_t prompt_span, uint64_t seed,
                      int64_t first) {
    const auto count = static_cast<int64_t>(completion.size()) - 1;
    if (count == 0) return;
    const int64_t begin = out_.num_rows;
    add_rows(completion, count, (at::arange(count, at::kLong) + next).expand({3, count}), seed, first);
    if (prefix_ == Prefix::kShared) {
      out_.tokens.spans.push_back({begin, out_.num_rows, prompt_span});
    } else {
      out_.tokens.spans.back().end = out_.num_rows;
    }
  }

  const ModelConfig& config_;
  Prefix prefix_;
  PackedGroups out_;
  std::vector<at::Tensor> ids_, positions_, features_, allowed_;
  std::vector<int64_t> rows_, targets_, feature_rows_, dropout_keys_;
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
