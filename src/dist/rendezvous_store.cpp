#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include "lriad/core/error.h"
#include "lriad/core/files.h"
#include "rendezvous.h"

namespace lriad {

int64_t share_port(const World& world, int64_t own_port, double timeout_s) {
  const auto timeout = std::chrono::milliseconds(static_cast<int64_t>(1000 * timeout_s));
  try {
    c10d::TCPStoreOptions options;
    options.port = static_cast<uint16_t>(world.master_port);
    options.timeout = timeout;
    c10d::TCPStore store(world.master_addr, options);
    const std::string key = "lriad/" + sha256_hex(world.token);
    if (world.rank == 0) {
      const std::string text = std::to_string(own_port);
      store.set(key, std::vector<uint8_t>(text.begin(), text.end()));
      return own_port;
    }
    store.setTimeout(timeout);
    const std::vector<uint8_t> text = store.get(key);
    return std::stoll(std::string(text.begin(), text.end()));
  } catch (const std::exception& error) {
    std::string reason = error.what();
    reason.erase(std::min(reason.size(), reason.find('\n')));
    fail("dist", "rank ", world.rank, " cannot use the key-value store at ", world.master_addr, ":", world.master_port,
         ": ", reason, "; torchrun should be running it");
  }
}

}  // namespace lriad
