#include "lriad/model/model_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "lriad/core/error.h"
#include "support/temp_folder.h"

namespace lriad {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

ModelConfig read(const std::string& text) {
  const TempFolder folder;
  std::ofstream(folder.path() / "config.json") << text;
  return read_model_config(folder.path());
}

TEST(ModelConfig, IsRefusedClearlyWhateverStandsInTheFile) {
  const std::string deep = std::string(200000, '[') + std::string(200000, ']');
  for (const std::string& text : {std::string("{\"text_config\": 5}"), std::string("{\"text_config\": null}"),
                                  std::string("[]"), std::string(), "{\"vision_config\": " + deep + "}"}) {
    EXPECT_THROW(read(text), Error) << text.substr(0, 40);
  }
}

json sizes() {
  return {{"vocab_size", 48},         {"hidden_size", 32},        {"intermediate_size", 40}, {"num_hidden_layers", 2},
          {"num_attention_heads", 4}, {"num_key_value_heads", 2}, {"eos_token_id", 44}};
}

/// As the hub has it: flat, or with text_config.
json qwen25() {
  json config = sizes();
  config.update({{"model_type", "qwen2_5_vl"},
                 {"image_token_id", 40},
                 {"rope_theta", 1e6},
                 {"rope_scaling", {{"type", "mrope"}, {"mrope_section", {1, 1, 2}}}},
                 {"vision_config",
                  {{"depth", 2},
                   {"hidden_size", 16},
                   {"num_heads", 2},
                   {"intermediate_size", 20},
                   {"out_hidden_size", 32},
                   {"window_size", 56},
                   {"fullatt_block_indexes", {1}}}}});
  return config;
}

json qwen3() {
  json text = sizes();
  text.update(
      {{"head_dim", 16},
       {"rope_theta", 5000000},
       {"rope_scaling", {{"rope_type", "default"}, {"mrope_interleaved", true}, {"mrope_section", {4, 2, 2}}}}});
  return {{"model_type", "qwen3_vl"},
          {"text_config", text},
          {"image_token_id", 40},
          {"vision_config",
           {{"depth", 3},
            {"hidden_size", 16},
            {"num_heads", 2},
            {"intermediate_size", 20},
            {"out_hidden_size", 32},
            {"num_position_embeddings", 36},
            {"deepstack_visual_indexes", {0, 2}}}}};
}

TEST(ModelConfig, OfEachFamilyHasItsOwnParts) {
  const ModelConfig older = read(qwen25().dump()), newer = read(qwen3().dump());
  EXPECT_EQ(older.text.head_dim, 8);
  EXPECT_TRUE(older.text.qkv_bias);
  EXPECT_EQ(older.vision.embed_dim, 16);
  EXPECT_EQ(older.vision.window_size, 56);
  EXPECT_EQ(older.feature_dim(), 32);
  EXPECT_EQ(newer.text.head_dim, 16);
  EXPECT_EQ(newer.text.query_dim(), 64);
  EXPECT_TRUE(newer.text.qk_norm);
  EXPECT_EQ(newer.text.rope_theta, 5e6);
  EXPECT_EQ(newer.vision.patch_size, 16);
  EXPECT_EQ(newer.feature_dim(), 3 * 32);
}

TEST(ModelConfig, ReadsTheLayoutsThatTransformersWrote) {
  json mixed = qwen25();  // nested with flat copies, as 4.52 to 4.57 saved it: text_config counts, but for token ids
  mixed["text_config"] = sizes();
  mixed["text_config"].update({{"image_token_id", nullptr},
                               {"rope_theta", 2e6},
                               {"rope_scaling", {{"rope_type", "default"}, {"mrope_section", {2, 1, 1}}}}});
  mixed["hidden_size"] = 99;
  const ModelConfig nested = read(mixed.dump());
  EXPECT_EQ(nested.text.hidden_size, 32);
  EXPECT_EQ(nested.text.rope_theta, 2e6);
  EXPECT_EQ(nested.image_token_id, 40);
  json saved = qwen3();  // as 5.x saves it
  saved["text_config"].erase("rope_theta");
  saved["text_config"].erase("rope_scaling");
  saved["text_config"]["rope_parameters"] = {
      {"rope_type", "default"}, {"rope_theta", 3e6}, {"mrope_section", {4, 2, 2}}, {"mrope_interleaved", true}};
  saved["vision_config"]["rope_parameters"] = {{"rope_type", "axial"}, {"rope_theta", 500.0}};
  EXPECT_EQ(read(saved.dump()).text.rope_theta, 3e6);
  EXPECT_EQ(read(saved.dump()).vision.rope_theta, 500.0);
  saved["text_config"]["rope_parameters"].erase("rope_theta");
  EXPECT_EQ(read(saved.dump()).text.rope_theta, 5e5);  // the default of Qwen3VLTextConfig
}

TEST(ModelConfig, TiesTheHeadWhereTransformersDoes) {
  json older = qwen25(), newer = qwen3();
  older["text_config"] = older;
  older["text_config"]["tie_word_embeddings"] = newer["text_config"]["tie_word_embeddings"] = true;
  older["tie_word_embeddings"] = newer["tie_word_embeddings"] = false;
  EXPECT_TRUE(read(older.dump()).tie_word_embeddings);
  EXPECT_FALSE(read(newer.dump()).tie_word_embeddings);
  newer["tie_word_embeddings"] = true;
  EXPECT_TRUE(read(newer.dump()).tie_word_embeddings);
}

TEST(ModelConfig, RefusesWhatCannotBeComputedByItsKey) {
  const auto refused = [](json config, const char* pointer, const json& value, const std::string& key) {
    config[json::json_pointer(pointer)] = value;
    EXPECT_THAT([&] { read(config.dump()); }, ThrowsMessage<Error>(AllOf(HasSubstr("config.json"), HasSubstr(key))));
  };
  for (const char* other : {"qwen3_vl_moe", "qwen3_5", "llava"})
    refused(qwen3(), "/model_type", other, "expected one of qwen2_vl, qwen2_5_vl, qwen3_vl");
  refused(qwen3(), "/quantization_config", {{"quant_method", "awq"}}, "quantization_config");
  refused(qwen3(), "/text_config/attention_bias", true, "attention_bias");
  refused(qwen3(), "/text_config/rope_scaling/rope_type", "mrope", "rope_type");
  refused(qwen3(), "/text_config/rope_scaling/rope_type", "yarn", "rope_type");
  refused(qwen3(), "/text_config/rope_scaling/mrope_section", {1, 1, 1}, "mrope_section");
  refused(qwen3(), "/vision_config/deepstack_visual_indexes", {0, 3}, "deepstack_visual_indexes");
  refused(qwen3(), "/vision_config/deepstack_visual_indexes", {0, 0}, "deepstack_visual_indexes");
  refused(qwen3(), "/vision_config/out_hidden_size", 64, "out_hidden_size");
  refused(qwen25(), "/vision_config/window_size", 27, "window_size");
  refused(qwen25(), "/vision_config/hidden_act", "quick_gelu", "hidden_act");
  refused(qwen25(), "/rope_scaling/type", "yarn", "rope_scaling");
  refused(qwen25(), "/use_sliding_window", true, "use_sliding_window");
}

}  // namespace
}  // namespace lriad
