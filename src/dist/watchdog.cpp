#include "watchdog.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <exception>
#include <iomanip>
#include <sstream>

#include "lriad/core/error.h"
#include "lriad/core/host_name.h"

namespace lriad {
namespace {

constexpr double kBeatSeconds = 0.5;
constexpr double kMaxSilenceSeconds = 20;
constexpr double kLeavingSeconds = 2;
enum : uint32_t { kHeartbeat = 1, kAbort = 2, kLeaving = 3 };

struct Frame {
  uint32_t type = 0;
  uint32_t rank = 0;
  std::array<char, 1016> text{};
};
static_assert(sizeof(Frame) == 1024);

void raise(const Descriptor& event) {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(event.get(), &one, sizeof one);
}

void clear(const Descriptor& event) {
  uint64_t count = 0;
  [[maybe_unused]] const ssize_t got = read(event.get(), &count, sizeof count);
}

std::string seconds_text(double seconds) {
  std::ostringstream out;
  out << std::fixed << std::setprecision(1) << seconds << " s";
  return out.str();
}

}  // namespace

Watchdog::Watchdog(const World& world, std::vector<Peer>& peers, double timeout_s)
    : world_(world),
      peers_(peers),
      silence_s_(std::min(timeout_s, kMaxSilenceSeconds)),
      exceptions_at_start_(std::uncaught_exceptions()),
      failure_fd_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
      wake_fd_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
      states_(peers.size()),
      last_turn_(Clock::now()) {
  for (std::size_t rank = 0; rank < states_.size(); ++rank) {
    states_[rank].last_heard = Clock::now();
    states_[rank].gone = !peers_[rank].control.is_open();
  }
  thread_ = std::thread([this] { run(); });
}

Watchdog::~Watchdog() {
  if (std::uncaught_exceptions() > exceptions_at_start_) {
    report(concat("rank ", world_.rank, " on ", host_name(),
                  " left because of an error of its own (see its message), at ", position()));
  }
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  raise(wake_fd_);
  thread_.join();
}

void Watchdog::set_position(const std::string& position) {
  const std::lock_guard lock(mutex_);
  position_ = position;
}

std::string Watchdog::position() {
  const std::lock_guard lock(mutex_);
  return position_.empty() ? "start" : position_;
}

void Watchdog::set_waiting(const std::string& waiting) {
  const std::lock_guard lock(mutex_);
  waiting_ = waiting;
}

std::string Watchdog::failure() {
  const std::lock_guard lock(mutex_);
  return failure_;
}

std::string Watchdog::report(const std::string& text) {
  const std::lock_guard lock(mutex_);
  return report_locked(text);
}

std::string Watchdog::describe(std::size_t rank) {
  const std::lock_guard lock(mutex_);
  return describe_locked(rank);
}

std::string Watchdog::describe_locked(std::size_t rank) {
  const State& state = states_[rank];
  return concat("rank ", rank, " on ", peers_[rank].host, " (last heartbeat ",
                seconds_text(seconds_since(state.last_heard)), " ago at ",
                state.position.empty() ? "start" : state.position, ")");
}

std::string Watchdog::report_locked(const std::string& text) {
  if (!failure_.empty()) return failure_;
  failure_ = text;
  raise(failure_fd_);
  for (std::size_t rank = 0; rank < states_.size(); ++rank) post(rank, kAbort, text);
  return failure_;
}

void Watchdog::run() {
  Clock::time_point leave = Clock::time_point::max();
  while (true) {
    {
      const std::lock_guard lock(mutex_);
      if (stop_ && leave == Clock::time_point::max()) {
        announce_leaving();
        leave = after_seconds(kLeavingSeconds);
      }
      if (stop_ && (all_gone() || Clock::now() >= leave)) return;
      beat();
    }
    listen();
    const std::lock_guard lock(mutex_);
    if (!stop_) check_silence();
  }
}

std::string Watchdog::heartbeat_text() const {
  return concat(position_.empty() ? "start" : position_, waiting_.empty() ? "" : ", waiting for ", waiting_);
}

void Watchdog::beat() {
  const bool due = seconds_since(last_beat_) >= kBeatSeconds;
  if (due) last_beat_ = Clock::now();
  for (std::size_t rank = 0; rank < states_.size(); ++rank) {
    if (due && !stop_ && states_[rank].outgoing.empty()) post(rank, kHeartbeat, heartbeat_text());
    flush(rank);
  }
}

void Watchdog::listen() {
  std::vector<pollfd> waits{{wake_fd_.get(), POLLIN, 0}};
  std::vector<std::size_t> ranks;
  for (std::size_t rank = 0; rank < peers_.size(); ++rank) {
    if (!peers_[rank].control.is_open()) continue;
    waits.push_back({peers_[rank].control.get(), POLLIN, 0});
    ranks.push_back(rank);
  }
  poll(waits.data(), waits.size(), 100);
  const std::lock_guard lock(mutex_);
  if (waits[0].revents != 0) clear(wake_fd_);
  for (std::size_t k = 0; k < ranks.size(); ++k) {
    if (waits[k + 1].revents != 0) read_from(ranks[k]);
  }
}

void Watchdog::read_from(std::size_t rank) {
  State& state = states_[rank];
  std::array<char, 8192> bytes{};
  while (!state.gone) {
    const ssize_t got = recv(peers_[rank].control.get(), bytes.data(), bytes.size(), 0);
    if (got > 0) {
      state.buffer.append(bytes.data(), static_cast<std::size_t>(got));
      state.last_heard = Clock::now();
      if (!take_frames(rank)) part(rank);
    } else if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      return;
    } else if (got == 0 || errno != EINTR) {
      part(rank);
      if (!stop_)
        report_locked(concat("connection lost to ", describe_locked(rank), ": the process ended or was killed"));
    }
  }
}

