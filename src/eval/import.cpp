#include "lriad/eval/import.h"

#include <algorithm>
#include <string_view>
#include <system_error>
#include <unordered_map>

#include "import_lines.h"
#include "lriad/core/error.h"
#include "lriad/core/log.h"
#include "lriad/eval/operating_point.h"
#include "lriad/eval/predictions.h"

namespace lriad {
namespace {

namespace fs = std::filesystem;

struct VerdictWord {
  std::string_view word;
  Verdict verdict;
};
/// In lower case; 1 and true are what anomaly detectors write for a defect.
constexpr VerdictWord kVerdictWords[] = {
    {"defect", Verdict::kDefect},  {"1", Verdict::kDefect},         {"true", Verdict::kDefect},
    {"anomaly", Verdict::kDefect}, {"anomalous", Verdict::kDefect}, {"abnormal", Verdict::kDefect},
    {"normal", Verdict::kNormal},  {"0", Verdict::kNormal},         {"false", Verdict::kNormal},
    {"good", Verdict::kNormal},    {"invalid", Verdict::kInvalid}};

class Importer {
 public:
  Importer(const fs::path& path, const Dataset& dataset, const ImportOptions& options)
      : path_(path), dataset_(dataset), options_(options), taken_(dataset.samples.size(), 0) {
    for (size_t i = 0; i < dataset.samples.size(); ++i) {
      by_name_.emplace(dataset.samples[i].image, i);
      by_name_.emplace(dataset.samples[i].path.lexically_normal().string(), i);
    }
  }

  std::vector<Prediction> run() {
    const std::vector<ImportedLine> lines = read_imported_lines(path_);
    if (lines.empty()) fail("eval", path_.string(), " holds no predictions");
    std::vector<Prediction> predictions;
    for (const ImportedLine& line : lines) predictions.push_back(join(line));
    check_coverage(predictions.size());
    return predictions;
  }

 private:
  void check_coverage(size_t covered) const {
    const size_t all = dataset_.samples.size();
    if (covered == all) return;
    const auto first = std::find(taken_.begin(), taken_.end(), 0) - taken_.begin();
    const std::string text =
        concat(path_.string(), " covers ", covered, " of ", all, " images, the first without a line is ",
               dataset_.samples[static_cast<size_t>(first)].image);
    if (!options_.partial)
      fail("eval", text, "; complete the file, or give --partial to have metrics of the covered images alone");
    log_warning(concat(text, "; the others are left out of the metrics"));
  }

  template <class... Parts>
  [[noreturn]] void fail_at(int64_t line, const Parts&... parts) const {
    fail("eval", path_.string(), " line ", line, ": ", parts...);
  }

  std::optional<size_t> find(const std::string& image) {
    for (const fs::path& name : {fs::path(image), fs::path(image).lexically_normal(),
                                 (dataset_.root / image).lexically_normal(), fs::absolute(image).lexically_normal()}) {
      if (const auto it = by_name_.find(name.string()); it != by_name_.end()) return it->second;
    }
    if (const auto found = find_below(image)) return found;
    return find_canonical(image);
  }

  /// An image whose path below the data root stands at the end of `image`: the same data set elsewhere.
  std::optional<size_t> find_below(const std::string& image) const {
    for (size_t slash = image.find('/'); slash != std::string::npos; slash = image.find('/', slash + 1)) {
      if (const auto it = by_name_.find(image.substr(slash + 1)); it != by_name_.end()) return it->second;
    }
    return std::nullopt;
  }

  /// The same file under another name (links); slower, so only when the names do not tell.
  std::optional<size_t> find_canonical(const std::string& image) {
    std::error_code error;
    const fs::path wanted = fs::canonical(image, error);
    if (error) return std::nullopt;
    if (by_canonical_.empty()) {
      for (size_t i = 0; i < dataset_.samples.size(); ++i) {
        const fs::path path = fs::canonical(dataset_.samples[i].path, error);
        if (!error) by_canonical_.emplace(path.string(), i);
      }
    }
    const auto it = by_canonical_.find(wanted.string());
    return it == by_canonical_.end() ? std::nullopt : std::optional(it->second);
  }

  Verdict judge(const ImportedLine& line) const {
    if (!line.verdict.empty()) return verdict_at(named_verdict(line), line.score, options_.threshold);
    if (!line.score) fail_at(line.line, "has neither a verdict nor a score");
    if (!options_.threshold && (*line.score < 0 || *line.score > 1)) {
      fail_at(line.line, "score is ", *line.score, ", not a probability: give --threshold");
    }
    return *line.score >= options_.threshold.value_or(0.5) ? Verdict::kDefect : Verdict::kNormal;
  }

  Verdict named_verdict(const ImportedLine& line) const {
    const auto known = std::ranges::find(kVerdictWords, line.verdict, &VerdictWord::word);
    if (known != std::end(kVerdictWords)) return known->verdict;
    fail_at(line.line, "verdict is ", line.verdict, ", expected defect, normal, invalid or unreadable (or 1 and 0)");
  }

  /// What an answer says that is known to be right or wrong.
  Verdict chosen(const ImportedLine& line, const std::optional<Verdict>& label) const {
    if (!label)
      fail_at(line.line, "image ", line.image, " has no label in the data set, expected one for MMAD's answers");
    const bool says_defect = (*label == Verdict::kDefect) == *line.right;
    return says_defect ? Verdict::kDefect : Verdict::kNormal;
  }

  Prediction join(const ImportedLine& line) {
    if (line.image.empty()) fail_at(line.line, "has no image");
    const std::optional<size_t> index = find(line.image);
    if (!index) fail_at(line.line, "image ", line.image, " is not in the data set ", dataset_.root.string());
    if (taken_[*index] != 0) fail_at(line.line, "image ", line.image, " was already on line ", taken_[*index]);
    taken_[*index] = line.line;
    Prediction prediction = prediction_of(dataset_.samples[*index]);
    prediction.text = line.text;
    if (line.verdict == "unreadable") {
      prediction.error = concat("unreadable in ", path_.filename().string());
      return prediction;
    }
    prediction.verdict = line.right ? chosen(line, prediction.label) : judge(line);
    prediction.score = line.score;
    return prediction;
  }

  const fs::path& path_;
  const Dataset& dataset_;
  const ImportOptions& options_;
  std::vector<int64_t> taken_;  ///< line that a sample was on, 0: none yet
  std::unordered_map<std::string, size_t> by_name_, by_canonical_;
};

}  // namespace

std::vector<Prediction> import_predictions(const std::filesystem::path& path, const Dataset& dataset,
                                           const ImportOptions& options) {
  return Importer(path, dataset, options).run();
}

}  // namespace lriad
