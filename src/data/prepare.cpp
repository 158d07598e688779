#include "lriad/data/prepare.h"

#include <algorithm>
#include <functional>
#include <new>
#include <numeric>
#include <regex>
#include <utility>

#include "lriad/core/error.h"
#include "lriad/core/log.h"

namespace lriad {
namespace {

void warn_of_template(const std::string& text) {
  if (text.find("{object}") == std::string::npos) {
    log_warning("[data] prompt.template has no {object}: every prompt is the same, whatever part is shown");
  }
  static const std::regex word(R"(\{([A-Za-z_]+)\})");
  for (std::sregex_iterator found(text.begin(), text.end(), word), end; found != end; ++found) {
    if ((*found)[1] == "object" || (*found)[1] == "reference" || (*found)[1] == "image") continue;
    log_warning(concat("[data] prompt.template holds ", found->str(),
                       ", which stays as it is; only {object}, {reference} and {image} are replaced"));
  }
}

}  // namespace

std::vector<const Patches*> PreparedSample::images() const {
  std::vector<const Patches*> images;
  for (const Patches& reference : references) images.push_back(&reference);
  images.push_back(&patches);
  return images;
}

std::vector<float> PreparedSample::pixel_values() const {
  std::vector<float> values;
  for (const Patches* image : images()) values.insert(values.end(), image->values.begin(), image->values.end());
  return values;
}

std::vector<std::array<int64_t, 3>> PreparedSample::grids() const {
  std::vector<std::array<int64_t, 3>> grids;
  for (const Patches* image : images()) grids.push_back(image->grid);
  return grids;
}

std::vector<int64_t> target_ids(const Tokenizer& tokenizer, const std::string& text,
                                const std::vector<int64_t>& end_ids) {
  std::vector<int64_t> ids = tokenizer.encode(text);
  const auto is_end = [&](int64_t id) { return std::ranges::find(end_ids, id) != end_ids.end(); };
  const auto last = std::find_if(ids.rbegin(), ids.rend(), is_end);
  const std::string behind = tokenizer.decode({last.base(), ids.end()}, /*skip_special=*/false);
  if (last != ids.rend() && behind.find_first_not_of(" \t\r\n") == std::string::npos) {
    ids.erase(last.base(), ids.end());
  } else {
    ids.push_back(end_ids.front());
  }
  return ids;
}

SamplePreparer::SamplePreparer(const Tokenizer& tokenizer, PromptSection prompt, ImageSettings image)
    : tokenizer_(tokenizer), prompt_(std::move(prompt)), image_(std::move(image)) {
  warn_of_template(prompt_.template_text);
}

PrepareResult SamplePreparer::prepare(const Dataset& dataset, int64_t index, int64_t epoch) const {
  PrepareResult result;
  PreparedSample& prepared = result.sample;
  prepared.index = index;
  const Sample& sample = dataset.samples.at(static_cast<size_t>(index));
  // Image first, prompt second: which of them throws tells whose fault it is.
  result.fault = Fault::kImage;
  try {
    prepared.patches = image(sample);
    result.fault = Fault::kPrompt;
    add_references(dataset, sample, epoch, prepared);
    prepared.prompt_ids = prompt(sample, tokens_of(prepared));
    result.fault = Fault::kNone;
  } catch (const Error& error) {
    result.error = error.what();
  } catch (const std::bad_alloc&) {
    result.error = concat("[data] ", sample.path.string(), ": not enough memory to read it");
  }
  return result;
}

Patches SamplePreparer::image(const Sample& sample) const { return process_image(sample.path, image_); }

void SamplePreparer::add_references(const Dataset& dataset, const Sample& sample, int64_t epoch,
                                    PreparedSample& prepared) const {
  if (!dataset.references) return;
  const int64_t count = dataset.references->count();
  for (const Sample* reference : dataset.references->drawn(sample, epoch)) {
    if (std::ssize(prepared.references) == count) return;
    try {
      prepared.references.push_back(image(*reference));
      prepared.reference_images.push_back(reference->image);
    } catch (const Error& error) {
      log_warning(concat("[data] passed over as a reference image: ", error.what()));
    }
  }
  if (std::ssize(prepared.references) < count) dataset.references->refuse(sample, std::ssize(prepared.references));
}

std::vector<int64_t> SamplePreparer::tokens_of(const PreparedSample& sample) const {
  std::vector<int64_t> tokens;
  for (const Patches* image : sample.images()) tokens.push_back(image->tokens(image_.merge_size));
  return tokens;
}

std::vector<int64_t> SamplePreparer::prompt(const Sample& sample, std::span<const int64_t> image_tokens) const {
  const std::string turn =
      fill_prompt(place_images(prompt_.template_text, std::ssize(image_tokens) - 1), sample.object_name);
  std::vector<int64_t> ids = encode_chat(tokenizer_, prompt_.system, turn, image_tokens);
  const auto length = static_cast<int64_t>(ids.size());
  if (length > prompt_.max_prompt_length) refuse_length(sample, length, image_tokens);
  return ids;
}

void SamplePreparer::check_prompt(const Sample& sample, std::span<const int64_t> reference_tokens) const {
  std::vector<int64_t> tokens(reference_tokens.begin(), reference_tokens.end());
  try {
    tokens.push_back(image_tokens(sample));
  } catch (const Error&) {
    return;
  }
  prompt(sample, tokens);
}

void SamplePreparer::refuse_length(const Sample& sample, int64_t length, std::span<const int64_t> image_tokens) const {
  const std::string reference =
      image_tokens.size() == 1 ? ""
                               : concat(", ", std::accumulate(image_tokens.begin(), image_tokens.end() - 1, int64_t{0}),
                                        " of the largest reference images");
  fail("data", sample.image, ": its prompt has ", length, " tokens (", image_tokens.back(), " of the image", reference,
       "), more than the ", prompt_.max_prompt_length,
       " of prompt.max_prompt_length; raise that or lower image.max_pixels");
}

int64_t SamplePreparer::image_tokens(const Sample& sample) const {
  const auto [height, width] = image_size(sample.path, image_.backend);
  const int64_t factor = image_.patch_size * image_.merge_size;
  const auto [rows, columns] = smart_resize(height, width, factor, image_.min_pixels, image_.max_pixels);
  return (rows / factor) * (columns / factor);
}

std::vector<int64_t> ReferenceTokens::most(const Sample& sample) {
  if (!dataset_.references) return {};
  const References& references = *dataset_.references;
  references.expect_enough(sample);
  const auto [known, is_new] = known_.try_emplace(&references.of_object(sample));
  std::vector<int64_t>& tokens = known->second;
  if (is_new) {
    for (const Sample& image : *known->first) {
      try {
        tokens.push_back(preparer_.image_tokens(image));
      } catch (const Error&) {  // passed over, should it be drawn
      }
    }
    std::ranges::sort(tokens, std::greater());
  }
  const auto count = static_cast<size_t>(references.count());
  if (tokens.size() < count) references.refuse(sample, std::ssize(tokens));
  return {tokens.begin(), tokens.begin() + static_cast<std::ptrdiff_t>(count)};
}

}  // namespace lriad
