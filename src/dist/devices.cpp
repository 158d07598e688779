#include <algorithm>
#include <charconv>
#include <set>

#include "lriad/core/error.h"
#include "lriad/core/log.h"
#include "lriad/dist/gpus.h"
#include "lriad/dist/launcher.h"

namespace lriad {
namespace {

constexpr int64_t kMaxProcesses = 256;

[[noreturn]] void refuse(const std::string& devices) {
  fail("dist", "distributed.devices is '", devices,
       "', expected auto, cpu, a number of processes, or a list of GPUs such as 0,1,3");
}

int64_t parse_number(const std::string& text, const std::string& devices) {
  int64_t value = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || problem != std::errc() || end != text.data() + text.size() || value < 0) refuse(devices);
  return value;
}

at::Device gpu(int64_t index) { return {at::kCUDA, static_cast<c10::DeviceIndex>(index)}; }

std::vector<at::Device> listed(const std::string& devices) {
  std::vector<at::Device> chosen;
  std::set<int64_t> seen;
  for (std::size_t begin = 0; begin <= devices.size();) {
    const std::size_t comma = std::min(devices.find(',', begin), devices.size());
    const std::string part = devices.substr(begin, comma - begin);
    begin = comma + 1;
    if (part.empty() && begin > devices.size() && !chosen.empty()) break;  // "3," means GPU 3; "3" means 3 processes
    const int64_t index = parse_number(part, devices);
    if (!seen.insert(index).second)
      fail("dist", "distributed.devices is '", devices, "': GPU ", index, " is listed twice");
    if (index >= num_gpus()) {
      fail("dist", "distributed.devices is '", devices, "': GPU ", index, " is not there, ", num_gpus(),
           " GPU(s) visible");
    }
    chosen.push_back(gpu(index));
  }
  return chosen;
}

std::vector<at::Device> counted(int64_t count, const std::string& devices) {
  if (count < 1 || count > kMaxProcesses) refuse(devices);
  if (num_gpus() == 0) return std::vector<at::Device>(static_cast<std::size_t>(count), at::kCPU);
  if (count > num_gpus()) {
    fail("dist", "distributed.devices is ", count, ", but ", num_gpus(), " GPU(s) are visible; use fewer, or cpu");
  }
  std::vector<at::Device> chosen;
  for (int64_t index = 0; index < count; ++index) chosen.push_back(gpu(index));
  return chosen;
}

}  // namespace

std::vector<at::Device> choose_devices(const std::string& devices) {
  if (devices == "cpu") return {at::kCPU};
  if (devices == "auto") {
    const int64_t gpus = num_gpus();
    log_info(gpus == 0
                 ? std::string("devices: auto takes the CPU: no NVIDIA driver, or CUDA_VISIBLE_DEVICES hides the GPUs")
                 : concat("devices: auto takes ", gpus, gpus == 1 ? " GPU" : " GPUs"));
    return counted(std::max<int64_t>(1, gpus), devices);
  }
  if (devices.find(',') != std::string::npos) return listed(devices);
  return counted(parse_number(devices, devices), devices);
}

void check_all_reduce(AllReduce all_reduce, const at::Device& device) {
  if (all_reduce == AllReduce::kRankOrder || device.is_cuda()) return;
  fail("dist", "distributed.all_reduce is ring, NCCL's way to sum over GPUs, but this run computes on the CPU, which ",
       "adds in rank order: leave the key out or set rank_order");
}

at::Device device_of_rank(const std::string& devices, const World& world) {
  const bool is_list = devices.find(',') != std::string::npos;
  // A list names GPUs, so without GPUs it is refused instead of falling back to the CPU.
  if (devices == "cpu" || (num_gpus() == 0 && !is_list)) return at::kCPU;
  const std::vector<at::Device> chosen = is_list ? listed(devices) : counted(num_gpus(), "auto");
  // Slurm may make only one GPU visible to each task; it has index 0 then, whatever the local rank.
  if (chosen.size() == 1) return chosen.front();
  if (world.local_rank >= static_cast<int64_t>(chosen.size())) {
    fail("dist", "local rank ", world.local_rank, " has no GPU of its own: ", chosen.size(),
         " are visible; start at most one process per GPU");
  }
  return chosen[static_cast<std::size_t>(world.local_rank)];
}

}  // namespace lriad
