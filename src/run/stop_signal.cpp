#include "lriad/run/stop_signal.h"

#include <csignal>
#include <initializer_list>

namespace lriad {
namespace {

volatile std::sig_atomic_t caught = 0;

void handle(int number, void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = static_cast<int>(SA_RESTART | SA_RESETHAND);
  sigaction(number, &action, nullptr);
}

}  // namespace

StopSignal::StopSignal() {
  caught = 0;
  for (const int number : {SIGINT, SIGTERM}) {
    handle(number, [](int which) { caught = which; });
  }
}

StopSignal::~StopSignal() {
  for (const int number : {SIGINT, SIGTERM}) handle(number, SIG_DFL);
}

int StopSignal::number() { return caught; }

}  // namespace lriad
