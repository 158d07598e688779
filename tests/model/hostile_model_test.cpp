// Model folders that somebody made to do harm.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "lriad/core/error.h"
#include "lriad/core/files.h"
#include "lriad/model/adapter_files.h"
#include "lriad/model/model_files.h"
#include "support/temp_folder.h"

namespace lriad {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

class HostileModel : public ::testing::Test {
 protected:
  void put(const std::string& name, const std::string& bytes) {
    write_file_atomic("test", folder_.path() / name, bytes);
  }
  static json good_config() {
    return json::parse(R"({"model_type": "qwen2_vl", "vocab_size": 48, "hidden_size": 32, "intermediate_size": 40,
      "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "eos_token_id": 44,
      "rope_scaling": {"type": "mrope", "mrope_section": [1, 1, 2]},
      "vision_config": {"depth": 1, "embed_dim": 16, "num_heads": 2}})");
  }
  void refuses_config(const std::string& text, const char* why) {
    put("config.json", text);
    EXPECT_THAT([&] { read_model_config(folder_.path()); }, ThrowsMessage<Error>(HasSubstr(why))) << text.substr(0, 80);
  }
  void refuses_index(const std::string& text, const char* why) {
    put("model.safetensors.index.json", text);
    EXPECT_THAT([&] { weight_files(folder_.path()); }, ThrowsMessage<Error>(HasSubstr(why))) << text.substr(0, 80);
  }
  static std::string nested(std::size_t levels) { return std::string(levels, '[') + std::string(levels, ']'); }
  TempFolder folder_;
};

TEST_F(HostileModel, WithAbsurdSizesIsRefusedBeforeAnythingIsMultiplied) {
  put("config.json", good_config().dump());
  EXPECT_EQ(expected_tensors(read_model_config(folder_.path())).size(), 46u);
  for (const json& value : {json(1'000'000'000), json(UINT64_MAX), json(INT64_MIN), json(-1), json(0), json(1e300)}) {
    for (const char* key : {"vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers",
                            "num_attention_heads", "num_key_value_heads"}) {
      json config = good_config();
      config[key] = value;
      refuses_config(config.dump(), key);
    }
    for (const char* key : {"depth", "embed_dim", "num_heads", "mlp_ratio", "patch_size", "temporal_patch_size",
                            "spatial_merge_size", "in_channels"}) {
      json config = good_config();
      config["vision_config"][key] = value;
      refuses_config(config.dump(), key);
    }
  }
}

TEST_F(HostileModel, WithIdsOutsideTheVocabularyIsRefused) {
  for (const json& id : {json(48), json(-1), json(UINT64_MAX), json({44, UINT64_MAX}), json(1e300)}) {
    json config = good_config();
    config["eos_token_id"] = id;
    refuses_config(config.dump(), "expected an id or a list of ids below 48");
  }
  json config = good_config();
  config["rope_scaling"]["mrope_section"] = {UINT64_MAX, 3, 2};
  refuses_config(config.dump(), "mrope_section");
}

TEST_F(HostileModel, WithAKeyTwiceOrDeepNestingIsRefused) {
  refuses_config(R"({"model_type": "qwen2_vl", "model_type": "other"})", "has the key \"model_type\" twice");
  refuses_config("{\"model_type\": " + nested(200'000) + "}", "is nested deeper");
  put("adapter_config.json", "{\"r\": " + nested(200'000) + "}");
  EXPECT_THAT([&] { read_adapter(folder_.path()); }, ThrowsMessage<Error>(HasSubstr("is nested deeper")));
  put("adapter_config.json", R"({"peft_type": "LORA", "r": 8, "r": 9})");
  EXPECT_THAT([&] { read_adapter(folder_.path()); }, ThrowsMessage<Error>(HasSubstr("has the key \"r\" twice")));
}

TEST_F(HostileModel, WithAnIndexThatLeavesTheFolderIsRefused) {
  for (const char* name :
       {"../other.safetensors", "/etc/passwd", "sub/x.safetensors", "..", ".", "", "a\\\\b", "a\\u0000"})
    refuses_index(concat(R"({"weight_map": {"a": ")", name, "\"}}"), "expected the name of a file in this folder");
  refuses_index(R"({"weight_map": {"a": 3}})", "expected the name of a file in this folder");
  refuses_index(R"({"weight_map": {"a": "x", "a": "y"}})", "has the key \"a\" twice");
  refuses_index("{\"weight_map\": {\"a\": " + nested(200'000) + "}}", "is nested deeper");
  refuses_index(R"({"weight_map": []})", "has no weight_map");
}

TEST_F(HostileModel, WithAHeaderAboveTheLimitIsRefusedBeforeItIsRead) {
  const uint64_t length = 100'000'001;
  put("x.safetensors", std::string(reinterpret_cast<const char*>(&length), sizeof length));
  std::filesystem::resize_file(folder_.path() / "x.safetensors", sizeof length + length);
  EXPECT_THAT([&] { const SafetensorsFile file(folder_.path() / "x.safetensors"); },
              ThrowsMessage<Error>(HasSubstr("HeaderTooLarge: it claims 100000001 bytes")));
}

}  // namespace
}  // namespace lriad
