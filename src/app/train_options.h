#pragma once

#include <optional>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace lriad {

/// What lriad-train was asked for.
struct TrainCommandLine {
  std::vector<std::string> configs, sets;
  std::string output, devices, replay, resume = "auto";
  std::optional<double> device_memory;
  bool print_config = false, plan = false, dry_run = false;
};

void add_train_options(CLI::App& app, TrainCommandLine& line);

}  // namespace lriad
