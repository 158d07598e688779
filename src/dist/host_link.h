#pragma once

#include <string>
#include <vector>

#include "rendezvous.h"
#include "watchdog.h"

namespace lriad {

/// One call of a collective: its verb ("sum"), what it moves ("gradients") and until when.
struct Operation {
  std::string verb, what;
  Clock::time_point deadline;
};

/// The connections of one rank to the others with bounded waiting: every exchange ends, or throws Error naming the
/// rank, its host, the collective and the last heartbeat, and lets all other ranks know.
class HostLink {
 public:
  HostLink(const World& world, double timeout_s);
  const World& world() const { return world_; }
  double timeout_s() const { return timeout_s_; }
  std::size_t num_peers() const { return peers_.size(); }
  Watchdog& watchdog() { return watchdog_; }
  /// Throws if a failure is known already.
  Operation begin(const std::string& verb, const std::string& what);
  void send(std::size_t rank, const void* data, std::size_t size, const Operation& operation);
  void receive(std::size_t rank, void* data, std::size_t size, const Operation& operation);
  /// Tells all ranks and throws; a failure that was known before stands in its position.
  [[noreturn]] void stop(const std::string& failure, const Operation& operation);
  std::string describe(std::size_t rank) { return watchdog_.describe(rank); }

 private:
  [[noreturn]] void lose(std::size_t rank, Io io, const Operation& operation);
  World world_;
  double timeout_s_;
  std::vector<Peer> peers_;
  Watchdog watchdog_;
};

}  // namespace lriad
