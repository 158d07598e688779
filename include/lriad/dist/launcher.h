#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <string>
#include <vector>

#include "lriad/dist/communicator.h"

namespace lriad {

/// The world as torchrun (RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR, MASTER_PORT), Slurm (SLURM_PROCID, SLURM_NTASKS,
/// SLURM_LOCALID) or launch() describe it in the environment; null if none of these is set, or for a single Slurm task.
/// Throws Error naming the variable if only some of them are set or a value is out of range.
std::optional<World> world_from_environment();

/// Device of each process to start, from `distributed.devices` or --devices: auto (all GPUs) | cpu | N | 0,1,3. If no
/// GPU is visible, N means N processes on the CPU and auto one. Throws Error for a bad list or a GPU that is missing.
std::vector<at::Device> choose_devices(const std::string& devices);

/// Throws Error if gradients are to be summed in NCCL's ring on a device that is no GPU.
void check_all_reduce(AllReduce all_reduce, const at::Device& device);

/// The device of this rank, chosen by its local rank. Throws Error if there are fewer GPUs than processes, or
/// `devices` lists GPUs that are not there.
at::Device device_of_rank(const std::string& devices, const World& world);

/// Exit code of a process started by launch() that stopped only because another rank was lost.
inline constexpr int kLostRankExit = 75;

/// Starts this program once per device, with the world in its environment, and waits. Returns the exit code of the
/// first process that failed by itself: 0 if none did, 128 + n if signal n ended it, 2 if ranks only lost one another.
/// - Each process finds its device by device_of_rank() with the same --devices. OMP_NUM_THREADS is set so that they
///   share the CPUs, unless the user has set it.
/// - SIGINT and SIGTERM are passed on. The first failure stops the other processes after a few seconds, in which they
///   can log why they stop. They are killed if the parent dies.
/// - If a rank was killed, hung, lost its connection or met a bug (exit code 1), all are started again, at most
///   `max_restarts` times. They are not after a signal to stop or exit codes 2 and 3, since those causes would recur.
int launch(const std::vector<at::Device>& devices, const std::vector<std::string>& arguments, int64_t max_restarts = 0);

}  // namespace lriad
