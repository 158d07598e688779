#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lriad/config/load_config.h"
#include "lriad/config/model_settings.h"

namespace CLI {
class App;
}

namespace lriad {

/// The command line of lriad-eval, as typed; empty or null where an option was not given.
struct EvalCommandLine {
  std::string model, adapter, data, format, object, import_file, dtype;
  std::string output = "eval";
  std::vector<std::string> images, configs, sets;
  std::string batch_size, invalid, threshold_from;
  std::vector<std::string> compare;
  std::optional<double> temperature, threshold, max_false_alarms, min_recall;
  std::optional<int64_t> max_new_tokens, limit;
  bool logprobs = false;
  bool token_ids = false;
  bool resume = false;
  bool overwrite = false;
  bool partial = false;
  bool maps = false;
  bool paper = false;
  bool save_threshold = false;
  bool watch = false;
  bool fail_on_defect = false;
};

inline constexpr int kDefectExit = 10;  ///< exit code of --fail-on-defect

/// Declares the options, in groups.
void add_eval_options(CLI::App& app, EvalCommandLine& line);

/// Whether --paper stands alone, so that nothing is evaluated.
bool only_paper(const EvalCommandLine& line);

/// Refuses options that are out of range or do not go together; throws Error naming the option.
void check_eval_options(const EvalCommandLine& line);

/// The config keys that the options set; they override files and --set.
std::vector<ConfigInput::Option> settings_of_options(const EvalCommandLine& line);

/// The config of an evaluation, and what the model's own lriad_settings.json says.
struct EvalConfig {
  Config config;
  std::optional<ModelSettings> trained;  ///< null: the folders of adapter and model have no such file
};

/// The config from files, --set and options, and for keys that they do not set from the settings that the model was
/// trained with. Warns of each key that differs from those. Throws Error if something that the evaluation needs is not
/// given.
EvalConfig eval_config(const EvalCommandLine& line);

}  // namespace lriad
