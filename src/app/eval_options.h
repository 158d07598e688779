#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lriad/config/load_config.h"

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
};

/// Declares the options, in groups.
void add_eval_options(CLI::App& app, EvalCommandLine& line);

/// Refuses options that are out of range or do not go together; throws Error naming the option.
void check_eval_options(const EvalCommandLine& line);

/// The config keys that the options set; they override files and --set.
std::vector<ConfigInput::Option> settings_of_options(const EvalCommandLine& line);

/// The config from files, --set and options; throws Error if something that the evaluation needs is not given.
Config eval_config(const EvalCommandLine& line);

}  // namespace lriad
