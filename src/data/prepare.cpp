#include "lriad/data/prepare.h"

#include <algorithm>
#include <array>
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
    if ((*found)[1] == "object") continue;
    log_warning(
        concat("[data] prompt.template holds ", found->str(), ", which stays as it is; only {object} is replaced"));
  }
}

}  // namespace

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

PreparedSample SamplePreparer::prepare(const Sample& sample, int64_t index) const {
  PreparedSample prepared;
  prepared.index = index;
  prepared.patches = image(sample);
  prepared.prompt_ids = prompt(sample, tokens_of(prepared.patches));
  return prepared;
}

Patches SamplePreparer::image(const Sample& sample) const { return process_image(sample.path, image_); }

std::vector<int64_t> SamplePreparer::prompt(const Sample& sample, int64_t image_tokens) const {
  std::vector<int64_t> ids = encode(sample, image_tokens);
  const auto length = static_cast<int64_t>(ids.size());
  if (length > prompt_.max_prompt_length) refuse_length(sample, length, image_tokens);
  return ids;
}

void SamplePreparer::check_prompt(const Sample& sample) const {
  int64_t tokens = 0;
  try {
    tokens = image_tokens(sample);
  } catch (const Error&) {
    return;
  }
  prompt(sample, tokens);
}

void SamplePreparer::refuse_length(const Sample& sample, int64_t length, int64_t image_tokens) const {
  fail("data", sample.image, ": its prompt has ", length, " tokens (", image_tokens, " of the image), more than the ",
       prompt_.max_prompt_length, " of prompt.max_prompt_length; raise that or lower image.max_pixels");
}

std::vector<int64_t> SamplePreparer::encode(const Sample& sample, int64_t image_tokens) const {
  const std::array<int64_t, 1> tokens = {image_tokens};
  return encode_chat(tokenizer_, prompt_.system, fill_prompt(prompt_.template_text, sample.object_name), tokens);
}

int64_t SamplePreparer::image_tokens(const Sample& sample) const {
  const auto [height, width] = image_size(sample.path, image_.backend);
  const int64_t factor = image_.patch_size * image_.merge_size;
  const auto [rows, columns] = smart_resize(height, width, factor, image_.min_pixels, image_.max_pixels);
  return (rows / factor) * (columns / factor);
}

}  // namespace lriad
