#include "lriad/health/replay.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <iostream>
#include <set>
#include <sstream>

#include "lriad/core/error.h"
#include "lriad/core/log.h"
#include "lriad/grpo/loss.h"
#include "lriad/grpo/token_logprobs.h"
#include "lriad/health/refused_batch.h"
#include "lriad/model/accumulate_dtype.h"
#include "lriad/model/load_model.h"
#include "lriad/run/checkpoint.h"
#include "lriad/run/trained_parameters.h"
#include "replay_findings.h"

// Shape letters: M completion tokens of the groups of one pass.
namespace lriad {
namespace {

namespace fs = std::filesystem;

std::vector<RefusedBatch> read_parts(const fs::path& path) {
  std::vector<fs::path> files;
  if (fs::is_directory(path)) {
    for (const auto& entry : fs::directory_iterator(path)) {
      if (entry.path().extension() == ".safetensors") files.push_back(entry.path());
    }
  } else {
    files.push_back(path);
  }
  std::vector<RefusedBatch> parts;
  for (const fs::path& file : files) parts.push_back(read_refused_batch(file));
  if (parts.empty()) fail("health", path.string(), " holds no rank-<r>.safetensors of a refused batch");
  std::ranges::sort(parts, {}, &RefusedBatch::rank);
  return parts;
}

/// The checkpoint with the weights for a batch that holds none (trainable: all): the newest before it. Null if there is
/// none, so that the weights are the model's, or if the batch holds its weights.
std::optional<fs::path> saved_weights(const Config& config, const RefusedBatch& batch, const fs::path& run_dir) {
  if (config.trainable != Trainable::kAll) return std::nullopt;
  const int64_t saved = std::max<int64_t>(batch.last_saved, 0);
  if (saved != batch.step - 1) {
    log_warning(concat("[health] the batch of step ", batch.step, " is computed with the weights after step ", saved,
                       ", the newest that were saved: its metrics will differ"));
  }
  if (saved == 0) return std::nullopt;
  const fs::path checkpoint = run_dir / concat("checkpoint-", saved);
  if (const auto damage = checkpoint_damage(checkpoint)) {
    fail("health", checkpoint.string(), ", the newest with weights from before step ", batch.step,
         ", cannot be used: ", *damage, "; give another by --resume FOLDER");
  }
  return checkpoint;
}

Qwen2Vl model_with_weights(const Config& config, const RefusedBatch& batch, const std::optional<fs::path>& checkpoint,
                           const at::Device& device) {
  const bool whole = config.trainable == Trainable::kAll;
  Qwen2Vl model = load_model(whole && checkpoint ? *checkpoint : fs::path(config.model.path),
                             scalar_type(config.model.dtype), device);
  if (whole) return model;
  if (!batch.adapter) fail("health", "the batch was refused in a run with trainable: all, the config says lora");
  add_adapter(model, checkpoint ? read_adapter(*checkpoint) : *batch.adapter, config.lora.lora_dropout);
  return model;
}

/// Computes forward and backward passes over the groups of a batch as its step did.
class Replay {
 public:
  Replay(const Config& config, Qwen2Vl model, const at::Device& device)
      : config_(config),
        section_(config.grpo),
        model_(std::move(model)),
        parameters_(trained_parameters(model_, config.trainable)),
        device_(device) {
    if (config.stage != Stage::kSft) return;
    section_.policy_loss = PolicyLoss::kLogp;
    section_.beta = 0;
  }

  /// Adds the gradient and the metrics of a part, and a finding for each completion, still without its own gradient.
  void add(RefusedBatch& part) {
    for (std::vector<Group>& groups : part.passes) look_at(groups, pass(groups));
  }

  StepHealth health() {
    health_.grad_norm = parameters_.gradients().norm().item<double>();
    health_.kl = tokens_ == 0 ? 0 : kl_sum_ / static_cast<double>(tokens_);
    return health_;
  }

  /// Computes the gradient norm of each completion of a part: its group goes through the model again, with weight 0 for
  /// the other completions. Call it after health(), since it overwrites the gradient.
  void look_at_each_alone(RefusedBatch& part) {
    auto finding = std::ranges::find(findings_, -1.0, &Finding::grad_norm);
    for (std::vector<Group>& groups : part.passes) {
      for (Group& group : groups) {
        for (std::size_t i = 0; i < group.completions.size(); ++i, ++finding) {
          std::vector<Group> alone = {group};
          for (std::size_t k = 0; k < group.completions.size(); ++k) {
            if (k != i) alone.front().completions[k].weight = 0;
          }
          parameters_.zero_gradients();
          pass(alone);
          finding->grad_norm = parameters_.gradients().norm().item<double>();
        }
      }
    }
  }

  std::vector<Finding>& findings() { return findings_; }

