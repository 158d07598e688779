#pragma once

#include <cstdint>
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

/// One sample as the model takes it: prompt ids with image tokens expanded, and the patches of its one image.
struct PreparedSample {
  int64_t index = 0;  ///< into dataset.samples
  std::vector<int64_t> prompt_ids;
  Patches patches;
};

/// Turns samples into prompts; holds no state that changes, so several threads may share one.
class SamplePreparer {
 public:
  SamplePreparer(const Tokenizer& tokenizer, PromptSection prompt, ImageSettings image);

  /// image() and prompt() in one.
  PreparedSample prepare(const Sample& sample, int64_t index) const;

  /// Reads and cuts the sample's image. Throws Error naming the file if it cannot be read: a bad image.
  Patches image(const Sample& sample) const;

  /// Ids of the sample's prompt with an image of `image_tokens` tokens. Throws Error naming the sample if they are
  /// more than max_prompt_length, or the template holds an image token: no image is at fault, so nothing to skip.
  std::vector<int64_t> prompt(const Sample& sample, int64_t image_tokens) const;

  int64_t tokens_of(const Patches& patches) const { return patches.tokens(image_.merge_size); }

  /// Tokens of the sample's image; of its file only the header is read. Throws as image().
  int64_t image_tokens(const Sample& sample) const;

  /// Throws as prompt() if the sample's prompt is too long; of the image's file only the header is read. An image
  /// whose header is bad passes: image() will tell.
  void check_prompt(const Sample& sample) const;

 private:
  [[noreturn]] void refuse_length(const Sample& sample, int64_t length, int64_t image_tokens) const;
  std::vector<int64_t> encode(const Sample& sample, int64_t image_tokens) const;

  Tokenizer tokenizer_;
  PromptSection prompt_;
  ImageSettings image_;
};

/// What made a sample unusable: its image (data.bad_image decides), or its prompt (always fatal).
enum class Fault { kNone, kImage, kPrompt };

/// Decodes and resizes ahead of the model on worker threads through a bounded queue; results come in the order asked
/// for, whatever thread made them. A bad sample comes back with `fault` and `error` set; next() throws only bugs. The
/// data set and the preparer must outlive it.
class Prefetcher {
 public:
  struct Result {
    PreparedSample sample;  ///< `index` is set always
    Fault fault = Fault::kNone;
    std::string error;  ///< empty: good
  };
  /// At most `capacity` samples are in work or waiting for next().
  Prefetcher(const Dataset& dataset, const SamplePreparer& preparer, int64_t num_threads, int64_t capacity);
  ~Prefetcher();  ///< drops what was not fetched; waits only for the samples in work
  Prefetcher(const Prefetcher&) = delete;
  Prefetcher& operator=(const Prefetcher&) = delete;
  void request(int64_t index);  ///< never blocks; work starts when the queue has room
  Result next();                ///< the oldest request's result; blocks until it is ready

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace lriad
