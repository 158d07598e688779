#!/usr/bin/env python3
"""Heat maps of tiny checkpoints by transformers (5.23.0, torch 2.11.0, eager attention): their parts, the maps, the deletion check.
And what maps are worth against masks, by torch's interpolate and scikit-learn's roc_auc_score (1.9.1).

Usage: make_heat_maps.py tests/golden     writes FOLDER/heat_maps.safetensors and, of prompts that show the other image first,
FOLDER/heat_maps_reference.safetensors for the three families' folders, and map_masks.json

Two images of different size, each computed alone; pixels and token ids are plain formulas, the random cells those of
include/lriad/core/random.h.
"""
import json
import random
import sys
from pathlib import Path

import torch
from sklearn.metrics import roc_auc_score
from safetensors.torch import save_file
from transformers import AutoModelForImageTextToText

from philox import CounterRandom

FOLDERS = ("tiny_qwen2vl_flat_untied", "tiny_qwen25vl", "tiny_qwen3vl")
GRIDS = ((1, 8, 12), (1, 12, 6))
ANSWERS = ((17, 40, 99, 23, 61), (5,))  # up to the letter; one has nothing before it
PROBE, LETTER_A, LETTER_B = (71, 12, 90, 33), 51, 52
SEED, MAP_CELLS, DRAWS = 7, 14, 4


def pixels_of(image, patches, width):
    i = torch.arange(patches * width, dtype=torch.int64) + 1000 * image
    return ((i * i + 31 * i) % 997).double().div(498.5).sub(1).float().view(patches, width)


def image_of(config, cells):
    return [config.vision_start_token_id] + [config.image_token_id] * cells + [config.vision_end_token_id]


def prompt_of(image, config, cells, cells_before):
    text = [(5 + 7 * i + 3 * image) % 250 for i in range(9)]
    before = image_of(config, cells_before) if cells_before else []
    return text[:2] + before + text[2:4] + image_of(config, cells) + text[4:]


def run(model, ids, pixels, grid, before, **more):
    """`before`: pixels and grid of the reference image, or None."""
    ids = torch.tensor([ids])
    model.model.rope_deltas = None
    types = (ids == model.config.image_token_id).long()
    pixels, grids = (pixels, [grid]) if before is None else (torch.cat([before[0], pixels]), [before[1], grid])
    return model(input_ids=ids, attention_mask=torch.ones_like(ids), mm_token_type_ids=types, pixel_values=pixels,
                 image_grid_thw=torch.tensor(grids), use_cache=False, **more)


def score(model, prompt, pixels, grid, before):
    logits = run(model, prompt + list(PROBE), pixels, grid, before).logits[0, -1]
    return logits[LETTER_A] - logits[LETTER_B]


def norm01(x):
    x = x - x.min()
    return x / x.max()


def draw(image, number, cells):
    numbers, order = CounterRandom(SEED, MAP_CELLS), list(range(cells))
    for i in range(cells, 1, -1):
        j = numbers.below(i, image, number, i)
        order[i - 1], order[j] = order[j], order[i - 1]
    return order


def drop(model, prompt, pixels, grid, before, unit, hidden, whole):
    changed = pixels.clone().view(-1, unit, pixels.shape[1])
    changed[hidden] = pixels.mean(0)
    with torch.no_grad():
        return (whole - score(model, prompt, changed.view_as(pixels), grid, before)).item()


