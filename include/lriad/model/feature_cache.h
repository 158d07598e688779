#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <list>
#include <map>
#include <optional>
#include <string>

#include "lriad/config/config.h"
#include "lriad/model/qwen2_vl.h"
#include "lriad/vision/image_processor.h"

namespace lriad {

/// Rows that images give the language model, kept over steps and epochs while the tower is frozen: in memory and, if
/// a folder is given, on disk, each bounded in bytes, the longest unused leaving first. An entry is named by a hash of
/// patches and grid and, on disk, of the tower's weights and dtype. Each image passes the tower alone, so a cached
/// row equals a fresh one bit for bit.
class FeatureCache {
 public:
  FeatureCache(const VisionCacheSection& section, Qwen2Vl& model);
  /// [image tokens, hidden size] on the model's device, no gradient.
  at::Tensor features(const Patches& image);

 private:
  struct Entry {
    at::Tensor features;  ///< on the CPU
    std::list<std::string>::iterator age;
  };
  std::optional<at::Tensor> from_memory(const std::string& key);
  std::optional<at::Tensor> from_disk(const std::string& key);
  void to_memory(const std::string& key, const at::Tensor& features);
  void to_disk(const std::string& key, const at::Tensor& features);
  std::filesystem::path file_of(const std::string& key) const;
  void open_folder();

  Qwen2Vl model_;
  int64_t memory_bytes_, disk_bytes_;
  std::filesystem::path folder_;  ///< empty: no disk
  std::string tower_;             ///< hash of the tower's weights and dtype
  std::map<std::string, Entry> entries_;
  std::list<std::string> ages_;  ///< keys, longest unused first
  int64_t held_bytes_ = 0;
  int64_t disk_used_ = 0;
};

}  // namespace lriad
