#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <iostream>
#include <memory>
#include <optional>

#include "lriad/config/config.h"
#include "lriad/core/error.h"
#include "lriad/core/files.h"
#include "lriad/core/random.h"
#include "lriad/model/model_family.h"
#include "lriad/model/write_model.h"
#include "lriad/text/chat_prompt.h"
#include "lriad/text/tokenizer.h"
#include "lriad/text/train_tokenizer.h"
#include "tool_commands.h"
#include "tool_dtype.h"
#include "tool_make_data_parts.h"
#include "tool_model_config.h"
#include "tool_new_folder.h"

namespace lriad {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kTokens = 640;
constexpr const char* kTokenizerFiles[] = {"tokenizer.json",   "tokenizer_config.json", "vocab.json",
                                           "merges.txt",       "tokenizer.model",       "special_tokens_map.json",
                                           "added_tokens.json"};

/// Objects of MVTec AD and VisA, so that prompts about real data stay short too.
constexpr const char* kBenchmarkObjects[] = {
    "bottle",     "cable", "capsule",    "carpet",     "grid", "hazelnut", "leather", "metal_nut", "pill",
    "screw",      "tile",  "toothbrush", "transistor", "wood", "zipper",   "candle",  "capsules",  "cashew",
    "chewinggum", "fryum", "macaroni1",  "macaroni2",  "pcb1", "pcb2",     "pcb3",    "pcb4",      "pipe_fryum"};

struct MakeModelOptions {
  std::string output, tokenizer_dir;
  std::string family = "qwen2_vl";
  std::string size = "tiny";
  std::string tokenizer = "bpe";
  std::string dtype = "bfloat16";
  uint64_t seed = 0;
  bool untied = false;
};

/// Texts to train the tokenizer on: the prompts, and answers like those of make-data.
std::vector<std::string> training_texts(const std::string& family) {
  std::vector<std::string> texts;
  for (const std::string object : kBenchmarkObjects) {
    texts.push_back(render_chat(chat_template(family), std::nullopt, fill_prompt(kPaperPrompt, object)));
  }
  for (const std::string& part : part_names()) {
    texts.push_back(render_chat(chat_template(family), std::nullopt, fill_prompt(kPaperPrompt, part)));
    for (const std::string tint : {"light", "dark", "blue", "green"}) {
      texts.push_back(concat("<think> ", tint, " ", part, " without defect </think> <answer>B</answer>"));
      texts.push_back(concat("<think> ", tint, " ", part, " </think> <answer>A</answer>"));
      for (const std::string& defect : part_defects()) {
        texts.push_back(concat("<think> ", tint, " ", part, " with a ", defect, " </think> <answer>A</answer>"));
      }
    }
  }
  for (std::string& text : texts) {
    // Added tokens join the tokenizer as a whole and must not be learned from text.
    for (const FamilyToken& token : family_tokens(family)) {
      for (std::size_t at; (at = text.find(token.content)) != std::string::npos;) text.erase(at, token.content.size());
    }
  }
  return texts;
}

void write_tokenizer(const MakeModelOptions& options, const fs::path& folder) {
  if (!options.tokenizer_dir.empty()) {
    for (const char* name : kTokenizerFiles) {
      const fs::path source = fs::path(options.tokenizer_dir) / name;
      if (fs::exists(source)) write_file_atomic("app", folder / name, read_file("app", source));
    }
    return;
  }
  if (options.tokenizer != "bpe" && options.tokenizer != "sentencepiece") {
    fail("app", "--tokenizer is ", options.tokenizer, ", expected bpe or sentencepiece");
  }
  const auto texts = training_texts(options.family);
  const TokenizerFiles files = options.tokenizer == "bpe"
                                   ? train_bpe_tokenizer(texts, kTokens, options.family)
                                   : train_sentencepiece_tokenizer(texts, kTokens, options.family);
  for (const auto& [name, content] : files) write_file_atomic("app", folder / name, content);
}

/// Sum of four uniform numbers, scaled to variance 1. It is close to the normal distribution and, unlike methods that
/// need log and cos, has the same bits on all machines.
float near_normal(uint32_t a, uint32_t b) {
  const auto sum = static_cast<double>((a >> 16) + (a & 0xFFFF) + (b >> 16) + (b & 0xFFFF));
  constexpr double kMean = 2 * 65535.0;
  static const double std = std::sqrt((65536.0 * 65536.0 - 1) / 3);
  return static_cast<float>((sum - kMean) / std);
}

/// Random weights with standard deviation 1 / sqrt(fan in); norms are 1, biases 0. `number` is the tensor's random key.
at::Tensor random_tensor(const CounterRandom& random, uint32_t number, const TensorSpec& spec) {
  const bool norm = spec.name.find("norm") != std::string::npos || spec.name.find("ln_q") != std::string::npos;
  if (spec.name.ends_with(".bias")) return at::zeros(spec.shape, spec.dtype);
  if (norm) return at::ones(spec.shape, spec.dtype);
  const at::Tensor values = at::empty(spec.shape, spec.dtype);
  const int64_t count = values.numel();
  const auto std = static_cast<float>(1 / std::sqrt(static_cast<double>(count / spec.shape[0])));
  const auto fill = [&]<class Scalar>(Scalar* data) {
    at::parallel_for(0, (count + 1) / 2, 1 << 16, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const auto words = random.words(number, static_cast<uint32_t>(i), static_cast<uint32_t>(uint64_t(i) >> 32));
        data[2 * i] = static_cast<Scalar>(std * near_normal(words[0], words[1]));
        if (2 * i + 1 < count) data[2 * i + 1] = static_cast<Scalar>(std * near_normal(words[2], words[3]));
      }
    });
  };
  if (spec.dtype == at::kFloat) {
    fill(values.data_ptr<float>());
  } else {
    fill(values.data_ptr<at::BFloat16>());
  }
  return values;
}

