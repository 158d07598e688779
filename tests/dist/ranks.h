#pragma once

#include <functional>
#include <string>
#include <vector>

#include "lriad/dist/communicator.h"

namespace lriad {

/// How one rank ended: the text of its exception ("" if none), the signal if one killed it, and the seconds it ran.
struct Outcome {
  std::string error;
  int killed_by = 0;
  double seconds = 0;
};

using RankBody = std::function<void(Communicator&)>;

/// Runs `body` as each rank of a world on the loopback, one thread per rank.
std::vector<Outcome> run_threads(int64_t size, const RankBody& body, double timeout_s = 20);

/// The same with one process per rank; a rank that `body` stops with SIGSTOP is killed once the others have ended.
std::vector<Outcome> run_processes(int64_t size, const RankBody& body, double timeout_s = 20);

}  // namespace lriad
