#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>

#include "app/program.h"
#include "lriad/run/run_folder.h"

// What the programs must not do to files of their users.
namespace lriad {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class UserFiles : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    shared_ = std::make_unique<TempFolder>();
    ASSERT_EQ(run_program_file("lriad-tool", {"make-model", "--size", "tiny", "--output", at("model")}).code, 0);
    ASSERT_EQ(run_program_file("lriad-tool", {"make-data", "--images", "2", "--objects", "nut", "--defect-rate", "0.5",
                                              "--output", at("data")})
                  .code,
              0);
  }
  static void TearDownTestSuite() { shared_.reset(); }
  static std::string at(const std::string& name) { return (shared_->path() / name).string(); }

  static Ended train(const std::string& output, const std::vector<std::string>& more = {}) {
    std::vector<std::string> all = {"--set",     "model.path=" + at("model"),
                                    "--set",     "data.root=" + at("data"),
                                    "--devices", "cpu",
                                    "--dry-run", "--output",
                                    output};
    all.insert(all.end(), more.begin(), more.end());
    return run_program_file("lriad-train", all);
  }
  static Ended evaluate(const std::vector<std::string>& more) {
    std::vector<std::string> all = {"--model", at("model"), "--dtype", "float32", "--max-new-tokens", "2"};
    all.insert(all.end(), more.begin(), more.end());
    return run_program_file("lriad-eval", all);
  }
  static inline std::unique_ptr<TempFolder> shared_;
};

TEST_F(UserFiles, ARunNeverWritesIntoItsModelOrData) {
  fs::create_directory_symlink(at("data"), at("alias"));
  for (const std::string& output : {at("model"), at("model/run"), at("data"), at("data/runs/1"), at("alias/run")}) {
    const Ended ended = train(output);
    EXPECT_EQ(ended.code, 2) << output;
    EXPECT_THAT(ended.err, HasSubstr("[run] output_dir " + output + " is or lies in "));
  }
}

TEST_F(UserFiles, EmptyValuesAreRefused) {
  const auto refused = [](const Ended& ended, const std::string& option) {
    EXPECT_EQ(ended.code, 2) << option;
    EXPECT_THAT(ended.err, HasSubstr("[app] " + option + " is empty, expected a value"));
  };
  refused(evaluate({"--data", at("data"), "--output", at("out"), "--adapter", ""}), "--adapter");
  refused(evaluate({"--data", "", "--output", at("out")}), "--data");
  refused(train("", {}), "--output");
  refused(run_program_file("lriad-tool", {"merge", "--model", at("model"), "--adapter", "", "--output", at("m")}),
          "--adapter");
}

TEST_F(UserFiles, AFolderGivenForAnotherOptionIsNamed) {
  const auto refused = [](const Ended& ended, const std::string& why) {
    EXPECT_EQ(ended.code, 2) << ended.err;
    EXPECT_THAT(ended.err, HasSubstr(why));
    EXPECT_EQ(std::ranges::count(ended.err, '\n'), 1) << ended.err;
  };
  fs::create_directories(at("adapter"));
  for (const char* name : {"adapter_config.json", "adapter_model.safetensors"})
    fs::copy_file(fs::path(LRIAD_GOLDEN_DIR) / "cold_start" / name, at("adapter") + "/" + name);
  const std::string is_adapter = "is an adapter, not a model: give it as --adapter";
  refused(run_program_file("lriad-eval", {"--model", at("adapter"), "--data", at("data"), "--output", at("out")}),
          is_adapter);
  refused(train(at("run"), {"--set", "model.path=" + at("adapter"), "--quiet"}), is_adapter);
  refused(train(at("run"), {"--set", "model.adapter=" + at("model"), "--quiet"}),
          "is a model, not an adapter: give it as --model");
  refused(run_program_file("lriad-tool",
                           {"merge", "--model", at("adapter"), "--adapter", at("adapter"), "--output", at("m")}),
          is_adapter);
  refused(
      run_program_file("lriad-tool", {"merge", "--model", at("model"), "--adapter", at("model"), "--output", at("m")}),
      "is a model, not an adapter");
  refused(evaluate({"--adapter", at("no/such"), "--data", at("data"), "--output", at("out")}),
          "no/such is not a folder");
}

