#include "lriad/model/write_model.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "lriad/core/error.h"
#include "lriad/core/files.h"
#include "lriad/model/adapter_files.h"
#include "lriad/model/adapter_origin.h"
#include "lriad/model/load_model.h"
#include "support/temp_folder.h"

namespace lriad {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

constexpr const char* kConfig =
    R"({"model_type": "qwen2_vl", "vocab_size": 20, "hidden_size": 8, "intermediate_size": 12,
  "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1, "torch_dtype": "float32", "eos_token_id": 1,
  "tie_word_embeddings": true, "rope_scaling": {"type": "mrope", "mrope_section": [0, 1, 1]},
  "vision_config": {"depth": 1, "embed_dim": 8, "num_heads": 2}})";
const std::string kQ = "model.language_model.layers.0.self_attn.q_proj";

AdapterConfig adapter_config() {
  AdapterConfig config;
  config.r = 2;
  config.lora_alpha = 6;
  config.target_modules = {{"q_proj"}, ""};
  return config;
}

class WriteModel : public ::testing::Test {
 protected:
  WriteModel() : model_(folder_.path() / "model"), adapter_(folder_.path() / "adapter") {
    at::manual_seed(1);
    for (const fs::path& made : {model_, adapter_, folder_.path() / "copy", folder_.path() / "other"})
      make_folder("test", made);
    write_file_atomic("test", model_ / "config.json", kConfig);
    write_file_atomic("test", model_ / "vocab.json", "{}");
    std::vector<TensorSpec> specs;
    for (const auto& [name, shape] : expected_tensors(read_model_config(model_))) {
      specs.push_back({name.starts_with("model.visual.") ? name.substr(6) : name, at::kFloat, shape});
    }
    write_weights(model_, specs, [](const TensorSpec& spec) { return at::randn(spec.shape); });
    write_adapter(adapter_, {adapter_config(),
                             {{kQ + ".lora_A.weight", at::randn({2, 8})}, {kQ + ".lora_B.weight", at::randn({8, 2})}}});
  }

  TempFolder folder_;
  fs::path model_, adapter_;
};

TEST_F(WriteModel, MergingAddsTheScaledProductToTheAdaptedWeightsOnly) {
  const fs::path output = folder_.path() / "merged";
  merge_adapter(model_, adapter_, output, at::kFloat);
  const ModelFiles before(model_), after(output);
  const Adapter adapter = read_adapter(adapter_);
  EXPECT_EQ(before.names(), after.names());
  for (const std::string& name : before.names()) {
    const std::string stored = after.stored_name(name);
    EXPECT_TRUE(stored.starts_with("visual.") ||
                (stored.starts_with("model.") && stored.find("language") == std::string::npos))
        << stored;
    at::Tensor expected = before.tensor(name);
    if (name == kQ + ".weight") {
      expected = expected +
                 at::matmul(adapter.tensors.at(kQ + ".lora_B.weight"), adapter.tensors.at(kQ + ".lora_A.weight")) * 3;
    }
    EXPECT_TRUE(at::equal(after.tensor(name), expected)) << name;
  }
}

TEST_F(WriteModel, MergingToBfloat16SaysSoInTheConfigAndCopiesTheTokenizer) {
  const fs::path output = folder_.path() / "merged";
  merge_adapter(model_, adapter_, output, at::kBFloat16);
  const auto config = nlohmann::json::parse(read_file("test", output / "config.json"));
  EXPECT_EQ(config["torch_dtype"], "bfloat16");
  EXPECT_EQ(config["hidden_size"], 8);
  EXPECT_EQ(ModelFiles(output).tensor("model.language_model.norm.weight").scalar_type(), at::kBFloat16);
  EXPECT_TRUE(fs::exists(output / "vocab.json"));
}

TEST_F(WriteModel, AnAdapterOfAnotherModelIsRefusedByTheTensorsName) {
  write_adapter(adapter_, {adapter_config(),
                           {{kQ + ".lora_A.weight", at::randn({2, 9})}, {kQ + ".lora_B.weight", at::randn({8, 2})}}});
  const auto merge = [&] { merge_adapter(model_, adapter_, folder_.path() / "merged", at::kFloat); };
  EXPECT_THAT(merge,
              ThrowsMessage<Error>(AllOf(HasSubstr("q_proj.lora_A.weight is [2, 9], and the module needs [2, 8]"),
                                         HasSubstr("the model (qwen2_vl) has 1 layers of hidden size 8, the "
                                                   "adapter is for 1 of hidden size 9;"))));
  const std::string far = "model.language_model.layers.7.self_attn.q_proj";
  write_adapter(adapter_, {adapter_config(),
                           {{far + ".lora_A.weight", at::randn({2, 8})}, {far + ".lora_B.weight", at::randn({8, 2})}}});
  EXPECT_THAT(merge,
              ThrowsMessage<Error>(HasSubstr("layers.7.self_attn.q_proj.lora_A.weight is [2, 8], which the model "
                                             "has no module for")));
}

