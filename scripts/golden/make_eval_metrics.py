"""Figures of 1,024 random data sets, worked out by scikit-learn and statsmodels, and bootstrap intervals of some.

    pip install scikit-learn==1.5.2 statsmodels==0.14.4
    python scripts/golden/make_eval_metrics.py > tests/golden/eval_metrics.json

The data sets come from the counter-based generator, so that the test makes the same ones. Among them are ones with many
equal scores, without a score, without an object's defects or normal images, and with nothing but invalid answers. The file
holds sums over blocks of 16 data sets: of the i-th, each figure counts i + 1 times, an undefined one as 2.
"""
import json
import math
import warnings

import numpy
from philox import CounterRandom
from sklearn.metrics import (accuracy_score, balanced_accuracy_score, f1_score, precision_score, recall_score,
                             roc_auc_score, roc_curve)
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.proportion import proportion_confint

CASES, BLOCK, RESAMPLES = 1024, 16, 1000
BOOTSTRAP = 9  # RandomUse::kBootstrap
OTHER = {"defect": "normal", "normal": "defect"}
SHARES = (0.01, 0.02, 0.05, 0.1)
OBJECT_MEAN = ("accuracy", "f1_macro", "recall", "balanced_accuracy", "auroc", "recall_at_0.05")


def make_rows(case):
    """Object, label, verdict and score of each image; tests/eval/metrics_test.cpp does the same."""
    random = CounterRandom(case, BOOTSTRAP)
    rows, levels = [], 1 + case % 11
    for i in range(1 + random.below(60, 0)):
        defect = random.uniform(1, i) < case % 5 / 4
        label = "defect" if defect else "normal"
        verdict = label if random.uniform(2, i) < 0.7 else OTHER[label]
        verdict = "invalid" if random.uniform(3, i) < case % 8 / 7 else verdict
        level = random.below(levels, 5, i)
        level = max(level, random.below(levels, 6, i)) if defect else level
        score = None if random.uniform(4, i) < case % 3 * 0.4 else level / levels
        rows.append(("abc"[i % (1 + case % 3)], label, verdict, score))
    return rows


def number(value):
    return None if value is None or math.isnan(value) else float(value)


def mean(*values):
    return None if None in values or not values else sum(values) / len(values)


def ranked(rows):
    """Label and place in the order of all ranked answers; scores are below 1."""
    worst = {"defect": -1, "normal": 2}
    return [(label == "defect", worst[label] if verdict == "invalid" else score)
            for _, label, verdict, score in rows if verdict == "invalid" or score is not None]


def recall_at(rows, share):
    order = ranked(rows)
    if len({label for label, _ in order}) < 2:
        return None
    false_alarms, recall, _ = roc_curve(*zip(*order), drop_intermediate=False)
    return recall[false_alarms <= share].max()


def auroc(rows):
    order = ranked(rows)
    return roc_auc_score(*zip(*order)) if len({label for label, _ in order}) == 2 else None


def figures(rows, any_scored=True):
    truth = [label for _, label, _, _ in rows]
    answers = [verdict for _, _, verdict, _ in rows]
    binary = [OTHER[label] if verdict == "invalid" else verdict for label, verdict in zip(truth, answers)]
    options = {"zero_division": numpy.nan}
    result = {
        "accuracy": accuracy_score(truth, binary),
        "f1_defect": number(f1_score(truth, binary, pos_label="defect", **options)),
        "f1_normal": number(f1_score(truth, binary, pos_label="normal", **options)),
        "precision_defect": number(precision_score(truth, binary, pos_label="defect", **options)),
        "recall": number(recall_score(truth, binary, pos_label="defect", **options)),
        "specificity": number(recall_score(truth, binary, pos_label="normal", **options)),
        "invalid_rate": answers.count("invalid") / len(rows),
        "auroc": auroc(rows) if any_scored else None,
        "f1_macro_extra_class": f1_score(truth, answers, average="macro", zero_division=0),
    }
    result["f1_macro"] = mean(result["f1_defect"], result["f1_normal"])
    result["balanced_accuracy"] = mean(result["recall"], result["specificity"])
    if result["balanced_accuracy"] is not None:
        assert abs(result["balanced_accuracy"] - balanced_accuracy_score(truth, binary)) < 1e-12
    for share in SHARES:
        result[f"recall_at_{share}"] = recall_at(rows, share) if any_scored else None
    for name, parts in (("accuracy", truth), ("recall", ["defect"]), ("specificity", ["normal"])):
        answered = [t == v for t, v in zip(truth, binary) if t in parts]
        bounds = proportion_confint(sum(answered), len(answered), method="wilson") if answered else (None, None)
        result[f"ci95_{name}_low"], result[f"ci95_{name}_high"] = bounds
    return result


def by_object(rows):
    return {name: [row for row in rows if row[0] == name] for name in sorted({row[0] for row in rows})}


def object_mean(rows, any_scored):
    objects = [figures(part, any_scored) for part in by_object(rows).values()]
    result = {}
    for name in OBJECT_MEAN:
        defined = [figure[name] for figure in objects if figure[name] is not None]
        result[f"object_mean_{name}"] = sum(defined) / len(defined) if defined else None
    return result


def all_figures(rows):
    any_scored = any(score is not None and verdict != "invalid" for _, _, verdict, score in rows)
    return figures(rows, any_scored) | object_mean(rows, any_scored)


def blocks():
    sums = []
    for case in range(CASES):
        if case % BLOCK == 0:
            sums.append({})
        for name, value in all_figures(make_rows(case)).items():
            sums[-1][name] = sums[-1].get(name, 0) + (case % BLOCK + 1) * (2 if value is None else float(value))
    return {name: [round(block[name], 9) for block in sums] for name in sums[0]}


def bootstrap(case, names):
    """Resamples within each label of each object, the normal images first."""
    rows, random = make_rows(case), CounterRandom(42, BOOTSTRAP)
    strata = [[row for row in part if row[1] == label] for part in by_object(rows).values() for label in ("normal", "defect")]
    strata = [stratum for stratum in strata if stratum]
    values = {}
    for resample in range(RESAMPLES):
        drawn = [stratum[random.below(len(stratum), resample, s, i)]
                 for s, stratum in enumerate(strata) for i in range(len(stratum))]
        found = all_figures(drawn)
        for name in names:
            values.setdefault(name, []).append(found[name])
    bounds = {name: numpy.quantile(values[name], (0.025, 0.975)).tolist() for name in names}
    return {"case": case, "ci95": bounds}


def mcnemar_tests():
    """Pairs of counts with the p-value of statsmodels."""
    random = CounterRandom(0, BOOTSTRAP)
    pairs = [(0, 0), (1, 0), (5, 5), (430, 501)] + [(random.below(40, i), random.below(40, i, 1)) for i in range(28)]
    return [[a, b, float(mcnemar([[0, a], [b, 0]], exact=True).pvalue)] for a, b in pairs]


def main():
    warnings.simplefilter("ignore")
    names = ("balanced_accuracy", "f1_macro", "object_mean_accuracy", "object_mean_f1_macro", "object_mean_recall",
             "object_mean_balanced_accuracy", "auroc", "object_mean_auroc")
    golden = {"mcnemar": mcnemar_tests(), "sums": blocks(), "bootstrap": [bootstrap(case, names) for case in (1, 2, 18, 33)]}
    print(json.dumps(golden, separators=(",", ":")))


main()
