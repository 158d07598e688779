// LoRA branches in vision tower, mergers and patch convolution of the tiny checkpoints against PEFT.
// Golden: scripts/golden/make_tower_lora.py.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "lriad/core/error.h"
#include "lriad/core/files.h"
#include "lriad/model/adapter_files.h"
#include "lriad/model/lora_targets.h"
#include "lriad/model/model_files.h"
#include "lriad/model/safetensors.h"
#include "lriad/model/write_model.h"
#include "support/temp_folder.h"
#include "support/tiny_model.h"

namespace lriad {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

class TowerLora : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    at::set_num_threads(1);
    base_ = fs::path(LRIAD_GOLDEN_DIR) / GetParam();
    folder_ = fs::path(LRIAD_GOLDEN_DIR) / "tower_lora" / GetParam();
    config_ = read_model_config(base_);
    const at::Tensor grids = input("image_grid_thw");
    for (int64_t row = 0; row < grids.size(0); ++row)
      grids_.push_back({grids[row][0].item<int64_t>(), grids[row][1].item<int64_t>(), grids[row][2].item<int64_t>()});
  }

  at::Tensor input(const std::string& name) const {
    return SafetensorsFile(base_ / "expected.safetensors").tensor(name).clone();
  }
  at::Tensor expected(const std::string& name) const {
    return SafetensorsFile(folder_ / "expected.safetensors").tensor(name).clone();
  }
  Json targets() const { return Json::parse(read_file("test", folder_ / "targets.json")); }

  Qwen2Vl adapted(at::ScalarType dtype = at::kDouble) const {
    Qwen2Vl model = load_model(base_, dtype, at::kCPU);
    add_adapter(model, read_adapter(folder_), /*dropout=*/0);
    return model;
  }
  at::Tensor features(Qwen2Vl& model) const {
    return model->image_features(input("pixel_values").to(model->head().scalar_type()), grids_);
  }

  /// Sum of the log-probabilities of the answer after the prompt.
  at::Tensor answer_logp(Qwen2Vl& model) const {
    const at::Tensor prompt = input("input_ids")[0], answer = expected("answer_ids"), ids = at::cat({prompt, answer});
    const at::Tensor positions = mrope_positions({ids.data_ptr<int64_t>(), static_cast<std::size_t>(ids.size(0))},
                                                 grids_, config_.image_token_id, 2);
    const at::Tensor rows = model->hidden(PackedTokens{ids, positions, {{0, ids.size(0), -1}}, features(model), {}, {}})
                                .slice(0, prompt.size(0) - 1, -1);
    return model->logits(rows).log_softmax(-1).gather(1, answer.unsqueeze(1)).sum();
  }

  fs::path base_, folder_;
  ModelConfig config_;
  std::vector<Grid> grids_;
};

INSTANTIATE_TEST_SUITE_P(Of, TowerLora, ::testing::Values("tiny_qwen2vl_flat_untied", "tiny_qwen25vl", "tiny_qwen3vl"),
                         [](const auto& test) { return std::string(test.param).substr(5); });

TEST_P(TowerLora, ModulesAreThoseOfTransformers) {
  std::set<std::string> modules;
  const Json golden = targets();
  for (const Json& path : golden["modules"]) modules.insert(path);
  EXPECT_EQ(module_paths(config_), modules);
}

TEST_P(TowerLora, TargetsAreThoseOfPeftAndRefusedWhereItRefuses) {
  int refused = 0;
  const Json golden = targets();
  for (const Json& one : golden["cases"]) {
    Json keys = one["config"];
    keys["peft_type"] = "LORA";
    const AdapterConfig config = parse_adapter_config(keys.dump(), "here");
    if (one["branches"].is_null()) {
      ++refused;
      EXPECT_THROW(check_lora_targets(config, config_), Error) << keys;
      continue;
    }
    EXPECT_NO_THROW(check_lora_targets(config, config_)) << keys;
    Json branches = Json::object();
    for (const auto& [path, weight] : lora_layers(config_)) {
      if (const auto shape = config.shape_of(path)) branches[path] = {shape->r, shape->scaling};
    }
    EXPECT_EQ(nlohmann::json(branches), nlohmann::json(one["branches"])) << keys;
  }
  EXPECT_EQ(refused, 9);
}

TEST_P(TowerLora, LogProbabilitiesAndGradientsAreThoseOfPeft) {
  Qwen2Vl model = adapted();
  EXPECT_LE(largest_gap(features(model), expected("vision.features")), 1e-5);
  const at::Tensor logp = answer_logp(model), theirs = expected("logp").abs();
  EXPECT_NEAR(logp.item<double>(), -theirs.item<double>(), 1e-5 * theirs.item<double>());
  (-answer_logp(model)).backward();
  const auto gradients = take_gradients(model);
  std::size_t num_expected = 0;
  const SafetensorsFile file(folder_ / "expected.safetensors");
  for (const TensorEntry& entry : file.entries()) num_expected += entry.name.starts_with("grad.");
  EXPECT_EQ(gradients.size(), num_expected);
  EXPECT_TRUE(gradients.contains("model.visual.patch_embed.proj.lora_A.weight"));
  for (const auto& [name, gradient] : gradients) {
    const at::Tensor peft = expected("grad." + name);
    EXPECT_GT(peft.abs().max().item<double>(), 0) << name;
    EXPECT_LE(largest_gap(gradient, peft), 1e-5 * std::max(1.0, peft.abs().max().item<double>())) << name;
  }
}

