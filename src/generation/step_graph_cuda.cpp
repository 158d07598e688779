#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAEvent.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <cuda_runtime_api.h>

#include <atomic>
#include <exception>

#include "lriad/core/error.h"
#include "lriad/core/log.h"
#include "step_graph.h"

namespace lriad {
namespace {

constexpr int kPlainCalls = 2;

/// Logs the first time only: each batch of completions would say the same.
void log_plain(const std::exception& error) {
  static std::atomic<bool> said = false;
  if (said.exchange(true)) return;
  const std::string reason = error.what();
  log_warning(concat("a decode step is not recorded as a CUDA graph, so its kernels are launched one by one: ",
                     reason.substr(0, reason.find('\n'))));
}

/// Makes what is launched on one stream wait for what was launched on another.
void join(const c10::cuda::CUDAStream& before, const c10::cuda::CUDAStream& after) {
  c10::cuda::CUDAEvent done;
  done.record(before);
  done.block(after);
}

/// An id for memory that a graph goes on using. libtorch numbers its own in the first place.
c10::cuda::MempoolId_t new_pool() {
  static std::atomic<c10::cuda::CaptureId_t> last = c10::cuda::CaptureId_t{1} << 32;
  return {0, ++last};
}

}  // namespace

/// Uses what libc10_cuda and libcudart have, since programs do not link libtorch_cuda, which has at::cuda::CUDAGraph.
struct StepGraph::Recording {
  explicit Recording(const c10::Device& device)
      : before(c10::cuda::getCurrentCUDAStream(device.index())),
        own(c10::cuda::getStreamFromPool(/*isHighPriority=*/false, device.index())) {
    join(before, own);
    c10::cuda::setCurrentCUDAStream(own);
  }

  ~Recording() {
    try {
      own.synchronize();  // what the graph uses is given back below
      join(own, before);
    } catch (const std::exception& error) {
      log_warning(concat("after the last decode step: ", error.what()));
    }
    c10::cuda::setCurrentCUDAStream(before);
    if (graph != nullptr) cudaGraphExecDestroy(graph);
    if (pool) c10::cuda::CUDACachingAllocator::releasePool(own.device_index(), *pool);
  }

  /// Records the work without doing it. Other threads may call what a recording forbids (thread-local mode).
  void record(const std::function<void()>& work) {
    pool = new_pool();
    c10::cuda::CUDACachingAllocator::beginAllocateToPool(
        own.device_index(), *pool, [this](cudaStream_t stream) { return stream == own.stream(); });
    cudaGraph_t recorded = nullptr;
    std::exception_ptr failure;
    cudaError_t error = cudaStreamBeginCapture(own.stream(), cudaStreamCaptureModeThreadLocal);
    if (error == cudaSuccess) {
      try {
        work();
      } catch (...) {
        failure = std::current_exception();
      }
      error = cudaStreamEndCapture(own.stream(), &recorded);
    }
    c10::cuda::CUDACachingAllocator::endAllocateToPool(own.device_index(), *pool);
    if (failure == nullptr && error == cudaSuccess) error = cudaGraphInstantiate(&graph, recorded, 0);
    if (recorded != nullptr) cudaGraphDestroy(recorded);
    cudaGetLastError();  // a failed recording is no failure of what follows
    if (failure != nullptr) std::rethrow_exception(failure);
    C10_CUDA_CHECK(error);
  }

  c10::cuda::CUDAStream before, own;
  std::optional<c10::cuda::MempoolId_t> pool;
  cudaGraphExec_t graph = nullptr;
  int plain_calls = 0;
  bool failed = false;
};

StepGraph::StepGraph(const c10::Device& device, std::function<void()> work) : work_(std::move(work)) {
  try {
    recording_ = std::make_unique<Recording>(device);
  } catch (const std::exception& error) {
    log_plain(error);
  }
}

StepGraph::~StepGraph() = default;

void StepGraph::run() {
  if (recording_ == nullptr || recording_->failed || recording_->plain_calls++ < kPlainCalls) return work_();
  if (recording_->graph == nullptr) {
    try {
      recording_->record(work_);
    } catch (const std::exception& error) {
      log_plain(error);
      recording_->failed = true;
      return work_();
    }
  }
  C10_CUDA_CHECK(cudaGraphLaunch(recording_->graph, recording_->own.stream()));
}

}  // namespace lriad
