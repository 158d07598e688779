#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

#include "lriad/core/descriptor.h"

namespace lriad {

using Clock = std::chrono::steady_clock;

Clock::time_point after_seconds(double seconds);
double seconds_since(Clock::time_point time);

/// How an exchange ended.
enum class Io { kDone, kClosed, kTimeout, kCancelled };

/// When to give up waiting: at `deadline`, or when `cancel_fd` is readable and the connection is not ready.
struct Patience {
  Clock::time_point deadline;
  int cancel_fd = -1;
};

/// Send or receive exactly `size` bytes over a non-blocking socket, unless the other side closes or patience ends.
Io send_all(int fd, const void* data, std::size_t size, const Patience& patience);
Io receive_all(int fd, void* data, std::size_t size, const Patience& patience);

/// Listens on this address only (port 0: any free one). Throws Error naming address, port and reason.
Descriptor listen_on(const std::string& address, int64_t port);
int64_t port_of(const Descriptor& listener);

/// A connected socket, non-blocking, or none if nobody came until the deadline.
Descriptor accept_one(const Descriptor& listener, Clock::time_point deadline);

/// Tries to connect until the deadline, since rank 0 may start later; then throws Error.
Descriptor connect_to(const std::string& address, int64_t port, Clock::time_point deadline);

}  // namespace lriad
