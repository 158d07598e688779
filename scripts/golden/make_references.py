#!/usr/bin/env python3
"""Prompts with reference images before the image to judge, text between them (transformers 5.23.0, torch 2.11.0).

Usage: make_references.py TOKENIZER_FOLDER GOLDEN_FOLDER     writes references.json and references.safetensors there
TOKENIZER_FOLDER: the published tokenizer files of Qwen2-VL. GOLDEN_FOLDER holds the tiny checkpoints. Of ids the runs are kept:
[id, count] pairs. Tensors: <checkpoint>.{ids,positions,logits} of a prompt with one reference image; tiny_qwen2vl_flat_untied has
no tokenizer, its prompt is made of ids.
"""
import itertools
import json
import re
import sys
from pathlib import Path

import numpy
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import (AutoImageProcessor, AutoModelForImageTextToText, AutoProcessor, AutoTokenizer, Qwen2VLImageProcessor,
                          Qwen2VLProcessor)
from transformers.models.qwen2_vl.video_processing_qwen2_vl import Qwen2VLVideoProcessor

QUESTION = "Is the {object} whole? <think> ... </think> <answer>A or B</answer>"
TEMPLATES = (("Normal {object} for comparison: {reference}\nImage to inspect: {image}\n" + QUESTION, 1),
             ("Normal {object} for comparison: {reference}\nImage to inspect: {image}\n" + QUESTION, 2),
             ("{reference}" + QUESTION, 1), ("A good one: {reference} " + QUESTION, 2), ("See {image}. " + QUESTION, 0), (QUESTION, 0))
SYSTEMS = (None, "Be brief.")
SIZE = {"shortest_edge": 3136, "longest_edge": 401408}


def content(template, references):
    """The parts of a user turn; without {image} the image to judge stands behind the references, else first."""
    if "{image}" not in template:
        template = template.replace("{reference}", "{reference}{image}") if "{reference}" in template else "{image}" + template
    parts = []
    for part in re.split(r"(\{reference\}|\{image\})", template):
        if part in ("{reference}", "{image}"):
            parts += [{"type": "image"}] * (references if part == "{reference}" else 1)
        elif part:
            parts.append({"type": "text", "text": part.replace("{object}", "metal nut")})
    return parts


def messages(template, references, system):
    turns = [{"role": "system", "content": system}] if system is not None else []
    return turns + [{"role": "user", "content": content(template, references)}]


def rows_of(family, processor, images):
    for (template, references), system in itertools.product(TEMPLATES, SYSTEMS):
        chat = processor.apply_chat_template(messages(template, references, system), tokenize=False, add_generation_prompt=True)
        shown = [images[i % len(images)] for i in range(references + 1)]
        inputs = processor(text=[chat], images=shown, size=SIZE, return_tensors="pt")
        tokens = [int(t * h * w // 4) for t, h, w in inputs["image_grid_thw"]]
        runs = [[key, len(list(group))] for key, group in itertools.groupby(inputs["input_ids"][0].tolist())]
        yield {"family": family, "template": template, "references": references, "system": system, "image_tokens": tokens, "chat": chat,
               "runs": runs}


@torch.no_grad()
def answer(folder, inputs, found):
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).eval()
    positions = model.model.get_rope_index(inputs["input_ids"], inputs["mm_token_type_ids"], image_grid_thw=inputs["image_grid_thw"],
                                           attention_mask=inputs["attention_mask"])[0]
    model.model.rope_deltas = None
    found[folder.name + ".ids"] = inputs["input_ids"][0]
    found[folder.name + ".positions"] = positions
    found[folder.name + ".logits"] = model(**inputs, use_cache=False).logits[0]


def ids_of_tiny(folder):
    """Text, an image, text, the other image, text."""
    expected, config = load_file(folder / "expected.safetensors"), json.load(open(folder / "config.json"))
    grids, ids = expected["image_grid_thw"], [5, 17, 40]
    for grid in grids:
        ids += [config["vision_start_token_id"]] + [config["image_token_id"]] * int(grid.prod() // 4) + [config["vision_end_token_id"], 33, 8]
    ids = torch.tensor([ids])
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "mm_token_type_ids": (ids == config["image_token_id"]).int(),
            "pixel_values": expected["pixel_values"], "image_grid_thw": grids}


def main():
    torch.set_num_threads(1)
    published, golden = sys.argv[1], Path(sys.argv[2])
    template = json.load(open(published + "/chat_template.json"))["chat_template"]
    processor = Qwen2VLProcessor(Qwen2VLImageProcessor(), AutoTokenizer.from_pretrained(published), Qwen2VLVideoProcessor(),
                                 chat_template=template)
    blank = [Image.fromarray(numpy.zeros((*size, 3), numpy.uint8)) for size in ((56, 84), (84, 56))]
    rows, found = list(rows_of("qwen2_vl", processor, blank)), {}
    for family, name in (("qwen2_5_vl", "tiny_qwen25vl"), ("qwen3_vl", "tiny_qwen3vl")):
        processor = AutoProcessor.from_pretrained(golden / name)
        processor.image_processor = AutoImageProcessor.from_pretrained(golden / name, backend="pil")
        images = [Image.open(golden / name / "images" / f"{i}.png").convert("RGB") for i in range(2)]
        rows += rows_of(family, processor, images)
        chat = processor.apply_chat_template(messages(*TEMPLATES[0], None), tokenize=False, add_generation_prompt=True)
        answer(golden / name, dict(processor(text=[chat], images=images, size=SIZE, return_tensors="pt")), found)
    answer(golden / "tiny_qwen2vl_flat_untied", ids_of_tiny(golden / "tiny_qwen2vl_flat_untied"), found)
    json.dump(rows, open(golden / "references.json", "w"), separators=(",", ":"))
    save_file({key: value.contiguous().clone() for key, value in found.items()}, golden / "references.safetensors")


main()
