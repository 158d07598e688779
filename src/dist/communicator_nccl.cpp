#include <ATen/ATen.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <cuda_runtime_api.h>
#include <nccl.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <thread>

#include "communicator_host.h"
#include "lriad/core/error.h"
#include "lriad/core/host_name.h"
#include "lriad/dist/rank_sums.h"

namespace lriad {
namespace {

constexpr int64_t kPieceOfSum = 1 << 22;  // numbers of a rank that are gathered at once
constexpr double kFinalizeSeconds = 10;

ncclDataType_t nccl_type(at::ScalarType type, const std::string& what) {
  if (type == at::kFloat) return ncclFloat32;
  if (type == at::kDouble) return ncclFloat64;
  throw InternalError(concat("[dist] ", what, ": dtype ", c10::toString(type), ", expected float32 or float64"));
}

/// Sums and broadcasts GPU tensors with NCCL and does everything else through the host communicator. A host barrier
/// before each NCCL call ensures that NCCL never waits for a rank that is lost or calls something else.
class NcclCommunicator : public Communicator {
 public:
  NcclCommunicator(std::unique_ptr<HostCommunicator> host, const at::Device& device, AllReduce all_reduce)
      : host_(std::move(host)), device_(device), all_reduce_(all_reduce) {
    const c10::cuda::CUDAGuard guard(device_);
    require_own_gpus();
    // Of NCCL's algorithms the one that adds in the same order in every run on the same GPUs; the user's word comes
    // first.
    if (all_reduce_ == AllReduce::kRing) setenv("NCCL_ALGO", "Ring", /*overwrite=*/0);
    ncclUniqueId id;
    if (host_->is_main()) check_nccl(ncclGetUniqueId(&id), "set-up");
    const std::string own(host_->is_main() ? std::string(id.internal, sizeof id.internal) : std::string());
    const std::vector<std::string> ids = host_->gather(own, "NCCL id");
    require(ids.front().size() == sizeof id.internal, "dist", "rank 0 sent no NCCL id");
    std::memcpy(id.internal, ids.front().data(), sizeof id.internal);
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    const ncclResult_t started =
        ncclCommInitRankConfig(&comm_, static_cast<int>(host_->size()), id, static_cast<int>(host_->rank()), &config);
    if (started != ncclInProgress) check_nccl(started, "set-up");
    wait_until_ready("set-up");
  }

  /// After an error the other ranks may be anywhere, so nothing is waited for.
  ~NcclCommunicator() override {
    if (comm_ == nullptr) return;
    ncclResult_t state = std::uncaught_exceptions() > 0 ? ncclInternalError : ncclCommFinalize(comm_);
    const Clock::time_point end = after_seconds(kFinalizeSeconds);
    while (state == ncclInProgress && Clock::now() < end) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      ncclCommGetAsyncError(comm_, &state);
    }
    if (state == ncclSuccess) {
      ncclCommDestroy(comm_);
    } else {
      ncclCommAbort(comm_);
    }
  }
  NcclCommunicator(const NcclCommunicator&) = delete;
  NcclCommunicator& operator=(const NcclCommunicator&) = delete;

  int64_t rank() const override { return host_->rank(); }
  int64_t size() const override { return host_->size(); }
  void set_position(const std::string& position) override { host_->set_position(position); }
  void check() override { host_->check(); }
  void barrier(const std::string& what) override { host_->barrier(what); }
  std::vector<std::string> gather(const std::string& bytes, const std::string& what) override {
    return host_->gather(bytes, what);
  }

  void sum(at::Tensor& flat, const std::string& what) override {
    if (!flat.is_cuda()) return host_->sum(flat, what);
    const ncclDataType_t type = nccl_type(flat.scalar_type(), what);
    enter(flat, what);
    const c10::cuda::CUDAGuard guard(device_);
    const auto stream = c10::cuda::getCurrentCUDAStream(device_.index());
    const at::Tensor all_N = flat.detach().view(-1);
    if (all_reduce_ == AllReduce::kRing) {
      void* data = all_N.data_ptr();
      const auto count = static_cast<std::size_t>(all_N.numel());
      begun(ncclAllReduce(data, data, count, type, ncclSum, comm_, stream.stream()), what);
    } else {
      add_in_rank_order(all_N, type, stream, what);
    }
    finish(stream, what);
  }

  void broadcast(at::Tensor& flat, const std::string& what) override {
    if (!flat.is_cuda()) return host_->broadcast(flat, what);
    enter(flat, what);
    const c10::cuda::CUDAGuard guard(device_);
    const auto stream = c10::cuda::getCurrentCUDAStream(device_.index());
    void* data = flat.data_ptr();
    begun(ncclBroadcast(data, data, flat.nbytes(), ncclUint8, 0, comm_, stream.stream()), what);
    finish(stream, what);
  }

