#pragma once

namespace lriad {

/// Notes SIGINT and SIGTERM while it lives, so that a step can end and be saved; a second one ends the process at once.
class StopSignal {
 public:
  StopSignal();
  ~StopSignal();
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;
  static int number();  ///< of the signal that came; 0: none
};

}  // namespace lriad
