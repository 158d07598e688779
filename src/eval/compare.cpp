#include "lriad/eval/compare.h"

#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "bootstrap.h"
#include "class_metrics.h"
#include "lriad/core/error.h"
#include "ranking.h"

namespace lriad {
namespace {

constexpr const char* kMetrics[] = {"accuracy", "balanced_accuracy", "f1_macro", "recall", "specificity"};

/// One run's rows in the common order, with where each stands in the order of the score.
struct Run {
  explicit Run(Rows&& predictions) : rows(std::move(predictions)), ranking(rows) {}
  Rows rows;
  Ranking ranking;
};

/// A resample of one run.
struct Sampled {
  explicit Sampled(const Run& source) : run(source), steps(source.ranking.steps.size()) {}
  void clear() {
    metrics = ClassMetrics();
    std::ranges::fill(steps, RankStep());
  }
  void add(size_t row) {
    const Prediction& prediction = *run.rows[row];
    count_answer(metrics, prediction);
    if (const std::ptrdiff_t step = run.ranking.step_of[row]; step >= 0) {
      RankStep& place = steps[static_cast<size_t>(step)];
      ++(prediction.label == Verdict::kDefect ? place.defects : place.normals);
    }
  }
  const Run& run;
  ClassMetrics metrics;
  std::vector<RankStep> steps;
};

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
void set_changes(Comparison& result, const Run& a, const Run& b, InvalidPolicy policy) {
  const Bootstrap bootstrap(a.rows);
  Sampled of_a(a), of_b(b);
  std::vector<std::vector<double>> metrics(std::size(kMetrics)), recalls(kFalseAlarmShares.size());
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
    set_fractions(of_a.metrics, policy);
    set_fractions(of_b.metrics, policy);
    for (size_t i = 0; i < metrics.size(); ++i)
      add(metrics[i], metric_by_name(of_a.metrics, kMetrics[i]), metric_by_name(of_b.metrics, kMetrics[i]));
    for (size_t i = 0; i < recalls.size(); ++i)
      add(recalls[i], recall_at(of_a.steps, kFalseAlarmShares[i]), recall_at(of_b.steps, kFalseAlarmShares[i]));
  }
  for (size_t i = 0; i < metrics.size(); ++i) {
    result.metrics.push_back(change(kMetrics[i], metric_by_name(result.a, kMetrics[i]),
                                    metric_by_name(result.b, kMetrics[i]), std::move(metrics[i])));
  }
  if (result.a.scored == 0 || result.b.scored == 0) return;
  for (size_t i = 0; i < recalls.size(); ++i) {
    const double share = kFalseAlarmShares[i];
    result.recalls.push_back(change(concat(share), recall_at(a.ranking.steps, share), recall_at(b.ranking.steps, share),
                                    std::move(recalls[i])));
    const size_t within[] = {steps_within(a.ranking.steps, share), steps_within(b.ranking.steps, share)};
    const Run* const runs[] = {&a, &b};
    result.found.push_back(count_pairs(a.rows.size(), [&](int run, size_t row) {
      const std::ptrdiff_t step = runs[run]->ranking.step_of[row];
      return a.rows[row]->label == Verdict::kDefect && step >= 0 && static_cast<size_t>(step) < within[run];
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
  set_changes(result, Run(std::move(rows_a)), Run(std::move(rows_b)), policy);
  return result;
}

}  // namespace lriad
