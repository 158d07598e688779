#include "data_checks.h"

#include <array>
#include <string>
#include <string_view>

#include "lriad/core/error.h"
#include "lriad/core/log.h"
#include "lriad/grpo/reward.h"

namespace lriad {
namespace {

/// Of the Qwen-VL families. In a target text one would stand for an image that is not there.
constexpr std::array<std::string_view, 5> kImageTokens = {"<|image_pad|>", "<|video_pad|>", "<|vision_start|>",
                                                          "<|vision_end|>", "<|vision_pad|>"};

void check_both_classes(const Config& config, const Dataset& data) {
  const int64_t normal = data.count(Verdict::kNormal), defect = data.count(Verdict::kDefect);
  if (normal > 0 && defect > 0) return;
  const FocalSection& focal = config.reward.focal;
  const bool weighs = config.stage == Stage::kGrpo && config.reward.answer == AnswerReward::kFocal &&
                      config.reward.answer_weight > 0 && focal.f_mode != FocalF::kFixed;
  const bool balanced = config.data.sampler == SamplerKind::kClassBalanced;
  if (!weighs && !balanced) return;
  fail("data", config.data.root, " has ", normal, " normal images and ", defect, " defects, but ",
       balanced ? "data.sampler: class_balanced" : "reward.focal.f_mode", " needs both classes; ",
       balanced ? "set data.sampler: shuffle" : "set reward.focal.f_mode: fixed", " or add the missing class");
}

void refuse_image_tokens(const Sample& sample, const std::string& target) {
  for (const std::string_view token : kImageTokens) {
    if (target.find(token) == std::string::npos) continue;
    fail("data", sample.image, ": its target text holds the image token ", token,
         ", but images stand in the prompt only; remove the token from the text");
  }
}

}  // namespace

void check_labels(const Config& config, const Dataset& data) {
  for (const Sample& sample : data.samples) {
    if (config.stage == Stage::kGrpo && !sample.label) {
      fail("data", sample.image, " has no label, which stage grpo needs (label: defect | normal)");
    }
  }
  check_both_classes(config, data);
}

void check_one_image_is_readable(const Dataset& data, const SamplePreparer& preparer) {
  std::string first;
  for (const Sample& sample : data.samples) {
    try {
      preparer.image(sample);
      return;
    } catch (const Error& error) {
      if (first.empty()) first = error.what();
    }
  }
  fail("data", "none of ", data.samples.size(), " images can be read, the first: ", first);
}

void check_targets(const Config& config, const Dataset& data) {
  int64_t contradicting = 0;
  std::string first;
  for (std::size_t i = 0; i < data.samples.size(); ++i) {
    const Sample& sample = data.samples[i];
    const std::string target = target_response(sample, config.sft, config.seed, /*epoch=*/0, static_cast<int64_t>(i));
    refuse_image_tokens(sample, target);
    const Verdict answer = parse_answer(target);
    if (!sample.label || answer == Verdict::kInvalid || answer == *sample.label) continue;
    if (contradicting++ == 0) first = sample.id;
  }
  if (contradicting == 0) return;
  log_warning(concat("[data] ", contradicting, " of ", data.samples.size(),
                     " target texts answer otherwise than their label, the first of ", first));
}

}  // namespace lriad