TEST_F(WriteModel, MergesPatternsTowerAndWholeModules) {
  const std::string tower = "model.visual.blocks.0.attn.qkv", norm = "model.language_model.norm";
  AdapterConfig config = adapter_config();
  config.target_modules = {{"q_proj", "qkv"}, ""};
  config.rank_pattern = {{"blocks\\.0\\.attn\\.qkv", 3}};
  config.alpha_pattern = {{"qkv", 12}};
  config.modules_to_save = {"norm"};
  const Adapter made{config,
                     {{kQ + ".lora_A.weight", at::randn({2, 8})},
                      {kQ + ".lora_B.weight", at::randn({8, 2})},
                      {tower + ".lora_A.weight", at::randn({3, 8})},
                      {tower + ".lora_B.weight", at::randn({24, 3})}},
                     {{norm + ".weight", at::randn({8})}}};
  write_adapter(adapter_, made);
  const fs::path output = folder_.path() / "merged";
  merge_adapter(model_, adapter_, output, at::kFloat);
  const ModelFiles before(model_), after(output);
  EXPECT_TRUE(at::equal(after.tensor(norm + ".weight"), made.saved.at(norm + ".weight")));
  const auto product = [&](const std::string& module) {
    return at::matmul(made.tensors.at(module + ".lora_B.weight"), made.tensors.at(module + ".lora_A.weight"));
  };
  EXPECT_TRUE(at::equal(after.tensor(tower + ".weight"), before.tensor(tower + ".weight") + product(tower) * 4));
  EXPECT_TRUE(at::equal(after.tensor(kQ + ".weight"), before.tensor(kQ + ".weight") + product(kQ) * 3));

  Qwen2Vl branches = load_model(model_, at::kFloat, at::kCPU), merged = load_model(output, at::kFloat, at::kCPU);
  add_adapter(branches, made, /*dropout=*/0);
  const at::Tensor patches = at::randn({4, read_model_config(model_).vision.patch_dim()});
  const std::vector<Grid> grids = {{1, 2, 2}};
  EXPECT_TRUE(
      at::allclose(branches->image_features(patches, grids), merged->image_features(patches, grids), 1e-5, 1e-6));
}

TEST_F(WriteModel, ValuesThatAreNotFiniteAreRefusedByName) {
  for (const double value : {std::nan(""), double{INFINITY}}) {
    at::Tensor a = at::randn({2, 8});
    a[1][3] = value;
    write_adapter(adapter_,
                  {adapter_config(), {{kQ + ".lora_A.weight", a}, {kQ + ".lora_B.weight", at::randn({8, 2})}}});
    EXPECT_THAT([&] { read_adapter(adapter_); },
                ThrowsMessage<Error>(AllOf(HasSubstr("q_proj.lora_A.weight"), HasSubstr("is not finite"))));
    std::vector<TensorSpec> specs;
    for (const auto& [name, shape] : expected_tensors(read_model_config(model_)))
      specs.push_back({name, at::kBFloat16, shape});
    write_weights(model_, specs, [&](const TensorSpec& spec) {
      at::Tensor tensor = at::randn(spec.shape).to(at::kBFloat16);
      if (spec.name == "model.language_model.norm.weight") tensor[2] = value;
      return tensor;
    });
    EXPECT_THAT([&] { load_model(model_, at::kBFloat16, at::kCPU); },
                ThrowsMessage<Error>(AllOf(HasSubstr("language_model.norm.weight"), HasSubstr("is not finite"))));
  }
}

