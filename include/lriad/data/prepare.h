#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "lriad/config/config.h"
#include "lriad/data/dataset.h"
#include "lriad/data/references.h"
#include "lriad/text/chat_prompt.h"
#include "lriad/text/tokenizer.h"
#include "lriad/vision/image_processor.h"

namespace lriad {

/// A sample as input of the model: prompt ids with image tokens expanded, and the patches of its images.
struct PreparedSample {
  int64_t index = 0;  ///< index in dataset.samples
  std::vector<int64_t> prompt_ids;
  Patches patches;                            ///< of its own image, the prompt's last
  std::vector<Patches> references;            ///< of the images before it
  std::vector<std::string> reference_images;  ///< their Sample::image

  std::vector<const Patches*> images() const;         ///< in the order of the prompt
  std::vector<float> pixel_values() const;            ///< of their patches, one after another
  std::vector<std::array<int64_t, 3>> grids() const;  ///< theirs
};

/// Ids of a target text with one end token behind it: the first of `end_ids`, unless the text ends with one of them
/// already, as texts of a chat template do; white space behind that one is dropped.
std::vector<int64_t> target_ids(const Tokenizer& tokenizer, const std::string& text,
                                const std::vector<int64_t>& end_ids);

/// Why a sample cannot be used: its image (data.bad_image says what happens), or its prompt (always an error).
enum class Fault { kNone, kImage, kPrompt };

struct PrepareResult {
  PreparedSample sample;       ///< its `index` is set even if the sample is bad
  Fault fault = Fault::kNone;  ///< kNone: the sample is good
  std::string error;           ///< message of the fault
};

/// Turns samples into prompts and patches. It is immutable, so threads may share it.
class SamplePreparer {
 public:
  /// Warns if the template names no {object}, or another word in braces, which stays as it is.
  SamplePreparer(const Tokenizer& tokenizer, PromptSection prompt, ImageSettings image);

  /// The sample with its image, the reference images that its prompt shows in this epoch, and the prompt. A reference
  /// image that cannot be read is passed over with a warning. What Error says is returned; throws only for bugs.
  PrepareResult prepare(const Dataset& dataset, int64_t index, int64_t epoch = 0) const;

  /// Reads the sample's image and cuts it into patches. Throws Error naming the file if it cannot be read.
  Patches image(const Sample& sample) const;

  /// Ids of the sample's prompt with images of so many tokens, its own the last. Throws Error naming the sample if the
  /// prompt is longer than max_prompt_length or the template contains an image token; this is never the image's fault.
  std::vector<int64_t> prompt(const Sample& sample, std::span<const int64_t> image_tokens) const;

  /// Number of tokens of the sample's image, from the file's header alone. Throws as image().
  int64_t image_tokens(const Sample& sample) const;

  /// Throws as prompt() if the sample's prompt, with reference images of so many tokens, is too long, reading only the
  /// image's header. An unreadable header is ignored here, since image() reports it.
  void check_prompt(const Sample& sample, std::span<const int64_t> reference_tokens = {}) const;

 private:
  void add_references(const Dataset& dataset, const Sample& sample, int64_t epoch, PreparedSample& prepared) const;
  std::vector<int64_t> tokens_of(const PreparedSample& sample) const;  ///< of its images, in the order of the prompt
  [[noreturn]] void refuse_length(const Sample& sample, int64_t length, std::span<const int64_t> image_tokens) const;

  Tokenizer tokenizer_;
  PromptSection prompt_;
  ImageSettings image_;
};

/// Most tokens that the reference images of a prompt can have, whichever are drawn, from the headers of all images of
/// the object. Data set and preparer must outlive it.
class ReferenceTokens {
 public:
  ReferenceTokens(const Dataset& dataset, const SamplePreparer& preparer) : dataset_(dataset), preparer_(preparer) {}
  /// A number for each reference image of the sample's prompt, the largest first. Throws Error if its object has too
  /// few.
  std::vector<int64_t> most(const Sample& sample);

 private:
  const Dataset& dataset_;
  const SamplePreparer& preparer_;
  std::map<const std::vector<Sample>*, std::vector<int64_t>> known_;  ///< by References::of_object()
};

/// Prepares samples ahead of the model on worker threads, with a bounded queue. Results come in the order of the
/// requests. A bad sample has `fault` and `error` set; next() throws only for bugs. Data set and preparer must outlive
/// it.
class Prefetcher {
 public:
  /// At most `capacity` samples are being prepared or waiting for next().
  Prefetcher(const Dataset& dataset, const SamplePreparer& preparer, int64_t num_threads, int64_t capacity);
  ~Prefetcher();  ///< drops results that were not fetched; waits only for samples that are being prepared
  Prefetcher(const Prefetcher&) = delete;
  Prefetcher& operator=(const Prefetcher&) = delete;
  /// Never blocks; preparation starts when the queue has room. `epoch` decides which reference images are drawn.
  void request(int64_t index, int64_t epoch = 0);
  PrepareResult next();  ///< waits for the result of the oldest request

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace lriad
