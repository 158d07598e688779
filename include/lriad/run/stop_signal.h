#pragma once

namespace lriad {

/// Records SIGINT and SIGTERM during its lifetime, so that the current step can end and be saved. The same signal sent
/// a second time ends the process at once.
class StopSignal {
 public:
  StopSignal();
  ~StopSignal();
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;
  static int number();  ///< number of the signal received; 0: none
};

}  // namespace lriad
