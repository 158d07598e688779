#include "lriad/model/feature_cache.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <iterator>
#include <vector>

#include "lriad/core/error.h"
#include "lriad/core/files.h"
#include "lriad/core/log.h"
#include "lriad/model/image_features.h"
#include "lriad/model/safetensors.h"

namespace lriad {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFeatures = "features";
constexpr const char* kChecksum = "sha256";

std::string_view bytes_of(const at::Tensor& tensor) {
  return {static_cast<const char*>(tensor.const_data_ptr()), tensor.nbytes()};
}

std::string key_of(const Patches& image) {
  const auto& values = image.values;
  const auto& grid = image.grid;
  const std::string patches = sha256_hex({reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)});
  return sha256_hex(concat(patches, ' ', grid[0], ' ', grid[1], ' ', grid[2]));
}

/// Hash over the hashes of the tower's tensors.
std::string tower_hash(const Qwen2Vl& model) {
  std::string text = c10::toString(model->head().scalar_type());
  for (const auto& item : model->named_parameters()) {
    if (!item.key().starts_with("model.visual.")) continue;
    text += concat('\n', item.key(), ' ', sha256_hex(bytes_of(item.value().detach().cpu().contiguous())));
  }
  return sha256_hex(text);
}

bool is_entry(const fs::directory_entry& entry) {
  return entry.is_regular_file() && entry.path().extension() == ".safetensors";
}

}  // namespace

FeatureCache::FeatureCache(const VisionCacheSection& section, Qwen2Vl& model)
    : model_(model), memory_bytes_(section.memory_mb << 20), disk_bytes_(section.disk_mb << 20) {
  if (!section.folder || disk_bytes_ == 0) return;
  folder_ = *section.folder;
  open_folder();
}

void FeatureCache::open_folder() {
  make_folder("model", folder_);
  tower_ = tower_hash(model_);
  for (const auto& entry : fs::directory_iterator(folder_)) {
    if (is_entry(entry)) disk_used_ += static_cast<int64_t>(entry.file_size());
  }
}

at::Tensor FeatureCache::features(const Patches& image) {
  const at::NoGradGuard no_grad;
  const auto compute = [&] { return image_features(model_, {&image}).front(); };
  if (!caches()) return compute();
  const std::string key = key_of(image);
  std::optional<at::Tensor> found = from_memory(key);
  if (!found && !folder_.empty() && (found = from_disk(key))) to_memory(key, *found);
  if (found) return found->to(model_->head().device());
  const at::Tensor fresh = compute();
  const at::Tensor kept = fresh.cpu().contiguous();
  to_memory(key, kept);
  if (!folder_.empty()) to_disk(key, kept);
  return fresh;
}

std::vector<at::Tensor> FeatureCache::features(const std::vector<const Patches*>& images) {
  const at::NoGradGuard no_grad;
  const bool alone = caches() || !model_->head().is_cuda();
  std::vector<at::Tensor> all;
  for (auto next = images.begin(); next != images.end();) {
    if (alone) {
      all.push_back(features(**next++));
      continue;
    }
    std::vector<const Patches*> together;
    for (int64_t patches = 0; next != images.end(); together.push_back(*next++)) {
      patches += (*next)->tokens(/*merge_size=*/1);
      if (!together.empty() && patches > kPatchesAtOnce) break;
    }
    std::ranges::move(image_features(model_, together), std::back_inserter(all));
  }
  return all;
}

std::optional<at::Tensor> FeatureCache::from_memory(const std::string& key) {
  const auto found = entries_.find(key);
  if (found == entries_.end()) return std::nullopt;
  ages_.splice(ages_.end(), ages_, found->second.age);
  return found->second.features;
}

void FeatureCache::to_memory(const std::string& key, const at::Tensor& features) {
  const auto bytes = static_cast<int64_t>(features.nbytes());
  if (bytes > memory_bytes_) return;
  while (held_bytes_ + bytes > memory_bytes_) {
    const auto oldest = entries_.find(ages_.front());
    held_bytes_ -= static_cast<int64_t>(oldest->second.features.nbytes());
    entries_.erase(oldest);
    ages_.pop_front();
  }
  held_bytes_ += bytes;
  entries_[key] = {features, ages_.insert(ages_.end(), key)};
}

fs::path FeatureCache::file_of(const std::string& key) const {
  return folder_ / (sha256_hex(key + tower_) + ".safetensors");
}

/// A file that is cut or changed is as good as absent: never trusted, written anew.
std::optional<at::Tensor> FeatureCache::from_disk(const std::string& key) {
  const fs::path path = file_of(key);
  std::error_code error;
  if (!fs::exists(path, error)) return std::nullopt;
  try {
    const SafetensorsFile file(path);
    const at::Tensor features = file.tensor(kFeatures).clone();
    const auto checksum = file.metadata().find(kChecksum);
    if (checksum != file.metadata().end() && checksum->second == sha256_hex(bytes_of(features))) return features;
    log_warning(concat("[model] ", path.string(), " is damaged and computed anew"));
  } catch (const Error& problem) {
    log_warning(concat("[model] ", path.string(), " is damaged and computed anew: ", problem.what()));
  }
  disk_used_ -= static_cast<int64_t>(fs::file_size(path, error));
  fs::remove(path, error);
  return std::nullopt;
}

/// A full disk must not end a run: the cache then only stops growing.
void FeatureCache::to_disk(const std::string& key, const at::Tensor& features) {
  const auto bytes = static_cast<int64_t>(features.nbytes()) + 512;
  std::vector<std::pair<fs::file_time_type, fs::path>> files;
  if (disk_used_ + bytes > disk_bytes_) {
    for (const auto& entry : fs::directory_iterator(folder_)) {
      if (is_entry(entry)) files.emplace_back(entry.last_write_time(), entry.path());
    }
    std::ranges::sort(files);
  }
  std::error_code error;
  for (auto oldest = files.begin(); oldest != files.end() && disk_used_ + bytes > disk_bytes_; ++oldest) {
    disk_used_ -= static_cast<int64_t>(fs::file_size(oldest->second, error));
    fs::remove(oldest->second, error);
  }
  if (disk_used_ + bytes > disk_bytes_) return;
  const fs::path path = file_of(key);
  try {
    write_safetensors(path, std::map<std::string, at::Tensor>{{kFeatures, features}},
                      {{"format", "pt"}, {kChecksum, sha256_hex(bytes_of(features))}});
    disk_used_ += static_cast<int64_t>(fs::file_size(path));
  } catch (const Error& problem) {
    log_warning(concat("[model] the vision cache stops writing: ", problem.what()));
    disk_bytes_ = 0;
  }
}

}  // namespace lriad
