#include <charconv>
#include <cstdlib>
#include <string_view>

#include "lriad/core/error.h"
#include "lriad/dist/launcher.h"

namespace lriad {
namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

int64_t number(const char* name, int64_t low, int64_t high) {
  const std::string text = variable(name);
  int64_t value = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || problem != std::errc() || end != text.data() + text.size() || value < low || value > high) {
    fail("dist", "environment variable ", name, " is '", text, "', expected a whole number in ", low, "..", high,
         " (set by torchrun, srun or this program's own launcher)");
  }
  return value;
}

constexpr int64_t kMaxWorld = 1 << 20;

World numbered_world(const char* rank, const char* size, const char* local_rank) {
  World world;
  world.size = number(size, 1, kMaxWorld);
  world.rank = number(rank, 0, world.size - 1);
  world.local_rank = number(local_rank, 0, world.size - 1);
  return world;
}

void read_master(World& world) {
  world.master_addr = variable("MASTER_ADDR");
  if (world.master_addr.empty())
    fail("dist", "environment variable MASTER_ADDR is not set, expected the host of rank 0");
  world.master_port = number("MASTER_PORT", 1, 65535);
}

/// The first host of "node[003-007,12],gpu1": node003.
std::string first_host(const std::string& list) {
  const std::string host = list.substr(0, list.find_first_of(",["));
  const std::size_t bracket = list.find('[');
  if (host.empty() || bracket != host.size()) return host;
  const std::size_t end = list.find_first_of(",-]", bracket);
  if (end == std::string::npos) fail("dist", "SLURM_JOB_NODELIST is '", list, "', expected a list such as node[01-04]");
  const std::size_t close = list.find(']', bracket);
  const std::size_t after = close == std::string::npos ? list.size() : close + 1;
  const std::string tail = list.substr(after, list.find(',', after) - after);
  return host + list.substr(bracket + 1, end - bracket - 1) + tail;
}

World torchrun_world() {
  World world = numbered_world("RANK", "WORLD_SIZE", "LOCAL_RANK");
  read_master(world);
  world.port_from_store = variable("TORCHELASTIC_USE_AGENT_STORE") == "True";
  world.token = variable("LRIAD_TOKEN");
  if (world.token.empty()) {
    world.token = concat("torchrun ", variable("TORCHELASTIC_RUN_ID"), ' ', variable("TORCHELASTIC_RESTART_COUNT"));
  }
  world.own_launcher = !variable("LRIAD_LAUNCHED").empty();
  if (!variable("TORCHELASTIC_RESTART_COUNT").empty())
    world.restarts = number("TORCHELASTIC_RESTART_COUNT", 0, 1 << 20);
  if (world.rank == 0 && !variable("LRIAD_LISTEN_FD").empty()) {
    world.listen_fd = static_cast<int>(number("LRIAD_LISTEN_FD", 0, 1 << 20));
  }
  return world;
}

World slurm_world() {
  World world = numbered_world("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID");
  const std::string job = variable("SLURM_JOB_ID"), step = variable("SLURM_STEP_ID");
  if (!variable("MASTER_ADDR").empty() || !variable("MASTER_PORT").empty()) {
    read_master(world);
  } else {
    const char* list = variable("SLURM_STEP_NODELIST").empty() ? "SLURM_JOB_NODELIST" : "SLURM_STEP_NODELIST";
    world.master_addr = first_host(variable(list));
    if (world.master_addr.empty())
      fail("dist", "neither MASTER_ADDR nor ", list, " is set, so rank 0's host is not known");
    const int64_t salt =
        number("SLURM_JOB_ID", 0, int64_t{1} << 40) * 7 + (step.empty() ? 0 : number("SLURM_STEP_ID", 0, 1ll << 40));
    world.master_port = 10000 + salt % 20000;  // below the range from which systems assign ports to clients
  }
  world.token = variable("LRIAD_TOKEN").empty() ? concat("slurm ", job, ' ', step) : variable("LRIAD_TOKEN");
  return world;
}

}  // namespace

std::optional<World> world_from_environment() {
  if (!variable("RANK").empty() || !variable("WORLD_SIZE").empty() || !variable("LOCAL_RANK").empty()) {
    return torchrun_world();
  }
  // SLURM_PROCID is also set in a batch script or with one task; such a program launches its processes itself.
  if (variable("SLURM_PROCID").empty() || variable("SLURM_NTASKS") == "1") return std::nullopt;
  return slurm_world();
}

}  // namespace lriad
