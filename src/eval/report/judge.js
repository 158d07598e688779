'use strict';
// Verdicts at a threshold and what follows from them. A row is one prediction, as report_data.cpp writes it: its label and
// score are undefined where there is none. A threshold of null means the verdicts as they were answered.

function verdictAt(row, threshold) {
  const fixed = threshold === null || row.score === undefined || row.verdict === 'invalid' || row.verdict === 'unreadable';
  if (fixed) return row.verdict;
  return row.score >= threshold ? 'defect' : 'normal';
}

/** missed, alarm, right, invalid, unreadable, or plain for an image without a label. */
function outcomeAt(row, threshold) {
  const verdict = verdictAt(row, threshold);
  if (verdict === 'unreadable' || verdict === 'invalid') return verdict;
  if (row.label === undefined) return 'plain';
  if (verdict === row.label) return 'right';
  return verdict === 'defect' ? 'alarm' : 'missed';
}

/** How sure the score is of this verdict; -1 without a score. */
function confidence(row, verdict) {
  if (row.score === undefined) return -1;
  return verdict === 'defect' ? row.score : 1 - row.score;
}

/** Label (defect, normal, none) to verdict to number of images; unreadable ones are left out. */
function confusion(rows, threshold) {
  const counts = {};
  for (const label of ['defect', 'normal', 'none']) counts[label] = {defect: 0, normal: 0, invalid: 0, all: 0};
  for (const row of rows) {
    if (row.verdict === 'unreadable') continue;
    const cell = counts[row.label || 'none'];
    ++cell[verdictAt(row, threshold)];
    ++cell.all;
  }
  return counts;
}

/** Recall of each defect type at the threshold: [{object, type, n, found}]. */
function defectTypes(rows, threshold) {
  const found = new Map();
  for (const row of rows) {
    if (row.label !== 'defect' || row.verdict === 'unreadable') continue;
    const key = row.object + '\n' + (row.type || '');
    if (!found.has(key)) found.set(key, {object: row.object, type: row.type || '', n: 0, found: 0});
    const entry = found.get(key);
    ++entry.n;
    if (verdictAt(row, threshold) === 'defect') ++entry.found;
  }
  const types = [...found.values()];
  return types.some(entry => entry.type) ? types : [];
}

/**
 * The points of the ROC curve by falling threshold. An invalid answer stands at the wrong end of the order, as in
 * metrics.json; a valid one without a score is left out. Empty if a class is missing or nothing was scored.
 */
function rocPoints(rows) {
  const ranked = [];
  let defects = 0, normals = 0, scored = 0;
  for (const row of rows) {
    if (row.label === undefined || row.verdict === 'unreadable') continue;
    const defect = row.label === 'defect';
    const invalid = row.verdict === 'invalid';
    if (!invalid && row.score === undefined) continue;
    ranked.push({rank: invalid ? (defect ? -Infinity : Infinity) : row.score, defect});
    defect ? ++defects : ++normals;
    if (!invalid) ++scored;
  }
  if (!defects || !normals || !scored) return [];
  ranked.sort((a, b) => (a.rank === b.rank ? 0 : b.rank > a.rank ? 1 : -1));
  const points = [{threshold: Infinity, falseAlarms: 0, recall: 0}];
  let found = 0, alarms = 0;
  ranked.forEach((entry, i) => {
    entry.defect ? ++found : ++alarms;
    if (i + 1 < ranked.length && ranked[i + 1].rank === entry.rank) return;
    points.push({threshold: entry.rank, falseAlarms: alarms / normals, recall: found / defects});
  });
  return points;
}

/** The lowest threshold with at most this share of false alarms, just above the highest score if there is none. */
function thresholdWithin(points, share) {
  const scores = points.filter(point => Number.isFinite(point.threshold));
  const good = scores.filter(point => point.falseAlarms <= share);
  if (good.length) return good[good.length - 1].threshold;
  return scores[0].threshold + 1e-9 * Math.max(1, Math.abs(scores[0].threshold));
}

/** Wilson's 95% interval of a share; null of nothing. */
function wilson(found, n) {
  if (!n) return null;
  const z = 1.959963984540054, share = found / n, scale = 1 + z * z / n;
  const middle = (share + z * z / (2 * n)) / scale;
  const half = z * Math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / scale;
  return [Math.max(0, middle - half), Math.min(1, middle + half)];
}

const ratio = (part, whole) => (whole ? part / whole : null);

/** The shares of confusion(): null where undefined. An invalid answer is wrong. */
function shares(counts) {
  const {defect, normal} = counts;
  const recall = ratio(defect.defect, defect.all), specificity = ratio(normal.normal, normal.all);
  return {
    recall, falseAlarms: specificity === null ? null : 1 - specificity,
    precision: ratio(defect.defect, defect.defect + normal.defect),
    balanced: recall === null || specificity === null ? null : (recall + specificity) / 2,
    accuracy: ratio(defect.defect + normal.normal, defect.all + normal.all),
  };
}
