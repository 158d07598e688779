#include <map>
#include <utility>

#include "bootstrap.h"
#include "class_metrics.h"

namespace lriad {
namespace {

using Fraction = std::optional<double>;

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
  std::map<std::string, Rows> rows_of;
  std::vector<size_t> row_in_object;
  for (const Prediction* row : rows) {
    Rows& object = rows_of[row->object];
    row_in_object.push_back(object.size());
    object.push_back(row);
  }
  Resample overall(rows);
  std::map<std::string, Resample> objects;
  for (const auto& [name, members] : rows_of) objects.emplace(name, members);
  std::vector<Resample*> object_of;
  for (const Prediction* row : rows) object_of.push_back(&objects.at(row->object));
  Spread overall_spread, mean_spread;
  std::map<std::string, Spread> object_spread;
  for (int64_t resample = 0; resample < kResamples; ++resample) {
    overall.clear();
    for (auto& [name, object] : objects) object.clear();
    bootstrap.draw(resample, [&](size_t row) {
      overall.add(row);
      object_of[row]->add(row_in_object[row]);
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
