#include "report_page.h"

#include <algorithm>
#include <cstdio>
#include <set>

#include "lriad/core/error.h"
#include "lriad/eval/map_figures.h"
#include "lriad/eval/predictions.h"

namespace lriad {
namespace {

std::string bar(const std::optional<double>& value, const ClassMetrics::Interval& interval) {
  if (!value) return "<div class=bar></div>";
  std::string html = concat("<div class=bar><i style=\"width:", percent(value), "%\"></i>");
  if (interval) {
    const double low = (*interval)[0], high = (*interval)[1];
    html += concat("<b style=\"left:", percent(low), "%;width:", percent(high - low), "%\"></b>");
  }
  return html + "</div>";
}

std::string range_note(const ClassMetrics::Interval& interval) {
  if (!interval) return "";
  return concat("95%: ", percent((*interval)[0]), " to ", percent((*interval)[1]));
}

struct Figure {
  const char* name;
  std::optional<double> value;
  std::string note;
  ClassMetrics::Interval interval;
  const char* kind = "figure";
};

std::string metric_html(const Figure& figure) {
  const std::string unit = figure.value ? " <small>%</small>" : "";
  return concat("<div class=\"", figure.kind, "\"><div class=name>", figure.name, "</div><div class=value>",
                percent(figure.value), unit, "</div>", bar(figure.value, figure.interval), "<div class=note>",
                figure.note, "</div></div>\n");
}

std::string count_html(const char* name, int64_t count, const std::string& note) {
  return concat("<div class=figure><div class=name>", name, "</div><div class=value>", count, "</div><div class=note>",
                note, "</div></div>\n");
}

int64_t count_if(const std::vector<Prediction>& predictions, const std::optional<Verdict>& label, Verdict verdict) {
  return std::count_if(predictions.begin(), predictions.end(), [&](const Prediction& p) {
    return p.label == label && !p.unreadable() && p.verdict == verdict;
  });
}

std::string confusion_row(const std::vector<Prediction>& predictions, Verdict label) {
  const bool defect = label == Verdict::kDefect;
  const auto sequence = [&](Verdict verdict, const char* kind) {
    return concat("<td class=", kind, ">", count_if(predictions, label, verdict), "</td>");
  };
  return concat("<tr><td>", verdict_name(label), "</td>", sequence(Verdict::kDefect, defect ? "hit" : "fault"),
                sequence(Verdict::kNormal, defect ? "fault" : "hit"), sequence(Verdict::kInvalid, "fault"), "</tr>");
}

std::string confusion_html(const std::vector<Prediction>& predictions) {
  return concat(
      "<div class=\"figure matrix\"><table><thead><tr><th>label \\ "
      "answer</th><th>defect</th><th>normal</th><th>invalid</th>"
      "</tr></thead><tbody>",
      confusion_row(predictions, Verdict::kDefect), confusion_row(predictions, Verdict::kNormal),
      "</tbody></table></div>\n");
}

std::string coverage_note(const Coverage& coverage) {
  if (coverage.labelled == 0) return "";
  return concat("; answered ", coverage.answered, " of ", coverage.labelled, " labelled images, skipped ",
                coverage.skipped, ", unreadable ", coverage.unreadable);
}

std::string unlabelled_metrics(const std::vector<Prediction>& predictions) {
  const auto count = [&](Verdict verdict) { return count_if(predictions, std::nullopt, verdict); };
  return concat("<div class=figures>", count_html("Images", static_cast<int64_t>(predictions.size()), "without labels"),
                count_html("Called defect", count(Verdict::kDefect), ""),
                count_html("Called normal", count(Verdict::kNormal), ""),
                count_html("Invalid answers", count(Verdict::kInvalid), ""),
                count_html("Unreadable images", std::ranges::count_if(predictions, &Prediction::unreadable), ""),
                "</div>\n");
}

std::string choice_html(const MetricsReport& metrics) {
  if (!metrics.chosen_on) return "";
  return concat("<p class=lead>Checkpoint chosen on ", html_escape(metrics.chosen_on->text),
                metrics.chosen_on->same_data ? ": these metrics are of the same data and too good" : "", ".</p>\n");
}

std::string operating_point_html(const MetricsReport& metrics) {
  const auto& point = metrics.operating_point;
  if (!point) return "";
  return concat("<p class=lead>Verdicts by the score: a defect from ", point->threshold, " on, chosen on ",
                html_escape(point->chosen_on), ". On ", html_escape(point->reported_on), ": recall ",
                percent(point->recall), "%, false alarms ", percent(point->false_alarms), "%.</p>\n");
}

std::string maps_html(const MetricsReport& metrics) {
  return metrics.maps ? concat("<p class=lead>", html_escape(map_text(*metrics.maps)), "</p>\n") : "";
}

}  // namespace

std::string metrics_html(const ReportInput& input) {
  const ClassMetrics& m = input.metrics.overall;
  if (m.n == 0) return unlabelled_metrics(input.predictions);
  const std::string trivial = concat("always “normal” would reach ", percent(input.metrics.always_normal.accuracy),
                                     "; ", range_note(m.ci95_accuracy));
  const std::string by_answer =
      concat("normal ", percent(m.f1_normal), ", defect ", percent(m.f1_defect), "; ", range_note(m.ci95_f1_macro));
  std::string html = "<div class=figures>\n";
  html +=
      metric_html({"Balanced accuracy", m.balanced_accuracy,
                   concat("mean of the next two; a constant answer reaches 50; ", range_note(m.ci95_balanced_accuracy)),
                   m.ci95_balanced_accuracy, "figure first"});
  html += metric_html({"Recall", m.recall,
                       concat(m.tp, " of ", m.n_defect, " defects found; ", range_note(m.ci95_recall)), m.ci95_recall});
  html += metric_html({"Specificity", m.specificity,
                       concat(m.tn, " of ", m.n_normal, " normals passed; ", range_note(m.ci95_specificity)),
                       m.ci95_specificity});
  html += metric_html({"Accuracy", m.accuracy, trivial, m.ci95_accuracy});
  html += metric_html({"F1, macro", m.f1_macro, by_answer, m.ci95_f1_macro});
  html += metric_html({"AUROC",
                       m.auroc,
                       concat("of the score, without a threshold; ", m.scored, " of ", m.n, " answers have one"),
                       {}});
  html += metric_html({"Invalid answers",
                       m.invalid_rate,
                       concat(m.invalid_defect + m.invalid_normal, " of ", m.n, " not in the asked format"),
                       {}});
  return html + confusion_html(input.predictions) + "</div>\n" + choice_html(input.metrics) +
         operating_point_html(input.metrics) + maps_html(input.metrics);
}

std::string settings_html(const Settings& settings) {
  return concat("<details><summary>How it was made</summary><pre>", html_escape(settings.json(2)),
                "</pre></details>\n");
}

std::string page_html(const ReportInput& input, const std::vector<GalleryCard>& cards) {
  const std::string title = html_escape(input.title);
  std::set<std::string> objects;
  for (const Prediction& prediction : input.predictions) objects.insert(prediction.object);
  const std::string lead =
      concat(input.predictions.size(), " images, ", objects.size(), objects.size() == 1 ? " object" : " objects",
             "; a defect is the positive class", coverage_note(input.metrics.coverage));
  return concat(
      "<!doctype html>\n<html lang=en>\n<head>\n<meta charset=utf-8>\n"
      "<meta name=viewport content=\"width=device-width, initial-scale=1\">\n"
      "<meta name=referrer content=no-referrer>\n<title>",
      title, "</title>\n<style>", kReportStyle, "</style>\n</head>\n<body>\n<main>\n<h1>", title,
      "</h1>\n<p class=lead>", lead, "</p>\n", metrics_html(input), objects_html(input.metrics),
      ranking_html(input.metrics), defect_types_html(input.metrics),
      gallery_html(cards, static_cast<int64_t>(input.predictions.size())), settings_html(input.settings),
      "</main>\n<script>", kReportScript, "</script>\n</body>\n</html>\n");
}

}  // namespace lriad
