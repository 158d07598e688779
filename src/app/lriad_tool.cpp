#include <CLI/CLI.hpp>

#include "common.h"
#include "lriad/core/error.h"
#include "tool_commands.h"
#include "tool_make_data.h"

int main(int argc, char** argv) {
  CLI::App app("Small jobs around LR-IAD: synthetic data and models, merged export, a look at what the model sees",
               "lriad-tool");
  lriad::CommonOptions common;
  lriad::add_common_options(app, common);
  lriad::add_make_data_command(app);
  lriad::add_make_model_command(app);
  lriad::add_merge_command(app);
  lriad::add_tokenize_command(app);
  lriad::add_preprocess_command(app);
  lriad::add_inspect_command(app);
  lriad::add_describe_data_command(app);
  lriad::add_audit_rewards_command(app);
  app.require_subcommand(0, 1);
  return lriad::run_program(app, argc, argv, common, [&app] {
    if (app.get_subcommands().empty()) {
      lriad::fail("app",
                  "no command given, expected make-data, make-model, merge, tokenize, preprocess, inspect, "
                  "describe-data or audit-rewards");
    }
    return 0;
  });
}
