#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/cuda.h>

#include <cstdlib>
#include <map>

#include "lriad/core/error.h"
#include "lriad/dist/launcher.h"

namespace lriad {
namespace {

using ::testing::HasSubstr;

using Variables = std::map<std::string, std::string>;

constexpr const char* kNames[] = {"RANK",
                                  "WORLD_SIZE",
                                  "LOCAL_RANK",
                                  "MASTER_ADDR",
                                  "MASTER_PORT",
                                  "SLURM_PROCID",
                                  "SLURM_NTASKS",
                                  "SLURM_LOCALID",
                                  "SLURM_JOB_ID",
                                  "SLURM_STEP_ID",
                                  "SLURM_JOB_NODELIST",
                                  "SLURM_STEP_NODELIST",
                                  "LRIAD_TOKEN",
                                  "LRIAD_LISTEN_FD",
                                  "TORCHELASTIC_USE_AGENT_STORE",
                                  "TORCHELASTIC_RUN_ID",
                                  "TORCHELASTIC_RESTART_COUNT"};

/// Sets exactly these variables of the names above, and removes them again.
class Environment {
 public:
  explicit Environment(const Variables& variables) {
    clear();
    for (const auto& [name, value] : variables) setenv(name.c_str(), value.c_str(), 1);
  }
  ~Environment() { clear(); }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

