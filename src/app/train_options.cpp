#include "train_options.h"

#include <CLI/CLI.hpp>

namespace lriad {

void add_train_options(CLI::App& app, TrainCommandLine& line) {
  app.add_option("--config", line.configs, "YAML file; may be given again, later files win")
      ->group("Config")
      ->allow_extra_args(false);
  app.add_option("--set", line.sets, "key.sub=value, over the files; may be given again")
      ->group("Config")
      ->allow_extra_args(false);
  app.add_option("--output", line.output, "run folder, over output_dir")->group("Config");
  app.add_flag("--print-config", line.print_config, "print every key with its value and origin, and stop")
      ->group("Config");
  app.add_flag("--plan", line.plan,
               "print the memory and token plan, no weights read, and stop; exit 2 if it cannot fit")
      ->group("Config");
  app.add_option("--device-memory", line.device_memory,
                 "with --plan: plan for GPUs of that many GB (1e9 bytes) each, which need not be here, as many as "
                 "distributed.devices says (default: what is free on this machine)")
      ->group("Config");
  app.add_option("--resume", line.resume,
                 "auto: from the newest whole checkpoint of the run folder; never; or a checkpoint's folder")
      ->group("Run")
      ->capture_default_str();
  app.add_option("--devices", line.devices, "auto, cpu, a number, or a list such as 0,1,3, over distributed.devices")
      ->group("Run");
  app.add_option(
         "--replay", line.replay,
         "compute a batch that the health guard refused once more and show what is wrong with it: guard/step-<n> "
         "of a run folder, whose config.yaml is read before --config; with the weights of --resume FOLDER if given")
      ->group("Run");
  app.add_flag("--dry-run", line.dry_run, "everything up to step 1, nothing written")->group("Run");
}

}  // namespace lriad
