// Compares generation and learning passes of tiny random models on the fake device with the CPU.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "lriad/grpo/loss.h"
#include "lriad/model/dropout.h"
#include "lriad/model/feature_cache.h"
#include "support/fake_device.h"
#include "support/tiny_model.h"

namespace lriad {
namespace {

struct Precision {
  at::ScalarType dtype;
  double tolerance;
};

/// The same model with adapter on the CPU and on the device.
struct Twins {
  Qwen2Vl host{nullptr}, device{nullptr};

  explicit Twins(at::ScalarType dtype, double dropout = 0,
                 const std::vector<std::string>& targets = {"q_proj", "v_proj"}, bool qk_norm = false)
      : host(model(dtype, dropout, targets, qk_norm)), device(model(dtype, dropout, targets, qk_norm)) {
    device->to(fake_device());
  }

 private:
  static Qwen2Vl model(at::ScalarType dtype, double dropout, const std::vector<std::string>& targets, bool qk_norm) {
    ModelConfig config = tiny_config();
    config.eos_token_ids = {44, 45, 40, 41, 0, 1, 2, 3};
    config.text.qk_norm = qk_norm;
    config.text.qkv_bias = !qk_norm;
    Qwen2Vl model = tiny_model(config, 3, dtype);
    if (!targets.empty()) add_tiny_adapter(model, 5, dropout, targets);
    for (auto& [name, parameter] : model->lora_parameters()) {
      parameter.set_data(parameter.to(dtype));
      parameter.requires_grad_();
    }
    return model;
  }
};

std::vector<GenerationPrompt> prompts_of(Qwen2Vl& model) {
  return {tiny_prompt(model, 9, {{1, 4, 4}}, 1), tiny_prompt(model, 3, {}, 2),
          tiny_prompt(model, 5, {{1, 2, 4}, {1, 6, 2}}, 3)};
}

std::vector<GenerationPrompt> on_device(std::vector<GenerationPrompt> prompts) {
  for (GenerationPrompt& prompt : prompts) {
    if (prompt.features_MD.defined()) prompt.features_MD = prompt.features_MD.to(fake_device());
  }
  return prompts;
}

std::vector<Group> groups_of(Qwen2Vl& model) {
  std::vector<Group> groups;
  for (const GenerationPrompt& prompt : prompts_of(model)) {
    groups.push_back(tiny_group(prompt, {7, 1, 12, 5}, /*seed=*/groups.size() + 1));
  }
  return groups;
}

std::vector<Group> on_device(std::vector<Group> groups) {
  for (Group& group : groups) {
    if (group.features_ID.defined()) group.features_ID = group.features_ID.to(fake_device());
  }
  return groups;
}

TEST(FakeDeviceDropout, MasksAreThoseOfTheCpuToTheBit) {
  std::vector<int64_t> keys;
  for (int64_t row = 0; row < 100; ++row) keys.push_back(dropout_key(9, row));
  const at::Tensor keys_T = at::tensor(keys, at::kLong);
  for (const uint64_t stream : {1, 2, 150}) {
    EXPECT_TRUE(at::equal(dropout_mask(keys_T, stream, 70, 0.9, at::kFloat),
                          dropout_mask(keys_T.to(fake_device()), stream, 70, 0.9, at::kFloat).cpu()));
  }
}

class FakeDevicePasses : public ::testing::TestWithParam<Precision> {};
INSTANTIATE_TEST_SUITE_P(Dtypes, FakeDevicePasses,
                         ::testing::Values(Precision{at::kDouble, 1e-11}, Precision{at::kFloat, 1e-5}));

TEST_P(FakeDevicePasses, TheImagesOfAStepGiveTheFeaturesOfTheCpu) {
  Twins twins(GetParam().dtype);
  const at::NoGradGuard no_grad;
  at::Generator generator = seeded(4);
  const std::vector<Grid> grids = {{1, 4, 4}, {1, 2, 6}};
  const at::Tensor patches = normal({28, twins.host->config().vision.patch_dim()}, generator).to(GetParam().dtype);
  EXPECT_LE(largest_gap(twins.host->image_features(patches, grids),
                        twins.device->image_features(patches.to(fake_device()), grids).cpu()),
            GetParam().tolerance);
}

void expect_equal(const Completion& a, const Completion& b, double tolerance) {
  ASSERT_EQ(a.ids, b.ids);
  EXPECT_EQ(a.truncated, b.truncated);
  EXPECT_EQ(a.allowed_TV.defined(), b.allowed_TV.defined());
  if (a.allowed_TV.defined()) {
    EXPECT_TRUE(at::equal(a.allowed_TV, b.allowed_TV));
  }
  for (std::size_t t = 0; t < a.trace.size(); ++t) {
    EXPECT_NEAR(a.trace[t].sampling_logp, b.trace[t].sampling_logp, tolerance);
    EXPECT_NEAR(a.trace[t].logp, b.trace[t].logp, tolerance);
    EXPECT_NEAR(a.trace[t].answer_logit_a, b.trace[t].answer_logit_a, tolerance);
    EXPECT_NEAR(a.trace[t].answer_logit_b, b.trace[t].answer_logit_b, tolerance);
    EXPECT_NEAR(a.trace[t].log_sum, b.trace[t].log_sum, tolerance);
  }
}

void expect_equal_completions(Twins& twins, const GenerationSettings& settings, double tolerance) {
  const auto prompts = prompts_of(twins.host);
  const auto host = generate(twins.host, prompts, settings);
  const auto device = generate(twins.device, on_device(prompts), settings);
  for (std::size_t j = 0; j < prompts.size(); ++j) {
    for (std::size_t g = 0; g < host[j].size(); ++g) expect_equal(host[j][g], device[j][g], tolerance);
  }
}

GenerationSettings twenty_tokens() {
  GenerationSettings settings;
  settings.num_generations = 4;
  settings.max_new_tokens = 20;
  settings.seed = 7;
  settings.answer_tokens = {5, 6};
  return settings;
}

TEST_P(FakeDevicePasses, ImagesGoThroughTheTowerTogetherOnlyWithoutACache) {
  Twins twins(GetParam().dtype);
  std::vector<Patches> images(3);
  std::vector<const Patches*> addresses;
  at::Generator generator = seeded(4);
  for (Patches& image : images) {
    image.grid = {1, 4, static_cast<int64_t>(4 + 2 * addresses.size())};
    image.values.resize(static_cast<std::size_t>(image.tokens(1) * twins.host->config().vision.patch_dim()));
    const at::Tensor values = normal({std::ssize(image.values)}, generator).to(at::kFloat);
    std::copy_n(values.const_data_ptr<float>(), image.values.size(), image.values.begin());
    addresses.push_back(&image);
  }
  FeatureCache host({0, 0, {}}, twins.host), together({0, 0, {}}, twins.device), alone({1, 0, {}}, twins.device);
  const std::vector<at::Tensor> expected = host.features(addresses);
  const auto launches_of = [&](FeatureCache& cache) {
    const DeviceCounts before = device_counts();
    const std::vector<at::Tensor> features = cache.features(addresses);
    const int64_t launches = (device_counts() - before).launches;
    for (std::size_t k = 0; k < images.size(); ++k) {
      EXPECT_LE(largest_gap(expected[k], features[k].cpu()), GetParam().tolerance);
    }
    return launches;
  };
  EXPECT_LT(3 * launches_of(together), 2 * launches_of(alone));  // in float32 each image has its own attention
}

TEST_P(FakeDevicePasses, GenerationGivesTheTokensOfTheCpu) {
  Twins twins(GetParam().dtype);
  GenerationSettings settings = twenty_tokens();
  const std::vector<SamplerSettings> samplers = {
      {0.9, 0, 1, 0, {}}, {0, 0, 1, 0, {40, 41}}, {1, 9, 0.85, 0.02, {6, 40, 41, 42, 43}}};
  for (const SamplerSettings& sampler : samplers) {
    settings.sampler = sampler;
    for (const bool keep_allowed : {false, true}) {
      settings.keep_allowed = keep_allowed;
      expect_equal_completions(twins, settings, GetParam().tolerance);
    }
  }
}

TEST_P(FakeDevicePasses, GenerationOfOtherFamiliesAndAdaptersGivesTheTokensOfTheCpu) {
  const std::vector<std::vector<std::string>> adapters = {
      {"q_proj", "k_proj", "v_proj"}, {"o_proj", "gate_proj"}, {"down_proj", "up_proj"}, {}};
  for (const bool qk_norm : {false, true}) {
    for (const auto& targets : adapters) {
      Twins twins(GetParam().dtype, /*dropout=*/0, targets, qk_norm);
      expect_equal_completions(twins, twenty_tokens(), GetParam().tolerance);
    }
  }
}

TEST_P(FakeDevicePasses, GenerationWithTheAdapterOffGivesTheTokensOfTheCpu) {
  Twins twins(GetParam().dtype);
  twins.host->enable_lora(false);
  twins.device->enable_lora(false);
  expect_equal_completions(twins, twenty_tokens(), GetParam().tolerance);
}

TEST_P(FakeDevicePasses, AStoppedGenerationLeavesTheModelAsItWas) {
  Twins twins(GetParam().dtype);
  GenerationSettings settings = twenty_tokens();
  int calls = 0;
  settings.each_token = [&] {
    if (++calls == 5) throw std::runtime_error("stop");
  };
  EXPECT_THROW(generate(twins.device, on_device(prompts_of(twins.host)), settings), std::runtime_error);
  expect_equal_completions(twins, twenty_tokens(), GetParam().tolerance);
}

/// The log-probabilities of the groups' tokens and the adapter's gradient of the GRPO loss with a KL term.
std::pair<at::Tensor, std::map<std::string, at::Tensor>> learn(Qwen2Vl& model, std::vector<Group> groups,
                                                               Prefix prefix) {
  for (Group& group : groups) {
    for (std::size_t i = 0; i < group.completions.size(); ++i) {
      group.completions[i].advantage = static_cast<double>(i) - 1.5;
      group.completions[i].weight = 0.01;
    }
  }
  const auto addresses = addresses_of(groups);
  const at::Device device = model->head().device();
  const PackedGroups packed = pack_groups(addresses, model->config(), prefix, device);
  LossInputs in = loss_inputs(addresses, model->head().scalar_type(), device);
  model->eval();
  in.reference_M = token_logprobs(model, packed, 0.9).logp_M - 0.1;
  GrpoSection section;
  section.policy_loss = PolicyLoss::kRatio;
  section.beta = 0.04;
  model->train();
  TokenLogprobs now = token_logprobs(
      model, packed, 0.9,
      [&](const at::Tensor& logp_C, int64_t begin) { return grpo_logprob_gradient(in, logp_C, begin, section); },
      /*logits_at_once=*/400);
  now.backward();
  model->eval();
  std::map<std::string, at::Tensor> gradients;
  for (auto& [name, parameter] : model->lora_parameters()) gradients[name] = parameter.grad().cpu();
  return {now.logp_M.cpu(), gradients};
}

TEST_P(FakeDevicePasses, TheLossAndItsGradientAreThoseOfTheCpu) {
  for (const Prefix prefix : {Prefix::kShared, Prefix::kOwn}) {
    for (const bool recomputed : {false, true}) {
      Twins twins(GetParam().dtype, /*dropout=*/recomputed ? 0.3 : 0);
      twins.host->set_gradient_checkpointing(recomputed);
      twins.device->set_gradient_checkpointing(recomputed);
      const auto groups = groups_of(twins.host);
      const auto [host_logp, host] = learn(twins.host, groups, prefix);
      const auto [device_logp, device] = learn(twins.device, on_device(groups), prefix);
      EXPECT_LE(largest_gap(host_logp, device_logp), GetParam().tolerance);
      for (const auto& [name, gradient] : host) {
        EXPECT_GT(gradient.abs().max().item<double>(), 0) << name;
        EXPECT_LE(largest_gap(gradient, device.at(name)), GetParam().tolerance) << name;
      }
    }
  }
}

/// Attention with the gradients of q, k and v to a sum with `upstream`.
std::vector<at::Tensor> attention_and_gradients(const std::vector<at::Tensor>& qkv, const at::Tensor& upstream,
                                                const std::shared_ptr<const AttentionLayout>& layout) {
  std::vector<at::Tensor> inputs;
  for (const at::Tensor& x : qkv) inputs.push_back(x.detach().clone().requires_grad_());
  const at::Tensor out = packed_attention(inputs[0], inputs[1], inputs[2], layout);
  (out * upstream).sum().backward();
  return {out.detach().cpu(), inputs[0].grad().cpu(), inputs[1].grad().cpu(), inputs[2].grad().cpu()};
}

// The layout is that of bfloat16, which flash attention serves; the stand-in for it computes float32 as it is.
TEST(FakeDeviceFlashAttention, GivesTheAttentionAndGradientsOfTheCpu) {
  at::Generator generator = seeded(6);
  const std::vector<std::vector<RowSpan>> layouts = {
      {{0, 9, -1}},
      {{0, 5, -1}, {5, 6, -1}},
      {{0, 6, -1}, {6, 9, 0}, {9, 10, 0}, {10, 15, -1}, {15, 22, 3}, {22, 24, 3}}};
  for (const auto& spans : layouts) {
    const int64_t rows = spans.back().end;
    const auto numbers = [&](int64_t heads) { return normal({rows, heads, 8}, generator).to(at::kFloat); };
    const std::vector<at::Tensor> host = {numbers(6), numbers(2), numbers(2)};
    std::vector<at::Tensor> device;
    for (const at::Tensor& x : host) device.push_back(x.to(fake_device()));
    const at::Tensor upstream = numbers(6);
    const auto want = attention_and_gradients(host, upstream, attention_layout(spans, 6, host[0].options()));
    const auto layout = attention_layout(spans, 6, device[0].options().dtype(at::kBFloat16));
    const auto got = attention_and_gradients(device, upstream.to(fake_device()), layout);
    for (std::size_t k = 0; k < want.size(); ++k) EXPECT_LE(largest_gap(want[k], got[k]), 1e-5) << k;
  }
}

TEST(FakeDeviceFlashAttention, GivesTheAttentionOfTheCpuWithinSegments) {
  at::Generator generator = seeded(8);
  const std::vector<int64_t> lengths = {3, 1, 8, 4};
  const at::Tensor qkv = normal({16, 3, 2, 8}, generator).to(at::kFloat), device = qkv.to(fake_device());
  const at::Tensor want =
      segment_attention(qkv.select(1, 0), qkv.select(1, 1), qkv.select(1, 2), make_segments(lengths, qkv.options()));
  const at::Tensor got = segment_attention(device.select(1, 0), device.select(1, 1), device.select(1, 2),
                                           make_segments(lengths, device.options().dtype(at::kBFloat16)));
  EXPECT_LE(largest_gap(want, got.cpu()), 1e-6);
}

/// Cosine of the angle between two gradients.
double cosine(const at::Tensor& a, const at::Tensor& b) {
  const at::Tensor x = a.to(at::kDouble).flatten(), y = b.to(at::kDouble).flatten();
  return (x.dot(y) / (x.norm() * y.norm())).item<double>();
}

TEST(FakeDeviceFlashAttention, TheLossOfABfloat16ModelAndItsGradientAreThoseOfTheCpuUpToRounding) {
  Twins twins(at::kBFloat16);
  const auto groups = groups_of(twins.host);
  const auto [host_logp, host] = learn(twins.host, groups, Prefix::kShared);
  const auto [device_logp, device] = learn(twins.device, on_device(groups), Prefix::kShared);
  EXPECT_LE(largest_gap(host_logp, device_logp), 0.1);
  for (const auto& [name, gradient] : host) EXPECT_GT(cosine(gradient, device.at(name)), 0.99) << name;
}

}  // namespace
}  // namespace lriad
