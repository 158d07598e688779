"""Scores after transformers' logits processors, in generate()'s order: bans, temperature, top-k, top-p, min-p.

    pip install torch==2.11.0 transformers==5.23.0
    python scripts/golden/make_sampler.py tests/golden

Writes sampler.safetensors (`logits` [12, 40]: half of the rows on a coarse grid, so full of ties; `scores.<case>`) and
sampler.json (the settings of each case). torch.sort is made stable: else which of equal tokens stay at the border of
top-p is the machine's choice.
"""
import functools
import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers.generation.logits_process import (MinPLogitsWarper, SuppressTokensLogitsProcessor,
                                                    TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper)

OFF = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "banned": []}
CASES = [{}, {"temperature": 0.6}, {"temperature": 1.7}, {"banned": [0, 7, 39]}, {"top_k": 1}, {"top_k": 5},
         {"top_k": 100}, {"top_p": 0.9}, {"top_p": 0.3}, {"top_p": 0.01}, {"min_p": 0.1}, {"min_p": 0.5}, {"min_p": 1.0},
         {"temperature": 0.8, "top_k": 12, "top_p": 0.8, "min_p": 0.05, "banned": [3, 4]},
         {"temperature": 1.3, "top_k": 30, "top_p": 0.95, "min_p": 0.02}]


torch.sort = functools.partial(torch.sort, stable=True)


def scores(logits, case):
    ids = torch.zeros((logits.shape[0], 1), dtype=torch.long)
    if case["banned"]:
        logits = SuppressTokensLogitsProcessor(case["banned"])(ids, logits)
    if case["temperature"] != 1:
        logits = TemperatureLogitsWarper(case["temperature"])(ids, logits)
    if case["top_k"]:
        logits = TopKLogitsWarper(case["top_k"])(ids, logits)
    if case["top_p"] < 1:
        logits = TopPLogitsWarper(case["top_p"])(ids, logits)
    if case["min_p"] > 0:
        logits = MinPLogitsWarper(case["min_p"])(ids, logits)
    return logits


def main():
    folder = Path(sys.argv[1])
    generator = torch.Generator().manual_seed(11)
    logits = 2.5 * torch.randn((12, 40), generator=generator)
    logits[::2] = (logits[::2]).round()
    logits[10] = 0.0
    cases = [OFF | case for case in CASES]
    tensors = {"logits": logits}
    for k, case in enumerate(cases):
        tensors[f"scores.{k}"] = scores(logits.clone(), case).contiguous()
    save_file(tensors, folder / "sampler.safetensors")
    (folder / "sampler.json").write_text(json.dumps(cases) + "\n")


if __name__ == "__main__":
    main()
