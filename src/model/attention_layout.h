#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "flash_attention.h"

namespace lriad {

// Shape letters: N sequences of R rows each, M of these slots that hold rows of their own.

/// Queries that are computed together: N x R rows that see the rows of a prefix and their own up to each row. Shorter
/// sequences repeat their last row; what is computed there is dropped.
struct AttentionTile {
  int64_t prefix_begin = 0, prefix_end = 0;
  int64_t num_sequences = 0, num_rows = 0;  ///< N, R
  int64_t begin = 0;                        ///< first packed row of a tile of one sequence
  // Of a tile of more than one sequence:
  at::Tensor rows;           ///< [N R] int64: packed row in each slot
  at::Tensor own_M;          ///< int64: slots that hold rows of their own
  at::Tensor target_M;       ///< int64: their packed rows
  at::Tensor padding_1NR11;  ///< bool: the other slots; undefined if there are none

  int64_t num_prefix_rows() const { return prefix_end - prefix_begin; }
  bool is_one_sequence() const { return num_sequences == 1; }
};

struct AttentionLayout {
  std::optional<FlashLayout> flash;  ///< where it serves; else tiles:
  std::vector<AttentionTile> tiles;
  at::Tensor future_LL;  ///< bool, L the most rows of a sequence in a tile: true where a row must not look
};

}  // namespace lriad
