"""Figures of random verdicts and scores, worked out by scikit-learn and statsmodels.

    pip install scikit-learn==1.5.2 statsmodels==0.14.4
    python scripts/golden/make_eval_metrics.py > tests/golden/eval_metrics.json
"""
import json
import random

from sklearn.metrics import (accuracy_score, balanced_accuracy_score, f1_score, precision_score, recall_score,
                             roc_auc_score)
from statsmodels.stats.proportion import proportion_confint

OTHER = {"defect": "normal", "normal": "defect"}


def make_rows(rng, count, defect_share, invalid_share):
    rows = []
    for _ in range(count):
        label = "defect" if rng.random() < defect_share else "normal"
        verdict = label if rng.random() < 0.7 else OTHER[label]
        verdict = "invalid" if rng.random() < invalid_share else verdict
        # Two decimals make ties; an invalid answer may have no score.
        score = round(rng.betavariate(3, 2) if label == "defect" else rng.betavariate(2, 3), 2)
        rows.append([label, verdict, None if verdict == "invalid" and rng.random() < 0.5 else score])
    return rows


def figures(rows):
    truth = [label for label, _, _ in rows]
    answers = [verdict for _, verdict, _ in rows]
    binary = [OTHER[label] if verdict == "invalid" else verdict for label, verdict, _ in rows]
    scored = [(label == "defect", score) for label, _, score in rows if score is not None]
    defects = [v for t, v in zip(truth, binary) if t == "defect"]
    normals = [v for t, v in zip(truth, binary) if t == "normal"]
    return {
        "accuracy": accuracy_score(truth, binary),
        "f1_macro": f1_score(truth, binary, average="macro", zero_division=0),
        "f1_macro_extra_class": f1_score(truth, answers, average="macro", zero_division=0),
        "f1_defect": f1_score(truth, binary, pos_label="defect", zero_division=0),
        "f1_normal": f1_score(truth, binary, pos_label="normal", zero_division=0),
        "precision_defect": precision_score(truth, binary, pos_label="defect", zero_division=0),
        "recall": recall_score(truth, binary, pos_label="defect"),
        "specificity": recall_score(truth, binary, pos_label="normal"),
        "balanced_accuracy": balanced_accuracy_score(truth, binary),
        "auroc": roc_auc_score(*zip(*scored)),
        "ci95_accuracy": proportion_confint(sum(t == v for t, v in zip(truth, binary)), len(rows), method="wilson"),
        "ci95_recall": proportion_confint(defects.count("defect"), len(defects), method="wilson"),
        "ci95_specificity": proportion_confint(normals.count("normal"), len(normals), method="wilson"),
    }


def main():
    rng = random.Random(7)
    cases = []
    for count, defect_share, invalid_share in ((60, 0.5, 0.2), (150, 0.1, 0.05), (40, 0.8, 0.0), (25, 0.3, 0.9)):
        rows = make_rows(rng, count, defect_share, invalid_share)
        cases.append({"rows": rows, "figures": figures(rows)})
    print(json.dumps(cases, separators=(",", ":")))


main()
