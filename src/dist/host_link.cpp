#include "host_link.h"

#include <poll.h>

#include "lriad/core/error.h"
#include "lriad/core/host_name.h"

namespace lriad {
namespace {

// Rank 0 sees which rank is missing; it gives up first, so that the others report what it found.
double patience_s(const World& world, double timeout_s) { return world.rank == 0 ? 0.9 * timeout_s : timeout_s; }

}  // namespace

HostLink::HostLink(const World& world, double timeout_s)
    : world_(world), timeout_s_(timeout_s), peers_(meet(world, timeout_s)), watchdog_(world, peers_, timeout_s) {}

Operation HostLink::begin(const std::string& verb, const std::string& what) {
  const Operation operation{verb, what, after_seconds(patience_s(world_, timeout_s_))};
  const std::string failure = watchdog_.failure();
  if (!failure.empty()) stop(failure, operation);
  return operation;
}

void HostLink::send(std::size_t rank, const void* data, std::size_t size, const Operation& operation) {
  const Io io = send_all(peers_[rank].data.get(), data, size, {operation.deadline, watchdog_.failure_fd()});
  if (io != Io::kDone) lose(rank, io, operation);
}

void HostLink::receive(std::size_t rank, void* data, std::size_t size, const Operation& operation) {
  const Io io = receive_all(peers_[rank].data.get(), data, size, {operation.deadline, watchdog_.failure_fd()});
  if (io != Io::kDone) lose(rank, io, operation);
}

void HostLink::lose(std::size_t rank, Io io, const Operation& operation) {
  // The rank that failed may still be sending its reason to the watchdog, so wait a moment for it.
  pollfd known{watchdog_.failure_fd(), POLLIN, 0};
  if (io == Io::kClosed) poll(&known, 1, 1500);
  const std::string peer = watchdog_.describe(rank);
  if (io == Io::kTimeout) {
    stop(concat("no answer within ", timeout_s_, " s (distributed.timeout_s) from ", peer), operation);
  }
  stop(concat(peer, " has ended while others still need it"), operation);
}

void HostLink::stop(const std::string& failure, const Operation& operation) {
  const std::string cause = watchdog_.report(failure);
  throw LostRank(concat("[dist] ", cause, "; rank ", world_.rank, " on ", host_name(), " noticed in ", operation.verb,
                        " of ", operation.what, " (", watchdog_.position(), ") and stops"));
}

}  // namespace lriad
