#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/json.h"
#include "lriad/core/error.h"

namespace lriad {

// Far beyond any model and small enough for the sizes of its tensors to be multiplied.
inline constexpr int64_t kMostTokens = 1 << 24, kMostFeatures = 1'000'000, kMostLayers = 10'000, kLongestSide = 1024,
                         kMostFrames = 16, kMostMerged = 16, kMostHead = 1 << 16;

/// One object of config.json with the name it has in messages.
class Fields {
 public:
  Fields(const nlohmann::json& object, std::string where) : object_(object), where_(std::move(where)) {}

  int64_t size(const char* key, int64_t most, std::optional<int64_t> fallback = {}) const {
    return whole(key, 1, most, fallback);
  }
  int64_t id(const char* key, int64_t fallback) const { return whole(key, 0, kMostTokens, fallback); }

  double number(const char* key, double fallback) const {
    const auto found = object_.find(key);
    if (found == object_.end() || found->is_null()) return fallback;
    if (!found->is_number() || *found <= 0)
      fail("model", where_, ": ", key, " is ", found->dump(), ", expected a number > 0");
    return found->get<double>();
  }

  void require_text(const char* key, const std::string& wanted) const {
    if (object_.contains(key) && object_[key] != wanted) {
      fail("model", where_, ": ", key, " is ", object_[key].dump(), ", expected \"", wanted, "\"");
    }
  }

  void require_false(const char* key, const char* why) const {
    if (object_.value(key, nlohmann::json(false)) == true)
      fail("model", where_, ": ", key, " is true, expected false: ", why);
  }

  std::vector<int64_t> indexes(const char* key, const std::vector<int64_t>& fallback) const {
    if (!object_.contains(key)) return fallback;
    const nlohmann::json& list = object_[key];
    bool good = list.is_array() && list.size() <= kMostLayers;
    for (const nlohmann::json& index : list)
      good = good && index.is_number_integer() && index >= 0 && index < kMostLayers;
    if (!good) fail("model", where_, ": ", key, " is ", list.dump(), ", expected a list of block numbers from 0");
    return list.get<std::vector<int64_t>>();
  }

  const nlohmann::json& object() const { return object_; }
  const std::string& where() const { return where_; }

 private:
  int64_t whole(const char* key, int64_t least, int64_t most, std::optional<int64_t> fallback) const {
    const auto found = object_.find(key);
    if (found == object_.end() || found->is_null()) {
      if (fallback) return *fallback;
      fail("model", where_, " has no ", key);
    }
    if (!found->is_number_integer() || *found < least || *found > most) {
      fail("model", where_, ": ", key, " is ", found->dump(), ", expected a whole number from ", least, " to ", most);
    }
    return found->get<int64_t>();
  }

  const nlohmann::json& object_;
  std::string where_;
};

}  // namespace lriad
