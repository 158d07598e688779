#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "lriad/core/error.h"
#include "lriad/data/dataset.h"

namespace lriad {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

/// 8 normal and 2 defect images of a, 3 normal ones of b.
Dataset small_set() {
  Dataset dataset;
  for (int64_t i = 0; i < 13; ++i) {
    Sample sample;
    sample.image = "p" + std::to_string(i);
    sample.object = i < 10 ? "a" : "b";
    sample.object_name = sample.object;
    sample.label = i == 3 || i == 7 ? Verdict::kDefect : Verdict::kNormal;
    if (sample.label == Verdict::kDefect) sample.defect_type = "deep_scratch";
    dataset.samples.push_back(sample);
  }
  return dataset;
}

TEST(EpochOrder, ShufflesEachEpochDifferentlyAndRepeatably) {
  const Dataset dataset = small_set();
  const auto first = epoch_order(dataset, SamplerKind::kShuffle, 1, 0);
  EXPECT_EQ(std::set<int64_t>(first.begin(), first.end()).size(), 13u);
  EXPECT_EQ(first, epoch_order(dataset, SamplerKind::kShuffle, 1, 0));
  EXPECT_NE(first, epoch_order(dataset, SamplerKind::kShuffle, 1, 1));
  EXPECT_NE(first, epoch_order(dataset, SamplerKind::kShuffle, 2, 0));
}

TEST(EpochOrder, AlternatesTheClassesEvenly) {
  const Dataset dataset = small_set();
  std::vector<int64_t> all;
  for (int64_t epoch = 0; epoch < 4; ++epoch) {
    const auto order = epoch_order(dataset, SamplerKind::kClassBalanced, 5, epoch);
    ASSERT_EQ(order.size(), 13u);
    all.insert(all.end(), order.begin(), order.end());
  }
  std::map<int64_t, int64_t> times;
  for (size_t i = 0; i + 1 < all.size(); i += 2) {
    const auto is_defect = [&](int64_t index) {
      return dataset.samples[static_cast<size_t>(index)].label == Verdict::kDefect;
    };
    EXPECT_NE(is_defect(all[i]), is_defect(all[i + 1]));
    ++times[all[i]];
    ++times[all[i + 1]];
  }
  EXPECT_EQ(times[3] + times[7], 26);
  EXPECT_EQ(times[3], 13);
  for (const auto& [index, count] : times) EXPECT_GE(count, 2) << index;  // 26 draws of 11 normal images
}

TEST(EpochOrder, AlternatesObjectsAndTheirClasses) {
  const Dataset dataset = small_set();
  std::map<std::string, int64_t> drawn;
  for (int64_t epoch = 0; epoch < 4; ++epoch) {
    for (const int64_t index : epoch_order(dataset, SamplerKind::kObjectBalanced, 5, epoch)) {
      const Sample& sample = dataset.samples[static_cast<size_t>(index)];
      ++drawn[sample.object + verdict_name(*sample.label)];
    }
  }
  EXPECT_EQ(drawn["anormal"], 13);
  EXPECT_EQ(drawn["adefect"], 13);
  EXPECT_EQ(drawn["bnormal"], 26);
}

TEST(TargetResponse, DrawsATextOfTheLabelAndFillsItIn) {
  const Dataset dataset = small_set();
  SftSection section;
  section.responses["defect"] = {"{object}: {defect_type}", "one {defect_type}", "two {object}"};
  section.responses["normal"] = {"clean {object}"};
  std::set<std::string> seen;
  for (int64_t epoch = 0; epoch < 20; ++epoch) seen.insert(target_response(dataset.samples[3], section, 1, epoch, 3));
  EXPECT_EQ(seen, (std::set<std::string>{"a: deep scratch", "one deep scratch", "two a"}));
  EXPECT_EQ(target_response(dataset.samples[3], section, 1, 2, 3),
            target_response(dataset.samples[3], section, 1, 2, 3));
  EXPECT_EQ(target_response(dataset.samples[0], section, 1, 0, 0), "clean a");
}

TEST(TargetResponse, PrefersTheSamplesOwnAndRefusesNone) {
  Sample sample = small_set().samples[0];
  EXPECT_THAT([&] { target_response(sample, {}, 1, 0, 0); },
              ThrowsMessage<Error>(HasSubstr("sft.responses none for normal")));
  sample.label.reset();
  EXPECT_THAT([&] { target_response(sample, {}, 1, 0, 0); },
              ThrowsMessage<Error>(HasSubstr("no label and no response")));
  sample.response = "as {object} is";
  EXPECT_EQ(target_response(sample, {}, 1, 0, 0), "as {object} is");
}

TEST(Describe, ListsObjectsDefectTypesAndShares) {
  Dataset dataset = small_set();
  EXPECT_EQ(describe(dataset),
            "object   normal   defect   share  defect types\n"
            "a             8        2   20.0%  deep_scratch 2\n"
            "b             3        0    0.0%\n"
            "all          11        2   15.4%\n");
  dataset.samples.resize(1);
  dataset.samples[0].label.reset();
  EXPECT_EQ(describe(dataset),
            "object   normal   defect  unlabelled   share  defect types\n"
            "a             0        0           1       -\n");
}

}  // namespace
}  // namespace lriad