TEST_P(TowerLora, WithoutTheAdapterTheTowerIsTheModels) {
  const at::NoGradGuard no_grad;
  Qwen2Vl model = adapted(), plain = load_model(base_, at::kDouble, at::kCPU);
  EXPECT_GT(largest_gap(features(model), features(plain)), 1e-3);
  model->enable_lora(false);
  EXPECT_TRUE(at::equal(features(model), features(plain)));
}

TEST_P(TowerLora, AMergedModelGivesWhatTheBranchesGive) {
  const at::NoGradGuard no_grad;
  const TempFolder folder;
  merge_adapter(base_, folder_, folder.path() / "merged", at::kFloat);
  Qwen2Vl merged = load_model(folder.path() / "merged", at::kFloat, at::kCPU), branches = adapted(at::kFloat);
  const at::Tensor expected = features(branches);
  EXPECT_LE(largest_gap(features(merged), expected), 1e-5 * std::max(1.0, expected.abs().max().item<double>()));
  EXPECT_NEAR(answer_logp(merged).item<double>(), answer_logp(branches).item<double>(), 1e-3);
}

TEST_P(TowerLora, TheFileWrittenIsPefts) {
  const TempFolder folder;
  write_adapter(folder.path(), read_adapter(folder_));
  const SafetensorsFile ours(folder.path() / "adapter_model.safetensors"),
      theirs(folder_ / "adapter_model.safetensors");
  ASSERT_EQ(ours.entries().size(), theirs.entries().size());
  for (const TensorEntry& entry : theirs.entries()) {
    ASSERT_NE(ours.find(entry.name), nullptr) << entry.name;
    EXPECT_TRUE(at::equal(ours.tensor(entry.name), theirs.tensor(entry.name))) << entry.name;
  }
}

TEST_P(TowerLora, AConvolutionOfAnotherShapeIsRefused) {
  Adapter adapter = read_adapter(folder_);
  at::Tensor& a = adapter.tensors.at("model.visual.patch_embed.proj.lora_A.weight");
  a = a.flatten(1);
  EXPECT_THAT([&] { check_adapter(adapter, config_); },
              ThrowsMessage<Error>(HasSubstr("patch_embed.proj.lora_A.weight is [2, ")));
}

TEST(LoraTargets, MessagesSayWhatDoesNotFit) {
  const ModelConfig model = tiny_config();
  const auto check = [&](ModuleNames targets, ModuleNames exclude = {}) {
    AdapterConfig config;
    config.target_modules = std::move(targets);
    config.exclude_modules = std::move(exclude);
    return [config, model] { check_lora_targets(config, model); };
  };
  EXPECT_NO_THROW(check({{"q_proj", "qkv"}, ""})());
  EXPECT_THAT(check({{"q_proj", "q_porj"}, ""}), ThrowsMessage<Error>(HasSubstr("has q_porj, which names no layer")));
  EXPECT_THAT(check({{}, "q_proj"}), ThrowsMessage<Error>(HasSubstr("(q_proj) fits no layer; as a text it is a reg")));
  EXPECT_THAT(check({{"qkv"}, ""}, {{"qkv"}, ""}),
              ThrowsMessage<Error>(HasSubstr("(qkv) without lora.exclude_modules (qkv) fits no layer")));
  EXPECT_THAT(check({{}, ".*norm1"}), ThrowsMessage<Error>(HasSubstr("fits model.visual.blocks.0.norm1, which can")));
  EXPECT_THAT(check({{"lm_head"}, ""}), ThrowsMessage<Error>(HasSubstr("has lm_head, which names no layer")));
  EXPECT_THAT(check({{}, "(q_proj"}), ThrowsMessage<Error>(HasSubstr("(q_proj")));
}

// A branch that is read and not computed would change the answers without a word.
TEST(LoraTargets, ABranchOfTheHeadIsRefusedWhereItIsNotMerged) {
  Qwen2Vl model = tiny_model(tiny_config(), 1, at::kFloat);
  AdapterConfig config;
  config.r = 2;
  config.target_modules = {{"lm_head"}, ""};
  const Adapter adapter{config,
                        {{"lm_head.lora_A.weight", at::randn({2, 32})}, {"lm_head.lora_B.weight", at::randn({48, 2})}}};
  EXPECT_THAT([&] { add_adapter(model, adapter, 0); },
              ThrowsMessage<Error>(HasSubstr("lm_head.lora_A.weight, a branch of a layer that gets none here")));
}

}  // namespace
}  // namespace lriad
