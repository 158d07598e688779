#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lriad/config/config.h"
#include "lriad/data/dataset.h"
#include "lriad/text/chat_prompt.h"
#include "lriad/text/tokenizer.h"
#include "lriad/vision/image_processor.h"

namespace lriad {

/// One sample as the model takes it: prompt ids with image tokens expanded, and the picture's patches.
struct PreparedSample {
  int64_t index = 0;  ///< into dataset.samples
  std::vector<int64_t> prompt_ids;
  Patches patches;
};

/// Turns samples into prompts; holds no state that changes.
class SamplePreparer {
 public:
  SamplePreparer(const Tokenizer& tokenizer, PromptSection prompt, ImageSettings image);
  /// Throws Error if the picture cannot be read, or the prompt is longer than max_prompt_length (names the sample).
  PreparedSample prepare(const Sample& sample, int64_t index) const;

 private:
  Tokenizer tokenizer_;
  PromptSection prompt_;
  ImageSettings image_;
};

/// Decodes and resizes ahead of the model on worker threads through a bounded queue; results come in the order asked
/// for, whatever thread made them. A sample whose picture is bad comes back with `error` set.
class Prefetcher {
 public:
  struct Result {
    PreparedSample sample;
    std::string error;  ///< empty: good
  };
  Prefetcher(const Dataset& dataset, const SamplePreparer& preparer, int64_t num_threads, int64_t capacity);
  ~Prefetcher();
  void request(int64_t index);  ///< never blocks; work starts when the queue has room
  Result next();                ///< the oldest request's result; blocks until it is ready

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace lriad
