#include "lriad/eval/operating_point.h"

#include <cmath>
#include <limits>

#include "lriad/core/error.h"
#include "ranking.h"

namespace lriad {
namespace {

Ranking rank(const std::vector<Prediction>& predictions) {
  std::vector<const Prediction*> rows;
  for (const Prediction& p : predictions) {
    if (p.label && !p.unreadable()) rows.push_back(&p);
  }
  return Ranking(rows);
}

double for_false_alarms(const Ranking& ranking, double share, const std::string& split) {
  const size_t allowed = steps_within(ranking.steps, share);
  if (allowed > 0 && std::isfinite(ranking.scores[allowed - 1])) return ranking.scores[allowed - 1];
  const bool invalid_normals = allowed == 0 && std::isinf(ranking.scores.front()) && ranking.scores.front() > 0;
  if (invalid_normals) {
    fail("eval", "no threshold has a share of false alarms of at most ", share, " on split ", split,
         ": more of its normal images have an invalid answer; allow more, or train the answer's format first");
  }
  for (const double score : ranking.scores) {
    if (std::isfinite(score)) return std::nextafter(score, std::numeric_limits<double>::infinity());
  }
  fail("eval", "no answer on split ", split, " has a score, expected some to choose a threshold from");
}

double for_recall(const Ranking& ranking, double recall, const std::string& split) {
  const RankStep all = total(ranking.steps);
  if (all.defects == 0) fail("eval", "split ", split, " has no defects that --min-recall could look at");
  int64_t found = 0;
  for (size_t i = 0; i < ranking.steps.size(); ++i) {
    found += ranking.steps[i].defects;
    const bool enough = static_cast<double>(found) / static_cast<double>(all.defects) >= recall;
    if (enough && std::isfinite(ranking.scores[i])) return ranking.scores[i];
    if (enough) break;
  }
  fail("eval", "no threshold has a recall of at least ", recall, " on split ", split,
       ": too many of its defects have an invalid answer; ask for less, or train the answer's format first");
}

}  // namespace

double choose_threshold(const std::vector<Prediction>& predictions, const ThresholdRule& rule,
                        const std::string& split) {
  const Ranking ranking = rank(predictions);
  if (rule.min_recall) return for_recall(ranking, *rule.min_recall, split);
  if (total(ranking.steps).normals == 0)
    fail("eval", "split ", split, " has no normal images that --max-false-alarms could look at");
  return for_false_alarms(ranking, rule.max_false_alarms.value(), split);
}

Verdict verdict_at(Verdict verdict, const std::optional<double>& score, const std::optional<double>& threshold) {
  if (!threshold || !score || verdict == Verdict::kInvalid) return verdict;
  return *score >= *threshold ? Verdict::kDefect : Verdict::kNormal;
}

}  // namespace lriad