 private:
  /// Runs the groups through the model, adds their gradient and returns the loss inputs with the new log-probabilities.
  LossInputs pass(std::vector<Group>& groups) {
    for (Group& group : groups) {
      if (group.features_ID.defined())
        group.features_ID = group.features_ID.to(device_, scalar_type(config_.model.dtype));
    }
    const std::vector<const Group*> addresses = addresses_of(groups);
    const bool own_prefix = config_.stage == Stage::kGrpo && config_.train.shared_prefix == Switch::kOff;
    const PackedGroups packed =
        pack_groups(addresses, model_->config(), own_prefix ? Prefix::kOwn : Prefix::kShared, device_);
    LossInputs in = loss_inputs(addresses, accumulate_dtype(scalar_type(config_.model.dtype)), device_);
    model_->train();
    TokenLogprobs now = token_logprobs(
        model_, packed, config_.stage == Stage::kSft ? 1.0 : config_.rollout.temperature,
        [&](const at::Tensor& logp_C, int64_t begin) { return grpo_logprob_gradient(in, logp_C, begin, section_); });
    now.backward();
    parameters_.collect_gradients();
    model_->eval();
    in.logp_M = now.logp_M;
    return in;
  }

  void look_at(const std::vector<Group>& groups, const LossInputs& in) {
    int64_t begin = 0;
    for (const Group& group : groups) {
      for (std::size_t i = 0; i < group.completions.size(); ++i) {
        const int64_t length = group.completions[i].length();
        findings_.push_back(finding(group, i, slice(in, begin, length)));
        begin += length;
      }
    }
  }

  Finding finding(const Group& group, std::size_t i, const LossInputs& in) {
    const LossSums sums = grpo_loss(in, section_);
    const GroupCompletion& completion = group.completions[i];
    const auto kl_sum = sums.kl.item<double>();
    Finding result;
    result.grad_norm = -1;  // not computed yet
    result.prompt_index = group.prompt_index;
    result.generation = i;
    result.sample_id = group.sample_id;
    result.text = completion.text;
    result.tokens = completion.ids.size();
    result.advantage = completion.advantage;
    result.loss = sums.loss.item<double>();
    result.mean_logp = in.logp_M.mean().item<double>();
    result.min_logp = in.logp_M.min().item<double>();
    result.kl = kl_sum / static_cast<double>(result.tokens);
    health_.loss += result.loss;
    kl_sum_ += kl_sum;
    if (completion.weight != 0) tokens_ += completion.length();
    if (!at::isfinite(in.logp_M).all().item<bool>()) {
      health_.finite_logprobs = false;
      result.marks = "log-probability not finite";
    }
    return result;
  }

  static LossInputs slice(const LossInputs& in, int64_t begin, int64_t length) {
    const auto part = [&](const at::Tensor& values_M) {
      return values_M.defined() ? values_M.slice(0, begin, begin + length) : values_M;
    };
    return {part(in.logp_M), part(in.old_M), part(in.reference_M), part(in.advantage_M), part(in.weight_M)};
  }

  const Config& config_;
  GrpoSection section_;
  Qwen2Vl model_;
  FlatParameters parameters_;
  at::Device device_;
  StepHealth health_;
  double kl_sum_ = 0;
  int64_t tokens_ = 0;
  std::vector<Finding> findings_;
};

void warn_of_differences(const std::string& before, const std::string& now) {
  std::set<std::string> old_lines;
  std::istringstream old_text(before), new_text(now);
  for (std::string line; std::getline(old_text, line);) old_lines.insert(line);
  for (std::string line; std::getline(new_text, line);) {
    if (!old_lines.contains(line)) log_warning(concat("[health] not as in the run: ", line));
  }
}

}  // namespace

fs::path run_of_batch(const fs::path& batch) {
  std::error_code error;
  const fs::path path = fs::weakly_canonical(batch, error);
  if (error || !fs::exists(path)) {
    fail("health", "--replay ", batch.string(), " does not exist, expected guard/step-<n> of a run folder");
  }
  return (fs::is_directory(path) ? path : path.parent_path()).parent_path().parent_path();
}

int replay_batch(const LoadedConfig& loaded, const fs::path& path, const std::optional<fs::path>& given,
                 const at::Device& device) {
  std::vector<RefusedBatch> parts = read_parts(path);
  const RefusedBatch& first = parts.front();
  const std::optional<fs::path> checkpoint = given ? given : saved_weights(loaded.config, first, run_of_batch(path));
  warn_of_differences(first.config, canonical_config(loaded.config));
  std::cout << "step " << first.step << ", " << parts.size() << " of " << first.num_ranks
            << (first.num_ranks == 1 ? " rank" : " ranks") << ", refused because " << first.reason << "\nweights: "
            << (checkpoint      ? checkpoint->string()
                : first.adapter ? "as they were at that step"
                                : loaded.config.model.path)
            << '\n';
  Qwen2Vl model = model_with_weights(loaded.config, first, checkpoint, device);
  limit_threads(model->config().text);
  Replay replay(loaded.config, model, device);
  for (RefusedBatch& part : parts) replay.add(part);
  const StepHealth now = replay.health();
  for (RefusedBatch& part : parts) replay.look_at_each_alone(part);
  print_totals(first.health, now);
  mark(replay.findings(), &Finding::kl, "KL");
  mark(replay.findings(), &Finding::grad_norm, "gradient");
  print_findings(replay.findings());
  HealthGuard guard(loaded.config.guard);
  guard.restore(first.guard);
  const std::optional<std::string> reason = guard.check(now);
  std::cout << "\nthe health guard " << (reason ? concat("refuses it: ", *reason) : "lets it pass") << '\n';
  return reason ? kGuardExit : 0;
}

}  // namespace lriad
