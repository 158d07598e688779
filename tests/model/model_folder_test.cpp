#include "lriad/model/model_folder.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "lriad/core/error.h"
#include "lriad/core/files.h"
#include "lriad/model/adapter_files.h"
#include "lriad/model/load_model.h"
#include "lriad/model/model_files.h"
#include "support/temp_folder.h"

namespace lriad {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

constexpr const char* kPointer = "version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 3\n";

class ModelFolder : public ::testing::Test {
 protected:
  /// A folder with empty files of these names.
  fs::path make(const std::string& name, const std::vector<std::string>& files) {
    for (const std::string& file : files) {
      fs::create_directories((folder_.path() / name / file).parent_path());
      write_file_atomic("test", folder_.path() / name / file, "{}");
    }
    return folder_.path() / name;
  }

  static void expect_refused(const fs::path& given, const std::string& why) {
    EXPECT_THAT([&] { model_folder(given); }, ThrowsMessage<Error>(AllOf(HasSubstr("[model] "), HasSubstr(why))));
  }
  static void expect_no_adapter(const fs::path& given, const std::string& why) {
    EXPECT_THAT([&] { adapter_folder(given); }, ThrowsMessage<Error>(AllOf(HasSubstr("[model] "), HasSubstr(why))));
  }

  TempFolder folder_;
};

TEST_F(ModelFolder, IsItselfOrASnapshotOfTheHubsCache) {
  const fs::path plain = make("plain", {"config.json", "model.safetensors"});
  EXPECT_EQ(model_folder(plain), plain);
  EXPECT_EQ(model_name(plain), "plain");
  const fs::path root =
      make("models--Qwen--Qwen2-VL-2B", {"snapshots/abc/config.json", "snapshots/abc/model.safetensors"});
  const fs::path snapshot = root / "snapshots/abc";
  EXPECT_EQ(model_folder(root), snapshot);  // the only one
  EXPECT_EQ(model_folder(root / "snapshots"), snapshot);
  EXPECT_EQ(model_folder(snapshot), snapshot);
  EXPECT_EQ(model_name(snapshot), "Qwen/Qwen2-VL-2B");
  make("models--Qwen--Qwen2-VL-2B", {"snapshots/def/config.json"});
  expect_refused(root, "has 2 snapshots and no refs/main");
  make("models--Qwen--Qwen2-VL-2B", {"refs/main"});
  write_file_atomic("test", root / "refs/main", "abc\n");
  EXPECT_EQ(model_folder(root), snapshot);
  write_file_atomic("test", root / "refs/main", "gone");
  expect_refused(root, "its snapshot gone is not there");
}

TEST_F(ModelFolder, OfTheHubsCacheIsReadThroughItsLinks) {
  const fs::path golden = fs::path(LRIAD_GOLDEN_DIR) / "tiny_qwen3vl";
  const fs::path root = folder_.path() / "models--A--B", snapshot = root / "snapshots" / "1";
  fs::create_directories(snapshot);
  fs::create_directories(root / "blobs");
  for (const auto& entry : fs::directory_iterator(golden)) {
    if (!entry.is_regular_file()) continue;
    const std::string name = entry.path().filename().string();
    fs::copy_file(entry.path(), root / "blobs" / ("sha-" + name));
    fs::create_symlink(fs::path("../../blobs") / ("sha-" + name), snapshot / name);
  }
  Qwen2Vl linked = load_model(model_folder(root), at::kFloat, at::kCPU),
          plain = load_model(golden, at::kFloat, at::kCPU);
  EXPECT_TRUE(at::equal(linked->head(), plain->head()));
}

TEST_F(ModelFolder, ThatIsSomethingElseIsRefusedWithTheOptionItIsFor) {
  expect_refused(folder_.path() / "Qwen/Qwen2-VL-2B-Instruct",
                 "is not a folder; a model of huggingface.co is fetched first");
  expect_refused(make("gguf", {"a.Q4_K_M.gguf"}) / "a.Q4_K_M.gguf", "is a quantised GGUF file");
  expect_refused(folder_.path() / "gguf", "a.Q4_K_M.gguf is quantised: take the unquantised model");
  expect_refused(make("adapter", {"adapter_config.json", "adapter_model.safetensors"}),
                 "is an adapter, not a model: give it as --adapter (model.adapter)");
  expect_refused(make("run", {"config.yaml", "checkpoint-9/adapter_config.json", "checkpoint-10/adapter_config.json"}),
                 "is the folder of a run, not a model: give " + (folder_.path() / "run/checkpoint-10").string());
  expect_refused(make("full", {"config.yaml", "checkpoint-2/config.json", "checkpoint-2/model.safetensors"}),
                 "full/checkpoint-2");
  expect_refused(make("empty", {"README.md"}), "has no config.json");
  expect_refused(make("pickled", {"config.json", "pytorch_model-00001-of-00002.bin"}), "safe_serialization=True");
  expect_refused(make("no_index", {"config.json", "model-00001-of-00002.safetensors"}),
                 "model.safetensors.index.json, which lists the parts, is not there");
  expect_no_adapter(make("model", {"config.json", "model.safetensors"}),
                    "is a model, not an adapter: give it as --model (model.path)");
  expect_no_adapter(folder_.path() / "run", "give one of its checkpoints");
  expect_no_adapter(folder_.path() / "empty", "has no adapter_config.json");
  expect_no_adapter(make("old", {"adapter_config.json", "adapter_model.bin"}),
                    "adapter_model.bin is PyTorch's own format");
}

TEST_F(ModelFolder, PointersOfGitLfsAreNamedAsSuch) {
  const auto named = [](const std::string& file) {
    return ThrowsMessage<Error>(AllOf(HasSubstr(file), HasSubstr("is a pointer of Git LFS")));
  };
  const fs::path model =
      make("lfs", {"config.json", "model.safetensors", "adapter_config.json", "adapter_model.safetensors"});
  for (const char* name : {"config.json", "model.safetensors", "adapter_model.safetensors"})
    write_file_atomic("test", model / name, kPointer);
  EXPECT_THAT([&] { read_model_config(model); }, named("config.json"));
  EXPECT_THAT([&] { ModelFiles{model}; }, named("model.safetensors"));
  write_file_atomic("test", model / "adapter_config.json", adapter_config_text({}));
  EXPECT_THAT([&] { read_adapter(model); }, named("adapter_model.safetensors"));
}

TEST_F(ModelFolder, QuantisedWeightsAreNamedAsSuch) {
  const fs::path golden = fs::path(LRIAD_GOLDEN_DIR) / "tiny_qwen3vl", model = folder_.path() / "awq";
  fs::create_directories(model);
  fs::copy_file(golden / "config.json", model / "config.json");
  write_safetensors(model / "model.safetensors",
                    {{"model.language_model.layers.0.self_attn.q_proj.qweight", at::ones({2, 2})}});
  EXPECT_THAT([&] { load_model(model, at::kFloat, at::kCPU); },
              ThrowsMessage<Error>(HasSubstr("the weights are quantised (tensor")));
}

// transformers 5.23 warns and does not tie a head that the files have with other values.
TEST_F(ModelFolder, ATiedHeadWithWeightsOfItsOwnIsNotTied) {
  const fs::path golden = fs::path(LRIAD_GOLDEN_DIR) / "tiny_qwen2vl_flat_untied", model = folder_.path() / "tied";
  fs::copy(golden, model);
  std::string text = read_file("test", model / "config.json");
  const std::string untied = "\"tie_word_embeddings\": false";
  const std::size_t at = text.find(untied);
  ASSERT_NE(at, std::string::npos);
  write_file_atomic("test", model / "config.json", text.replace(at, untied.size(), "\"tie_word_embeddings\": true"));
  Qwen2Vl now = load_model(model, at::kFloat, at::kCPU), as_published = load_model(golden, at::kFloat, at::kCPU);
  EXPECT_TRUE(at::equal(now->head(), as_published->head()));
  EXPECT_FALSE(now->config().tie_word_embeddings);
}

}  // namespace
}  // namespace lriad
