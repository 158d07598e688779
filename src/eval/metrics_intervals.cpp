#include <map>
#include <utility>

#include "bootstrap.h"
#include "class_metrics.h"

namespace lriad {
namespace {

using Fraction = std::optional<double>;

/// Metrics of one resample, which add() fills; what they need is made once.
class Resample {
 public:
  void clear() { metrics_ = ClassMetrics(); }
  void add(const Prediction& row) { count_answer(metrics_, row); }
  const ClassMetrics& finish(InvalidPolicy policy) {
    set_fractions(metrics_, policy);
    return metrics_;
  }

 private:
  ClassMetrics metrics_;
};

/// Values of the fractions over the resamples, from which intervals follow.
class Spread {
 public:
  void add(const NamedFraction& fraction, const Fraction& value) {
    if (value) values_[fraction.name].push_back(*value);
  }
  /// Keeps an interval that is there already: Wilson's.
  void set_intervals(ClassMetrics& m) {
    for (const NamedFraction& fraction : named_fractions()) {
      if (fraction.interval == nullptr || !(m.*fraction.value) || m.*fraction.interval) continue;
      m.*fraction.interval = percentile_interval(std::move(values_[fraction.name]));
    }
  }

 private:
  std::map<std::string, std::vector<double>> values_;
};

}  // namespace

void set_bootstrap_intervals(MetricsReport& report, const Rows& rows, InvalidPolicy policy) {
  const Bootstrap bootstrap(rows);
  Resample overall;
  std::map<std::string, Resample> objects;
  std::vector<Resample*> object_of;
  for (const Prediction* row : rows) object_of.push_back(&objects[row->object]);
  Spread overall_spread, mean_spread;
  std::map<std::string, Spread> object_spread;
  for (int64_t resample = 0; resample < kResamples; ++resample) {
    overall.clear();
    for (auto& [name, object] : objects) object.clear();
    bootstrap.draw(resample, [&](size_t row) {
      overall.add(*rows[row]);
      object_of[row]->add(*rows[row]);
    });
    const ClassMetrics& all = overall.finish(policy);
    std::map<std::string, const ClassMetrics*> each;
    for (auto& [name, object] : objects) each[name] = &object.finish(policy);
    int64_t defined = 0;
    for (const NamedFraction& fraction : named_fractions()) {
      if (fraction.interval == nullptr) continue;
      overall_spread.add(fraction, all.*fraction.value);
      for (const auto& [name, m] : each) object_spread[name].add(fraction, m->*fraction.value);
      mean_spread.add(fraction, mean_of(
                                    each, [&](const auto* m) { return m->*fraction.value; }, defined));
    }
  }
  overall_spread.set_intervals(report.overall);
  mean_spread.set_intervals(report.object_mean);
  for (auto& [name, m] : report.objects) object_spread[name].set_intervals(m);
}

}  // namespace lriad
