#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <sstream>

#include "app/program.h"
#include "lriad/core/files.h"
#include "support/temp_folder.h"

namespace lriad {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::HasSubstr;

/// Runs the script for a few steps with the built programs and returns what it printed.
std::string run_quickstart(const fs::path& folder) {
  const fs::path script = fs::path(LRIAD_GOLDEN_DIR) / ".." / ".." / "scripts" / "quickstart.sh";
  const std::string printed = (folder / "printed").string();
  const std::string line = "QUICK=1 OMP_NUM_THREADS=1 BIN_DIR=" LRIAD_BIN_DIR " RUN_DIR=" + (folder / "run").string() +
                           " " + script.string() + " >" + printed + " 2>&1";
  EXPECT_EQ(std::system(line.c_str()), 0) << read_file("test", printed);
  return read_file("test", printed);
}

std::vector<json> lines_of(const fs::path& file) {
  std::istringstream text(read_file("test", file));
  std::vector<json> lines;
  for (std::string line; std::getline(text, line);) lines.push_back(json::parse(line));
  return lines;
}

TEST(Quickstart, TrainsAndEvaluatesBeforeAndAfterAndIsDoneTheSecondTime) {
  const TempFolder folder;
  const fs::path run = folder.path() / "run";
  const std::string first = run_quickstart(folder.path());
  for (const char* part : {"Before GRPO", "After GRPO", "all images", "always normal", "report/index.html",
                           "verdicts as they stand, A -> B"}) {
    EXPECT_THAT(first, HasSubstr(part));
  }
  EXPECT_TRUE(fs::exists(run / "sft" / "model.safetensors"));
  EXPECT_TRUE(fs::exists(run / "grpo" / "adapter_model.safetensors"));
  EXPECT_EQ(lines_of(run / "grpo" / "metrics.jsonl").size(), 3u);
  EXPECT_EQ(lines_of(run / "grpo" / "completions.jsonl").size(), 3u * 16 * 8);
  for (const char* name : {"before", "after"}) {
    EXPECT_EQ(lines_of(run / name / "predictions.jsonl").size(), 16u);
    EXPECT_EQ(json::parse(read_file("test", run / name / "metrics.json"))["overall"]["n"], 16);
    EXPECT_TRUE(fs::exists(run / name / "report" / "index.html"));
  }
  EXPECT_THAT(read_file("test", run / "grpo" / "README.md"), HasSubstr("## What was not shown"));
  const fs::path settled = folder.path() / "without_config";
  const Ended without =
      run_program_file("lriad-eval", {"--model", (run / "sft").string(), "--adapter", (run / "grpo").string(), "--data",
                                      (run / "held_out").string(), "--dtype", "float32", "--max-new-tokens", "24",
                                      "--output", settled.string()});
  ASSERT_EQ(without.code, 0) << without.err;
  EXPECT_EQ(read_file("test", settled / "predictions.jsonl"), read_file("test", run / "after" / "predictions.jsonl"));
  const std::string merged = (folder.path() / "merged").string();
  ASSERT_EQ(run_program_file("lriad-tool", {"merge", "--model", (run / "sft").string(), "--adapter",
                                            (run / "grpo").string(), "--dtype", "float32", "--output", merged})
                .code,
            0);
  EXPECT_EQ(json::parse(read_file("test", merged + "/preprocessor_config.json"))["max_pixels"], 3136);
  const Ended other = run_program_file(
      "lriad-eval", {"--model", merged, "--data", (run / "held_out").string(), "--set", "image.max_pixels=5000",
                     "--max-new-tokens", "2", "--limit", "1", "--output", (folder.path() / "other").string()});
  EXPECT_THAT(other.err, HasSubstr("image.max_pixels of --set differs from what the model was trained with"));
  EXPECT_THAT(other.err, ::testing::Not(HasSubstr("prompt.template")));
  const auto trained = fs::last_write_time(run / "grpo" / "adapter_model.safetensors");
  EXPECT_THAT(run_quickstart(folder.path()), HasSubstr("GRPO (stage: grpo): done before"));
  EXPECT_EQ(fs::last_write_time(run / "grpo" / "adapter_model.safetensors"), trained);
}

}  // namespace
}  // namespace lriad