 private:
  /// Gathers the tensor of every rank piece by piece and adds as the host backend does: the result does not depend on
  /// which ring or tree NCCL finds.
  void add_in_rank_order(const at::Tensor& all_N, ncclDataType_t type, const c10::cuda::CUDAStream& stream,
                         const std::string& what) {
    const int64_t piece = std::min(kPieceOfSum, all_N.numel());
    at::Tensor parts_RN = at::empty({size(), piece}, all_N.options());
    for (int64_t begin = 0; begin < all_N.numel(); begin += piece) {
      const at::Tensor own_N = all_N.narrow(0, begin, std::min(piece, all_N.numel() - begin));
      const auto count = static_cast<std::size_t>(own_N.numel());
      begun(ncclAllGather(own_N.data_ptr(), parts_RN.data_ptr(), count, type, comm_, stream.stream()), what);
      own_N.copy_(sum_in_rank_order(parts_RN.view(-1).narrow(0, 0, size() * own_N.numel()).view({size(), -1})));
    }
  }

  /// Refuses two ranks on one GPU: NCCL would fail without naming them.
  void require_own_gpus() {
    std::array<char, 64> bus{};
    const cudaError_t result = cudaDeviceGetPCIBusId(bus.data(), static_cast<int>(bus.size()), device_.index());
    if (result != cudaSuccess)
      fail("dist", "GPU ", device_.index(), " does not tell its bus: ", cudaGetErrorString(result));
    const std::vector<std::string> gpus = host_->gather(concat(host_name(), ", GPU ", bus.data()), "GPUs");
    for (std::size_t rank = 1; rank < gpus.size(); ++rank) {
      const auto before = std::find(gpus.begin(), gpus.begin() + static_cast<std::ptrdiff_t>(rank), gpus[rank]);
      if (before == gpus.begin() + static_cast<std::ptrdiff_t>(rank)) continue;
      wait_before_leaving(*host_);
      fail("dist", "ranks ", before - gpus.begin(), " and ", rank, " use the same GPU (", gpus[rank],
           "); start at most one process per GPU");
    }
  }

  /// Waits until all ranks make the same call on the same number of elements.
  void enter(const at::Tensor& flat, const std::string& what) {
    require(flat.is_contiguous() && flat.device() == device_, "dist", what, ": the tensor must be contiguous, on ",
            device_.str());
    host_->barrier(concat(what, " [", flat.numel(), "]"));
  }

  void check_nccl(ncclResult_t result, const std::string& what) {
    if (result == ncclSuccess) return;
    give_up(concat("NCCL failed in ", what, " on rank ", rank(), ", ", host_name(), ": ", ncclGetErrorString(result),
                   ", ", ncclGetLastError(comm_)),
            what);
  }

  void begun(ncclResult_t result, const std::string& what) {
    if (result != ncclInProgress) check_nccl(result, what);
    wait_until_ready(what);
  }

  void wait_until_ready(const std::string& what) {
    poll(what, [this, &what] {
      ncclResult_t state = ncclSuccess;
      ncclCommGetAsyncError(comm_, &state);
      if (state != ncclInProgress) check_nccl(state, what);
      return state == ncclSuccess;
    });
  }

  void finish(const c10::cuda::CUDAStream& stream, const std::string& what) {
    poll(what, [this, &stream, &what] {
      ncclResult_t state = ncclSuccess;
      ncclCommGetAsyncError(comm_, &state);
      if (state != ncclInProgress) check_nccl(state, what);
      return stream.query();
    });
  }

  /// Waits until `is_done` returns true. If a rank is lost or the time limit has passed, aborts NCCL's communicator and
  /// throws.
  template <class Test>
  void poll(const std::string& what, const Test& is_done) {
    const Clock::time_point start = Clock::now();
    while (!is_done()) {
      if (!host_->link().watchdog().failure().empty()) give_up("", what);
      const double waited = seconds_since(start);
      if (waited > host_->link().timeout_s()) {
        give_up(
            concat("NCCL did not finish ", what, " within ", host_->link().timeout_s(), " s (distributed.timeout_s)"),
            what);
      }
      if (waited > 0.002) std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
  }

  [[noreturn]] void give_up(const std::string& failure, const std::string& what) {
    if (comm_ != nullptr) ncclCommAbort(comm_);
    comm_ = nullptr;
    const std::string known = host_->link().watchdog().failure();
    host_->link().stop(known.empty() ? failure : known, Operation{"NCCL call", what, Clock::now()});
  }

  std::unique_ptr<HostCommunicator> host_;
  at::Device device_;
  AllReduce all_reduce_;
  ncclComm_t comm_ = nullptr;
};

}  // namespace

std::unique_ptr<Communicator> make_nccl_communicator(std::unique_ptr<HostCommunicator> host, const at::Device& device,
                                                     AllReduce all_reduce) {
  return std::make_unique<NcclCommunicator>(std::move(host), device, all_reduce);
}

}  // namespace lriad
