#include "bpe.h"

#include <algorithm>
#include <limits>
#include <queue>
#include <unordered_set>

namespace lriad {
namespace {

constexpr size_t kShortPiece = 40;  // bytes; for shorter pieces a scan for the lowest rank is faster than a heap
constexpr uint32_t kNoRank = std::numeric_limits<uint32_t>::max();
constexpr size_t kNone = std::numeric_limits<size_t>::max();

uint64_t pair_key(uint32_t left, uint32_t right) { return (static_cast<uint64_t>(left) << 32) | right; }

struct Symbol {
  uint32_t id = 0;
  size_t previous = kNone;
  size_t next = kNone;
  bool alive = true;
};

struct Candidate {
  uint32_t rank = 0;
  size_t position = 0;
  uint32_t result = 0;
  bool operator>(const Candidate& other) const {
    return rank != other.rank ? rank > other.rank : position > other.position;
  }
};

using Queue = std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>>;

std::vector<Symbol> symbols_of(std::string_view piece, const std::array<uint32_t, 256>& byte_ids) {
  std::vector<Symbol> symbols(piece.size());
  for (size_t i = 0; i < piece.size(); ++i) {
    symbols[i].id = byte_ids[static_cast<unsigned char>(piece[i])];
    symbols[i].previous = i == 0 ? kNone : i - 1;
    symbols[i].next = i + 1 == piece.size() ? kNone : i + 1;
  }
  return symbols;
}

void join_with_next(std::vector<Symbol>& symbols, size_t at, uint32_t result) {
  Symbol& left = symbols[at];
  Symbol& right = symbols[left.next];
  left.id = result;
  left.next = right.next;
  right.alive = false;
  if (left.next != kNone) symbols[left.next].previous = at;
}

}  // namespace

BpeMerger::BpeMerger(const std::array<uint32_t, 256>& byte_ids, const std::vector<BpeMerge>& merges)
    : byte_ids_(byte_ids) {
  int bits = 4;
  while ((size_t{1} << bits) < 2 * merges.size()) ++bits;
  table_.assign(size_t{1} << bits, Entry{kEmpty, 0, 0});
  shift_ = 64 - bits;
  std::unordered_set<uint32_t> results;
  results.reserve(merges.size());
  for (size_t rank = 0; rank < merges.size(); ++rank) {
    insert(merges[rank], static_cast<uint32_t>(rank));
    unique_results_ = results.insert(merges[rank].result).second && unique_results_;
  }
}

void BpeMerger::insert(const BpeMerge& merge, uint32_t rank) {
  const uint64_t pair = pair_key(merge.left, merge.right);
  size_t slot = (pair * 0x9E3779B97F4A7C15ull) >> shift_;
  while (table_[slot].pair != kEmpty && table_[slot].pair != pair) slot = (slot + 1) & (table_.size() - 1);
  table_[slot] = {pair, rank, merge.result};
}

const BpeMerger::Entry* BpeMerger::find(uint32_t left, uint32_t right) const {
  const uint64_t pair = pair_key(left, right);
  size_t slot = (pair * 0x9E3779B97F4A7C15ull) >> shift_;
  while (table_[slot].pair != pair) {
    if (table_[slot].pair == kEmpty) return nullptr;
    slot = (slot + 1) & (table_.size() - 1);
  }
  return &table_[slot];
}

void BpeMerger::append_ids(std::string_view piece, std::vector<int64_t>& ids) const {
  if (piece.size() == 1) {
    ids.push_back(byte_ids_[static_cast<unsigned char>(piece[0])]);
  } else if (piece.size() <= kShortPiece && unique_results_) {
    append_short(piece, ids);
  } else {
    append_long(piece, ids);
  }
}

void BpeMerger::append_short(std::string_view piece, std::vector<int64_t>& ids) const {
  std::array<uint32_t, kShortPiece> id;
  std::array<uint32_t, kShortPiece> rank;    // of the pair (i, i + 1)
  std::array<uint32_t, kShortPiece> result;  // of the pair (i, i + 1)
  size_t count = piece.size();
  const auto look_up = [&](size_t i) {
    const Entry* entry = i + 1 < count ? find(id[i], id[i + 1]) : nullptr;
    rank[i] = entry != nullptr ? entry->rank : kNoRank;
    result[i] = entry != nullptr ? entry->result : 0;
  };
  for (size_t i = 0; i < count; ++i) id[i] = byte_ids_[static_cast<unsigned char>(piece[i])];
  for (size_t i = 0; i < count; ++i) look_up(i);
  while (count > 1) {
    size_t best = 0;
    for (size_t i = 1; i + 1 < count; ++i) best = rank[i] < rank[best] ? i : best;
    if (rank[best] == kNoRank) break;
    id[best] = result[best];
    --count;
    for (size_t i = best + 1; i < count; ++i) {
      id[i] = id[i + 1];
      rank[i] = rank[i + 1];
      result[i] = result[i + 1];
    }
    look_up(best);
    if (best > 0) look_up(best - 1);
  }
  ids.insert(ids.end(), id.begin(), id.begin() + static_cast<std::ptrdiff_t>(count));
}

void BpeMerger::append_long(std::string_view piece, std::vector<int64_t>& ids) const {
  std::vector<Symbol> symbols = symbols_of(piece, byte_ids_);
  std::vector<Candidate> first;
  first.reserve(piece.size());
  Queue queue(std::greater<>(), std::move(first));
  const auto offer = [&](size_t at) {
    if (at == kNone || symbols[at].next == kNone) return;
    const Entry* entry = find(symbols[at].id, symbols[symbols[at].next].id);
    if (entry != nullptr) queue.push({entry->rank, at, entry->result});
  };
  for (size_t i = 0; i < symbols.size(); ++i) offer(i);
  while (!queue.empty()) {
    const Candidate top = queue.top();
    queue.pop();
    const Symbol& left = symbols[top.position];
    if (!left.alive || left.next == kNone) continue;
    const Entry* entry = find(left.id, symbols[left.next].id);
    // A candidate is outdated if its pair has changed; word.rs also compares the result, not the rank.
    if (entry == nullptr || entry->result != top.result) continue;
    join_with_next(symbols, top.position, top.result);
    offer(left.previous);
    offer(top.position);
  }
  for (const Symbol& symbol : symbols) {
    if (symbol.alive) ids.push_back(symbol.id);
  }
}

}  // namespace lriad