TEST_F(WriteModel, AnAdapterThatLacksATargetOrHasMoreIsRefused) {
  AdapterConfig config = adapter_config();
  config.target_modules = {{"q_proj", "v_proj"}, ""};
  const std::map<std::string, at::Tensor> tensors = {{kQ + ".lora_A.weight", at::randn({2, 8})},
                                                     {kQ + ".lora_B.weight", at::randn({8, 2})}};
  Qwen2Vl model = load_model(model_, at::kFloat, at::kCPU);
  EXPECT_THAT([&] { add_adapter(model, {config, tensors}, 0); }, ThrowsMessage<Error>(HasSubstr("v_proj, though its")));
  config.target_modules = {{"v_proj"}, ""};
  write_adapter(adapter_, {config, tensors});
  EXPECT_THAT([&] { read_adapter(adapter_); }, ThrowsMessage<Error>(HasSubstr("do not name its module")));
}

TEST_F(WriteModel, AnAdapterForMoreLayersOrAnotherFamilyIsRefusedByThat) {
  AdapterConfig config = adapter_config();
  std::map<std::string, at::Tensor> tensors;
  for (const char* layer : {"1", "2"}) {
    const std::string module = concat("model.language_model.layers.", layer, ".self_attn.q_proj");
    tensors[module + ".lora_A.weight"] = at::randn({2, 8});
    tensors[module + ".lora_B.weight"] = at::randn({8, 2});
  }
  config.base_model = "Qwen/Another";
  const ModelConfig model = read_model_config(model_);
  EXPECT_THAT(
      [&] {
        check_adapter({config, tensors}, model);
      },
      ThrowsMessage<Error>(AllOf(HasSubstr("has 1 layers of hidden size 8, the adapter is for 3 of hidden size 8"),
                                 HasSubstr("it was trained on Qwen/Another"))));
  auto text = nlohmann::json::parse(adapter_config_text(config));
  text["auto_mapping"] = {{"base_model_class", "Qwen2_5_VLForConditionalGeneration"}};
  write_file_atomic("test", adapter_ / "adapter_config.json", text.dump());
  EXPECT_THAT(
      [&] {
        check_origin({config, tensors}, adapter_, model_);
      },
      ThrowsMessage<Error>(AllOf(HasSubstr("of a qwen2_5_vl"), HasSubstr("auto_mapping.base_model_class"))));
}

TEST_F(WriteModel, AMergedModelRefusesTheSameAdapterAgain) {
  const fs::path merged = folder_.path() / "merged", twice = folder_.path() / "twice";
  merge_adapter(model_, adapter_, merged, at::kFloat);
  const auto is_refused = [&](const auto& again) {
    EXPECT_THAT(again, ThrowsMessage<Error>(HasSubstr("was merged into this model before")));
  };
  is_refused([&] { merge_adapter(merged, adapter_, twice, at::kFloat); });
  EXPECT_FALSE(fs::exists(twice));
  Adapter same = read_adapter(adapter_), other = same;
  is_refused([&] { check_origin(same, adapter_, merged); });
  other.tensors.at(kQ + ".lora_A.weight") = at::randn({2, 8});
  write_adapter(adapter_, other);
  merge_adapter(merged, adapter_, twice, at::kFloat);
  is_refused([&] { check_origin(same, adapter_, twice); });
  is_refused([&] { check_origin(other, adapter_, twice); });
  EXPECT_NO_THROW(check_origin(other, adapter_, merged));
}

TEST_F(WriteModel, GivenTensorsComeBackFromTheFolder) {
  std::map<std::string, at::Tensor> tensors;
  for (const auto& [name, shape] : expected_tensors(read_model_config(model_)))
    tensors[name] = at::randn(shape, at::kDouble);
  write_model_folder(model_, folder_.path() / "copy", tensors);
  const ModelFiles files(folder_.path() / "copy");
  for (const auto& [name, tensor] : tensors) EXPECT_TRUE(at::equal(files.tensor(name), tensor)) << name;
  tensors.erase("model.language_model.norm.weight");
  EXPECT_THAT([&] { write_model_folder(model_, folder_.path() / "other", tensors); },
              ThrowsMessage<InternalError>(HasSubstr("has no model.norm.weight")));
}

TEST(WriteSafetensors, ATensorUnlikeItsSpecIsRefusedAndLeavesNoFile) {
  const TempFolder folder;
  const auto write = [&] {
    write_safetensors(folder.path() / "x", {{"a", at::kFloat, {2}}}, [](const TensorSpec&) { return at::zeros({3}); });
  };
  EXPECT_THAT(write, ThrowsMessage<InternalError>(HasSubstr("a was announced with another dtype or shape")));
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

}  // namespace
}  // namespace lriad
