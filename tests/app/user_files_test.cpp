#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <memory>

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