TEST_F(UserFiles, AModelInTheHubsCacheIsEvaluatedByItsRoot) {
  const fs::path root = at("hub/models--A--B"), snapshot = root / "snapshots" / "0a1b";
  fs::create_directories(snapshot);
  fs::create_directories(root / "blobs");
  fs::create_directories(root / "refs");
  std::ofstream(root / "refs" / "main") << "0a1b";
  for (const auto& entry : fs::directory_iterator(at("model"))) {
    const fs::path name = entry.path().filename();
    fs::copy_file(entry.path(), root / "blobs" / name);
    fs::create_symlink(fs::path("../../blobs") / name, snapshot / name);
  }
  const Ended ended = run_program_file("lriad-eval", {"--model", root.string(), "--data", at("data"), "--output",
                                                      at("hub_eval"), "--max-new-tokens", "2", "--limit", "1"});
  ASSERT_EQ(ended.code, 0) << ended.err;
  EXPECT_THAT(ended.err, HasSubstr("model A/B on cpu"));
  EXPECT_THAT(read_file("test", at("hub_eval/metrics.json")), HasSubstr("snapshots/0a1b"));
}

TEST_F(UserFiles, AMergedModelRefusesItsAdapter) {
  const std::string adapter = std::string(LRIAD_GOLDEN_DIR) + "/cold_start", merged = at("merged");
  const Ended made =
      run_program_file("lriad-tool", {"merge", "--model", at("model"), "--adapter", adapter, "--output", merged});
  ASSERT_EQ(made.code, 0) << made.err;
  const std::string why = "the adapter was merged into this model before";
  for (const Ended& again :
       {run_program_file("lriad-tool", {"merge", "--model", merged, "--adapter", adapter, "--output", at("twice")}),
        run_program_file("lriad-eval",
                         {"--model", merged, "--adapter", adapter, "--data", at("data"), "--output", at("out")}),
        train(at("run"), {"--set", "model.path=" + merged, "--set", "model.adapter=" + adapter})}) {
    EXPECT_EQ(again.code, 2);
    EXPECT_THAT(again.err, HasSubstr(why));
  }
  EXPECT_FALSE(fs::exists(at("twice")));
}

TEST_F(UserFiles, ATokenizerWithoutTheMarksOfImagesIsRefused) {
  fs::copy(at("model"), at("marks"), fs::copy_options::recursive);
  auto whole = nlohmann::json::parse(read_file("test", at("marks/tokenizer.json")));
  auto& tokens = whole["added_tokens"].get_ref<nlohmann::json::array_t&>();
  std::erase_if(tokens, [](const nlohmann::json& token) { return token["content"] == "<|image_pad|>"; });
  write_file_atomic("test", at("marks/tokenizer.json"), whole.dump());
  write_file_atomic("test", at("marks/tokenizer_config.json"), "{}");
  const Ended ended =
      run_program_file("lriad-eval", {"--model", at("marks"), "--data", at("data"), "--output", at("out")});
  EXPECT_EQ(ended.code, 2);
  EXPECT_THAT(ended.err, HasSubstr("the tokenizer writes <|image_pad|> in "));
}

TEST_F(UserFiles, AnEvaluationBelowItsImagesDoesNotReadItsOwnReport) {
  const std::string images = at("data/nut/test"), output = at("data/nut/test/eval");
  const auto count_lines = [&] {
    std::ifstream in(output + "/predictions.jsonl");
    int64_t lines = 0;
    for (std::string line; std::getline(in, line);) ++lines;
    return lines;
  };
  const std::vector<std::string> line = {"--images", images, "--object", "nut", "--output", output};
  ASSERT_EQ(evaluate(line).code, 0);
  const int64_t first = count_lines();
  ASSERT_GT(first, 0);
  ASSERT_TRUE(fs::exists(output + "/report/index.html"));
  std::vector<std::string> again = line;
  again.push_back("--resume");
  ASSERT_EQ(evaluate(again).code, 0);
  EXPECT_EQ(count_lines(), first);
  fs::remove_all(output);
}

TEST_F(UserFiles, LabelledDataAreNotMixedWithAReport) {
  const Ended ended = evaluate({"--data", at("data"), "--output", at("data/eval")});
  EXPECT_EQ(ended.code, 2);
  EXPECT_THAT(ended.err, HasSubstr("--output " + at("data/eval") + " is or lies in"));
}

TEST_F(UserFiles, TwoEvaluationsDoNotShareAFolder) {
  fs::create_directories(at("busy"));
  const RunLock lock(at("busy"));
  const Ended ended = evaluate({"--data", at("data"), "--output", at("busy")});
  EXPECT_EQ(ended.code, 2);
  EXPECT_THAT(ended.err, HasSubstr(at("busy") + " is in use by process"));
  EXPECT_FALSE(fs::exists(at("busy/predictions.jsonl")));
}

}  // namespace
}  // namespace lriad
