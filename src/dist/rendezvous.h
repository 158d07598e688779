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

/// Text in a wire frame: cut to fit, zero-filled.
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

/// Meets the other ranks. Rank 0 listens and admits exactly world.size - 1 ranks that show the same token and world
/// size; connections of other programs are turned away and hold nobody up. Returns the peers by rank: on rank 0 one for
/// each other rank (entry 0 is empty), on the others rank 0 alone. Throws Error within `timeout_s`, naming the ranks
/// that did not come.
std::vector<Peer> meet(const World& world, double timeout_s);

/// Hands rank 0's port to the others through the key-value store that torchrun runs at master_addr:master_port. Returns
/// it.
int64_t share_port(const World& world, int64_t own_port, double timeout_s);

}  // namespace lriad
