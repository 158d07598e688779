#include "lriad/dist/launcher.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <thread>

#include "lriad/core/error.h"
#include "lriad/core/log.h"
#include "socket.h"

extern char** environ;

namespace lriad {
namespace {

constexpr double kLeaveSeconds = 10;  // time for the other ranks to notice a failure, log it and exit
constexpr double kSaveSeconds = 600;  // time for ranks that stop on request or by the guard, which may be saving

/// Arguments or environment for execve. They are built before fork because the child of a threaded process must not
/// allocate memory.
class CStrings {
 public:
  explicit CStrings(std::vector<std::string> texts) : texts_(std::move(texts)) {
    for (std::string& text : texts_) pointers_.push_back(text.data());
    pointers_.push_back(nullptr);
  }
  char* const* data() const { return pointers_.data(); }

 private:
  std::vector<std::string> texts_;
  std::vector<char*> pointers_;
};

std::string random_token() {
  std::array<unsigned char, 16> bytes{};
  if (getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
    fail("dist", "the system gives no random bytes: ", std::strerror(errno));
  }
  std::string token;
  for (const unsigned char byte : bytes) {
    token += "0123456789abcdef"[byte >> 4];
    token += "0123456789abcdef"[byte & 15];
  }
  return token;
}

std::size_t num_cpus() {
  cpu_set_t cpus;
  if (sched_getaffinity(0, sizeof cpus, &cpus) != 0) return 1;
  return static_cast<std::size_t>(std::max(1, CPU_COUNT(&cpus)));
}

/// The present environment, with the variables that describe the world set or replaced.
std::vector<std::string> environment_of(std::size_t rank, std::size_t size, const Descriptor& listener,
                                        const std::string& token, int64_t restart) {
  std::vector<std::string> own = {concat("RANK=", rank),
                                  concat("WORLD_SIZE=", size),
                                  concat("LOCAL_RANK=", rank),
                                  "MASTER_ADDR=127.0.0.1",
                                  concat("MASTER_PORT=", port_of(listener)),
                                  concat("LRIAD_TOKEN=", token),
                                  concat("TORCHELASTIC_RESTART_COUNT=", restart),
                                  "LRIAD_LAUNCHED=1"};
  if (rank == 0) own.push_back(concat("LRIAD_LISTEN_FD=", listener.get()));
  if (std::getenv("OMP_NUM_THREADS") == nullptr) {
    own.push_back(concat("OMP_NUM_THREADS=", std::max<std::size_t>(1, num_cpus() / size)));
  }
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    const std::string name = text.substr(0, text.find('=') + 1);
    const bool replaced =
        std::any_of(own.begin(), own.end(), [&](const std::string& set) { return set.starts_with(name); });
    if (!replaced && name != "LRIAD_LISTEN_FD=" && name != "TORCHELASTIC_USE_AGENT_STORE=") own.push_back(text);
  }
  return own;
}

volatile sig_atomic_t caught_signal = 0;

/// Records SIGINT and SIGTERM during its lifetime, whichever thread the system delivers them to.
class SignalCatcher {
 public:
  SignalCatcher() {
    caught_signal = 0;
    Action action{};
    action.sa_handler = [](int number) { caught_signal = number; };
    action.sa_flags = SA_RESTART;
    sigaction(SIGINT, &action, &interrupt_before_);
    sigaction(SIGTERM, &action, &terminate_before_);
    Action standard{};
    standard.sa_handler = SIG_DFL;  // an inherited SIG_IGN would hide how children end
    sigaction(SIGCHLD, &standard, &child_before_);
  }
  ~SignalCatcher() {
    sigaction(SIGINT, &interrupt_before_, nullptr);
    sigaction(SIGTERM, &terminate_before_, nullptr);
    sigaction(SIGCHLD, &child_before_, nullptr);
  }
  SignalCatcher(const SignalCatcher&) = delete;
  SignalCatcher& operator=(const SignalCatcher&) = delete;
  /// Number of a signal that came since the last call, or 0.
  static int take() {
    const int number = caught_signal;
    caught_signal = 0;
    return number;
  }

 private:
  using Action = struct sigaction;
  Action interrupt_before_{}, terminate_before_{}, child_before_{};
};

struct Child {
  pid_t pid = -1;
  bool running = false;
};

struct Ended {
  std::size_t rank = 0;
  int code = 0;
  bool killed = false;
};

class Launch {
 public:
  Launch(std::size_t size, const std::vector<std::string>& arguments, int64_t restart) : children_(size) {
    const Descriptor listener = listen_on("127.0.0.1", 0);
    const std::string token = random_token();
    const std::string program = std::filesystem::read_symlink("/proc/self/exe").string();
    std::vector<std::string> words{program};
    words.insert(words.end(), arguments.begin(), arguments.end());
    const CStrings argv(words);
    flush_log();
    for (std::size_t rank = 0; rank < size; ++rank) {
      const CStrings environment(environment_of(rank, size, listener, token, restart));
      start(rank, program, argv, environment, rank == 0 ? listener.get() : -1);
    }
  }

