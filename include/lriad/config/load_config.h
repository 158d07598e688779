#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "lriad/config/config.h"

namespace lriad {

/// Which program reads the config: training needs output_dir, model.path, data.root and, for stage sft, target texts;
/// evaluation takes the same files, acts on prompt, image, data and eval, and its options say what must be there; the
/// audit of rewards acts on reward, grpo and rollout and needs nothing else.
enum class ConfigUse { kTrain, kEval, kRewards };

/// Where values come from, lowest precedence first: files (later wins), then `sets` (later wins), then `options`.
struct ConfigInput {
  std::vector<std::filesystem::path> files;
  std::vector<std::string> sets;  ///< "key.sub=value" of --set, value parsed as YAML
  struct Option {
    std::string name;     ///< as typed, such as "--output"; the origin shown
    std::string setting;  ///< "output_dir=\"runs/a\"", in the form of a set
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

/// Reads, overrides, resolves the preset (only keys that nobody set) and checks. Throws one Error that lists every
/// problem, one a line, each with file and line (or the option): unknown keys with the nearest known one, wrong types,
/// values out of range, duplicate keys, keys that do not go together, values that this version cannot act on.
LoadedConfig load_config(const ConfigInput& input);

/// The config as YAML that load_config() reads back to the same values: every key in the order of config.h with its
/// value,
/// `# origin; what it is, unit` beside it.
std::string print_config(const LoadedConfig& loaded);

/// The values alone, in a fixed order and spelling: what ranks compare and checkpoints keep.
std::string canonical_config(const Config& config);

}  // namespace lriad
