#!/usr/bin/env python3
"""What transformers and PEFT compute for a tiny Qwen2.5-VL or Qwen3-VL checkpoint (transformers 5.23.0, PEFT 0.21.2, torch 2.11.0).

Usage: make_families.py FOLDER     writes FOLDER/expected.safetensors; FOLDER: tests/golden/tiny_qwen25vl or tiny_qwen3vl, which
holds model, tokenizer, adapter and images. The prompt shows all images, resized by Pillow within 3136 .. 401408 pixels.
"""
import sys
from pathlib import Path

import torch
from peft import PeftModel
from PIL import Image
from safetensors.torch import save_file
from transformers import AutoImageProcessor, AutoModelForImageTextToText, AutoProcessor
from transformers import vision_utils

TEXT = "Is there a defect in the metal nut? <think> ... </think> <answer>A or B</answer>"
ANSWER = "<think> ok </think> <answer>A</answer><|im_end|>"
SIZE = {"shortest_edge": 3136, "longest_edge": 401408}


def encode(folder):
    processor = AutoProcessor.from_pretrained(folder)
    processor.image_processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
    images = [Image.open(path).convert("RGB") for path in sorted((folder / "images").glob("*.png"))]
    user = {"role": "user", "content": [{"type": "image"}] * len(images) + [{"type": "text", "text": TEXT}]}
    chat = processor.apply_chat_template([user], tokenize=False, add_generation_prompt=True)
    inputs = processor(text=[chat], images=images, size=SIZE, return_tensors="pt")
    return processor, chat, dict(inputs)


def tower(model, inputs, found, prefix=""):
    visual, last = model.model.visual, {}
    hook = visual.blocks[-1].register_forward_hook(lambda module, args, out: last.update(x=out))
    out = visual(inputs["pixel_values"].to(model.dtype), grid_thw=inputs["image_grid_thw"])
    hook.remove()
    found[prefix + "vision.last"] = last["x"]
    found[prefix + "vision.features"] = torch.cat([out.pooler_output, *(getattr(out, "deepstack_features", None) or [])], 1)


def layout(model, inputs, found):
    grids, vision = inputs["image_grid_thw"], model.config.vision_config
    if model.config.model_type == "qwen2_5_vl":
        order, borders = vision_utils.get_vision_window_index(grids, vision.spatial_merge_size, vision.window_size,
                                                              vision.patch_size)
        found["vision.window_index"], found["vision.window_borders"] = order, borders
    else:
        side = int(vision.num_position_embeddings ** 0.5)
        found["vision.entries"], found["vision.weights"] = vision_utils.get_vision_interpolation_indices_and_weights(
            grids, side, mode="bilinear", align_corners=True, spatial_merge_size=vision.spatial_merge_size)
    found["position_ids"] = model.model.get_rope_index(inputs["input_ids"], inputs["mm_token_type_ids"], image_grid_thw=grids,
                                                       attention_mask=inputs["attention_mask"])[0]


def logits(model, inputs):
    core = model.get_base_model() if isinstance(model, PeftModel) else model
    core.model.rope_deltas = None
    return model(**inputs, use_cache=False).logits[0]


def with_answer(inputs, answer):
    more = {key: torch.cat([inputs[key], torch.full_like(answer, fill) if fill is not None else answer], 1)
            for key, fill in (("input_ids", None), ("attention_mask", 1), ("mm_token_type_ids", 0))}
    return {**inputs, **more}


def adapter(folder, inputs, answer, found):
    base = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32)
    model = PeftModel.from_pretrained(base, folder / "adapter", is_trainable=True).eval()
    found["lora.logits"] = logits(model, inputs).detach()
    length = inputs["input_ids"].shape[1]
    scores = logits(model, with_answer(inputs, answer))[length - 1:-1].log_softmax(-1).gather(1, answer[0, :, None])
    loss = -scores.mean()
    loss.backward()
    found["lora.loss"] = loss.detach()
    for name, weight in model.named_parameters():
        if weight.grad is not None:
            found["lora.grad." + name.removeprefix("base_model.model.").replace(".default", "")] = weight.grad


@torch.no_grad()
def plain(folder, inputs, found):
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).eval()
    tower(model, inputs, found)
    layout(model, inputs, found)
    found["logits"] = logits(model, inputs)
    half = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.bfloat16).eval()
    tower(half, inputs, found, "bf16.")
    found["bf16.logits"] = logits(half, inputs)
    merged = PeftModel.from_pretrained(half, folder / "adapter").merge_and_unload()
    found["bf16.merged.logits"] = logits(merged, inputs)


def main():
    folder = Path(sys.argv[1])
    torch.set_num_threads(1)
    processor, chat, inputs = encode(folder)
    answer = processor.tokenizer(ANSWER, return_tensors="pt")["input_ids"]
    found = {key: inputs[key] for key in ("input_ids", "pixel_values", "image_grid_thw")}
    found["answer_ids"] = answer[0]
    plain(folder, inputs, found)
    adapter(folder, inputs, answer, found)
    save_file({key: value.contiguous().clone() for key, value in found.items()}, folder / "expected.safetensors")


main()
