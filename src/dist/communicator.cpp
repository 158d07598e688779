#include "lriad/dist/communicator.h"

#include <algorithm>
#include <map>

#include "communicator_host.h"
#include "lriad/core/error.h"
#include "lriad/dist/launcher.h"

namespace lriad {
namespace {

/// With a single process each collective operation leaves its data as they are.
class SingleCommunicator : public Communicator {
 public:
  int64_t rank() const override { return 0; }
  int64_t size() const override { return 1; }
  void sum(at::Tensor&, const std::string&) override {}
  void broadcast(at::Tensor&, const std::string&) override {}
  std::vector<std::string> gather(const std::string& bytes, const std::string&) override { return {bytes}; }
  void barrier(const std::string&) override {}
  void set_position(const std::string&) override {}
  void check() override {}
};

using Items = std::vector<std::pair<std::string, std::string>>;

/// Writes each text as its length and its bytes, so that it may contain any character.
std::string pack(const Items& items) {
  std::string bytes;
  for (const auto& [name, value] : items) {
    bytes += concat(name.size(), ' ', name, value.size(), ' ', value);
  }
  return bytes;
}

std::string take_text(const std::string& bytes, std::size_t& at) {
  const std::size_t space = bytes.find(' ', at);
  const std::size_t size = std::stoull(bytes.substr(at, space - at));
  at = space + 1 + size;
  return bytes.substr(space + 1, size);
}

Items unpack(const std::string& bytes) {
  Items items;
  for (std::size_t at = 0; at < bytes.size();) {
    std::string name = take_text(bytes, at);
    std::string value = take_text(bytes, at);
    items.emplace_back(std::move(name), std::move(value));
  }
  return items;
}

}  // namespace

std::unique_ptr<Communicator> make_communicator(const World& world, const at::Device& device, double timeout_s,
                                                AllReduce all_reduce) {
  require(world.rank >= 0 && world.rank < world.size, "dist", "rank ", world.rank, " of ", world.size);
  require(timeout_s > 0, "dist", "timeout of ", timeout_s, " s");
  check_all_reduce(all_reduce, device);
  if (world.size == 1) return std::make_unique<SingleCommunicator>();
  auto host = std::make_unique<HostCommunicator>(world, timeout_s);
  const std::vector<std::string> kinds = host->gather(device.is_cuda() ? "a GPU" : "the CPU", "kinds of devices");
  const auto other = std::ranges::find_if(kinds, [&](const auto& kind) { return kind != kinds.front(); });
  if (other != kinds.end()) {
    wait_before_leaving(*host);
    fail("dist", "rank ", other - kinds.begin(), " has ", *other, ", rank 0 has ", kinds.front(),
         "; all ranks of a run need a GPU each, or the CPU: see distributed.devices and nvidia-smi on each machine");
  }
  if (device.is_cuda()) return make_nccl_communicator(std::move(host), device, all_reduce);
  return host;
}

void wait_before_leaving(Communicator& communicator) {
  try {
    communicator.barrier("leaving");
  } catch (const Error&) {
    // A rank lost now is not the cause: the caller throws its own error next.
  }
}

void require_agreement(Communicator& communicator, const Items& items) {
  std::vector<Items> all;
  for (const std::string& bytes : communicator.gather(pack(items), "run description")) all.push_back(unpack(bytes));
  for (std::size_t k = 0; k < items.size(); ++k) {
    std::map<std::string, std::string> ranks_of;
    for (std::size_t rank = 0; rank < all.size(); ++rank) {
      const bool there = k < all[rank].size() && all[rank][k].first == items[k].first;
      std::string& ranks = ranks_of[there ? all[rank][k].second : "(missing)"];
      ranks += concat(ranks.empty() ? "" : ", ", rank);
    }
    if (ranks_of.size() == 1) continue;
    std::string text;
    for (const auto& [value, ranks] : ranks_of) text += concat(text.empty() ? "" : "; ", value, " on rank(s) ", ranks);
    wait_before_leaving(communicator);
    fail("dist", "ranks do not agree on ", items[k].first, ": ", text,
         "; every machine needs the same program, config, data and model");
  }
}

}  // namespace lriad
