"""AdamW steps, gradient norms and learning-rate schedules of torch and transformers.

    pip install torch==2.11.0 transformers==5.23.0
    python scripts/golden/make_optim.py tests/golden

Writes optim.safetensors (parameters before, gradients of each step, parameters and norms after) and schedules.json.
"""
import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import get_scheduler
from transformers.training_args import TrainingArguments

SHAPES = {"a.weight": (7, 5), "b.bias": (11,), "c.weight": (3, 2, 4), "d.norm": (6,), "e.weight": (130,)}
STEPS, BASE, WARMUP_RATIO = 6, 0.05, 0.3
ADAM = {"betas": (0.8, 0.95), "eps": 1e-6}
WEIGHT_DECAY, MAX_NORM = 0.1, 3.0


def is_decayed(name):
    return name.endswith("weight")


def run(dtype, prefix, out):
    generator = torch.Generator().manual_seed(7)
    draw = lambda shape: torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)
    parameters = {name: torch.nn.Parameter(draw(shape)) for name, shape in SHAPES.items()}
    for name, parameter in parameters.items():
        out[f"{prefix}.start.{name}"] = parameter.detach().clone()
    groups = [{"params": [p for n, p in parameters.items() if is_decayed(n)], "weight_decay": WEIGHT_DECAY},
              {"params": [p for n, p in parameters.items() if not is_decayed(n)], "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=BASE, fused=True, **ADAM)
    warmup = TrainingArguments(output_dir="/tmp/unused", warmup_steps=WARMUP_RATIO, use_cpu=True).get_warmup_steps(STEPS)
    schedule = get_scheduler("linear", optimizer, num_warmup_steps=warmup, num_training_steps=STEPS)
    norms = []
    for step in range(STEPS):
        for name, parameter in parameters.items():
            # Sizes on both sides of the clipping threshold.
            parameter.grad = draw(parameter.shape) * (0.02 if step % 3 == 1 else 1.0)
            out[f"{prefix}.grad{step}.{name}"] = parameter.grad.clone()
        norms.append(torch.nn.utils.clip_grad_norm_(parameters.values(), MAX_NORM))
        optimizer.step()
        schedule.step()
        for name, parameter in parameters.items():
            out[f"{prefix}.after{step}.{name}"] = parameter.detach().clone()
    out[f"{prefix}.norms"] = torch.stack(norms)


def schedules():
    rows = []
    for kind in ("linear", "cosine", "constant"):
        for total, ratio in ((1, 0.0), (1, 0.5), (7, 0.0), (10, 0.15), (10, 0.2), (23, 0.33), (100, 0.07), (100, 1.0)):
            arguments = TrainingArguments(output_dir="/tmp/unused", warmup_steps=ratio, use_cpu=True)
            warmup = total if ratio == 1.0 else arguments.get_warmup_steps(total)
            optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
            schedule = get_scheduler(kind, optimizer, num_warmup_steps=warmup, num_training_steps=total)
            factors = []
            for _ in range(total + 1):
                factors.append(schedule.get_last_lr()[0])
                optimizer.step()
                schedule.step()
            rows.append({"kind": kind, "total": total, "ratio": ratio, "warmup": warmup, "factors": factors})
    return rows


def main():
    folder = Path(sys.argv[1])
    tensors = {}
    run(torch.float32, "float32", tensors)
    run(torch.float64, "float64", tensors)
    save_file(tensors, folder / "optim.safetensors")
    (folder / "schedules.json").write_text(json.dumps(schedules()) + "\n")


if __name__ == "__main__":
    main()