def image_maps(model, image, found, reference=None):
    grid, config = GRIDS[image], model.config
    vision = config.vision_config
    unit, patches = vision.spatial_merge_size ** 2, grid[1] * grid[2]
    width, before, cells_before = 3 * vision.temporal_patch_size * vision.patch_size ** 2, None, 0
    if reference is not None:
        patches_before = GRIDS[reference][1] * GRIDS[reference][2]
        before, cells_before = (pixels_of(reference, patches_before, width), GRIDS[reference]), patches_before // unit
    pixels = pixels_of(image, patches, width).requires_grad_(True)
    prompt, answer = prompt_of(image, config, patches // unit, cells_before), list(ANSWERS[image])
    with torch.no_grad():
        weights = torch.stack(run(model, prompt + answer[:-1], pixels, grid, before, output_attentions=True).attentions)
    columns = (torch.tensor(prompt) == config.image_token_id).nonzero()[cells_before:, 0]
    attention = weights[:, 0, :, len(prompt) - 1:, :len(prompt)].mean((0, 1, 2))[columns]
    whole = score(model, prompt, pixels, grid, before)
    gradient = torch.autograd.grad(whole, pixels)[0].abs().sum(1).view(-1, unit).sum(1)
    cells = norm01(attention) * norm01(gradient)
    count = max(1, int(len(cells) * 0.1 + 0.5))
    pixels, whole = pixels.detach(), whole.detach()
    strongest = cells.argsort(descending=True, stable=True)[:count].tolist()
    drawn = [drop(model, prompt, pixels, grid, before, unit, draw(image, k, len(cells))[:count], whole) for k in range(DRAWS)]
    found.update({f"{image}.prompt_ids": torch.tensor(prompt), f"{image}.attention": attention,
                  f"{image}.gradient": gradient, f"{image}.score": whole, f"{image}.map": cells,
                  f"{image}.deletion": torch.tensor([drop(model, prompt, pixels, grid, before, unit, strongest, whole),
                                                     sum(drawn) / DRAWS], dtype=torch.float64)})


def mask_case(case):
    """A map of few levels, so that there are ties, and a mask: a box of any size, nothing or everything."""
    drawn = random.Random(case)
    rows, columns = drawn.randint(1, 6), drawn.randint(1, 6)
    height, width = rows * drawn.randint(1, 5) + drawn.randint(0, 3), columns * drawn.randint(1, 5) + drawn.randint(0, 3)
    cells = [[drawn.randint(0, 9) / 8 for _ in range(columns)] for _ in range(rows)]
    mask = torch.zeros(height, width, dtype=torch.bool)
    top, left = drawn.randint(0, height), drawn.randint(0, width)
    mask[top:top + drawn.randint(0, height), left:left + drawn.randint(0, width)] = True
    if case % 20 == 0:
        mask[:] = True
    grid = torch.tensor(cells, dtype=torch.float64)
    pixels = torch.nn.functional.interpolate(grid[None, None], size=(height, width), mode="bilinear", align_corners=False)[0, 0]
    labels = mask.flatten().numpy()
    ranked = pixels.flatten().round(decimals=9).numpy()  # equal up to rounding is equal
    area = roc_auc_score(labels, ranked) if labels.any() and not labels.all() else None
    best = grid.argmax().item()
    cell_of = lambda size, count: ((torch.arange(size) + 0.5) * count / size).long()
    inside = mask[cell_of(height, rows) == best // columns][:, cell_of(width, columns) == best % columns]
    return {"cells": cells, "height": height, "width": width, "mask": "".join("01"[value] for value in labels.tolist()),
            "pixel_sum": pixels.sum().item(), "auroc": area, "hit": bool(inside.sum() > 0.05 * inside.numel())}


def main():
    cases = [mask_case(case) for case in range(120)]
    (Path(sys.argv[1]) / "map_masks.json").write_text("[" + ",\n".join(json.dumps(case) for case in cases) + "]\n")
    torch.set_num_threads(1)
    for name in FOLDERS:
        folder = Path(sys.argv[1]) / name
        model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
        for file, references in (("heat_maps.safetensors", (None, None)), ("heat_maps_reference.safetensors", (1, 0))):
            found = {}
            for image, reference in enumerate(references):
                image_maps(model, image, found, reference)
            save_file({key: value.contiguous().clone() for key, value in found.items()}, folder / file)
            print(name, {key: value.tolist() for key, value in found.items() if "score" in key or "deletion" in key})


main()
