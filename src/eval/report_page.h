#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lriad/eval/report.h"

namespace lriad {

extern const char* const kReportStyle;   ///< CSS of the page
extern const char* const kReportScript;  ///< JavaScript of the gallery's filters

/// Text for HTML content and quoted attributes: markup characters escaped, control characters and broken UTF-8
/// replaced.
std::string html_escape(std::string_view text);

/// Path with forward slashes as a URL path: everything but letters, digits and -._~/ percent-encoded.
std::string url_path(std::string_view path);

std::string percent(const std::optional<double>& value);  ///< of a fraction, one digit; a dash where undefined

/// How an answer turned out.
enum class Outcome { kMissed, kFalseAlarm, kInvalid, kUnreadable, kRight, kUnlabelled };
Outcome outcome_of(const Prediction& prediction);

/// One image of the gallery.
struct GalleryCard {
  const Prediction* prediction = nullptr;
  std::string thumbnail;  ///< URL relative to index.html; empty: none
  std::string original;   ///< URL of the file; empty: none
  bool tiny = false;      ///< drawn without smoothing
};

/// The predictions that the gallery shows: mistakes first, then invalid answers, then the rest; at most `limit`.
std::vector<const Prediction*> choose_gallery(const std::vector<Prediction>& predictions, int64_t limit);

std::string metrics_html(const ReportInput& input);      ///< summary cards and confusion table
std::string objects_html(const MetricsReport& metrics);  ///< table by object; empty without labels
std::string ranking_html(const MetricsReport& metrics);  ///< recall at equal false alarms; empty without scores
std::string defect_types_html(const MetricsReport& metrics);
std::string settings_html(const Settings& settings);  ///< folded list
std::string gallery_html(const std::vector<GalleryCard>& cards, int64_t total);
std::string page_html(const ReportInput& input, const std::vector<GalleryCard>& cards);

}  // namespace lriad
