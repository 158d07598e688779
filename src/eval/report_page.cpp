#include "report_page.h"

#include <algorithm>
#include <cstdio>
#include <set>

#include "lriad/core/error.h"
#include "lriad/eval/predictions.h"

namespace lriad {
namespace {

std::string percent(const std::optional<double>& value, const char* unit = "") {
  if (!value) return "–";
  char text[32];
  std::snprintf(text, sizeof text, "%.1f%s", *value * 100, unit);
  return text;
}

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
  return std::count_if(predictions.begin(), predictions.end(),
                       [&](const Prediction& p) { return p.label == label && p.verdict == verdict; });
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

std::string unlabelled_metrics(const std::vector<Prediction>& predictions) {
  const auto count = [&](Verdict verdict) {
    return std::count_if(predictions.begin(), predictions.end(), [&](const auto& p) { return p.verdict == verdict; });
  };
  return concat("<div class=figures>", count_html("Images", static_cast<int64_t>(predictions.size()), "without labels"),
                count_html("Called defect", count(Verdict::kDefect), ""),
                count_html("Called normal", count(Verdict::kNormal), ""),
                count_html("Invalid answers", count(Verdict::kInvalid), ""), "</div>\n");
}

std::string metrics_row(const std::string& name, const ClassMetrics& m, const char* kind) {
  std::string html =
      concat("<tr class=", kind, "><td>", html_escape(name), "</td><td>", m.n, "</td><td>", m.n_defect, "</td>");
  for (const auto& value : {m.accuracy, m.f1_macro, m.recall, m.specificity, m.balanced_accuracy, m.precision_defect,
                            m.auroc, m.invalid_rate}) {
    html += concat("<td>", percent(value), "</td>");
  }
  return html + "</tr>\n";
}

}  // namespace

std::string metrics_html(const ReportInput& input) {
  const ClassMetrics& m = input.metrics.overall;
  if (m.n == 0) return unlabelled_metrics(input.predictions);
  const std::string trivial = concat("always “normal” would reach ", percent(input.metrics.always_normal.accuracy),
                                     "; ", range_note(m.ci95_accuracy));
  const std::string by_answer = concat("normal ", percent(m.f1_normal), ", defect ", percent(m.f1_defect));
  std::string html = "<div class=figures>\n";
  html += metric_html({"Balanced accuracy",
                       m.balanced_accuracy,
                       "mean of the next two; a constant answer reaches 50",
                       {},
                       "figure first"});
  html += metric_html({"Recall", m.recall,
                       concat(m.tp, " of ", m.n_defect, " defects found; ", range_note(m.ci95_recall)), m.ci95_recall});
  html += metric_html({"Specificity", m.specificity,
                       concat(m.tn, " of ", m.n_normal, " normals passed; ", range_note(m.ci95_specificity)),
                       m.ci95_specificity});
  html += metric_html({"Accuracy", m.accuracy, trivial, m.ci95_accuracy});
  html += metric_html({"F1, macro", m.f1_macro, by_answer, {}});
  html += metric_html({"AUROC", m.auroc, "of the score, without a threshold", {}});
  html += metric_html({"Invalid answers",
                       m.invalid_rate,
                       concat(m.invalid_defect + m.invalid_normal, " of ", m.n, " not in the asked format"),
                       {}});
  return html + confusion_html(input.predictions) + "</div>\n";
}

std::string objects_html(const MetricsReport& metrics) {
  if (metrics.overall.n == 0) return "";
  std::string html = "<h2>By object, in percent</h2>\n<div class=scroll><table><thead><tr>";
  for (const char* name : {"object", "n", "defects", "accuracy", "F1 macro", "recall", "specificity", "balanced",
                           "precision", "AUROC", "invalid"}) {
    html += concat("<th>", name, "</th>");
  }
  html += "</tr></thead><tbody>\n";
  for (const auto& [name, m] : metrics.objects) html += metrics_row(name, m, "object");
  html += metrics_row("all images", metrics.overall, "total");
  html += metrics_row("mean of objects", metrics.object_mean, "total");
  html += metrics_row("always normal", metrics.always_normal, "aside");
  html += metrics_row("always defect", metrics.always_defect, "aside");
  return html + "</tbody></table></div>\n";
}

std::string settings_html(const Settings& settings) {
  return concat("<details><summary>How it was made</summary><pre>", html_escape(settings.json(2)),
                "</pre></details>\n");
}

std::string page_html(const ReportInput& input, const std::vector<GalleryCard>& cards) {
  const std::string title = html_escape(input.title);
  std::set<std::string> objects;
  for (const Prediction& prediction : input.predictions) objects.insert(prediction.object);
  const std::string lead = concat(input.predictions.size(), " images, ", objects.size(),
                                  objects.size() == 1 ? " object" : " objects", "; a defect is the positive class");
  return concat(
      "<!doctype html>\n<html lang=en>\n<head>\n<meta charset=utf-8>\n"
      "<meta name=viewport content=\"width=device-width, initial-scale=1\">\n"
      "<meta name=referrer content=no-referrer>\n<title>",
      title, "</title>\n<style>", kReportStyle, "</style>\n</head>\n<body>\n<main>\n<h1>", title,
      "</h1>\n<p class=lead>", lead, "</p>\n", metrics_html(input), objects_html(input.metrics),
      gallery_html(cards, static_cast<int64_t>(input.predictions.size())), settings_html(input.settings),
      "</main>\n<script>", kReportScript, "</script>\n</body>\n</html>\n");
}

}  // namespace lriad
