#include "eval_output.h"

#include <cctype>
#include <set>
#include <system_error>
#include <utility>

#include "lriad/core/error.h"
#include "lriad/core/files.h"
#include "lriad/eval/predictions.h"

namespace lriad {

namespace fs = std::filesystem;

namespace {

constexpr int64_t kMapSide = 360;  // pixels of a map's longer side
constexpr size_t kLongestStem = 60;
constexpr size_t kHashDigits = 10;  // tell apart images of one name

/// The name of a file without its ending, other characters than letters, digits and -_ left out.
std::string plain_stem(const std::string& file) {
  std::string stem = fs::path(file).stem().string();
  std::erase_if(stem, [](unsigned char c) { return c >= 0x80 || !(std::isalnum(c) || c == '-' || c == '_'); });
  return stem.substr(0, kLongestStem);
}

}  // namespace

EvalOutput::EvalOutput(const std::string& folder, Existing existing)
    : folder_(fs::absolute(folder).lexically_normal()) {
  std::error_code error;
  if (fs::exists(folder_, error) && !fs::is_directory(folder_, error)) {
    fail("app", "--output ", folder, " is a file, expected a folder");
  }
  const bool answers = fs::exists(predictions_path(), error) && fs::file_size(predictions_path(), error) > 0;
  if (answers && existing == Existing::kRefuse) {
    fail("app", predictions_path().string(),
         " holds the answers of an earlier run; choose another --output, go on with ",
         "--resume, or replace them with --overwrite");
  }
}

std::vector<Prediction> EvalOutput::answers_so_far(const Settings& settings, const Dataset* dataset) {
  if (!fs::exists(predictions_path())) return {};
  PredictionLog log = read_predictions(predictions_path());
  if (log.predictions.empty()) return {};
  const std::string difference = Settings::read(settings_path()).difference(settings);
  if (!difference.empty()) {
    fail("app", "--resume: ", predictions_path().string(), " was made with other settings: ", difference,
         "; use the same, or start without --resume");
  }
  std::set<std::string> wanted;
  if (dataset != nullptr) {
    for (const Sample& sample : dataset->samples) wanted.insert(sample.id);
  }
  for (const Prediction& prediction : log.predictions) {
    kept_rows_.push_back(prediction_csv_row(prediction, threshold_));
    if (dataset != nullptr && !wanted.contains(prediction.sample_id)) {
      fail("app", "--resume: ", predictions_path().string(), " holds an answer for ", prediction.sample_id,
           ", which is not among the images asked for; ask for those too, or start without --resume");
    }
  }
  keep_bytes_ = log.complete_bytes;
  return std::move(log.predictions);
}

void EvalOutput::start(const Settings& settings) {
  make_folder("app", folder_);
  lock_.emplace(folder_);
  remove_metrics();
  if (keep_bytes_) {
    std::error_code error;
    fs::resize_file(predictions_path(), *keep_bytes_, error);
    if (error) {
      fail("app", "cannot remove an incomplete line from ", predictions_path().string(), ": ", error.message());
    }
  } else {
    write_file_atomic("app", settings_path(), settings.json(1) + "\n");
  }
  file_.emplace("app", predictions_path(), keep_bytes_ ? LineFile::Mode::kAppend : LineFile::Mode::kTruncate);
  table_.emplace("app", table_path(), LineFile::Mode::kTruncate);
  table_->write_line(prediction_csv_header());
  for (const std::string& row : std::exchange(kept_rows_, {})) table_->write_line(row);
}

void EvalOutput::add(const Prediction& prediction) {
  if (!half_added_) file_->write_line(prediction_line(prediction, threshold_));
  half_added_ = true;
  table_->write_line(prediction_csv_row(prediction, threshold_));
  half_added_ = false;
}

void EvalOutput::write_predictions(const std::vector<Prediction>& predictions, const Settings& settings) {
  make_folder("app", folder_);
  lock_.emplace(folder_);
  remove_metrics();
  write_file_atomic("app", settings_path(), settings.json(1) + "\n");
  write_file_atomic("app", predictions_path(), [&](const ByteSink& put) {
    for (const Prediction& prediction : predictions) put(prediction_line(prediction, threshold_) + "\n");
  });
  write_file_atomic("app", table_path(), [&](const ByteSink& put) {
    put(prediction_csv_header() + "\n");
    for (const Prediction& prediction : predictions) put(prediction_csv_row(prediction, threshold_) + "\n");
  });
}

void EvalOutput::write_results(ReportInput report, const Dataset& dataset) const {
  write_metrics(folder_ / "metrics.json", report.metrics, report.predictions, report.settings);
  add_images(report, dataset);
  for (const Prediction& p : report.predictions) {
    if (p.map && !p.map->file.empty()) report.maps.emplace(p.sample_id, folder_ / p.map->file);
  }
  write_report(folder_ / "report", report);
}

void EvalOutput::write_map(const Sample& sample, HeatMap& map) const {
  map.file = concat("maps/", plain_stem(sample.image), "-", sha256_hex(sample.id).substr(0, kHashDigits), ".png");
  write_overlay(folder_ / map.file, sample.path, map, kMapSide);
}

void EvalOutput::remove_metrics() const {
  std::error_code ignored;
  fs::remove(folder_ / "metrics.json", ignored);
  fs::remove(folder_ / "report" / "index.html", ignored);
}

}  // namespace lriad
