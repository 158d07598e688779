// lriad-eval --watch and what it is for: a model that looks at the parts of a day.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <chrono>
#include <csignal>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "app/program.h"
#include "lriad/data/csv.h"

namespace lriad {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::HasSubstr;

/// A model whose adapter answers in the right form, images of parts, and a folder that they come into.
class Watch : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    shared_ = std::make_unique<TempFolder>();
    const std::string model = (shared_->path() / "model").string(), data = (shared_->path() / "data").string();
    ASSERT_EQ(run_program_file("lriad-tool", {"make-model", "--size", "tiny", "--seed", "5", "--output", model}).code,
              0);
    ASSERT_EQ(run_program_file("lriad-tool", {"make-data", "--images", "8", "--objects", "gear", "--size", "56",
                                              "--defect-rate", "0.5", "--output", data})
                  .code,
              0);
    for (const auto& entry : fs::recursive_directory_iterator(data)) {
      if (entry.path().extension() == ".png") parts_.push_back(entry.path());
    }
  }
  static void TearDownTestSuite() { shared_.reset(), parts_.clear(); }

  Watch() { fs::create_directories(inbox()); }

  fs::path inbox() const { return folder_.path() / "inbox"; }
  fs::path out(const std::string& name) const { return folder_.path() / "out" / name; }

  std::vector<std::string> arguments(const std::vector<std::string>& more = {}) const {
    std::vector<std::string> all = {"--model",          (shared_->path() / "model").string(),
                                    "--adapter",        (fs::path(LRIAD_GOLDEN_DIR) / "cold_start").string(),
                                    "--dtype",          "float32",
                                    "--images",         inbox().string(),
                                    "--object",         "gear",
                                    "--output",         out("").parent_path().string(),
                                    "--max-new-tokens", "40",
                                    "--quiet"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }

  /// Written beside the folder and moved, as a careful program does.
  void put(size_t part, const std::string& name) const {
    fs::copy_file(parts_.at(part), folder_.path() / "moving");
    fs::rename(folder_.path() / "moving", inbox() / name);
  }
  std::vector<json> predictions() const {
    std::ifstream in(out("predictions.jsonl"));
    std::vector<json> lines;
    for (std::string line; std::getline(in, line) && !in.eof();) lines.push_back(json::parse(line));
    return lines;
  }
  /// Waits for so many predictions, half a minute at most.
  std::vector<json> wait_for(size_t count) const {
    for (int i = 0; i < 600 && predictions().size() < count; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    return predictions();
  }

  TempFolder folder_;
  static inline std::unique_ptr<TempFolder> shared_;
  static inline std::vector<fs::path> parts_;
};

TEST_F(Watch, AnswersImagesAsTheyComeAndGoesOnWhereItWasStopped) {
  put(0, "a.png");
  Running run("lriad-eval", arguments({"--watch", "--threshold", "0"}));
  ASSERT_EQ(wait_for(1).size(), 1u);
  const std::string whole = read_file("test", parts_[1]);
  std::ofstream(inbox() / "b.png") << whole.substr(0, whole.size() / 2);
  std::ofstream(inbox() / "bad.png") << "no image";
  put(2, "gone.png");
  fs::remove(inbox() / "gone.png");
  put(3, "c.png");
  ASSERT_EQ(wait_for(2).size(), 2u);
  EXPECT_EQ(predictions()[1]["image"], (inbox() / "c.png").string());
  std::ofstream(inbox() / "b.png") << whole;
  ASSERT_EQ(wait_for(4).size(), 4u);
  run.signal(SIGTERM);
  EXPECT_EQ(run.wait(), 128 + SIGTERM);
  int unreadable = 0;
  for (const json& line : predictions()) {
    const bool bad = line["image"] == (inbox() / "bad.png").string();
    unreadable += bad ? 1 : 0;
    EXPECT_EQ(line["verdict"] == "unreadable", bad) << line;
    EXPECT_EQ(line.contains("error"), bad) << line;
    EXPECT_EQ(line["threshold"], 0.0);
  }
  EXPECT_EQ(unreadable, 1);

  put(4, "d.png");
  put(5, "a.png");  // replaces the first
  Running again("lriad-eval", arguments({"--watch", "--threshold", "0", "--resume", "--fail-on-defect"}));
  ASSERT_EQ(wait_for(5).size(), 5u);
  again.signal(SIGINT);
  const int code = again.wait();
  bool defect = false;
  for (const json& line : predictions()) defect = defect || line["verdict"] == "defect";
  EXPECT_EQ(code, defect ? 10 : 128 + SIGINT);
  EXPECT_EQ(predictions()[4]["image"], (inbox() / "d.png").string());

  const CsvTable table = parse_csv(read_file("test", out("predictions.csv")), out("predictions.csv"));
  ASSERT_EQ(table.rows.size(), 6u);
  EXPECT_EQ(table.rows[0].fields,
            (std::vector<std::string>{"image", "object", "label", "verdict", "score", "threshold", "map", "error"}));
  for (size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(table.rows[i + 1].fields.at(0), predictions()[i]["image"]);
    EXPECT_EQ(table.rows[i + 1].fields.at(3), predictions()[i]["verdict"]);
  }
}

TEST_F(Watch, AFullDiskDelaysTheAnswersAndLosesNone) {
  put(0, "a.png");
  Running run("lriad-eval", arguments({"--watch"}));
  ASSERT_EQ(wait_for(1).size(), 1u);
  const rlimit full = {fs::file_size(out("predictions.jsonl")) + 20, RLIM_INFINITY},
               free = {RLIM_INFINITY, RLIM_INFINITY};
  ASSERT_EQ(prlimit(run.id(), RLIMIT_FSIZE, &full, nullptr), 0);
  put(1, "b.png");
  put(2, "c.png");
  std::this_thread::sleep_for(std::chrono::seconds(4));
  EXPECT_EQ(predictions().size(), 1u);
  EXPECT_EQ(fs::file_size(out("predictions.jsonl")) + 20, full.rlim_cur) << "half a line was left";
  ASSERT_EQ(prlimit(run.id(), RLIMIT_FSIZE, &free, nullptr), 0);
  EXPECT_EQ(wait_for(3).size(), 3u);
  run.signal(SIGTERM);
  EXPECT_EQ(run.wait(), 128 + SIGTERM);
  EXPECT_EQ(parse_csv(read_file("test", out("predictions.csv")), "").rows.size(), 4u);
}

TEST_F(Watch, TheExitCodeTellsOfADefectIfAsked) {
  put(0, "a.png");
  const Ended plain = run_program_file("lriad-eval", arguments({"--threshold", "0"}));
  ASSERT_EQ(plain.code, 0) << plain.err;
  const bool defect = predictions().at(0)["verdict"] == "defect";
  EXPECT_TRUE(defect) << "the test needs a valid answer: " << predictions()[0];
  EXPECT_EQ(run_program_file("lriad-eval", arguments({"--threshold", "0", "--overwrite", "--fail-on-defect"})).code,
            10);
  EXPECT_EQ(run_program_file("lriad-eval", arguments({"--threshold", "2", "--overwrite", "--fail-on-defect"})).code, 0);
}

TEST_F(Watch, RefusesWhatItCannotWatch) {
  const auto refused = [&](std::vector<std::string> line, const char* words) {
    const Ended run = run_program_file("lriad-eval", line);
    EXPECT_EQ(run.code, 2);
    EXPECT_THAT(run.err, HasSubstr(words));
  };
  refused({"--model", "m", "--data", "d", "--watch"}, "--watch goes with --images");
  refused(arguments({"--watch", "--limit", "3"}), "--limit does not go with --watch");
  std::vector<std::string> file = arguments({"--watch"});
  *std::ranges::find(file, inbox().string()) = parts_[0].string();
  refused(file, "is not a folder");
  EXPECT_FALSE(fs::exists(out("")));
}

}  // namespace
}  // namespace lriad
