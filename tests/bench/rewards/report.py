"""Figures, table and curves of the benchmark of rewards, from the folders of its runs."""
import itertools
import json
import math

FIGURES = ("recall", "specificity", "balanced_accuracy", "auroc", "recall_at_1%", "recall_at_5%", "invalid_rate")
TABLE = FIGURES[:6]
# Recall at the threshold that lets through at most this share of normal images.
RECALL_AT = {"recall_at_1%": "recall_at_false_alarms_0.01", "recall_at_5%": "recall_at_false_alarms_0.05"}
# Two-sided 95% points of Student's t by degrees of freedom.
STUDENT = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262}
COLOURS = {"lriad_paper": "#b3541e", "visual_rft": "#8a6d1d", "trl_dapo": "#6b6b6b", "lriad": "#1f6f8b"}
WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 300, 220, 46, 34, 18, 40


def mean(values):
    return sum(values) / len(values)


def slug(name):
    """A folder's name for a mode."""
    return name.replace("%", "").replace("/", "").replace(", ", "-").replace(" ", "_")


def curve(folder, rollouts_per_step=1, prompts=8):
    """The evaluations of a run; completions of groups that were drawn again count as rollouts."""
    points, rollouts = [], 0
    for line in (folder / "metrics.jsonl").read_text().splitlines():
        row = json.loads(line)
        rollouts += rollouts_per_step + row.get("resampled_groups", 0) * rollouts_per_step / prompts
        if "eval_recall" in row:
            points.append({"rollouts": rollouts, **{name: row["eval_" + RECALL_AT.get(name, name)] for name in FIGURES}})
    return points


def answers(folder):
    overall = json.loads((folder / "metrics.json").read_text())["overall"]
    for share, recall in overall["recall_at_false_alarms"].items():
        overall[f"recall_at_false_alarms_{share}"] = recall
    return {name: overall[RECALL_AT.get(name, name)] for name in FIGURES}


def interval(values):
    """Mean and half of Student's 95% interval; a figure that some seeds leave undefined is undefined."""
    if None in values:
        return [None, None]
    centre = mean(values)
    if len(values) < 2:
        return [centre, None]
    deviation = math.sqrt(sum((value - centre) ** 2 for value in values) / (len(values) - 1))
    return [centre, STUDENT[len(values) - 1] * deviation / math.sqrt(len(values))]


def bootstrap(count, statistic):
    """Value of a statistic of seeds, and its 95% interval over all ways to draw as many seeds with replacement."""
    draws = sorted(statistic(list(draw)) for draw in itertools.product(range(count), repeat=count))
    return [statistic(list(range(count))), draws[int(0.025 * (len(draws) - 1))], draws[int(0.975 * (len(draws) - 1))]]


def mean_curve(curves, seeds):
    return [{name: mean([curves[k][i][name] for k in seeds]) for name in ("rollouts",) + FIGURES[:3]} for i in range(len(curves[0]))]


def rollouts_to(curves, seeds, level):
    """Rollouts after which the mean curve first reaches the level; infinity if it never does."""
    return next((p["rollouts"] for p in mean_curve(curves, seeds) if p["rollouts"] > 0 and p["balanced_accuracy"] >= level), math.inf)


def against(curves, reference):
    """A mode beside the printed method: ratios of recalls, difference of false alarms, rollouts that the reference took for
    its last balanced accuracy over those that this mode took for the same."""
    count = len(curves)
    last = lambda of, seeds, name: mean([of[k][-1][name] for k in seeds])
    fewer = lambda seeds: mean([reference[k][-1]["rollouts"] for k in seeds]) / rollouts_to(
        curves, seeds, last(reference, seeds, "balanced_accuracy"))
    ratio = lambda name: bootstrap(count, lambda seeds: last(curves, seeds, name) / max(1e-9, last(reference, seeds, name)))
    return {
        "recall_ratio": ratio("recall"),
        "recall_at_1%_ratio": ratio("recall_at_1%"),
        "more_false_alarms": bootstrap(count, lambda seeds: last(reference, seeds, "specificity") - last(curves, seeds, "specificity")),
        "fewer_rollouts": bootstrap(count, fewer),
    }


def sharp_of(work, seeds):
    """The models before they were taught to overlook faint defects: what there is to win. None for photographs."""
    folders = [work / f"cold/{seed}/sharp_greedy" for seed in seeds]
    if not all(folder.exists() for folder in folders):
        return None
    return {name: interval([answers(folder)[name] for folder in folders]) for name in FIGURES}


def summarise(bench, chosen, controls, rollouts_per_step):
    work, seeds = bench.work, bench.seeds
    cold = {seed: {"rollouts": 0, **answers(work / f"cold/{seed}/greedy")} for seed in seeds}
    result = {"about": bench.about, "seeds": seeds, "cold": {name: interval([one[name] for one in cold.values()]) for name in FIGURES},
              "sharp": sharp_of(work, seeds),
              "cold_sampled": {name: interval([answers(work / f"cold/{seed}/sampled")[name] for seed in seeds]) for name in FIGURES},
              "rare": {}}
    for rare, modes in chosen.items():
        result["rare"][rare] = {}
        run = lambda kind, mode, seed: work / kind / slug(rare) / slug(mode) / str(seed)
        of = lambda mode, seed: [cold[seed]] + curve(run("final", mode, seed), rollouts_per_step)
        for mode in list(modes) + (controls if rare == "10%" else []):
            own = bench.seeds_of(mode)
            curves = [of(mode, seed) for seed in own]
            sampled = [answers(run("sampled", mode, seed)) for seed in own]
            result["rare"][rare][mode] = {
                **modes.get(mode, {"rate": modes["lriad"]["rate"]}), "seeds": len(own),
                "greedy": {name: interval([one[-1][name] for one in curves]) for name in FIGURES},
                "sampled": {name: interval([one[name] for one in sampled]) for name in FIGURES},
                "against_lriad_paper": against(curves, [of("lriad_paper", seed) for seed in own]),
                "curves": curves}
    return result


