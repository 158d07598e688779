#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lriad/eval/metrics.h"

namespace CLI {
class App;
}

namespace lriad {

/// The command line of lriad-eval, as typed; empty or null where an option was not given.
struct EvalCommandLine {
  std::string model, adapter, data, format, object, output, import_file;
  std::vector<std::string> images, configs, sets;
  std::string batch_size, invalid;
  std::optional<double> temperature, threshold;
  std::optional<int64_t> max_new_tokens, limit;
  bool logprobs = false;
  bool token_ids = false;
  bool resume = false;
};

/// Declares the options, in groups.
void add_eval_options(CLI::App& app, EvalCommandLine& line);

/// Refuses options that are out of range or do not go together; throws Error naming the option.
void check_eval_options(const EvalCommandLine& line);

/// The settings that the options stand for, in the form of --set and to be read after those.
std::vector<std::string> settings_of_options(const EvalCommandLine& line);

}  // namespace lriad