  int run() {
    while (std::any_of(children_.begin(), children_.end(), [](const Child& child) { return child.running; })) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      const int number = SignalCatcher::take();
      if (number != 0) pass_on(number);
      reap();
      if (failed_ && Clock::now() >= next_push_) push();
    }
    return exit_code_ == kLostRankExit ? kUserExit : exit_code_;
  }

  /// Whether the world failed for a reason that may not recur.
  bool may_start_again() const {
    return asked_to_stop_ == 0 && (crashed_ || exit_code_ == kBugExit || exit_code_ == kLostRankExit);
  }

 private:
  void start(std::size_t rank, const std::string& program, const CStrings& argv, const CStrings& environment,
             int keep_fd) {
    const pid_t parent = getpid();
    // A signal passed on to a child that still has our handler would be lost: it waits until the child has its own.
    sigset_t asked{}, before{};
    sigemptyset(&asked);
    sigaddset(&asked, SIGINT);
    sigaddset(&asked, SIGTERM);
    sigprocmask(SIG_BLOCK, &asked, &before);
    const pid_t pid = fork();
    const std::string reason = pid < 0 ? std::strerror(errno) : "";
    if (pid != 0) sigprocmask(SIG_SETMASK, &before, nullptr);
    if (pid < 0) {
      for (const Child& child : children_) {
        if (child.running) kill(child.pid, SIGKILL);
      }
      fail("dist", "cannot start process ", rank, " of ", children_.size(), ": ", reason);
    }
    if (pid > 0) {
      children_[rank] = {pid, true};
      return;
    }
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    sigprocmask(SIG_SETMASK, &before, nullptr);
    // A process group of its own: Ctrl-C in the terminal reaches the child once, through the parent.
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);
    if (keep_fd >= 0) fcntl(keep_fd, F_SETFD, 0);
    execve(program.c_str(), argv.data(), environment.data());
    _exit(127);
  }

  void pass_on(int number) {
    asked_to_stop_ = number;
    for (const Child& child : children_) {
      if (child.running) kill(child.pid, number);
    }
  }

  /// Collects processes that have ended. Of several found at once, those ended by a signal are noted first, since the
  /// others probably stopped because of them.
  void reap() {
    std::vector<Ended> ended;
    for (std::size_t rank = 0; rank < children_.size(); ++rank) {
      int status = 0;
      Child& child = children_[rank];
      if (!child.running || waitpid(child.pid, &status, WNOHANG) != child.pid) continue;
      child.running = false;
      const bool killed = WIFSIGNALED(status);
      ended.push_back({rank, killed ? 128 + WTERMSIG(status) : WEXITSTATUS(status), killed});
    }
    std::ranges::stable_partition(ended, [](const Ended& one) { return one.killed; });
    for (const Ended& one : ended) {
      if (one.code != 0 && !pushed_) note_failure(one.rank, one.code, one.killed);
    }
  }

  /// Keeps the first failure. A rank that stopped only because another was lost is replaced by a later real cause.
  void note_failure(std::size_t rank, int code, bool killed) {
    if (failed_ && (exit_code_ != kLostRankExit || code == kLostRankExit)) return;
    exit_code_ = code;
    crashed_ = killed && code != 128 + SIGTERM && code != 128 + SIGINT;
    const bool orderly = code == kGuardExit || (asked_to_stop_ != 0 && code == 128 + asked_to_stop_);
    if (!failed_) next_push_ = after_seconds(orderly ? kSaveSeconds : kLeaveSeconds);
    failed_ = true;
    if (orderly || code == kLostRankExit || children_.size() == 1) return;
    log_error(concat("[dist] rank ", rank, " ended with exit code ", code,
                     killed ? concat(" (signal ", code - 128, ")") : "", "; stopping the other ranks"));
  }

  void push() {
    for (const Child& child : children_) {
      if (!child.running) continue;
      kill(child.pid, pushed_ ? SIGKILL : SIGTERM);
      kill(child.pid, SIGCONT);  // a suspended process must run to handle SIGTERM
    }
    pushed_ = true;
    next_push_ = after_seconds(kLeaveSeconds);
  }

  std::vector<Child> children_;
  int exit_code_ = 0;
  int asked_to_stop_ = 0;
  bool failed_ = false;
  bool crashed_ = false;  ///< a rank was ended by a signal other than SIGINT and SIGTERM
  bool pushed_ = false;
  Clock::time_point next_push_;
};

}  // namespace

int launch(const std::vector<at::Device>& devices, const std::vector<std::string>& arguments, int64_t max_restarts) {
  require(!devices.empty(), "dist", "there is no device to start a process on");
  const SignalCatcher signals;
  for (int64_t restart = 0;; ++restart) {
    Launch world(devices.size(), arguments, restart);
    const int code = world.run();
    if (!world.may_start_again() || restart == max_restarts) return code;
    if (const int number = SignalCatcher::take(); number != 0) return 128 + number;
    log_warning(concat("[dist] starting all ranks again from the last good checkpoint (", restart + 1, " of at most ",
                       max_restarts, " times, distributed.max_restarts)"));
  }
}

}  // namespace lriad
