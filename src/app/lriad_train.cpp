// lriad-train: reads the config, starts or joins the world of processes, trains.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>

#include "common.h"
#include "lriad/config/load_config.h"
#include "lriad/core/error.h"
#include "lriad/core/log.h"
#include "lriad/dist/gpus.h"
#include "lriad/dist/launcher.h"
#include "lriad/health/replay.h"
#include "lriad/model/model_folder.h"
#include "lriad/run/checkpoint.h"
#include "lriad/run/run_folder.h"
#include "lriad/train/trainer.h"

namespace lriad {
namespace {

struct TrainCommandLine {
  std::vector<std::string> configs, sets;
  std::string output, devices, replay, resume = "auto";
  std::optional<double> device_memory;
  bool print_config = false, plan = false, dry_run = false;
};

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

std::string quoted(const std::string& text) {
  std::string result = "\"";
  for (const char c : text) result += c == '"' || c == '\\' ? concat('\\', c) : std::string(1, c);
  return result + '"';
}

/// The config.yaml of the run whose batch --replay computes again; empty if there is none.
std::vector<std::filesystem::path> replayed_configs(const TrainCommandLine& line) {
  if (line.replay.empty()) return {};
  const std::filesystem::path config = run_of_batch(line.replay) / "config.yaml";
  if (std::filesystem::exists(config)) return {config};
  return {};
}

LoadedConfig read_config(const TrainCommandLine& line) {
  ConfigInput input;
  input.files = replayed_configs(line);
  if (input.files.empty() && line.configs.empty() && line.sets.empty()) {
    fail("app", "--config is missing, expected a YAML file such as configs/smoke_grpo.yaml");
  }
  input.files.insert(input.files.end(), line.configs.begin(), line.configs.end());
  input.sets = line.sets;
  if (!line.output.empty()) input.options.push_back({"--output", "output_dir=" + quoted(line.output)});
  if (!line.devices.empty()) input.options.push_back({"--devices", "distributed.devices=" + quoted(line.devices)});
  return load_config(input);
}

int train(const LoadedConfig& loaded, const TrainCommandLine& line, const World& world, const at::Device& device) {
  set_log_rank(world.rank);
  use_device(device, loaded.config.distributed.memory_fraction);
  try {
    const auto communicator = make_communicator(world, device, loaded.config.distributed.timeout_s);
    return Trainer(loaded, {line.resume, line.dry_run}, *communicator, device).run();
  } catch (const LostRank& lost) {
    if (!world.own_launcher) throw;
    log_error(lost.what());
    return kLostRankExit;
  }
}

/// After a restart by the launcher, ranks resume from the run's own newest checkpoint, whatever --resume says.
std::string resume_of(const std::string& given, const World& world, const std::string& run_dir) {
  return world.restarts > 0 && !checkpoint_steps(run_dir).empty() ? "auto" : given;
}

int replay(const LoadedConfig& loaded, const TrainCommandLine& line) {
  std::optional<std::filesystem::path> checkpoint;
  if (line.resume != "auto" && line.resume != "never") checkpoint = find_checkpoint({}, line.resume);
  const at::Device device = choose_devices(loaded.config.distributed.devices).front();
  use_device(device, loaded.config.distributed.memory_fraction);
  return replay_batch(loaded, line.replay, checkpoint, device);
}

int plan_for_absent_gpus(const LoadedConfig& loaded, const TrainCommandLine& line) {
  constexpr double kLeast = 1, kMost = 10000;
  if (!line.plan) fail("app", "--device-memory is given without --plan, which it is for");
  if (!(*line.device_memory >= kLeast && *line.device_memory <= kMost))
    fail("app", "--device-memory is ", *line.device_memory, ", expected ", kLeast, " to ", kMost, " GB");
  const std::string& devices = loaded.config.distributed.devices;
  const auto commas = std::ranges::count(devices, ',');
  const int64_t ranks = commas > 0 ? commas + !devices.ends_with(',') : std::ssize(choose_devices(devices));
  return print_plan(loaded, at::kCPU, ranks, static_cast<int64_t>(*line.device_memory * 1e9));
}

int run(TrainCommandLine line, const std::vector<std::string>& arguments) {
  LoadedConfig loaded = read_config(line);
  if (line.print_config) {
    std::cout << print_config(loaded);
    return 0;
  }
  const Config given = loaded.config;
  find_model_folders(loaded.config.model);
  const Config& config = loaded.config;
  if (!line.replay.empty()) return replay(loaded, line);
  const std::string& devices = config.distributed.devices;
  if (line.device_memory) return plan_for_absent_gpus(loaded, line);
  const std::optional<World> world = world_from_environment();
  if (line.plan && world) return print_plan(loaded, device_of_rank(devices, *world), world->size);
  if (world) line.resume = resume_of(line.resume, *world, config.output_dir);
  check_output_place(given);
  check_run_folder(config.output_dir, line.resume);
  if (world) return train(loaded, line, *world, device_of_rank(devices, *world));
  const std::vector<at::Device> chosen = choose_devices(devices);
  if (line.plan) return print_plan(loaded, chosen.front(), static_cast<int64_t>(chosen.size()));
  const int64_t max_restarts = config.distributed.max_restarts;
  if (chosen.size() > 1 || max_restarts > 0) return launch(chosen, arguments, max_restarts);
  return train(loaded, line, World{}, chosen.front());
}

}  // namespace
}  // namespace lriad

int main(int argc, char** argv) {
  CLI::App app(
      "Trains a Qwen2-VL to say whether a part is defective, and why: GRPO (stage: grpo) or a cold start (stage: sft).",
      "lriad-train");
  lriad::TrainCommandLine line;
  lriad::CommonOptions common;
  lriad::add_train_options(app, line);
  lriad::add_common_options(app, common);
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  return lriad::run_program(app, argc, argv, common, [&] { return lriad::run(line, arguments); });
}
