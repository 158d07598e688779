"""Table of what scripts/bench_maps.sh has evaluated, as RUN/maps.md. With --judge exits 1 if a figure misses what it should reach."""
import json
import sys
from pathlib import Path

ROWS = (("maps_seen", "clear defects, parts seen in training, found", None), ("maps_unseen", "faint defects, unseen parts, found", None),
        ("maps_unseen", "faint defects, unseen parts, missed", "missed"), ("maps_untrained", "untrained weights", "missed"))


def read(run, name, which):
    maps = json.loads((run / name / "metrics.json").read_text())["maps"]
    part = maps[which] if which else {**maps, "n": maps["with_mask"]}
    return {"n": part["n"], "auroc": part["pixel_auroc"], "hit": part["hit_rate"],
            "deletion": maps["deletion"] if which is None else None, "ratio": maps["deletion_ratio"] if which is None else None}


def number(value, digits):
    return "" if value is None else f"{value:.{digits}f}"


def table(rows):
    lines = ["| maps of | n | pixel AUROC | maximum on the defect | drop of the score's logit: map | random cells | ratio |",
             "|---|--:|--:|--:|--:|--:|--:|"]
    for (_, title, _), row in zip(ROWS, rows):
        drops = row["deletion"] or {"map": None, "random": None}
        cells = [title, str(row["n"]), number(row["auroc"], 3), number(row["hit"], 3), number(drops["map"], 2), number(drops["random"], 2),
                 number(row["ratio"], 1)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def misses(seen, unseen, untrained):
    found = []
    for name, row, least in (("seen parts", seen, 0.90), ("unseen parts", unseen, 0.85)):
        if row["n"] < 50:
            found.append(f"{name}: {row['n']} found defects, expected at least 50")
            continue
        for figure in ("auroc", "hit"):
            if row[figure] < least:
                found.append(f"{name}: {figure} is {row[figure]:.3f}, expected at least {least}")
        drops = row["deletion"]
        if drops["map"] < 5 * max(drops["random"], 0):
            found.append(f"{name}: maps lower the logit by {drops['map']:.2f}, random cells by {drops['random']:.2f}; expected 5 times as much")
    if untrained["hit"] >= 0.35:
        found.append(f"untrained weights: hit is {untrained['hit']:.3f}, expected less than 0.35")
    return found


def main():
    run = Path(sys.argv[1])
    rows = [read(run, name, which) for name, _, which in ROWS]
    (run / "maps.md").write_text(table(rows))
    print(table(rows))
    found = misses(rows[0], rows[1], rows[3]) if "--judge" in sys.argv else []
    for text in found:
        print(text, file=sys.stderr)
    sys.exit(1 if found else 0)


main()
