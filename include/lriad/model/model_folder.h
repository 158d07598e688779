#pragma once

#include <filesystem>
#include <string>

#include "lriad/config/config.h"

namespace lriad {

/// Whether a folder has model.safetensors or its index.
bool has_weights(const std::filesystem::path& model_dir);

/// The folder that holds the files: `given` itself, or for a model's folder in the cache of huggingface_hub (with
/// `refs` and `snapshots`) the snapshot that refs/main names, else the only one. Throws Error if there are several.
std::filesystem::path hub_snapshot(const std::filesystem::path& given);

/// The folder of a model, found as by hub_snapshot(). Throws Error that says what `given` is instead and what to do: no
/// folder, an adapter, a run in which an adapter is trained, weights that are quantised or not in safetensors.
std::filesystem::path model_folder(const std::filesystem::path& given);

/// Likewise the folder of a PEFT adapter.
std::filesystem::path adapter_folder(const std::filesystem::path& given);

/// Puts these folders in the place of model.path and model.adapter.
void find_model_folders(ModelSection& section);

/// What a model is called: its name on the hub if the folder lies in huggingface_hub's cache, else the folder's name.
std::string model_name(const std::filesystem::path& model_dir);

}  // namespace lriad
