#pragma once

#include <filesystem>
#include <string>

#include "lriad/model/adapter_files.h"

namespace lriad {

/// In a folder that merge_adapter() has written: the adapters that its weights hold.
inline constexpr const char* kMergedAdaptersFile = "lriad_merged_adapters.json";

/// Lower-case hexadecimal SHA-256 of the branches, their scales and the whole modules; names and precision in the file
/// do not enter.
std::string adapter_hash(const Adapter& adapter);

/// Notes in a folder with a merged model that its weights hold the adapter, beside those that they held before.
void note_merged(const std::filesystem::path& merged_dir, const std::filesystem::path& adapter_dir,
                 const Adapter& adapter);

/// Throws Error if the model holds the adapter already, or if adapter_config.json says that it was trained on a model
/// of another class (auto_mapping); warns if the name of its model does.
void check_origin(const Adapter& adapter, const std::filesystem::path& adapter_dir,
                  const std::filesystem::path& model_dir);

}  // namespace lriad
