#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <string>
#include <vector>

#include "lriad/dist/communicator.h"

namespace lriad {

/// The world this process was started into by torchrun (RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR, MASTER_PORT), Slurm
/// (SLURM_PROCID, SLURM_NTASKS, SLURM_LOCALID) or our own launcher; null: nothing of that is set. Throws Error when
/// only part of it is set or values make no sense.
std::optional<World> world_from_environment();

/// Device of each process to start, from `distributed.devices` or --devices: auto | cpu | N | 0,1,3. No GPU visible: N
/// processes on the CPU, one for auto and cpu. Throws Error for a bad list or a GPU that is not there.
std::vector<at::Device> choose_devices(const std::string& devices);

/// The device of this rank in a world started by torchrun or Slurm.
at::Device device_of_rank(const std::string& devices, const World& world);

/// Exit code by which a copy started by launch() says that it left because another one was lost.
inline constexpr int kLostRankExit = 75;

/// Starts one copy of this program per device with the world in its environment, waits, and returns the exit code of
/// the first that failed by itself (0 if none; 128 + n if signal n ended it; 2 if ranks only lost one another).
/// Children die with the parent; the first failure stops all others (they have a few seconds to say why they leave);
/// signals SIGINT and SIGTERM are passed on. Rank k finds its device by device_of_rank with the same --devices. CPU
/// threads are divided among the ranks by OMP_NUM_THREADS. A world that broke (a rank was killed, hung, cut off, or met
/// a bug) is started again at most `max_restarts` times; not so one that was asked to stop, or ended with 2 or 3, which
/// would come again.
int launch(const std::vector<at::Device>& devices, const std::vector<std::string>& arguments, int64_t max_restarts = 0);

}  // namespace lriad
