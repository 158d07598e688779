#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "host_link.h"
#include "lriad/dist/communicator.h"

namespace lriad {

/// Collectives over TCP with rank 0 in the centre of a star. Rank 0 adds in rank order in float64, so all ranks and all
/// runs get the same bytes. Each call begins with a header (Head) that names it, so that rank 0 notices ranks that call
/// different collectives.
class HostCommunicator : public Communicator {
 public:
  HostCommunicator(const World& world, double timeout_s);
  int64_t rank() const override { return link_.world().rank; }
  int64_t size() const override { return link_.world().size; }
  void sum(at::Tensor& flat, const std::string& what) override;
  void broadcast(at::Tensor& flat, const std::string& what) override;
  std::vector<std::string> gather(const std::string& bytes, const std::string& what) override;
  void barrier(const std::string& what) override;
  void set_position(const std::string& position) override { link_.watchdog().set_position(position); }
  void check() override;
  HostLink& link() { return link_; }

 private:
  struct Head;
  Head head_of(const Operation& operation, uint64_t bytes, uint64_t type);
  /// Rank 0 receives and compares the headers of all other ranks and returns them by rank; the others send theirs.
  std::vector<Head> open(const Operation& operation, const Head& own);
  void sum_chunks(at::Tensor& host, const Operation& operation);
  void add_chunk(char* own, std::size_t bytes, bool is_double, const Operation& operation);
  template <class Value>
  void add_values(char* own, std::size_t bytes, const Operation& operation);
  HostLink link_;
  uint64_t sequence_ = 0;
};

/// NCCL for tensors on GPUs, `host` for everything else. Throws Error if this program was built without NCCL, or two
/// ranks use the same GPU.
std::unique_ptr<Communicator> make_nccl_communicator(std::unique_ptr<HostCommunicator> host, const at::Device& device,
                                                     AllReduce all_reduce);

}  // namespace lriad
