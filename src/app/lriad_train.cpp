#include <CLI/CLI.hpp>

#include "common.h"
#include "train_run.h"

int main(int argc, char** argv) {
  CLI::App app(
      "Trains a Qwen2-VL, Qwen2.5-VL or Qwen3-VL to say whether a part is defective, and why: GRPO (stage: grpo) or a "
      "cold "
      "start (stage: sft).",
      "lriad-train");
  lriad::CommonOptions common;
  lriad::TrainCommandLine line;
  lriad::add_train_options(app, line);
  lriad::add_common_options(app, common);
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  return lriad::run_program(app, argc, argv, common, [&] { return lriad::run_train(line, arguments); });
}
