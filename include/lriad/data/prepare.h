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

/// A sample as input of the model: prompt ids with image tokens expanded, and the patches of its image.
struct PreparedSample {
  int64_t index = 0;  ///< index in dataset.samples
  std::vector<int64_t> prompt_ids;
  Patches patches;
};

/// Ids of a target text with one end token behind it: the first of `end_ids`, unless the text ends with one of them
/// already, as texts of a chat template do; white space behind that one is dropped.
std::vector<int64_t> target_ids(const Tokenizer& tokenizer, const std::string& text,
                                const std::vector<int64_t>& end_ids);

/// Turns samples into prompts and patches. It is immutable, so threads may share it.
class SamplePreparer {
 public:
  /// Warns if the template names no {object}, or another word in braces, which stays as it is.
  SamplePreparer(const Tokenizer& tokenizer, PromptSection prompt, ImageSettings image);

  /// Calls image() and prompt().
  PreparedSample prepare(const Sample& sample, int64_t index) const;

  /// Reads the sample's image and cuts it into patches. Throws Error naming the file if it cannot be read.
  Patches image(const Sample& sample) const;

  /// Ids of the sample's prompt with an image of `image_tokens` tokens. Throws Error naming the sample if the prompt is
  /// longer than max_prompt_length or the template contains an image token; this is never the image's fault.
  std::vector<int64_t> prompt(const Sample& sample, int64_t image_tokens) const;

  int64_t tokens_of(const Patches& patches) const { return patches.tokens(image_.merge_size); }

  /// Number of tokens of the sample's image, from the file's header alone. Throws as image().
  int64_t image_tokens(const Sample& sample) const;

  /// Throws as prompt() if the sample's prompt is too long, reading only the image's header. An unreadable header is
  /// ignored here, since image() reports it.
  void check_prompt(const Sample& sample) const;

 private:
  [[noreturn]] void refuse_length(const Sample& sample, int64_t length, int64_t image_tokens) const;
  std::vector<int64_t> encode(const Sample& sample, int64_t image_tokens) const;

  Tokenizer tokenizer_;
  PromptSection prompt_;
  ImageSettings image_;
};

/// Why a sample cannot be used: its image (data.bad_image says what happens), or its prompt (always an error).
enum class Fault { kNone, kImage, kPrompt };

/// Prepares samples ahead of the model on worker threads, with a bounded queue. Results come in the order of the
/// requests. A bad sample has `fault` and `error` set; next() throws only for bugs. Data set and preparer must outlive
/// it.
class Prefetcher {
 public:
  struct Result {
    PreparedSample sample;       ///< its `index` is set even if the sample is bad
    Fault fault = Fault::kNone;  ///< kNone: the sample is good
    std::string error;           ///< message of the fault
  };
  /// At most `capacity` samples are being prepared or waiting for next().
  Prefetcher(const Dataset& dataset, const SamplePreparer& preparer, int64_t num_threads, int64_t capacity);
  ~Prefetcher();  ///< drops results that were not fetched; waits only for samples that are being prepared
  Prefetcher(const Prefetcher&) = delete;
  Prefetcher& operator=(const Prefetcher&) = delete;
  void request(int64_t index);  ///< never blocks; preparation starts when the queue has room
  Result next();                ///< waits for the result of the oldest request

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace lriad
