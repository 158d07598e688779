#include "vocabulary.h"

#include <utility>

#include "lriad/core/error.h"

namespace lriad {
namespace {

constexpr int64_t kMaxIds = 1 << 24;  // far above any vocabulary; bounds the memory that a damaged id can allocate

}  // namespace

void Vocabulary::add_token(const std::filesystem::path& file, std::string token, int64_t id) {
  if (id < 0 || id >= kMaxIds) {
    fail("text", file.string(), ": token \"", token, "\" has id ", id, ", expected 0 to ", kMaxIds - 1);
  }
  const auto index = static_cast<size_t>(id);
  if (index >= tokens_.size()) tokens_.resize(index + 1);
  if (!tokens_[index].empty()) {
    fail("text", file.string(), ": id ", id, " belongs to two tokens, \"", tokens_[index], "\" and \"", token, "\"");
  }
  const auto [entry, inserted] = ids_.try_emplace(token, static_cast<uint32_t>(id));
  if (!inserted) fail("text", file.string(), ": token \"", token, "\" has two ids, ", entry->second, " and ", id);
  tokens_[index] = std::move(token);
}

void Vocabulary::add_merge(const std::filesystem::path& file, const std::string& location, std::string_view left,
                           std::string_view right) {
  const auto id_of = [&](std::string_view token) {
    const auto found = find(token);
    if (!found) {
      fail("text", file.string(), ": ", location, " (\"", left, " ", right, "\") needs the token \"", token,
           "\", which the vocabulary lacks");
    }
    return *found;
  };
  const std::string result = std::string(left) + std::string(right);
  merges_.push_back({id_of(left), id_of(right), id_of(result)});
}

void Vocabulary::add_added_token(const std::filesystem::path& file, AddedToken token) {
  if (token.content.empty()) fail("text", file.string(), ": the added token ", token.id, " has no text");
  for (AddedToken& known : added_) {
    if (known.content != token.content) continue;
    if (known.id != token.id)
      fail("text", file.string(), ": added token \"", token.content, "\" has two ids, ", known.id, " and ", token.id);
    known = std::move(token);
    return;
  }
  const auto found = find(token.content);
  if (!found) {
    add_token(file, token.content, token.id);
  } else if (*found != token.id) {
    fail("text", file.string(), ": added token \"", token.content, "\" has id ", token.id, ", but ", *found,
         " in the vocabulary");
  }
  added_.push_back(std::move(token));
}

std::optional<uint32_t> Vocabulary::find(std::string_view token) const {
  const auto found = ids_.find(token);
  if (found == ids_.end()) return std::nullopt;
  return found->second;
}

}  // namespace lriad
