#pragma once

#include <map>
#include <string>

#include "lriad/config/config.h"

namespace lriad {

/// The question of type "Anomaly Detection" of an image of MMAD. The order of its options differs from image to image.
struct MmadQuestion {
  std::string text;     ///< with a line per option, as MMAD's programs ask it
  std::string yes, no;  ///< the options' letters; empty: no option says so
  std::string correct;  ///< the letter of the right one
};

/// The questions of an mmad.json by image, for a section of format mmad. Throws as read_dataset().
std::map<std::string, MmadQuestion> mmad_questions(const DataSection& section);

}  // namespace lriad
