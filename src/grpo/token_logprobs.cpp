#include "lriad/grpo/token_logprobs.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/custom_function.h>

#include "head_logprobs.h"
#include "lriad/core/error.h"
#include "lriad/model/deterministic.h"
#include "lriad/model/dropout.h"
#include "lriad/model/rope.h"
#include "lriad/model/row_packer.h"

// Shape letters: T packed rows, M completion tokens, D hidden size, V vocabulary.
namespace lriad {
namespace {

// Parts of a group's dropout seed besides its prompt, 0, and its completions, 1 and on.
constexpr uint64_t kPatches = ~uint64_t{0}, kCells = kPatches - 1;

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

/// Number of patches in the group's grids; 0 unless they take all values of its patches.
int64_t num_patches(const Group& group, int64_t patch_dim) {
  const int64_t values = std::ssize(group.patches);
  int64_t total = 0;
  for (const Grid& grid : group.grids) {
    int64_t patches = 1;
    for (const int64_t length : grid) {
      if (length < 1 || length > values / patches) return 0;
      patches *= length;
    }
    total += patches;
  }
  return total <= values && total * patch_dim == values ? total : 0;
}

/// What the images of a pass give its prompts, prompt by prompt.
at::Tensor features_of(Qwen2Vl& model, const PackedImages& images) {
  std::vector<at::Tensor> rows;
  std::vector<int64_t> lengths;
  const int64_t merge = model->config().vision.spatial_merge_size;
  for (const at::Tensor& patches_NP : images.patches_NP) lengths.push_back(patches_NP.size(0) / (merge * merge));
  at::Tensor pixels = at::cat(images.patches_NP);
  pixels = pixels.to(model->head().device(), model->head().scalar_type());
  const auto features = model->image_features(pixels, images.grids).split_with_sizes(lengths);
  for (const std::size_t group : images.of_prompt) rows.push_back(features.at(group));
  return at::cat(rows);
}

/// Collects the packed rows of groups, and which row predicts which completion token.
class Packer {
 public:
  Packer(const ModelConfig& config, Prefix prefix) : config_(config), prefix_(prefix), rows_(config.image_token_id) {}

  void add(const Group& group) {
    const at::Tensor prompt_at =
        mrope_positions(group.prompt_ids, group.grids, config_.image_token_id, config_.vision.spatial_merge_size);
    const int64_t next = prompt_at.max().item<int64_t>() + 1, prompt_rows = std::ssize(group.prompt_ids);
    if (!group.patches.empty()) add_images(group);
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
      add_keys(dropout_keys_, seed, shared ? 0 : prompt_rows, std::ssize(followed));
      if (completion.allowed_TV.defined()) allowed_.push_back(completion.allowed_TV);
    }
  }

  PackedGroups finish(const at::Device& device) {
    PackedGroups packed;
    packed.num_rows = rows_.num_rows();
    packed.tokens = rows_.finish(device);
    const auto on_device = [&](const std::vector<int64_t>& values) { return at::tensor(values, at::kLong).to(device); };
    if (!patch_keys_.empty()) images_.dropout = {on_device(patch_keys_), on_device(cell_keys_)};
    packed.images = std::move(images_);
    packed.dropout_keys_T = on_device(dropout_keys_);
    packed.rows_M = on_device(predicting_rows_);
    packed.targets_M = on_device(targets_);
    if (!allowed_.empty()) packed.allowed_MV = at::cat(allowed_).to(device);
    return packed;
  }

 private:
  void add_images(const Group& group) {
    const VisionConfig& vision = config_.vision;
    const int64_t patches = num_patches(group, vision.patch_dim());
    if (patches == 0) {
      fail("grpo", "the group of ", group.sample_id, " has ", group.patches.size(),
           " values of patches, which do not fill its grids by rows of ", vision.patch_dim());
    }
    images_.patches_NP.push_back(
        at::from_blob(const_cast<float*>(group.patches.data()), {patches, vision.patch_dim()}, at::kFloat));
    images_.grids.insert(images_.grids.end(), group.grids.begin(), group.grids.end());
    const int64_t cells = patches / (vision.spatial_merge_size * vision.spatial_merge_size);
    add_keys(patch_keys_, stream_seed(group.dropout_seed, kPatches), 0, patches);
    add_keys(cell_keys_, stream_seed(group.dropout_seed, kCells), 0, cells);
  }

  void add_prompt(const Group& group, const at::Tensor& positions_3T, uint64_t dropout_seed) {
    const bool by_pass = !group.patches.empty();
    if (by_pass) images_.of_prompt.push_back(images_.patches_NP.size() - 1);
    rows_.add_prompt(group.prompt_ids, positions_3T, by_pass ? at::Tensor() : group.features_ID);
    add_keys(dropout_keys_, dropout_seed, 0, std::ssize(group.prompt_ids));
  }

  /// Adds dropout keys of `count` rows from `first` on of the sequence with this dropout seed.
  static void add_keys(std::vector<int64_t>& keys, uint64_t seed, int64_t first, int64_t count) {
    for (int64_t k = 0; k < count; ++k) keys.push_back(dropout_key(seed, first + k));
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
  std::vector<int64_t> predicting_rows_, targets_, dropout_keys_, patch_keys_, cell_keys_;
  PackedImages images_;
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
  model->set_dropout(packed.dropout_keys_T, packed.images.dropout);
  PackedTokens tokens = packed.tokens;
  if (!packed.images.of_prompt.empty()) tokens.features_MD = features_of(model, packed.images);
  const at::Tensor hidden_MD = TakeRows::apply(model->hidden(tokens), packed.rows_M);
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
