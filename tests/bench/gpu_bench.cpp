// The part of scripts/bench_gpu.sh that looks inside a step: parity of the device with the CPU on a tiny model, what
// the device can do at most, and the time of a generated token. Usage:
//   bench_gpu parity DEVICE          exits with 1 if the device differs from the CPU
//   bench_gpu speed DEVICE MODEL     MODEL is a model folder
// DEVICE is cpu or cuda. Prints one JSON object.
#include <ATen/ATen.h>
#include <ATen/DeviceAccelerator.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <iostream>
#include <nlohmann/json.hpp>

#include "lriad/core/error.h"
#include "lriad/dist/gpus.h"
#include "lriad/model/model_config.h"
#include "lriad/run/phase_clock.h"
#include "support/tiny_model.h"

namespace lriad {
namespace {

using nlohmann::ordered_json;

constexpr int64_t kGenerations = 8;

/// Sizes of what is measured; on the CPU they only show that it runs.
struct Sizes {
  int64_t copied, product, prompt, tokens;
  at::ScalarType dtype;
};

Sizes sizes_for(const at::Device& device) {
  if (device.is_cuda()) return {int64_t{1} << 31, 8192, 600, 64, at::kBFloat16};
  return {int64_t{1} << 22, 256, 20, 4, at::kFloat};
}

void wait_for(const at::Device& device) {
  if (device.is_cuda()) at::accelerator::synchronizeDevice(device.index());
}

/// Seconds of one run: the median of five after two that are not counted.
double seconds_of(const at::Device& device, const std::function<void()>& work) {
  std::vector<double> seconds;
  for (int round = -2; round < 5; ++round) {
    wait_for(device);
    const auto start = std::chrono::steady_clock::now();
    work();
    wait_for(device);
    if (round >= 0) seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  std::ranges::sort(seconds);
  return seconds[2];
}

/// A model that is small but has heads as wide as half a real one's, with an adapter that does something.
Qwen2Vl parity_model(at::ScalarType dtype, const at::Device& device) {
  ModelConfig config = tiny_config();
  config.text = {512, 256, 768, 2, 4, 2, 64, 1e-6, 1e4, {8, 12, 12}};
  Qwen2Vl model = tiny_model(config, 1, dtype);
  add_tiny_adapter(model, 2);
  model->to(device);
  return model;
}

std::vector<GenerationPrompt> parity_prompts(const at::Device& device) {
  Qwen2Vl model = parity_model(at::kFloat, at::kCPU);
  std::vector<GenerationPrompt> prompts = {tiny_prompt(model, 9, {{1, 4, 4}}, 1), tiny_prompt(model, 30, {}, 2)};
  for (GenerationPrompt& prompt : prompts) {
    if (prompt.features_MD.defined()) prompt.features_MD = prompt.features_MD.to(device);
  }
  return prompts;
}

std::vector<std::vector<Completion>> sampled(const at::Device& device) {
  Qwen2Vl model = parity_model(at::kFloat, device);
  GenerationSettings settings;
  settings.num_generations = kGenerations;
  settings.max_new_tokens = 32;
  settings.seed = 7;
  return generate(model, parity_prompts(device), settings);
}

struct Learned {
  at::Tensor logp_M;      ///< float64, CPU
  at::Tensor gradient_P;  ///< of all adapter tensors one after another, float64, CPU
};

/// Log-probabilities and gradient of fixed completions.
Learned learned(at::ScalarType dtype, const at::Device& device) {
  Qwen2Vl model = parity_model(dtype, device);
  std::vector<Group> groups;
  for (const GenerationPrompt& prompt : parity_prompts(device)) {
    groups.push_back(tiny_group(prompt, {40, 1, 12, 33}, groups.size() + 1));
    if (prompt.features_MD.defined()) groups.back().features_ID = prompt.features_MD.to(dtype);
  }
  const PackedGroups packed = pack_groups(addresses_of(groups), model->config(), Prefix::kShared, device);
  TokenLogprobs now =
      token_logprobs(model, packed, 1, [](const at::Tensor& logp_C, int64_t) { return (logp_C + 5) / 100; });
  now.backward();
  std::vector<at::Tensor> gradients;
  for (auto& [name, parameter] : model->lora_parameters()) {
    gradients.push_back(parameter.grad().to(at::kDouble).flatten().cpu());
  }
  return {now.logp_M.to(at::kDouble).cpu(), at::cat(gradients)};
}

double relative_gap(const at::Tensor& a, const at::Tensor& b) {
  return largest_gap(a, b) / b.abs().max().item<double>();
}

ordered_json parity(const at::Device& device) {
  constexpr double kLogp = 1e-4, kGradient = 1e-3;
  const Learned host = learned(at::kFloat, at::kCPU), there = learned(at::kFloat, device);
  const Learned again = learned(at::kBFloat16, device), rounded = learned(at::kBFloat16, device);
  const Learned host_rounded = learned(at::kBFloat16, at::kCPU);
  int64_t equal = 0, tokens = 0;
  const auto a = sampled(at::kCPU), b = sampled(device);
  for (std::size_t j = 0; j < a.size(); ++j) {
    for (std::size_t g = 0; g < a[j].size(); ++g) {
      for (std::size_t t = 0; t < a[j][g].ids.size(); ++t, ++tokens) {
        equal += t < b[j][g].ids.size() && a[j][g].ids[t] == b[j][g].ids[t];
      }
    }
  }
  const double logp = largest_gap(there.logp_M, host.logp_M);
  const double gradient = relative_gap(there.gradient_P, host.gradient_P);
  const double bfloat16 = largest_gap(rounded.logp_M, host.logp_M);
  const double bfloat16_host = largest_gap(host_rounded.logp_M, host.logp_M);
  const bool repeats = at::equal(again.logp_M, rounded.logp_M) && at::equal(again.gradient_P, rounded.gradient_P);
  const bool passes =
      logp <= kLogp && gradient <= kGradient && equal == tokens && bfloat16 <= 2 * bfloat16_host && repeats;
  return {{"passes", passes},
          {"logp_gap", logp},
          {"gradient_gap", gradient},
          {"equal_tokens", equal},
          {"tokens", tokens},
          {"bfloat16_logp_error", bfloat16},
          {"bfloat16_logp_error_cpu", bfloat16_host},
          {"repeats", repeats}};
}

/// What the device does at most: GB/s copied (read and written), GB/s read, TFLOP/s of a product.
ordered_json ceilings(const at::Device& device, const Sizes& sizes) {
  const auto options = at::TensorOptions().device(device).dtype(at::kBFloat16);
  const double bytes = 2 * static_cast<double>(sizes.copied), n = static_cast<double>(sizes.product);
  at::Tensor target = at::empty({sizes.copied}, options);
  const at::Tensor source = at::ones({sizes.copied}, options);
  const double copied = seconds_of(device, [&] { target.copy_(source); });
  const double read = seconds_of(device, [&] { source.sum(at::kFloat); });
  target = at::Tensor();
  const at::Tensor square = at::randn({sizes.product, sizes.product}, options);
  const double product = seconds_of(device, [&] { at::mm(square, square); });
  return {{"copy_gb_s", 2 * bytes / copied / 1e9},
          {"read_gb_s", bytes / read / 1e9},
          {"product_tflop_s", 2 * n * n * n / product / 1e12}};
}

/// Bytes that a token of B rows has to read: the weights that the decoder multiplies with, and the keys and values.
double bytes_of_token(Qwen2Vl& model, double rows, double context) {
  const TextConfig& text = model->config().text;
  double weights = 0;
  for (const auto& item : model->named_parameters()) {
    const bool multiplied =
        item.key().find("visual") == std::string::npos &&
        (item.key().find("embed_tokens") == std::string::npos || model->config().tie_word_embeddings);
    if (multiplied) weights += static_cast<double>(item.value().nbytes());
  }
  const double element = static_cast<double>(model->head().element_size());
  const auto cache = static_cast<double>(2 * text.num_hidden_layers * text.key_dim()) * element;
  return weights + cache * rows * context;
}

ordered_json decode(Qwen2Vl& model, int64_t num_prompts, const Sizes& sizes) {
  const at::Device device = model->head().device();
  std::vector<GenerationPrompt> prompts;
  for (int64_t j = 0; j < num_prompts; ++j) prompts.push_back(tiny_prompt(model, sizes.prompt, {}, 3 + j));
  GenerationSettings settings;
  settings.num_generations = kGenerations;
  settings.sampler.banned = model->config().eos_token_ids;  // no row may end
  const auto seconds = [&](int64_t tokens) {
    settings.max_new_tokens = tokens;
    return seconds_of(device, [&] { generate(model, prompts, settings); });
  };
  const double first = seconds(1), all = seconds(1 + sizes.tokens);
  const double token = (all - first) / static_cast<double>(sizes.tokens);
  const auto rows = static_cast<double>(num_prompts * kGenerations);
  const double context = static_cast<double>(sizes.prompt) + static_cast<double>(sizes.tokens) / 2;
  return {{"rows", rows},
          {"first_token_ms", 1e3 * first},
          {"token_ms", 1e3 * token},
          {"read_gb_s", bytes_of_token(model, rows, context) / token / 1e9}};
}

ordered_json speed(const at::Device& device, const std::string& folder) {
  const Sizes sizes = sizes_for(device);
  ordered_json result = ceilings(device, sizes);
  Qwen2Vl model = load_model(folder, sizes.dtype, device);
  AdapterConfig adapter;
  adapter.r = 4;
  adapter.lora_alpha = 16;
  adapter.target_modules = {{"q_proj", "v_proj"}, ""};
  add_lora(model, adapter, 0);
  for (const int64_t num_prompts : {1, 2}) result["decode"].push_back(decode(model, num_prompts, sizes));
  result["peak_gb"] = peak_memory_gb(device);
  return result;
}

int run(const std::vector<std::string>& arguments) {
  const bool is_parity = arguments.size() == 2 && arguments[0] == "parity";
  const bool is_speed = arguments.size() == 3 && arguments[0] == "speed";
  if (!is_parity && !is_speed) fail("bench", "expected parity DEVICE, or speed DEVICE MODEL");
  const bool on_gpu = arguments[1] == "cuda";
  if (!on_gpu && arguments[1] != "cpu") fail("bench", "DEVICE is ", arguments[1], ", expected cpu or cuda");
  if (on_gpu && num_gpus() == 0) fail("bench", "no GPU is here; --dry-run needs none");
  const at::Device device = on_gpu ? at::Device(at::kCUDA, 0) : at::Device(at::kCPU);
  use_device(device, 1);
  const ordered_json result = is_parity ? parity(device) : speed(device, arguments[2]);
  std::cout << result.dump() << '\n';
  return is_parity && !result["passes"].get<bool>() ? 1 : 0;
}

}  // namespace
}  // namespace lriad

int main(int argc, char** argv) {
  try {
    return lriad::run(std::vector<std::string>(argv + 1, argv + argc));
  } catch (const lriad::Error& error) {
    std::cerr << error.what() << '\n';
    return 2;
  }
}
