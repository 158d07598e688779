#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

namespace lriad {

/// One merge of a vocabulary: the tokens `left` and `right` become `result`. Its rank is its index in the list.
struct BpeMerge {
  uint32_t left = 0;
  uint32_t right = 0;
  uint32_t result = 0;
};

/// Byte-pair merging of one piece as in `tokenizers` (models/bpe/word.rs): the pair of lowest rank is merged first, the
/// leftmost if it occurs more than once. Immutable; safe from several threads.
class BpeMerger {
 public:
  /// `byte_ids`: token of every byte. Of two merges of the same pair the later one counts.
  BpeMerger(const std::array<uint32_t, 256>& byte_ids, const std::vector<BpeMerge>& merges);

  /// Appends the ids of the piece's bytes after merging. O(n log n).
  void append_ids(std::string_view piece, std::vector<int64_t>& ids) const;

 private:
  struct Entry {
    uint64_t pair = 0;
    uint32_t rank = 0;
    uint32_t result = 0;
  };
  static constexpr uint64_t kEmpty = ~0ull;

  const Entry* find(uint32_t left, uint32_t right) const;
  void insert(const BpeMerge& merge, uint32_t rank);
  void append_short(std::string_view piece, std::vector<int64_t>& ids) const;
  void append_long(std::string_view piece, std::vector<int64_t>& ids) const;

  std::array<uint32_t, 256> byte_ids_;
  std::vector<Entry> table_;  // open addressing, at most half full
  int shift_ = 0;
  bool unique_results_ = true;  // no two merges have the same result
};

}  // namespace lriad
