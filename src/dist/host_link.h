#pragma once

#include <string>
#include <vector>

#include "rendezvous.h"
#include "watchdog.h"

namespace lriad {

/// One call of a collective: its name ("sum"), what it moves ("gradients") and its time limit.
struct Operation {
  std::string verb, what;
  Clock::time_point deadline;
};

/// The connections of one rank to the others. Waiting is bounded: an exchange ends in time, or tells all other ranks
/// and throws LostRank naming the missing rank, its host, the collective and the last heartbeat.
class HostLink {
 public:
  HostLink(const World& world, double timeout_s);
  const World& world() const { return world_; }
  double timeout_s() const { return timeout_s_; }
  std::size_t num_peers() const { return peers_.size(); }
  Watchdog& watchdog() { return watchdog_; }
  /// Starts a collective and its time limit; throws if a failure is known already.
  Operation begin(const std::string& verb, const std::string& what);
  void send(std::size_t rank, const void* data, std::size_t size, const Operation& operation);
  void receive(std::size_t rank, void* data, std::size_t size, const Operation& operation);
  /// Tells all ranks and throws LostRank with this failure, or with an earlier one if one is known.
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
