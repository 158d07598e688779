#include "lriad/config/config.h"

#define LRIAD_PAPER_PROMPT                                                                                       \
  "This is an image containing a {object}. Analyze the given image and determine if there is any defect in the " \
  "object. Output the thinking process in <think> </think> and final answer in <answer> </answer> tags.\n"       \
  "Options: (A) defect (B) normal.\n"                                                                            \
  "The output answer format should be as follows:\n"                                                             \
  "<think> ... </think> <answer>A or B</answer>\n"                                                               \
  "Please strictly follow the format."

namespace lriad {

const char* const kPaperPrompt = LRIAD_PAPER_PROMPT;

const char* const kReferencePrompt =
    "Normal {object} for comparison: {reference}\nImage to inspect: {image}\n" LRIAD_PAPER_PROMPT;

}  // namespace lriad
