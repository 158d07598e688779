#include "lriad/config/load_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config_text.h"
#include "lriad/core/files.h"

namespace lriad {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST(LoadConfig, GivesTheDefaultsOfTheContract) {
  const Config config = load_sets({}).config;
  EXPECT_EQ(canonical_config(config), canonical_config(Config()));
  EXPECT_EQ(config.prompt.template_text, kPaperPrompt);
  EXPECT_EQ(config.grpo.epsilon, 0.2);
  EXPECT_FALSE(config.preset.has_value());
  EXPECT_FALSE(config.eval_data.has_value());
}

TEST(LoadConfig, ReadsWhatPythonWrites) {
  const ConfigFiles files;
  ConfigInput input;
  input.files = {files.write(
      "a.yaml", kNeeded +
                    "optim:\n  learning_rate: 1e-06\n  adam_epsilon: 1.0\nguard:\n  zscore: 1000000000.0\n"
                    "distributed:\n  devices: 2\nlora:\n  lora_alpha: 16\n  target_modules:\n  - q_proj\n"
                    "  - v_proj\nlog: {tensorboard: false}\nprompt:\n  template: 'Is this {object}\n\n    A?'\n")};
  const Config config = load_config(input).config;
  EXPECT_EQ(config.optim.learning_rate, 1e-6);
  EXPECT_EQ(config.guard.zscore, 1e9);
  EXPECT_EQ(config.distributed.devices, "2");
  EXPECT_EQ(config.lora.target_modules, (ModuleNames{{"q_proj", "v_proj"}, ""}));
  EXPECT_TRUE(config.lora.exclude_modules.empty());
  EXPECT_FALSE(config.log.tensorboard);
  EXPECT_EQ(config.prompt.template_text, "Is this {object}\nA?");
}

TEST(LoadConfig, ReadsJsonIndentedWithTabs) {
  const ConfigFiles files;
  EXPECT_EQ(
      files.problems("{\n\t\"output_dir\": \"o\",\n\t\"model\": {\"path\": \"m\"},\n\t\"data\": {\"root\": \"d\"}\n}"),
      "");
}

TEST(LoadConfig, TakesLaterFilesThenSetsThenOptions) {
  const ConfigFiles files;
  ConfigInput input;
  input.files = {files.write("a.yaml", kNeeded + "seed: 1\ngrpo: {beta: 0.1, std: unbiased, num_iterations: 2}\n"),
                 files.write("b.yaml", "grpo:\n  beta: 0.2\n  num_iterations: 3\n")};
  input.sets = {"grpo.beta=0.3", "grpo.beta=0.4", "output_dir=runs/set"};
  input.options = {{"--output", "output_dir=\"runs/option\""}};
  LoadedConfig loaded = load_config(input);
  EXPECT_EQ(loaded.config.grpo.beta, 0.4);
  EXPECT_EQ(loaded.config.grpo.num_iterations, 3);
  EXPECT_EQ(loaded.config.grpo.std, StdKind::kUnbiased);
  EXPECT_EQ(loaded.config.output_dir, "runs/option");
  EXPECT_EQ(loaded.origins["grpo.beta"], "--set");
  EXPECT_EQ(loaded.origins["output_dir"], "--output");
  EXPECT_EQ(loaded.origins["grpo.num_iterations"], files.folder() + "b.yaml:3");
  EXPECT_EQ(loaded.origins["seed"], files.folder() + "a.yaml:4");
  EXPECT_EQ(loaded.origins["grpo.kl_anchor"], "default");
}

TEST(LoadConfig, TakesNullForTheDefaultOrForOff) {
  const ConfigFiles files;
  ConfigInput input;
  input.files = {
      files.write("a.yaml", kNeeded + "seed: 7\ngrpo: {epsilon: 0.3, beta: 1}\noptim: {weight_decay: 0.5}\n"),
      files.write("b.yaml", "seed: null\ngrpo: {epsilon: null, beta: ~}\noptim:\nguard: {zscore: null}\n")};
  LoadedConfig loaded = load_config(input);
  EXPECT_EQ(loaded.config.seed, 42u);
  EXPECT_EQ(loaded.config.grpo.beta, 0.04);
  EXPECT_EQ(loaded.config.optim.weight_decay, 0.0);
  EXPECT_EQ(loaded.origins["grpo.beta"], "default");
  EXPECT_FALSE(loaded.config.grpo.epsilon.has_value());
  EXPECT_FALSE(loaded.config.guard.zscore.has_value());
}

TEST(LoadConfig, ReadsSectionsOfEvalDataOnlyWhenGiven) {
  const Config config = load_sets({"eval_data={format: visa, root: data/visa}", "eval_data.split=test"}).config;
  ASSERT_TRUE(config.eval_data.has_value());
  EXPECT_EQ(config.eval_data->format, "visa");
  EXPECT_EQ(config.eval_data->split, "test");
  EXPECT_EQ(config.data.format, "mvtec");
  EXPECT_FALSE(load_sets({"eval_data={root: d}", "eval_data=null"}).config.eval_data.has_value());
}

TEST(LoadConfig, ReadsTheSettingsOfLriadEval) {
  const Config config = load_sets({"eval.batch_size=0", "eval.max_new_tokens=12", "eval.temperature=0.5",
                                   "eval.invalid_extra_class=true"})
                            .config;
  EXPECT_EQ(config.eval.batch_size, 0);
  EXPECT_EQ(config.eval.max_new_tokens, 12);
  EXPECT_EQ(config.eval.temperature, 0.5);
  EXPECT_TRUE(config.eval.invalid_extra_class);
  EXPECT_EQ(load_sets({"eval.batch_size=auto"}).config.eval.batch_size, 0);
}

TEST(LoadConfig, ReadsDevicesAsNumberTextOrList) {
  EXPECT_EQ(load_sets({"distributed.devices=4"}).config.distributed.devices, "4");
  EXPECT_EQ(load_sets({"distributed.devices=0,1,3"}).config.distributed.devices, "0,1,3");
  EXPECT_EQ(load_sets({"distributed.devices=[0, 3]"}).config.distributed.devices, "0,3,");
  EXPECT_EQ(load_sets({"distributed.devices=cpu"}).config.distributed.devices, "cpu");
}

TEST(LoadConfig, FollowsAliases) {
  const ConfigFiles files;
  ConfigInput input;
  input.files = {
      files.write("a.yaml", "output_dir: o\nmodel: {path: m}\ndata: &d {root: d, split: test}\neval_data: *d\n")};
  EXPECT_EQ(load_config(input).config.eval_data->split, "test");
}

// Golden: print of canonical_config() when the presets were first written down; a change is a
// change of published behaviour.
TEST(Presets, GiveTheSameConfigAsEver) {
  for (const char* name : {"lriad_paper", "lriad", "visual_rft", "trl_grpo", "trl_bnpo", "trl_dr_grpo", "trl_dapo"}) {
    const fs::path golden = fs::path(LRIAD_GOLDEN_DIR) / "presets" / (std::string(name) + ".yaml");
    EXPECT_EQ(canonical_config(load_sets({std::string("preset=") + name}).config), read_file("test", golden)) << name;
  }
}

TEST(Presets, LeaveKeysThatSomebodySet) {
  const ConfigFiles files;
  ConfigInput input;
  input.files = {files.write("a.yaml", kNeeded + "grpo: {kl_anchor: base}\npreset: visual_rft\n")};
  input.sets = {"preset=lriad_paper", "grpo.std=unbiased"};
  LoadedConfig loaded = load_config(input);
  EXPECT_EQ(loaded.config.grpo.kl_anchor, KlReference::kBase);
  EXPECT_EQ(loaded.config.grpo.std, StdKind::kUnbiased);
  EXPECT_EQ(loaded.origins["grpo.policy_loss"], "preset lriad_paper");
  EXPECT_EQ(loaded.origins["grpo.kl_anchor"], files.folder() + "a.yaml:4");
}

TEST(PrintConfig, ReadsBackToTheSameValues) {
  const std::string odd = "odd=[\"a: b\", \"# c\", 'it''s', \"x\\ty\\u00e9\", \"007\", \"null\", \"-\", \"on\"]";
  for (const std::vector<std::string>& sets : std::vector<std::vector<std::string>>{
           {},
           {"preset=lriad", "eval_data.root=x", "train.eval_steps=3", "distributed.devices=0,1"},
           {"data.objects" + odd.substr(3), "data.object_names={\"01\": \"a \\\"b\\\"\", \"x: y\": z}"},
           {"prompt.template=\"  first\\n  second \\n\\n\"", "prompt.system=\"\"", "output_dir=\"a #b\""},
           {"prompt.template=\"first\\n\\n  {object}: # x\\n- y\"", "model.gradient_checkpointing=on"},
           {"sft.responses={defect: [\"<think> a </think>\", b], normal: [c]}", "seed=18446744073709551615"},
           {"optim.learning_rate=3.3333333333333335e-7", "guard.zscore=null", "grpo.epsilon=null", "lora.r=8"}}) {
    const LoadedConfig loaded = load_sets(sets);
    const ConfigFiles files;
    ConfigInput input;
    input.use = ConfigUse::kEval;
    input.files = {files.write("printed.yaml", print_config(loaded))};
    EXPECT_EQ(canonical_config(load_config(input).config), canonical_config(loaded.config)) << print_config(loaded);
  }
}

TEST(PrintConfig, ShowsOriginAndMeaningOfEachKey) {
  const std::string text = print_config(load_sets({"preset=trl_dapo", "output_dir=runs/a"}));
  EXPECT_THAT(text, HasSubstr("output_dir: runs/a                          # --set; folder of the run\n"));
  EXPECT_THAT(text, HasSubstr("  beta: 0.0                                 # preset trl_dapo; weight of the KL term"));
  EXPECT_THAT(text, HasSubstr("  learning_rate: 1.0e-06                    # default; highest rate"));
  EXPECT_THAT(text, HasSubstr("eval_data: null "));
  EXPECT_THAT(text, StartsWith("stage: grpo "));
}

TEST(ShippedConfigs, AreGoodAndNameTheirLaunchCommand) {
  int64_t count = 0;
  for (const auto& entry : fs::directory_iterator(fs::path(LRIAD_GOLDEN_DIR).parent_path().parent_path() / "configs")) {
    if (entry.path().extension() != ".yaml") continue;
    ConfigInput input;
    input.files = {entry.path()};
    EXPECT_NO_THROW(load_config(input)) << entry.path();
    EXPECT_THAT(read_file("test", entry.path()), HasSubstr("configs/" + entry.path().filename().string()));
    ++count;
  }
  EXPECT_GE(count, 8);
}

TEST(ShippedConfigs, RepeatThePublishedRun) {
  for (const char* name : {"mvtec.yaml", "visa.yaml"}) {
    ConfigInput input;
    input.files = {fs::path(LRIAD_GOLDEN_DIR).parent_path().parent_path() / "configs" / name};
    const Config config = load_config(input).config;
    const Config preset = load_sets({"preset=lriad_paper", "grpo.kl_anchor=base"}).config;
    EXPECT_EQ(config.preset, "lriad_paper");
    EXPECT_EQ(config.rollout.num_generations, 4);
    EXPECT_EQ(config.rollout.max_completion_length, 256);
    EXPECT_EQ(config.grpo.kl_anchor, KlReference::kBase);
    EXPECT_EQ(config.grpo.std, preset.grpo.std);
    EXPECT_EQ(config.reward.focal.where, preset.reward.focal.where);
    ASSERT_TRUE(config.eval_data.has_value());
    EXPECT_NE(config.eval_data->format, config.data.format);
  }
}

TEST(LoadConfig, PutsReferenceImagesIntoADefaultPrompt) {
  EXPECT_EQ(load_sets({"data.reference.normal=1"}).config.prompt.template_text, kReferencePrompt);
  EXPECT_EQ(load_sets({"prompt.template=A {object}?", "data.reference.normal=1"}).config.prompt.template_text,
            "A {object}?");
  EXPECT_THAT(kReferencePrompt, ::testing::EndsWith(kPaperPrompt));
  const ConfigFiles files;
  const std::string resolved = print_config(load_sets({"data.reference.normal=1"}));
  ConfigInput input;
  input.files = {files.write("resolved.yaml", resolved)};
  input.use = ConfigUse::kEval;
  EXPECT_EQ(load_config(input).config.prompt.template_text, kReferencePrompt);
  input.sets = {"data.reference.normal=0"};
  EXPECT_EQ(load_config(input).config.prompt.template_text, kPaperPrompt);
  input.sets = {"eval_data.root=x"};
  EXPECT_EQ(load_config(input).config.eval_data->reference.normal, 1);
}

}  // namespace
}  // namespace lriad
