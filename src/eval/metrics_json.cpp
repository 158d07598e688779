#include <nlohmann/json.hpp>

#include "core/json_null.h"
#include "lriad/core/files.h"
#include "lriad/eval/settings.h"
#include "metrics_text.h"
#include "number_text.h"

namespace lriad {
namespace {

using Json = nlohmann::ordered_json;

Json interval_json(const ClassMetrics::Interval& bounds) {
  return bounds ? Json::array({(*bounds)[0], (*bounds)[1]}) : Json(nullptr);
}

/// "0.01", "0.1": the shares as keys.
std::string share_name(double share) {
  char text[16];
  std::snprintf(text, sizeof text, "%g", share);
  return text;
}

Json metrics_json(const ClassMetrics& m) {
  Json out;
  out["n"] = m.n;
  out["n_defect"] = m.n_defect;
  out["n_normal"] = m.n_normal;
  out["tp"] = m.tp;
  out["tn"] = m.tn;
  out["fp"] = m.fp;
  out["fn"] = m.fn;
  out["invalid_defect"] = m.invalid_defect;
  out["invalid_normal"] = m.invalid_normal;
  out["scored"] = m.scored;
  for (const NamedFraction& fraction : named_fractions()) out[fraction.name] = or_null(m.*fraction.value);
  for (size_t i = 0; i < kFalseAlarmShares.size(); ++i) {
    out["recall_at_false_alarms"][share_name(kFalseAlarmShares[i])] = or_null(m.recall_at_false_alarms[i]);
  }
  for (const NamedFraction& fraction : named_fractions()) {
    if (fraction.interval != nullptr) out["ci95"][fraction.name] = interval_json(m.*fraction.interval);
  }
  return out;
}

Json defect_types_json(const MetricsReport& report) {
  Json out = Json::object();
  for (const auto& [object, types] : report.by_defect_type) {
    for (const auto& [type, count] : types) {
      const double recall = static_cast<double>(count.found) / static_cast<double>(count.n);
      out[object][type] = {{"n", count.n}, {"found", count.found}, {"recall", recall}};
    }
  }
  return out;
}

Json coverage_json(const Coverage& coverage) {
  return {{"labelled", coverage.labelled},
          {"answered", coverage.answered},
          {"skipped", coverage.skipped},
          {"unreadable", coverage.unreadable},
          {"scored", coverage.scored}};
}

Json mask_json(const MaskMetrics& figures) {
  return {{"n", figures.n}, {"hit_rate", or_null(figures.hit_rate)}, {"pixel_auroc", or_null(figures.pixel_auroc)}};
}

Json maps_json(const MapMetrics& maps) {
  return {{"deletion_ratio", or_null(maps.deletion_ratio)},
          {"hit_rate", or_null(maps.found.hit_rate)},
          {"pixel_auroc", or_null(maps.found.pixel_auroc)},
          {"n", maps.n},
          {"with_mask", maps.found.n},
          {"deletion", {{"map", or_null(maps.drop)}, {"random", or_null(maps.random_drop)}}},
          {"no_better_than_random", maps.weaker},
          {"missed", mask_json(maps.missed)}};
}

Json answer_counts(const std::vector<Prediction>& predictions) {
  Json out = {{"defect", 0}, {"normal", 0}, {"invalid", 0}, {"unreadable", 0}};
  for (const Prediction& prediction : predictions) {
    Json& count = out[verdict_text(prediction)];
    count = count.get<int64_t>() + 1;
  }
  return out;
}

}  // namespace

std::string metrics_text(const MetricsReport& report, const std::vector<Prediction>& predictions,
                         const Settings& settings, int indent) {
  Json out;
  out["coverage"] = coverage_json(report.coverage);
  out["overall"] = metrics_json(report.overall);
  out["object_mean"] = metrics_json(report.object_mean);
  out["object_mean"]["objects"] = report.mean_objects;
  out["objects"] = Json::object();
  for (const auto& [name, metrics] : report.objects) out["objects"][name] = metrics_json(metrics);
  out["by_defect_type"] = defect_types_json(report);
  out["baselines"]["always_normal"] = metrics_json(report.always_normal);
  out["baselines"]["always_defect"] = metrics_json(report.always_defect);
  if (const auto& choice = report.chosen_on)
    out["chosen_on"] = {{"checkpoint", choice->text}, {"same_data", choice->same_data}};
  if (const auto& point = report.operating_point) {
    out["operating_point"] = {{"threshold", point->threshold},
                              {"chosen_on", point->chosen_on},
                              {"reported_on", point->reported_on},
                              {"recall", or_null(point->recall)},
                              {"false_alarms", or_null(point->false_alarms)}};
  }
  if (report.maps) out["maps"] = maps_json(*report.maps);
  out["answers"] = answer_counts(predictions);
  out["settings"] = Json::parse(settings.json());
  return out.dump(indent, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
}

void write_metrics(const std::filesystem::path& path, const MetricsReport& report,
                   const std::vector<Prediction>& predictions, const Settings& settings) {
  write_file_atomic("eval", path, metrics_text(report, predictions, settings, /*indent=*/2) + "\n");
}

}  // namespace lriad
