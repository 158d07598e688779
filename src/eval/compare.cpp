#include "lriad/eval/compare.h"

#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "bootstrap.h"
#include "class_metrics.h"
#include "lriad/core/error.h"

namespace lriad {
namespace {

constexpr const char* kMetrics[] = {"accuracy", "balanced_accuracy", "f1_macro", "recall", "specificity"};

/// The partner of each prediction of `a`; throws Error for one that has none or another label.
std::vector<const Prediction*> partners(const std::vector<Prediction>& a, const std::vector<Prediction>& b) {
  std::unordered_map<std::string, const Prediction*> by_id;
  for (const Prediction& p : b) by_id.emplace(p.sample_id, &p);
  std::vector<const Prediction*> found;
  for (const Prediction& p : a) {
    const auto it = by_id.find(p.sample_id);
    if (it == by_id.end())
      fail("eval", "the second run has no answer for ", p.sample_id, "; compare runs over the same images");
    if (it->second->label != p.label) fail("eval", "the runs have different labels for ", p.sample_id);
    found.push_back(it->second);
  }
  if (a.size() == b.size()) return found;
  for (const Prediction& p : a) by_id.erase(p.sample_id);
  fail("eval", "the first run has no answer for ", by_id.begin()->first, "; compare runs over the same images");
}

bool is_right(const Prediction& p) { return p.verdict == p.label; }

template <class Good>
McNemar count_pairs(size_t rows, const Good& good) {
  int64_t only_a = 0, only_b = 0;
  for (size_t i = 0; i < rows; ++i) {
    const bool in_a = good(0, i), in_b = good(1, i);
    only_a += in_a && !in_b ? 1 : 0;
    only_b += in_b && !in_a ? 1 : 0;
  }
  return mcnemar(only_a, only_b);
}

MetricChange change(std::string name, const std::optional<double>& a, const std::optional<double>& b,
                    std::vector<double>&& differences) {
  return {std::move(name), a, b, percentile_interval(std::move(differences))};
}

ClassMetrics metrics_of(const Rows& rows, InvalidPolicy policy) {
  ClassMetrics m;
  for (const Prediction* row : rows) count_answer(m, *row);
  set_fractions(m, policy);
  return m;
}

/// Fills metrics, recalls and their intervals from the same resamples of both runs.
void set_changes(Comparison& result, const Rows& rows_a, const Rows& rows_b, InvalidPolicy policy) {
  const Bootstrap bootstrap(rows_a);
  Resample of_a(rows_a), of_b(rows_b);
  std::vector<std::vector<double>> metrics(std::size(kMetrics)), recalls(kFalseAlarmShares.size());
  std::vector<double> aurocs;
  const auto add = [](std::vector<double>& differences, const std::optional<double>& from,
                      const std::optional<double>& to) {
    if (from && to) differences.push_back(*to - *from);
  };
  for (int64_t resample = 0; resample < kResamples; ++resample) {
    of_a.clear();
    of_b.clear();
    bootstrap.draw(resample, [&](size_t row) {
      of_a.add(row);
      of_b.add(row);
    });
    const ClassMetrics& a = of_a.finish(policy);
    const ClassMetrics& b = of_b.finish(policy);
    for (size_t i = 0; i < metrics.size(); ++i)
      add(metrics[i], metric_by_name(a, kMetrics[i]), metric_by_name(b, kMetrics[i]));
    add(aurocs, a.auroc, b.auroc);
    for (size_t i = 0; i < recalls.size(); ++i)
      add(recalls[i], recall_at(of_a.steps(), kFalseAlarmShares[i]), recall_at(of_b.steps(), kFalseAlarmShares[i]));
  }
  for (size_t i = 0; i < metrics.size(); ++i) {
    result.metrics.push_back(change(kMetrics[i], metric_by_name(result.a, kMetrics[i]),
                                    metric_by_name(result.b, kMetrics[i]), std::move(metrics[i])));
  }
  if (result.a.scored == 0 || result.b.scored == 0) return;
  const Ranking& a = of_a.ranking();
  const Ranking& b = of_b.ranking();
  result.a.auroc = auroc_of(a.steps);
  result.b.auroc = auroc_of(b.steps);
  result.auroc = change("AUROC", result.a.auroc, result.b.auroc, std::move(aurocs));
  for (size_t i = 0; i < recalls.size(); ++i) {
    const double share = kFalseAlarmShares[i];
    result.recalls.push_back(
        change(concat(share), recall_at(a.steps, share), recall_at(b.steps, share), std::move(recalls[i])));
    const size_t within[] = {steps_within(a.steps, share), steps_within(b.steps, share)};
    const Ranking* const rankings[] = {&a, &b};
    result.found.push_back(count_pairs(rows_a.size(), [&](int run, size_t row) {
      const std::ptrdiff_t step = rankings[run]->step_of[row];
      return rows_a[row]->label == Verdict::kDefect && step >= 0 && static_cast<size_t>(step) < within[run];
    }));
  }
}

}  // namespace

McNemar mcnemar(int64_t only_a, int64_t only_b) {
  const auto n = static_cast<double>(only_a + only_b);
  double p = 0;
  for (int64_t k = 0; k <= std::min(only_a, only_b); ++k) {
    const auto i = static_cast<double>(k);
    p += std::exp(std::lgamma(n + 1) - std::lgamma(i + 1) - std::lgamma(n - i + 1) - n * std::log(2.0));
  }
  return {only_a, only_b, std::min(1.0, 2 * p)};
}

Comparison compare_runs(const std::vector<Prediction>& a, const std::vector<Prediction>& b, InvalidPolicy policy) {
  const std::vector<const Prediction*> others = partners(a, b);
  Comparison result;
  Rows rows_a, rows_b;
  for (size_t i = 0; i < a.size(); ++i) {
    if (!a[i].label) continue;
    if (a[i].unreadable() || others[i]->unreadable()) {
      ++result.unreadable;
      continue;
    }
    rows_a.push_back(&a[i]);
    rows_b.push_back(others[i]);
    if (a[i].verdict != others[i]->verdict) result.changed.emplace_back(&a[i], others[i]);
  }
  if (rows_a.empty()) fail("eval", "the runs share no labelled image that both could read");
  result.a = metrics_of(rows_a, policy);
  result.b = metrics_of(rows_b, policy);
  result.verdicts =
      count_pairs(rows_a.size(), [&](int run, size_t row) { return is_right(run == 0 ? *rows_a[row] : *rows_b[row]); });
  set_changes(result, rows_a, rows_b, policy);
  return result;
}

}  // namespace lriad
