#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

namespace lriad {

using Clock = std::chrono::steady_clock;

Clock::time_point after_seconds(double seconds);
double seconds_since(Clock::time_point time);

/// Owns a file descriptor.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() { close(); }
  Descriptor(Descriptor&& other) noexcept : fd_(other.release()) {}
  Descriptor& operator=(Descriptor&& other) noexcept;
  int get() const { return fd_; }
  bool is_open() const { return fd_ >= 0; }
  int release();
  void close();

 private:
  int fd_ = -1;
};

/// How an exchange ended.
enum class Io { kDone, kClosed, kTimeout, kCancelled };

/// When to give up: at `deadline`, or as soon as `cancel_fd` becomes readable and there is nothing to move.
struct Patience {
  Clock::time_point deadline;
  int cancel_fd = -1;
};

Io send_all(int fd, const void* data, std::size_t size, const Patience& patience);
Io receive_all(int fd, void* data, std::size_t size, const Patience& patience);

/// Listens on this address only (port 0: any free one). Throws Error naming address, port and reason.
Descriptor listen_on(const std::string& address, int64_t port);
int64_t port_of(const Descriptor& listener);

/// A connected socket, non-blocking, or none if nobody came until the deadline.
Descriptor accept_one(const Descriptor& listener, Clock::time_point deadline);

/// Connects, again and again until the deadline (the listener may start later); throws Error then.
Descriptor connect_to(const std::string& address, int64_t port, Clock::time_point deadline);

}  // namespace lriad
