#include "lriad/config/model_settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lriad/core/error.h"
#include "lriad/core/files.h"
#include "support/temp_folder.h"

namespace lriad {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

ModelSettings some_settings() {
  ModelSettings settings;
  settings.prompt_template = "Is this {object} A or B?\n\"é\"";
  settings.system = "Be brief.";
  settings.image = {4000, 9000, ResizeBackend::kTorchvision, SixteenBit::kScale};
  settings.object_names = {{"01", "circular mold"}};
  settings.letter_a = 7;
  settings.letter_b = 9;
  settings.threshold = 0.125;
  settings.threshold_chosen_on = "train";
  settings.chosen_on = {"data/visa", "test", "auroc"};
  settings.program = "lriad-train";
  settings.version = "1.2.3";
  return settings;
}

LoadedConfig config_of(const std::vector<std::string>& sets) {
  ConfigInput input;
  input.sets = sets;
  input.use = ConfigUse::kEval;
  return load_config(input);
}

TEST(ModelSettings, ComeBackAsTheyWereWritten) {
  const TempFolder folder;
  EXPECT_FALSE(read_model_settings(folder.path()).has_value());
  write_model_settings(folder.path(), some_settings());
  const ModelSettings read = read_model_settings(folder.path()).value();
  EXPECT_EQ(read.prompt_template, some_settings().prompt_template);
  EXPECT_EQ(read.system, "Be brief.");
  EXPECT_EQ(read.image.max_pixels, 9000);
  EXPECT_EQ(read.image.backend, ResizeBackend::kTorchvision);
  EXPECT_EQ(read.image.sixteen_bit, SixteenBit::kScale);
  EXPECT_EQ(read.object_names, some_settings().object_names);
  EXPECT_EQ(read.letter_b, 9);
  EXPECT_EQ(read.threshold, 0.125);
  EXPECT_EQ(read.threshold_chosen_on, "train");
  EXPECT_EQ(read.chosen_on->root, "data/visa");
  EXPECT_EQ(read.version, "1.2.3");
}

TEST(ModelSettings, FillWhatNobodySetAndNameWhatDiffers) {
  LoadedConfig loaded = config_of({"image.max_pixels=5000", "image.min_pixels=4000", "prompt.template=other {object}"});
  const std::vector<std::string> different = apply_model_settings(loaded, some_settings());
  EXPECT_THAT(different, ElementsAre(HasSubstr("prompt.template of --set differs"),
                                     HasSubstr("image.max_pixels of --set differs")));
  EXPECT_EQ(loaded.config.image.max_pixels, 5000);
  EXPECT_EQ(loaded.config.prompt.template_text, "other {object}");
  EXPECT_EQ(loaded.config.prompt.system, "Be brief.");
  EXPECT_EQ(loaded.config.image.backend, ResizeBackend::kTorchvision);
  EXPECT_EQ(loaded.config.data.object_names.at("01"), "circular mold");
}

TEST(ModelSettings, BringReferenceImagesAndTheirPrompt) {
  const TempFolder folder;
  ModelSettings shown = some_settings(), none = some_settings();
  shown.prompt_template = kReferencePrompt;
  shown.reference_normal = 2;
  none.prompt_template = kPaperPrompt;
  write_model_settings(folder.path(), shown);
  EXPECT_EQ(read_model_settings(folder.path())->reference_normal, 2);

  LoadedConfig loaded = config_of({"data.object_names={}"});
  EXPECT_THAT(apply_model_settings(loaded, shown), ElementsAre(HasSubstr("data.object_names")));
  EXPECT_EQ(loaded.config.data.reference.normal, 2);
  EXPECT_EQ(loaded.config.prompt.template_text, kReferencePrompt);
  // A number that somebody set wins, and a default prompt goes with it.
  loaded = config_of({"data.reference.normal=0"});
  EXPECT_THAT(apply_model_settings(loaded, shown), ElementsAre(HasSubstr("data.reference.normal of --set differs")));
  EXPECT_EQ(loaded.config.data.reference.normal, 0);
  EXPECT_EQ(loaded.config.prompt.template_text, kPaperPrompt);
  loaded = config_of({"data.reference.normal=1"});
  EXPECT_THAT(apply_model_settings(loaded, none), ElementsAre(HasSubstr("data.reference.normal of --set differs")));
  EXPECT_EQ(loaded.config.prompt.template_text, kReferencePrompt);
}

TEST(ModelSettings, RefuseADamagedFile) {
  const TempFolder folder;
  const auto error_of = [&](const std::string& text) -> std::string {
    write_file_atomic("test", folder.path() / kModelSettingsFile, text);
    try {
      read_model_settings(folder.path());
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  write_model_settings(folder.path(), some_settings());
  std::string text = read_file("test", folder.path() / kModelSettingsFile);
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string changed = text;
    return changed.replace(changed.find(from), from.size(), to);
  };
  EXPECT_THAT(error_of("{"), HasSubstr(kModelSettingsFile));
  EXPECT_THAT(error_of("{}"), HasSubstr("prompt"));
  EXPECT_THAT(error_of(with("9000", "0")), HasSubstr("image.max_pixels"));
  EXPECT_THAT(error_of(with("9000", "9000.5")), HasSubstr("image.max_pixels is 9000.5"));
  EXPECT_THAT(error_of(with("\"torchvision\"", "\"cubic\"")), HasSubstr("cubic"));
  EXPECT_THAT(error_of(with("\"A\": 7", "\"A\": null")), HasSubstr("letters.A is null"));
  EXPECT_THAT(error_of(with("\"reference\": null", "\"reference\": {\"normal\": -1}")), HasSubstr("reference.normal"));
}

}  // namespace
}  // namespace lriad
