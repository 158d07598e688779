#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <string>
#include <vector>

#include "eval_options.h"
#include "eval_output.h"
#include "lriad/data/dataset.h"
#include "lriad/data/prepare.h"
#include "lriad/eval/evaluator.h"
#include "lriad/model/feature_cache.h"
#include "lriad/model/qwen2_vl.h"
#include "lriad/text/tokenizer.h"

namespace lriad {

/// Thrown between two tokens when a signal has come.
struct Stopped {
  int signal;
};

/// The model and adapter of a config, loaded when the first image needs them.
class EvalModel {
 public:
  /// Throws Error for a folder that is not there. Takes the device.
  EvalModel(const EvalCommandLine& line, const EvalConfig& given);
  EvalModel(const EvalModel&) = delete;
  EvalModel& operator=(const EvalModel&) = delete;

  /// Predictions for all of `dataset`, in its order, written to `output` as they come; with --resume those that are
  /// there are kept. With a threshold, the score decides the verdict; with `maps`, each answer gets one. Throws Stopped
  /// when a signal comes.
  std::vector<Prediction> ask(const Dataset& dataset, EvalOutput& output, const std::optional<double>& threshold,
                              bool maps);

  /// Loads the model, unless it is there.
  void load();
  const SamplePreparer& preparer() const { return *preparer_; }  ///< needs load()
  /// Predictions for all of `dataset`, which `sink` gets as they come, with --maps with maps. Needs load(). Throws
  /// Stopped when a signal comes. A map whose overlay cannot be written to `output` names no file.
  void answer(const Dataset& dataset, const EvalOutput& output, const std::optional<double>& threshold,
              const PredictionSink& sink);

  Settings settings(const std::optional<double>& threshold) const;  ///< what the answers depend on
  std::string title() const;

 private:
  void load_preparer();
  EvaluateOptions evaluate_options(const std::optional<double>& threshold) const;
  void add_maps(EvaluateOptions& options, const Dataset& dataset, const EvalOutput& output);

  const EvalCommandLine& line_;
  const Config& config_;
  const std::optional<ModelSettings>& trained_;
  at::Device device_;
  std::optional<Tokenizer> tokenizer_;
  std::optional<SamplePreparer> preparer_;
  std::optional<Qwen2Vl> model_;
  std::optional<FeatureCache> reference_features_;
  AnswerFunction ask_;
  double map_seconds_ = 0;  ///< spent on maps
};

}  // namespace lriad
