"""Draws what bench_prefix wrote: python plot_prefix.py FILE.csv FIGURE.svg"""
import csv
import sys

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 340, 230, 50, 34, 14, 40
FORMS = {"own": ("each completion with a prompt of its own", "#b3541e"), "shared": ("prompt shared", "#1f6f8b")}


def ticks(most):
    step = next(s for s in (0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if most / s <= 5)
    return [k * step for k in range(int(most / step) + 1)]


def panel(points, x_name, label, title, left):
    most_x, most_y = max(p[x_name] for p in points), max(p["own_s"] for p in points)
    at_x = lambda x: left + LEFT + x / most_x * (WIDTH - LEFT - RIGHT)
    at_y = lambda y: HEIGHT - BOTTOM - y / most_y * (HEIGHT - TOP - BOTTOM)
    out = [f'<text x="{left + LEFT}" y="20" font-weight="bold">{title}</text>']
    for y in ticks(most_y):
        out.append(f'<path d="M{left + LEFT} {at_y(y):.1f}H{left + WIDTH - RIGHT}" stroke="#ddd"/>'
                   f'<text x="{left + LEFT - 6}" y="{at_y(y) + 4:.1f}" text-anchor="end">{y:g}</text>')
    for x in ticks(most_x):
        out.append(f'<text x="{at_x(x):.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{x:g}</text>')
    out.append(f'<text x="{left + (LEFT + WIDTH) / 2}" y="{HEIGHT - 6}" text-anchor="middle">{label}</text>')
    for form, (_, colour) in FORMS.items():
        line = " ".join(f"{at_x(p[x_name]):.1f},{at_y(p[form + '_s']):.1f}" for p in points)
        out.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        out += [f'<circle cx="{at_x(p[x_name]):.1f}" cy="{at_y(p[form + "_s"]):.1f}" r="3" fill="{colour}"/>' for p in points]
    return out


def main(source, target):
    with open(source, newline="") as file:
        points = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
    by_g = [p for p in points if p["prompt"] == 600]
    by_p = sorted((p for p in points if p["generations"] == 8), key=lambda p: p["prompt"])
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{2 * WIDTH}" height="{HEIGHT + 24}" font-family="sans-serif" font-size="11">',
           '<rect width="100%" height="100%" fill="#fff"/>']
    out += panel(by_g, "generations", "completions a prompt, G", "P = 600, seconds of the training passes", 0)
    out += panel(by_p, "prompt", "tokens of the prompt, P", "G = 8, seconds of the training passes", WIDTH)
    for k, (text, colour) in enumerate(FORMS.values()):
        out.append(f'<rect x="{60 + 280 * k}" y="{HEIGHT + 6}" width="10" height="10" fill="{colour}"/>'
                   f'<text x="{76 + 280 * k}" y="{HEIGHT + 15}">{text}</text>')
    with open(target, "w") as file:
        file.write("\n".join(out + ["</svg>"]) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