bool Watchdog::take_frames(std::size_t rank) {
  State& state = states_[rank];
  while (state.buffer.size() >= sizeof(Frame)) {
    Frame frame;
    std::memcpy(&frame, state.buffer.data(), sizeof frame);
    state.buffer.erase(0, sizeof frame);
    if (frame.type == kLeaving) return false;
    if (frame.type == kHeartbeat) state.position = get_text(frame.text);
    if (frame.type == kAbort) report_locked(get_text(frame.text));
  }
  return true;
}

void Watchdog::check_silence() {
  const bool stood_still = seconds_since(last_turn_) > std::max(1.0, silence_s_ / 4);
  last_turn_ = Clock::now();
  for (std::size_t rank = 0; rank < states_.size(); ++rank) {
    State& state = states_[rank];
    if (state.gone) continue;
    if (stood_still) state.last_heard = Clock::now();
    if (seconds_since(state.last_heard) > silence_s_) {
      report_locked(concat("no heartbeat from ", describe_locked(rank), ": its process or machine has stopped"));
    }
  }
}

void Watchdog::post(std::size_t rank, uint32_t type, const std::string& text) {
  if (states_[rank].gone) return;
  Frame frame;
  frame.type = type;
  frame.rank = static_cast<uint32_t>(world_.rank);
  put_text(frame.text, text);
  states_[rank].outgoing.append(reinterpret_cast<const char*>(&frame), sizeof frame);
  flush(rank);
}

void Watchdog::flush(std::size_t rank) {
  State& state = states_[rank];
  while (!state.gone && !state.outgoing.empty()) {
    const ssize_t sent = send(peers_[rank].control.get(), state.outgoing.data(), state.outgoing.size(), MSG_NOSIGNAL);
    if (sent <= 0) return;  // the next read reports a closed connection
    state.outgoing.erase(0, static_cast<std::size_t>(sent));
  }
}

void Watchdog::part(std::size_t rank) {
  states_[rank].gone = true;
  peers_[rank].control.close();
}

bool Watchdog::all_gone() const {
  return std::all_of(states_.begin(), states_.end(), [](const State& state) { return state.gone; });
}

void Watchdog::announce_leaving() {
  for (std::size_t rank = 0; rank < states_.size(); ++rank) {
    post(rank, kLeaving, {});
    if (!states_[rank].gone && states_[rank].outgoing.empty()) shutdown(peers_[rank].control.get(), SHUT_WR);
  }
}

}  // namespace lriad
