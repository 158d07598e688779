// How much each part of a step asks of the device, as exact numbers.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <functional>
#include <sstream>

#include "lriad/core/error.h"
#include "lriad/core/files.h"
#include "support/fake_device.h"
#include "support/tiny_model.h"

namespace lriad {
namespace {

using Parts = std::vector<std::pair<std::string, DeviceCounts>>;

/// What the parts of a step ask of the device: 2 prompts of one image, 4 completions each.
class CountedStep {
 public:
  explicit CountedStep(int64_t layers) : model_(tiny(layers)) {
    for (const uint64_t seed : {1, 2}) prompts_.push_back(tiny_prompt(model_, 9, {{1, 4, 4}}, seed));
    model_->to(fake_device());
    for (GenerationPrompt& prompt : prompts_) prompt.features_MD = prompt.features_MD.to(fake_device());
    for (auto& [name, parameter] : model_->lora_parameters()) {
      parameter.requires_grad_();
      parameter.mutable_grad() = at::zeros_like(parameter);
    }
  }

  Parts parts() {
    Parts parts = {{"tower, one image", tower()},
                   {"first token", tokens(1)},
                   {"32 further tokens", tokens(33) - tokens(1)},
                   {"reference pass", reference_pass()}};
    const auto [forward, backward] = policy_pass_and_backward();
    parts.emplace_back("policy pass", forward);
    parts.emplace_back("backward pass", backward);
    return parts;
  }

 private:
  static DeviceCounts during(const std::function<void()>& act) {
    const DeviceCounts before = device_counts();
    act();
    return device_counts() - before;
  }

  DeviceCounts tower() {
    const at::NoGradGuard no_grad;
    const at::Tensor patches = at::ones({16, model_->config().vision.patch_dim()}).to(fake_device());
    const std::vector<Grid> grids = {{1, 4, 4}};
    return during([&] { model_->image_features(patches, grids); });
  }

  DeviceCounts tokens(int64_t count) {
    GenerationSettings settings;
    settings.sampler.temperature = 0.9;
    settings.sampler.banned = {40, 41, 42, 43, 44, 45};
    settings.num_generations = 4;
    settings.max_new_tokens = count;
    settings.answer_tokens = {5, 6};
    return during([&] { generate(model_, prompts_, settings); });
  }

  PackedGroups packed() {
    std::vector<Group> groups;
    for (const GenerationPrompt& prompt : prompts_) groups.push_back(tiny_group(prompt, {9, 8, 7, 9}, 3));
    return pack_groups(addresses_of(groups), model_->config(), Prefix::kShared, fake_device());
  }

  DeviceCounts reference_pass() {
    const PackedGroups groups = packed();
    model_->enable_lora(false);
    const DeviceCounts counts = during([&] { token_logprobs(model_, groups, 1); });
    model_->enable_lora(true);
    return counts;
  }

  std::pair<DeviceCounts, DeviceCounts> policy_pass_and_backward() {
    const PackedGroups groups = packed();
    model_->train();
    TokenLogprobs now;
    const auto slope = [](const at::Tensor& logp_C, int64_t) { return at::full_like(logp_C, -0.1); };
    const DeviceCounts forward = during([&] { now = token_logprobs(model_, groups, 1, slope); });
    return {forward, during([&] { now.backward(); })};
  }

  static Qwen2Vl tiny(int64_t layers) {
    ModelConfig config = tiny_config();
    config.text.num_hidden_layers = layers;
    Qwen2Vl model = tiny_model(config, 3, at::kFloat);
    add_tiny_adapter(model, 5, /*dropout=*/0.1);
    return model;
  }

  Qwen2Vl model_;
  std::vector<GenerationPrompt> prompts_;
};

std::string text(const DeviceCounts& counts) {
  return concat(counts.launches, ' ', counts.synchronisations, ' ', counts.copies);
}

// A change that is not meant to alter what the device is asked for leaves tests/golden/device_counts.txt as it is.
// After one that is, run this test with LRIAD_WRITE_GOLDEN=1 and show the new numbers in review.
TEST(FakeDeviceCounts, AreThoseOnRecord) {
  const Parts two = CountedStep(2).parts(), three = CountedStep(3).parts();
  std::string got =
      "# launches, synchronisations, copies to the device: of a tiny model of 2 layers, of a layer more\n";
  for (std::size_t k = 0; k < two.size(); ++k) {
    got += concat(two[k].first, ": ", text(two[k].second), ", ", text(three[k].second - two[k].second), '\n');
  }
  const auto golden = std::filesystem::path(LRIAD_GOLDEN_DIR) / "device_counts.txt";
  if (std::getenv("LRIAD_WRITE_GOLDEN") != nullptr) write_file_atomic("test", golden, got);
  EXPECT_EQ(got, read_file("test", golden));
}

}  // namespace
}  // namespace lriad
