#include <cstdio>
#include <set>

#include "class_metrics.h"
#include "lriad/core/error.h"
#include "lriad/eval/paper_tables.h"

namespace lriad {
namespace {

constexpr const char* kData[] = {"MVTec-AD", "VisA"};
constexpr const char* kMethods[] = {"AprilGAN", "AnomalyGPT", "LR-IAD"};
constexpr size_t kNameWidth = 16, kCellWidth = 24;

std::string padded(const std::string& text, size_t width) {
  return text + std::string(text.size() < width ? width - text.size() : 1, ' ');
}

std::string pair_text(double accuracy, double f1_macro) {
  char text[48];
  std::snprintf(text, sizeof text, "%6.2f %6.2f", accuracy, f1_macro);
  return text;
}

std::string pair_text(const ClassMetrics& m) {
  if (!m.accuracy || !m.f1_macro) return "     -      -";
  return pair_text(*m.accuracy * 100, *m.f1_macro * 100);
}

ClassMetrics metrics_of(const PaperRow::Confusion& c) {
  ClassMetrics m;
  m.n_defect = c.tp + c.fn;
  m.n_normal = c.tn + c.fp;
  m.n = m.n_defect + m.n_normal;
  m.tp = c.tp;
  m.fn = c.fn;
  m.tn = c.tn;
  m.fp = c.fp;
  set_fractions(m, InvalidPolicy::kWrong);
  return m;
}

std::string printed_cell(const PaperRow& row) {
  std::string text = pair_text(row.accuracy, row.f1_macro);
  if (!row.counts) return text + " (no counts)";
  if (row.counts->tp + row.counts->fp == 0) text += " always normal";
  if (row.counts->tn + row.counts->fn == 0) text += " always defect";
  return text;
}

std::string counts_text(const ClassMetrics& m) { return concat(m.tp, "/", m.fn, "/", m.tn, "/", m.fp); }

using Objects = std::map<std::string, ClassMetrics>;

/// Pooled over the objects and their plain mean, as `compute_metrics` gives them.
struct Aggregates {
  ClassMetrics pooled, mean;
};

Aggregates aggregate(const Objects& objects) {
  Aggregates all;
  for (const auto& [name, m] : objects) {
    for (const auto count : {&ClassMetrics::n, &ClassMetrics::n_defect, &ClassMetrics::n_normal, &ClassMetrics::tp,
                             &ClassMetrics::fn, &ClassMetrics::tn, &ClassMetrics::fp})
      all.pooled.*count += m.*count;
  }
  set_fractions(all.pooled, InvalidPolicy::kWrong);
  int64_t defined = 0;
  all.mean.accuracy = mean_of(
      objects, [](const ClassMetrics& m) { return m.accuracy; }, defined);
  all.mean.f1_macro = mean_of(
      objects, [](const ClassMetrics& m) { return m.f1_macro; }, defined);
  return all;
}

/// The objects of a data set, or those of them that the run has.
std::set<std::string> shown_objects(const std::string& data, const std::optional<MetricsReport>& run) {
  std::set<std::string> names;
  for (const PaperRow& row : paper_rows()) {
    if (data == row.data && (!run || run->objects.contains(row.object))) names.insert(row.object);
  }
  return names;
}

std::string object_lines(const std::string& data, const std::set<std::string>& names,
                         const std::optional<MetricsReport>& run) {
  std::string text;
  for (const std::string& name : names) {
    text += padded(name, kNameWidth);
    for (const PaperRow& row : paper_rows()) {
      if (data == row.data && name == row.object) text += padded(printed_cell(row), kCellWidth + 4);
    }
    if (run) text += concat(pair_text(run->objects.at(name)), "  ", counts_text(run->objects.at(name)));
    text += "\n";
  }
  return text;
}

std::string counts_lines(const std::string& data, const std::set<std::string>& names) {
  std::string text = "counts tp/fn/tn/fp behind the printed numbers, train and test together\n";
  for (const std::string& name : names) {
    text += concat("  ", padded(name, kNameWidth));
    for (const PaperRow& row : paper_rows()) {
      if (data == row.data && name == row.object)
        text += padded(row.counts ? counts_text(metrics_of(*row.counts)) : "-", kCellWidth);
    }
    text += "\n";
  }
  return text;
}

/// Numbers of the run whose images are others than the paper's, so that the comparison is not like for like.
std::string count_note(const std::string& data, const std::set<std::string>& names, const MetricsReport& run) {
  std::string text;
  for (const PaperRow& row : paper_rows()) {
    if (data != row.data || std::string("LR-IAD") != row.method || !names.contains(row.object)) continue;
    const ClassMetrics paper = metrics_of(*row.counts), &own = run.objects.at(row.object);
    if (paper.n_defect != own.n_defect || paper.n_normal != own.n_normal)
      text += concat("  ", row.object, ": ", own.n_normal, " normal and ", own.n_defect,
                     " defective images, the paper ", paper.n_normal, " and ", paper.n_defect, "\n");
  }
  return text.empty() ? text : "not the paper's images (it counts train and test together):\n" + text;
}

std::string aggregate_lines(const std::string& data, const std::set<std::string>& names,
                            const std::optional<MetricsReport>& run) {
  std::string text = padded("over objects", kNameWidth) + padded("pooled", kCellWidth) + "mean of objects\n";
  const auto line = [&](const std::string& method, const Objects& objects) {
    const Aggregates all = aggregate(objects);
    text += padded(method, kNameWidth) + padded(pair_text(all.pooled), kCellWidth) + pair_text(all.mean);
    text += objects.size() < names.size() ? concat("  over ", objects.size(), " of ", names.size(), "\n") : "\n";
  };
  for (const char* method : kMethods) {
    Objects objects;
    for (const PaperRow& row : paper_rows()) {
      if (data == row.data && std::string(method) == row.method && names.contains(row.object) && row.counts)
        objects[row.object] = metrics_of(*row.counts);
    }
    line(method, objects);
  }
  if (!run) return text;
  Objects own;
  for (const std::string& name : names) own[name] = run->objects.at(name);
  line("this run", own);
  return text;
}

std::string summary_lines(const std::string& data) {
  std::string text;
  for (const PaperSummary& row : paper_summaries()) {
    if (data == row.data)
      text += concat("  Table ", padded(row.table, 4), padded(row.method, kNameWidth),
                     pair_text(row.accuracy, row.f1_macro), "  ", row.aggregation, "\n");
  }
  return "as printed, over all objects\n" + text;
}

std::string data_text(const std::string& data, const std::set<std::string>& names,
                      const std::optional<MetricsReport>& run) {
  std::string text = concat("LR-IAD (arXiv 2504.19524v1), Table ", data == "VisA" ? "V, VisA" : "VI, MVTec-AD",
                            ": accuracy and macro F1 in percent\n", padded("object", kNameWidth));
  for (const char* method : kMethods) text += padded(method, kCellWidth + 4);
  text += run ? "this run, tp/fn/tn/fp\n" : "\n";
  text += object_lines(data, names, run) + "\n" + counts_lines(data, names) + "\n" + aggregate_lines(data, names, run);
  if (run) text += count_note(data, names, *run);
  return text + "\n" + summary_lines(data) + "\n";
}

}  // namespace

std::string paper_comparison(const std::optional<MetricsReport>& run) {
  std::string text;
  for (const char* data : kData) {
    const std::set<std::string> names = shown_objects(data, run);
    if (!names.empty()) text += data_text(data, names, run);
  }
  return text.empty() ? "none of the run's objects is in the paper's tables (MVTec-AD, VisA)\n" : text;
}

}  // namespace lriad
