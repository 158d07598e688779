#include <cstdio>

#include "lriad/core/error.h"
#include "report_page.h"

namespace lriad {
namespace {

std::string table_head(const char* title, const std::vector<const char*>& columns) {
  std::string html = concat("<h2>", title, "</h2>\n<div class=scroll><table><thead><tr>");
  for (const char* name : columns) html += concat("<th>", name, "</th>");
  return html + "</tr></thead><tbody>\n";
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

std::string ranking_row(const std::string& name, const ClassMetrics& m, const char* kind) {
  std::string html = concat("<tr class=", kind, "><td>", html_escape(name), "</td><td>", m.scored, "</td><td>",
                            percent(m.auroc), "</td>");
  for (const auto& value : m.recall_at_false_alarms) html += concat("<td>", percent(value), "</td>");
  return html + "</tr>\n";
}

}  // namespace

std::string percent(const std::optional<double>& value) {
  if (!value) return "–";
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", *value * 100);
  return text;
}

std::string objects_html(const MetricsReport& metrics) {
  if (metrics.overall.n == 0) return "";
  std::string html = table_head("By object, in percent", {"object", "n", "defects", "accuracy", "F1 macro", "recall",
                                                          "specificity", "balanced", "precision", "AUROC", "invalid"});
  for (const auto& [name, m] : metrics.objects) html += metrics_row(name, m, "object");
  html += metrics_row("all images", metrics.overall, "total");
  html += metrics_row("mean of objects", metrics.object_mean, "total");
  html += metrics_row("always normal", metrics.always_normal, "aside");
  html += metrics_row("always defect", metrics.always_defect, "aside");
  return html + "</tbody></table></div>\n";
}

std::string ranking_html(const MetricsReport& metrics) {
  if (metrics.coverage.scored == 0) return "";
  std::string html = table_head("Recall at equal false alarms, in percent",
                                {"object", "scored", "AUROC", "at 1%", "at 2%", "at 5%", "at 10%"});
  for (const auto& [name, m] : metrics.objects) html += ranking_row(name, m, "object");
  html += ranking_row("all images", metrics.overall, "total");
  html += ranking_row("mean of objects", metrics.object_mean, "total");
  return html + "</tbody></table></div>\n";
}

std::string defect_types_html(const MetricsReport& metrics) {
  if (metrics.by_defect_type.empty()) return "";
  std::string html = table_head("Defects found, by type", {"object", "type", "defects", "found", "recall, %"});
  for (const auto& [object, types] : metrics.by_defect_type) {
    for (const auto& [type, count] : types) {
      const double recall = static_cast<double>(count.found) / static_cast<double>(count.n);
      html += concat("<tr><td>", html_escape(object), "</td><td>", html_escape(type), "</td><td>", count.n, "</td><td>",
                     count.found, "</td><td>", percent(recall), "</td></tr>\n");
    }
  }
  return html + "</tbody></table></div>\n";
}

}  // namespace lriad
