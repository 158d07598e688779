#pragma once

#include <array>
#include <deque>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "rendezvous.h"

namespace lriad {

/// Exchanges heartbeats with the other ranks (rank 0 with all, the others with rank 0) on a thread of its own, and
/// passes the first failure on to all ranks. A peer is lost if its connection closes without a leaving message, or if
/// nothing comes from it for min(timeout_s, 20) seconds, not counting time in which this process itself was suspended.
class Watchdog {
 public:
  /// `peers` outlive the watchdog; entry k is rank k, entry 0 is unused on rank 0.
  Watchdog(const World& world, std::vector<Peer>& peers, double timeout_s);
  /// Sends the others a leaving message, or, during an exception, the message that this rank failed. Waits up to 2 s
  /// for them to close their connections.
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  void set_position(const std::string& position);
  std::string position();
  /// Sets what this rank waits for, which its heartbeats report; empty: nothing.
  void set_waiting(const std::string& waiting);
  /// A descriptor that becomes readable once a failure is known.
  int failure_fd() const { return failure_fd_.get(); }
  std::string failure();  ///< the first failure known to this rank; empty: none
  /// Records a failure and tells all ranks, unless one is known already. Returns the first one.
  std::string report(const std::string& text);
  /// For messages: "rank 2 on node3 (last heartbeat 0.4 s ago at step 5, rollout)".
  std::string describe(std::size_t rank);

 private:
  struct State {
    std::string buffer, outgoing;  ///< bytes received but not a whole frame yet, and bytes still to be sent
    Clock::time_point last_heard;
    std::string position;
    bool gone = false;  ///< it has left, or its connection is lost
  };
  void run();
  void beat();
  void listen();
  void read_from(std::size_t rank);
  bool take_frames(std::size_t rank);
  void check_silence();
  void post(std::size_t rank, uint32_t type, const std::string& text);
  void flush(std::size_t rank);
  void part(std::size_t rank);
  bool all_gone() const;
  void announce_leaving();
  std::string report_locked(const std::string& text);
  std::string describe_locked(std::size_t rank);
  std::string heartbeat_text() const;

  const World world_;
  std::vector<Peer>& peers_;
  const double silence_s_;
  const int exceptions_at_start_;
  Descriptor failure_fd_, wake_fd_;
  std::mutex mutex_;  ///< guards everything below
  std::vector<State> states_;
  std::string position_, waiting_, failure_;
  bool stop_ = false;
  Clock::time_point last_beat_, last_turn_;
  std::thread thread_;
};

}  // namespace lriad