def percent(pair):
    centre, half = pair
    if centre is None:
        return "-"
    return f"{100 * centre:.1f}" + ("" if half is None else f" ± {100 * half:.1f}")


def spread(triple, scale=1, digits=1):
    value, low, high = (f"{scale * one:.{digits}f}" if math.isfinite(one) else "∞" for one in triple)
    return f"{value} ({low} … {high})"


def table(result):
    lines = [f"Seeds {', '.join(map(str, result['seeds']))}; {result['about']}; mean ± 95% interval (Student's t over "
             "seeds); beside lriad_paper: value (95% of the bootstrap over seeds)."]
    cold = result["cold"]
    for rare, modes in result["rare"].items():
        lines += ["", f"**{rare} of the training images show a defect**", "",
                  "| mode | seeds | rate | recall | specificity | balanced accuracy | AUROC | recall at ≤ 1% false alarms | at ≤ 5% | sampled recall | sampled specificity | recall, times | at ≤ 1%, times | false alarms, points more | rollouts, times fewer |",
                  "|" + 15 * "---|"]
        if result["sharp"]:
            lines.append(f"| before it overlooks | {len(result['seeds'])} | | " +
                         " | ".join(percent(result["sharp"][name]) for name in TABLE) + " | | | | | | |")
        lines += [f"| cold start | {len(result['seeds'])} | | " + " | ".join(percent(cold[name]) for name in TABLE) +
                  f" | {percent(result['cold_sampled']['recall'])} | {percent(result['cold_sampled']['specificity'])} | | | | |"]
        for mode, one in modes.items():
            beside = one["against_lriad_paper"]
            lines.append(f"| {mode} | {one['seeds']} | {one['rate']} | " + " | ".join(percent(one["greedy"][name]) for name in TABLE) +
                         f" | {percent(one['sampled']['recall'])} | {percent(one['sampled']['specificity'])} | {spread(beside['recall_ratio'], 1, 2)} | {spread(beside['recall_at_1%_ratio'], 1, 2)} | "
                         f"{spread(beside['more_false_alarms'], 100)} | {spread(beside['fewer_rollouts'])} |")
    return "\n".join(lines) + "\n"


def panel(modes, name, title, left, top):
    most = max(point["rollouts"] for mode in COLOURS for one in modes[mode]["curves"] for point in one)
    at_x = lambda x: left + LEFT + x / most * (WIDTH - LEFT - RIGHT)
    at_y = lambda y: top + TOP + (1 - y) * (HEIGHT - TOP - BOTTOM)
    out = [f'<text x="{left + LEFT}" y="{top + 20}" font-weight="bold">{title}</text>']
    for y in (0, 0.25, 0.5, 0.75, 1):
        out.append(f'<path d="M{left + LEFT} {at_y(y):.1f}H{left + WIDTH - RIGHT}" stroke="#ddd"/>'
                   f'<text x="{left + LEFT - 6}" y="{at_y(y) + 4:.1f}" text-anchor="end">{y:g}</text>')
    for x in (0, most / 2, most):
        out.append(f'<text x="{at_x(x):.1f}" y="{top + HEIGHT - BOTTOM + 16}" text-anchor="middle">{x:.0f}</text>')
    out.append(f'<text x="{left + (LEFT + WIDTH) / 2}" y="{top + HEIGHT - 6}" text-anchor="middle">rollouts</text>')
    for mode, colour in COLOURS.items():
        curves = modes[mode]["curves"]

        def draw(points, look):
            path = " ".join(f"{at_x(point['rollouts']):.1f},{at_y(point[name]):.1f}" for point in points)
            out.append(f'<polyline points="{path}" fill="none" stroke="{colour}" {look}/>')
        for one in curves:
            draw(one, 'stroke-width="1" opacity="0.25"')
        draw(mean_curve(curves, range(len(curves))), 'stroke-width="2.5"')
    return out


def drawing(result):
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{3 * WIDTH}" height="{len(result["rare"]) * HEIGHT + 26}" font-family="sans-serif" font-size="11">',
           '<rect width="100%" height="100%" fill="#fff"/>']
    for row, (rare, modes) in enumerate(result["rare"].items()):
        for column, name in enumerate(("balanced_accuracy", "recall", "specificity")):
            out += panel(modes, name, f"{name.replace('_', ' ')}, {rare} defects", column * WIDTH, row * HEIGHT)
    bottom = len(result["rare"]) * HEIGHT
    for k, (mode, colour) in enumerate(COLOURS.items()):
        out.append(f'<rect x="{LEFT + 150 * k}" y="{bottom + 6}" width="10" height="10" fill="{colour}"/>'
                   f'<text x="{LEFT + 16 + 150 * k}" y="{bottom + 15}">{mode}</text>')
    return "\n".join(out + ["</svg>"]) + "\n"


def finite(value):
    """JSON has no infinity: null."""
    if isinstance(value, dict):
        return {name: finite(one) for name, one in value.items()}
    if isinstance(value, list):
        return [finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write(result, work):
    (work / "rewards.json").write_text(json.dumps(finite(result), indent=1) + "\n")
    (work / "rewards.md").write_text(table(result))
    (work / "rewards.svg").write_text(drawing(result))
