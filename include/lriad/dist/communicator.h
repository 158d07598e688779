#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "lriad/core/all_reduce.h"
#include "lriad/core/error.h"

namespace lriad {

/// Which processes take part in a run and how they find each other, as in torchrun.
struct World {
  int64_t rank = 0;                       ///< in [0, size)
  int64_t size = 1;                       ///< number of processes on all machines
  int64_t local_rank = 0;                 ///< number of this process on its machine; chooses the GPU
  std::string master_addr = "127.0.0.1";  ///< host of rank 0
  int64_t master_port = 0;                ///< TCP port on which rank 0 listens
  std::string token;   ///< shared secret: rank 0 refuses other programs and ranks of other runs by it
  int listen_fd = -1;  ///< rank 0 under launch(): the socket that already listens on master_port; -1: none
  /// torchrun's key-value store listens on master_port; rank 0 listens on another port and publishes it in the store.
  bool port_from_store = false;
  bool own_launcher = false;  ///< started by launch(), which reads kLostRankExit
  int64_t restarts = 0;       ///< how often all ranks have been started again after a failure
};

/// Thrown on every rank that must stop because another rank is lost, is late, or called another collective.
class LostRank : public Error {
 public:
  using Error::Error;
};

/// The collective operations of a run. With one process they do nothing, so that no other code asks for the number of
/// ranks. All ranks must make the same calls in the same order. If a rank is lost or late, each call on the others
/// throws LostRank within `timeout_s`, naming that rank, its host and the collective. `what` says in messages what the
/// data are.
class Communicator {
 public:
  virtual ~Communicator() = default;
  virtual int64_t rank() const = 0;
  virtual int64_t size() const = 0;
  bool is_main() const { return rank() == 0; }
  /// Replaces `flat` (contiguous, float32 or float64, any device, equal sizes on all ranks) by its sum over all ranks.
  /// Adds in rank order, unless the communicator was made with AllReduce::kRing. Throws Error for another dtype or a
  /// tensor that is not contiguous.
  virtual void sum(at::Tensor& flat, const std::string& what) = 0;
  /// Overwrites `flat` (contiguous, any dtype) on all other ranks with rank 0's.
  virtual void broadcast(at::Tensor& flat, const std::string& what) = 0;
  /// Returns the bytes of all ranks, ordered by rank, on each rank (all-gather). They may differ in length.
  virtual std::vector<std::string> gather(const std::string& bytes, const std::string& what) = 0;
  /// Returns once all ranks have called it.
  virtual void barrier(const std::string& what) = 0;
  /// Notes what this rank is doing ("step 5, rollout"), for the messages of other ranks if this one is lost.
  virtual void set_position(const std::string& position) = 0;
  /// Throws LostRank if another rank is known to be lost. For long phases without a collective; cheap (locks a mutex).
  virtual void check() = 0;
};

/// Connects to the other ranks: NCCL if `device` is a GPU, else the host backend (TCP, sums in rank order); nothing to
/// connect if world.size is 1. `timeout_s` (> 0) bounds this and every later call. Throws Error on every rank if ranks
/// are missing, some use GPUs and others CPUs, or CPUs are to sum in a ring.
std::unique_ptr<Communicator> make_communicator(const World& world, const at::Device& device, double timeout_s,
                                                AllReduce all_reduce = AllReduce::kRankOrder);

/// To be called by all ranks before all of them throw for the same reason. Returns once all ranks are here or one is
/// lost. Without it, ranks that are still reading would report the first that left as lost, a wrong cause.
void wait_before_leaving(Communicator& communicator);

/// Compares (name, value) pairs such as the hashes of config and model; each rank gives the same names in the same
/// order. Throws Error on every rank naming the first item that differs, its values, and the ranks that have them.
void require_agreement(Communicator& communicator, const std::vector<std::pair<std::string, std::string>>& items);

}  // namespace lriad
