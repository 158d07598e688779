#pragma once

#include <c10/core/Device.h>

#include <functional>
#include <memory>

namespace lriad {

/// Repeats work on fixed tensors. On a GPU the first two calls launch its kernels one by one, which lets cuBLAS and
/// lazily loaded kernels get ready; the third records them as a CUDA graph, and from then on a call is one launch.
/// Where recording fails the work goes on as before, and the reason is logged once. Work that waits for the device
/// cannot be recorded. While the object lives all work of this thread on the device goes to a stream of its own, since
/// the default one cannot be recorded.
class StepGraph {
 public:
  StepGraph(const c10::Device& device, std::function<void()> work);
  ~StepGraph();
  StepGraph(const StepGraph&) = delete;
  StepGraph& operator=(const StepGraph&) = delete;

  void run();

 private:
  struct Recording;
  std::function<void()> work_;
  std::unique_ptr<Recording> recording_;  ///< null: the work is not recorded
};

}  // namespace lriad
