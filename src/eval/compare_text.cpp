#include <nlohmann/json.hpp>

#include "core/json_null.h"
#include "lriad/core/error.h"
#include "lriad/core/files.h"
#include "lriad/eval/compare.h"
#include "number_text.h"

namespace lriad {
namespace {

using Json = nlohmann::ordered_json;

std::string score_text(const Prediction& p) { return p.score ? formatted("%.3f", *p.score) : "-"; }

std::string change_line(const MetricChange& change) {
  std::string line = concat("  ", change.name, std::string(20 - std::min<size_t>(change.name.size(), 19), ' '),
                            percent(change.a), " -> ", percent(change.b));
  if (change.a && change.b) line += concat("  (", formatted("%+.2f", (*change.b - *change.a) * 100), ")");
  if (change.difference) {
    const auto& [low, high] = *change.difference;
    line += concat("  95% of the difference: ", formatted("%+.2f", low * 100), " to ", formatted("%+.2f", high * 100));
  }
  return line;
}

std::string test_text(const McNemar& test) {
  return concat("only A ", test.only_a, ", only B ", test.only_b, ", McNemar p ", formatted("%.4g", test.p_value));
}

std::string changed_text(const Comparison& comparison, int64_t max_changed) {
  std::string text = concat(comparison.changed.size(), " of ", comparison.a.n, " verdicts changed\n");
  int64_t shown = 0;
  for (const auto& [a, b] : comparison.changed) {
    if (shown++ == max_changed) {
      text += concat("  and ", std::ssize(comparison.changed) - max_changed, " more in compare.json\n");
      break;
    }
    text += concat("  ", a->image, "  label ", verdict_name(*a->label), ": ", verdict_name(a->verdict), " (",
                   score_text(*a), ") -> ", verdict_name(b->verdict), " (", score_text(*b), ")\n");
  }
  return text;
}

Json test_json(const McNemar& test) {
  return {{"only_a", test.only_a}, {"only_b", test.only_b}, {"p_value", test.p_value}};
}

Json change_json(const MetricChange& change) {
  Json out = {{"a", or_null(change.a)}, {"b", or_null(change.b)}};
  out["difference_ci95"] =
      change.difference ? Json::array({(*change.difference)[0], (*change.difference)[1]}) : Json(nullptr);
  return out;
}

Json changed_json(const Comparison& comparison) {
  Json out = Json::array();
  for (const auto& [a, b] : comparison.changed) {
    out.push_back({{"sample_id", a->sample_id},
                   {"image", a->image},
                   {"label", verdict_name(*a->label)},
                   {"verdict_a", verdict_name(a->verdict)},
                   {"verdict_b", verdict_name(b->verdict)},
                   {"score_a", or_null(a->score)},
                   {"score_b", or_null(b->score)}});
  }
  return out;
}

}  // namespace

std::string comparison_text(const Comparison& comparison, int64_t max_changed) {
  std::string text = changed_text(comparison, max_changed);
  if (comparison.auroc) {
    text += concat("\nrecall at equal false alarms, A -> B, in percent\n", change_line(*comparison.auroc), "\n");
  }
  for (size_t i = 0; i < comparison.recalls.size(); ++i) {
    MetricChange change = comparison.recalls[i];
    change.name = concat("at most ", 100 * kFalseAlarmShares[i], "%");
    text += concat(change_line(change), "; ", test_text(comparison.found[i]), "\n");
  }
  text += "\nverdicts as they stand, A -> B, in percent\n";
  for (const MetricChange& change : comparison.metrics) text += change_line(change) + "\n";
  text += concat("  right: ", test_text(comparison.verdicts), "\n");
  text += concat("  with a score: A ", comparison.a.scored, ", B ", comparison.b.scored, " of ", comparison.a.n,
                 " answers; unreadable images left out: ", comparison.unreadable, "\n");
  return text;
}

void write_comparison(const std::filesystem::path& path, const Comparison& comparison, const std::string& a,
                      const std::string& b) {
  Json out = {{"a", a}, {"b", b}, {"n", comparison.a.n}, {"unreadable", comparison.unreadable}};
  out["scored"] = {{"a", comparison.a.scored}, {"b", comparison.b.scored}};
  out["changed"] = changed_json(comparison);
  for (size_t i = 0; i < comparison.recalls.size(); ++i) {
    Json& entry = out["recall_at_false_alarms"][comparison.recalls[i].name] = change_json(comparison.recalls[i]);
    entry["mcnemar"] = test_json(comparison.found[i]);
  }
  if (comparison.auroc) out["auroc"] = change_json(*comparison.auroc);
  for (const MetricChange& change : comparison.metrics) out["verdicts"][change.name] = change_json(change);
  out["verdicts"]["mcnemar"] = test_json(comparison.verdicts);
  write_file_atomic("eval", path, out.dump(2, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace) + "\n");
}

}  // namespace lriad