 private:
  static void clear() {
    for (const char* name : kNames) unsetenv(name);
  }
};

std::optional<World> world_with(const Variables& variables) {
  const Environment environment(variables);
  return world_from_environment();
}

std::string refusal_of(const Variables& variables) {
  try {
    world_with(variables);
  } catch (const Error& error) {
    return error.what();
  }
  return "not refused";
}

const Variables kTorchrun = {
    {"RANK", "5"}, {"WORLD_SIZE", "8"}, {"LOCAL_RANK", "1"}, {"MASTER_ADDR", "node1"}, {"MASTER_PORT", "29500"}};
const Variables kSlurm = {{"SLURM_PROCID", "3"},  {"SLURM_NTASKS", "4"},
                          {"SLURM_LOCALID", "1"}, {"SLURM_JOB_ID", "71"},
                          {"SLURM_STEP_ID", "0"}, {"SLURM_JOB_NODELIST", "gpu[007-009,12],login"}};

Variables with(Variables variables, const std::string& name, const std::string& value) {
  variables[name] = value;
  return variables;
}

TEST(World, IsNoneWhereNobodyStartedOne) {
  EXPECT_FALSE(world_with({}));
  EXPECT_FALSE(world_with({{"MASTER_ADDR", "node1"}, {"MASTER_PORT", "29500"}}));
}

TEST(World, OfTorchrunIsReadFromItsVariables) {
  const World world = *world_with(kTorchrun);
  EXPECT_EQ(world.rank, 5);
  EXPECT_EQ(world.size, 8);
  EXPECT_EQ(world.local_rank, 1);
  EXPECT_EQ(world.master_addr, "node1");
  EXPECT_EQ(world.master_port, 29500);
  EXPECT_FALSE(world.port_from_store);
}

TEST(World, OfTorchrunAsksTheStoreWhereTheAgentOwnsThePort) {
  EXPECT_TRUE(world_with(with(kTorchrun, "TORCHELASTIC_USE_AGENT_STORE", "True"))->port_from_store);
}

TEST(World, OfTwoRestartsOfTorchrunHasTwoTokens) {
  const auto first = world_with(with(kTorchrun, "TORCHELASTIC_RESTART_COUNT", "0"));
  const auto second = world_with(with(kTorchrun, "TORCHELASTIC_RESTART_COUNT", "1"));
  EXPECT_NE(first->token, second->token);
}

TEST(World, OfTorchrunRefusesWhatIsMissingOrMakesNoSense) {
  EXPECT_THAT(refusal_of({{"RANK", "0"}}), HasSubstr("environment variable WORLD_SIZE is ''"));
  EXPECT_THAT(refusal_of(with(kTorchrun, "LOCAL_RANK", "")), HasSubstr("LOCAL_RANK"));
  EXPECT_THAT(refusal_of(with(kTorchrun, "RANK", "8")), HasSubstr("RANK is '8', expected a whole number in 0..7"));
  EXPECT_THAT(refusal_of(with(kTorchrun, "RANK", "-1")), HasSubstr("RANK is '-1'"));
  EXPECT_THAT(refusal_of(with(kTorchrun, "RANK", "1x")), HasSubstr("RANK is '1x'"));
  EXPECT_THAT(refusal_of(with(kTorchrun, "WORLD_SIZE", "0")), HasSubstr("WORLD_SIZE is '0'"));
  EXPECT_THAT(refusal_of(with(kTorchrun, "MASTER_PORT", "65536")), HasSubstr("MASTER_PORT is '65536'"));
  EXPECT_THAT(refusal_of(with(kTorchrun, "MASTER_ADDR", "")), HasSubstr("MASTER_ADDR is not set"));
}

TEST(World, OfSlurmFindsItsFirstHostAndOnePortForAllOfTheJob) {
  const World world = *world_with(kSlurm);
  EXPECT_EQ(world.rank, 3);
  EXPECT_EQ(world.size, 4);
  EXPECT_EQ(world.local_rank, 1);
  EXPECT_EQ(world.master_addr, "gpu007");
  EXPECT_GE(world.master_port, 10000);
  EXPECT_LT(world.master_port, 30000);
  EXPECT_EQ(world_with(with(kSlurm, "SLURM_PROCID", "0"))->master_port, world.master_port);
  EXPECT_NE(world_with(with(kSlurm, "SLURM_JOB_ID", "72"))->master_port, world.master_port);
}

TEST(World, OfSlurmReadsEveryFormOfHostList) {
  const auto host = [](const std::string& list) {
    return world_with(with(kSlurm, "SLURM_JOB_NODELIST", list))->master_addr;
  };
  EXPECT_EQ(host("node1"), "node1");
  EXPECT_EQ(host("node1,node2"), "node1");
  EXPECT_EQ(host("node[3,5-9]"), "node3");
  EXPECT_EQ(host("a[01-02]-ib,b"), "a01-ib");
  EXPECT_THAT(refusal_of(with(kSlurm, "SLURM_JOB_NODELIST", "node[3")), HasSubstr("SLURM_JOB_NODELIST is 'node[3'"));
  EXPECT_THAT(refusal_of(with(kSlurm, "SLURM_JOB_NODELIST", "")), HasSubstr("rank 0's host is not known"));
}

TEST(World, OfSlurmPrefersAGivenMaster) {
  const World world = *world_with(with(with(kSlurm, "MASTER_ADDR", "10.0.0.7"), "MASTER_PORT", "4000"));
  EXPECT_EQ(world.master_addr, "10.0.0.7");
  EXPECT_EQ(world.master_port, 4000);
}

TEST(World, OfASingleSlurmTaskIsNoneSoThatItLaunchesItsOwn) {
  EXPECT_FALSE(world_with(with(with(kSlurm, "SLURM_NTASKS", "1"), "SLURM_PROCID", "0")));
}

class Devices : public ::testing::Test {
 protected:
  void SetUp() override {
    if (torch::cuda::is_available()) GTEST_SKIP() << "for machines without a GPU";
  }
  static std::string refusal(const std::string& devices) {
    try {
      choose_devices(devices);
    } catch (const Error& error) {
      return error.what();
    }
    return "not refused";
  }
};

TEST_F(Devices, WithoutAGpuAreProcessesOnTheCpu) {
  EXPECT_EQ(choose_devices("auto").size(), 1u);
  EXPECT_EQ(choose_devices("cpu").size(), 1u);
  EXPECT_EQ(choose_devices("1").size(), 1u);
  ASSERT_EQ(choose_devices("4").size(), 4u);
  EXPECT_TRUE(choose_devices("4").back().is_cpu());
  EXPECT_TRUE(device_of_rank("auto", World{}).is_cpu());
}

TEST_F(Devices, RefuseNonsenseAndGpusThatAreNotThere) {
  for (const char* text : {"", "gpu", "-1", "1.5", "1,x", ",", "0", "257", "99999999999999999999", "1 2"}) {
    EXPECT_THAT(refusal(text), HasSubstr(std::string("distributed.devices is '") + text)) << text;
  }
  EXPECT_THAT(refusal("0,1"), HasSubstr("GPU 0 is not there, 0 GPU(s) visible"));
  EXPECT_THROW(device_of_rank("0,1", World{}), Error) << "nor may a rank of torchrun or Slurm take the CPU instead";
}

}  // namespace
}  // namespace lriad
