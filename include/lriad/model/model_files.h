#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lriad/model/model_config.h"
#include "lriad/model/safetensors.h"

namespace lriad {

/// All tensors of a model folder by canonical name: the names of TF >= 4.52 (`model.visual.…`,
/// `model.language_model.…`, `lm_head.weight`), whatever layout the files use; one file or shards by index.
class ModelFiles {
 public:
  explicit ModelFiles(const std::filesystem::path& model_dir);
  std::vector<std::string> names() const;
  const TensorEntry* find(const std::string& canonical) const;
  /// View of the map. Throws Error naming file and tensor if a value is not finite.
  at::Tensor tensor(const std::string& canonical) const;
  /// As spelled in the files, for merged export in the same style.
  std::string stored_name(const std::string& canonical) const;

 private:
  std::vector<std::shared_ptr<SafetensorsFile>> files_;
  struct StoredTensor {
    std::size_t file = 0;
    std::string stored_name;
  };
  std::map<std::string, StoredTensor> stored_;
};

/// Names of the safetensors files of a model folder: those of its index, each once and checked to be plain names, else
/// model.safetensors. Throws Error naming the index if it is damaged.
std::vector<std::string> weight_files(const std::filesystem::path& model_dir);

/// float32, bfloat16, float16 or float64, as config.json spells dtypes.
const char* dtype_name(at::ScalarType dtype);

/// Throws Error naming file and tensor if a value is NaN or infinite: a damaged file, or training that diverged.
void require_finite(const at::Tensor& tensor, const std::filesystem::path& file, const std::string& name);

/// Canonical (TF >= 4.52) form of a tensor or module name of either layout.
std::string canonical_name(const std::string& name);

/// Name and shape of every tensor of a model, in canonical names, as its modules have them; a tied model has no
/// lm_head.weight.
std::map<std::string, std::vector<int64_t>> expected_tensors(const ModelConfig& config);

/// Qwen2VlImpl::lora_layers() of a model of this config.
std::map<std::string, std::vector<int64_t>> lora_layers(const ModelConfig& config);

/// Fills every parameter (canonical name -> undefined or any content) with its tensor of the folder in `dtype` on
/// `device`, one tensor at a time; on the CPU a tensor that is stored in `dtype` becomes the mapped file itself,
/// without a copy. Throws one Error that lists all missing, misshapen and (first ten) surplus tensors. A surplus
/// lm_head.weight of a tied model passes.
void load_weights(const std::filesystem::path& model_dir, const ModelConfig& config,
                  std::map<std::string, at::Tensor>& parameters, at::ScalarType dtype, const at::Device& device);

/// Writes a complete HF model into a folder that exists (model.safetensors or shards of 4 GB with index, keys as
/// spelled in `source_dir`) with the given tensors (canonical names), and copies config, tokenizer, preprocessor,
/// template and generation files from `source_dir`; the dtype in config.json is updated.
void write_model_folder(const std::filesystem::path& source_dir, const std::filesystem::path& output_dir,
                        const std::map<std::string, at::Tensor>& tensors);

}  // namespace lriad
