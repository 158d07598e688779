#include "rendezvous.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <list>
#include <utility>

#include "lriad/core/error.h"
#include "lriad/core/files.h"
#include "lriad/core/host_name.h"
#include "lriad/core/log.h"

namespace lriad {
namespace {

constexpr uint64_t kMagic = 0x31304441'49524cull;  // "LRIAD01"
constexpr double kHelloSeconds = 10;               // a new connection must send its Hello in this time
constexpr std::size_t kMaxPending = 4096;
enum : uint32_t { kData = 0, kControl = 1 };
enum : uint32_t { kAdmitted = 1, kRefused = 2, kGo = 3 };

struct Hello {
  uint64_t magic = kMagic;
  uint32_t channel = 0;
  uint32_t rank = 0;
  uint64_t world_size = 0;
  std::array<char, 72> token{};  // hexadecimal SHA-256 of the token
  std::array<char, 160> host{};
};
static_assert(sizeof(Hello) == 256);

struct Reply {
  uint64_t magic = kMagic;
  uint64_t status = 0;
  std::array<char, 496> text{};
};
static_assert(sizeof(Reply) == 512);

Reply reply_of(uint64_t status, const std::string& text) {
  Reply reply;
  reply.status = status;
  put_text(reply.text, text);
  return reply;
}

/// A connection to rank 0 whose Hello has not arrived yet.
struct Pending {
  Descriptor socket;
  Hello hello;
  std::size_t got = 0;
  Clock::time_point deadline;
};

class RankAcceptor {
 public:
  RankAcceptor(const World& world, Clock::time_point deadline)
      : world_(world), deadline_(deadline), peers_(static_cast<std::size_t>(world.size)) {
    if (world.listen_fd >= 0) {
      listener_ = Descriptor(world.listen_fd);
      fcntl(world.listen_fd, F_SETFD, FD_CLOEXEC);
      fcntl(world.listen_fd, F_SETFL, fcntl(world.listen_fd, F_GETFL) | O_NONBLOCK);
    } else {
      listener_ = listen_on(world.master_addr, world.port_from_store ? 0 : world.master_port);
    }
    if (world.port_from_store) share_port(world, port_of(listener_), seconds_left());
  }

  std::vector<Peer> run() {
    while (!missing().empty()) {
      if (Clock::now() >= deadline_) give_up();
      wait();
      accept_new();
      for (auto at = pending_.begin(); at != pending_.end();) at = listen_to(*at) ? std::next(at) : pending_.erase(at);
    }
    for (std::size_t rank = 1; rank < peers_.size(); ++rank) answer(peers_[rank].data, kGo, "");
    return std::move(peers_);
  }

 private:
  double seconds_left() const { return std::max(0.1, -seconds_since(deadline_)); }

  std::string missing() const {
    std::string ranks;
    for (std::size_t rank = 1; rank < peers_.size(); ++rank) {
      if (peers_[rank].data.is_open() && peers_[rank].control.is_open()) continue;
      ranks += concat(ranks.empty() ? "" : ", ", rank);
    }
    return ranks;
  }

  void wait() const {
    std::vector<pollfd> waits{{listener_.get(), POLLIN, 0}};
    for (const Pending& pending : pending_) waits.push_back({pending.socket.get(), POLLIN, 0});
    poll(waits.data(), waits.size(), 200);
  }

  void accept_new() {
    while (pending_.size() < kMaxPending) {
      Descriptor socket = accept_one(listener_, Clock::now());
      if (!socket.is_open()) return;
      Pending pending;
      pending.socket = std::move(socket);
      pending.deadline = after_seconds(kHelloSeconds);
      pending_.push_back(std::move(pending));
    }
  }

  /// Reads from a pending connection; false once it is admitted, refused or closed.
  bool listen_to(Pending& pending) {
    const ssize_t got = recv(pending.socket.get(), reinterpret_cast<char*>(&pending.hello) + pending.got,
                             sizeof(Hello) - pending.got, 0);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) {
      return Clock::now() < pending.deadline;
    }
    if (got <= 0) return false;
    pending.got += static_cast<std::size_t>(got);
    if (pending.got < sizeof(Hello)) return Clock::now() < pending.deadline;
    admit(pending);
    return false;
  }

