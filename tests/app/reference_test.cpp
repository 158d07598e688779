// Reference images before the image to judge, in whole runs of training and evaluation.
#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <set>

#include "app/program.h"
#include "app/training_run.h"

namespace lriad {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class Reference : public TrainingRun {
 protected:
  using Sets = std::vector<std::string>;

  static Sets with(Sets sets) {
    sets.insert(sets.end(), {"data.reference.normal=1", "log.token_ids=true", "train.save_steps=1"});
    return sets;
  }

  /// An mvtec tree of gears and rings.
  static std::string tree() {
    const Path folder = at("tree");
    command(add_make_data_command,
            "make-data --images 12 --objects gear,ring --size 56 --defect-rate 0.25 --output " + folder.string());
    return folder.string();
  }

  static Ended evaluate(const std::string& name, Sets more) {
    Sets all = {"--model", at("model").string(), "--output", at(name).string(), "--max-new-tokens", "4", "--dtype",
                "float32"};
    all.insert(all.end(), more.begin(), more.end());
    return run_program_file("lriad-eval", all);
  }

  /// The run of `count` tokens of the image in a prompt.
  static std::vector<int64_t> image_runs(const Json& prompt_ids) {
    static const auto image = Json::parse(bytes(at("model") / "config.json")).at("image_token_id").get<int64_t>();
    std::vector<int64_t> runs;
    int64_t before = -1;
    for (const Json& id : prompt_ids) {
      if (id == image && before == image) ++runs.back();
      if (id == image && before != image) runs.push_back(1);
      before = id.get<int64_t>();
    }
    return runs;
  }

