#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lriad/config/load_config.h"

namespace lriad {

/// The name of the file beside adapter_config.json and in merged folders; PEFT and transformers ignore it.
inline constexpr const char* kModelSettingsFile = "lriad_settings.json";

/// The data on which a checkpoint was chosen as the best, so that its metrics on them are too good.
struct ChosenOn {
  std::string root, split;  ///< of eval_data, as the config spells them
  std::string metric;       ///< train.metric_for_best_model
};

/// What a model was trained with and therefore has to be asked with.
struct ModelSettings {
  std::string prompt_template;
  std::optional<std::string> system;
  ImageSection image;
  int64_t reference_normal = 0;  ///< data.reference.normal
  std::map<std::string, std::string> object_names;
  int64_t letter_a = 0, letter_b = 0;  ///< ids of the answer tokens for A and B
  std::optional<double> threshold;     ///< a valid answer is a defect if its score is at least this
  std::string threshold_chosen_on;     ///< split; empty without a threshold
  std::optional<ChosenOn> chosen_on;   ///< null: not chosen by an evaluation
  std::string program, version;        ///< what wrote the file
};

/// The settings of a config; letters, program and version are the caller's.
ModelSettings model_settings(const Config& config);

/// Writes kModelSettingsFile into `folder` atomically.
void write_model_settings(const std::filesystem::path& folder, const ModelSettings& settings);

/// Reads it back; null if the folder has none. Throws Error naming the file and the field that is missing or wrong.
std::optional<ModelSettings> read_model_settings(const std::filesystem::path& folder);

/// Sets the keys of `loaded` that nobody set to the settings' values and returns, for each key that somebody set to
/// another value, a line that names it. `data.object_names` counts as a whole.
std::vector<std::string> apply_model_settings(LoadedConfig& loaded, const ModelSettings& settings);

}  // namespace lriad
