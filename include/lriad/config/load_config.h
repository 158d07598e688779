#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "lriad/config/config.h"

namespace lriad {

/// What the config is read for, which decides what must be set. kTrain needs output_dir, model.path, data.root and, for
/// stage sft, target texts. kEval reads the same files, but its command line says what is needed. kRewards (the audit
/// of rewards) needs nothing.
enum class ConfigUse { kTrain, kEval, kRewards };

/// Where values come from: files, which `sets` override, which `options` override; within each list later entries win.
struct ConfigInput {
  std::vector<std::filesystem::path> files;
  std::vector<std::string> sets;  ///< "key.sub=value" as of --set; the value is parsed as YAML
  struct Option {
    std::string name;     ///< option as typed, such as "--output", shown as origin
    std::string setting;  ///< the key that it sets, in the form of `sets`: "output_dir=\"runs/a\""
  };
  std::vector<Option> options;
  ConfigUse use = ConfigUse::kTrain;
};

/// A config with the origin of each value.
struct LoadedConfig {
  Config config;
  std::map<std::string, std::string>
      origins;  ///< "grpo.beta" -> "default", "preset lriad", "configs/a.yaml:12", "--set"
};

/// Reads all values, applies the preset to keys that are not set and checks the result. Throws one Error that lists all
/// problems, one per line with file and line (or the option): unknown keys with the nearest known one, wrong types,
/// values out of range, duplicate keys, contradicting keys, and values that this version does not support.
LoadedConfig load_config(const ConfigInput& input);

/// The config as YAML, from which load_config() reads the same values: all keys in the order of config.h, each with a
/// comment `# origin; description, unit`.
std::string print_config(const LoadedConfig& loaded);

/// The values alone in a fixed order and spelling, for comparing ranks and checkpoints.
std::string canonical_config(const Config& config);

}  // namespace lriad
