#include "train_run.h"

#include <algorithm>
#include <iostream>

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
    const auto communicator =
        make_communicator(world, device, loaded.config.distributed.timeout_s, loaded.config.distributed.all_reduce);
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

}  // namespace

int run_train(TrainCommandLine line, const std::vector<std::string>& arguments) {
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
  const std::vector<at::Device> chosen = world ? std::vector{device_of_rank(devices, *world)} : choose_devices(devices);
  if (!world) check_all_reduce(config.distributed.all_reduce, chosen.front());
  if (line.plan) return print_plan(loaded, chosen.front(), world ? world->size : std::ssize(chosen));
  if (world) line.resume = resume_of(line.resume, *world, config.output_dir);
  check_output_place(given);
  check_run_folder(config.output_dir, line.resume);
  if (world) return train(loaded, line, *world, chosen.front());
  const int64_t max_restarts = config.distributed.max_restarts;
  if (chosen.size() > 1 || max_restarts > 0) return launch(chosen, arguments, max_restarts);
  return train(loaded, line, World{}, chosen.front());
}

}  // namespace lriad
