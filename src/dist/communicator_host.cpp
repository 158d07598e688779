#include "communicator_host.h"

#include <ATen/Functions.h>

#include <algorithm>
#include <array>

#include "lriad/core/error.h"

namespace lriad {
namespace {

constexpr std::size_t kChunkBytes = 4u << 20;
constexpr uint64_t kMaxGatherBytes = 1ull << 32;

std::size_t bytes_of(const at::Tensor& tensor) { return static_cast<std::size_t>(tensor.nbytes()); }

void require_flat(const at::Tensor& flat, const std::string& what) {
  require(flat.defined() && flat.is_contiguous(), "dist", what, ": the tensor must be defined and contiguous");
}

}  // namespace

struct HostCommunicator::Head {
  uint64_t sequence = 0;
  uint64_t bytes = 0;
  uint64_t type = 0;
  std::array<char, 104> name{};
};

HostCommunicator::HostCommunicator(const World& world, double timeout_s) : link_(world, timeout_s) {}

void HostCommunicator::check() {
  if (!link_.watchdog().failure().empty()) link_.begin("check", "the other ranks");
}

HostCommunicator::Head HostCommunicator::head_of(const Operation& operation, uint64_t bytes, uint64_t type) {
  Head head;
  head.sequence = ++sequence_;
  head.bytes = bytes;
  head.type = type;
  put_text(head.name, operation.verb + " of " + operation.what);
  return head;
}

std::vector<HostCommunicator::Head> HostCommunicator::open(const Operation& operation, const Head& own) {
  if (rank() != 0) {
    link_.send(0, &own, sizeof own, operation);
    return {};
  }
  std::vector<Head> heads(link_.num_peers(), own);
  const auto text = [](const Head& head) {
    return concat(get_text(head.name), " (call ", head.sequence, ", ", head.bytes, " bytes)");
  };
  for (std::size_t peer = 1; peer < heads.size(); ++peer) {
    Head& head = heads[peer];
    link_.watchdog().set_waiting(concat("rank ", peer, " in ", get_text(own.name)));
    link_.receive(peer, &head, sizeof head, operation);
    const bool same_size = head.bytes == own.bytes || operation.verb == "gather";
    if (head.sequence == own.sequence && head.name == own.name && head.type == own.type && same_size) continue;
    link_.stop(concat("ranks call different collectives: ", link_.describe(peer), " calls ", text(head), ", rank 0 ",
                      text(own)),
               operation);
  }
  link_.watchdog().set_waiting({});
  return heads;
}

void HostCommunicator::sum(at::Tensor& flat, const std::string& what) {
  require_flat(flat, what);
  require(flat.scalar_type() == at::kFloat || flat.scalar_type() == at::kDouble, "dist", "sum of ", what, ": dtype ",
          c10::toString(flat.scalar_type()), ", expected float32 or float64");
  const Operation operation = link_.begin("sum", what);
  at::Tensor host = flat.detach().to(at::kCPU);
  open(operation, head_of(operation, bytes_of(host), static_cast<uint64_t>(host.scalar_type())));
  sum_chunks(host, operation);
  if (!flat.is_cpu()) flat.detach().copy_(host);
}

void HostCommunicator::sum_chunks(at::Tensor& host, const Operation& operation) {
  char* data = static_cast<char*>(host.data_ptr());
  const std::size_t total = bytes_of(host);
  for (std::size_t begin = 0; begin < total; begin += kChunkBytes) {
    const std::size_t bytes = std::min(kChunkBytes, total - begin);
    if (rank() != 0) {
      link_.send(0, data + begin, bytes, operation);
      link_.receive(0, data + begin, bytes, operation);
    } else {
      add_chunk(data + begin, bytes, host.scalar_type() == at::kDouble, operation);
    }
  }
}

void HostCommunicator::add_chunk(char* own, std::size_t bytes, bool is_double, const Operation& operation) {
  if (is_double) {
    add_values<double>(own, bytes, operation);
  } else {
    add_values<float>(own, bytes, operation);
  }
  for (std::size_t peer = 1; peer < link_.num_peers(); ++peer) link_.send(peer, own, bytes, operation);
}

template <class Value>
void HostCommunicator::add_values(char* own, std::size_t bytes, const Operation& operation) {
  Value* values = reinterpret_cast<Value*>(own);
  std::vector<double> totals(values, values + bytes / sizeof(Value));
  std::vector<Value> theirs(totals.size());
  for (std::size_t peer = 1; peer < link_.num_peers(); ++peer) {
    link_.receive(peer, theirs.data(), bytes, operation);
    for (std::size_t k = 0; k < totals.size(); ++k) totals[k] += static_cast<double>(theirs[k]);
  }
  std::transform(totals.begin(), totals.end(), values, [](double total) { return static_cast<Value>(total); });
}

void HostCommunicator::broadcast(at::Tensor& flat, const std::string& what) {
  require_flat(flat, what);
  const Operation operation = link_.begin("broadcast", what);
  at::Tensor host = flat.detach().to(at::kCPU);
  open(operation, head_of(operation, bytes_of(host), static_cast<uint64_t>(host.scalar_type())));
  if (rank() != 0) {
    link_.receive(0, host.data_ptr(), bytes_of(host), operation);
    if (!flat.is_cpu()) flat.detach().copy_(host);
    return;
  }
  for (std::size_t peer = 1; peer < link_.num_peers(); ++peer) {
    link_.send(peer, host.data_ptr(), bytes_of(host), operation);
  }
}

std::vector<std::string> HostCommunicator::gather(const std::string& bytes, const std::string& what) {
  require(bytes.size() <= kMaxGatherBytes, "dist", "gather of ", what, ": ", bytes.size(), " bytes are too many");
  const Operation operation = link_.begin("gather", what);
  const std::vector<Head> heads = open(operation, head_of(operation, bytes.size(), 0));
  std::vector<std::string> parts(static_cast<std::size_t>(size()));
  std::vector<uint64_t> sizes(parts.size());
  if (rank() != 0) {
    link_.send(0, bytes.data(), bytes.size(), operation);
    link_.receive(0, sizes.data(), sizes.size() * sizeof(uint64_t), operation);
    for (std::size_t k = 0; k < parts.size(); ++k) {
      parts[k].resize(sizes[k]);
      link_.receive(0, parts[k].data(), sizes[k], operation);
    }
    return parts;
  }
  parts[0] = bytes;
  sizes[0] = bytes.size();
  for (std::size_t peer = 1; peer < parts.size(); ++peer) {
    sizes[peer] = heads[peer].bytes;
    if (sizes[peer] > kMaxGatherBytes) link_.stop(concat(link_.describe(peer), " sends too many bytes"), operation);
    parts[peer].resize(sizes[peer]);
    link_.receive(peer, parts[peer].data(), sizes[peer], operation);
  }
  for (std::size_t peer = 1; peer < parts.size(); ++peer) {
    link_.send(peer, sizes.data(), sizes.size() * sizeof(uint64_t), operation);
    for (const std::string& part : parts) link_.send(peer, part.data(), part.size(), operation);
  }
  return parts;
}

void HostCommunicator::barrier(const std::string& what) {
  const Operation operation = link_.begin("barrier", what);
  open(operation, head_of(operation, 0, 0));
  char go = 1;
  if (rank() != 0) return link_.receive(0, &go, 1, operation);
  for (std::size_t peer = 1; peer < link_.num_peers(); ++peer) link_.send(peer, &go, 1, operation);
}

}  // namespace lriad
