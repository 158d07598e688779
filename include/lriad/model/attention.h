#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

namespace lriad {

inline constexpr int64_t kPromptBlock = 512;         ///< query rows of a prompt whose scores exist at once
inline constexpr int64_t kScoresAtOnce = 1ll << 26;  ///< scores of completions that exist at once, unless one has more

/// Rows [begin, end) of a packed pass that are one stretch of tokens. `prefix` is the index of an earlier span whose
/// rows come before these in the sequence (a prompt shared by its completions), or -1.
struct RowSpan {
  int64_t begin = 0;
  int64_t end = 0;
  int64_t prefix = -1;
  int64_t size() const { return end - begin; }
};

/// Which rows of a pass see which, as index tables on the device of its tensors: made once a pass, and used by every
/// layer, forward and backward. `options` are those of the queries: on a GPU, flash attention computes bfloat16.
struct AttentionLayout;
std::shared_ptr<const AttentionLayout> attention_layout(const std::vector<RowSpan>& spans, int64_t num_heads,
                                                        const at::TensorOptions& options);

/// Causal attention of every span over its prefix (all rows) and itself (up to each row), without padding in the rows:
/// completions of one prompt see its keys and values, which were computed once. q [T, heads, D], k and v [T, kv heads,
/// D]; query head n uses key head n / (heads / kv heads); scale D^-0.5; result [T, heads, D]. A prefix has no prefix
/// itself. Source of the attention: transformers, Qwen2VLAttention; the sharing is exact because equal rows give equal
/// keys.
at::Tensor packed_attention(const at::Tensor& q_THD, const at::Tensor& k_TKD, const at::Tensor& v_TKD,
                            const std::shared_ptr<const AttentionLayout>& layout);

/// Consecutive segments of rows: the images of the vision tower's pass, or their windows. Made once a pass.
struct Segments {
  std::vector<int64_t> lengths;
  at::Tensor starts;  ///< int32 [segments + 1] where flash attention serves: bfloat16 on a GPU; else undefined
};
Segments make_segments(std::vector<int64_t> lengths, const at::TensorOptions& options);

/// Unmasked attention within each segment; q, k and v [T, heads, D].
at::Tensor segment_attention(const at::Tensor& q_THD, const at::Tensor& k_THD, const at::Tensor& v_THD,
                             const Segments& segments);

}  // namespace lriad
