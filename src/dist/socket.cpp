#include "socket.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <thread>
#include <utility>

#include "lriad/core/error.h"

namespace lriad {
namespace {

using Addresses = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

/// Addresses of a host; null, with `problem` set, if its name cannot be resolved (yet).
Addresses resolve(const std::string& address, int64_t port, std::string& problem) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int code = getaddrinfo(address.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (code != 0) problem = gai_strerror(code);
  return {code == 0 ? found : nullptr, &freeaddrinfo};
}

int milliseconds_until(Clock::time_point deadline) {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
  return static_cast<int>(std::clamp<int64_t>(left + 1, 0, 1000));
}

/// Waits until `fd` is ready; kDone means that the caller should try again.
Io wait_for(int fd, int16_t events, const Patience& patience) {
  while (true) {
    std::array<pollfd, 2> waits{{{fd, events, 0}, {patience.cancel_fd, POLLIN, 0}}};
    const int ready = poll(waits.data(), waits.size(), milliseconds_until(patience.deadline));
    if (ready < 0 && errno != EINTR) return Io::kClosed;
    if (ready > 0 && waits[0].revents != 0) return Io::kDone;
    if (ready > 0 && waits[1].revents != 0) return Io::kCancelled;
    if (Clock::now() >= patience.deadline) return Io::kTimeout;
  }
}

void set_stream_options(int fd) {
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

bool try_connect(const Descriptor& socket, const addrinfo& address, Clock::time_point deadline) {
  if (connect(socket.get(), address.ai_addr, address.ai_addrlen) == 0) return true;
  if (errno != EINPROGRESS) return false;
  const Patience patience{std::min(deadline, after_seconds(3)), -1};
  if (wait_for(socket.get(), POLLOUT, patience) != Io::kDone) {
    errno = ETIMEDOUT;
    return false;
  }
  int problem = 0;
  socklen_t size = sizeof problem;
  getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &problem, &size);
  errno = problem;
  return problem == 0;
}

}  // namespace

Clock::time_point after_seconds(double seconds) {
  return Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
}

double seconds_since(Clock::time_point time) { return std::chrono::duration<double>(Clock::now() - time).count(); }

Io send_all(int fd, const void* data, std::size_t size, const Patience& patience) {
  const char* bytes = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t sent = send(fd, bytes, size, MSG_NOSIGNAL);
    if (sent > 0) {
      bytes += sent;
      size -= static_cast<std::size_t>(sent);
    } else if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      const Io waited = wait_for(fd, POLLOUT, patience);
      if (waited != Io::kDone) return waited;
    } else if (sent == 0 || errno != EINTR) {
      return Io::kClosed;
    }
  }
  return Io::kDone;
}

Io receive_all(int fd, void* data, std::size_t size, const Patience& patience) {
  char* bytes = static_cast<char*>(data);
  while (size > 0) {
    const ssize_t got = recv(fd, bytes, size, 0);
    if (got > 0) {
      bytes += got;
      size -= static_cast<std::size_t>(got);
    } else if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      const Io waited = wait_for(fd, POLLIN, patience);
      if (waited != Io::kDone) return waited;
    } else if (got == 0 || errno != EINTR) {
      return Io::kClosed;
    }
  }
  return Io::kDone;
}

Descriptor listen_on(const std::string& address, int64_t port) {
  std::string problem;
  const Addresses addresses = resolve(address, port, problem);
  for (const addrinfo* at = addresses.get(); at != nullptr; at = at->ai_next) {
    Descriptor socket(::socket(at->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, at->ai_protocol));
    const int on = 1;
    if (socket.is_open()) setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (socket.is_open() && bind(socket.get(), at->ai_addr, at->ai_addrlen) == 0 && listen(socket.get(), 1024) == 0) {
      return socket;
    }
    problem = std::strerror(errno);
  }
  fail("dist", "rank 0 cannot listen on ", address, ":", port, ": ", problem,
       "; master_addr must be an address of the machine that runs rank 0, and the port free");
}

int64_t port_of(const Descriptor& listener) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    fail("dist", "the listening socket has no address: ", std::strerror(errno));
  }
  if (address.ss_family == AF_INET6) return ntohs(reinterpret_cast<const sockaddr_in6*>(&address)->sin6_port);
  return ntohs(reinterpret_cast<const sockaddr_in*>(&address)->sin_port);
}

Descriptor accept_one(const Descriptor& listener, Clock::time_point deadline) {
  if (wait_for(listener.get(), POLLIN, {deadline, -1}) != Io::kDone) return {};
  Descriptor socket(accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (socket.is_open()) set_stream_options(socket.get());
  return socket;
}

Descriptor connect_to(const std::string& address, int64_t port, Clock::time_point deadline) {
  std::string problem;
  while (true) {
    const Addresses addresses = resolve(address, port, problem);
    for (const addrinfo* at = addresses.get(); at != nullptr; at = at->ai_next) {
      Descriptor socket(::socket(at->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, at->ai_protocol));
      if (socket.is_open() && try_connect(socket, *at, deadline)) {
        set_stream_options(socket.get());
        return socket;
      }
      problem = std::strerror(errno);
    }
    if (Clock::now() >= deadline) {
      fail("dist", "cannot reach rank 0 at ", address, ":", port, ": ", problem,
           "; is rank 0 running, and the port open between the machines?");
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

}  // namespace lriad
