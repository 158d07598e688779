#include <CLI/CLI.hpp>

#include "common.h"
#include "eval_options.h"
#include "eval_run.h"

int main(int argc, char** argv) {
  CLI::App app(
      "Asks a Qwen2-VL, Qwen2.5-VL or Qwen3-VL about images of parts and writes answers, metrics and a report; or "
      "scores "
      "given predictions",
      "lriad-eval");
  lriad::CommonOptions common;
  lriad::EvalCommandLine line;
  lriad::add_eval_options(app, line);
  lriad::add_common_options(app, common);
  return lriad::run_program(app, argc, argv, common, [&line] { return lriad::run_eval(line); });
}
