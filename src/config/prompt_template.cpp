#include "lriad/config/prompt_template.h"

#include <string_view>

#include "lriad/core/error.h"

namespace lriad {
namespace {

constexpr std::string_view kReference = "{reference}", kImage = "{image}";

}  // namespace

void fit_to_reference(Config& config) {
  const int64_t shown = config.data.reference.normal;
  if (config.eval_data) config.eval_data->reference.normal = shown;
  std::string& text = config.prompt.template_text;
  if (text == kPaperPrompt || text == kReferencePrompt) text = shown > 0 ? kReferencePrompt : kPaperPrompt;
}

std::string template_problem(const Config& config) {
  const std::string& text = config.prompt.template_text;
  const int64_t shown = config.data.reference.normal;
  const size_t reference = text.find(kReference), image = text.find(kImage);
  if (shown > 0 && reference == std::string::npos) {
    return concat("prompt.template has no {reference}, where data.reference.normal: ", shown,
                  " puts its images; write for example \"Normal {object}: {reference} Image to inspect: {image} ...\"");
  }
  if (shown == 0 && reference != std::string::npos) {
    return "prompt.template has {reference}, but data.reference.normal is 0; set that, or take the word out";
  }
  for (const std::string_view word : {kReference, kImage}) {
    if (text.find(word) != text.rfind(word)) return concat("prompt.template has ", word, " more than once");
  }
  if (shown > 0 && image < reference) {
    return "prompt.template has {image} before {reference}, expected the image to judge behind the reference images";
  }
  return "";
}

}  // namespace lriad