  std::string refusal(const Hello& hello) const {
    if (hello.magic != kMagic) return "this is no rank of the same program version";
    if (get_text(hello.token) != sha256_hex(world_.token)) return "the token is another run's";
    if (hello.world_size != static_cast<uint64_t>(world_.size)) {
      return concat("the world size is ", hello.world_size, ", rank 0 has ", world_.size);
    }
    if (hello.rank == 0 || hello.rank >= hello.world_size || hello.channel > kControl) {
      return concat("rank ", hello.rank, " is not in 1..", world_.size - 1);
    }
    const Peer& peer = peers_[hello.rank];
    const Descriptor& slot = hello.channel == kData ? peer.data : peer.control;
    if (slot.is_open()) return concat("rank ", hello.rank, " has joined already, from ", peer.host);
    return {};
  }

  void admit(Pending& pending) {
    const std::string reason = refusal(pending.hello);
    if (!reason.empty()) {
      log_warning(concat("[dist] refused a connection that says it is rank ", pending.hello.rank, ": ", reason));
      answer(pending.socket, kRefused, reason);
      return;
    }
    answer(pending.socket, kAdmitted, host_name());
    Peer& peer = peers_[pending.hello.rank];
    peer.host = get_text(pending.hello.host);
    (pending.hello.channel == kData ? peer.data : peer.control) = std::move(pending.socket);
  }

  static void answer(const Descriptor& socket, uint64_t status, const std::string& text) {
    const Reply reply = reply_of(status, text);
    send_all(socket.get(), &reply, sizeof reply, {after_seconds(1), -1});
  }

  [[noreturn]] void give_up() {
    const std::string text = concat("rank(s) ", missing(), " of ", world_.size, " did not join at ", world_.master_addr,
                                    ":", port_of(listener_), " in time");
    for (const Peer& peer : peers_) {
      if (peer.data.is_open()) answer(peer.data, kRefused, text);
    }
    fail("dist", text, "; were all processes started, with the same world size and address?");
  }

  const World& world_;
  Clock::time_point deadline_;
  Descriptor listener_;
  std::vector<Peer> peers_;
  std::list<Pending> pending_;
};

/// On ranks above 0: waits for rank 0's reply and returns its text.
std::string await_reply(const World& world, const Descriptor& socket, uint64_t expected, Clock::time_point deadline) {
  Reply reply;
  const Io io = receive_all(socket.get(), &reply, sizeof reply, {deadline, -1});
  const std::string where = concat("rank 0 at ", world.master_addr);
  if (io == Io::kTimeout) fail("dist", where, " did not answer rank ", world.rank, " in time: are all ranks started?");
  if (io != Io::kDone) fail("dist", where, " closed the connection of rank ", world.rank, " while ranks were joining");
  if (reply.magic != kMagic) fail("dist", where, " is no rank of the same program version");
  if (reply.status != expected) fail("dist", where, " refused rank ", world.rank, ": ", get_text(reply.text));
  return get_text(reply.text);
}

std::vector<Peer> join(const World& world, Clock::time_point deadline) {
  const double seconds = std::max(0.1, -seconds_since(deadline));
  const int64_t port = world.port_from_store ? share_port(world, 0, seconds) : world.master_port;
  Hello hello;
  hello.rank = static_cast<uint32_t>(world.rank);
  hello.world_size = static_cast<uint64_t>(world.size);
  put_text(hello.token, sha256_hex(world.token));
  put_text(hello.host, host_name());
  std::vector<Peer> peers(1);
  for (const uint32_t channel : {kData, kControl}) {
    Descriptor socket = connect_to(world.master_addr, port, deadline);
    hello.channel = channel;
    send_all(socket.get(), &hello, sizeof hello, {deadline, -1});
    peers[0].host = await_reply(world, socket, kAdmitted, deadline);
    (channel == kData ? peers[0].data : peers[0].control) = std::move(socket);
  }
  await_reply(world, peers[0].data, kGo, deadline);
  return peers;
}

}  // namespace

std::vector<Peer> meet(const World& world, double timeout_s) {
  const Clock::time_point deadline = after_seconds(timeout_s);
  // Rank 0 gives up first and tells the ranks that did come who is missing.
  return world.rank == 0 ? RankAcceptor(world, after_seconds(0.9 * timeout_s)).run() : join(world, deadline);
}

}  // namespace lriad