int64_t write_random_weights(const fs::path& folder, const ModelConfig& config, at::ScalarType dtype, uint64_t seed) {
  const ModelFamily& family = *find_model_family(config.model_type);
  std::vector<TensorSpec> specs;
  std::map<std::string, uint32_t> numbers;
  int64_t parameters = 0;
  for (const auto& [name, shape] : expected_tensors(config)) {
    specs.push_back({published_name(name, family), dtype, shape});
    numbers.emplace(specs.back().name, static_cast<uint32_t>(numbers.size()));
    parameters += static_cast<int64_t>(specs.back().bytes() / c10::elementSize(dtype));
  }
  const CounterRandom random(seed, RandomUse::kModelInit);
  write_weights(folder, specs,
                [&](const TensorSpec& spec) { return random_tensor(random, numbers.at(spec.name), spec); });
  return parameters;
}

void make_model(const MakeModelOptions& options) {
  ModelConfig config = named_model_config(options.family, options.size);
  const at::ScalarType dtype = dtype_option(options.dtype);
  if (options.untied) config.tie_word_embeddings = false;
  NewFolder folder(options.output);
  write_tokenizer(options, folder.making());
  const Tokenizer tokenizer = Tokenizer::load(folder.making());
  fit_to_tokenizer(config, tokenizer);
  const auto write_json = [&](const char* name, const nlohmann::ordered_json& value) {
    write_file_atomic("app", folder.making() / name, value.dump(2) + "\n");
  };
  write_json("config.json", config_json(config, tokenizer, options.dtype));
  write_json("generation_config.json", generation_config_json(config, tokenizer));
  write_json("preprocessor_config.json", preprocessor_config_json(config));
  write_json("chat_template.json", {{"chat_template", chat_template(options.family).jinja}});
  const int64_t parameters = write_random_weights(folder.making(), config, dtype, options.seed);
  folder.finish();
  std::cout << options.family << " " << options.size << " model of " << parameters << " parameters, " << options.dtype
            << ", " << tokenizer.size() << " tokens: " << folder.target().string() << "\n";
}

}  // namespace

void add_make_model_command(CLI::App& app) {
  const auto options = std::make_shared<MakeModelOptions>();
  CLI::App* command = app.add_subcommand("make-model", "Writes a model folder with random weights");
  command->add_option("--output", options->output, "folder to make")->required();
  command->add_option("--family", options->family, "qwen2_vl, qwen2_5_vl or qwen3_vl")->capture_default_str();
  command
      ->add_option("--size", options->size,
                   "tiny, small or a published shape: 2b, 7b of qwen2_vl; 3b, 7b of qwen2_5_vl; 2b, 4b, 8b of qwen3_vl")
      ->capture_default_str();
  command->add_option("--tokenizer", options->tokenizer, "bpe (Qwen2's kind) or sentencepiece, trained on the prompt")
      ->capture_default_str();
  command->add_option("--tokenizer-dir", options->tokenizer_dir, "take the tokenizer of this model folder instead");
  command->add_option("--dtype", options->dtype, "bfloat16 or float32")->capture_default_str();
  command->add_option("--seed", options->seed, "equal seeds give equal bytes")->capture_default_str();
  command->add_flag("--untied", options->untied,
                    "give the model a head of its own (a published shape without tying always has one)");
  command->callback([options] { make_model(*options); });
}

}  // namespace lriad
