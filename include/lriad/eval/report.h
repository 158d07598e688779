#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "lriad/config/config.h"
#include "lriad/data/dataset.h"
#include "lriad/eval/metrics.h"
#include "lriad/eval/settings.h"

namespace lriad {

/// Content of a report.
struct ReportInput {
  std::string title;                                       ///< such as the model's name
  std::vector<std::pair<std::string, std::string>> about;  ///< names and texts for the head: data, prompt
  std::vector<Prediction> predictions;
  MetricsReport metrics;
  Settings settings;
  std::map<std::string, std::filesystem::path> images;  ///< sample id -> file; without one only the name is shown
  std::map<std::string, std::vector<std::filesystem::path>> references;  ///< sample id -> its prompt's reference images
  std::map<std::string, std::filesystem::path> maps;  ///< sample id -> image with the heat map over it
  std::filesystem::path run_log;  ///< metrics.jsonl of the training run, whose curves are shown; empty: none
};

/// The data set and, if the answers were given to it, the prompt, for the head of a report.
std::vector<std::pair<std::string, std::string>> about_data(const DataSection& data);
std::vector<std::pair<std::string, std::string>> about_prompt(const PromptSection& prompt);

/// Fills in images and references of the samples; the predictions must be there.
void add_images(ReportInput& report, const Dataset& dataset);

/// Writes folder/index.html and folder/images/, which can be moved and mailed together: a page that needs no network,
/// with the metrics, a threshold to move, curves of the run and every prediction with a thumbnail. Its
/// source is src/eval/report. No text is taken for markup. Thumbnails that an older report has of
/// the same files are kept; the page is replaced at last, so that a failure leaves the older one whole. Throws Error
/// naming the path if writing fails; an image that cannot be read is shown without one.
void write_report(const std::filesystem::path& folder, const ReportInput& input);

}  // namespace lriad
