"""Which linear layers PEFT gives a LoRA branch for many an adapter_config.json, with rank and scale.

    python scripts/golden/make_adapter_targets.py tests/golden/adapter_targets.json

Made with peft 0.21.2 and transformers 5.23.0.
"""
import json
import sys

import torch
from peft import LoraConfig, get_peft_model
from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration

LAYERS = 12
CONFIGS = [
    {"target_modules": ["q_proj", "v_proj"]},
    {"target_modules": ["q_proj"], "use_rslora": True, "r": 16},
    {"target_modules": r"^(?!.*visual).*(?:q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj).*"},
    {"target_modules": r"^(model\.language_model(?=\.).*\.(gate_proj|o_proj|down_proj|k_proj|q_proj|up_proj|v_proj))$"},
    {"target_modules": r"(?:.*?(?:vision|image|visual).*?(?:qkv|attn\.proj|fc1|fc2).*)|(?:.*?language.*?(?:self_attn|mlp).*?(?P<n>q_proj|up_proj))"},
    {"target_modules": r".*\.layers\.\d{2}\.self_attn\.[qv]_proj"},
    {"target_modules": r"(?i).*\.Q_PROJ"},
    {"target_modules": r".*(?<!down)_proj"},
    {"target_modules": "all-linear"},
    {"target_modules": "All-Linear", "exclude_modules": r".*visual.*"},
    {"target_modules": ["model.language_model.layers.1.self_attn.q_proj", "layers.3.mlp.up_proj"]},
    {"target_modules": ["self_attn.q_proj", "attn.qkv"]},
    {"target_modules": ["q_proj", "fc1"], "exclude_modules": ["layers.0.self_attn.q_proj", "fc1"]},
    {"target_modules": ["q_proj"], "exclude_modules": r".*layers\.[0-9]\..*"},
    {"target_modules": ["q_proj", "v_proj"], "layers_to_transform": [0, 11]},
    {"target_modules": ["q_proj", "fc1"], "layers_to_transform": 1},
    {"target_modules": ["q_proj", "fc1"], "layers_to_transform": [1], "layers_pattern": "layers"},
    {"target_modules": ["q_proj", "fc1"], "layers_to_transform": [1, 2], "layers_pattern": ["blocks"]},
    {"target_modules": ["model.language_model.layers.1.self_attn.q_proj", "v_proj"], "layers_to_transform": [5]},
    {"target_modules": ["q_proj", "v_proj"], "rank_pattern": {"q_proj": 8}, "alpha_pattern": {"v_proj": 3}},
    {"target_modules": ["q_proj"], "rank_pattern": {r"layers\.[0-5]\.self_attn\.q_proj": 2, "q_proj": 32}},
    {"target_modules": ["q_proj"], "rank_pattern": {"q_proj": 32, r"layers\.[0-5]\.self_attn\.q_proj": 2}},
    {"target_modules": ["q_proj"], "rank_pattern": {"^model.language_model.layers.1.self_attn.q_proj": 5}},
    {"target_modules": ["q_proj"], "rank_pattern": {"_proj": 9}},
    {"target_modules": ["q_proj"], "use_rslora": True, "rank_pattern": {"q_proj": 9}, "alpha_pattern": {"q_proj": 2.5}},
    {"target_modules": ["q_proj", "mlp.2"]},
    {"target_modules": ["q_proj", "mlp.0"], "modules_to_save": ["merger"]},
    {"target_modules": ["q_proj", "v_proj"], "modules_to_save": ["layers.3.self_attn", "lm_head"]},
]


def tiny_model():
    config = Qwen2VLConfig(
        text_config={"vocab_size": 32, "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": LAYERS,
                     "num_attention_heads": 2, "num_key_value_heads": 1,
                     "rope_scaling": {"type": "mrope", "mrope_section": [1, 1, 2]}},
        vision_config={"depth": LAYERS, "embed_dim": 8, "num_heads": 2, "hidden_size": 16})
    with torch.device("meta"):
        return Qwen2VLForConditionalGeneration(config)


def branches(config):
    model = get_peft_model(tiny_model(), LoraConfig(**{"r": 4, "lora_alpha": 16, **config}), low_cpu_mem_usage=True)
    found = {}
    for name, module in model.named_modules():
        if hasattr(module, "lora_A") and "default" in module.lora_A:
            found[name.removeprefix("base_model.model.")] = [module.r["default"], module.scaling["default"]]
    return found


def main():
    linear = [name for name, module in tiny_model().named_modules() if isinstance(module, torch.nn.Linear)]
    cases = [{"config": {"r": 4, "lora_alpha": 16, **config}, "branches": branches(config)} for config in CONFIGS]
    with open(sys.argv[1], "w") as file:
        lines = ",\n  ".join(json.dumps(case) for case in cases)
        file.write(f'{{"linear": {json.dumps(linear)},\n "cases": [\n  {lines}\n]}}\n')
    print(f"{len(cases)} configs, {len(linear)} linear layers")


main()
