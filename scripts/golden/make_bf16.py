"""How far transformers' bfloat16 logits lie from its float32 logits: the tiny checkpoint in tests/golden.

    pip install torch==2.11.0 transformers==5.23.0
    python scripts/golden/make_bf16.py tests/golden/tiny_qwen2vl_flat_untied tests/golden

Writes bf16_error.json: root of the mean square and mean of the absolute difference over all logits of real tokens.
"""
import json
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file
from transformers import Qwen2VLForConditionalGeneration


def logits(folder, expected, dtype):
    model = Qwen2VLForConditionalGeneration.from_pretrained(folder, dtype=dtype, attn_implementation="sdpa").eval()
    ids = expected["input_ids"]
    with torch.no_grad():
        out = model(input_ids=ids, attention_mask=expected["attention_mask"],
                    pixel_values=expected["pixel_values"].to(dtype), image_grid_thw=expected["image_grid_thw"],
                    mm_token_type_ids=(ids == model.config.image_token_id).long()).logits
    return out.float()[expected["attention_mask"].bool()]


def main():
    folder, golden = Path(sys.argv[1]), Path(sys.argv[2])
    torch.set_num_threads(1)
    expected = load_file(folder / "expected.safetensors")
    exact = logits(folder, expected, torch.float32)
    stored = expected["logits"][expected["attention_mask"].bool()]
    print("float32 against the stored logits:", (exact - stored).abs().max().item())
    gap = logits(folder, expected, torch.bfloat16) - exact
    figures = {"rms": gap.square().mean().sqrt().item(), "mean": gap.abs().mean().item(), "max": gap.abs().max().item()}
    (golden / "bf16_error.json").write_text(json.dumps(figures) + "\n")
    print(figures)


if __name__ == "__main__":
    main()
