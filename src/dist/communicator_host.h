#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "host_link.h"
#include "lriad/dist/communicator.h"

namespace lriad {

/// Collectives over TCP connections in a star around rank 0, which adds in rank order with a float64 accumulator: the
/// same bytes on every rank and in every run. Each call opens with a frame that says what it is, so that ranks that
/// have lost step are told.
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
  /// On rank 0 every other rank's head, by rank; the others only send theirs.
  std::vector<Head> open(const Operation& operation, const Head& own);
  void sum_chunks(at::Tensor& host, const Operation& operation);
  void add_chunk(char* own, std::size_t bytes, bool is_double, const Operation& operation);
  template <class Value>
  void add_values(char* own, std::size_t bytes, const Operation& operation);
  HostLink link_;
  uint64_t sequence_ = 0;
};

/// NCCL for tensors over a host communicator for everything else. Throws Error where this program was built without
/// NCCL.
std::unique_ptr<Communicator> make_nccl_communicator(std::unique_ptr<HostCommunicator> host, const at::Device& device);

}  // namespace lriad
