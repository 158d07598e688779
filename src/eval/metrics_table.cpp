#include <algorithm>
#include <cstdio>

#include "lriad/eval/metrics.h"

namespace lriad {
namespace {

constexpr size_t kShortestName = 16;
constexpr size_t kLongestName = 40;

std::string percent(const std::optional<double>& value) {
  if (!value) return "-";
  char text[16];
  std::snprintf(text, sizeof text, "%.2f", *value * 100);
  return text;
}

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

std::string row(const std::string& name, size_t width, const ClassMetrics& m) {
  std::string line = padded(printable(name), width, /*to_the_left=*/true);
  line += padded(std::to_string(m.n), 7, false) + padded(std::to_string(m.n_defect), 8, false);
  for (const auto& value :
       {m.accuracy, m.f1_macro, m.recall, m.specificity, m.balanced_accuracy, m.auroc, m.invalid_rate}) {
    line += padded(percent(value), 9, false);
  }
  return line + "\n";
}

std::string interval(const char* name, const ClassMetrics::Interval& bounds) {
  if (!bounds) return "";
  return std::string("  ") + name + " " + percent((*bounds)[0]) + "-" + percent((*bounds)[1]);
}

}  // namespace

std::string metrics_table(const MetricsReport& report) {
  size_t width = kShortestName;
  for (const auto& [name, metrics] : report.objects) width = std::max(width, printable(name).size());
  std::string header = padded("object", width, true) + padded("n", 7, false) + padded("defects", 8, false);
  for (const char* name : {"accuracy", "F1", "recall", "specif.", "balanced", "AUROC", "invalid"}) {
    header += padded(name, 9, false);
  }
  const std::string rule(header.size(), '-');
  std::string table = header + "\n" + rule + "\n";
  for (const auto& [name, metrics] : report.objects) table += row(name, width, metrics);
  table += rule + "\n";
  table += row("all images", width, report.overall);
  table += row("mean of objects", width, report.object_mean);
  table += row("always normal", width, report.always_normal);
  table += row("always defect", width, report.always_defect);
  const ClassMetrics& m = report.overall;
  if (m.ci95_accuracy) {
    table += "95% interval:" + interval("accuracy", m.ci95_accuracy) + interval("recall", m.ci95_recall) +
             interval("specificity", m.ci95_specificity) + "\n";
  }
  return table;
}

}  // namespace lriad
