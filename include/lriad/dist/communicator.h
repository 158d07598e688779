#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "lriad/core/error.h"

namespace lriad {

/// Which processes take part and how they find each other.
struct World {
  int64_t rank = 0;
  int64_t size = 1;
  int64_t local_rank = 0;
  std::string master_addr = "127.0.0.1";
  int64_t master_port = 0;
  std::string token;   ///< shared secret of this world: another program or a rank of another run is refused
  int listen_fd = -1;  ///< rank 0, own launcher: the socket that already listens on master_port
  bool port_from_store =
      false;                  ///< torchrun: a key-value store owns master_port and tells the others rank 0's own port
  bool own_launcher = false;  ///< started by launch(), which reads kLostRankExit
  int64_t restarts = 0;       ///< how often all ranks have been started again after a failure
};

/// Thrown on every rank that must leave because another one is lost, late or out of step. The cause lies elsewhere.
class LostRank : public Error {
 public:
  using Error::Error;
};

/// A small set of collective verbs with a single-process twin, so that no other code asks how many ranks there are.
/// Every rank must call the same verbs in the same order. A rank that is lost or late makes each call throw
/// LostRank naming rank, host and collective within `timeout_s`.
class Communicator {
 public:
  virtual ~Communicator() = default;
  virtual int64_t rank() const = 0;
  virtual int64_t size() const = 0;
  bool is_main() const { return rank() == 0; }
  /// Adds `flat` (contiguous, float32 or float64, any device) over all ranks in place, in rank order on the host
  /// backend.
  virtual void sum(at::Tensor& flat, const std::string& what) = 0;
  /// Copies rank 0's `flat` to all.
  virtual void broadcast(at::Tensor& flat, const std::string& what) = 0;
  /// Every rank's bytes, by rank, on every rank.
  virtual std::vector<std::string> gather(const std::string& bytes, const std::string& what) = 0;
  virtual void barrier(const std::string& what) = 0;
  /// Says where this rank is ("step 5, rollout"); other ranks name it when they miss this one.
  virtual void set_position(const std::string& position) = 0;
  /// Throws LostRank if another rank is known to be lost: for long phases without a collective. Costs a mutex.
  virtual void check() = 0;
};

/// NCCL when `device` is a GPU, the host backend (TCP, rank-ordered sums) on CPUs, the single twin for size 1.
std::unique_ptr<Communicator> make_communicator(const World& world, const at::Device& device, double timeout_s);

/// For a rank that is about to throw for a reason that every rank has just been told: returns once all have read it, or
/// one is lost. A rank that left at once would be missed by those still reading, which would then name a wrong cause.
void wait_before_leaving(Communicator& communicator);

/// Compares (name, value) pairs, the same names on every rank: config hash, data listing hash, model hash, code
/// version. Throws Error on every rank naming the first item that differs, its values, and the ranks that have them.
void require_agreement(Communicator& communicator, const std::vector<std::pair<std::string, std::string>>& items);

}  // namespace lriad
