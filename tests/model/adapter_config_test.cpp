#include "lriad/model/adapter_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "lriad/core/error.h"
#include "lriad/core/files.h"

namespace lriad {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;
using Json = nlohmann::ordered_json;

AdapterConfig config_of(const std::string& keys) {
  Json object = {{"peft_type", "LORA"}, {"r", 4}, {"lora_alpha", 16}, {"target_modules", {"q_proj"}}};
  object.update(Json::parse(keys));
  return parse_adapter_config(object.dump(), "here");
}

// scripts/golden/make_adapter_targets.py: what PEFT gives a branch.
TEST(AdapterConfig, GivesTheBranchesOfPeft) {
  const Json golden = Json::parse(read_file("test", LRIAD_GOLDEN_DIR "/adapter_targets.json"));
  ASSERT_GE(golden["cases"].size(), 25u);
  for (const Json& one : golden["cases"]) {
    const AdapterConfig config = config_of(one["config"].dump());
    std::size_t found = 0;
    for (const Json& name : golden["linear"]) {
      const auto module = name.get<std::string>();
      const auto shape = config.shape_of(module);
      ASSERT_EQ(shape.has_value(), one["branches"].contains(module)) << module << " of " << one["config"];
      if (!shape) continue;
      ++found;
      EXPECT_EQ(shape->r, one["branches"][module][0]) << module << " of " << one["config"];
      EXPECT_DOUBLE_EQ(shape->scaling, one["branches"][module][1].get<double>()) << module << " of " << one["config"];
    }
    EXPECT_EQ(found, one["branches"].size());
  }
}

TEST(AdapterConfig, ReadsNamesOfBefore452) {
  const AdapterConfig config =
      config_of(R"({"target_modules": "^model\\.layers\\.\\d+\\.self_attn\\.q_proj$|visual\\..*qkv"})");
  EXPECT_TRUE(config.shape_of("model.language_model.layers.0.self_attn.q_proj"));
  EXPECT_TRUE(config.shape_of("model.visual.blocks.0.attn.qkv"));
  EXPECT_FALSE(config.shape_of("model.language_model.layers.0.self_attn.v_proj"));
}

TEST(AdapterConfig, ComesBackFromWhatIsWritten) {
  for (const char* keys :
       {R"({"exclude_modules": "a.*", "rank_pattern": {"z": 2, "a": 3}, "alpha_pattern": {"v": 0.5}})",
        R"({"target_modules": "all-linear", "modules_to_save": ["lm_head"], "use_rslora": true, "r": 9})",
        R"({"layers_to_transform": [3, 1], "layers_pattern": ["layers"], "lora_dropout": 0.25})"}) {
    const std::string written = adapter_config_text(config_of(keys));
    EXPECT_EQ(adapter_config_text(parse_adapter_config(written, "here")), written) << keys;
  }
}

TEST(AdapterConfig, RefusesByNameWhatIsNotComputed) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"use_dora": true})", "use_dora"},
      {R"({"init_lora_weights": "pissa_niter_4"})", "init_lora_weights"},
      {R"({"init_lora_weights": "olora"})", "init_lora_weights"},
      {R"({"init_lora_weights": "loftq"})", "init_lora_weights"},
      {R"({"alora_invocation_tokens": [1, 2]})", "alora_invocation_tokens"},
      {R"({"kasa_config": {"a": 1}})", "kasa_config"},
      {R"({"layer_replication": [[0, 4], [2, 5]]})", "layer_replication"},
      {R"({"trainable_token_indices": [5]})", "trainable_token_indices"},
      {R"({"target_parameters": ["mlp.weight"]})", "target_parameters"},
      {R"({"lora_bias": true})", "lora_bias"},
      {R"({"bias": "all"})", "bias"},
      {R"({"use_qalora": true})", "use_qalora"},
      {R"({"megatron_config": {"a": 1}})", "megatron_config"},
      {R"({"a_key_of_next_year": 0.5})", "a_key_of_next_year"},
      {R"({"peft_type": "IA3"})", "peft_type"},
      {R"({"target_modules": "(q_proj"})", "(q_proj"},
      {R"({"target_modules": []})", "target_modules"},
      {R"({"target_modules": "a.*", "layers_to_transform": [1]})", "layers_to_transform"},
      {R"({"r": 0})", "r is 0"},
      {R"({"r": 2.5})", "r is 2.5"},
      {R"({"rank_pattern": {"q_proj": 0}})", "rank_pattern.q_proj"},
      {R"({"rank_pattern": ["q_proj"]})", "rank_pattern"},
      {R"({"alpha_pattern": {"q_proj": "much"}})", "alpha_pattern.q_proj"},
      {R"({"lora_alpha": null})", "lora_alpha"},
      {R"({"lora_dropout": 1})", "lora_dropout"},
      {R"({"layers_to_transform": ["all"]})", "layers_to_transform"},
  };
  for (const auto& [keys, name] : cases) {
    const auto read = [text = keys] { config_of(text).shape_of("a.q_proj"); };
    EXPECT_THAT(read, ThrowsMessage<Error>(HasSubstr(name))) << keys;
  }
}

TEST(AdapterConfig, PassesKeysThatSayNothingOrAreInert) {
  config_of(
      R"({"use_dora": false, "kasa_config": null, "loftq_config": {}, "a_key_of_next_year": [], "peft_version": "0.30",
    "megatron_core": "megatron.core", "qalora_group_size": 16, "init_lora_weights": "gaussian", "revision": "main",
    "lora_dtype": "float32", "lorap_emb_lr": 1e-6, "auto_mapping": {"base_model_class": "Qwen2VL"}, "bias": "none",
    "runtime_config": {"ephemeral_gpu_offload": false}})");
}

}  // namespace
}  // namespace lriad
