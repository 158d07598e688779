#!/usr/bin/env python3
"""Which layers PEFT gives a LoRA branch in vision tower and decoder, and their gradients (transformers 5.23.0, PEFT 0.21.2, torch 2.11.0).

Usage: make_tower_lora.py tests/golden     for each family's tiny checkpoint there, writes tower_lora/<folder>: an adapter of PEFT with
random A and B, expected.safetensors (features of the images, log-probability of a few tokens after the prompt, gradients of its
minus by A and B; computed in float64), and targets.json (all modules; the branches of many configs; null where PEFT refuses).
"""
import contextlib
import json
import sys
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForImageTextToText

FAMILIES = {"tiny_qwen2vl_flat_untied": ["qkv", "proj", "fc1", "fc2", "mlp.0", "mlp.2", "q_proj", "v_proj"],
            "tiny_qwen25vl": ["qkv", "proj", "gate_proj", "up_proj", "down_proj", "mlp.0", "mlp.2", "q_proj", "v_proj"],
            "tiny_qwen3vl": ["qkv", "proj", "linear_fc1", "linear_fc2", "q_proj", "v_proj"]}
CONFIGS = [
    {"target_modules": ["q_proj", "v_proj"]},
    {"target_modules": ["qkv", "proj"]},
    {"target_modules": ["qkv", "proj"], "exclude_modules": ["patch_embed.proj"]},
    {"target_modules": ["qkv", "q_proj"], "exclude_modules": r".*\.0\..*"},
    {"target_modules": ["attn.qkv"], "rank_pattern": {r"blocks\.1\.attn\.qkv": 3}, "use_rslora": True},
    {"target_modules": ["1.attn.qkv"]},
    {"target_modules": "all-linear"},
    {"target_modules": "all-linear", "exclude_modules": r".*visual.*"},
    {"target_modules": "ALL-linear", "exclude_modules": r".*merger.*"},
    {"target_modules": r".*visual\.blocks\.\d+\.(attn\.(qkv|proj)|mlp\.(fc\d|\w+_proj|linear_fc\d))"},
    {"target_modules": r"model\.visual\..*merger.*(mlp\.[02]|linear_fc[12])"},
    {"target_modules": r".*(qkv|q_proj)"},
    {"target_modules": r".*patch_embed\.proj|.*down_proj"},
    {"target_modules": r".*visual.*"},
    {"target_modules": r".*merger.*(mlp\.\d|linear_fc\d|act_fn)"},
    {"target_modules": r".*blocks.*\.mlp\..*"},
    {"target_modules": r".*language_model.*\.mlp\..*"},
    {"target_modules": r".*\.(norm1|qkv)"},
    {"target_modules": r".*(rotary_emb|q_proj)"},
    {"target_modules": "q_proj"},
    {"target_modules": ["norm1"]},
    {"target_modules": ["proj"], "exclude_modules": r".*visual.*"},
]


def branches(model_config, keys):
    with torch.device("meta"):
        base = AutoModelForImageTextToText.from_config(model_config)
    try:
        model = get_peft_model(base, LoraConfig(**{"r": 4, "lora_alpha": 16, **keys}), low_cpu_mem_usage=True)
    except ValueError:
        return None
    return {name.removeprefix("base_model.model."): [module.r["default"], module.scaling["default"]]
            for name, module in model.named_modules() if hasattr(module, "lora_A") and "default" in module.lora_A}


def targets(folder):
    model_config = AutoConfig.from_pretrained(folder)
    with torch.device("meta"):
        modules = [name for name, _ in AutoModelForImageTextToText.from_config(model_config).named_modules() if name]
    return modules, [{"config": {"r": 4, "lora_alpha": 16, **keys}, "branches": branches(model_config, keys)} for keys in CONFIGS]


def adapted(folder, names):
    """The model in float64 with an adapter whose A and B are random."""
    base = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float64)
    torch.manual_seed(3)
    model = get_peft_model(base, LoraConfig(r=2, lora_alpha=3, target_modules=names)).double().eval()
    for name, weight in model.named_parameters():
        if "lora_" in name:
            weight.data = (torch.randn(weight.shape) * 0.3 / weight[0].numel() ** 0.5).double()
    return model


def gradients(model, inputs):
    ids = inputs["input_ids"][:1]
    answer = torch.tensor([[7, 21, 3, 11]])
    whole = torch.cat([ids, answer], 1)
    pixels, grids = inputs["pixel_values"].double(), inputs["image_grid_thw"]
    features = model.base_model.model.model.visual(pixels, grid_thw=grids)
    found = {"answer_ids": answer[0], "vision.features": torch.cat(
        [features.pooler_output, *(getattr(features, "deepstack_features", None) or [])], 1).detach()}
    out = model(input_ids=whole, attention_mask=torch.ones_like(whole), pixel_values=pixels, image_grid_thw=grids, use_cache=False,
                mm_token_type_ids=(whole == model.config.image_token_id).int())
    logp = out.logits[0, ids.shape[1] - 1:-1].log_softmax(-1).gather(1, answer[0, :, None]).sum()
    (-logp).backward()
    found["logp"] = logp.detach()
    for name, weight in model.named_parameters():
        if weight.grad is not None:
            found["grad." + name.removeprefix("base_model.model.").replace(".default", "")] = weight.grad
    return found


@contextlib.contextmanager
def float64_everywhere():
    """Norms and rotations, which transformers computes in float32 whatever the model's dtype, are in float64 too."""
    plain_to, plain_float = torch.Tensor.to, torch.Tensor.float

    def to(x, *args, **keys):
        return plain_to(x, *(torch.float64 if arg is torch.float32 else arg for arg in args), **keys)

    torch.Tensor.to, torch.Tensor.float = to, torch.Tensor.double
    yield
    torch.Tensor.to, torch.Tensor.float = plain_to, plain_float


def main():
    golden = Path(sys.argv[1])
    torch.set_num_threads(1)
    for family, names in FAMILIES.items():
        output = golden / "tower_lora" / family
        output.mkdir(parents=True, exist_ok=True)
        modules, cases = targets(golden / family)
        lines = ",\n  ".join(json.dumps(case) for case in cases)
        (output / "targets.json").write_text(f'{{"modules": {json.dumps(modules)},\n "cases": [\n  {lines}\n]}}\n')
        model = adapted(golden / family, names)
        with float64_everywhere():
            found = gradients(model, load_file(golden / family / "expected.safetensors"))
        save_file({key: value.float().contiguous().clone() if "." in key else value for key, value in found.items()}, output / "expected.safetensors")
        model.float().save_pretrained(output)
        (output / "README.md").unlink()
        print(family, len(modules), "modules,", sum("grad." in key for key in found), "gradients, refused:",
              [case["config"]["target_modules"] for case in cases if case["branches"] is None])


main()
