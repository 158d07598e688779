#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "lriad/data/mmad.h"
#include "lriad/eval/metrics.h"

namespace lriad {

/// Writes predictions as the answers that MMAD's programs write, {image, question, question_type, correct_answer,
/// gpt_answer}, to `path` (.json), and beside it <stem>_accuracy.csv: for each data set the mean of the accuracies on
/// normal images and on defects in percent, where normal is a path that holds "good"; the shares of overkill and miss;
/// and, not in those, the number of invalid answers. Source: MMAD, evaluation/examples/helper/summary.py,
/// caculate_accuracy_mmad(); it passes over the answer behind each invalid one, so here those stand last.
void write_mmad_answers(const std::filesystem::path& path, const std::vector<Prediction>& predictions,
                        const std::map<std::string, MmadQuestion>& questions);

}  // namespace lriad
