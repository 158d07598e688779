#include "lriad/eval/settings.h"

#include <nlohmann/json.hpp>

#include "core/json.h"
#include "lriad/core/error.h"
#include "lriad/core/files.h"
#include "lriad/eval/predictions.h"

namespace lriad {
namespace {

using Json = nlohmann::ordered_json;

std::string dump(const Json& value, int indent = -1) {
  return value.dump(indent, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
}

Json optional_number(const std::optional<double>& value) { return value ? Json(*value) : Json(nullptr); }

Json interval_json(const ClassMetrics::Interval& bounds) {
  return bounds ? Json::array({(*bounds)[0], (*bounds)[1]}) : Json(nullptr);
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
  for (const char* name : {"accuracy", "f1_macro", "f1_defect", "f1_normal", "precision_defect", "recall",
                           "specificity", "balanced_accuracy", "auroc", "invalid_rate"}) {
    out[name] = optional_number(metric_by_name(m, name));
  }
  out["ci95"]["accuracy"] = interval_json(m.ci95_accuracy);
  out["ci95"]["recall"] = interval_json(m.ci95_recall);
  out["ci95"]["specificity"] = interval_json(m.ci95_specificity);
  return out;
}

Json answer_counts(const std::vector<Prediction>& predictions) {
  Json out = {{"defect", 0}, {"normal", 0}, {"invalid", 0}};
  for (const Prediction& prediction : predictions) {
    Json& count = out[verdict_name(prediction.verdict)];
    count = count.get<int64_t>() + 1;
  }
  return out;
}

}  // namespace

void Settings::set(const std::string& name, const std::string& value) { values_[name] = dump(Json(value)); }

void Settings::set(const std::string& name, const std::optional<std::string>& value) {
  values_[name] = value ? dump(Json(*value)) : "null";
}

void Settings::set(const std::string& name, const char* value) { values_[name] = dump(Json(value)); }

void Settings::set(const std::string& name, const std::optional<double>& value) {
  values_[name] = dump(optional_number(value));
}

void Settings::set(const std::string& name, double value) { values_[name] = dump(Json(value)); }

void Settings::set(const std::string& name, int64_t value) { values_[name] = dump(Json(value)); }

void Settings::set(const std::string& name, bool value) { values_[name] = dump(Json(value)); }

std::string Settings::json(int indent) const {
  Json out = Json::object();
  for (const auto& [name, value] : values_) out[name] = Json::parse(value);
  return dump(out, indent);
}

Settings Settings::read(const std::filesystem::path& path) {
  std::string problem;
  const Json read = parse_json_object<Json>(read_file("eval", path, 16 << 20), problem);
  if (!read.is_object()) fail("eval", path.string(), " ", problem, "; remove it, or start without --resume");
  Settings settings;
  for (const auto& [name, value] : read.items()) settings.values_[name] = dump(value);
  return settings;
}

std::string Settings::difference(const Settings& now) const {
  std::map<std::string, std::string> all = values_;
  all.insert(now.values_.begin(), now.values_.end());
  for (const auto& [name, unused] : all) {
    const auto before_it = values_.find(name);
    const auto now_it = now.values_.find(name);
    const std::string before_text = before_it == values_.end() ? "not set" : before_it->second;
    const std::string now_text = now_it == now.values_.end() ? "not set" : now_it->second;
    if (before_text != now_text) return concat(name, ": ", before_text, " before, ", now_text, " now");
  }
  return "";
}

void write_metrics(const std::filesystem::path& path, const MetricsReport& report,
                   const std::vector<Prediction>& predictions, const Settings& settings) {
  Json out;
  out["overall"] = metrics_json(report.overall);
  out["object_mean"] = metrics_json(report.object_mean);
  out["objects"] = Json::object();
  for (const auto& [name, metrics] : report.objects) out["objects"][name] = metrics_json(metrics);
  out["baselines"]["always_normal"] = metrics_json(report.always_normal);
  out["baselines"]["always_defect"] = metrics_json(report.always_defect);
  out["answers"] = answer_counts(predictions);
  out["settings"] = Json::parse(settings.json());
  write_file_atomic("eval", path, dump(out, 2) + "\n");
}

}  // namespace lriad