  static void expect_references(const Json& line, std::size_t count) {
    ASSERT_EQ(line.at("reference").size(), count);
    std::set<std::string> images = {line.at("image")};
    for (const Json& image : line.at("reference")) images.insert(image.get<std::string>());
    EXPECT_EQ(images.size(), count + 1);
    EXPECT_EQ(image_runs(line.at("prompt_ids")), std::vector<int64_t>(count + 1, 4));
  }
};

TEST_F(Reference, TrainsAndResumesBitEqual) {
  const Sets sets =
      with({"train.max_steps=4", "lora.lora_dropout=0.1", "data.max_samples=8", "train.num_train_epochs=2"});
  ASSERT_EQ(train("whole", sets), 0);
  const std::vector<Json> all = lines("whole", "completions.jsonl");
  ASSERT_EQ(all.size(), 64u);
  std::map<std::string, std::set<std::string>> shown;
  for (const Json& line : all) {
    expect_references(line, 1);
    shown[line["image"]].insert(line["reference"][0].get<std::string>());
  }
  // Two epochs of 8 images: some were shown with another one the second time.
  EXPECT_TRUE(std::ranges::any_of(shown, [](const auto& one) { return one.second.size() > 1; }));
  make_folder("test", at("stopped"));
  for (const char* file : {"metrics.jsonl", "completions.jsonl", "config.yaml"})
    std::filesystem::copy(at("whole") / file, at("stopped") / file);
  std::filesystem::copy(checkpoint("whole", 2), checkpoint("stopped", 2), std::filesystem::copy_options::recursive);
  ASSERT_EQ(train("stopped", sets), 0);
  EXPECT_EQ(adapter_bytes("stopped", 4), adapter_bytes("whole", 4));
  EXPECT_EQ(bytes(at("stopped") / "completions.jsonl"), bytes(at("whole") / "completions.jsonl"));
  const Json settings = Json::parse(bytes(at("whole") / "lriad_settings.json"));
  EXPECT_EQ(settings["reference"], (Json{{"normal", 1}}));
  EXPECT_EQ(settings["prompt"]["template"], kReferencePrompt);
}

TEST_F(Reference, ColdStartsAdapterAndTower) {
  for (const std::string trainable : {"lora", "all"}) {
    Sets sets = {"stage=sft", "trainable=" + trainable, "train.max_steps=2", "data.reference.normal=2",
                 "train.save_steps=1"};
    if (trainable == "all") sets.insert(sets.end(), {"model.adapter=null", "model.dtype=float32"});
    ASSERT_EQ(train(trainable, sets), 0);
    EXPECT_LT(metrics(trainable)[1]["loss"], metrics(trainable)[0]["loss"]);
  }
}

TEST_F(Reference, OneAndTwoRanksGiveTheSame) {
  for (const std::string ranks : {"1", "2"}) {
    Sets arguments = {"--config", at("grpo.yaml").string(), "--devices", ranks, "--output", at(ranks).string()};
    for (const std::string& set :
         with({"train.max_steps=2", "train.gradient_accumulation_steps=" + std::string(ranks == "1" ? "4" : "2")}))
      arguments.insert(arguments.end(), {"--set", set});
    const Ended ended = run_program_file("lriad-train", arguments);
    ASSERT_EQ(ended.code, 0) << ended.err;
  }
  const auto shown = [](const std::string& name) {
    std::vector<Json> kept;
    for (const Json& line : lines(name, "completions.jsonl"))
      kept.push_back({line["image"], line["reference"], line["prompt_ids"], line["completion_ids"]});
    return kept;
  };
  EXPECT_EQ(shown("1"), shown("2"));
  EXPECT_LE((parameters("1", 2) - parameters("2", 2)).abs().max().item<double>(), 1e-12);
}

TEST_F(Reference, ReplaysARefusedBatch) {
  for (const std::string trainable : {"lora", "all"}) {
    Sets sets = with({"stage=sft", "trainable=" + trainable, "guard.max_grad_norm=1e-6", "train.max_steps=1"});
    if (trainable == "all") sets.insert(sets.end(), {"model.adapter=null", "model.dtype=float32"});
    train(trainable, sets);
    Sets arguments = {"--config", (at(trainable) / "config.yaml").string(), "--replay",
                      (at(trainable) / "guard" / "step-1").string()};
    const Ended again = run_program_file("lriad-train", arguments);
    EXPECT_EQ(again.code, 3) << again.err;
    EXPECT_THAT(again.out, HasSubstr("the health guard refuses it"));
  }
}

TEST_F(Reference, TravelsWithTheAdapter) {
  const std::string data = tree();
  ASSERT_EQ(train("run", {"train.max_steps=1", "data.format=mvtec", "data.root=" + data, "data.reference.normal=2"}),
            0);
  const Sets asked = {"--data", data, "--adapter", at("run").string(), "--token-ids", "--maps"};
  const Ended run = evaluate("eval", asked);
  ASSERT_EQ(run.code, 0) << run.err;
  const std::vector<Json> predictions = lines("eval", "predictions.jsonl");
  ASSERT_EQ(predictions.size(), 24u);
  for (const Json& line : predictions) {
    expect_references(line, 2);
    for (const Json& image : line["reference"])
      EXPECT_THAT(image.get<std::string>(), HasSubstr(line["object"].get<std::string>() + "/train/good/"));
    EXPECT_EQ(line["map"]["cells"].size(), 2u);
  }
  EXPECT_EQ(Json::parse(bytes(at("eval") / "metrics.json"))["settings"]["reference_normal"], 2);
  EXPECT_THAT(bytes(at("eval") / "report" / "index.html"), HasSubstr("\"references\":[\"images/"));

  // Neither other images beside them nor the order change what an image is shown with.
  Sets few = asked;
  few.insert(few.end(), {"--limit", "5", "--batch-size", "1"});
  ASSERT_EQ(evaluate("few", few).code, 0);
  for (const Json& line : lines("few", "predictions.jsonl")) {
    const auto same = std::ranges::find(predictions, line["sample_id"], [](const Json& p) { return p["sample_id"]; });
    EXPECT_EQ(line["reference"], (*same)["reference"]);
    EXPECT_EQ(line["prompt_ids"], (*same)["prompt_ids"]);
  }
  Sets none = asked;
  none.insert(none.end(), {"--set", "data.reference.normal=0"});
  const Ended zero = evaluate("none", none);
  ASSERT_EQ(zero.code, 0) << zero.err;
  EXPECT_THAT(zero.err, HasSubstr("data.reference.normal of --set differs from what the model was trained with"));
  for (const Json& line : lines("none", "predictions.jsonl")) EXPECT_FALSE(line.contains("reference"));
}

TEST_F(Reference, ServesImagesOfAnObjectWhoseTrainingImagesAreKnown) {
  const std::string data = tree(), image = data + "/gear/test/good";
  const Sets asked = {"--images", image, "--object", "gear", "--token-ids", "--set", "data.reference.normal=1"};
  const auto plus = [&](Sets more) {
    Sets all = asked;
    all.insert(all.end(), more.begin(), more.end());
    return all;
  };
  const Ended unknown = evaluate("unknown", asked);
  EXPECT_EQ(unknown.code, 2);
  EXPECT_THAT(unknown.err, HasSubstr("no training images are known to draw from"));
  const Ended run = evaluate("eval", plus({"--set", "data.reference.root=" + data}));
  ASSERT_EQ(run.code, 0) << run.err;
  for (const Json& line : lines("eval", "predictions.jsonl")) {
    expect_references(line, 1);
    EXPECT_THAT(line["reference"][0].get<std::string>(), HasSubstr("gear/train/good/"));
  }
  const Ended other = evaluate("other", plus({"--set", "data.reference.root=" + data, "--object", "bolt"}));
  EXPECT_EQ(other.code, 2);
  EXPECT_THAT(other.err, Not(HasSubstr("gear/train")));
}

TEST_F(Reference, NamesTheObjectWithTooFewBeforeAnythingIsLoaded) {
  const std::string data = tree();
  const auto problem = [&](const std::string& name, const Sets& sets) -> std::string {
    try {
      train(name, sets);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_THAT(problem("few", {"data.format=mvtec", "data.root=" + data, "data.reference.normal=9"}),
              AllOf(HasSubstr("object gear"), HasSubstr("data.reference.normal needs 9"), HasSubstr("but 8 of")));
  EXPECT_THAT(problem("split", {"eval_data.format=jsonl", "eval_data.root=" + at("data").string() + "/data.jsonl",
                                "train.eval_steps=1", "data.reference.normal=1"}),
              AllOf(HasSubstr("data.split is train"), HasSubstr("data.reference.root")));
}

}  // namespace
}  // namespace lriad
