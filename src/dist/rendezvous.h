#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lriad/dist/communicator.h"
#include "socket.h"

namespace lriad {

/// The two connections to another rank: one for collectives, one for the watchdog.
struct Peer {
  std::string host;
  Descriptor data, control;
};

/// Writes a text into a fixed field of a message, cut to fit and filled with zeros.
template <std::size_t N>
void put_text(std::array<char, N>& field, std::string_view text) {
  field.fill(0);
  text.copy(field.data(), N - 1);
}
template <std::size_t N>
std::string get_text(const std::array<char, N>& field) {
  const std::string_view all(field.data(), N);
  return std::string(all.substr(0, all.find('\0')));
}

/// Connects the ranks. Rank 0 listens and admits world.size - 1 ranks with the same token and world size; it refuses
/// other connections without delay for the ranks. Returns the peers by rank: on rank 0 one for each other rank (entry 0
/// is empty), on the others rank 0 alone. Throws Error within `timeout_s` naming the ranks that are missing.
std::vector<Peer> meet(const World& world, double timeout_s);

/// Returns rank 0's port: rank 0 publishes `own_port` in the key-value store that torchrun runs at
/// master_addr:master_port, the others read it there. Throws Error if the store cannot be used within `timeout_s`.
int64_t share_port(const World& world, int64_t own_port, double timeout_s);

}  // namespace lriad
