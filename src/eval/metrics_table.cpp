#include <algorithm>

#include "lriad/core/error.h"
#include "lriad/eval/map_metrics.h"
#include "lriad/eval/metrics.h"
#include "number_text.h"

namespace lriad {
namespace {

constexpr size_t kShortestName = 16;
constexpr size_t kLongestName = 40;

std::string padded(const std::string& text, size_t width, bool to_the_left) {
  const std::string space(width > text.size() ? width - text.size() : 0, ' ');
  return to_the_left ? text + space : space + text;
}

/// Names of objects come from folders: control characters must not reach the terminal.
std::string printable(const std::string& name) {
  std::string text;
  for (const char c : name) text += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
  return text.size() <= kLongestName ? text : text.substr(0, kLongestName - 3) + "...";
}

std::string cells(const std::vector<std::string>& texts) {
  std::string line;
  for (const std::string& text : texts) line += padded(text, 9, /*to_the_left=*/false);
  return line + "\n";
}

/// A table with a row of `cells_of` for each object, all images and the mean of objects.
template <class CellsOf>
std::string table(const MetricsReport& report, size_t width, const std::vector<std::string>& header,
                  const CellsOf& cells_of, bool baselines) {
  const auto row = [&](const std::string& name, const ClassMetrics& m) {
    return padded(printable(name), width, /*to_the_left=*/true) + cells(cells_of(m));
  };
  const std::string top = padded("object", width, true) + cells(header);
  const std::string rule = std::string(top.size() - 1, '-') + "\n";
  std::string text = top + rule;
  for (const auto& [name, metrics] : report.objects) text += row(name, metrics);
  text += rule + row("all images", report.overall) + row("mean of objects", report.object_mean);
  if (baselines) text += row("always normal", report.always_normal) + row("always defect", report.always_defect);
  return text;
}

std::vector<std::string> verdict_cells(const ClassMetrics& m) {
  std::vector<std::string> texts = {std::to_string(m.n), std::to_string(m.n_defect)};
  for (const auto& value :
       {m.accuracy, m.f1_macro, m.recall, m.specificity, m.balanced_accuracy, m.auroc, m.invalid_rate}) {
    texts.push_back(percent(value));
  }
  return texts;
}

std::vector<std::string> ranking_cells(const ClassMetrics& m) {
  std::vector<std::string> texts = {std::to_string(m.scored), percent(m.auroc)};
  for (const auto& value : m.recall_at_false_alarms) texts.push_back(percent(value));
  return texts;
}

std::string defect_types(const MetricsReport& report) {
  std::string text;
  for (const auto& [object, types] : report.by_defect_type) {
    text += concat("  ", printable(object), ":");
    for (const auto& [type, count] : types)
      text += concat("  ", type.empty() ? "(no type)" : printable(type), " ", count.found, "/", count.n);
    text += "\n";
  }
  return text.empty() ? "" : "defects found, by type\n" + text;
}

std::string intervals(const char* name, const ClassMetrics& m) {
  std::string text;
  for (const NamedFraction& fraction : named_fractions()) {
    if (fraction.interval == nullptr || !(m.*fraction.interval)) continue;
    const auto& [low, high] = *(m.*fraction.interval);
    text += concat("  ", fraction.name, " ", percent(low), "-", percent(high));
  }
  return text.empty() ? "" : concat("95% intervals, ", name, ":", text, "\n");
}

/// Which means are over fewer objects than there are.
std::string mean_note(const MetricsReport& report) {
  std::string text;
  for (const auto& [name, count] : report.mean_objects) {
    if (count < static_cast<int64_t>(report.objects.size())) text += concat("  ", name, " ", count);
  }
  return text.empty() ? "" : concat("mean of objects over fewer than ", report.objects.size(), ":", text, "\n");
}

std::string coverage_text(const Coverage& coverage) {
  return concat("answered ", coverage.answered, " of ", coverage.labelled, " labelled images; skipped ",
                coverage.skipped, ", unreadable ", coverage.unreadable, ", with a score ", coverage.scored, "\n");
}

std::string choice_text(const MetricsReport& report) {
  if (!report.chosen_on) return "";
  return concat("checkpoint chosen on ", report.chosen_on->text,
                report.chosen_on->same_data ? ": these metrics are of the same data and too good\n" : "\n");
}

std::string operating_point_text(const MetricsReport& report) {
  const auto& point = report.operating_point;
  if (!point) return "";
  return concat("threshold ", point->threshold, ", chosen on ", point->chosen_on, "; on ", point->reported_on,
                ": recall ", percent(point->recall), ", false alarms ", percent(point->false_alarms), "\n");
}

}  // namespace

std::string metrics_table(const MetricsReport& report) {
  size_t width = kShortestName;
  for (const auto& [name, metrics] : report.objects) width = std::max(width, printable(name).size());
  std::string text =
      table(report, width, {"n", "defects", "accuracy", "F1", "recall", "specif.", "balanced", "AUROC", "invalid"},
            verdict_cells, /*baselines=*/true);
  if (report.coverage.scored > 0) {
    text += "\nrecall at false alarms of at most\n";
    text += table(report, width, {"scored", "AUROC", "1%", "2%", "5%", "10%"}, ranking_cells, /*baselines=*/false);
  }
  text += "\n";
  text += defect_types(report);
  text += intervals("all images", report.overall) + intervals("mean of objects", report.object_mean);
  text += mean_note(report) + choice_text(report) + operating_point_text(report);
  if (report.maps) text += map_text(*report.maps);
  return text + coverage_text(report.coverage);
}

}  // namespace lriad
