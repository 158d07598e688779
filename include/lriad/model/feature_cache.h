#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lriad/config/config.h"
#include "lriad/model/qwen2_vl.h"
#include "lriad/vision/image_processor.h"

namespace lriad {

/// 630 MB of temporaries in bfloat16 in a tower of 1280 columns.
inline constexpr int64_t kPatchesAtOnce = 1 << 14;

/// Cache of the frozen vision tower's output for images, in memory and, if a folder is given, on disk. Both have a
/// limit in bytes; the least recently used entries are removed first. The key is a hash of patches and grid and, on
/// disk, of the tower's weights and dtype. Each image goes through the tower alone, so cached features equal new ones
/// bit for bit, also those of a run that was resumed with an empty cache.
class FeatureCache {
 public:
  FeatureCache(const VisionCacheSection& section, Qwen2Vl& model);
  /// The features of an image, [image tokens, feature_dim()], on the model's device, without gradient.
  at::Tensor features(const Patches& image);
  /// Those of several images. Where nothing is cached and the model is on a GPU, the images go through the tower
  /// together, at most kPatchesAtOnce patches (or one image) at a time.
  std::vector<at::Tensor> features(const std::vector<const Patches*>& images);

 private:
  struct Entry {
    at::Tensor features;  ///< on the CPU
    std::list<std::string>::iterator age;
  };
  std::optional<at::Tensor> from_memory(const std::string& key);
  std::optional<at::Tensor> from_disk(const std::string& key);
  void to_memory(const std::string& key, const at::Tensor& features);
  void to_disk(const std::string& key, const at::Tensor& features);
  bool caches() const { return memory_bytes_ > 0 || !folder_.empty(); }
  std::filesystem::path file_of(const std::string& key) const;
  void open_folder();

  Qwen2Vl model_;
  int64_t memory_bytes_, disk_bytes_;
  std::filesystem::path folder_;  ///< empty: no cache on disk
  std::string tower_;             ///< hash of the tower's weights and dtype
  std::map<std::string, Entry> entries_;
  std::list<std::string> ages_;  ///< keys, least recently used first
  int64_t held_bytes_ = 0;
  int64_t disk_used_ = 0;
};

}  // namespace lriad
