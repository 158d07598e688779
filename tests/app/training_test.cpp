#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <cstdlib>
#include <iomanip>
#include <ranges>
#include <sstream>

#include "app/training_run.h"
#include "lriad/core/error.h"
#include "lriad/model/load_model.h"

namespace lriad {
namespace {

using ::testing::AllOf;
using ::testing::Ge;
using ::testing::HasSubstr;
using ::testing::Le;

const std::string kNoReward = "model.adapter=null";  // the random model never keeps the format: all rewards are 0

struct CurvePoint {
  double step = 0, loss = 0, reward = 0, grad_norm = 0;
};

std::string curve_text(const std::vector<nlohmann::json>& metrics) {
  std::ostringstream out;
  out << std::setprecision(17) << "# step loss reward grad_norm\n";
  for (const auto& line : metrics) {
    out << line["step"] << ' ' << line["loss"].get<double>() << ' ' << line["reward"].get<double>() << ' '
        << line["grad_norm"].get<double>() << '\n';
  }
  return out.str();
}

std::vector<CurvePoint> read_curve(const std::string& text) {
  std::istringstream in(text);
  std::string head;
  std::getline(in, head);
  std::vector<CurvePoint> points;
  for (CurvePoint p; in >> p.step >> p.loss >> p.reward >> p.grad_norm;) points.push_back(p);
  return points;
}

// A change that is not meant to alter results must leave tests/golden/loss_curve.txt as it is. After one that is, run
// this test with LRIAD_WRITE_GOLDEN=1 and show the new curve in review.
TEST_F(TrainingRun, TenStepsGiveTheLossesOnRecord) {
  ASSERT_EQ(train("curve", {"train.max_steps=10", "train.save_steps=0"}), 0);
  const std::string got = curve_text(metrics("curve"));
  const Path golden = Path(LRIAD_GOLDEN_DIR) / "loss_curve.txt";
  if (std::getenv("LRIAD_WRITE_GOLDEN") != nullptr) write_file_atomic("test", golden, got);
  const auto points = read_curve(got), expected = read_curve(bytes(golden));
  ASSERT_EQ(points.size(), 10u);
  ASSERT_EQ(expected.size(), 10u);
  for (std::size_t k = 0; k < 10; ++k) {
    EXPECT_NEAR(points[k].loss, expected[k].loss, 1e-9) << "step " << k + 1 << " of\n" << got;
    EXPECT_NEAR(points[k].reward, expected[k].reward, 1e-9);
    EXPECT_NEAR(points[k].grad_norm, expected[k].grad_norm, 1e-9);
  }
}

TEST_F(TrainingRun, AStepWithNothingLeftMovesNothing) {
  ASSERT_EQ(train("drop", {kNoReward, "grpo.zero_variance=drop", "train.max_steps=2", "train.save_steps=1"}), 0);
  EXPECT_EQ(adapter_bytes("drop", 0), adapter_bytes("drop", 2));
  const auto state = read_state(checkpoint("drop", 2));
  EXPECT_EQ(state.at("optimizer.steps").item<int64_t>(), 0);
  EXPECT_EQ(state.at("optimizer.exp_avg").abs().max().item<double>(), 0);
  const auto all = metrics("drop");
  ASSERT_EQ(all.size(), 2u);
  for (const Json& line : all) {
    EXPECT_TRUE(line["loss"].is_null());
    EXPECT_EQ(line["frac_reward_zero_std"], 1.0);
  }
  EXPECT_DOUBLE_EQ(all[0]["learning_rate"], 2e-3);
  EXPECT_DOUBLE_EQ(all[1]["learning_rate"], 1e-3);
  EXPECT_EQ(lines("drop", "completions.jsonl").size(), 32u);
}

TEST_F(TrainingRun, FlatGroupsAreSampledAgainAndCounted) {
  const std::vector<std::string> sets = {kNoReward, "train.max_steps=1", "train.save_steps=0"};
  std::vector<std::string> again = sets;
  again.insert(again.end(), {"grpo.zero_variance=resample", "grpo.max_resamples=2"});
  ASSERT_EQ(train("once", sets), 0);
  ASSERT_EQ(train("resampled", again), 0);
  const Json once = metrics("once").at(0), resampled = metrics("resampled").at(0);
  EXPECT_EQ(resampled["resampled_groups"], 8.0);  // 4 groups, twice
  EXPECT_GT(resampled["num_tokens"], 2.5 * once["num_tokens"].get<double>());
  const auto a = lines("once", "completions.jsonl"), b = lines("resampled", "completions.jsonl");
  ASSERT_EQ(a.size(), 16u);
  ASSERT_EQ(b.size(), 16u);
  EXPECT_NE(a[0]["text"], b[0]["text"]);
}

TEST_F(TrainingRun, GroupsWithoutARightAnswerAreSampledAgain) {
  std::vector<std::string> sets = {"train.max_steps=1",         "train.save_steps=0",
                                   "grpo.max_resamples=1",      "rollout.temperature=0.8",
                                   "rollout.num_generations=2", "train.gradient_accumulation_steps=8"};
  ASSERT_EQ(train("kept", sets), 0);
  sets.push_back("grpo.zero_variance=resample_wrong");
  ASSERT_EQ(train("again", sets), 0);
  std::map<int64_t, bool> has_right;
  for (const Json& line : lines("kept", "completions.jsonl")) {
    has_right[line["prompt_index"]] |= line["verdict"] == line["label"];
  }
  const auto wrong = std::ranges::count(has_right | std::views::values, false);
  EXPECT_THAT(wrong, AllOf(Ge(1), Le(7))) << "8 groups, of which some should be sampled again and some not";
  EXPECT_EQ(metrics("again").at(0)["resampled_groups"], static_cast<double>(wrong));
}

TEST_F(TrainingRun, TheGuardSkipsStepsAndStopsTheRunWithThree) {
  const std::vector<std::string> limit = {"guard.max_grad_norm=1e-9", "train.save_steps=1", "train.max_steps=6"};
  std::vector<std::string> skip = limit, stop = limit;
  skip.insert(skip.end(), {"guard.on_trip=skip", "guard.stop_after=3"});
  stop.push_back("guard.on_trip=stop");
  EXPECT_EQ(train("skip", skip), 3);
  EXPECT_EQ(metrics("skip").size(), 3u);
  EXPECT_TRUE(metrics("skip")[1]["loss"].is_null());
  EXPECT_EQ(adapter_bytes("skip", 0), adapter_bytes("skip", 2));
  EXPECT_EQ(train("stop", stop), 3);
  EXPECT_EQ(metrics("stop").size(), 1u);
  EXPECT_FALSE(std::filesystem::exists(at("stop") / "adapter_model.safetensors"));
  EXPECT_THAT(bytes(at("stop") / "log.txt"), HasSubstr("stopped by the health guard at step 1"));
}

TEST_F(TrainingRun, NonFiniteWeightsStopTheRunWithThree) {
  Adapter adapter = read_adapter(Path(LRIAD_GOLDEN_DIR) / "cold_start");
  adapter.tensors.begin()->second.fill_(3e38);  // finite, but float32 overflows in the first pass
  make_folder("test", at("broken_adapter"));
  write_adapter(at("broken_adapter"), adapter);
  const std::string adapter_set = "model.adapter=" + at("broken_adapter").string();
  EXPECT_EQ(train("nan", {adapter_set, "model.dtype=float32", "guard.on_trip=stop"}), 3);
  ASSERT_EQ(metrics("nan").size(), 1u);
  EXPECT_TRUE(metrics("nan")[0]["loss"].is_null());
}

TEST_F(TrainingRun, EvaluationFindsTheBestCheckpointAndKeepsIt) {
  const std::string eval = "eval_data={format: jsonl, root: " + at("data").string() + "/data.jsonl, max_samples: 24}";
  ASSERT_EQ(train("eval", {eval, "eval.max_new_tokens=24", "train.eval_steps=1", "train.save_steps=1",
                           "train.save_total_limit=1", "optim.learning_rate=2e-2", "log.tensorboard=true"}),
            0);
  double best = -1;
  int64_t best_step = 0;
  for (const Json& line : metrics("eval")) {
    ASSERT_TRUE(line.contains("eval_accuracy"));
    const double value = line["eval_balanced_accuracy"];
    if (value > best) best_step = line["step"];
    best = std::max(best, value);
  }
  const TrainerState state = read_trainer_state(checkpoint("eval", 4));
  EXPECT_EQ(state.best_metric, best);
  EXPECT_EQ(state.best_step, best_step);
  std::vector<int64_t> expected = {best_step, 4};
  expected.erase(std::unique(expected.begin(), expected.end()), expected.end());
  EXPECT_EQ(checkpoint_steps(at("eval")), expected);

  // The report is that of the last evaluation, with the curves of the whole run.
  const std::string page = bytes(at("eval") / "report" / "index.html"), opening = "id=\"data\">";
  const size_t begin = page.find(opening) + opening.size();
  const Json report = Json::parse(page.substr(begin, page.find("</script>", begin) - begin));
  EXPECT_EQ(report["title"], "eval after step 4");
  EXPECT_EQ(report["rows"].size(), 24u);
  EXPECT_EQ(report["metrics"]["overall"]["balanced_accuracy"], metrics("eval").at(3)["eval_balanced_accuracy"]);
  EXPECT_EQ(report["metrics"].contains("chosen_on"), best_step == 4);
  for (const char* curve : {"reward", "eval_balanced_accuracy"}) EXPECT_EQ(report["curves"][curve].size(), 4u);
  EXPECT_EQ(report["about"].back()[0], "Prompt");
  EXPECT_TRUE(std::filesystem::exists(at("eval") / "report" / report["rows"][0]["thumbnail"].get<std::string>()));
  std::string events;
  for (const auto& entry : std::filesystem::directory_iterator(at("eval"))) {
    if (entry.path().filename().string().starts_with("events.out.")) events += bytes(entry.path());
  }
  const std::string tag = "evaluation/" + report["rows"][0]["image"].get<std::string>();
  EXPECT_THAT(events, HasSubstr(tag + "/text_summary"));
}

TEST_F(TrainingRun, AWarmVisionCacheChangesNothing) {
  const std::vector<std::string> off = {"train.save_steps=4", "model.vision_cache.memory_mb=0"};
  std::vector<std::string> cached = off;
  cached.insert(cached.end(),
                {"model.vision_cache.disk_mb=64", "model.vision_cache.folder=" + at("features").string()});
  ASSERT_EQ(train("off", off), 0);
  ASSERT_EQ(train("cold", cached), 0);
  ASSERT_EQ(train("warm", cached), 0);
  EXPECT_EQ(adapter_bytes("cold", 4), adapter_bytes("off", 4));
  EXPECT_EQ(adapter_bytes("warm", 4), adapter_bytes("off", 4));
  EXPECT_EQ(bytes(at("warm") / "completions.jsonl"), bytes(at("off") / "completions.jsonl"));
  for (const Json& line : metrics("off")) EXPECT_EQ(line["passes/images"], 4);
  for (const Json& line : metrics("warm")) EXPECT_EQ(line["passes/images"], 0);
}

// A group needs P + sum of (tokens - 1) rows in the passes of reference and policy each, P rows in the prefill, and one
// row per generated token except the last of each completion. P is the prompt's length.
TEST_F(TrainingRun, PassesSeeEachPromptOnceAndNoPadding) {
  ASSERT_EQ(train("count", {"train.max_steps=2", "train.save_steps=0", "grpo.kl_anchor=base"}), 0);
  int64_t seen = 0;
  for (const Json& line : metrics("count")) {
    int64_t tokens = 0, completions = 0, longest = 0;
    for (const Json& one : lines("count", "completions.jsonl")) {
      if (one["step"] != line["step"]) continue;
      const auto length = one["length"].get<int64_t>();
      tokens += length;
      longest = std::max(longest, length);
      ++completions;
    }
    const int64_t prompts = (line["num_tokens"].get<int64_t>() - seen - tokens) / 4;  // counted for each completion
    seen = line["num_tokens"];
    const int64_t training = prompts + tokens - completions;
    const int64_t decoded = line["passes/rows"].get<int64_t>() - 2 * training - prompts;
    EXPECT_GE(decoded, tokens - completions);
    EXPECT_LE(decoded, completions * (longest - 1));
    EXPECT_EQ(line["passes/images"], 4);
  }
}

TEST_F(TrainingRun, TheFirstStepOfAFreshAdapterIsTheReferences) {
  ASSERT_EQ(train("fresh", {kNoReward, "grpo.kl_anchor=base", "lora.lora_dropout=0.3", "train.max_steps=1"}), 0);
  EXPECT_EQ(metrics("fresh").front()["kl"], 0.0);
}

TEST_F(TrainingRun, OldCheckpointsMakeRoom) {
  ASSERT_EQ(train("limit", {"train.save_steps=1", "train.save_total_limit=2"}), 0);
  EXPECT_EQ(checkpoint_steps(at("limit")), (std::vector<int64_t>{3, 4}));
  EXPECT_EQ(bytes(at("limit") / "adapter_model.safetensors"), adapter_bytes("limit", 4));
}

TEST_F(TrainingRun, ABadImageIsSkippedByNameOrFatal) {
  std::filesystem::copy(at("data"), at("damaged"), std::filesystem::copy_options::recursive);
  for (const char* name : {"images/gear/train/good/003.png", "images/ring/train/good/005.png"}) {
    ASSERT_TRUE(std::filesystem::exists(at("damaged") / name));
    std::filesystem::resize_file(at("damaged") / name, 60);
  }
  const std::vector<std::string> sets = {"data.root=" + at("damaged").string() + "/data.jsonl", "train.max_steps=32",
                                         "rollout.max_completion_length=2", "train.save_steps=0"};
  ASSERT_EQ(train("bad", sets), 0);
  const std::string log = bytes(at("bad") / "log.txt");
  EXPECT_THAT(log, HasSubstr("skipped images/gear/train/good/003.png"));
  EXPECT_THAT(log, HasSubstr("skipped images/ring/train/good/005.png"));
  EXPECT_EQ(lines("bad", "completions.jsonl").size(), 4u * 126u);
  std::vector<std::string> fatal = sets;
  fatal.push_back("data.bad_image=fail");
  try {
    train("fatal", fatal);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("good/00"));
  }
}

TEST_F(TrainingRun, TrainingAllWeightsLeavesAModelThatLoads) {
  ASSERT_EQ(train("all", {"stage=sft", "trainable=all", "model.adapter=null", "model.dtype=float32",
                          "train.max_steps=2", "train.save_steps=2"}),
            0);
  Qwen2Vl before = load_model(at("model"), at::kFloat, at::kCPU), after = load_model(at("all"), at::kFloat, at::kCPU);
  int64_t changed = 0, all = 0;
  const auto weights = after->named_parameters();
  for (const auto& item : before->named_parameters()) {
    ++all;
    changed += !at::equal(item.value(), weights[item.key()]);
  }
  EXPECT_GE(changed, all - 2);  // the vision tower's too
  EXPECT_EQ(bytes(at("all") / "model.safetensors"), bytes(checkpoint("all", 2) / "model.safetensors"));
  EXPECT_TRUE(std::filesystem::exists(at("all") / "tokenizer.json"));
  const auto curve = metrics("all");
  EXPECT_LT(curve[1]["loss"].get<double>(), curve[0]["loss"].get<double>());
}

}  // namespace
}  // namespace lriad
